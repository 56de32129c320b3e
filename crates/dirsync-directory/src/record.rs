//! Records, the one textual form of an entry's content.
//!
//! A record consists of four texts. Their values are escaped, so that none contains a line break or a
//! tab:
//!
//! - `kind`: `mailbox`, `contact`, `resource` or `list`;
//! - `name`: the display name;
//! - `addresses`: `TYPE:value`, separated by tabs; the first is the primary one;
//! - `details`: lines `attribute/value`, each ended by `\n`, sorted by bytes, without duplicates.
//!
//! Every content has exactly one form. Equal content is therefore equal bytes, and a record goes from a
//! message into a database and into a digest without being taken apart.
//!
//! A record may be invalid: it may come from a newer version with a kind that this one does not know, or
//! have a value over the limits. Such a record is stored and compared like any other, and
//! [`RecordRef::check`] returns the reason.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::address::AddressError;
use crate::entry::UnknownKind;
use crate::{Address, AttributeName, Entry, EntryKind, excerpt};

/// The longest display name, in bytes, as escaped.
pub const NAME_BYTES_MAX: usize = 512;
/// The most addresses of an entry.
pub const ADDRESSES_MAX: usize = 1000;
/// The longest value of a detail, in bytes, as escaped.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// The most bytes that all detail lines of an entry have together.
pub const DETAILS_BYTES_MAX: usize = 4 * 1024 * 1024;

const _: () = assert!(VALUE_BYTES_MAX < DETAILS_BYTES_MAX, "the longest value has a line");

/// The content of an entry, in its one textual form.
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

/// A borrowed [`Record`]. It is not known to be valid until [`Self::check`] says so.
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

/// Why a record is not valid.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// The kind is not known to this version.
    #[error(transparent)]
    Kind(#[from] UnknownKind),
    /// The display name is empty.
    #[error("the entry has no display name")]
    NoName,
    /// The display name is too long.
    #[error("the display name has {0} bytes, {NAME_BYTES_MAX} are allowed")]
    NameLength(usize),
    /// The entry has no address.
    #[error("the entry has no address")]
    NoAddress,
    /// One of the addresses is not valid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The entry has too many addresses.
    #[error("the entry has more than {ADDRESSES_MAX} addresses")]
    Addresses,
    /// Two addresses of the entry are the same.
    #[error("the entry has the address \"{0}\" twice")]
    AddressTwice(String),
    /// A detail line has no canonical attribute name, or no value.
    #[error("the detail line \"{0}\" is not ATTRIBUTE/VALUE")]
    Detail(String),
    /// The detail lines are not sorted, or two are equal.
    #[error("the detail line \"{0}\" is not sorted after the one before it, or is a duplicate")]
    DetailOrder(String),
    /// A value is too long.
    #[error(
        "a value of the attribute {attribute} has {bytes} bytes, {VALUE_BYTES_MAX} are allowed"
    )]
    ValueLength {
        /// The attribute.
        attribute: String,
        /// The length of the value.
        bytes: usize,
    },
    /// The details together are too long.
    #[error("the details have {0} bytes, {DETAILS_BYTES_MAX} are allowed")]
    DetailsLength(usize),
    /// A text contains U+0000, at which many programs would cut it off.
    #[error("\"{0}\" contains the character NUL")]
    Nul(String),
    /// A text is not in its one escaped form.
    #[error("\"{0}\" contains a character that has to be escaped, or a wrong escape")]
    Escape(String),
}

/// Whether [`escape`] replaces a byte: ASCII control characters and the backslash.
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'\\' || byte == 0x7f
}

/// Escapes a value so that it contains no ASCII control character: `\\` for a backslash, `\n`, `\r`,
/// `\t`, and `\xHH` for the others. Each value has exactly one escaped form.
pub fn escape(value: &str) -> Cow<'_, str> {
    // A fold does not stop at the first hit, as `any` would, so the compiler checks many bytes at once.
    if !value.bytes().fold(false, |any, byte| any | is_special(byte)) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            other if other.is_ascii() && is_special(other as u8) => {
                escaped.push_str(&format!("\\x{:02x}", other as u8));
            }
            other => escaped.push(other),
        }
    }
    debug_assert_eq!(unescape(&escaped).as_deref(), Some(value), "an escaped value is read back");
    Cow::Owned(escaped)
}

