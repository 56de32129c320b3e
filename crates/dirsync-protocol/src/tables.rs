//! The state of a postoffice as tables: what the steps read and write inside one transaction.
//!
//! `dirsync-store` implements these traits; the steps of this crate are the only callers. Every
//! method takes part in the transaction that is open. Nothing here decides anything.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::ops::ControlFlow;

use dirsync_directory::{
    Bucket, BucketSums, EntryId, PostofficeName, Record, RecordRef, SetDigest, View, ViewHash,
};
use dirsync_message::{
    Challenge, Health, Mark, Outcome, ReqEpoch, ReqSeq, RequestId, RequestNo, ServerEpoch, SrvSeq,
    Stamp, SyncPoint,
};

use crate::delta::ChangeNumbers;

/// What kind of trouble a store is in, so that callers can say what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No space is left.
    Full,
    /// The place is read-only or may not be written.
    ReadOnly,
    /// Another process holds the database.
    Busy,
    /// What is stored contradicts itself or cannot be read.
    Corrupt,
    /// Made by a newer version of the program.
    Newer,
    /// Anything else.
    Other,
}

/// A store could not do what it was asked; the transaction is as good as rolled back.
#[derive(Debug)]
pub struct StoreError {
    /// What the store was doing, as the end of "could not …".
    pub action: &'static str,
    /// What kind of trouble it is.
    pub kind: StoreErrorKind,
    /// The cause.
    pub source: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// Stored data that contradicts itself.
    pub fn corrupt(action: &'static str, what: impl Into<String>) -> Self {
        Self { action, kind: StoreErrorKind::Corrupt, source: what.into().into() }
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

/// What a visitor answers: `Break` ends the visit early.
pub type Flow = ControlFlow<()>;

// ------------------------------------------------------------------------------- requestor

/// How a requestor stands towards its server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Sends its changes as deltas.
    #[default]
    Normal,
    /// Asks what the server holds of its own entries.
    WantOwn,
    /// Exports everything in answer to a challenge.
    Resubmitting {
        /// Digest of the submitted set that the export replaces.
        base: SetDigest,
        /// The challenge to repeat.
        challenge: Challenge,
    },
    /// Another machine, or a later life, is this postoffice now: sends nothing until a person says
    /// `rejoin`.
    Fenced,
    /// The server removed this postoffice.
    Removed,
}

/// The one row of requestor state (`protocol.md` §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestorState {
    /// This postoffice.
    pub name: PostofficeName,
    /// Its directory server.
    pub server: PostofficeName,
    /// The life of its own numbering.
    pub epoch: ReqEpoch,
    /// The epochs it descends from, oldest first.
    pub lineage: Vec<ReqEpoch>,
    /// Whether the server has accepted `epoch` (an answer to it was taken).
    pub epoch_accepted: bool,
    /// Number of the last own change.
    pub req_seq: ReqSeq,
    /// Highest own number that the server acknowledged.
    pub req_sync: ReqSeq,
    /// Stamp of the last own change.
    pub last_stamp: Stamp,
    /// Number of the last request.
    pub request_no: RequestNo,
    /// Highest request number whose answer was taken.
    pub last_answer: RequestNo,
    /// Ids of the requests not older than `last_answer`.
    pub sent: Vec<(RequestNo, RequestId)>,
    /// Newest server epoch ever heard.
    pub epoch_heard: Option<ServerEpoch>,
    /// Where the list stands; none while nothing is held.
    pub point: Option<SyncPoint>,
    /// Digest of the list (its count is the number of entries).
    pub list_digest: SetDigest,
    /// Digest of the own entries.
    pub own_digest: SetDigest,
    /// Where a replace that arrives in parts stands.
    pub staging: Option<Staging>,
    /// The list did not match the digest of an update.
    pub list_bad: bool,
    /// The server asked for the list's buckets.
    pub send_buckets: bool,
    /// What this postoffice wants to see.
    pub view_wanted: View,
    /// The view that `list` was made under.
    pub view: View,
    /// How it stands towards the server.
    pub mode: Mode,
    /// One-time secret of the invitation, until the first answer.
    pub secret: Option<String>,
}

