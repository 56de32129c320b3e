//! What kinds of worlds there are: the seed picks one, and everything about it.

use dirsync_testing::Random;

use crate::conversation::{Conversation, playable};
use crate::naming::Sight;
use crate::step::Step;
use crate::world::{LENIENT, STRICT, Setup};

/// A kind of step beside sending, taking, answering and applying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Sends.
    Send,
    /// Takes a request.
    Take,
    /// Answers.
    Answer,
    /// Applies.
    Apply,
    /// An own entry changes.
    Change,
    /// Addresses that somebody else may want.
    Collide,
    /// Out of the narrow view or into it.
    Hide,
    /// An entry is handed over.
    Hand,
    /// Everything is deleted.
    Mass,
    /// A source is read.
    Read,
    /// Another view is asked for.
    View,
    /// A message arrives again.
    Double,
    /// A message is lost.
    Drop,
    /// A message is cut off, altered, or seen by two agents.
    Harm,
    /// A step dies in between.
    Crash,
    /// A disk is full for a while.
    Disk,
    /// A clock is wrong.
    Clock,
    /// Days pass.
    Wait,
    /// An answer has many parts.
    Parts,
    /// The server's database is copied.
    BackupServer,
    /// The copy is put back.
    RestoreServer,
    /// A machine's database is copied.
    BackupMachine,
    /// The copy is put back.
    RestoreMachine,
    /// A machine begins anew.
    Reinstall,
    /// There are two machines of one name.
    Clone,
    /// A copy of the server, for promotion.
    Standby,
    /// It is promoted.
    Promote,
    /// The server moves.
    Move,
    /// Deletions are forgotten.
    Purge,
    /// A postoffice is removed.
    Remove,
    /// Held deletions are decided.
    Decide,
    /// A list changes on disk.
    Damage,
    /// A machine, one of its copies, or a server takes what lies in its inbox and sends.
    Turn,
    /// The server's folder is copied, and both work.
    CloneServer,
    /// Minutes or hours pass in which agents work.
    Run,
    /// A place goes away or comes back.
    Away,
    /// A process ends, or begins.
    Stop,
    /// A person undoes a run, or lets a source go on.
    Undo,
    /// A line passes some bytes.
    Line,
    /// Bodies that travel are lost.
    Wipe,
}

use Kind::*;

