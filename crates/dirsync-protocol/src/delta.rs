//! Attribute deltas: when each part of an entry changed, and which parts have to travel because of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use dirsync_directory::{AttributeName, Record, RecordRef};
use dirsync_message::Change;

/// The names of the parts of an entry that are no attributes. No attribute's name begins with `:`.
const KIND: &str = ":kind";
const NAME: &str = ":name";
const ADDRESSES: &str = ":addresses";
const RELEASE: &str = ":release";

/// The parts of an entry whose numbers are kept. An entry with more of them travels whole.
const PARTS_MAX: usize = 4096;

/// The numbers of an entry's last changes.
///
/// Every part that is not named changed last when the whole entry did, at `whole`. Emptied
/// attributes keep their number. Text form: `LAST WHOLE part=number part=number`; a blank in the name
/// of a part, which no attribute has, is written `\s` and a backslash `\\`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeNumbers {
    /// The number of the last change of anything.
    pub last: u64,
    /// The number at which the entry was last new to a view. Before it, the entry travels whole.
    pub whole: u64,
    /// Parts that changed since.
    pub parts: BTreeMap<String, u64>,
}

impl ChangeNumbers {
    /// The numbers of an entry that is new at `number`.
    pub fn new(number: u64) -> Self {
        Self { last: number, whole: number, parts: BTreeMap::new() }
    }

    /// Notes that these parts changed at `number`.
    pub fn changed(&mut self, number: u64, parts: impl IntoIterator<Item = String>) {
        assert!(number >= self.last, "changes are numbered in their order");
        self.last = number;
        for part in parts {
            self.parts.insert(part, number);
        }
        if self.parts.len() > PARTS_MAX {
            *self = Self::new(number);
        }
    }

    fn after(&self, number: u64, part: &str) -> bool {
        self.parts.get(part).copied().unwrap_or(self.whole) > number
    }
}

impl fmt::Display for ChangeNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.last, self.whole)?;
        self.parts.iter().try_for_each(|(part, number)| {
            let name = part.replace('\\', "\\\\").replace(' ', "\\s");
            write!(f, " {name}={number}")
        })
    }
}

impl FromStr for ChangeNumbers {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or(());
        let mut numbers = Self { last: number()?, whole: number()?, parts: BTreeMap::new() };
        for word in words {
            let (part, number) = word.rsplit_once('=').ok_or(())?;
            let part = unescape_part(part).ok_or(())?;
            numbers.parts.insert(part, number.parse().map_err(|_| ())?);
        }
        Ok(numbers)
    }
}

fn unescape_part(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        name.push(match character {
            '\\' => match characters.next()? {
                's' => ' ',
                '\\' => '\\',
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(name)
}

/// The names of the parts in which two versions of an entry differ.
pub fn changed_parts(old: RecordRef<'_>, new: RecordRef<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    let whole = [
        (KIND, old.kind, new.kind),
        (NAME, old.name, new.name),
        (ADDRESSES, old.addresses, new.addresses),
    ];
    for (part, old, new) in whole {
        if old != new {
            parts.push(part.to_owned());
        }
    }
    if old.details != new.details {
        let old_lines: BTreeSet<&str> = old.details.lines().collect();
        let new_lines: BTreeSet<&str> = new.details.lines().collect();
        let changed: BTreeSet<&str> =
            old_lines.symmetric_difference(&new_lines).map(|line| attribute(line)).collect();
        parts.extend(changed.into_iter().map(str::to_owned));
    }
    parts
}

/// The name of the part that says to whom an entry is released.
pub fn release_part() -> String {
    RELEASE.to_owned()
}

fn attribute(line: &str) -> &str {
    line.split('/').next().unwrap_or_default()
}

/// The parts of an entry that changed after a number, to be sent as an `M`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The new kind.
    pub kind: Option<String>,
    /// The new name.
    pub name: Option<String>,
    /// All addresses.
    pub addresses: Option<String>,
    /// Lines `attribute/value`, or `attribute` when emptied.
    pub details: String,
    /// Whom it is released to changed.
    pub release: bool,
}

impl Delta {
    /// The change that a transaction makes of it.
    pub fn to_change(&self) -> Change<'_> {
        Change::Delta {
            kind: self.kind.as_deref(),
            name: self.name.as_deref(),
            addresses: self.addresses.as_deref(),
            details: &self.details,
        }
    }
}

/// Whether a line of an `M` says that an attribute was emptied. Any other line without a value is
/// one that this version does not understand, and is content.
fn is_emptied(line: &str) -> bool {
    AttributeName::is_canonical(line)
}

