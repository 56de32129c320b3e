//! The arguments of a step beside its tables: time, random tokens, and a place for its log lines.

use std::io::BufRead;

use dirsync_message::{BodyError, BodyReader, Transaction};
use thiserror::Error;

use crate::bounds::OutOfBounds;
pub use crate::event::{Event, Level, ParseLevelError};
use crate::evidence::EvidenceKey;
use crate::guard::GuardLimits;
use crate::row::Row;
use crate::tables::StoreError;

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

/// The arguments of a step beside its tables.
pub struct Context<'a> {
    /// The time, in milliseconds since 1970.
    pub now: u64,
    /// The source of random tokens.
    pub draws: &'a mut Draws,
    /// The log lines of the step.
    pub events: &'a mut Vec<Event>,
    /// How many deletions of one origin are too many.
    pub guard: GuardLimits,
    /// The secret of the server's evidence.
    pub evidence: &'a EvidenceKey,
}

impl Context<'_> {
    /// Adds a log line.
    pub fn say(&mut self, level: Level, row: Row, text: impl Into<String>) {
        self.events.push(Event { level, row, text: text.into() });
    }

    /// The same context for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Context<'_> {
        let Self { now, guard, evidence, .. } = *self;
        Context { now, draws: self.draws, events: self.events, guard, evidence }
    }
}

/// The transactions of a message's body, in order.
pub trait TransactionSource {
    /// The next transaction; `None` after the last one, when the trailer was right.
    ///
    /// # Errors
    ///
    /// The body is damaged: the whole message is refused.
    fn next(&mut self) -> Result<Option<Transaction<'_>>, BodyError>;
}

impl<R: BufRead> TransactionSource for BodyReader<R> {
    fn next(&mut self) -> Result<Option<Transaction<'_>>, BodyError> {
        Self::next(self)
    }
}

/// A message could not be taken; its changes have to be rolled back.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The store failed: the message stays and is tried again.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The message is damaged: it counts as lost.
    #[error("the message is damaged: {0}")]
    Body(#[from] BodyError),
    /// A number of the message is further ahead than counting could have led.
    #[error(transparent)]
    Bounds(#[from] OutOfBounds),
    /// The message contradicts itself.
    #[error("the message contradicts itself: {0}")]
    Contradiction(String),
}
