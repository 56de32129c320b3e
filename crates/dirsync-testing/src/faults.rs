//! Failures of a store: the nth operation fails, or the process dies at the nth commit.

use std::cell::Cell;
use std::rc::Rc;

use dirsync_directory::{
    Bucket, BucketSums, EntryId, PostofficeName, Record, SetDigest, View, ViewHash,
};
use dirsync_message::{Offer, Outcome, ReqSeq, SrvSeq, Stamp, SyncPoint};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{
    ClosedCase, CommonTables, CountTables, EntryBefore, Flow, HeldChange, HeldCount, IssuedPoint,
    ListPlace, ListRow, LogLine, Numbered, OwnRow, OwnTombstone, OwnedListRow, QuarantineCount,
    Quarantined, Registration, RequestorState, RequestorTables, Run, RunTables, ServerRow,
    ServerState, ServerTables, SourceMemory, StoreError, StoreErrorKind, Stored, Tombstone,
    UnsettledCount,
};
use dirsync_store::Transaction;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The nth operation, commits among them, fails as on a full disk; those after it succeed.
    Operation(u64),
    /// The process dies before the nth commit.
    BeforeCommit(u64),
    /// The process dies when the nth commit is on disk, before anybody hears of it.
    AfterCommit(u64),
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    fault: Fault,
    operations: u64,
    commits: u64,
    met: bool,
    dead: bool,
}

/// The failure that is planned; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Rc<Cell<State>>);

impl Faults {
    /// Plans a failure from the beginning.
    pub fn new(fault: Fault) -> Self {
        let faults = Self::default();
        faults.plan(fault);
        faults
    }

    /// Plans a failure, and counts from here on.
    pub fn plan(&self, fault: Fault) {
        self.0.set(State { fault, ..State::default() });
    }

    /// Whether what was planned has happened.
    pub fn met(&self) -> bool {
        self.0.get().met
    }

    /// How many operations there were since the plan: begins, calls of tables, commits.
    pub fn operations(&self) -> u64 {
        self.0.get().operations
    }

    fn error(action: &'static str) -> StoreError {
        StoreError::new(action, StoreErrorKind::Full, "a failure was asked for")
    }

    /// Counts an operation. An error if it is the one that fails, or the process is dead.
    pub(crate) fn operate(&self, action: &'static str) -> Stored<()> {
        let mut state = self.0.get();
        state.operations += 1;
        let fails = state.fault == Fault::Operation(state.operations);
        state.met |= fails;
        self.0.set(state);
        if fails || state.dead { Err(Self::error(action)) } else { Ok(()) }
    }

    fn commit(&self, commit: impl FnOnce() -> Stored<()>) -> Stored<()> {
        self.operate("commit")?;
        let mut state = self.0.get();
        state.commits += 1;
        let before = state.fault == Fault::BeforeCommit(state.commits);
        let after = state.fault == Fault::AfterCommit(state.commits);
        state.met |= before || after;
        state.dead |= before || after;
        self.0.set(state);
        if before {
            return Err(Self::error("commit"));
        }
        commit()?;
        if after { Err(Self::error("hear of the commit")) } else { Ok(()) }
    }
}

/// A transaction that fails as planned.
pub(crate) struct FaultyTransaction<'s> {
    pub(crate) inner: Box<dyn Transaction + 's>,
    pub(crate) faults: Faults,
}

impl Transaction for FaultyTransaction<'_> {
    fn commit(self: Box<Self>) -> Stored<()> {
        let Self { inner, faults } = *self;
        faults.commit(|| inner.commit())
    }
}

macro_rules! delegate {
    ($($tables:ident { $(fn $name:ident($($arg:ident: $type:ty),*) -> $ok:ty;)* })*) => {
        $(impl $tables for FaultyTransaction<'_> {
            $(fn $name(&mut self, $($arg: $type),*) -> Stored<$ok> {
                self.faults.operate(stringify!($name))?;
                self.inner.$name($($arg),*)
            })*
        })*
    };
}

