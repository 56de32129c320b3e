//! Private things in the address books of other programs, which do not belong in a directory.

use std::str::FromStr;

use thiserror::Error;

/// Whether private things of other programs' files are taken over.
///
/// Files of our own export and maps are not affected: they say what they contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Private {
    /// They are left out, and counted.
    #[default]
    Omit,
    /// They are taken over.
    Keep,
}

/// A word that is not one for private things.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not what can be done with private things: omit or keep")]
pub struct UnknownPrivate(String);

impl FromStr for Private {
    type Err = UnknownPrivate;

    fn from_str(text: &str) -> Result<Self, UnknownPrivate> {
        match text {
            "omit" => Ok(Self::Omit),
            "keep" => Ok(Self::Keep),
            _ => Err(UnknownPrivate(text.to_owned())),
        }
    }
}

/// A private attribute, with the words for one and for several of its values.
const ATTRIBUTES: [(&str, &str, &str); 6] = [
    ("homePhone", "home telephone", "home telephones"),
    ("homePostalAddress", "home address", "home addresses"),
    ("birthday", "birthday", "birthdays"),
    ("anniversary", "anniversary", "anniversaries"),
    ("spouse", "spouse", "spouses"),
    ("info", "note", "notes"),
];

/// Whether an attribute is private.
pub(crate) fn is_private(attribute: &str) -> bool {
    let name = attribute.split(';').next().unwrap_or(attribute);
    ATTRIBUTES.iter().any(|(private, ..)| *private == name)
}

/// A count of values that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateCount {
    /// The attribute.
    pub attribute: &'static str,
    /// The number of its values.
    pub values: u64,
}

/// Counts of private values, by their attribute.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrivateCounts([u64; ATTRIBUTES.len()]);

impl PrivateCounts {
    /// Counts a value if its attribute is private. Returns whether it is.
    pub(crate) fn count(&mut self, attribute: &str) -> bool {
        let name = attribute.split(';').next().unwrap_or(attribute);
        let found = ATTRIBUTES.iter().position(|(private, ..)| *private == name);
        if let Some(at) = found {
            self.0[at] += 1;
        }
        found.is_some()
    }

    /// The counts that are not 0.
    pub(crate) fn counts(&self) -> Vec<PrivateCount> {
        let counts = ATTRIBUTES.iter().zip(self.0).filter(|(_, values)| *values > 0);
        counts.map(|((attribute, ..), values)| PrivateCount { attribute, values }).collect()
    }

    /// The counts as one note.
    pub(crate) fn note(&self) -> Option<String> {
        let words = |((_, one, many), count): (&(&str, &str, &str), u64)| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let words: Vec<String> = ATTRIBUTES.iter().zip(self.0).filter_map(words).collect();
        (!words.is_empty()).then(|| {
            format!(
                "private things are left out: {}; --private keep takes them in (of a source: private = \"keep\")",
                words.join(", ")
            )
        })
    }
}

/// A postal address as one value, with `$` between its lines (RFC 4517, section 3.3.28).
pub(crate) fn postal_address<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut address = String::new();
    for line in lines.into_iter().map(str::trim).filter(|line| !line.is_empty()) {
        if !address.is_empty() {
            address.push('$');
        }
        address.push_str(&line.replace('\\', "\\5C").replace('$', "\\24").replace('\n', "$"));
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_values_are_counted_by_what_they_are() {
        let mut counts = PrivateCounts::default();
        for attribute in ["homePhone", "homePhone;x-a", "info", "title", "homephone"] {
            assert_eq!(
                counts.count(attribute),
                !attribute.starts_with("title") && attribute != "homephone"
            );
        }
        let note = counts.note().unwrap();
        assert!(note.contains("left out: 2 home telephones, 1 note; --private keep"), "{note}");
        assert_eq!(PrivateCounts::default().note(), None);
        assert_eq!(postal_address(["A 1\nB", "", " $5 "]), "A 1$B$\\245");
    }
}
