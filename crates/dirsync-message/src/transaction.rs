//! One transaction of a body.

use dirsync_directory::{AttributeName, EntryId, PostofficeName, RecordError, RecordRef, excerpt};

use crate::Stamp;

/// The effect of a transaction on its entry. The texts are escaped as in
/// [`dirsync_directory::Record`], and borrow from the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// `A`: the whole entry. The record is not known to be valid; see [`Change::check`].
    Whole(RecordRef<'a>),
    /// `M`: the changed parts of an entry that the receiver has. A part that is `None` did not change.
    Delta {
        /// The new kind.
        kind: Option<&'a str>,
        /// The new name.
        name: Option<&'a str>,
        /// All addresses, if any of them changed.
        addresses: Option<&'a str>,
        /// For each changed attribute all its lines `attribute/value\n`, or `attribute\n` if it has no
        /// values any more. Sorted by bytes.
        details: &'a str,
    },
    /// `D`: the entry was deleted.
    Delete {
        /// A person at the origin approved the deletion, so the server does not count it towards the
        /// limit at which deletions wait for its own administrator.
        approved: bool,
    },
}

impl Change<'_> {
    /// Checks the content, which the reader of a body does not do: a single invalid entry is set aside,
    /// and must not stop the whole message.
    ///
    /// # Errors
    ///
    /// Returns the first problem.
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
                // A record is checked as a whole, so valid texts take the place of the unchanged ones.
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

/// The first line that is not sorted after the one before it.
fn unsorted(details: &str) -> Option<&str> {
    let follows = |(before, line): &(&str, &str)| before >= line;
    details.lines().zip(details.lines().skip(1)).find(follows).map(|(_, line)| line)
}

/// One numbered change of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// The number of the change: a [`crate::ReqSeq`] in a request, a [`crate::SrvSeq`] in an update.
    pub number: u64,
    /// The change stamp, made by the entry's origin.
    pub stamp: Stamp,
    /// The entry that changes.
    pub id: EntryId,
    /// The owner of the entry. `None` in a deletion, which names only the id.
    pub owner: Option<&'a PostofficeName>,
    /// The first origin, from which the id derives. `None` in a deletion.
    pub first_origin: Option<&'a PostofficeName>,
    /// The key of the entry at its first origin. Empty in a deletion.
    pub key: &'a str,
    /// The postoffice to which the owner releases the entry. `Some(None)` takes a release back, and
    /// `None` leaves it as it is.
    pub released_to: Option<Option<&'a PostofficeName>>,
    /// The effect on the entry.
    pub change: Change<'a>,
    /// The line of the body at which the transaction begins, from 1.
    pub line: u64,
}
