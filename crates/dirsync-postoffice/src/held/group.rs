//! Groups of held changes: those that one source, or one origin, asked for, and that wait for one reason.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use dirsync_directory::{EntryId, PostofficeName, excerpt};
use dirsync_protocol::guard::GuardKind;
use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use super::case::Case;
use crate::json;

/// The word of a group of deletions that wait at the server. No [`GuardKind`] has it.
const ORIGIN: &str = "origin";

/// The name of a group, for example `short-read:personnel` or `origin:SOUTH/SALES`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupId {
    /// Changes that a read of this source asked for, held here for this reason.
    Source(GuardKind, String),
    /// Deletions of this origin that wait at the server.
    Origin(PostofficeName),
}

impl GroupId {
    /// Why its changes wait.
    pub fn reason(&self) -> GuardKind {
        match self {
            Self::Source(reason, _) => *reason,
            Self::Origin(_) => GuardKind::Delete,
        }
    }

    /// The source or the origin that asked for its changes.
    pub fn asked_by(&self) -> &str {
        match self {
            Self::Source(_, source) => source,
            Self::Origin(origin) => origin.as_str(),
        }
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(reason, source) => write!(f, "{reason}:{source}"),
            Self::Origin(origin) => write!(f, "{ORIGIN}:{origin}"),
        }
    }
}

/// An entry or a group of held changes, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The change of one entry.
    Entry(EntryId),
    /// All changes of one group.
    Group(GroupId),
}

/// A text that names no held change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "\"{0}\" is neither the id of an entry nor a group such as delete:SOURCE or origin:NETWORK/POSTOFFICE"
)]
pub struct ParseSelectorError(String);

impl FromStr for Selector {
    type Err = ParseSelectorError;

    fn from_str(text: &str) -> Result<Self, ParseSelectorError> {
        let error = || ParseSelectorError(excerpt(text));
        if let Ok(id) = text.parse() {
            return Ok(Self::Entry(id));
        }
        let (word, name) = text.split_once(':').ok_or_else(error)?;
        let group = match word {
            ORIGIN => GroupId::Origin(name.parse().map_err(|_| error())?),
            _ => GroupId::Source(word.parse().map_err(|_| error())?, name.to_owned()),
        };
        Ok(Self::Group(group))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(id) => id.fmt(f),
            Self::Group(group) => group.fmt(f),
        }
    }
}

/// A group of held changes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Group {
    /// Its name, by which `held approve` and `held reject` take it.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub group: GroupId,
    /// Why its changes wait: `blank`, `delete`, `move`, `settings`, `short-read`, `taken` or `unclaimed`.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub reason: GuardKind,
    /// The source or the origin that asked for them.
    pub asked_by: String,
    /// The file of that source; null if it is not in the settings.
    pub file: Option<PathBuf>,
    /// The number of its changes.
    pub count: u64,
    /// Since when the oldest one waits.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "json::Time")]
    pub since: u64,
    /// The number of rows of the source's last read; null if it is not known.
    pub rows: Option<u64>,
    /// The number of rows of its last good whole read; null if it is not known.
    pub good_rows: Option<u64>,
    /// The first of its changes, by key.
    #[serde(skip)]
    pub examples: Vec<Case>,
}

impl Group {
    /// Whether its changes are deletions.
    pub fn is_deletion(&self) -> bool {
        matches!(self.reason, GuardKind::Delete | GuardKind::ShortRead | GuardKind::Unclaimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_they_are_written() {
        for text in ["short-read:people: all of them", "delete:south/sales", "origin:SOUTH/SALES"] {
            let selector: Selector = text.parse().unwrap();
            assert!(matches!(selector, Selector::Group(_)));
            assert_eq!(selector.to_string(), text);
        }
        for text in ["", "people", "origin:people", "deletion:people", "0123"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
        let id = "0123456789abcdef0123456789abcdef";
        assert!(matches!(id.parse(), Ok(Selector::Entry(_))));
    }
}
