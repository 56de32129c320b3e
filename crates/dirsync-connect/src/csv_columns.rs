//! The columns of a CSV file: by the header of our own export, or by a map.

use std::collections::BTreeMap;

use csv::StringRecord;

use crate::csv_cell::{unmarked, values};
use crate::draft::Draft;
use crate::headers::OWN;
use crate::map::{Columns, Evaluator, Row, Subject};

/// The way in which rows are read.
pub(crate) enum Reading {
    /// A file of our own export, which is read back exactly.
    Own {
        /// Whether values may have the mark of a file for people.
        for_people: bool,
        /// The attributes of the columns after the fixed ones.
        attributes: Vec<String>,
    },
    /// Any other file.
    Mapped {
        /// The map.
        evaluator: Box<Evaluator>,
        /// The columns that it uses.
        columns: CsvColumns,
    },
}

impl Reading {
    /// Reads a row into `draft` and `subject`. Returns false if the map leaves it out.
    ///
    /// # Errors
    ///
    /// The reason for which the row cannot be used.
    pub(crate) fn fill(
        &mut self,
        line: u64,
        row: &StringRecord,
        draft: &mut Draft,
        subject: &mut Subject,
    ) -> Result<bool, String> {
        match self {
            Self::Own { for_people, attributes } => {
                draft.clear();
                subject.clear();
                fill_own(row, *for_people, attributes, draft, subject);
                Ok(true)
            }
            Self::Mapped { evaluator, columns } => {
                evaluator.fill(line, &CsvRow { row, columns }, draft, subject)
            }
        }
    }

    /// The column that holds the name of a type where its values should be, if there is one.
    ///
    /// Export-Csv writes that for a property with several values, which has to be joined before.
    pub(crate) fn unexported(&self, row: &StringRecord) -> Option<&str> {
        const TYPES: [&str; 5] = [
            "Microsoft.Exchange.",
            "Deserialized.Microsoft.",
            "System.Collections.",
            "System.Object[]",
            "System.String[]",
        ];
        let Self::Mapped { columns, .. } = self else { return None };
        let is_type = |at: &&usize| {
            let field = row.get(**at).unwrap_or_default().as_bytes();
            matches!(field, [b'M' | b'D' | b'S', ..])
                && TYPES.iter().any(|name| field.starts_with(name.as_bytes()))
        };
        let at = columns.used.iter().find(is_type)?;
        columns.names.get(*at).map(String::as_str)
    }

    /// The way to read a file of our own export, or `None` if it has another header.
    pub(crate) fn of_own(headers: &StringRecord) -> Option<Self> {
        let fixed = headers.iter().take(OWN.len());
        if headers.len() < OWN.len() || !fixed.zip(OWN).all(|(a, b)| a.eq_ignore_ascii_case(b)) {
            return None;
        }
        // Only a file for people has capitals in its header. In the other one an apostrophe at the
        // beginning of a value belongs to the value.
        let for_people = headers.get(0).is_some_and(|header| header.starts_with('O'));
        let attributes = headers.iter().skip(OWN.len());
        Some(Self::Own {
            for_people,
            attributes: attributes.map(|name| one_spelling(name.trim())).collect(),
        })
    }
}

/// The columns of a file by their names. Those that have the same name are one column with several values.
pub(crate) struct CsvColumns {
    names: Vec<String>,
    /// The numbers of the fields of each name in lower case.
    fields: BTreeMap<String, Vec<usize>>,
    /// The fields of the columns that have numbers.
    numbered: Vec<Vec<usize>>,
    /// The same fields, one after another.
    used: Vec<usize>,
}

impl CsvColumns {
    pub(crate) fn new(headers: &StringRecord) -> Self {
        let mut fields: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, name) in headers.iter().enumerate() {
            fields.entry(name.trim().to_lowercase()).or_default().push(at);
        }
        let names = headers.iter().map(|name| name.trim().to_owned()).collect();
        Self { names, fields, numbered: Vec::new(), used: Vec::new() }
    }

    /// The names of the columns that have no number, so that nothing uses them.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &str> {
        let used = |at: usize| self.used.contains(&at);
        let names = self.names.iter().enumerate();
        names
            .filter(move |(at, name)| !name.is_empty() && !used(*at))
            .map(|(_, name)| name.as_str())
    }
}

impl Columns for CsvColumns {
    fn number(&mut self, name: &str) -> Option<usize> {
        let fields = self.fields.get(&name.trim().to_lowercase())?;
        if let Some(number) = self.numbered.iter().position(|known| known == fields) {
            return Some(number);
        }
        self.used.extend(fields);
        self.numbered.push(fields.clone());
        Some(self.numbered.len() - 1)
    }

    fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }
}

/// A row of a CSV file.
struct CsvRow<'a> {
    row: &'a StringRecord,
    columns: &'a CsvColumns,
}

impl Row for CsvRow<'_> {
    fn values(&self, column: usize) -> impl Iterator<Item = &str> {
        let fields = self.columns.numbered.get(column).map_or(&[][..], Vec::as_slice);
        let values = fields.iter().filter_map(|at| self.row.get(*at)).map(str::trim);
        values.filter(|value| !value.is_empty())
    }
}

/// An attribute name in its one spelling. A text that is not one is kept, so that the check of the
/// record can report it.
fn one_spelling(name: &str) -> String {
    name.parse::<dirsync_directory::AttributeName>()
        .map_or_else(|_| name.to_owned(), |name| name.as_str().to_owned())
}

fn fill_own(
    row: &StringRecord,
    for_people: bool,
    attributes: &[String],
    draft: &mut Draft,
    subject: &mut Subject,
) {
    let mut fields = row.iter().map(|field| if for_people { unmarked(field) } else { field });
    let mut field = || fields.next().unwrap_or_default();
    subject.origin.push_str(field());
    subject.key.push_str(field());
    let kind = field();
    if !kind.is_empty() {
        draft.kind(kind);
    }
    draft.name(field());
    let primary = field();
    if !primary.is_empty() {
        draft.address(primary);
    }
    for alias in values(field()) {
        draft.address(&alias);
    }
    for attribute in attributes {
        for value in values(field()) {
            draft.detail(attribute, &value);
        }
    }
}
