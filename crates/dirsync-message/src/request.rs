//! What a request (T1) says in its head.

use dirsync_directory::{BucketSums, PostofficeName, SetDigest, View};

use crate::{Challenge, ReqEpoch, ReqSeq, RequestId, RequestNo, ServerEpoch, SyncPoint};

/// What a request brings of its requestor's own entries (`protocol.md` §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Own changes numbered above `from` up to `to`.
    Delta,
    /// All own entries and own tombstones, in answer to a challenge.
    Full,
    /// Nothing: "tell me what you hold of mine".
    WantOwn,
}

/// The side of a request that submits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPart {
    /// What is brought.
    pub kind: RequestKind,
    /// ReqSync: the transactions follow this number.
    pub from: ReqSeq,
    /// The requestor's last own number.
    pub to: ReqSeq,
    /// Digest of all own entries at `to`.
    pub digest: SetDigest,
    /// The challenge that a full export answers.
    pub challenge: Option<Challenge>,
    /// Digest of the submitted set that a full export replaces (compare and swap).
    pub base: Option<SetDigest>,
}

/// What a requestor tells of itself for the server's administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Version of the program.
    pub version: String,
    /// Own changes that wait for a person there.
    pub held: u64,
    /// Own transactions in quarantine there.
    pub quarantined: u64,
    /// The requestor's clock when it made the request, in milliseconds since 1970.
    pub clock: u64,
}

/// What a requestor presents to be admitted (`design.md` §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The proof that it knows the invitation's secret, bound to the key.
    pub proof: String,
    /// The postoffice's public key, in OpenSSH's one-line form.
    pub key: String,
}

/// The head of a request: a pure function of committed requestor state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The requestor.
    pub from: PostofficeName,
    /// Its server.
    pub to: PostofficeName,
    /// The life of the requestor's numbering.
    pub epoch: ReqEpoch,
    /// The epochs it descends from, oldest first.
    pub lineage: Vec<ReqEpoch>,
    /// Number of this request.
    pub number: RequestNo,
    /// Id of this request.
    pub id: RequestId,
    /// The submitting side.
    pub own: OwnPart,
    /// The newest server epoch ever heard.
    pub epoch_heard: Option<ServerEpoch>,
    /// Where the list stands; none while nothing is held ("fresh").
    pub point: Option<SyncPoint>,
    /// Digest of the list held (the verification).
    pub list_digest: SetDigest,
    /// The list did not match the digest of an update.
    pub list_bad: bool,
    /// The list's buckets, when the server asked for them or the list is bad: folded to `.0` bits.
    pub list_buckets: Option<(u32, BucketSums)>,
    /// What the requestor wants to see.
    pub view_wanted: View,
    /// At first contact only, and until it is answered.
    pub admission: Option<Admission>,
    /// For the administrator.
    pub health: Health,
}
