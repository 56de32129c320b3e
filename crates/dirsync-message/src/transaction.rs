//! One transaction of a body.

use dirsync_directory::{EntryId, PostofficeName, RecordRef};

use crate::Stamp;

/// What a transaction does to its entry. Texts are in the escaped form of
/// [`dirsync_directory::Record`] and borrow from the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// `A`: the whole entry. The record's form is unique but its content is not checked: see
    /// [`RecordRef::check`].
    Whole(RecordRef<'a>),
    /// `M`: what changed of an entry that the receiver has.
    Delta {
        /// The new kind.
        kind: Option<&'a str>,
        /// The new name.
        name: Option<&'a str>,
        /// All addresses, when they changed.
        addresses: Option<&'a str>,
        /// For each changed attribute all its lines `attribute/value\n`, or `attribute\n` when
        /// it was emptied; sorted by bytes.
        details: &'a str,
    },
    /// `D`: the entry is gone.
    Delete {
        /// A person at the origin approved it: it does not count as a mass deletion.
        approved: bool,
    },
}

/// One numbered change of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// The number: a [`crate::ReqSeq`] in a request, a [`crate::SrvSeq`] in an update.
    pub number: u64,
    /// The change stamp, of the entry's origin.
    pub stamp: Stamp,
    /// The entry.
    pub id: EntryId,
    /// Its owner; none for a deletion in an update, which names the id alone.
    pub owner: Option<&'a PostofficeName>,
    /// Its first origin, which its id derives from; none for a deletion.
    pub first_origin: Option<&'a PostofficeName>,
    /// What its first origin calls it; empty for a deletion.
    pub key: &'a str,
    /// Whom its owner releases it to; `Some(None)` withdraws a release, `None` says nothing of it.
    pub released_to: Option<Option<&'a PostofficeName>>,
    /// What happens.
    pub change: Change<'a>,
    /// Where it stands in the text, 1-based.
    pub line: u64,
}
