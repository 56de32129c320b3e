//! The log lines of steps.

use std::fmt;
use std::str::FromStr;

use dirsync_directory::excerpt;
use thiserror::Error;

use crate::row::Row;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Of interest to a reader who follows the protocol.
    Debug,
    /// Part of the ordinary course.
    Info,
    /// Unusual; the system repairs it by itself.
    Notice,
    /// Out of order.
    Warning,
    /// Broken, and kept from doing harm.
    Error,
    /// A person has to look.
    Alarm,
}

/// A text that is not the word of a [`Level`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is not a level of a log line: write debug, info, notice, warning, error or alarm")]
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

/// One log line of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How much it matters.
    pub level: Level,
    /// The row of the decision tables that was taken.
    pub row: Row,
    /// The line, with both sides' numbers.
    pub text: String,
}
