//! One transaction of a body.

use dirsync_directory::{AttributeName, EntryId, PostofficeName, RecordError, RecordRef, excerpt};

use crate::Stamp;

/// What a transaction does to its entry. Texts are in the escaped form of
/// [`dirsync_directory::Record`] and borrow from the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// `A`: the whole entry. The record's form is unique but its content is not checked: see
    /// [`Change::check`].
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

impl Change<'_> {
    /// Checks the content: what a transaction can be wrong in without its message being refused.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), RecordError> {
        match *self {
            Self::Whole(record) => record.check(),
            Self::Delete { .. } => Ok(()),
            Self::Delta { kind, name, addresses, details } => {
                let valued = |line: &&str| line.contains('/');
                let emptied = details.lines().filter(|line| !valued(line));
                if let Some(line) =
                    emptied.into_iter().find(|line| !AttributeName::is_canonical(line))
                {
                    return Err(RecordError::Detail(excerpt(line)));
                }
                if let Some(line) = unsorted(details) {
                    return Err(RecordError::DetailOrder(excerpt(line)));
                }
                let details: String = details.split_inclusive('\n').filter(valued).collect();
                // What did not change is stood in for by something that is right.
                let whole = RecordRef {
                    kind: kind.unwrap_or("mailbox"),
                    name: name.unwrap_or("-"),
                    addresses: addresses.unwrap_or("X:-"),
                    details: &details,
                };
                whole.check()
            }
        }
    }
}

/// The first line that does not stand in its order.
fn unsorted(details: &str) -> Option<&str> {
    let follows = |(before, line): &(&str, &str)| before >= line;
    details.lines().zip(details.lines().skip(1)).find(follows).map(|(_, line)| line)
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
    /// Its owner; none for a deletion, which names the id alone.
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
