//! The rules by their names, and the branches that are rarely taken. A simulation switches single rules off,
//! to see that it notices, and counts the branches that it never reached.
//!
//! Without the feature `simulation`, as in every release, each rule holds and nothing is counted: the compiler
//! removes all of it.

/// Whether invariants are checked that cost a look into the tables: in debug builds and in simulations.
pub const CHECKED: bool = cfg!(any(debug_assertions, feature = "simulation"));

#[cfg(feature = "simulation")]
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! names {
    ($(#[$about:meta])* $kind:ident { $($(#[doc = $text:literal])+ $name:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $kind {
            $($(#[doc = $text])+ $name,)+
        }

        impl $kind {
            /// All of them, with their names and texts.
            pub const ALL: &[(Self, &str, &str)] =
                &[$((Self::$name, $word, concat!($($text,)+)),)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                Self::ALL[self as usize].1
            }

            /// The one with a name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(rule, ..)| *rule)
            }
        }
    };
}

names! {
/// A rule of `docs/protocol.md` that an earlier draft lacked. The text says what happens without it.
Rule {
    /// a gap is judged by the first transaction's number
    Range = "range",
    /// a change that was acknowledged once cannot be sent again
    OwnLog = "ownlog",
    /// the server does not compare the digest of the origin's own entries
    OwnDigest = "owndigest",
    /// a change with an older stamp replaces a newer one
    Stamp = "stamp",
    /// stamps follow the clock, also backwards
    Clock = "clock",
    /// after a fork the origin's own state replaces the server's
    Merge = "merge",
    /// a request is taken whatever its number
    RequestNumber = "qnum",
    /// an update is taken whichever request it answers
    Answers = "answers",
    /// an answer is recognised by the number of its request alone
    RequestId = "rid",
    /// server epochs have no order: any other one is news
    GenerationOrder = "genorder",
    /// a server believes claims of epochs and points without evidence
    Evidence = "evidence",
    /// sync points have no marks
    Mark = "mark",
    /// points below the horizon are forgotten
    KeepPoints = "keeppoints",
    /// the points of middle parts have no marks
    PartMark = "partmark",
    /// an entry that left a view is not deleted there
    Leave = "leave",
    /// only the views that showed the last version are told of a deletion
    HistoryAny = "histany",
    /// an update is applied whatever view it starts from
    ViewBind = "viewbind",
    /// an address that is given up goes to the entry that waits longest
    House = "house",
    /// an entry that waits for an address is not decided again
    Shadow = "shadow",
    /// an unknown epoch is accepted at once
    Challenge = "challenge",
    /// every request of an unknown epoch gets a new challenge
    ChallengeKept = "chalkeep",
    /// a fenced machine renews itself
    Fence = "fence",
    /// a restored server replaces lists before the origins have spoken
    Recover = "recover",
    /// any request ends the recovery of its origin
    Spoken = "spoken",
    /// a merge does not know the deletions made here
    KeepTombstones = "keeptombs",
    /// a complete update completes a middle part that reaches as far or further
    Complete = "complete",
    /// a replace is applied although the list has moved
    ReplaceFrom = "replfrom",
    /// a server that hears a newer epoch of another instance takes a newer one itself
    Instance = "inst",
    /// an entry that was handed over falls back to its former owner
    Moved = "moved",
    /// a removed postoffice is forgotten
    Removed = "removed",
    /// a requestor below the horizon gets a delta
    Horizon = "horizon",
    /// a held deletion holds up the acknowledgement
    HeldAcknowledged = "heldack",
    /// after a middle part entries travel as their changed attributes
    PartWhole = "partwhole",
    /// a later part of a first fill is applied to a list that another filled
    FillPart = "fillpart",
    /// a postoffice whose key is pinned and that has not spoken yet is not waited for
    KeyOwes = "keyowes",
    /// entries that exchange addresses with others wait for each other
    Exchange = "exchange",
    /// the stamp of a claim does not follow that of the offer
    ClaimStamp = "claimstamp",
    /// the end of a stub has the stub's stamp, like a deletion
    StubStamp = "stubstamp",
    /// a deletion of an entry that the server never held is not remembered
    DeadDeletion = "deaddel",
    /// an epoch that descends from nobody is given the challenge of an earlier one
    ChallengeFresh = "chalfresh",
    /// a merged set does not descend from the epochs that it belonged to
    Heir = "heir",
    /// a merge forgets deletions of entries that are not held here
    OwnDeletions = "owndels",
    /// a restore that a person ordered goes on in the copy's own epoch
    Told = "told",
    /// two ids of one request number are taken for one machine
    Doubled = "doubled",
    /// an answer to another machine is taken from it
    Addressee = "addressee",
    /// a server that hears later epochs of its own again and again begins a new one each time
    ServerDoubled = "srvdoubled",
    /// an entry is handed over as the new owner's view shows it
    Offer = "offer",
    /// bodies under way are named again whatever point their requestor states
    Frozen = "frozen",
    /// own changes under way are sent again whatever the server has acknowledged
    Pinned = "pinned",
    /// bodies under way are made anew for each message
    Again = "again",
    /// no message says which bytes of bodies have come
    Came = "came",
    /// a scheduled step runs within a minute of its time, or not at all
    CatchUp = "catchup",
    /// a scheduled step runs although its run window is over
    Window = "window",
    /// a scheduled step that could not use a place is not tried again in its run window
    Incomplete = "incomplete",
    /// after a clock went back a schedule rests until the clock is there again
    ClockBack = "clockback",
    /// in continuous mode nothing is asked for without an own change
    Heartbeat = "heartbeat",
    /// an applied change is not confirmed
    Confirm = "confirm",
    /// in continuous mode a place that failed is not tried again
    PlaceAgain = "placeagain",
    /// a confirmation that has to wait for its place is a reason to look at once
    Rest = "rest",
    /// a turn that failed is taken again at once
    TurnPause = "turnpause",
    /// a failure that goes on is said at each turn
    FailureSaid = "failuresaid",
    /// a postoffice that rests is not looked at when somebody is overdue
    LateLooked = "latelooked",
    /// what is forgotten after a day is forgotten when the clock jumps by more
    TidyJump = "tidyjump",
    /// an alarm sounds at each turn
    AlarmOnce = "alarmonce",
    /// nobody is told that something no longer needs a person
    AlarmEnds = "alarmends",
}
}

names! {
/// A branch that is rarely taken. A run reports which were never taken.
Branch {
    /// a replace arrives in several parts
    StagedPart = "staged part",
    /// a replace in parts is swapped in
    StagedSwap = "staged swap",
    /// a delta arrives across two server epochs
    AcrossEpochs = "across epochs",
    /// a body begins at a middle part's point
    FromMiddlePart = "from a middle part",
    /// a body changes a list's view
    ViewChange = "view change",
    /// a list is repaired by buckets
    Buckets = "buckets",
    /// a version loses in a merge
    MergeLoser = "merge loser",
    /// an own entry is dropped, as it was deleted in an epoch that was lost
    MergeDropped = "merge dropped",
    /// an entry is adopted in a merge
    MergeAdopted = "merge adopted",
    /// an entry that waits for an address is decided again, as the address is given up
    DecidedAgain = "decided again",
    /// a blocked entry is granted its addresses after all
    GrantedAfterAll = "granted after all",
    /// a deletion that arrived before the offer counts as claim
    EarlyHeir = "early heir",
    /// a deletion of an entry on offer counts as claim and deletion
    OfferDeleted = "offer deleted",
    /// deletions are held
    Held = "held",
    /// an entry is new again after its tombstone
    Reborn = "reborn",
    /// tombstones are forgotten
    Forgotten = "forgotten",
}
}

#[cfg(feature = "simulation")]
static WITHOUT: AtomicU64 = AtomicU64::new(0);
#[cfg(feature = "simulation")]
static TAKEN: AtomicU64 = AtomicU64::new(0);

impl Rule {
    /// Whether it is in force. It always is, unless a simulation has switched it off.
    #[cfg(not(feature = "simulation"))]
    #[inline(always)]
    pub const fn holds(self) -> bool {
        true
    }

    /// Whether it is in force. It always is, unless a simulation has switched it off.
    #[cfg(feature = "simulation")]
    pub fn holds(self) -> bool {
        WITHOUT.load(Ordering::Relaxed) & (1 << self as u64) == 0
    }

    /// Switches it off for this process.
    #[cfg(feature = "simulation")]
    pub fn switch_off(self) {
        WITHOUT.fetch_or(1 << self as u64, Ordering::Relaxed);
    }
}

impl Branch {
    /// Notes that it is taken.
    #[cfg(not(feature = "simulation"))]
    #[inline(always)]
    pub const fn take(self) {}

    /// Notes that it is taken.
    #[cfg(feature = "simulation")]
    pub fn take(self) {
        TAKEN.fetch_or(1 << self as u64, Ordering::Relaxed);
    }

    /// Whether it was ever taken in this process.
    #[cfg(feature = "simulation")]
    pub fn taken(self) -> bool {
        TAKEN.load(Ordering::Relaxed) & (1 << self as u64) != 0
    }
}
