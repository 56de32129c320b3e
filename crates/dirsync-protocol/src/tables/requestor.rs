//! The tables of a requestor.

use std::borrow::Cow;

use dirsync_directory::{
    Bucket, BucketSums, EntryId, PostofficeName, Record, RecordRef, SetDigest, View,
};
use dirsync_message::{
    Challenge, Evidence, Offer, Outcome, ReqEpoch, ReqSeq, RequestId, RequestNo, ServerEpoch,
    SrvSeq, Stamp, SyncPoint,
};

use super::{ClosedCase, Flow, Stored};
use crate::delta::ChangeNumbers;
use crate::guard::GuardKind;

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
    /// Another machine, or a later epoch, is this postoffice now: it sends nothing until a person says
    /// `rejoin`.
    Fenced,
    /// The server removed this postoffice.
    Removed,
}

/// The one row of requestor state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestorState {
    /// This postoffice.
    pub name: PostofficeName,
    /// Its directory server.
    pub server: PostofficeName,
    /// The epoch of its own numbering.
    pub epoch: ReqEpoch,
    /// The epochs it descends from, oldest first.
    pub lineage: Vec<ReqEpoch>,
    /// The epochs of this database before a person began one that descends from nobody. The merge adds
    /// them to the lineage (M10).
    pub former_epochs: Vec<ReqEpoch>,
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
    /// Ids of the requests not older than `last_answer`, and of the last ones before.
    pub sent: Vec<(RequestNo, RequestId)>,
    /// Newest server epoch ever heard.
    pub epoch_heard: Option<ServerEpoch>,
    /// The evidence that came with it.
    pub epoch_evidence: Option<Evidence>,
    /// Where the list stands; `None` while it holds nothing.
    pub point: Option<SyncPoint>,
    /// The evidence that came with it.
    pub point_evidence: Option<Evidence>,
    /// Digest of the list (its count is the number of entries).
    pub list_digest: SetDigest,
    /// The number that the first fill reaches in whose middle the list stands (rule `fillpart`).
    pub filling: Option<SrvSeq>,
    /// Digest of the own entries.
    pub own_digest: SetDigest,
    /// Where a replace that arrives in parts stands.
    pub staging: Option<Staging>,
    /// The list did not match the digest of an update.
    pub list_bad: bool,
    /// The server asked for the list's buckets.
    pub send_buckets: bool,
    /// One more request is needed because of something that was learned or decided since the last one:
    /// without it the server cannot go on.
    pub request_due: bool,
    /// The view that this postoffice asks for.
    pub view_wanted: View,
    /// The view that `list` was made under.
    pub view: View,
    /// How it stands towards the server.
    pub mode: Mode,
    /// The proof that it knew the invitation's secret; `None` for a server's own postoffice.
    pub proof: Option<String>,
}

impl RequestorState {
    /// Whether this postoffice knows which of its entries the server holds. It does not before the first
    /// answer, and between a restore and the merge that follows.
    pub fn knows_its_own(&self) -> bool {
        self.epoch_accepted && self.mode == Mode::Normal
    }

    /// Makes a request due that asks for the own entries as the server holds them.
    pub fn want_own(&mut self) {
        self.mode = Mode::WantOwn;
        self.request_due = true;
    }
}

/// A replace that arrives in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    /// The point reached by the parts taken so far.
    pub point: SyncPoint,
    /// The view of the staged list.
    pub view: View,
    /// The number that the replace reaches with its last part.
    pub head: SrvSeq,
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

impl OwnRow {
    /// A new entry; its first change gives it a number and a stamp.
    pub fn new(
        id: EntryId,
        first_origin: PostofficeName,
        key: String,
        source: String,
        record: Record,
    ) -> Self {
        Self {
            id,
            first_origin,
            key,
            source,
            record,
            numbers: ChangeNumbers::default(),
            stamp: Stamp(0),
            released_to: None,
        }
    }
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
    /// Why it is held.
    pub kind: GuardKind,
    /// The entry as the source has it now; `None` for a deletion.
    pub record: Option<Record>,
    /// The key, for people.
    pub key: String,
    /// When it was first held, in milliseconds since 1970.
    pub since: u64,
    /// A person rejected it: nobody is asked again until the source says something else.
    pub rejected: bool,
}

impl HeldChange {
    /// The case without its change, for a run that closes it.
    pub fn closed(&self) -> ClosedCase {
        let Self { id, source, kind, key, since, .. } = self;
        ClosedCase { id: *id, source: source.clone(), kind: *kind, key: key.clone(), since: *since }
    }