/// A replace that arrives in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    /// The point reached by the parts taken so far.
    pub point: SyncPoint,
    /// The view of the staged list.
    pub view: View,
    /// The request that the parts answer.
    pub answers: RequestNo,
    /// Digest of the rows staged so far.
    pub digest: SetDigest,
}

/// An own entry, for ever until deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRow {
    /// Its id.
    pub id: EntryId,
    /// The postoffice whose key the id derives from.
    pub first_origin: PostofficeName,
    /// Its key there.
    pub key: String,
    /// The source that feeds it: `hand`, `import`, or a name from the configuration.
    pub source: String,
    /// Its content.
    pub record: Record,
    /// Number of its last change, and of its attributes'.
    pub numbers: ChangeNumbers,
    /// Stamp of its last change.
    pub stamp: Stamp,
    /// Whom it is released to.
    pub released_to: Option<PostofficeName>,
}

/// An own deletion, kept: the merge rests on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTombstone {
    /// The entry.
    pub id: EntryId,
    /// Number of the deletion.
    pub req_seq: ReqSeq,
    /// Stamp of the deletion.
    pub stamp: Stamp,
    /// A person approved it here: the server does not count it.
    pub approved: bool,
}

/// A row of the received list, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRow<'a> {
    /// The entry.
    pub id: EntryId,
    /// Its owner.
    pub owner: &'a PostofficeName,
    /// The postoffice whose key the id derives from.
    pub first_origin: &'a PostofficeName,
    /// Its key there.
    pub key: &'a str,
    /// The server's number of its last change.
    pub srv_seq: SrvSeq,
    /// Stamp of its last change, of its owner.
    pub stamp: Stamp,
    /// Whom its owner releases it to.
    pub released_to: Option<&'a PostofficeName>,
    /// Its visible content.
    pub record: RecordRef<'a>,
}

/// A row of the received list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedListRow {
    /// The entry.
    pub id: EntryId,
    /// Its owner.
    pub owner: PostofficeName,
    /// The postoffice whose key the id derives from.
    pub first_origin: PostofficeName,
    /// Its key there.
    pub key: String,
    /// The server's number of its last change.
    pub srv_seq: SrvSeq,
    /// Stamp of its last change.
    pub stamp: Stamp,
    /// Whom its owner releases it to.
    pub released_to: Option<PostofficeName>,
    /// Its visible content.
    pub record: Record,
}

impl OwnedListRow {
    /// A borrowed view of the row.
    pub fn as_ref(&self) -> ListRow<'_> {
        ListRow {
            id: self.id,
            owner: &self.owner,
            first_origin: &self.first_origin,
            key: &self.key,
            srv_seq: self.srv_seq,
            stamp: self.stamp,
            released_to: self.released_to.as_ref(),
            record: self.record.as_ref(),
        }
    }
}

impl ListRow<'_> {
    /// An owned copy.
    pub fn to_owned(self) -> OwnedListRow {
        OwnedListRow {
            id: self.id,
            owner: self.owner.clone(),
            first_origin: self.first_origin.clone(),
            key: self.key.into(),
            srv_seq: self.srv_seq,
            stamp: self.stamp,
            released_to: self.released_to.cloned(),
            record: self.record.to_record(),
        }
    }
}

/// Which of a requestor's two lists an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPlace {
    /// The list that readers see.
    Live,
    /// A replace under way, beside it.
    Staged,
}

/// A change that waits for a person at its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldChange {
    /// The entry.
    pub id: EntryId,
    /// The source whose read asks for it.
    pub source: String,
    /// What would happen: `delete`, `blank`, `move`, `short-read`.
    pub kind: String,
    /// The entry as the source has it now; none for a deletion.
    pub record: Option<Record>,
    /// The key, for people.
    pub key: String,
    /// When it was first held, in milliseconds since 1970.
    pub since: u64,
    /// A person rejected it: it is not asked again until the source changes its mind.
    pub rejected: bool,
}

