//! Counts of what waits. Each is one query, so that a glance at a postoffice reads none of the rows.

use dirsync_directory::PostofficeName;

use super::Stored;
use crate::guard::GuardKind;

/// Held changes of one source for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCount {
    /// The source whose reads ask for them.
    pub source: String,
    /// Why they are held.
    pub kind: GuardKind,
    /// They are deletions; else the entries would change.
    pub deletes: bool,
    /// How many wait; rejected ones do not.
    pub count: u64,
    /// Since when the first one does, in milliseconds since 1970.
    pub since: u64,
}

/// Quarantined cases of one source or postoffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineCount {
    /// The source or postoffice.
    pub origin: String,
    /// How many there are.
    pub count: u64,
    /// Since when the first one is there, in milliseconds since 1970.
    pub since: u64,
}

/// The server's [unsettled](super::ServerRow::is_unsettled) rows of one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsettledCount {
    /// The origin.
    pub origin: PostofficeName,
    /// Deletions that wait for a person; rejected ones do not.
    pub held: u64,
    /// Since when the first one does, in milliseconds since 1970.
    pub held_since: Option<u64>,
    /// Entries that are valid and not published as submitted: another one has their address, or their id.
    pub waiting: u64,
    /// Entries that cannot be published at all.
    pub invalid: u64,
}

/// The counts of a postoffice.
pub trait CountTables {
    /// Held changes, by source, reason and whether they are deletions.
    fn held_counts(&mut self) -> Stored<Vec<HeldCount>>;
    /// Entries that others release to this postoffice, which is called `to`, and that it has not claimed:
    /// those that the server brought whole, and those of the live list.
    fn offered_count(&mut self, to: &PostofficeName) -> Stored<u64>;
    /// Quarantined cases, by origin.
    fn quarantine_counts(&mut self) -> Stored<Vec<QuarantineCount>>;
    /// Unsettled rows of a server, in the order of the origins' comparison keys; an origin with nothing that
    /// is counted may be left out.
    fn unsettled_counts(&mut self) -> Stored<Vec<UnsettledCount>>;
}
