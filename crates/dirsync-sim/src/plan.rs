//! What kinds of worlds there are: the seed picks one, and everything about it.

mod profiles;

use dirsync_testing::Random;

use self::profiles::TALE;
pub use self::profiles::{PROFILES, Profile};
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
    /// A line becomes slower or faster.
    Rate,
    /// A machine's whole cycle over a line that passes a little.
    Night,
    /// A postoffice changes its key.
    Rotate,
}

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
        if plan.setup.sealed && !plan.has_copies() {
            plan.budget.push((Kind::Rotate, 4));
        }
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
        let guard = if has(Kind::Mass) || has(Kind::Decide) { STRICT } else { LENIENT };
        let bulk = if name == "large" { 600 } else { 0 };
        let (postoffices, push) = (postoffices.to_owned(), seed % 2 == 1);
        let in_turn = has(Kind::Turn);
        let sealed = false;
        let slow = if has(Kind::Night) {
            random.pick(&["A", "AB", "BC", "AC"])
        } else if has(Kind::Line) || has(Kind::Rate) {
            random.pick(&["A", "AB"])
        } else {
            ""
        };
        let slow = slow.to_owned();
        let setup =
            Setup { postoffices, seed, sights, in_files, sealed, guard, push, bulk, in_turn, slow };
        let plan = Self {
            profile: name,
            setup,
            budget: budget.to_vec(),
            keys: if has(Kind::Night) {
                random.pick(&[4, 8, 12])
            } else {
                random.pick(&[2, 2, 2, 3, 4])
            },
            steps: match bulk {
                0 if has(Kind::Run) => random.pick(&[10, 20, 30]),
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

    /// Whether a postoffice may have two machines or a server two folders. Where one of them changes its key, the other
    /// has to be told by hand, so worlds do not try it.
    fn has_copies(&self) -> bool {
        let copies = [Kind::Clone, Kind::CloneServer, Kind::Promote];
        let is_copy = |step: &Step| matches!(step, Step::Clone(_) | Step::Promote);
        copies.iter().any(|kind| self.has(*kind)) || self.told.iter().any(is_copy)
    }

    /// Whether a kind of step may come at all.
    pub fn has(&self, kind: Kind) -> bool {
        self.budget.iter().any(|(known, _)| *known == kind)
    }
}
