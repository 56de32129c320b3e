//! The last command that left no run: `undo` without a number must not take the run before it for it.
//!
//! A note says so until there is a newer run. Reads of the agent write none.

use std::fmt;
use std::str::FromStr;

use dirsync_agent::notes::LAST_COMMAND;
use dirsync_directory::excerpt;
use dirsync_protocol::tables::{Stored, Tables};
use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use crate::json;
use crate::time::now_ms;

/// A command that changes own entries, or decides about them or about postoffices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the commands of the command line")]
pub enum Command {
    Import,
    EntryAdd,
    EntryModify,
    EntryDelete,
    EntryRelease,
    EntryClaim,
    HeldApprove,
    HeldReject,
    RequestorAdd,
    RequestorSet,
    RequestorSuspend,
    RequestorResume,
    RequestorRemove,
    CarrierSet,
    GoOn,
}

impl Command {
    const ALL: [Self; 15] = [
        Self::Import,
        Self::EntryAdd,
        Self::EntryModify,
        Self::EntryDelete,
        Self::EntryRelease,
        Self::EntryClaim,
        Self::HeldApprove,
        Self::HeldReject,
        Self::RequestorAdd,
        Self::RequestorSet,
        Self::RequestorSuspend,
        Self::RequestorResume,
        Self::RequestorRemove,
        Self::CarrierSet,
        Self::GoOn,
    ];

    /// Its words on the command line.
    pub fn words(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::EntryAdd => "entry add",
            Self::EntryModify => "entry modify",
            Self::EntryDelete => "entry delete",
            Self::EntryRelease => "entry release",
            Self::EntryClaim => "entry claim",
            Self::HeldApprove => "held approve",
            Self::HeldReject => "held reject",
            Self::RequestorAdd => "requestor add",
            Self::RequestorSet => "requestor set",
            Self::RequestorSuspend => "requestor suspend",
            Self::RequestorResume => "requestor resume",
            Self::RequestorRemove => "requestor remove",
            Self::CarrierSet => "carrier set",
            Self::GoOn => "undo --go-on",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// A text that is no [`Command`].
#[derive(Debug, Error)]
#[error("\"{0}\" is no command that is noted")]
pub struct ParseCommandError(String);

impl FromStr for Command {
    type Err = ParseCommandError;

    fn from_str(words: &str) -> Result<Self, ParseCommandError> {
        let found = Self::ALL.into_iter().find(|command| command.words() == words);
        found.ok_or_else(|| ParseCommandError(excerpt(words)))
    }
}

/// Why a command left no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// It changed nothing.
    Nothing,
    /// It changed something, and `undo` cannot take that back.
    NoRun,
}

/// The last command, which left no run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LastCommand {
    /// When.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub at: u64,
    /// Its words on the command line.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub command: Command,
    /// The file, entry, group, postoffice or source that it was about; may be empty.
    pub subject: String,
    /// Whether it changed nothing, or something that cannot be undone.
    pub left: Left,
}

impl LastCommand {
    /// The last command, if it left no run and nothing made one since.
    pub(crate) fn of(tables: &mut dyn Tables) -> Stored<Option<Self>> {
        let Some(note) = tables.note(LAST_COMMAND)? else { return Ok(None) };
        let newest = newest(tables)?;
        Ok(read(&note).and_then(|(run, last)| (newest <= run).then_some(last)))
    }
}

/// The note: the number of the newest run before the command, its time, whether it changed something, its
/// words and its subject.
fn read(note: &str) -> Option<(u64, LastCommand)> {
    let mut fields = note.splitn(5, '\t');
    let run = fields.next()?.parse().ok()?;
    let at = fields.next()?.parse().ok()?;
    let left = if fields.next()?.parse().ok()? { Left::NoRun } else { Left::Nothing };
    let command = fields.next()?.parse().ok()?;
    let subject = fields.next()?.to_owned();
    Some((run, LastCommand { at, command, subject, left }))
}

/// Notes a command that left no run, in the transaction of its work.
pub(crate) fn note(
    tables: &mut dyn Tables,
    command: Command,
    subject: &str,
    left: Left,
) -> Stored<()> {
    let (run, at, changed) = (newest(tables)?, now_ms(), left == Left::NoRun);
    let note = format!("{run}\t{at}\t{changed}\t{command}\t{subject}");
    tables.put_note(LAST_COMMAND, Some(&note))
}

/// Returns the number of the newest run. If there are no runs, returns 0.
fn newest(tables: &mut dyn Tables) -> Stored<u64> {
    Ok(tables.runs(u64::MAX, 1)?.first().map_or(0, |run| run.number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        for command in Command::ALL {
            let note = format!("7\t1000\ttrue\t{command}\ta\tb");
            let subject = "a\tb".to_owned();
            let last = LastCommand { at: 1000, command, subject, left: Left::NoRun };
            assert_eq!(read(&note), Some((7, last)));
        }
        for note in ["", "7\t1000\ttrue\timport", "7\t1000\t1\timport\tx", "7\t1\ttrue\tdance\tx"] {
            assert_eq!(read(note), None, "{note}");
        }
    }
}
