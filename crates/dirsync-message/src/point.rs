//! Sync points: where a list stands.

use std::fmt;
use std::str::FromStr;

use dirsync_directory::{ViewHash, excerpt};
use thiserror::Error;

use crate::{Mark, ServerEpoch, SrvSeq};

/// A point of the server's numbering as one requestor's list has reached it (`protocol.md` §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncPoint {
    /// The life of the server that issued the point.
    pub epoch: ServerEpoch,
    /// The number reached.
    pub srv_seq: SrvSeq,
    /// Made at random when the point was first issued.
    pub mark: Mark,
    /// The view the list was made under.
    pub view: ViewHash,
    /// Whether the list is the whole view at that number; false after a middle part.
    pub complete: bool,
}

/// A text that is not a sync point.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a sync point: EPOCH/NUMBER/MARK/VIEW/complete or …/part")]
pub struct ParsePointError(String);

/// `EPOCH/NUMBER/MARK/VIEW/complete`, or `…/part`; mark and view in hexadecimal.
impl fmt::Display for SyncPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.complete { "complete" } else { "part" };
        write!(f, "{}/{}/{:016x}/{}/{end}", self.epoch, self.srv_seq, self.mark.0, self.view)
    }
}

impl FromStr for SyncPoint {
    type Err = ParsePointError;

    fn from_str(text: &str) -> Result<Self, ParsePointError> {
        let parse = || {
            let mut parts = text.split('/');
            let point = Self {
                epoch: parts.next()?.parse().ok()?,
                srv_seq: parts.next()?.parse().ok()?,
                mark: Mark(u64::from_str_radix(parts.next()?, 16).ok()?),
                view: parts.next()?.parse().ok()?,
                complete: parts.next()? == "complete",
            };
            (point.to_string() == text).then_some(point)
        };
        parse().ok_or_else(|| ParsePointError(excerpt(text)))
    }
}