/// What could not be accepted, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Number of the case at this postoffice; 0 when it is yet to be given one.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub since: u64,
    /// Where it came from: a source's name, or a postoffice's.
    pub origin: String,
    /// Which entry, row or file.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// The material itself.
    pub text: String,
}

/// What is remembered of a source between two reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMemory {
    /// Rows of the last good whole read.
    pub good_rows: u64,
    /// When that was, in milliseconds since 1970.
    pub read_at: u64,
    /// Fingerprint of its settings then; a change makes the next read a dry run.
    pub settings: String,
    /// What its file looked like (size and times), to notice changes.
    pub seen: String,
}

/// The tables of a requestor. Every postoffice has them, the server too.
pub trait RequestorTables {
    /// The requestor's row.
    fn requestor(&mut self) -> Stored<RequestorState>;
    /// Writes the requestor's row.
    fn put_requestor(&mut self, state: &RequestorState) -> Stored<()>;

    /// One own entry.
    fn own(&mut self, id: EntryId) -> Stored<Option<OwnRow>>;
    /// Writes an own entry.
    fn put_own(&mut self, row: &OwnRow) -> Stored<()>;
    /// Removes an own entry.
    fn delete_own(&mut self, id: EntryId) -> Stored<()>;
    /// Visits own entries numbered above `after`, by number.
    fn visit_own(&mut self, after: ReqSeq, visit: &mut dyn FnMut(&OwnRow) -> Flow) -> Stored<()>;
    /// Visits (id, own element of the digest, source) of all own entries, in any order.
    fn visit_own_elements(
        &mut self,
        visit: &mut dyn FnMut((EntryId, u128, &str)) -> Flow,
    ) -> Stored<()>;
    /// One own tombstone.
    fn own_tombstone(&mut self, id: EntryId) -> Stored<Option<OwnTombstone>>;
    /// Writes an own tombstone.
    fn put_own_tombstone(&mut self, tombstone: &OwnTombstone) -> Stored<()>;
    /// Removes an own tombstone.
    fn delete_own_tombstone(&mut self, id: EntryId) -> Stored<()>;
    /// Visits own tombstones numbered above `after`, by number.
    fn visit_own_tombstones(
        &mut self,
        after: ReqSeq,
        visit: &mut dyn FnMut(OwnTombstone) -> Flow,
    ) -> Stored<()>;
    /// The id that a source's key stands for where it does not derive from this postoffice's name
    /// (an entry taken over from another origin).
    fn adopted_id(&mut self, source: &str, key: &str) -> Stored<Option<EntryId>>;
    /// Remembers such an id; `None` forgets it.
    fn put_adopted_id(&mut self, source: &str, key: &str, id: Option<EntryId>) -> Stored<()>;

