//! An update while a requestor takes it.

use dirsync_message::{Side, Update};

use super::change::OwnChanges;
use crate::context::{Context, Level};
use crate::row::Row;

/// The result of taking an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The update was an answer to this machine's request.
    pub answered: bool,
    /// The list was changed.
    pub list_changed: bool,
    /// The number of the list's entries that were written or removed.
    pub rows: u64,
    /// The list would not have matched the update's digest: nothing of it was taken.
    pub digest_failed: bool,
    /// It is for another machine of this name, and has to stay there for it.
    pub for_another: bool,
    /// The server does not take this machine's requests, and says why.
    pub notice: Option<Side>,
}

/// An update while the requestor takes it.
///
/// It owns the requestor's row, by way of [`OwnChanges`]: [`super::receive`] reads that row once and writes it
/// once, at the end.
pub(super) struct Reception<'a> {
    pub(super) changes: OwnChanges<'a>,
    pub(super) context: Context<'a>,
    pub(super) update: &'a Update,
}

impl Reception<'_> {
    /// Adds a log line.
    pub(super) fn say(&mut self, level: Level, row: Row, text: impl Into<String>) {
        self.context.say(level, row, text);
    }
}
