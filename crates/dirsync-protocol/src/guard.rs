//! Limits of changes: of more, a person has to look first.

use std::fmt;
use std::str::FromStr;

use dirsync_directory::excerpt;
use thiserror::Error;

/// Length of the window over which changes are counted, in milliseconds: 24 hours. A limit per
/// message would never see deletions that drip.
pub const WINDOW_MS: u64 = 24 * 60 * 60 * 1000;

/// Why a change waits for a person at its origin. The order is that of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuardKind {
    /// Too many entries would lose a field.
    Blank,
    /// Too many entries are missing from a complete read.
    Delete,
    /// Too many entries would change kind, or type or value of their primary address.
    Move,
    /// Too many entries would change because the settings of their source did.
    Settings,
    /// The entry is missing from a read that is suspiciously short.
    ShortRead,
    /// Too many new entries have addresses that entries of other origins have.
    Taken,
    /// No source names the entry.
    Unclaimed,
}

/// A text that is not the word of a [`GuardKind`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is not a reason to hold a change")]
pub struct ParseGuardKindError(String);

impl GuardKind {
    const ALL: [Self; 7] = [
        Self::Blank,
        Self::Delete,
        Self::Move,
        Self::Settings,
        Self::ShortRead,
        Self::Taken,
        Self::Unclaimed,
    ];

    /// The word by which databases and people know it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Delete => "delete",
            Self::Move => "move",
            Self::Settings => "settings",
            Self::ShortRead => "short-read",
            Self::Taken => "taken",
            Self::Unclaimed => "unclaimed",
        }
    }
}

impl fmt::Display for GuardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for GuardKind {
    type Err = ParseGuardKindError;

    fn from_str(text: &str) -> Result<Self, ParseGuardKindError> {
        let kind = Self::ALL.into_iter().find(|kind| kind.word() == text);
        kind.ok_or_else(|| ParseGuardKindError(excerpt(text)))
    }
}

/// The fewest entries of which half is too many.
const FEW: u64 = 3;

/// A change of many entries is held when it passes *both* limits. In a small list, whose entries cannot be
/// many, half of them pass the first limit, if they are three or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// More than this many entries.
    pub entries: u64,
    /// More than this share of the origin's entries, in percent.
    pub percent: u64,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self { entries: 10, percent: 10 }
    }
}

impl GuardLimits {
    /// Whether `changed` of `entries` entries are too many.
    pub fn exceeded(self, changed: u64, entries: u64) -> bool {
        let is_half = changed >= FEW && changed.saturating_mul(2) >= entries;
        let is_many = changed > self.entries || is_half;
        is_many && changed.saturating_mul(100) > entries.saturating_mul(self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::{GuardKind, GuardLimits};

    #[test]
    fn kinds_are_read_as_they_are_written_and_ordered_as_their_words() {
        let words: Vec<String> = GuardKind::ALL.iter().map(ToString::to_string).collect();
        assert!(words.is_sorted());
        let read: Result<Vec<GuardKind>, _> = words.iter().map(|word| word.parse()).collect();
        assert_eq!(read.unwrap(), GuardKind::ALL);
        assert!("Delete".parse::<GuardKind>().is_err());
    }

    #[test]
    fn both_limits_have_to_be_passed() {
        let limits = GuardLimits::default();
        assert!(!limits.exceeded(10, 21), "ten are few");
        assert!(limits.exceeded(11, 109));
        assert!(!limits.exceeded(11, 110), "a tenth is allowed");
        assert!(limits.exceeded(u64::MAX, 1));
    }

    #[test]
    fn half_of_a_small_list_is_too_many() {
        let limits = GuardLimits::default();
        assert!(limits.exceeded(10, 20));
        assert!(!limits.exceeded(9, 20));
        assert!(limits.exceeded(3, 5));
        assert!(!limits.exceeded(2, 2), "two are never many");
        let off = GuardLimits { percent: 100, ..limits };
        assert!(!off.exceeded(20, 20), "a share of all cannot be passed");
    }
}
