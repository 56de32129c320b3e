//! The state of a postoffice as tables, which the steps read and write inside one transaction.
//!
//! `dirsync-store` implements these traits. Every method takes part in the transaction that is open.
//! Nothing here decides anything. Sums and digests are values to these traits: the writers of the steps
//! (`OwnChanges`, `ListWriter`, the submission and the publication) keep them, each in one place, where it
//! writes its rows.

mod common;
mod counts;
mod requestor;
mod run;
mod server;

use std::error::Error;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use common::{CommonTables, LogLine};
pub use counts::{CountTables, HeldCount, QuarantineCount, UnsettledCount};
pub use requestor::{
    HeldChange, ListPlace, ListRow, Mode, OwnRow, OwnTombstone, OwnedListRow, Quarantined,
    RequestorState, RequestorTables, SourceMemory, Staging,
};
pub use run::{ClosedCase, EntryBefore, ParseRunKindError, Run, RunKind, RunTables};
pub use server::{
    Agreement, Answered, Copies, Hold, INVITATION_USED, IssuedPoint, Numbered, Position, Published,
    Registration, RegistrationState, SeenIn, ServerRow, ServerState, ServerTables, SideAnswer,
    Submitted, Tombstone,
};

/// The kind of a store's trouble, so that callers can say what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No space is left.
    Full,
    /// The file is read-only or may not be written.
    ReadOnly,
    /// Another process holds the database.
    Busy,
    /// The stored data contradicts itself or cannot be read.
    Corrupt,
    /// Made by a newer version of the program.
    Newer,
    /// Two rows that were to be written have one identity: a fault of their sender, not of the store.
    Twice,
    /// Anything else.
    Other,
}

/// An operation of a store failed. Nothing of its transaction can be kept.
#[derive(Debug)]
pub struct StoreError {
    /// The operation, as the end of "could not …".
    pub action: &'static str,
    /// The kind of trouble.
    pub kind: StoreErrorKind,
    /// The cause.
    pub source: Box<dyn Error + Send + Sync>,
    /// The file of the database; `None` if the store has none.
    pub database: Option<PathBuf>,
}

impl StoreError {
    /// An error of a store without a file.
    pub fn new(
        action: &'static str,
        kind: StoreErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { action, kind, source: source.into(), database: None }
    }

    /// Names the database, unless it is named already.
    pub fn of_database(mut self, path: &Path) -> Self {
        self.database.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Stored data that contradicts itself.
    pub fn corrupt(action: &'static str, what: impl Into<String>) -> Self {
        Self::new(action, StoreErrorKind::Corrupt, what.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.action, self.source)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// The result of a store operation.
pub type Stored<T> = Result<T, StoreError>;

/// The answer of a visitor: `Break` ends the visit early.
pub type Flow = ControlFlow<()>;

/// Everything a step may touch.
pub trait Tables: RequestorTables + RunTables + ServerTables + CommonTables + CountTables {}

impl<T> Tables for T where
    T: RequestorTables + RunTables + ServerTables + CommonTables + CountTables + ?Sized
{
}
