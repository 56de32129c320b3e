//! What a step is given beside its tables: time, random tokens, and a place for its log lines.

use std::fmt;
use std::str::FromStr;

use dirsync_directory::excerpt;
use dirsync_message::{BodyError, Transaction};
use thiserror::Error;

use crate::bounds::OutOfBounds;
use crate::guard::GuardLimits;
use crate::tables::StoreError;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who follows the protocol.
    Debug,
    /// The ordinary course.
    Info,
    /// Unusual, and repaired by itself.
    Notice,
    /// Something is out of order.
    Warning,
    /// Something broke and was kept from doing harm.
    Error,
    /// A person should look.
    Alarm,
}

/// A text that is not the word of a [`Level`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is not a level of a log line")]
pub struct ParseLevelError(String);

impl Level {
    const ALL: [Self; 6] =
        [Self::Debug, Self::Info, Self::Notice, Self::Warning, Self::Error, Self::Alarm];

    /// The word by which databases and people know it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Alarm => "alarm",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        let level = Self::ALL.into_iter().find(|level| level.word() == text);
        level.ok_or_else(|| ParseLevelError(excerpt(text)))
    }
}

/// One line that a step has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How much it matters.
    pub level: Level,
    /// The row of the decision tables that was taken, e.g. `S13c`.
    pub rule: &'static str,
    /// The line, with both sides' numbers.
    pub text: String,
}

/// Random tokens, drawn from one seed: the same seed gives the same tokens.
pub struct Draws(blake3::OutputReader);

impl Draws {
    /// Tokens that follow from a seed.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(seed).finalize_xof())
    }

    /// 128 bits.
    pub fn token(&mut self) -> [u8; 16] {
        let mut token = [0; 16];
        self.0.fill(&mut token);
        token
    }

    /// 64 bits.
    pub fn number(&mut self) -> u64 {
        let mut number = [0; 8];
        self.0.fill(&mut number);
        u64::from_be_bytes(number)
    }
}

/// What a step is given.
pub struct Context<'a> {
    /// The time, in milliseconds since 1970.
    pub now: u64,
    /// Random tokens.
    pub draws: &'a mut Draws,
    /// Where log lines go.
    pub events: &'a mut Vec<Event>,
    /// When deletions are too many.
    pub guard: GuardLimits,
}

impl Context<'_> {
    /// Says something.
    pub fn say(&mut self, level: Level, rule: &'static str, text: impl Into<String>) {
        self.events.push(Event { level, rule, text: text.into() });
    }
}

/// Where a message's transactions come from.
pub trait TransactionSource {
    /// The next transaction; none after the last one, whose trailer was right.
    ///
    /// # Errors
    ///
    /// The body is damaged: the whole message is refused.
    fn next(&mut self) -> Result<Option<Transaction<'_>>, BodyError>;
}

/// A message could not be taken; whatever was done for it has to be rolled back.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The store failed: the message stays and is tried again.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The message is damaged: it is as good as lost.
    #[error("the message is damaged: {0}")]
    Body(#[from] BodyError),
    /// A number of the message is further ahead than counting leads.
    #[error(transparent)]
    Bounds(#[from] OutOfBounds),
    /// The message contradicts itself.
    #[error("the message contradicts itself: {0}")]
    Contradiction(String),
}
