//! What an update (T2) says in its head.

use std::collections::BTreeSet;

use dirsync_directory::{
    Address, Bucket, EntryId, PostofficeName, Record, SetDigest, View, ViewHash,
};

use crate::head::{offer_bytes, outcome_bytes};
use crate::{
    Challenge, ReqEpoch, ReqSeq, RequestId, RequestNo, ServerEpoch, SrvSeq, Stamp, SyncPoint,
};

/// Most outcomes of one update. An entry without one is not thereby published: more wait than are told.
pub const OUTCOMES_MAX: usize = 100_000;
/// Most bytes of the outcomes of one update together.
pub const OUTCOMES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most entries released to a postoffice that one update brings whole; those that are claimed make room
/// for the others.
pub const OFFERS_MAX: usize = 1000;
/// Most bytes of the offers of one update together. An entry that is larger alone is not offered.
pub const OFFERS_BYTES_MAX: usize = 1024 * 1024;
/// Longest reason for which an entry is not accepted, in bytes.
pub const REASON_BYTES_MAX: usize = 1024;

/// An answer that concerns the addressed epoch, not the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This epoch is not accepted yet: merge what follows and export in full.
    Own,
    /// This epoch was retired: another machine, or a later life, is the postoffice now.
    Fenced,
    /// The postoffice was removed.
    Removed,
    /// The postoffice is suspended: this request waits.
    Suspended,
    /// Not admitted: its invitation has expired.
    Expired,
    /// Not admitted: another machine has this name.
    Taken,
    /// Not admitted: its secret is not that of the invitation in force.
    Uninvited,
}

impl Side {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Own,
        Self::Fenced,
        Self::Removed,
        Self::Suspended,
        Self::Expired,
        Self::Taken,
        Self::Uninvited,
    ];

    /// The word that stands for it in messages and databases.
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Fenced => "fenced",
            Self::Removed => "removed",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Taken => "taken",
            Self::Uninvited => "uninvited",
        }
    }

    /// The one that a word stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.word() == word)
    }

    /// Whether it only says why a request was not taken: nothing else changes.
    pub fn is_notice(self) -> bool {
        matches!(self, Self::Suspended | Self::Expired | Self::Taken | Self::Uninvited)
    }
}

/// Why an own entry is not published as it was submitted, or that another one contests it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The addressee's entry.
    pub id: EntryId,
    /// What became of it.
    pub kind: OutcomeKind,
}

/// See [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// It waits for an address that another entry holds.
    Waiting {
        /// The address.
        address: Address,
        /// The owner of the entry that holds it.
        holder: PostofficeName,
    },
    /// It holds an address that another origin's entry waits for.
    Contested {
        /// The address.
        address: Address,
        /// The owner of the entry that waits.
        by: PostofficeName,
    },
    /// Its deletion waits for a person at the server.
    Held,
    /// Its release was honoured: it now belongs to this postoffice.
    Transferred {
        /// The new owner.
        to: PostofficeName,
    },
    /// Another origin owns an entry with this id.
    ForeignId {
        /// The owner.
        owner: PostofficeName,
    },
    /// The server cannot accept it as it is.
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
}

/// An entry that its owner releases to the addressee, whole: its view may hide some of it, and who
/// claims it owns all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The entry.
    pub id: EntryId,
    /// Stamp of its last change.
    pub stamp: Stamp,
    /// Its owner.
    pub owner: PostofficeName,
    /// The postoffice whose key the id derives from.
    pub first_origin: PostofficeName,
    /// Its key there.
    pub key: String,
    /// Its content.
    pub record: Record,
}

/// That the body carries the submitted set of the addressee, to be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// To be repeated by the full export.
    pub challenge: Challenge,
    /// Digest of the submitted set that follows.
    pub digest: SetDigest,
    /// The epoch in force, whose set this is.
    pub in_force: ReqEpoch,
    /// The epochs that were in force before: who merges this set descends from them too.
    pub retired: BTreeSet<ReqEpoch>,
}

