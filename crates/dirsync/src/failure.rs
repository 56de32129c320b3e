//! What ends a command.

use dirsync_agent::waiting::Health;
use schemars::JsonSchema;
use serde::Serialize;

use crate::words::hint::pasteable;

pub use dirsync_postoffice::{Failure, FailureKind, Result};

/// What ends a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Done, but something is held, quarantined or overdue, or a place or source is in trouble.
    Waiting = 3,
    /// A peer or carrier could not be reached.
    Unreachable = 4,
    /// The agent was interrupted (SIGINT). Shells give the same to a command that the signal ended.
    Interrupted = 130,
}

impl From<FailureKind> for ExitStatus {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Failed => Self::Failed,
            FailureKind::Usage => Self::Usage,
            FailureKind::Unreachable => Self::Unreachable,
        }
    }
}

impl From<Health> for ExitStatus {
    fn from(health: Health) -> Self {
        match health {
            Health::Well => Self::Done,
            Health::Waiting => Self::Waiting,
            Health::Unreachable => Self::Unreachable,
        }
    }
}

/// A failure. The exit code tells its kind.
#[derive(Serialize, JsonSchema)]
pub struct FailureDocument {
    /// What failed, and why.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The log lines of the steps that were done before it.
    pub done: Vec<String>,
}

impl FailureDocument {
    /// The document of a failure.
    pub fn of(failure: &Failure) -> Self {
        Self {
            error: pasteable(&failure.text()),
            hint: failure.hint.as_deref().map(pasteable),
            done: failure.before.iter().map(|line| line.text.clone()).collect(),
        }
    }
}
