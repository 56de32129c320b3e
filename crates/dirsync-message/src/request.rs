//! The head of a request (T1).

use dirsync_directory::{BucketSums, PostofficeName, SetDigest, View};

use crate::{Challenge, Evidence, ReqEpoch, ReqSeq, RequestId, RequestNo, ServerEpoch, SyncPoint};

/// What the body of a request says about the requestor's own entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Own changes numbered above `from` up to `to`.
    Delta,
    /// All own entries and own tombstones, in answer to a challenge.
    Full,
    /// Nothing. The requestor asks for its own entries as the server has them, to merge with them.
    WantOwn,
}

/// The part of a request that submits own changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPart {
    /// The content of the body.
    pub kind: RequestKind,
    /// ReqSync: the transactions have numbers above this one.
    pub from: ReqSeq,
    /// The number of the requestor's last own change.
    pub to: ReqSeq,
    /// The digest of all own entries at `to`, with which the server checks its submitted set.
    pub digest: SetDigest,
    /// The challenge that a full export answers.
    pub challenge: Option<Challenge>,
    /// The digest of the submitted set that a full export replaces. As in a compare-and-swap, the server
    /// takes the export only if it still has that set.
    pub base: Option<SetDigest>,
}

/// What a requestor reports about itself to the administrator of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The version of its program.
    pub version: String,
    /// The number of own changes that wait for its administrator.
    pub held: u64,
    /// The number of own transactions in its quarantine.
    pub quarantined: u64,
    /// The time by its clock when it made the request, in milliseconds since 1970.
    pub clock: u64,
}

/// The head of a request. It is a pure function of the requestor's committed state, so a request that
/// was lost is simply made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The requestor.
    pub from: PostofficeName,
    /// Its directory server.
    pub to: PostofficeName,
    /// The epoch of the requestor's numbering.
    pub epoch: ReqEpoch,
    /// The epochs from which that one descends, oldest first.
    pub lineage: Vec<ReqEpoch>,
    /// The number of this request.
    pub number: RequestNo,
    /// The id of this request.
    pub id: RequestId,
    /// The own changes that it submits.
    pub own: OwnPart,
    /// The newest server epoch that the requestor has ever heard of.
    pub epoch_heard: Option<ServerEpoch>,
    /// The evidence that came with that epoch.
    pub epoch_evidence: Option<Evidence>,
    /// The point that the requestor's list has reached. `None` if it has no list yet ("fresh").
    pub point: Option<SyncPoint>,
    /// The evidence that came with that point.
    pub point_evidence: Option<Evidence>,
    /// The digest of the list, computed from its content when the request is made. The server verifies
    /// it against its own.
    pub list_digest: SetDigest,
    /// Whether the list did not match the digest of an update, so that it has to be repaired.
    pub list_bad: bool,
    /// The buckets of the list, with the number of bits that number them. Stated if the server asked for
    /// them, or the list is bad.
    pub list_buckets: Option<(u32, BucketSums)>,
    /// The view that the requestor wants.
    pub view_wanted: View,
    /// A report for the administrator of the server.
    pub health: Health,
}
