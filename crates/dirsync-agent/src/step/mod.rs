//! The steps: T1 [`send`], T2 [`process`], T3 [`apply`].
//!
//! Each step loads state, asks the protocol, commits, and only then writes or removes a file (commit points
//! C2 to C5 of `docs/protocol.md`). Its log lines are in the transactions that make them true. The steps are
//! generic over store and transit, and are given time and randomness, so that a simulation runs the same
//! code.

mod apply;
mod left;
mod place;
mod process;
mod read_ahead;
mod refusals;
mod send;
mod transport;
mod turn;
mod under_way;

use std::fmt;
use std::sync::Arc;

use dirsync_carrier::{Spool, Transit};
use dirsync_directory::PostofficeName;
use dirsync_message::{BodyError, HeadError};
use dirsync_protocol::bounds::OutOfBounds;
use dirsync_protocol::context::{Context, Draws, Event, Level, ReceiveError};
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{LogLine, StoreError, Stored};
use dirsync_seal::SealError;
use dirsync_store::Transaction;
use dirsync_transit::{BodiesError, Outbox};
use thiserror::Error;

use crate::decisions::DecideError;
use crate::route::FallBack;
use crate::sealing::Sealing;

pub use apply::{ApplyReport, apply};
pub use place::{PlaceFailure, Sent};
pub use process::{
    Places, ProcessReport, STRANGERS_WAITING_MAX, answer_requests, process, requests_arrived,
    take_requests,
};
pub use send::{SendReport, send};
pub use transport::message_name;
pub use turn::UNTAKEN_PER_STEP_MAX;
pub use under_way::UnderWayLimits;

/// The places of the directory server in the order in which a requestor prefers them, each by its text and with
/// the transit there.
pub type Ways<'a> = [(&'a str, &'a dyn Transit)];

/// The arguments of a step beside store and transit.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The time, in milliseconds since 1970.
    pub now: u64,
    /// The seed of random tokens. Never the same twice.
    pub seed: [u8; 32],
    /// The limits above which the server holds deletions.
    pub guard: GuardLimits,
    /// The secret of the server's evidence, or [`EvidenceKey::NONE`] if this postoffice is no server.
    pub evidence: EvidenceKey,
    /// The keys of this postoffice.
    pub sealing: Arc<dyn Sealing>,
    /// The number of threads that seal and open messages. With more than one, a long body is also opened
    /// by a thread of its own while it is applied. With one, the step does everything itself.
    pub threads: usize,
    /// Bodies with more compressed bytes than this are split into parts.
    pub part_bytes_max: u64,
    /// zstd level of bodies.
    pub compression: i32,
    /// zstd level of bodies that travel over slow lines.
    pub slow_compression: i32,
    /// The bodies that travel apart from their messages.
    pub outbox: Outbox,
    /// Which they are.
    pub under_way: UnderWayLimits,
    /// Where bodies are kept until they are sent.
    pub spool: Spool,
    /// How long a place may fail before the next one of a postoffice is used.
    pub fall_back: FallBack,
    /// How old a file that seems half written has to be before it is refused, in milliseconds.
    pub settle_ms: u64,
}

impl Surroundings {
    /// The zstd level of bodies that travel this way.
    fn level(&self, transit: &dyn Transit) -> i32 {
        if transit.is_slow() { self.slow_compression } else { self.compression }
    }

    /// Runs `step` with a protocol context that adds to `events`.
    pub(crate) fn run<R>(
        &self,
        draws: &mut Draws,
        events: &mut Vec<Event>,
        step: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        let Self { now, guard, evidence, .. } = self;
        step(&mut Context { now: *now, draws, events, guard: *guard, evidence })
    }
}

/// A step that a failure ended early. The work in its report is done and its events are in the log. The
/// next run does the rest.
///
/// A place that fails does not end a step: its messages wait, everything else is done, and the report
/// names it ([`PlaceFailure`]).
#[derive(Debug, Error)]
#[error("{cause}")]
pub struct Interrupted<R: fmt::Debug> {
    /// The work that was done before.
    pub report: Box<R>,
    /// The failure.
    pub cause: StepError,
}

