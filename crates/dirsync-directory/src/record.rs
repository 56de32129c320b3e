//! The one textual form of an entry's content: what stores keep, messages carry, and digests hash.
//!
//! A record has four texts, all escaped so that none holds a line break or a tab:
//!
//! - `kind`: `mailbox`, `contact`, `resource` or `list`;
//! - `name`: the display name;
//! - `addresses`: `TYPE:value`, separated by tabs, the first is primary;
//! - `details`: lines `attribute/value`, each ended by `\n`, sorted by bytes, no two equal.
//!
//! Because the form is unique, equal content is equal bytes, and a record can travel from a message
//! into a database and into a digest without being taken apart. A record may hold what this version
//! does not understand (an unknown kind, an over-long value): the form is kept and compared, and
//! [`RecordRef::to_entry`] says what is wrong with it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::address::AddressError;
use crate::entry::UnknownKind;
use crate::{Address, AttributeName, Entry, EntryKind, excerpt};

/// Longest display name, in bytes.
pub const NAME_BYTES_MAX: usize = 512;
/// Most addresses of one entry.
pub const ADDRESSES_MAX: usize = 1000;
/// Longest value of a detail, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// All details of one entry together, in bytes of their text form.
pub const DETAILS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An entry's content in its one textual form.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The kind's word.
    pub kind: String,
    /// The escaped display name.
    pub name: String,
    /// The escaped addresses, tab-separated.
    pub addresses: String,
    /// The escaped detail lines.
    pub details: String,
}

/// A borrowed [`Record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The kind's word.
    pub kind: &'a str,
    /// The escaped display name.
    pub name: &'a str,
    /// The escaped addresses, tab-separated.
    pub addresses: &'a str,
    /// The escaped detail lines.
    pub details: &'a str,
}

/// What is wrong with a record.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// The kind's word is not known to this version.
    #[error(transparent)]
    Kind(#[from] UnknownKind),
    /// The display name is empty.
    #[error("the entry has no display name")]
    NoName,
    /// The display name is too long.
    #[error("the display name has {0} bytes, {NAME_BYTES_MAX} are allowed")]
    NameLength(usize),
    /// The entry has no address at all.
    #[error("the entry has no address")]
    NoAddress,
    /// One of the addresses is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The entry has too many addresses.
    #[error("the entry has more than {ADDRESSES_MAX} addresses")]
    Addresses,
    /// The same address stands twice.
    #[error("the address \"{0}\" stands twice")]
    AddressTwice(String),
    /// A detail line has no attribute name.
    #[error("the detail line \"{0}\" is not ATTRIBUTE/VALUE")]
    Detail(String),
    /// The detail lines are not sorted, or two are equal.
    #[error("the detail lines are not in their one order at \"{0}\"")]
    DetailOrder(String),
    /// A value is too long.
    #[error("a value of {attribute} has {bytes} bytes, {VALUE_BYTES_MAX} are allowed")]
    ValueLength {
        /// The attribute.
        attribute: String,
        /// The length of the value.
        bytes: usize,
    },
    /// All details together are too long.
    #[error("the details have {0} bytes, {DETAILS_BYTES_MAX} are allowed")]
    DetailsLength(usize),
    /// A text holds U+0000, which is no part of any text and ends it in many programs.
    #[error("\"{0}\" holds the character NUL")]
    Nul(String),
    /// A backslash is followed by something that is no escape.
    #[error("\"{0}\" holds a backslash that is no escape")]
    Escape(String),
}

/// Writes a value so that it holds no control character: `\\` for a backslash, `\n`, `\r`, `\t`,
/// and `\xHH` for the other controls below U+0020 and U+007F.
pub fn escape(value: &str) -> Cow<'_, str> {
    let special = |byte: u8| byte < 0x20 || byte == b'\\' || byte == 0x7f;
    // Without an early end, so that many bytes are looked at at once.
    if !value.bytes().fold(false, |any, byte| any | special(byte)) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            other if other.is_ascii() && special(other as u8) => {
                escaped.push_str(&format!("\\x{:02x}", other as u8));
            }
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Reads back what [`escape`] wrote; `None` where a backslash is followed by something else, or
/// a control was written in another way than [`escape`] writes it.
pub fn unescape(escaped: &str) -> Option<Cow<'_, str>> {
    if !escaped.contains('\\') {
        return Some(Cow::Borrowed(escaped));
    }
    let mut value = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        let mut tail = rest[at + 1..].chars();
        match tail.next()? {
            '\\' => value.push('\\'),
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            'x' => {
                let code = u8::from_str_radix(tail.as_str().get(..2)?, 16).ok()?;
                let written = format!("\\x{code:02x}");
                if !rest[at..].starts_with(&written)
                    || escape(&char::from(code).to_string()) != written
                {
                    return None;
                }
                value.push(char::from(code));
                tail.next();
                tail.next();
            }
            _ => return None,
        }
        rest = tail.as_str();
    }
    value.push_str(rest);
    Some(Cow::Owned(value))
}