/// A profile: which postoffices, and how often a kind of step may come.
pub type Profile = (&'static str, &'static str, &'static [(Kind, u64)]);

/// The profiles in which drafts of the protocol were searched for faults, and those that came later.
pub const PROFILES: &[Profile] = &[
    ("plain", "AB", &[(Change, 6), (Double, 4), (Drop, 3)]),
    (
        "restored server",
        "AB",
        &[(Change, 6), (Double, 3), (Drop, 2), (BackupServer, 2), (RestoreServer, 2)],
    ),
    (
        "restored requestor",
        "AB",
        &[(Change, 6), (Double, 3), (Drop, 2), (BackupMachine, 2), (RestoreMachine, 2)],
    ),
    (
        "both restored",
        "AB",
        &[
            (Change, 7),
            (Double, 2),
            (Drop, 2),
            (BackupServer, 2),
            (RestoreServer, 2),
            (BackupMachine, 2),
            (RestoreMachine, 2),
            (Purge, 1),
        ],
    ),
    ("reinstalled", "AB", &[(Change, 5), (Double, 3), (Drop, 2), (Reinstall, 2)]),
    ("clone", "AB", &[(Change, 5), (Double, 2), (Drop, 2), (Clone, 1)]),
    (
        "parts",
        "AB",
        &[
            (Change, 7),
            (Double, 2),
            (Drop, 1),
            (BackupServer, 2),
            (RestoreServer, 1),
            (Parts, 6),
            (Damage, 1),
        ],
    ),
    ("twins", "AB", &[(Change, 6), (Double, 3), (Drop, 2), (Clone, 1), (Reinstall, 2)]),
    (
        "handed over by twins",
        "AB",
        &[
            (Change, 5),
            (Double, 2),
            (Drop, 2),
            (Hand, 5),
            (Clone, 1),
            (BackupMachine, 1),
            (RestoreMachine, 1),
        ],
    ),
    ("views", "AB", &[(Change, 7), (Double, 3), (Drop, 2), (View, 3), (Parts, 3), (Hide, 3)]),
    ("purge", "AB", &[(Change, 7), (Double, 3), (Drop, 2), (Purge, 3), (Parts, 2)]),
    ("collisions", "AB", &[(Change, 8), (Double, 2), (Drop, 2), (Collide, 8)]),
    (
        "standby",
        "AB",
        &[(Change, 6), (Double, 2), (Drop, 2), (Standby, 2), (Promote, 1), (Purge, 1)],
    ),
    ("move", "AB", &[(Change, 6), (Double, 3), (Drop, 2), (Move, 1)]),
    ("transfer", "AB", &[(Change, 5), (Double, 3), (Drop, 2), (Hand, 8)]),
    ("removal", "AB", &[(Change, 5), (Double, 4), (Drop, 2), (Remove, 1)]),
    ("held", "AB", &[(Change, 8), (Double, 2), (Drop, 2), (Mass, 2), (Decide, 1), (Wait, 2)]),
    (
        "all",
        "ABC",
        &[
            (Change, 9),
            (Double, 4),
            (Drop, 3),
            (BackupServer, 2),
            (RestoreServer, 1),
            (BackupMachine, 2),
            (RestoreMachine, 1),
            (Purge, 1),
            (View, 1),
            (Parts, 2),
            (Hide, 2),
            (Collide, 4),
            (Standby, 1),
            (Hand, 3),
            (Reinstall, 1),
            (Clone, 1),
            (Mass, 1),
            (Decide, 1),
        ],
    ),
    ("crashes", "ABS", &[(Change, 8), (Drop, 1), (Crash, 14), (Parts, 2), (Collide, 2), (Hand, 2)]),
    ("bad lines", "ABC", &[(Change, 8), (Harm, 10), (Drop, 2), (Parts, 2), (Read, 3), (Hide, 2)]),
    (
        "clocks",
        "ABS",
        &[(Change, 9), (Clock, 6), (Wait, 3), (Hand, 5), (Double, 2), (Read, 2), (Mass, 1)],
    ),
    ("full disks", "ABS", &[(Change, 8), (Disk, 5), (Double, 2), (Crash, 4), (Hand, 2)]),
    (
        "many views",
        "ABCS",
        &[(Change, 10), (View, 8), (Hide, 5), (Double, 3), (Drop, 2), (Parts, 3), (Collide, 3)],
    ),
    (
        "damage",
        "ABC",
        &[(Change, 7), (Damage, 3), (Double, 3), (Drop, 3), (Parts, 3), (Purge, 1), (Harm, 3)],
    ),
    ("large", "AB", &[(Change, 5), (Damage, 2), (Double, 2), (Drop, 1), (Parts, 1), (Purge, 1)]),
    (
        "schedules",
        "ABC",
        &[
            (Change, 20),
            (Collide, 4),
            (Hand, 4),
            (Drop, 6),
            (Double, 4),
            (Clock, 2),
            (Disk, 2),
            (Hide, 3),
        ],
    ),
    (
        "server's own",
        "ABS",
        &[(Change, 8), (Double, 2), (Drop, 2), (BackupServer, 2), (RestoreServer, 2), (Hand, 3)],
    ),
    (
        "five",
        "ABCDE",
        &[
            (Change, 14),
            (Collide, 6),
            (Hand, 6),
            (Hide, 3),
            (View, 4),
            (Double, 5),
            (Drop, 4),
            (Harm, 3),
            (Crash, 3),
            (Purge, 1),
            (Wait, 2),
        ],
    ),
    (
        "sources",
        "AB",
        &[
            (Change, 5),
            (Read, 18),
            (Double, 2),
            (Drop, 2),
            (BackupMachine, 2),
            (RestoreMachine, 2),
            (Reinstall, 1),
        ],
    ),
    (
        "sources of all",
        "ABS",
        &[
            (Change, 5),
            (Read, 18),
            (Hand, 4),
            (Crash, 3),
            (BackupServer, 1),
            (RestoreServer, 1),
            (Reinstall, 1),
            (Mass, 1),
            (Decide, 1),
        ],
    ),
    (
        "handed over through views",
        "ABC",
        &[
            (Change, 8),
            (Hand, 14),
            (View, 4),
            (Hide, 3),
            (Double, 2),
            (Drop, 2),
            (BackupMachine, 1),
            (RestoreMachine, 1),
        ],
    ),
    ("copies in turn", "AB", &[(Change, 6), (Turn, 16), (Clone, 1), (Drop, 1)]),
    ("three copies in turn", "AB", &[(Change, 6), (Turn, 20), (Clone, 2), (Double, 1)]),
    ("servers in turn", "AB", &[(Change, 6), (Turn, 16), (CloneServer, 1), (Drop, 1)]),
    (
        "everything in turn",
        "ABS",
        &[(Change, 8), (Turn, 24), (Clone, 1), (CloneServer, 1), (Hand, 2), (Double, 1)],
    ),
    (
        "undone",
        "AB",
        &[
            (Change, 8),
            (Read, 16),
            (Undo, 8),
            (Hand, 3),
            (Hide, 1),
            (Collide, 2),
            (Double, 2),
            (Drop, 2),
            (Mass, 1),
            (Decide, 1),
        ],
    ),
    (
        "undone and restored",
        "ABS",
        &[
            (Change, 8),
            (Read, 10),
            (Undo, 8),
            (Crash, 3),
            (BackupMachine, 2),
            (RestoreMachine, 2),
            (BackupServer, 1),
            (RestoreServer, 1),
            (Reinstall, 1),
            (Clone, 1),
            (Purge, 1),
        ],
    ),
    ("lines", "AB", &[(Change, 10), (Line, 40), (Double, 2), (Drop, 2), (Parts, 8), (Wipe, 1)]),
    (
        "lines and restores",
        "ABS",
        &[
            (Change, 10),
            (Line, 40),
            (Drop, 2),
            (Crash, 3),
            (Harm, 2),
            (Parts, 6),
            (View, 1),
            (Hide, 2),
            (Purge, 1),
            (BackupServer, 1),
            (RestoreServer, 1),
            (BackupMachine, 1),
            (RestoreMachine, 1),
            (Reinstall, 1),
            (Wipe, 2),
        ],
    ),
    ("agents", "ABS", &[(Change, 8), (Run, 60), (Away, 5), (Stop, 3), (Hand, 2)]),
    ("agents by wrong clocks", "ABS", &[(Change, 5), (Run, 60), (Away, 2), (Clock, 6), (Stop, 2)]),
    ("agents on full disks", "ABS", &[(Change, 8), (Run, 60), (Away, 2), (Disk, 8), (Stop, 1)]),
    (
        "worst",
        "ABCS",
        &[
            (Change, 12),
            (Collide, 4),
            (Hand, 4),
            (Hide, 2),
            (Mass, 1),
            (Read, 3),
            (View, 3),
            (Double, 4),
            (Drop, 4),
            (Harm, 4),
            (Crash, 4),
            (Disk, 2),
            (Clock, 2),
            (Wait, 2),
            (Parts, 3),
            (BackupServer, 1),
            (RestoreServer, 1),
            (BackupMachine, 1),
            (RestoreMachine, 1),
            (Reinstall, 1),
            (Clone, 1),
            (Purge, 2),
            (Decide, 1),
            (Damage, 1),
        ],
    ),
];

/// What happens around a conversation.
const TALE: Profile = (
    "told",
    "AB",
    &[
        (Change, 4),
        (Double, 3),
        (Drop, 2),
        (Parts, 2),
        (BackupServer, 1),
        (RestoreServer, 1),
        (BackupMachine, 1),
        (RestoreMachine, 1),
        (Purge, 1),
        (Hand, 2),
        (Crash, 1),
    ],
);

/// One world in this number begins with a conversation.
const TOLD_EACH: u64 = 4;

/// How one world goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The profile's name.
    pub profile: &'static str,
    /// What it begins with.
    pub setup: Setup,
    /// How often a kind of step may still come.
    pub budget: Vec<(Kind, u64)>,
    /// Entries of each postoffice.
    pub keys: u64,
    /// Random steps before the faults stop.
    pub steps: usize,
    /// Whether a person approves what is held in the end.
    pub approving: bool,
    /// The steps of a conversation that come first, more or less.
    pub told: Vec<Step>,
    /// So many days by the clock come before the random steps.
    pub days: u64,
    /// One in so many of those is left out, doubled, or followed by another; none for 0.
    pub edited: u64,
}