    /// One row of a list.
    fn list_row(&mut self, place: ListPlace, id: EntryId) -> Stored<Option<OwnedListRow>>;
    /// Writes a row of a list, in place of one with the same id.
    fn put_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()>;
    /// Adds a row to a list that has none with its id yet; the store may find out late.
    fn append_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()>;
    /// Removes a row of a list.
    fn delete_list_row(&mut self, place: ListPlace, id: EntryId) -> Stored<()>;
    /// Says that very many rows are about to be appended to an empty list.
    fn begin_bulk(&mut self, place: ListPlace) -> Stored<()>;
    /// Says that the appending is over; fails when two rows had one id.
    fn end_bulk(&mut self, place: ListPlace) -> Stored<()>;
    /// Visits a list, in the order rows were written.
    fn visit_list(
        &mut self,
        place: ListPlace,
        visit: &mut dyn FnMut(ListRow<'_>) -> Flow,
    ) -> Stored<()>;
    /// Visits a list by name, then id (both by bytes).
    fn visit_list_by_name(&mut self, visit: &mut dyn FnMut(ListRow<'_>) -> Flow) -> Stored<()>;
    /// Empties a list and its buckets.
    fn clear_list(&mut self, place: ListPlace) -> Stored<()>;
    /// Puts the staged list and its buckets in the place of the live one, and empties the staged.
    fn swap_lists(&mut self) -> Stored<()>;
    /// The buckets of a list.
    fn list_buckets(&mut self, place: ListPlace) -> Stored<BucketSums>;
    /// Adds to and takes from buckets of a list: (bucket, added, taken).
    fn change_list_buckets(
        &mut self,
        place: ListPlace,
        changes: &[(Bucket, SetDigest, SetDigest)],
    ) -> Stored<()>;

    /// What the server said of own entries that are not published as submitted.
    fn outcomes(&mut self) -> Stored<Vec<Outcome>>;
    /// Replaces what the server said.
    fn put_outcomes(&mut self, outcomes: &[Outcome]) -> Stored<()>;

    /// The changes that wait for a person, by key.
    fn held_changes(&mut self) -> Stored<Vec<HeldChange>>;
    /// Writes a held change, in place of one for the same entry.
    fn put_held_change(&mut self, held: &HeldChange) -> Stored<()>;
    /// Removes a held change.
    fn delete_held_change(&mut self, id: EntryId) -> Stored<()>;
    /// When own entries of a source were deleted, blanked or moved by its reads: (when, kind),
    /// milliseconds since 1970; the window of the guard.
    fn guard_events(&mut self, source: &str) -> Stored<Vec<(u64, String, u64)>>;
    /// Remembers `count` guarded changes of one kind.
    fn put_guard_event(&mut self, source: &str, at: u64, kind: &str, count: u64) -> Stored<()>;
    /// Forgets guarded changes before `before`.
    fn purge_guard_events(&mut self, before: u64) -> Stored<()>;
    /// What is remembered of a source.
    fn source_memory(&mut self, source: &str) -> Stored<Option<SourceMemory>>;
    /// Remembers a source.
    fn put_source_memory(&mut self, source: &str, memory: &SourceMemory) -> Stored<()>;
}

// ---------------------------------------------------------------------------------- server

/// The one row of server state (`protocol.md` §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// The life of the numbering.
    pub epoch: ServerEpoch,
    /// The last number given.
    pub head: SrvSeq,
    /// Deletions up to this number may have been forgotten.
    pub horizon: SrvSeq,
    /// Set by a restore until every live origin has spoken.
    pub recovering: bool,
    /// Replaced by another instance: answers nobody any more.
    pub fenced: bool,
    /// Number of the last cycle that took a request.
    pub cycle: u64,
    /// Number of the last claim: which of two claims on an address came first.
    pub claims: u64,
    /// Last time the server ran, in milliseconds since 1970.
    pub last_run: u64,
}

/// The position a requestor stated last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Its sync point; none while it holds nothing.
    pub point: Option<SyncPoint>,
    /// The digest of its list.
    pub digest: SetDigest,
    /// Its list did not match an update's digest.
    pub bad: bool,
    /// Its buckets, when it sent them.
    pub buckets: Option<(u32, BucketSums)>,
}

/// What a registration is to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationState {
    /// Invited, and not heard yet.
    #[default]
    Invited,
    /// Taking part.
    Active,
    /// An administrator suspended it: its requests wait.
    Suspended,
    /// An administrator removed it: its entries are gone and its name is remembered.
    Removed,
}

