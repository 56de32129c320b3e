//! Cards as rows of a map, whose columns are properties.

use std::path::Path;

use crate::draft::Draft;
use crate::error::OpenError;
use crate::map::{Columns, Evaluator, Map, Plan, Row, Subject};
use crate::row::{self, Item, rejected};
use crate::source::OpenOptions;
use crate::vcard_entry::without_scheme;
use crate::vcard_property::{Charset, Property, Unfolded};

/// A map for the cards of a file.
pub(crate) struct Mapped {
    pub(crate) evaluator: Evaluator,
    columns: Properties,
    /// The values of each column in the present card, each with the rank of its property.
    values: CardRow,
    pub(crate) draft: Draft,
    subject: Subject,
}

/// The properties that a map uses.
#[derive(Default)]
struct Properties(Vec<Column>);

/// `EMAIL`, `TEL;CELL` or `ADR;WORK.3`.
#[derive(PartialEq, Eq)]
struct Column {
    name: String,
    /// The types that the property must have, in lower case.
    types: Vec<String>,
    /// The part of the value between semicolons, from 1.
    part: Option<usize>,
}

impl Column {
    fn of(text: &str) -> Option<Self> {
        let part = text.rsplit_once('.').and_then(|(name, part)| Some((name, part.parse().ok()?)));
        let (text, part) = match part {
            Some((_, 0)) => return None,
            Some((text, part)) => (text, Some(part)),
            None => (text, None),
        };
        let mut words = text.split(';').map(|word| word.trim().to_lowercase());
        let name = words.next()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = !name.is_empty() && name.bytes().all(plain);
        is_name.then(|| Self { name, types: words.collect(), part })
    }

    fn is_of(&self, property: &Property<'_>) -> bool {
        property.is(&self.name) && {
            let types = property.types();
            self.types.iter().all(|wanted| types.split(' ').any(|word| word == wanted))
        }
    }
}

impl Columns for Properties {
    fn number(&mut self, name: &str) -> Option<usize> {
        let column = Column::of(name)?;
        if let Some(number) = self.0.iter().position(|known| *known == column) {
            return Some(number);
        }
        self.0.push(column);
        Some(self.0.len() - 1)
    }

    fn names(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// A card as a row.
#[derive(Default)]
struct CardRow(Vec<Vec<(u8, String)>>);

impl Row for CardRow {
    fn values(&self, column: usize) -> impl Iterator<Item = &str> {
        self.0.get(column).into_iter().flatten().map(|(_, value)| value.as_str())
    }
}

impl Mapped {
    /// # Errors
    ///
    /// If the map names something that cannot be a property, or a table cannot be used.
    pub(crate) fn new(path: &Path, map: &Map, options: &OpenOptions) -> Result<Self, OpenError> {
        let mut columns = Properties::default();
        let plan = Plan::new(path, map, &mut columns)?;
        let mut values = CardRow::default();
        values.0.resize_with(columns.0.len(), Vec::new);
        Ok(Self {
            evaluator: Evaluator::new(plan, options.traced),
            columns,
            values,
            draft: Draft::new(options.private()),
            subject: Subject::default(),
        })
    }

    /// The item for an unfolded card, or `None` if the map leaves it out.
    pub(crate) fn item(&mut self, first: u64, card: &Unfolded, charset: Charset) -> Option<Item> {
        self.values.0.iter_mut().for_each(Vec::clear);
        for property in card.properties() {
            for (column, values) in self.columns.0.iter().zip(&mut self.values.0) {
                if column.is_of(&property) {
                    match value_of(&property, column, charset) {
                        Ok(value) if value.is_empty() => {}
                        Ok(value) => values.push((property.rank(), value)),
                        Err(reason) => return Some(rejected(first, "", reason)),
                    }
                }
            }
        }
        // The preferred value comes first. The sort is stable, so the others stay in their order.
        self.values.0.iter_mut().for_each(|values| values.sort_by_key(|(rank, _)| *rank));
        match self.evaluator.fill(first, &self.values, &mut self.draft, &mut self.subject) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(reason) => return Some(rejected(first, "", reason)),
        }
        let address_has_key = self.evaluator.plan().address_has_key;
        let (subject, draft) = (&self.subject, &mut self.draft);
        let row = row::mapped(first, subject, draft, address_has_key, "the card has no key");
        Some(row.unwrap_or_else(|reason| rejected(first, "", reason)))
    }
}

fn value_of(property: &Property<'_>, column: &Column, charset: Charset) -> Result<String, String> {
    let text = match column.part {
        Some(part) => property.parts(charset)?.into_iter().nth(part - 1).unwrap_or_default(),
        None => property.text(charset)?,
    };
    let text = without_scheme(without_scheme(text.trim(), "mailto:"), "tel:");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_a_property_its_types_or_a_part() {
        let column = Column::of("Adr; WORK ;pref.3").unwrap();
        assert_eq!((column.name.as_str(), column.part), ("adr", Some(3)));
        assert_eq!(column.types, ["work", "pref"]);
        assert!(Column::of("N.0").is_none() && Column::of("Job Title").is_none());
        assert_eq!(Column::of("X-A").unwrap().part, None);
    }
}
