//! The tables of runs: what reads, commands and decisions changed, kept so that it can be undone.

use std::fmt;
use std::str::FromStr;

use dirsync_directory::{EntryId, PostofficeName, Record};
use dirsync_message::Stamp;
use thiserror::Error;

use super::Stored;
use crate::guard::GuardKind;

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunKind {
    /// A read of a source.
    Read,
    /// A change by hand.
    Command,
    /// Held changes that a person let through.
    Approval,
    /// A decision of the server's administrator.
    Decision,
    /// The undoing of another run.
    Undo,
}

/// A text that is not the word of a [`RunKind`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is not a kind of run")]
pub struct ParseRunKindError(String);

impl RunKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Command, Self::Approval, Self::Decision, Self::Undo];

    /// The word by which databases and people know it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Command => "command",
            Self::Approval => "approval",
            Self::Decision => "decision",
            Self::Undo => "undo",
        }
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for RunKind {
    type Err = ParseRunKindError;

    fn from_str(word: &str) -> Result<Self, ParseRunKindError> {
        let found = Self::ALL.into_iter().find(|kind| kind.word() == word);
        found.ok_or_else(|| ParseRunKindError(word.to_owned()))
    }
}

/// A read, a command or a decision that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number at this postoffice; 0 if it has none yet.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What it is.
    pub kind: RunKind,
    /// The source that was read, the key of the entry that was changed by hand, or the postoffice that was
    /// decided about.
    pub subject: String,
    /// Number of own entries that it added.
    pub added: u64,
    /// Number of own entries that it changed.
    pub changed: u64,
    /// Number of own entries that it deleted.
    pub deleted: u64,
    /// Size of the values that are kept for undoing it, in bytes.
    pub bytes: u64,
    /// The last stamp before its changes, and the stamp of its last change.
    pub stamps: (Stamp, Stamp),
    /// The run that it undid.
    pub undoes: Option<u64>,
    /// The run that undid it.
    pub undone_by: Option<u64>,
    /// A decision, and the one that takes it back, as lines of the decisions log.
    pub decision: Option<(String, String)>,
}

impl Run {
    /// A run that has changed nothing yet.
    pub fn new(at: u64, kind: RunKind, subject: impl Into<String>) -> Self {
        Self {
            number: 0,
            at,
            kind,
            subject: subject.into(),
            added: 0,
            changed: 0,
            deleted: 0,
            bytes: 0,
            stamps: (Stamp(0), Stamp(0)),
            undoes: None,
            undone_by: None,
            decision: None,
        }
    }

    /// Whether the run gave a stamp.
    pub fn gave(&self, stamp: Stamp) -> bool {
        self.stamps.0 < stamp && stamp <= self.stamps.1
    }
}

/// An own entry as it was before a run changed or deleted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBefore {
    /// The entry.
    pub id: EntryId,
    /// Its element of the own digest as the run left it; `None` if the run deleted it.
    pub left: Option<u128>,
    /// The stamp of the change or of the deletion.
    pub stamp: Stamp,
    /// The source that fed it.
    pub source: String,
    /// The postoffice whose key the id derives from.
    pub first_origin: PostofficeName,
    /// Its key there.
    pub key: String,
    /// Its content.
    pub record: Record,
    /// Whom it was released to.
    pub released_to: Option<PostofficeName>,
}

/// A case of a held change that a run closed by making the change. The change itself is the entry as the run
/// left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedCase {
    /// The entry.
    pub id: EntryId,
    /// The source whose read asked for the change.
    pub source: String,
    /// Why it was held.
    pub kind: GuardKind,
    /// The entry's key.
    pub key: String,
    /// When it was first held, in milliseconds since 1970.
    pub since: u64,
}

/// The tables of runs.
pub trait RunTables {
    /// Writes a run (a new one if its number is 0) and returns its number. Numbers are never used again.
    fn put_run(&mut self, run: &Run) -> Stored<u64>;
    /// One run.
    fn run(&mut self, number: u64) -> Stored<Option<Run>>;
    /// At most `most` runs with numbers below `before`, newest first.
    fn runs(&mut self, before: u64, most: usize) -> Stored<Vec<Run>>;
    /// The sizes of all runs together, in bytes.
    fn run_bytes(&mut self) -> Stored<u64>;
    /// Forgets a run and everything that is kept for undoing it.
    fn delete_run(&mut self, number: u64) -> Stored<()>;
    /// Keeps an entry as it was before a run.
    fn put_before(&mut self, run: u64, before: &EntryBefore) -> Stored<()>;
    /// At most `most` entries as they were before a run, in the order in which they were written, each with
    /// its place in that order; those after a place.
    fn befores(&mut self, run: u64, after: u64, most: usize) -> Stored<Vec<(u64, EntryBefore)>>;
    /// Notes entries that a run added, each with its element of the own digest.
    fn put_added(&mut self, run: u64, added: &[(EntryId, u128)]) -> Stored<()>;
    /// The entries that a run added, in the order in which they were written.
    fn added(&mut self, run: u64) -> Stored<Vec<(EntryId, u128)>>;
    /// Forgets the entries that a run added.
    fn delete_added(&mut self, run: u64) -> Stored<()>;
    /// Keeps a case that a run closed, in place of one of the same entry.
    fn put_closed_case(&mut self, run: u64, case: &ClosedCase) -> Stored<()>;
    /// The case of an entry that a run closed.
    fn closed_case(&mut self, run: u64, id: EntryId) -> Stored<Option<ClosedCase>>;
    /// The sources that are held because what they asked for was undone, with the run that undid it, by
    /// source and run.
    fn source_holds(&mut self) -> Stored<Vec<(String, u64)>>;
    /// Holds a source because of a run.
    fn put_source_hold(&mut self, source: &str, run: u64) -> Stored<()>;
    /// Ends the hold of a source because of a run.
    fn delete_source_hold(&mut self, source: &str, run: u64) -> Stored<()>;
}
