//! Failures, with advice for the person who reads them.

use std::fmt;

use dirsync_carrier::TransitError;
use dirsync_protocol::tables::{LogLine, StoreError, StoreErrorKind};

/// The kind of a failure: who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Something did not work, or is not there.
    Failed,
    /// A request or a setting is wrong, or does not fit this postoffice.
    Usage,
    /// A carrier could not be reached.
    Unreachable,
}

/// A failure, and advice about it.
#[derive(Debug)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// The error.
    pub error: anyhow::Error,
    /// Advice for the person who reads it.
    pub hint: Option<String>,
    /// The log lines of the work that was done before it.
    pub before: Vec<LogLine>,
}

impl Failure {
    /// A mistake in how the command was used or configured.
    pub fn usage(text: impl fmt::Display) -> Self {
        let error = anyhow::anyhow!("{text}");
        Self { kind: FailureKind::Usage, error, hint: None, before: Vec::new() }
    }

    /// Something of this postoffice that was asked for is not there.
    pub fn missing(text: impl fmt::Display) -> Self {
        Self::usage(text).with_kind(FailureKind::Failed)
    }

    /// With another kind.
    pub fn with_kind(mut self, kind: FailureKind) -> Self {
        self.kind = kind;
        self
    }

    /// Puts the place where it happened before its text.
    pub fn within(mut self, place: String) -> Self {
        self.error = self.error.context(place);
        self
    }

    /// Adds advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the log lines of the work that was done before it.
    pub fn after(mut self, mut lines: Vec<LogLine>) -> Self {
        lines.append(&mut self.before);
        self.before = lines;
        self
    }

    /// The error and its causes, each said once.
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
}

/// Names the database that an error is about, if it is about one, and says what to do.
fn about_its_database(error: anyhow::Error) -> (anyhow::Error, Option<String>) {
    let trouble = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
    // What has one identity twice is a fault of its sender.
    let Some(trouble) = trouble.filter(|trouble| trouble.kind != StoreErrorKind::Twice) else {
        return (error, None);
    };
    let hint = advice(trouble.kind).map(str::to_owned);
    match trouble.database.as_ref().map(|path| path.display().to_string()) {
        Some(path) if !error.to_string().contains(&path) => {
            (error.context(format!("\"{path}\"")), hint)
        }
        _ => (error, hint),
    }
}

/// Advice about a database in trouble.
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
             restore FILE`; without one, invite this postoffice again at the server (`requestor \
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
            .any(|cause| matches!(cause.downcast_ref(), Some(TransitError::Unreachable { .. })));
        let kind = if unreachable { FailureKind::Unreachable } else { FailureKind::Failed };
        let (error, hint) = about_its_database(error);
        Self { kind, error, hint, before: Vec::new() }
    }
}

/// The result of an operation on a postoffice.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_failure_names_the_database_that_it_is_about_and_no_other() {
        let error = || StoreError::corrupt("read the list", "a page is torn");
        let named = Failure::from(error().of_database(Path::new("hq/postoffice.db")));
        assert_eq!(named.text(), "\"hq/postoffice.db\": could not read the list: a page is torn");
        assert!(named.hint.is_some_and(|hint| hint.contains("dirsync restore")));
        assert_eq!(Failure::from(error()).text(), "could not read the list: a page is torn");
        let twice = StoreError::new("add an entry", StoreErrorKind::Twice, "one id twice");
        let twice = Failure::from(twice.of_database(Path::new("hq/postoffice.db")));
        assert_eq!(twice.text(), "could not add an entry: one id twice");
        assert_eq!(twice.hint, None);
    }

    #[test]
    fn a_file_that_is_named_first_keeps_the_blame() {
        let error = StoreError::new("back up", StoreErrorKind::Full, "no space is left");
        let error = error.of_database(Path::new("copy")).of_database(Path::new("postoffice.db"));
        assert_eq!(error.database.as_deref(), Some(Path::new("copy")));
    }
}