/// What the body is to the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// What changed after the from point.
    Delta,
    /// The whole view.
    Replace,
    /// The whole content of some buckets, numbered with this many bits.
    Repair {
        /// Bits that number a bucket.
        bits: u32,
        /// The buckets.
        buckets: BTreeSet<Bucket>,
    },
}

/// The positions and digest of a body; equal for all addressees that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// What it is.
    pub kind: BodyKind,
    /// The number that the body follows; 0 from nothing.
    pub from: SrvSeq,
    /// The epoch of `from`; none from nothing ("fresh").
    pub from_epoch: Option<ServerEpoch>,
    /// The view that the list must have been made under; none from nothing.
    pub view_from: Option<ViewHash>,
    /// The point that the request stated, which a replace must still find (rule `replfrom`).
    pub stated: Option<SyncPoint>,
    /// The point reached by applying the body.
    pub to: SyncPoint,
    /// The server's last number when the body was made.
    pub head: SrvSeq,
    /// The definition of the view of `to`.
    pub view: View,
    /// Digest of the list at `to`; only when `to` is complete.
    pub digest: Option<SetDigest>,
    /// Number of this part, from 1.
    pub part: u32,
}

impl Outcome {
    /// As many outcomes as one update may bring. Transfers come first: their addressee drops the
    /// entries, and the others can be told the next time.
    pub fn within_limits(mut outcomes: Vec<Self>) -> Vec<Self> {
        for outcome in &mut outcomes {
            if let OutcomeKind::Invalid { reason } = &mut outcome.kind {
                reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
            }
        }
        let bytes: usize = outcomes.iter().map(outcome_bytes).sum();
        if outcomes.len() <= OUTCOMES_MAX && bytes <= OUTCOMES_BYTES_MAX {
            return outcomes;
        }
        outcomes.sort_by_key(|outcome| !matches!(outcome.kind, OutcomeKind::Transferred { .. }));
        outcomes.truncate(OUTCOMES_MAX);
        let mut bytes = 0;
        let fits = |outcome: &Self| {
            bytes += outcome_bytes(outcome);
            bytes <= OUTCOMES_BYTES_MAX
        };
        let count = outcomes.iter().map(fits).take_while(|fits| *fits).count();
        outcomes.truncate(count);
        outcomes
    }
}

impl Offer {
    /// As many offers as one update may bring, the first of them.
    pub fn within_limits(offers: &[Self]) -> Vec<Self> {
        let mut bytes = 0;
        let fits = |offer: &&Self| {
            bytes += offer_bytes(offer);
            bytes <= OFFERS_BYTES_MAX
        };
        let sendable = offers.iter().filter(|offer| offer_bytes(offer) <= OFFERS_BYTES_MAX);
        sendable.take(OFFERS_MAX).take_while(fits).cloned().collect()
    }
}

/// The head of an update: a pure function of committed server state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The server.
    pub from: PostofficeName,
    /// The requestor.
    pub to: PostofficeName,
    /// The requestor's epoch that is addressed.
    pub epoch: ReqEpoch,
    /// The number of the request that is answered.
    pub answers: RequestNo,
    /// The id of that request.
    pub request_id: RequestId,
    /// The life of the server.
    pub server_epoch: ServerEpoch,
    /// ReqSync: the highest own number that is committed at the server.
    pub ack: ReqSeq,
    /// What concerns the epoch instead of the list.
    pub side: Option<Side>,
    /// That the body is the addressee's submitted set instead of list changes.
    pub own: Option<Own>,
    /// Own entries that are not published as submitted.
    pub outcomes: Vec<Outcome>,
    /// Entries that are released to the addressee; only where its view is limited.
    pub offers: Vec<Offer>,
    /// The list side; none when the requestor shall keep what it has.
    pub body: Option<Body>,
    /// That the next request shall bring the list's buckets.
    pub want_buckets: bool,
}
