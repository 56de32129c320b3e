//! The tables of a directory server.

use std::collections::BTreeSet;
use std::sync::Arc;

use dirsync_directory::{
    Bucket, BucketSums, EntryId, PostofficeName, Record, RecordRef, SetDigest, View, ViewHash,
};
use dirsync_message::{
    Challenge, Health, Mark, ReqEpoch, ReqSeq, RequestId, RequestNo, ServerEpoch, SrvSeq, Stamp,
    SyncPoint,
};

use super::{Flow, Stored};
use crate::delta::ChangeNumbers;

/// The one row of server state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// The epoch of the numbering.
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
    /// How often it has begun a new epoch because it heard of a later one of its own instance (S5), since a
    /// person restored or promoted it, and within the time that S5a counts.
    pub overtaken: u64,
    /// When it did so the last time, in milliseconds since 1970.
    pub overtaken_at: u64,
}

/// The position a requestor stated last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Its sync point; `None` while it holds nothing.
    pub point: Option<SyncPoint>,
    /// The digest of its list.
    pub digest: SetDigest,
    /// Its list did not match an update's digest.
    pub bad: bool,
    /// Its buckets, when it sent them.
    pub buckets: Option<(u32, BucketSums)>,
}

/// Whether a requestor's list equalled the server's view of it when it stated its position last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// `None` if that is not known: it holds nothing yet, or a part of its first list.
    pub equal: Option<bool>,
    /// Since when this is so, in milliseconds since 1970; 0 if it has stated no position.
    pub since: u64,
}

impl Agreement {
    /// What is known after one more position was stated.
    pub fn after(self, equal: Option<bool>, now: u64) -> Self {
        if self.equal == equal && self.since != 0 { self } else { Self { equal, since: now } }
    }
}

/// How a registered postoffice stands towards the server.
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

/// Whether several machines are one postoffice: copies of its folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// One, as far as is known.
    #[default]
    One,
    /// Two used one number. Each is asked to merge and to renew its epoch; the first that does goes
    /// on. Nothing else is taken until then.
    Contest,
    /// A machine whose epoch is retired spoke and was fenced: a person has to say which one stays.
    Fenced,
}

/// The part of the list that a requestor was sent last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The server's cycle in which it was sent; 0 if none was sent.
    pub cycle: u64,
    /// The number that it reaches.
    pub upto: SrvSeq,
}

/// The time at which an invitation expires that has admitted a machine.
pub const INVITATION_USED: u64 = 0;

/// The server's row about one requestor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The requestor.
    pub name: PostofficeName,
    /// How it stands towards the server; the decisions log is the authority.
    pub state: RegistrationState,
    /// Its pinned public key, in OpenSSH's one-line form; the decisions log is the authority.
    pub key: Option<String>,
    /// The verifier of the invitation's secret and when it expires (milliseconds since 1970);
    /// [`INVITATION_USED`] after it has admitted a machine.
    pub invitation: Option<(String, u64)>,
    /// The places where its messages are exchanged, e.g. `folder:/srv/dirsync`, the preferred one first; never
    /// empty. Requests are taken from each of them.
    pub places: Vec<String>,
    /// The view that it is allowed.
    pub view_allowed: View,
    /// The view that it asked for.
    pub view_wanted: View,
    /// The epoch accepted now.
    pub epoch: Option<ReqEpoch>,
    /// Epochs that are not accepted any more.
    pub retired: BTreeSet<ReqEpoch>,
    /// ReqSync: the last own change that was acknowledged.
    pub acknowledged: ReqSeq,
    /// Numbers and ids of the last requests of its epoch that were taken, the newest last.
    pub taken: Vec<(RequestNo, RequestId)>,
    /// It has to be answered.
    pub answer_due: bool,
    /// The answer has to bring its own entries as they are held here.
    pub send_own: bool,
    /// The open challenge.
    pub challenge: Option<Challenge>,
    /// The epoch that descends from no other and for which the last challenge was opened (S9).
    pub challenged: Option<ReqEpoch>,
    /// Answers due to epochs that are not the accepted one, and to a second machine of that one.
    pub side_answers: Vec<SideAnswer>,
    /// Whether several machines are this postoffice.
    pub copies: Copies,
    /// Where its list stands, as it last said.
    pub position: Position,
    /// Whether that was as it should be.
    pub agreement: Agreement,
    /// The part of the list that it was sent last.
    pub answered: Answered,
    /// The server epoch in which it last submitted with knowledge of that epoch.
    pub spoke_in: Option<ServerEpoch>,
    /// Digest of its submitted set.
    pub own_digest: SetDigest,
    /// When its last request was taken, in milliseconds since 1970.
    pub last_contact: u64,
    /// Its last report on itself.
    pub health: Health,
}

