//! The head of an update (T2).

use std::collections::BTreeSet;

use dirsync_directory::{
    Address, Bucket, EntryId, PostofficeName, Record, SetDigest, View, ViewHash,
};

use crate::{
    Challenge, Evidence, ReqEpoch, ReqSeq, RequestId, RequestNo, ServerEpoch, SrvSeq, Stamp,
    SyncPoint,
};

/// The most outcomes of one update. If there are more, the others are left out: an own entry without an
/// outcome may still be waiting.
pub const OUTCOMES_MAX: usize = 100_000;
/// The most bytes of all outcomes of one update together.
pub const OUTCOMES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most offers of one update. Offers that are claimed make room for the others.
pub const OFFERS_MAX: usize = 1000;
/// The most bytes of all offers of one update together. A larger entry is never offered.
pub const OFFERS_BYTES_MAX: usize = 1024 * 1024;
/// The longest reason in an outcome, in bytes. Longer ones are cut off.
pub const REASON_BYTES_MAX: usize = 1024;

/// A side answer: it concerns the addressed epoch or request, not the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The epoch is not accepted yet. The addressee merges with the set that follows, and sends a full
    /// export.
    Own,
    /// The epoch was retired: another machine or a later epoch is the postoffice now.
    Fenced,
    /// The postoffice was removed.
    Removed,
    /// The postoffice is suspended, and the request waits.
    Suspended,
    /// The postoffice is not admitted, because its invitation has expired.
    Expired,
    /// The postoffice is not admitted, because another machine has its name.
    Taken,
}

impl Side {
    /// All side answers.
    pub const ALL: [Self; 6] =
        [Self::Own, Self::Fenced, Self::Removed, Self::Suspended, Self::Expired, Self::Taken];

    /// The word that stands for it in messages and databases.
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Fenced => "fenced",
            Self::Removed => "removed",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Taken => "taken",
        }
    }

    /// The side answer for a word, or `None` if the word is not known.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.word() == word)
    }

    /// Whether the answer only explains why a request was not taken, and changes nothing at its
    /// addressee.
    pub fn is_notice(self) -> bool {
        matches!(self, Self::Suspended | Self::Expired | Self::Taken)
    }
}

/// A report about one of the addressee's own entries: it is not published as it was submitted, or
/// another entry contests its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The addressee's entry.
    pub id: EntryId,
    /// What happened to it.
    pub kind: OutcomeKind,
}

/// What happened to the entry of an [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// The entry waits for an address that another entry has.
    Waiting {
        /// The address.
        address: Address,
        /// The owner of the entry that has it.
        holder: PostofficeName,
    },
    /// The entry has an address for which an entry of another origin waits.
    Contested {
        /// The address.
        address: Address,
        /// The owner of the entry that waits.
        by: PostofficeName,
    },
    /// The deletion of the entry waits for the server's administrator.
    Held,
    /// The release of the entry was honoured: it now belongs to another postoffice.
    Transferred {
        /// The new owner.
        to: PostofficeName,
    },
    /// Another origin owns the entry with this id.
    ForeignId {
        /// The owner.
        owner: PostofficeName,
    },
    /// The server does not publish the entry, because its record is not valid.
    Invalid {
        /// The reason, for people.
        reason: String,
    },
}

/// A whole entry that its owner releases to the addressee.
///
/// An addressee that claims an entry publishes all of it from then on. Its view may hide parts of the
/// entry, so the list alone is not enough to claim it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The entry.
    pub id: EntryId,
    /// The stamp of its last change.
    pub stamp: Stamp,
    /// Its owner.
    pub owner: PostofficeName,
    /// Its first origin, from which the id derives.
    pub first_origin: PostofficeName,
    /// Its key at the first origin.
    pub key: String,
    /// Its content.
    pub record: Record,
}

/// States that the body carries the submitted set of the addressee, which has to merge with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The token that the full export has to repeat.
    pub challenge: Challenge,
    /// The digest of the submitted set in the body.
    pub digest: SetDigest,
    /// The epoch in force, whose set this is.
    pub in_force: ReqEpoch,
    /// The epochs that were in force before. A requestor that merges this set descends from them, too.
    pub retired: BTreeSet<ReqEpoch>,
}

/// The relation of a body to the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// The changes after `from`.
    Delta,
    /// The whole view.
    Replace,
    /// The whole content of some buckets.
    Repair {
        /// The number of bits that number a bucket.
        bits: u32,
        /// The buckets.
        buckets: BTreeSet<Bucket>,
    },
}

/// The positions and digest of a body; equal for all addressees that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The relation to the list.
    pub kind: BodyKind,
    /// The number that the body follows; 0 if it builds on nothing.
    pub from: SrvSeq,
    /// The epoch of `from`. `None` if the body builds on nothing.
    pub from_epoch: Option<ServerEpoch>,
    /// The view that the list must have. `None` if the body builds on nothing.
    pub view_from: Option<ViewHash>,
    /// The point that the request stated. A replace is applied only if the list is still there, so that
    /// it does not undo an update that arrived in between (R11).
    pub stated: Option<SyncPoint>,
    /// The point that the list reaches when the body is applied.
    pub to: SyncPoint,
    /// The evidence of `to`, which the requestor repeats with it.
    pub to_evidence: Evidence,
    /// The server's last number when the body was made.
    pub head: SrvSeq,
    /// The definition of the view of `to`.
    pub view: View,
    /// The digest of the list at `to`. `None` if `to` is not complete.
    pub digest: Option<SetDigest>,
    /// The number of this part, from 1.
    pub part: u32,
}

/// The head of an update. It is a pure function of the server's committed state, so an update that was
/// lost is made again for the next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The server.
    pub from: PostofficeName,
    /// The requestor.
    pub to: PostofficeName,
    /// The addressed epoch of the requestor. A machine with another epoch leaves the update alone.
    pub epoch: ReqEpoch,
    /// The number of the request that is answered.
    pub answers: RequestNo,
    /// The id of that request, which tells it from another machine's request of the same number.
    pub request_id: RequestId,
    /// The epoch of the server.
    pub server_epoch: ServerEpoch,
    /// The evidence of that epoch, which the requestor repeats with it.
    pub epoch_evidence: Evidence,
    /// ReqSync: the number of the last own change that the server has committed.
    pub ack: ReqSeq,
    /// A side answer, if the update concerns the epoch instead of the list.
    pub side: Option<Side>,
    /// Present if the body is the addressee's submitted set instead of changes of the list.
    pub own: Option<Own>,
    /// Reports about own entries.
    pub outcomes: Vec<Outcome>,
    /// The entries that are released to the addressee. Present only if its view has limits;
    /// otherwise the list brings them whole.
    pub offers: Vec<Offer>,
    /// The body with changes of the list. `None` if the requestor keeps the list that it has.
    pub body: Option<Body>,
    /// Whether the next request has to bring the buckets of the list.
    pub want_buckets: bool,
}