impl Record {
    /// A borrowed view of the record.
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            kind: &self.kind,
            name: &self.name,
            addresses: &self.addresses,
            details: &self.details,
        }
    }
}

impl From<&Entry> for Record {
    fn from(entry: &Entry) -> Self {
        let mut addresses = String::new();
        for address in &entry.addresses {
            if !addresses.is_empty() {
                addresses.push('\t');
            }
            addresses.push_str(&escape(address.as_str()));
        }
        let mut lines: Vec<String> = entry
            .details
            .iter()
            .flat_map(|(attribute, values)| {
                values.iter().map(move |value| format!("{attribute}/{}", escape(value)))
            })
            .collect();
        lines.sort_unstable();
        lines.dedup();
        let mut details = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in &lines {
            details.push_str(line);
            details.push('\n');
        }
        Self {
            kind: entry.kind.as_str().into(),
            name: escape(&entry.name).into_owned(),
            addresses,
            details,
        }
    }
}

impl<'a> RecordRef<'a> {
    /// An owned copy.
    pub fn to_record(self) -> Record {
        Record {
            kind: self.kind.into(),
            name: self.name.into(),
            addresses: self.addresses.into(),
            details: self.details.into(),
        }
    }

    /// The escaped addresses, in order.
    pub fn address_texts(self) -> impl Iterator<Item = &'a str> {
        self.addresses.split('\t').filter(|text| !text.is_empty())
    }

    /// The detail lines as (attribute, escaped value), in their order. Lines without a slash are
    /// passed over; [`Self::check`] reports them.
    pub fn detail_lines(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.details.lines().filter_map(|line| line.split_once('/'))
    }

    /// The comparison keys of all addresses.
    pub fn address_keys(self) -> impl Iterator<Item = String> + 'a {
        self.address_texts().map(|text| crate::fold(text).into_owned())
    }

    /// Checks the record without building an [`Entry`].
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, in the order kind, name, addresses, details.
    pub fn check(self) -> Result<(), RecordError> {
        if !EntryKind::ALL.iter().any(|kind| kind.as_str() == self.kind) {
            self.kind.parse::<EntryKind>()?;
            return Err(RecordError::Escape(excerpt(self.kind)));
        }
        if self.name.is_empty() {
            return Err(RecordError::NoName);
        }
        if self.name.len() > NAME_BYTES_MAX {
            return Err(RecordError::NameLength(self.name.len()));
        }
        check_escapes(self.name)?;
        self.check_addresses()?;
        self.check_details()
    }

    fn check_addresses(self) -> Result<(), RecordError> {
        if self.addresses.is_empty() {
            return Err(RecordError::NoAddress);
        }
        let mut keys = BTreeSet::new();
        for text in self.addresses.split('\t') {
            let value = unescape(text).ok_or_else(|| RecordError::Escape(excerpt(text)))?;
            let address: Address = value.parse()?;
            if address.as_str() != value {
                return Err(AddressError::Type(excerpt(&value)).into());
            }
            if keys.len() == ADDRESSES_MAX {
                return Err(RecordError::Addresses);
            }
            if !keys.insert(address.comparison_key()) {
                return Err(RecordError::AddressTwice(excerpt(&value)));
            }
        }
        Ok(())
    }

    fn check_details(self) -> Result<(), RecordError> {
        if self.details.len() > DETAILS_BYTES_MAX {
            return Err(RecordError::DetailsLength(self.details.len()));
        }
        let mut previous = "";
        for line in self.details.split_inclusive('\n') {
            // Not `lines`, for which a CR or nothing ends a line too.
            let line = line.strip_suffix('\n').ok_or_else(|| RecordError::Detail(excerpt(line)))?;
            if line <= previous {
                return Err(RecordError::DetailOrder(excerpt(line)));
            }
            previous = line;
            let (attribute, value) =
                line.split_once('/').ok_or_else(|| RecordError::Detail(excerpt(line)))?;
            if !AttributeName::is_canonical(attribute) || value.is_empty() {
                return Err(RecordError::Detail(excerpt(line)));
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(RecordError::ValueLength {
                    attribute: attribute.into(),
                    bytes: value.len(),
                });
            }
            check_escapes(value)?;
        }
        Ok(())
    }

    /// The values of the record.
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub fn to_entry(self) -> Result<Entry, RecordError> {
        self.check()?;
        let value = |text| unescape(text).expect("checked").into_owned();
        let mut details: BTreeMap<AttributeName, Vec<String>> = BTreeMap::new();
        for (attribute, text) in self.detail_lines() {
            let attribute = attribute.parse().expect("checked");
            details.entry(attribute).or_default().push(value(text));
        }
        Ok(Entry {
            kind: self.kind.parse()?,
            name: value(self.name),
            addresses: self
                .address_texts()
                .map(|text| value(text).parse().expect("checked"))
                .collect(),
            details,
        })
    }

    /// The record as somebody sees it who may see only the attributes that `shown` accepts.
    pub fn with_attributes(self, shown: impl Fn(&str) -> bool) -> Record {
        let mut record = RecordRef { details: "", ..self }.to_record();
        for line in self.details.split_inclusive('\n') {
            let attribute = line.split('/').next().unwrap_or_default();
            if shown(attribute) {
                record.details.push_str(line);
            }
        }
        record
    }
}