/// What the server keeps about one requestor (`protocol.md` §2.2, `reg[name]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The requestor.
    pub name: PostofficeName,
    /// What it is to the server; authority: the decisions log.
    pub state: RegistrationState,
    /// Its pinned public key, in OpenSSH's one-line form; authority: the decisions log.
    pub key: Option<String>,
    /// Hash of the invitation's secret and when it expires (milliseconds since 1970).
    pub invitation: Option<(String, u64)>,
    /// Where its messages travel, e.g. `folder:/srv/dirsync`.
    pub carrier: String,
    /// What it is allowed to see.
    pub view_allowed: View,
    /// What it asked to see.
    pub view_wanted: View,
    /// The epoch accepted now.
    pub epoch: Option<ReqEpoch>,
    /// Epochs that are not accepted any more.
    pub retired: BTreeSet<ReqEpoch>,
    /// ReqSync.
    pub applied: ReqSeq,
    /// Number of the newest request taken.
    pub request_no: RequestNo,
    /// Its id.
    pub request_id: Option<RequestId>,
    /// It has to be answered.
    pub answer_due: bool,
    /// The answer has to bring what is held of its own entries.
    pub send_own: bool,
    /// The open challenge.
    pub challenge: Option<Challenge>,
    /// Answers due to epochs that are not the accepted one.
    pub side_answers: Vec<SideAnswer>,
    /// Where its list stands, as it last said.
    pub position: Position,
    /// The server epoch in which it last submitted with knowledge of that epoch.
    pub spoke_in: Option<ServerEpoch>,
    /// Digest of its submitted set.
    pub own_digest: SetDigest,
    /// When its last request was taken, in milliseconds since 1970.
    pub last_contact: u64,
    /// What it told of itself.
    pub health: Health,
}

/// An answer due to an epoch that is not the accepted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideAnswer {
    /// The epoch to address.
    pub epoch: ReqEpoch,
    /// What to say to it.
    pub side: dirsync_message::Side,
    /// The request to answer.
    pub answers: RequestNo,
    /// Its id.
    pub request_id: RequestId,
}

/// Views in which an earlier version of an entry was visible since the horizon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenIn {
    /// Every view.
    All,
    /// These views.
    Some(BTreeSet<ViewHash>),
}

impl Default for SeenIn {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

/// An entry as its origin last submitted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its content; kept even when it cannot be published.
    pub record: Record,
    /// Stamp of its last change.
    pub stamp: Stamp,
    /// Whom its origin releases it to.
    pub released_to: Option<PostofficeName>,
    /// When it came to want its addresses, among all claims.
    pub claim: u64,
    /// Why it cannot be published at all.
    pub invalid: Option<String>,
}

/// An entry as requestors receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its content, where that is not the submitted one.
    pub record: Option<Record>,
    /// Whom its owner releases it to, as published.
    pub released_to: Option<PostofficeName>,
    /// Stamp of the published change.
    pub stamp: Stamp,
    /// SrvSeq of its last change, and of its attributes'.
    pub numbers: ChangeNumbers,
    /// Where earlier versions were visible.
    pub seen_in: SeenIn,
    /// Its origin deleted it, and that waits for a person: since when (milliseconds since 1970),
    /// and whether a person rejected the deletion.
    pub held: Option<Hold>,
}

/// A deletion that waits at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// A person rejected it: published still, until the owner speaks.
    pub rejected: bool,
}

/// One id as one origin has it: submitted, published, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    /// The entry.
    pub id: EntryId,
    /// Who submitted it.
    pub origin: PostofficeName,
    /// The postoffice whose key the id derives from.
    pub first_origin: PostofficeName,
    /// Its key there.
    pub key: String,
    /// What the origin says; none after a deletion that is held.
    pub submitted: Option<Submitted>,
    /// What requestors receive; none while it waits. At most one origin's row of an id has it.
    pub published: Option<Published>,
}

impl ServerRow {
    /// The published content.
    pub fn published_record(&self) -> Option<RecordRef<'_>> {
        let published = self.published.as_ref()?;
        match (&published.record, &self.submitted) {
            (Some(record), _) => Some(record.as_ref()),
            (None, Some(submitted)) => Some(submitted.record.as_ref()),
            (None, None) => unreachable!("a row is published with content or as submitted"),
        }
    }
}

/// A forgotten entry's stub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The entry.
    pub id: EntryId,
    /// Number of its deletion.
    pub srv_seq: SrvSeq,
    /// Where it was visible.
    pub seen_in: SeenIn,
    /// When it was made, in milliseconds since 1970.
    pub at: u64,
}

