//! The state of a store in memory: a map for each table, and indexes for visits in other orders.

use std::collections::BTreeMap;
use std::sync::Arc;

use dirsync_directory::{Bucket, EntryId, PostofficeName, SetDigest, View, ViewHash};
use dirsync_message::{Offer, Outcome, ServerEpoch, SrvSeq, Stamp};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{
    ClosedCase, EntryBefore, HeldChange, IssuedPoint, ListPlace, LogLine, OwnRow, OwnTombstone,
    OwnedListRow, Quarantined, Registration, RequestorState, Run, ServerRow, ServerState,
    SourceMemory, Tombstone,
};

/// An index. It has keys only.
pub(super) type Index<K> = BTreeMap<K, ()>;

/// One of the two lists of a requestor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct List {
    /// The rows, each with its position in the order in which they were first written.
    pub rows: BTreeMap<EntryId, (u64, OwnedListRow)>,
    /// The ids in the order in which their rows were first written.
    pub order: BTreeMap<u64, EntryId>,
    pub buckets: BTreeMap<Bucket, SetDigest>,
    /// Whether rows are being appended in bulk.
    pub bulk: bool,
    /// An id that was appended twice in bulk. It is reported at the end of the bulk, as by SQLite.
    pub twice: Option<EntryId>,
}

/// The key of a server's row: the id, and the comparison key of its origin.
pub(super) type RowKey = (EntryId, String);

/// The kind of row to which an entry of [`State::numbered`] refers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberedKey {
    Published(RowKey),
    Tombstone(EntryId),
}

/// The key of an issued point: everything but its mark.
pub(super) type PointKey = (ServerEpoch, SrvSeq, ViewHash, bool);

/// A guarded change: source, time, kind and number.
pub(super) type GuardEvent = (String, u64, GuardKind, u64);

/// The whole state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub requestor: Option<RequestorState>,
    pub own: BTreeMap<EntryId, OwnRow>,
    pub own_by_number: Index<(u64, EntryId)>,
    pub own_tombstones: BTreeMap<EntryId, OwnTombstone>,
    pub own_tombstones_by_number: Index<(u64, EntryId)>,
    pub adopted: BTreeMap<(String, String), EntryId>,
    pub live: List,
    pub staged: List,
    pub outcomes: Vec<Outcome>,
    pub offers: Vec<Offer>,
    pub held_changes: BTreeMap<EntryId, HeldChange>,
    pub guard_events: BTreeMap<u64, GuardEvent>,
    pub sources: BTreeMap<String, SourceMemory>,

    pub runs: BTreeMap<u64, Run>,
    pub last_run: u64,
    /// By run and place.
    pub befores: BTreeMap<(u64, u64), EntryBefore>,
    pub added: BTreeMap<(u64, u64), Vec<(EntryId, u128)>>,
    pub closed_cases: BTreeMap<(u64, EntryId), ClosedCase>,
    pub source_holds: Index<(String, u64)>,

    pub server: Option<ServerState>,
    pub registrations: BTreeMap<PostofficeName, Registration>,
    pub rows: BTreeMap<RowKey, ServerRow>,
    pub claimants: Index<(String, RowKey)>,
    pub numbered: Index<(SrvSeq, NumberedKey)>,
    pub tombstones: BTreeMap<EntryId, Tombstone>,
    pub submitted_tombstones: BTreeMap<(PostofficeName, EntryId), Stamp>,
    pub transferred: BTreeMap<EntryId, PostofficeName>,
    pub points: BTreeMap<PointKey, IssuedPoint>,
    pub views: BTreeMap<ViewHash, View>,
    pub view_sums: BTreeMap<(ViewHash, Bucket), SetDigest>,
    pub deletion_events: BTreeMap<u64, (PostofficeName, u64, u64)>,

    pub quarantined: BTreeMap<u64, Quarantined>,
    pub last_case: u64,
    /// The lines are shared, so that cloning a store does not copy its log.
    pub log: BTreeMap<u64, Arc<LogLine>>,
    pub notes: BTreeMap<String, String>,
}

impl State {
    pub fn list(&self, place: ListPlace) -> &List {
        match place {
            ListPlace::Live => &self.live,
            ListPlace::Staged => &self.staged,
        }
    }

    pub fn list_mut(&mut self, place: ListPlace) -> &mut List {
        match place {
            ListPlace::Live => &mut self.live,
            ListPlace::Staged => &mut self.staged,
        }
    }
}

/// The digest of a bucket after elements were added and removed, or `None` if it has no elements
/// any more.
pub(super) fn changed_bucket(
    old: Option<&SetDigest>,
    added: SetDigest,
    taken: SetDigest,
) -> Option<SetDigest> {
    let mut digest = old.copied().unwrap_or_default();
    digest += added;
    digest -= taken;
    (digest != SetDigest::default()).then_some(digest)
}

/// The smallest id, as a bound of ranges of an index.
pub(super) const FIRST_ID: [u8; 16] = [0; 16];
/// The largest id, as a bound of ranges of an index.
pub(super) const LAST_ID: [u8; 16] = [0xff; 16];
