//! Failures with what to do about them.

use std::fmt;
use std::path::Path;

use dirsync_carrier::CarrierError;
use dirsync_protocol::tables::{LogLine, StoreError, StoreErrorKind};

/// Who can do something about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Something did not work.
    Failed,
    /// What was asked or configured is wrong, or does not fit this postoffice.
    Usage,
    /// A carrier could not be reached.
    Unreachable,
}

/// A failure with what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// Who can do something about it.
    pub kind: FailureKind,
    /// What failed.
    pub error: anyhow::Error,
    /// What to do.
    pub hint: Option<String>,
    /// The log lines of what was done before.
    pub before: Vec<LogLine>,
    /// It says already which file failed.
    names_file: bool,
}

impl Failure {
    /// A mistake in how the command was used or configured.
    pub fn usage(text: impl fmt::Display) -> Self {
        let error = anyhow::anyhow!("{text}");
        Self { kind: FailureKind::Usage, error, hint: None, before: Vec::new(), names_file: false }
    }

    /// With another kind.
    pub fn with_kind(mut self, kind: FailureKind) -> Self {
        self.kind = kind;
        self
    }

    /// Says where it happened, before what happened.
    pub fn within(mut self, place: String) -> Self {
        self.error = self.error.context(place);
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the log lines of what was done before.
    pub fn after(mut self, mut lines: Vec<LogLine>) -> Self {
        lines.append(&mut self.before);
        self.before = lines;
        self
    }

    /// What failed and why, each cause said once.
    pub fn text(&self) -> String {
        let mut text = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        text
    }

    /// Names the database where it is what failed, and says what to do about it. Who knows best says
    /// it first: what is said after that changes nothing.
    pub fn about(mut self, database: &Path) -> Self {
        if std::mem::replace(&mut self.names_file, true) {
            return self;
        }
        let Some(kind) = store_error(&self.error).map(|error| error.kind) else { return self };
        let path = database.display().to_string();
        if !self.error.to_string().contains(&path) {
            self.error = self.error.context(format!("\"{path}\""));
        }
        self.hint = self.hint.or_else(|| advice(kind).map(str::to_owned));
        self
    }
}

/// The trouble of a database that is at the bottom of an error.
fn store_error(error: &anyhow::Error) -> Option<&StoreError> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// What to do about a database in trouble.
fn advice(kind: StoreErrorKind) -> Option<&'static str> {
    match kind {
        StoreErrorKind::Full => {
            Some("make space on its disk: nothing is half done, the next run goes on")
        }
        StoreErrorKind::ReadOnly => Some(
            "the folder and the files in it have to be writable for the user that runs dirsync",
        ),
        StoreErrorKind::Busy => Some("another program works on it; try again when it has ended"),
        StoreErrorKind::Corrupt => Some(
            "the file is damaged: stop the agent, and put a backup in its place with `dirsync \
             restore FILE`; without one, invite this site again at the server (`dirsync requestor \
             add NAME --folder DIR --again`) and begin in a new folder",
        ),
        StoreErrorKind::Newer => Some("use the newer program; nothing was changed"),
        StoreErrorKind::Twice | StoreErrorKind::Other => None,
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let unreachable = error
            .chain()
            .any(|cause| matches!(cause.downcast_ref(), Some(CarrierError::Unreachable { .. })));
        let kind = if unreachable { FailureKind::Unreachable } else { FailureKind::Failed };
        Self { kind, error, hint: None, before: Vec::new(), names_file: false }
    }
}

/// The result of an operation on a postoffice.
pub type Result<T, E = Failure> = std::result::Result<T, E>;
