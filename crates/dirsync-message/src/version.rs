//! The version of the message format.

use std::fmt;
use std::str::FromStr;

use crate::ParseTokenError;

/// The version of the message format, `MAJOR.MINOR`. A reader refuses another `major`, and ignores the
/// fields that a newer `minor` adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormatVersion {
    /// Raised by a change that an older reader would misunderstand.
    pub major: u32,
    /// Raised by an addition that an older reader may ignore.
    pub minor: u32,
}

impl FormatVersion {
    /// The version that this program writes.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for FormatVersion {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let parse = || {
            let (major, minor) = text.split_once('.')?;
            let version = Self { major: major.parse().ok()?, minor: minor.parse().ok()? };
            (version.to_string() == text).then_some(version)
        };
        parse().ok_or_else(|| ParseTokenError::new(text, "a format version: MAJOR.MINOR"))
    }
}