/// One world in this number keeps its databases in files.
pub const IN_FILES: u64 = 10;
/// One world in this number seals its messages with keys.
const SEALED: u64 = 10;

impl Plan {
    /// The plan of a seed, and where its steps are drawn from.
    pub fn of(seed: u64) -> (Self, Random) {
        let count = PROFILES.len() as u64;
        let in_files = seed / count % IN_FILES == IN_FILES - 1;
        let (mut plan, random) = if seed % TOLD_EACH == TOLD_EACH - 1 {
            Self::told(seed, in_files)
        } else {
            Self::with(PROFILES[(seed % count) as usize], seed, in_files)
        };
        plan.setup.sealed = seed / count % SEALED == SEALED / 2;
        (plan, random)
    }

    /// A world that begins with a conversation, more or less: what once broke a draft lies near.
    ///
    /// # Panics
    ///
    /// When a conversation that comes with the simulator is wrong.
    pub fn told(seed: u64, in_files: bool) -> (Self, Random) {
        let (mut plan, mut random) = Self::with(TALE, seed, in_files);
        // What agents do is decided by the clock: other steps in between would be nobody's.
        let by_hand = |(_, text): &(&str, &str)| !text.contains("\nagent ");
        let tales: Vec<_> = playable().into_iter().filter(by_hand).collect();
        let (name, text) = random.pick(&tales);
        let conversation = Conversation::parse(text).expect("it is played by a test");
        plan.profile = name;
        plan.setup = Setup { seed, in_files, ..conversation.setup().clone() };
        plan.told = conversation.steps();
        plan.edited = random.pick(&[0, 30, 15, 8]);
        plan.steps = random.pick(&[0, 0, 4, 12]);
        plan.approving = true;
        (plan, random)
    }