delegate! {
    RequestorTables {
        fn requestor() -> RequestorState;
        fn put_requestor(state: &RequestorState) -> ();
        fn own(id: EntryId) -> Option<OwnRow>;
        fn put_own(row: &OwnRow) -> ();
        fn delete_own(id: EntryId) -> ();
        fn visit_own(after: ReqSeq, visit: &mut dyn FnMut(&OwnRow) -> Flow) -> ();
        fn visit_own_elements(visit: &mut dyn FnMut((EntryId, u128, &str)) -> Flow) -> ();
        fn own_tombstone(id: EntryId) -> Option<OwnTombstone>;
        fn put_own_tombstone(tombstone: &OwnTombstone) -> ();
        fn delete_own_tombstone(id: EntryId) -> ();
        fn visit_own_tombstones(after: ReqSeq, visit: &mut dyn FnMut(OwnTombstone) -> Flow) -> ();
        fn adopted_id(source: &str, key: &str) -> Option<EntryId>;
        fn put_adopted_id(source: &str, key: &str, id: Option<EntryId>) -> ();
        fn list_row(place: ListPlace, id: EntryId) -> Option<OwnedListRow>;
        fn put_list_row(place: ListPlace, row: &ListRow<'_>) -> ();
        fn append_list_row(place: ListPlace, row: &ListRow<'_>) -> ();
        fn delete_list_row(place: ListPlace, id: EntryId) -> ();
        fn begin_bulk(place: ListPlace) -> ();
        fn end_bulk(place: ListPlace) -> ();
        fn visit_list(place: ListPlace, visit: &mut dyn FnMut(ListRow<'_>) -> Flow) -> ();
        fn visit_list_by_name(visit: &mut dyn FnMut(ListRow<'_>) -> Flow) -> ();
        fn clear_list(place: ListPlace) -> ();
        fn swap_lists() -> ();
        fn list_buckets(place: ListPlace) -> BucketSums;
        fn change_list_buckets(place: ListPlace, changes: &[(Bucket, SetDigest, SetDigest)]) -> ();
        fn outcomes() -> Vec<Outcome>;
        fn offers() -> Vec<Offer>;
        fn put_outcomes(outcomes: &[Outcome]) -> ();
        fn put_offers(offers: &[Offer]) -> ();
        fn held_change(id: EntryId) -> Option<HeldChange>;
        fn visit_held_changes(visit: &mut dyn FnMut(&HeldChange, Option<&Record>) -> Flow) -> ();
        fn put_held_change(held: &HeldChange) -> ();
        fn delete_held_change(id: EntryId) -> ();
        fn guard_events(source: &str) -> Vec<(u64, GuardKind, u64)>;
        fn put_guard_event(source: &str, at: u64, kind: GuardKind, count: u64) -> ();
        fn purge_guard_events(before: u64) -> ();
        fn source_memory(source: &str) -> Option<SourceMemory>;
        fn put_source_memory(source: &str, memory: &SourceMemory) -> ();
        fn forget_files() -> ();
        fn forget_reads() -> ();
    }
    ServerTables {
        fn server() -> Option<ServerState>;
        fn put_server(state: &ServerState) -> ();
        fn registrations() -> Vec<Registration>;
        fn registration(name: &PostofficeName) -> Option<Registration>;
        fn put_registration(registration: &Registration) -> ();
        fn rows(id: EntryId) -> Vec<ServerRow>;
        fn put_row(row: &ServerRow) -> ();
        fn delete_row(id: EntryId, origin: &PostofficeName) -> ();
        fn claimants(address_key: &str) -> Vec<(EntryId, PostofficeName)>;
        fn is_claimed_by_other(address_key: &str, id: EntryId) -> bool;
        fn visit_submitted(origin: &PostofficeName, visit: &mut dyn FnMut(&ServerRow) -> Flow) -> ();
        fn visit_unsettled(visit: &mut dyn FnMut(&ServerRow) -> Flow) -> ();
        fn published_count(origin: &PostofficeName) -> u64;
        fn visit_numbered(after: SrvSeq, upto: SrvSeq, visit: &mut dyn FnMut(Numbered<'_>) -> Flow) -> ();
        fn tombstone(id: EntryId) -> Option<Tombstone>;
        fn put_tombstone(tombstone: &Tombstone) -> ();
        fn delete_tombstone(id: EntryId) -> ();
        fn purge_tombstones(upto: SrvSeq) -> u64;
        fn submitted_tombstone(origin: &PostofficeName, id: EntryId) -> Option<Stamp>;
        fn put_submitted_tombstone(origin: &PostofficeName, id: EntryId, stamp: Option<Stamp>) -> ();
        fn visit_submitted_tombstones(origin: &PostofficeName, visit: &mut dyn FnMut((EntryId, Stamp)) -> Flow) -> ();
        fn transferred(id: EntryId) -> Option<PostofficeName>;
        fn put_transferred(id: EntryId, owner: &PostofficeName) -> ();
        fn issued_point(point: &SyncPoint) -> Option<IssuedPoint>;
        fn put_issued_point(point: &SyncPoint, digest: Option<SetDigest>) -> ();
        fn views() -> Vec<(ViewHash, View)>;
        fn put_view(hash: ViewHash, view: &View, sums: &BucketSums) -> ();
        fn delete_view(hash: ViewHash) -> ();
        fn view_sums(hash: ViewHash) -> BucketSums;
        fn change_view_sums(hash: ViewHash, changes: &[(Bucket, SetDigest, SetDigest)]) -> ();
        fn deletion_events(origin: &PostofficeName) -> Vec<(u64, u64)>;
        fn put_deletion_event(origin: &PostofficeName, at: u64, count: u64) -> ();
        fn purge_deletion_events(before: u64) -> ();
    }
    RunTables {
        fn put_run(run: &Run) -> u64;
        fn run(number: u64) -> Option<Run>;
        fn runs(before: u64, most: usize) -> Vec<Run>;
        fn run_bytes() -> u64;
        fn delete_run(number: u64) -> ();
        fn put_before(run: u64, before: &EntryBefore) -> ();
        fn befores(run: u64, after: u64, most: usize) -> Vec<(u64, EntryBefore)>;
        fn put_added(run: u64, added: &[(EntryId, u128)]) -> ();
        fn added(run: u64) -> Vec<(EntryId, u128)>;
        fn delete_added(run: u64) -> ();
        fn put_closed_case(run: u64, case: &ClosedCase) -> ();
        fn closed_case(run: u64, id: EntryId) -> Option<ClosedCase>;
        fn source_holds() -> Vec<(String, u64)>;
        fn put_source_hold(source: &str, run: u64) -> ();
        fn delete_source_hold(source: &str, run: u64) -> ();
    }
    CountTables {
        fn held_counts() -> Vec<HeldCount>;
        fn offered_count(to: &PostofficeName) -> u64;
        fn quarantine_counts() -> Vec<QuarantineCount>;
        fn unsettled_counts() -> Vec<UnsettledCount>;
    }
    CommonTables {
        fn visit_quarantined(visit: &mut dyn FnMut(Quarantined) -> Flow) -> ();
        fn put_quarantined(case: &Quarantined) -> u64;
        fn delete_quarantined(number: u64) -> ();
        fn put_log(line: &LogLine) -> ();
        fn visit_log(since: u64, visit: &mut dyn FnMut(&LogLine) -> Flow) -> ();
        fn purge_log(before: u64) -> ();
        fn note(name: &str) -> Option<String>;
        fn put_note(name: &str, text: Option<&str>) -> ();
        fn notes(prefix: &str) -> Vec<(String, String)>;
        fn savepoint() -> ();
        fn rollback_savepoint() -> ();
        fn release_savepoint() -> ();
    }
}