/// Reads an escaped value. `None` if a backslash begins no escape, or an escape stands for a character
/// that [`escape`] writes differently.
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
                let digits = tail.as_str().get(..2)?;
                let code = u8::from_str_radix(digits, 16).ok().filter(|code| is_special(*code))?;
                let is_shorter = matches!(code, b'\\' | b'\n' | b'\r' | b'\t');
                if is_shorter || format!("{code:02x}") != digits {
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
    /// The record, borrowed.
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
    /// A copy that owns its texts.
    pub fn to_record(self) -> Record {
        Record {
            kind: self.kind.into(),
            name: self.name.into(),
            addresses: self.addresses.into(),
            details: self.details.into(),
        }
    }

    /// The escaped addresses in their order; the first is the primary one.
    pub fn address_texts(self) -> impl Iterator<Item = &'a str> {
        self.addresses.split('\t').filter(|text| !text.is_empty())
    }

    /// The detail lines in their order, as attribute and escaped value. Lines without a slash are
    /// skipped; [`Self::check`] reports them.
    pub fn detail_lines(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.details.lines().filter_map(|line| line.split_once('/'))
    }

    /// The comparison keys of all addresses, which decide whether two entries claim the same one.
    pub fn address_keys(self) -> impl Iterator<Item = String> + 'a {
        self.address_texts().map(|text| crate::fold(text).into_owned())
    }

    /// Checks that the record is valid, without building an [`Entry`].
    ///
    /// # Errors
    ///
    /// Returns the first problem, in the order kind, name, addresses, details.
    pub fn check(self) -> Result<(), RecordError> {
        if !EntryKind::ALL.iter().any(|kind| kind.as_str() == self.kind) {
            // Parsing ignores case. A kind that it accepts here is written in another form than its one.
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

    /// Checks that there is an address, that each is in its one form, and that no two are the same.
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

    /// Checks that the detail lines are in their one form and order, and within the limits.
    fn check_details(self) -> Result<(), RecordError> {
        if self.details.len() > DETAILS_BYTES_MAX {
            return Err(RecordError::DetailsLength(self.details.len()));
        }
        let mut previous = "";
        for line in self.details.split_inclusive('\n') {
            // `str::lines` would also accept CR LF, or nothing, as the end of a line.
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

    /// The record as values.
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub fn to_entry(self) -> Result<Entry, RecordError> {
        self.check()?;
        let value = |text| unescape(text).ok_or_else(|| RecordError::Escape(excerpt(text)));
        let mut details: BTreeMap<AttributeName, Vec<String>> = BTreeMap::new();
        for (attribute, text) in self.detail_lines() {
            let attribute =
                attribute.parse().map_err(|_| RecordError::Detail(excerpt(attribute)))?;
            details.entry(attribute).or_default().push(value(text)?.into_owned());
        }
        let addresses = self.address_texts().map(|text| Ok(value(text)?.parse()?));
        let entry = Entry {
            kind: self.kind.parse()?,
            name: value(self.name)?.into_owned(),
            addresses: addresses.collect::<Result<_, RecordError>>()?,
            details,
        };
        debug_assert_eq!(Record::from(&entry).as_ref(), self, "a valid record is the one form");
        Ok(entry)
    }

    /// The record with only those details whose attributes `shown` accepts.
    pub fn with_attributes(self, shown: impl Fn(&str) -> bool) -> Record {
        let mut record = RecordRef { details: "", ..self }.to_record();
        for line in self.details.split_inclusive('\n') {
            let attribute = line.split('/').next().unwrap_or_default();
            if shown(attribute) {
                record.details.push_str(line);
            }
        }
        debug_assert!(record.as_ref().check().is_ok() || self.check().is_err());
        record
    }
}

/// Checks that a text is in its one escaped form and contains no NUL.
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
