//! Sync points: how far a requestor's list has come.

use std::fmt;
use std::str::FromStr;

use dirsync_directory::{ViewHash, excerpt};
use thiserror::Error;

use crate::{Mark, ServerEpoch, SrvSeq};

/// A point in the server's numbering that a requestor's list has reached.
///
/// A number alone would not do: after a restore the server issues the same numbers again for other
/// changes, and another view of the list has other entries at the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncPoint {
    /// The epoch of the server that issued the point.
    pub epoch: ServerEpoch,
    /// The number reached.
    pub srv_seq: SrvSeq,
    /// The random number made when the point was first issued.
    pub mark: Mark,
    /// The view of the list.
    pub view: ViewHash,
    /// Whether the list is the whole view at that number. After a middle part of a long update it
    /// is not.
    pub complete: bool,
}

/// A text that is not a sync point.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a sync point: EPOCH/NUMBER/MARK/VIEW/complete or …/part is expected")]
pub struct ParsePointError(String);

/// `EPOCH/NUMBER/MARK/VIEW/complete`, or `…/part`, with mark and view in hexadecimal.
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
            // Also refuses `007`, capitals, a word other than the two, and a sixth part.
            (point.to_string() == text).then_some(point)
        };
        parse().ok_or_else(|| ParsePointError(excerpt(text)))
    }
}
