//! What a store in memory holds: one map per table, and the indexes that make visits ordered.

use std::collections::BTreeMap;
use std::sync::Arc;

use dirsync_directory::{Bucket, EntryId, PostofficeName, SetDigest, View, ViewHash};
use dirsync_message::{Offer, Outcome, ServerEpoch, SrvSeq, Stamp};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{
    HeldChange, IssuedPoint, ListPlace, LogLine, OwnRow, OwnTombstone, OwnedListRow, Quarantined,
    Registration, RequestorState, ServerRow, ServerState, SourceMemory, Tombstone,
};

/// An index: its keys are all there is to it.
pub(super) type Index<K> = BTreeMap<K, ()>;

/// One of the two lists of a requestor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct List {
    /// The rows, each with its place in the order of first writing.
    pub rows: BTreeMap<EntryId, (u64, OwnedListRow)>,
    /// The ids in the order of first writing.
    pub order: BTreeMap<u64, EntryId>,
    pub buckets: BTreeMap<Bucket, SetDigest>,
    /// Rows are being appended in bulk.
    pub bulk: bool,
    /// An id that was appended twice in bulk.
    pub twice: Option<EntryId>,
}

/// The key of a server's row: the id and its origin's comparison key.
pub(super) type RowKey = (EntryId, String);

/// What an entry of [`State::numbered`] stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberedKey {
    Published(RowKey),
    Tombstone(EntryId),
}

/// The key of an issued point: all of it but its mark.
pub(super) type PointKey = (ServerEpoch, SrvSeq, ViewHash, bool);

/// A guarded change: (source, when, kind, how many).
pub(super) type GuardEvent = (String, u64, GuardKind, u64);

/// Everything.
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
    /// Shared, so that a copy of a store costs no copy of its log.
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

/// What becomes of a bucket that is added to and taken from; none when no element is left.
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

/// The smallest and the greatest id, as bounds of index ranges.
pub(super) const FIRST_ID: [u8; 16] = [0; 16];
/// See [`FIRST_ID`].
pub(super) const LAST_ID: [u8; 16] = [0xff; 16];