/// The parts that changed after `number`; `None` if the whole entry has to travel. An entry with lines that
/// are no attributes has to, if an `M` could be read in two ways.
pub fn delta_after(record: RecordRef<'_>, numbers: &ChangeNumbers, number: u64) -> Option<Delta> {
    if numbers.whole > number || record.details.lines().any(is_emptied) {
        return None;
    }
    let field = |part, text: &str| numbers.after(number, part).then(|| text.to_owned());
    let mut lines: Vec<&str> =
        record.details.lines().filter(|line| numbers.after(number, attribute(line))).collect();
    let held: BTreeSet<&str> = record.details.lines().map(attribute).collect();
    for (part, changed) in &numbers.parts {
        let empty = !held.contains(part.as_str());
        if *changed > number && empty && !part.starts_with(':') {
            if !is_emptied(part) {
                return None;
            }
            lines.push(part);
        }
    }
    lines.sort_unstable();
    let mut details = String::new();
    for line in lines {
        details.push_str(line);
        details.push('\n');
    }
    Some(Delta {
        kind: field(KIND, record.kind),
        name: field(NAME, record.name),
        addresses: field(ADDRESSES, record.addresses),
        details,
        release: numbers.after(number, RELEASE),
    })
}

/// The entry that an `M` makes of the receiver's version.
pub fn apply_delta(
    old: RecordRef<'_>,
    kind: Option<&str>,
    name: Option<&str>,
    addresses: Option<&str>,
    details: &str,
) -> Record {
    let changed: BTreeSet<&str> = details.lines().map(attribute).collect();
    let mut lines: Vec<&str> = old
        .details
        .lines()
        .filter(|line| !changed.contains(attribute(line)))
        .chain(details.lines().filter(|line| !is_emptied(line)))
        .collect();
    lines.sort_unstable();
    let mut merged = String::with_capacity(old.details.len() + details.len());
    for line in lines {
        merged.push_str(line);
        merged.push('\n');
    }
    Record {
        kind: kind.unwrap_or(old.kind).into(),
        name: name.unwrap_or(old.name).into(),
        addresses: addresses.unwrap_or(old.addresses).into(),
        details: merged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, details: &str) -> Record {
        Record {
            kind: "mailbox".into(),
            name: name.into(),
            addresses: "SMTP:a@b".into(),
            details: details.into(),
        }
    }

    #[test]
    fn lines_that_are_no_attributes_are_content() {
        let old = record("Ana", "title/Pilot\n");
        let new = record("Ana", "?shoe size\ntitle/Pilot\n");
        let mut numbers = ChangeNumbers::new(5);
        numbers.changed(9, changed_parts(old.as_ref(), new.as_ref()));
        numbers.changed(9, ["a\\s=b".to_owned()]);
        assert_eq!(numbers.to_string(), r"9 5 ?shoe\ssize=9 a\\s=b=9");
        assert_eq!(numbers.to_string().parse(), Ok(numbers.clone()));
        numbers.parts.remove("a\\s=b");
        let delta = delta_after(new.as_ref(), &numbers, 5).unwrap();
        assert_eq!(delta.details, "?shoe size\n");
        assert_eq!(apply_delta(old.as_ref(), None, None, None, &delta.details), new);
        numbers.changed(12, changed_parts(new.as_ref(), old.as_ref()));
        assert_eq!(delta_after(old.as_ref(), &numbers, 9), None, "its end has no form in an M");
        let bare = record("Ana", "title\n");
        numbers.changed(14, changed_parts(old.as_ref(), bare.as_ref()));
        assert_eq!(delta_after(bare.as_ref(), &numbers, 12), None, "it would read as emptied");
    }

    /// Each attribute that an entry ever had would be kept otherwise.
    #[test]
    fn an_entry_of_very_many_attributes_travels_whole() {
        let name = |number: usize| format!("a{number}");
        let details: String = (0..PARTS_MAX + 1).map(|n| format!("{}/x\n", name(n))).collect();
        let mut numbers = ChangeNumbers::new(1);
        numbers.changed(2, (0..PARTS_MAX).map(name));
        let all = record("Ana", &details);
        assert!(delta_after(all.as_ref(), &numbers, 1).is_some());
        numbers.changed(3, [name(PARTS_MAX)]);
        assert_eq!(numbers, ChangeNumbers::new(3));
        assert_eq!(delta_after(all.as_ref(), &numbers, 1), None);
    }

    #[test]
    fn a_changed_phone_travels_as_a_phone() {
        let old = record("Ana", "telephoneNumber/1\ntitle/Pilot\n");
        let new = record("Ana", "telephoneNumber/2\ntelephoneNumber/3\n");
        let mut numbers = ChangeNumbers::new(5);
        numbers.changed(9, changed_parts(old.as_ref(), new.as_ref()));
        assert_eq!(numbers.to_string(), "9 5 telephoneNumber=9 title=9");
        assert_eq!(numbers.to_string().parse(), Ok(numbers.clone()));
        let delta = delta_after(new.as_ref(), &numbers, 5).unwrap();
        assert_eq!(delta.details, "telephoneNumber/2\ntelephoneNumber/3\ntitle\n");
        assert_eq!((delta.name, delta.kind, delta.addresses), (None, None, None));
        let applied = apply_delta(old.as_ref(), None, None, None, &delta.details);
        assert_eq!(applied, new);
        assert_eq!(delta_after(new.as_ref(), &numbers, 4), None, "new to who stands before 5");
        let nothing = delta_after(new.as_ref(), &numbers, 9).unwrap();
        assert_eq!(nothing, Delta::default());
    }
}