impl Registration {
    /// The newest request that was taken in its epoch; `None` if there was none.
    pub fn newest_request(&self) -> Option<(RequestNo, RequestId)> {
        self.taken.last().copied()
    }
}

/// An answer due to an epoch that is not the accepted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideAnswer {
    /// The epoch to address.
    pub epoch: ReqEpoch,
    /// The notice to give.
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
    pub record: Arc<Record>,
    /// Stamp of its last change.
    pub stamp: Stamp,
    /// Whom its origin releases it to.
    pub released_to: Option<PostofficeName>,
    /// The number of its claim on its addresses, in the order of all claims.
    pub claim: u64,
    /// Why it cannot be published at all.
    pub invalid: Option<String>,
}

/// An entry as requestors receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its content. Usually it is the submitted one, which is then stored once.
    pub record: Arc<Record>,
    /// Whom its owner releases it to, as published.
    pub released_to: Option<PostofficeName>,
    /// Stamp of the published change.
    pub stamp: Stamp,
    /// SrvSeq of its last change, and of its attributes'.
    pub numbers: ChangeNumbers,
    /// Where earlier versions were visible.
    pub seen_in: SeenIn,
    /// Its origin deleted it, and the deletion waits for a person.
    pub held: Option<Hold>,
}

/// A deletion that waits at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// A person rejected it: the entry stays published until its owner speaks of it again.
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
    /// The entry as its origin submitted it; `None` after a deletion that is held.
    pub submitted: Option<Submitted>,
    /// The entry as requestors receive it; `None` while it waits. At most one origin's row of an id has it.
    pub published: Option<Published>,
}

impl Submitted {
    /// Its content, borrowed.
    pub fn content(&self) -> RecordRef<'_> {
        Record::as_ref(&self.record)
    }
}

impl Published {
    /// Its content, borrowed.
    pub fn content(&self) -> RecordRef<'_> {
        Record::as_ref(&self.record)
    }
}

impl ServerRow {
    /// The published content where it differs from the submitted one: the only one that a store has to
    /// keep beside it.
    pub fn diverging_record(&self) -> Option<&Record> {
        let published = &self.published.as_ref()?.record;
        let is_submitted = self.submitted.as_ref().is_some_and(|submitted| {
            Arc::ptr_eq(&submitted.record, published) || submitted.record == *published
        });
        (!is_submitted).then_some(published)
    }

    /// Whether the entry is not published as its origin wants it: it waits, is deleted or released, or the
    /// submitted content differs from the published one or cannot be published.
    pub fn is_unsettled(&self) -> bool {
        let (Some(submitted), Some(_)) = (&self.submitted, &self.published) else { return true };
        submitted.invalid.is_some()
            || submitted.released_to.is_some()
            || self.diverging_record().is_some()
    }
}

/// A deletion: what remains of an entry that left the list.
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
    /// A published row, with its published part.
    Published(&'a ServerRow, &'a Published),
    /// A deletion.
    Tombstone(&'a Tombstone),
}

/// A sync point as it was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuedPoint {
    /// Its mark.
    pub mark: Mark,
    /// The list's digest there; `None` if the point is a middle part's.
    pub digest: Option<SetDigest>,
}

/// The tables of a directory server.
pub trait ServerTables {
    /// The server's row; `None` if this postoffice is no server.
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
    /// The rows that claim an address, submitted or published: (id, origin). The address is given as its
    /// comparison key.
    fn claimants(&mut self, address_key: &str) -> Stored<Vec<(EntryId, PostofficeName)>>;
    /// Whether a row of another id [claims](Self::claimants) an address. It takes no longer for an address
    /// that thousands claim.
    fn is_claimed_by_other(&mut self, address_key: &str, id: EntryId) -> Stored<bool>;
    /// Visits the rows that an origin submitted, in any order.
    fn visit_submitted(
        &mut self,
        origin: &PostofficeName,
        visit: &mut dyn FnMut(&ServerRow) -> Flow,
    ) -> Stored<()>;
    /// Visits the rows that are [unsettled](ServerRow::is_unsettled).
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

    /// One tombstone.
    fn tombstone(&mut self, id: EntryId) -> Stored<Option<Tombstone>>;
    /// Writes a tombstone.
    fn put_tombstone(&mut self, tombstone: &Tombstone) -> Stored<()>;
    /// Removes a tombstone.
    fn delete_tombstone(&mut self, id: EntryId) -> Stored<()>;
    /// Removes tombstones numbered up to `upto`, and forgets in which views entries with numbers up to it
    /// were visible before.
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
    /// The owner of an id after a release that was honoured.
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
