//! LDIF records as rows of a map, whose columns are attributes.

use std::collections::BTreeSet;
use std::path::Path;

use dirsync_directory::AttributeName;

use crate::draft::Draft;
use crate::error::OpenError;
use crate::guid;
use crate::ldif_entry::{check, remember};
use crate::ldif_line::{BadLine, Value};
use crate::map::{Columns, Evaluator, Map, Plan, Row, Subject, nearest};
use crate::row::{self, Item, rejected};
use crate::source::OpenOptions;

/// A map for the records of a file.
pub(crate) struct Mapped {
    pub(crate) evaluator: Evaluator,
    columns: Attributes,
    pub(crate) draft: Draft,
    subject: Subject,
    /// Whether the map accepts that an attribute does not occur.
    lenient: bool,
}

/// The attributes that a map uses.
#[derive(Default)]
struct Attributes {
    /// In lower case, each with its options.
    names: Vec<(String, String)>,
    /// Whether a record had the attribute.
    seen: Vec<bool>,
    /// The attributes of the records that the map does not use, as far as they are remembered.
    others: BTreeSet<String>,
}

impl Columns for Attributes {
    fn number(&mut self, name: &str) -> Option<usize> {
        // The name of the record itself stands where attributes do.
        if !name.eq_ignore_ascii_case("dn") && name.parse::<AttributeName>().is_err() {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let (attribute, options) = name.split_once(';').unwrap_or((&name, ""));
        let wanted = (attribute.to_owned(), options.to_owned());
        if let Some(number) = self.names.iter().position(|known| *known == wanted) {
            return Some(number);
        }
        self.names.push(wanted);
        self.seen.push(false);
        Some(self.names.len() - 1)
    }

    fn names(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl Attributes {
    fn find(&self, value: &Value) -> Option<usize> {
        self.names.iter().position(|(attribute, options)| {
            value.attribute == *attribute && value.options == *options
        })
    }
}

/// A record as a row.
struct LdifRow<'a> {
    values: &'a [Value],
    columns: &'a Attributes,
}

impl Row for LdifRow<'_> {
    fn values(&self, column: usize) -> impl Iterator<Item = &str> {
        let name = self.columns.names.get(column);
        let values = self.values.iter().filter(move |value| {
            name.is_some_and(|(attribute, options)| {
                value.attribute == *attribute && value.options == *options
            })
        });
        let texts = values.filter_map(|value| std::str::from_utf8(&value.bytes).ok());
        texts.map(str::trim).filter(|text| !text.is_empty())
    }
}

impl Mapped {
    /// # Errors
    ///
    /// If the map names something that cannot be an attribute, or a table cannot be used.
    pub(crate) fn new(path: &Path, map: &Map, options: &OpenOptions) -> Result<Self, OpenError> {
        let mut columns = Attributes::default();
        let plan = Plan::new(path, map, &mut columns)?;
        Ok(Self {
            evaluator: Evaluator::new(plan, options.traced),
            columns,
            draft: Draft::new(options.private()),
            subject: Subject::default(),
            lenient: map.lenient,
        })
    }

    /// The item for a record, or `None` if the map leaves it out.
    pub(crate) fn item(
        &mut self,
        first: u64,
        values: &mut [Value],
    ) -> Result<Option<Item>, BadLine> {
        check(values)?;
        for value in &mut *values {
            match self.columns.find(value) {
                Some(number) => {
                    self.columns.seen[number] = true;
                    if value.is("objectguid")
                        && let Ok(bytes) = <&[u8; 16]>::try_from(value.bytes.as_slice())
                    {
                        value.bytes = guid::of_object_guid(bytes).into_bytes();
                    }
                    value.text()?;
                }
                None => remember(&mut self.columns.others, &value.attribute),
            }
        }
        let row = LdifRow { values, columns: &self.columns };
        match self.evaluator.fill(first, &row, &mut self.draft, &mut self.subject) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(reason) => return Ok(Some(rejected(first, "", reason))),
        }
        let address_has_key = self.evaluator.plan().address_has_key;
        let (subject, draft) = (&self.subject, &mut self.draft);
        let row = row::mapped(first, subject, draft, address_has_key, "the record has no key");
        Ok(Some(row.unwrap_or_else(|reason| rejected(first, "", reason))))
    }

    /// Adds notes on the records as a whole.
    pub(crate) fn summarize(&self, notes: &mut Vec<String>) {
        self.evaluator.summarize(notes);
        let Attributes { names, seen, others } = &self.columns;
        for ((attribute, options), _) in names.iter().zip(seen).filter(|(_, seen)| !**seen) {
            if self.lenient {
                continue;
            }
            let name =
                if options.is_empty() { attribute } else { &format!("{attribute};{options}") };
            let hint = nearest(name, others.iter().map(String::as_str))
                .map_or(String::new(), |near| format!("; did you mean \"{near}\"?"));
            notes.push(format!(
                "warning: no record has the attribute \"{name}\", which the map names{hint}"
            ));
        }
    }
}