/// One change of the list, in the order of numbers.
#[derive(Clone, Copy, Debug)]
pub enum Numbered<'a> {
    /// A published row.
    Published(&'a ServerRow),
    /// A deletion.
    Tombstone(&'a Tombstone),
}

/// A sync point as it was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuedPoint {
    /// Its mark.
    pub mark: Mark,
    /// The list's digest there, where the point is complete and not yet forgotten.
    pub digest: Option<SetDigest>,
}

/// The tables of a directory server.
pub trait ServerTables {
    /// The server's row; none at a postoffice that is no server.
    fn server(&mut self) -> Stored<Option<ServerState>>;
    /// Writes the server's row.
    fn put_server(&mut self, state: &ServerState) -> Stored<()>;

    /// All registrations, by name.
    fn registrations(&mut self) -> Stored<Vec<Registration>>;
    /// One registration.
    fn registration(&mut self, name: &PostofficeName) -> Stored<Option<Registration>>;
    /// Writes a registration.
    fn put_registration(&mut self, registration: &Registration) -> Stored<()>;

    /// The rows of an id, by origin.
    fn rows(&mut self, id: EntryId) -> Stored<Vec<ServerRow>>;
    /// Writes a row, in place of one with the same id and origin, and keeps the index of addresses
    /// (submitted and published ones).
    fn put_row(&mut self, row: &ServerRow) -> Stored<()>;
    /// Removes a row.
    fn delete_row(&mut self, id: EntryId, origin: &PostofficeName) -> Stored<()>;
    /// Which rows want or have an address: (id, origin), by comparison key.
    fn claimants(&mut self, address_key: &str) -> Stored<Vec<(EntryId, PostofficeName)>>;
    /// Visits the rows that an origin submitted, in any order.
    fn visit_submitted(
        &mut self,
        origin: &PostofficeName,
        visit: &mut dyn FnMut(&ServerRow) -> Flow,
    ) -> Stored<()>;
    /// Visits rows that want something else than what is published: waiting, held, invalid,
    /// released, or published with other content.
    fn visit_unsettled(&mut self, visit: &mut dyn FnMut(&ServerRow) -> Flow) -> Stored<()>;
    /// Number of published entries of an origin.
    fn published_count(&mut self, origin: &PostofficeName) -> Stored<u64>;
    /// Visits published rows and tombstones with `after` < number ≤ `upto`, by number.
    fn visit_numbered(
        &mut self,
        after: SrvSeq,
        upto: SrvSeq,
        visit: &mut dyn FnMut(Numbered<'_>) -> Flow,
    ) -> Stored<()>;

    /// One stub.
    fn tombstone(&mut self, id: EntryId) -> Stored<Option<Tombstone>>;
    /// Writes a stub.
    fn put_tombstone(&mut self, tombstone: &Tombstone) -> Stored<()>;
    /// Removes a stub.
    fn delete_tombstone(&mut self, id: EntryId) -> Stored<()>;
    /// Removes stubs numbered up to `upto`, and forgets there where entries were visible.
    fn purge_tombstones(&mut self, upto: SrvSeq) -> Stored<u64>;
    /// The stamp of an origin's deletion of an id.
    fn submitted_tombstone(
        &mut self,
        origin: &PostofficeName,
        id: EntryId,
    ) -> Stored<Option<Stamp>>;
    /// Writes or (with `None`) removes it.
    fn put_submitted_tombstone(
        &mut self,
        origin: &PostofficeName,
        id: EntryId,
        stamp: Option<Stamp>,
    ) -> Stored<()>;
    /// Visits an origin's deletions, in any order.
    fn visit_submitted_tombstones(
        &mut self,
        origin: &PostofficeName,
        visit: &mut dyn FnMut((EntryId, Stamp)) -> Flow,
    ) -> Stored<()>;
    /// Who owns an id after a release that was honoured.
    fn transferred(&mut self, id: EntryId) -> Stored<Option<PostofficeName>>;
    /// Remembers the new owner.
    fn put_transferred(&mut self, id: EntryId, owner: &PostofficeName) -> Stored<()>;

    /// A point, if it was issued.
    fn issued_point(&mut self, point: &SyncPoint) -> Stored<Option<IssuedPoint>>;
    /// Remembers a point; the key is all of it but its mark.
    fn put_issued_point(&mut self, point: &SyncPoint, digest: Option<SetDigest>) -> Stored<()>;
    /// The views that are in force somewhere, with their definitions.
    fn views(&mut self) -> Stored<Vec<(ViewHash, View)>>;
    /// Remembers a view with the sums of its buckets.
    fn put_view(&mut self, hash: ViewHash, view: &View, sums: &BucketSums) -> Stored<()>;
    /// Forgets a view that is in force nowhere.
    fn delete_view(&mut self, hash: ViewHash) -> Stored<()>;
    /// The sums of a view's buckets.
    fn view_sums(&mut self, hash: ViewHash) -> Stored<BucketSums>;
    /// Adds to and takes from buckets of a view: (bucket, added, taken).
    fn change_view_sums(
        &mut self,
        hash: ViewHash,
        changes: &[(Bucket, SetDigest, SetDigest)],
    ) -> Stored<()>;
    /// Deletions of an origin that were published in the guard's window: (when, how many).
    fn deletion_events(&mut self, origin: &PostofficeName) -> Stored<Vec<(u64, u64)>>;
    /// Remembers deletions of an origin.
    fn put_deletion_event(&mut self, origin: &PostofficeName, at: u64, count: u64) -> Stored<()>;
    /// Forgets deletions before `before` (milliseconds since 1970).
    fn purge_deletion_events(&mut self, before: u64) -> Stored<()>;
}

// ---------------------------------------------------------------------------------- common

/// One line of the log: a step that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// `T0`, `T1`, `T2`, `T3`, or a command's name.
    pub step: String,
    /// `info`, `notice`, `warning`, `error`, `alarm`.
    pub level: String,
    /// The line, readable alone.
    pub text: String,
}