/// Why a step could not go on.
#[derive(Debug, Error)]
pub enum StepError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A message could not be written.
    #[error("could not write a message: {0}")]
    Encode(#[from] std::io::Error),
    /// A message could not be sealed.
    #[error("could not seal a message: {0}")]
    Seal(#[from] SealError),
    /// A body that travels apart could not be kept.
    #[error(transparent)]
    Bodies(#[from] BodiesError),
    /// The epoch or the number of a message is not one that a message can have.
    #[error("a message has no name: its epoch or number is out of bounds")]
    NoName,
    /// The key of the directory server is not in the database.
    #[error(
        "the key of the directory server is not known: make this postoffice anew from an invitation"
    )]
    NoServerKey,
    /// The decisions log could not be read or written.
    #[error("could not read or write the decisions log: {0}")]
    Decisions(std::io::Error),
}

/// Runs a step that fills a report as it goes, so that a failure does not lose the report.
fn reported<R: Default + fmt::Debug>(
    step: impl FnOnce(&mut R) -> Result<(), StepError>,
) -> Result<R, Interrupted<R>> {
    let mut report = R::default();
    match step(&mut report) {
        Ok(()) => Ok(report),
        Err(cause) => Err(Interrupted { report: Box::new(report), cause }),
    }
}

/// The log lines of a step's events. Debug events are only for tests and simulations.
pub fn log_lines(step: &str, at: u64, events: &[Event]) -> Vec<LogLine> {
    events
        .iter()
        .filter(|event| event.level > Level::Debug)
        .map(|event| LogLine {
            at,
            step: step.into(),
            level: event.level,
            text: format!("{} [{}]", event.text, event.row),
            run: None,
        })
        .collect()
}

/// Logs events in the transaction that makes them true.
fn put_events(
    tables: &mut dyn Transaction,
    step: Row,
    around: &Surroundings,
    events: &[Event],
) -> Stored<()> {
    log_lines(step.name(), around.now, events).iter().try_for_each(|line| tables.put_log(line))
}

/// Commits a transaction together with the log lines of its events. If that succeeds, they are added to
/// `said`.
fn commit(
    mut tables: Box<dyn Transaction + '_>,
    step: Row,
    around: &Surroundings,
    events: Vec<Event>,
    said: &mut Vec<Event>,
) -> Stored<()> {
    put_events(&mut *tables, step, around, &events)?;
    tables.commit()?;
    said.extend(events);
    Ok(())
}

impl From<DecideError> for StepError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Log(error) => Self::Decisions(error),
            DecideError::Receive(ReceiveError::Store(error)) => Self::Store(error),
            // No decision reads a message.
            DecideError::Receive(other) => Self::Decisions(std::io::Error::other(other)),
        }
    }
}

/// Why one message is refused. The step goes on with the others.
#[derive(Debug, Error)]
enum RefusedMessage {
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Bounds(#[from] OutOfBounds),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("{0} sent no invitation")]
    NoProof(PostofficeName),
    #[error("{0}")]
    Said(String),
}

impl RefusedMessage {
    /// The event of setting the message aside.
    fn set_aside(&self, step: Row) -> Event {
        let text = format!("a message was refused and set aside: {self}");
        let (level, row) = match self {
            Self::NoProof(_) => (Level::Warning, Row::F3),
            _ => (Level::Error, step),
        };
        Event { level, row, text }
    }
}

/// Splits an error: a failure of the store ends the step, anything else refuses this message only.
fn refusal(error: ReceiveError) -> Result<RefusedMessage, StoreError> {
    match error {
        ReceiveError::Store(error) => Err(error),
        ReceiveError::Body(error) => Ok(RefusedMessage::Body(error)),
        ReceiveError::Bounds(error) => Ok(RefusedMessage::Bounds(error)),
        ReceiveError::Contradiction(text) => {
            Ok(RefusedMessage::Said(format!("the message contradicts itself: {text}")))
        }
    }
}