    /// A closed case that waits for a person again, with its change.
    pub fn reopened(case: ClosedCase, record: Option<Record>) -> Self {
        let ClosedCase { id, source, kind, key, since } = case;
        Self { id, source, kind, record, key, since, rejected: false }
    }
}

/// Material that could not be accepted, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Number of the case at this postoffice; 0 if it has none yet.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub since: u64,
    /// Where it came from: a source's name, or a postoffice's.
    pub origin: String,
    /// Which entry or file; empty for a row without a key.
    pub subject: String,
    /// The line of the source's file on which the row begins; `None` if it is not a row.
    pub line: Option<u64>,
    /// Why.
    pub reason: String,
    /// The material itself.
    pub text: String,
}

impl Quarantined {
    /// How people call it: by its subject, or by its line if it has none.
    pub fn title(&self) -> Cow<'_, str> {
        match self.line {
            Some(line) if self.subject.is_empty() => Cow::Owned(format!("line {line}")),
            _ => Cow::Borrowed(&self.subject),
        }
    }
}

/// The memory of a source between two reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMemory {
    /// Rows of the last read.
    pub rows: u64,
    /// Rows of the last good whole read.
    pub good_rows: u64,
    /// When that was, in milliseconds since 1970.
    pub read_at: u64,
    /// Fingerprint of its settings then; a change makes the next read a dry run.
    pub settings: String,
    /// Size and times of its file, to notice changes.
    pub seen: String,
    /// A complete read since the last merge has named all entries that it feeds.
    pub told_all: bool,
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
    /// Adds a row to a list that has no row with its id. If it has one, the store may say so as late as in
    /// [`Self::end_bulk`].
    fn append_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()>;
    /// Removes a row of a list.
    fn delete_list_row(&mut self, place: ListPlace, id: EntryId) -> Stored<()>;
    /// Announces that very many rows will be appended to an empty list.
    fn begin_bulk(&mut self, place: ListPlace) -> Stored<()>;
    /// Ends the appending; fails if two rows had one id.
    fn end_bulk(&mut self, place: ListPlace) -> Stored<()>;
    /// Visits a list, in the order in which its entries were first written.
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

    /// The server's outcomes for own entries that are not published as submitted.
    fn outcomes(&mut self) -> Stored<Vec<Outcome>>;
    /// Replaces the outcomes.
    fn put_outcomes(&mut self, outcomes: &[Outcome]) -> Stored<()>;

    /// The entries that the server brought whole because they are released to this postoffice.
    fn offers(&mut self) -> Stored<Vec<Offer>>;
    /// Replaces them.
    fn put_offers(&mut self, offers: &[Offer]) -> Stored<()>;

    /// One held change.
    fn held_change(&mut self, id: EntryId) -> Stored<Option<HeldChange>>;
    /// Visits the held changes by source, reason, key and id, each with the own entry as it stands.
    fn visit_held_changes(
        &mut self,
        visit: &mut dyn FnMut(&HeldChange, Option<&Record>) -> Flow,
    ) -> Stored<()>;
    /// Writes a held change, in place of one for the same entry.
    fn put_held_change(&mut self, held: &HeldChange) -> Stored<()>;
    /// Removes a held change.
    fn delete_held_change(&mut self, id: EntryId) -> Stored<()>;
    /// When own entries of a source were deleted, blanked or moved by its reads: (when, kind),
    /// milliseconds since 1970; the window of the guard.
    fn guard_events(&mut self, source: &str) -> Stored<Vec<(u64, GuardKind, u64)>>;
    /// Remembers `count` guarded changes of one kind.
    fn put_guard_event(&mut self, source: &str, at: u64, kind: GuardKind, count: u64)
    -> Stored<()>;
    /// Forgets guarded changes before `before`.
    fn purge_guard_events(&mut self, before: u64) -> Stored<()>;
    /// The memory of a source.
    fn source_memory(&mut self, source: &str) -> Stored<Option<SourceMemory>>;
    /// Writes the memory of a source.
    fn put_source_memory(&mut self, source: &str, memory: &SourceMemory) -> Stored<()>;
    /// Forgets the size and times of all sources' files: each is read again.
    fn forget_files(&mut self) -> Stored<()>;
    /// Forgets the size and times of all sources' files and that they told all: each is read again.
    fn forget_reads(&mut self) -> Stored<()>;
}