    /// The plan of a seed for a profile.
    pub fn with(profile: Profile, seed: u64, in_files: bool) -> (Self, Random) {
        let mut random = Random::new(seed);
        let (name, postoffices, budget) = profile;
        let has = |kind: Kind| budget.iter().any(|(known, _)| *known == kind);
        let sights = if random.one_in(2) {
            vec![Sight::Narrow]
        } else {
            (0..postoffices.len()).map(|_| random.pick(&Sight::ALL).1).collect()
        };
        let guard = if has(Mass) || has(Decide) { STRICT } else { LENIENT };
        let bulk = if name == "large" { 600 } else { 0 };
        let (postoffices, push) = (postoffices.to_owned(), seed % 2 == 1);
        let in_turn = has(Turn);
        let sealed = false;
        let slow = if has(Line) { random.pick(&["A", "AB"]) } else { "" }.to_owned();
        let setup =
            Setup { postoffices, seed, sights, in_files, sealed, guard, push, bulk, in_turn, slow };
        let plan = Self {
            profile: name,
            setup,
            budget: budget.to_vec(),
            keys: random.pick(&[2, 2, 2, 3, 4]),
            steps: match bulk {
                0 if has(Run) => random.pick(&[10, 20, 30]),
                0 => random.pick(&[20, 40, 60, 60]),
                _ => 15,
            },
            approving: !random.one_in(4),
            told: Vec::new(),
            days: if name == "schedules" { 2 + random.below(6) } else { 0 },
            edited: 0,
        };
        (plan, random)
    }

    /// Whether a kind of step may come at all.
    pub fn has(&self, kind: Kind) -> bool {
        self.budget.iter().any(|(known, _)| *known == kind)
    }
}
