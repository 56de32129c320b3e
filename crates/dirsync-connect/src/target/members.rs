//! The entries that lists name as their members.

use std::collections::BTreeMap;

use dirsync_directory::{EntryId, RecordRef, fold};

use crate::row::plain;

/// The entries that lists name as their members, by address: the only part of a list that is kept in
/// memory while it is written.
///
/// First each record is shown to [`Self::ask`], then each to [`Self::answer`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<String, Option<EntryId>>);

impl Members {
    /// Notes whom a list names.
    pub fn ask(&mut self, record: RecordRef<'_>) {
        for member in members(record) {
            self.0.insert(fold(member).into_owned(), None);
        }
    }

    /// Whether no list names anybody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes which entry has an address that was asked for.
    pub fn answer(&mut self, id: EntryId, record: RecordRef<'_>) {
        for address in record.address_texts() {
            if let Some(known) = self.0.get_mut(fold(address).as_ref()) {
                *known = Some(id);
            }
        }
    }

    /// The entry that has this address, escaped as in records. `None` if nobody in the file has it.
    pub(crate) fn entry(&self, address: &str) -> Option<EntryId> {
        self.0.get(fold(address).as_ref()).copied().flatten()
    }
}

/// The members of a list, escaped. No other entry has any.
pub(crate) fn members<'a>(record: RecordRef<'a>) -> impl Iterator<Item = &'a str> {
    let lines = record.detail_lines().filter(move |_| record.kind == "list");
    lines.filter(|(name, _)| *name == "member").map(|(_, value)| value)
}

/// The mail address of a member or an address, unescaped. `None` if it is of another type.
pub(crate) fn mail_of(address: &str) -> Option<std::borrow::Cow<'_, str>> {
    address.strip_prefix("SMTP:").map(plain)
}