/// Tables that every postoffice has beside its protocol state.
pub trait CommonTables {
    /// All quarantined cases, by number.
    fn quarantined(&mut self) -> Stored<Vec<Quarantined>>;
    /// Writes a case (a new one when its number is 0) and returns its number.
    fn put_quarantined(&mut self, case: &Quarantined) -> Stored<u64>;
    /// Removes a case.
    fn delete_quarantined(&mut self, number: u64) -> Stored<()>;
    /// Adds a log line.
    fn put_log(&mut self, line: &LogLine) -> Stored<()>;
    /// Visits log lines from `since` on, in order.
    fn visit_log(&mut self, since: u64, visit: &mut dyn FnMut(&LogLine) -> Flow) -> Stored<()>;
    /// Forgets log lines before `before`.
    fn purge_log(&mut self, before: u64) -> Stored<()>;
    /// A named text of the agent: times of last steps, alarms that are on.
    fn note(&mut self, name: &str) -> Stored<Option<String>>;
    /// Writes or (with `None`) removes a named text.
    fn put_note(&mut self, name: &str, text: Option<&str>) -> Stored<()>;
    /// All named texts that begin with `prefix`, by name.
    fn notes(&mut self, prefix: &str) -> Stored<Vec<(String, String)>>;
    /// Marks a place inside the transaction to roll back to. Places nest.
    fn savepoint(&mut self) -> Stored<()>;
    /// Undoes everything since the last open savepoint, which ends.
    fn rollback_savepoint(&mut self) -> Stored<()>;
    /// Keeps everything since the last open savepoint, which ends.
    fn release_savepoint(&mut self) -> Stored<()>;
}

/// Everything a step may touch.
pub trait Tables: RequestorTables + ServerTables + CommonTables {}

impl<T: RequestorTables + ServerTables + CommonTables + ?Sized> Tables for T {}
