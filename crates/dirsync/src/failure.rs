//! Failures as people see them, and the exit code of each.

use std::fmt;

/// What ends a command. A signal that ends one without its doing gives 130 by the shell's custom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Done, but something is held, quarantined or overdue.
    Waiting = 3,
    /// A peer or carrier could not be reached.
    Unreachable = 4,
}

/// A failure with what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub status: ExitStatus,
    /// What failed.
    pub error: anyhow::Error,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A mistake in how the command was used or configured.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self { status: ExitStatus::Usage, error: anyhow::anyhow!("{text}"), hint: None }
    }

    /// With another exit code.
    pub fn with_status(mut self, status: ExitStatus) -> Self {
        self.status = status;
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let unreachable = error.chain().any(|cause| {
            matches!(
                cause.downcast_ref::<dirsync_carrier::CarrierError>(),
                Some(dirsync_carrier::CarrierError::Unreachable { .. })
            )
        }) || matches!(
            error.downcast_ref::<dirsync_agent::step::StepError>(),
            Some(dirsync_agent::step::StepError::Carrier(
                dirsync_carrier::CarrierError::Unreachable { .. }
            ))
        );
        let status = if unreachable { ExitStatus::Unreachable } else { ExitStatus::Failed };
        Self { status, error, hint: None }
    }
}

/// The result of a command.
pub type Outcome<T = ExitStatus> = Result<T, Failure>;