fn check_escapes(text: &str) -> Result<(), RecordError> {
    match unescape(text) {
        Some(value) if value.contains('\0') => Err(RecordError::Nul(excerpt(text))),
        Some(_) if text.bytes().all(|byte| byte >= 0x20 && byte != 0x7f) => Ok(()),
        _ => Err(RecordError::Escape(excerpt(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ana() -> Entry {
        Entry {
            kind: EntryKind::Contact,
            name: "Ana\\Souza\u{1b}".into(),
            addresses: vec![
                "SMTP:ana@north.example".parse().unwrap(),
                "X400:/c=BR".parse().unwrap(),
            ],
            details: BTreeMap::from([
                ("title".parse().unwrap(), vec!["Pilot".into()]),
                ("telephoneNumber".parse().unwrap(), vec!["2\n2".into(), "1/1".into()]),
            ]),
        }
    }

    #[test]
    fn a_record_is_the_same_entry_in_one_form() {
        let record = Record::from(&ana());
        assert_eq!(record.name, "Ana\\\\Souza\\x1b");
        assert_eq!(record.addresses, "SMTP:ana@north.example\tX400:/c=BR");
        assert_eq!(record.details, "telephoneNumber/1/1\ntelephoneNumber/2\\n2\ntitle/Pilot\n");
        let back = record.as_ref().to_entry().unwrap();
        assert_eq!(Record::from(&back), record);
        assert_eq!(back.name, ana().name);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = Record::from(&ana());
        let wrong = |change: fn(&mut Record)| {
            let mut record = good.clone();
            change(&mut record);
            record.as_ref().check().unwrap_err()
        };
        assert!(matches!(wrong(|r| r.kind = "robot".into()), RecordError::Kind(_)));
        assert!(matches!(wrong(|r| r.kind = "Mailbox".into()), RecordError::Escape(_)));
        assert!(matches!(wrong(|r| r.name.clear()), RecordError::NoName));
        assert!(matches!(wrong(|r| r.addresses.clear()), RecordError::NoAddress));
        assert!(matches!(wrong(|r| r.addresses = "x:1\tX:1".into()), RecordError::Address(_)));
        assert!(matches!(wrong(|r| r.addresses = "X:a\tX:A".into()), RecordError::AddressTwice(_)));
        assert!(matches!(wrong(|r| r.details = "b/1\na/1\n".into()), RecordError::DetailOrder(_)));
        assert!(matches!(wrong(|r| r.details = "title/a\\q\n".into()), RecordError::Escape(_)));
        assert!(matches!(wrong(|r| r.name = "A\\x00na".into()), RecordError::Nul(_)));
        assert!(matches!(wrong(|r| r.details = "title/\\x00\n".into()), RecordError::Nul(_)));
        assert!(matches!(wrong(|r| r.addresses = "X:a\\x00".into()), RecordError::Address(_)));
        assert!(matches!(wrong(|r| r.details = "TITLE/a\n".into()), RecordError::Detail(_)));
    }

    /// Content that could be written in two ways would have two digests.
    #[test]
    fn a_record_has_one_form() {
        let check = |addresses: &str, details: &str| {
            RecordRef { kind: "mailbox", name: "Ana", addresses, details }.check()
        };
        assert_eq!(check("X:a\tX:b", "title/a\n"), Ok(()));
        for details in ["title/a", "title/a\r\n", "title/a\n\n", "\n"] {
            assert!(check("X:a", details).is_err(), "{details:?}");
        }
        for addresses in ["X:a\t", "\tX:a", "X:a\t\tX:b", "\t"] {
            assert!(check(addresses, "").is_err(), "{addresses:?}");
        }
    }

    #[test]
    fn addresses_are_limited() {
        let check = |count: usize| {
            let addresses: Vec<String> = (0..count).map(|number| format!("X:{number}")).collect();
            let addresses = addresses.join("\t");
            RecordRef { kind: "list", name: "All", addresses: &addresses, details: "" }.check()
        };
        assert_eq!(check(ADDRESSES_MAX), Ok(()));
        assert_eq!(check(ADDRESSES_MAX + 1), Err(RecordError::Addresses));
    }

    #[test]
    fn escapes_are_unique() {
        for bad in ["\\", "\\x1", "\\x41", "\\x0A", "\\x0a", "\\q", "\\x1B"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
        for good in ["\\x1b", "\\\\x41", "a\\nb"] {
            assert_eq!(escape(&unescape(good).unwrap()), good);
        }
    }

    #[test]
    fn hidden_attributes_leave_the_rest() {
        let record = Record::from(&ana());
        let shown = record.as_ref().with_attributes(|attribute| attribute == "title");
        assert_eq!(shown.details, "title/Pilot\n");
        assert_eq!(shown.name, record.name);
    }
}
