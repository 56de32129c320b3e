//! The rows of files: those that were read, and those to be written.

use std::borrow::Cow;

use dirsync_directory::{EntryId, Key, PostofficeName, Record, RecordRef, unescape};

use crate::draft::Draft;
use crate::map::Subject;

/// A row that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// The origin, if the file is an export and names it.
    pub origin: Option<PostofficeName>,
    /// The key of the entry.
    pub key: String,
    /// The content of the entry. It may be invalid; the caller checks it and keeps the reason.
    pub record: Record,
    /// The line on which it begins.
    pub line: u64,
    /// Whether the row has no key of its own, so that its mail address is used as the key.
    pub derived_key: bool,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// The line on which it begins.
    pub line: u64,
    /// The beginning of the row.
    pub text: String,
    /// The problem, and its place in the row.
    pub reason: String,
    /// Whether the key is missing or cannot be read.
    ///
    /// Such a row may stand for any entry, so a file that contains one does not prove that an entry is
    /// absent, and nothing is deleted because of it. A row with a key and invalid content is an
    /// [`Item::Row`].
    pub keyless: bool,
}

/// A row that has no address. It can be read, but it is no entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddresslessRow {
    /// The line on which it begins.
    pub line: u64,
    /// The key, or nothing if it has none.
    pub key: String,
    /// The escaped name, or nothing if it has none.
    pub name: String,
}

/// An item of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A row that can be used.
    Row(SourceRow),
    /// A row that is no entry.
    WithoutAddress(AddresslessRow),
    /// A row that cannot be used; the next ones can.
    Rejected(RejectedRow),
}

/// A row that cannot be used and whose key is not known.
pub(crate) fn rejected(line: u64, text: &str, reason: String) -> Item {
    Item::Rejected(RejectedRow { line, text: shortened(text), reason, keyless: true })
}

/// The item of a map's evaluation, or the reason for which the row cannot be used.
///
/// `address_has_key` says that no row without a key can have an address: then its key is what it lacks.
pub(crate) fn mapped(
    line: u64,
    subject: &Subject,
    draft: &mut Draft,
    address_has_key: bool,
    without_key: &str,
) -> Result<Item, String> {
    let lacks_key = address_has_key && subject.key.is_empty();
    if !draft.has_address() && !lacks_key {
        return Ok(draft.addressless(line, &subject.key));
    }
    if subject.key.is_empty() {
        return Err(without_key.to_owned());
    }
    let key = subject.key.parse::<Key>().map_err(|error| error.to_string())?.into_string();
    let origin = match subject.origin.as_str() {
        "" => None,
        origin => Some(origin.parse::<PostofficeName>().map_err(|error| error.to_string())?),
    };
    let (record, derived_key) = (draft.record(), subject.derived_key);
    Ok(Item::Row(SourceRow { origin, key, record, line, derived_key }))
}

/// The beginning of a rejected row, short enough for a list.
fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 200;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An entry to be written.
#[derive(Clone, Copy, Debug)]
pub struct ExportRow<'a> {
    /// The entry.
    pub id: EntryId,
    /// The owner of the entry.
    pub origin: &'a PostofficeName,
    /// The key of the entry.
    pub key: &'a str,
    /// The content of the entry.
    pub record: RecordRef<'a>,
}

/// The value of an escaped text.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    unescape(text).unwrap_or(Cow::Borrowed(text))
}
