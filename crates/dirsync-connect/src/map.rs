//! Maps, which build the parts of an entry from the columns of a CSV file.

use std::collections::BTreeMap;

use dirsync_directory::AttributeName;
use thiserror::Error;

/// A map from columns to entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// The key, which must never change for an entry.
    pub key: Template,
    /// The display name.
    pub name: Template,
    /// The addresses, `TYPE:value`. An address with an empty column is left out.
    pub address: Vec<Template>,
    /// The kind: `mailbox`, `contact`, `resource` or `list`. `None` means `mailbox`.
    pub kind: Option<Template>,
    /// The details. An empty one is left out.
    pub details: BTreeMap<AttributeName, Template>,
}

/// A text in which `{column}` stands for the value of a column, and `{{` and `}}` for braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

/// A text that is not a template.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the template \"{text}\" is wrong at character {}: {reason}", text[..*position].chars().count() + 1)]
pub struct TemplateError {
    text: String,
    /// The position of the mistake, in bytes from 0.
    pub position: usize,
    /// The problem at that position.
    pub reason: &'static str,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// If a brace is not closed, or has no column in it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let error = |position, reason| TemplateError { text: text.into(), position, reason };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push_str(&rest[..1]);
                at += 2;
            } else if rest.starts_with('{') {
                let Some(length) = rest.find('}') else {
                    return Err(error(at, "this \"{\" is not closed; write \"{{\" for a brace"));
                };
                let column = rest[1..length].trim();
                if column.is_empty() || column.contains('{') {
                    return Err(error(at, "a column's name is expected between \"{\" and \"}\""));
                }
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Column(column.to_owned()));
                at += length + 1;
            } else if rest.starts_with('}') {
                return Err(error(at, "this \"}\" closes nothing; write \"}}\" for a brace"));
            } else {
                let length = rest.find(['{', '}']).unwrap_or(rest.len());
                literal.push_str(&rest[..length]);
                at += length;
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { text: text.into(), parts })
    }

    /// The columns that it uses.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column(column) => Some(column.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The template with the numbers of its columns, as `index` returns them.
    pub(crate) fn compile<E>(
        &self,
        mut index: impl FnMut(&str) -> Result<usize, E>,
    ) -> Result<Compiled, E> {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Ok(CompiledPart::Text(text.clone())),
            Part::Column(column) => index(column).map(CompiledPart::Column),
        });
        Ok(Compiled(parts.collect::<Result<_, E>>()?))
    }
}

/// A template with the numbers of its columns.
#[derive(Clone, Debug)]
pub(crate) struct Compiled(Vec<CompiledPart>);

#[derive(Clone, Debug)]
enum CompiledPart {
    Text(String),
    Column(usize),
}

impl Compiled {
    /// A template of one column.
    pub(crate) fn column(index: usize) -> Self {
        Self(vec![CompiledPart::Column(index)])
    }

    /// A template of a text and a column.
    pub(crate) fn prefixed(prefix: &str, index: usize) -> Self {
        Self(vec![CompiledPart::Text(prefix.into()), CompiledPart::Column(index)])
    }

    /// A template of columns with blanks between them.
    pub(crate) fn joined(columns: &[usize]) -> Self {
        let mut parts = Vec::new();
        for column in columns {
            if !parts.is_empty() {
                parts.push(CompiledPart::Text(" ".into()));
            }
            parts.push(CompiledPart::Column(*column));
        }
        Self(parts)
    }

    /// Writes the value for a row.
    ///
    /// Blanks around a field are removed. The blanks of the template around an empty field become
    /// one, so that `{first} {middle} {last}` has no gap for a person without a middle name.
    pub(crate) fn fill(&self, row: &csv::StringRecord, value: &mut String) -> Filled {
        value.clear();
        let (mut columns, mut empty) = (0, 0);
        let mut after_empty = false;
        for part in &self.0 {
            match part {
                CompiledPart::Text(text) => {
                    let gap = after_empty && (value.is_empty() || value.ends_with(' '));
                    value.push_str(if gap { text.trim_start_matches(' ') } else { text });
                }
                CompiledPart::Column(column) => {
                    let field = row.get(*column).unwrap_or_default().trim();
                    columns += 1;
                    empty += usize::from(field.is_empty());
                    after_empty = field.is_empty();
                    value.push_str(field);
                }
            }
        }
        if after_empty {
            value.truncate(value.trim_end_matches(' ').len());
        }
        match empty {
            0 => Filled::Whole,
            _ if empty == columns => {
                value.clear();
                Filled::Empty
            }
            _ => Filled::Partly,
        }
    }
}

/// The number of a template's columns that have a value in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// None of them.
    Empty,
    /// Some of them.
    Partly,
    /// All of them, or the template has no columns.
    Whole,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, row: &[&str]) -> (String, Filled) {
        let columns = ["first", "middle", "last"];
        let compiled = Template::parse(template)
            .unwrap()
            .compile(|name| columns.iter().position(|column| *column == name).ok_or(()))
            .unwrap();
        let mut value = String::new();
        let filled = compiled.fill(&csv::StringRecord::from(row.to_vec()), &mut value);
        (value, filled)
    }

    #[test]
    fn templates_fill_and_collapse() {
        let row = ["Ana  Maria", " ", " Souza "];
        let partly = |text: &str| (text.to_owned(), Filled::Partly);
        let whole = |text: &str| (text.to_owned(), Filled::Whole);
        assert_eq!(fill("{first} {middle} {last}", &row), partly("Ana  Maria Souza"));
        assert_eq!(fill("{middle} {last}", &row), partly("Souza"));
        assert_eq!(fill("{last} {middle}", &row), partly("Souza"));
        assert_eq!(fill("{last}  {first}", &row), whole("Souza  Ana  Maria"));
        assert_eq!(fill("SMTP:{middle}", &row), (String::new(), Filled::Empty));
        assert_eq!(fill("{{x}} {last}", &row), whole("{x} Souza"));
        assert_eq!(fill("fixed", &row), whole("fixed"));
        assert_eq!(fill("{ last }", &["", "", "+1 206"]), whole("+1 206"));
        assert_eq!(fill("{last}", &["short"]), (String::new(), Filled::Empty));
    }

    #[test]
    fn mistakes_are_pointed_at() {
        for (text, position) in [("ä{b", 2), ("{}", 0), ("a}b", 1), ("{a{b}}", 0)] {
            assert_eq!(Template::parse(text).unwrap_err().position, position, "{text}");
        }
    }
}
