//! The identity of a postoffice: `NETWORK/POSTOFFICE`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::{excerpt, fold};

/// Longest network or postoffice part, in bytes. The original allowed ten characters
/// (Q96001 [20]); that limit belongs to classic peers, not to ours.
const PART_BYTES_MAX: usize = 64;

/// The name of a postoffice, `NETWORK/POSTOFFICE`, as its administrator wrote it.
///
/// Compared, ordered and hashed by its fold, so `North/HQ` and `NORTH/hq` are one postoffice.
/// Cloning is cheap.
#[derive(Clone)]
pub struct PostofficeName {
    text: Arc<str>,
    folded: Arc<str>,
}

/// Why a text is not a postoffice name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PostofficeNameError {
    /// There is no slash, or more than one.
    #[error("\"{0}\" is not a postoffice name: write NETWORK/POSTOFFICE, for example NORTH/HQ")]
    Parts(String),
    /// A part is empty or longer than 64 bytes.
    #[error("each part of the postoffice name \"{0}\" needs 1 to {PART_BYTES_MAX} bytes")]
    Length(String),
    /// A part holds a control character, or begins or ends with a blank.
    #[error("the postoffice name {0:?} holds a control character or an outer blank")]
    Character(String),
}

impl PostofficeName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The comparison key.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl FromStr for PostofficeName {
    type Err = PostofficeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((network, postoffice)) = text.split_once('/') else {
            return Err(PostofficeNameError::Parts(excerpt(text)));
        };
        if postoffice.contains('/') {
            return Err(PostofficeNameError::Parts(excerpt(text)));
        }
        for part in [network, postoffice] {
            if part.is_empty() || part.len() > PART_BYTES_MAX {
                return Err(PostofficeNameError::Length(excerpt(text)));
            }
            if part.chars().any(char::is_control) || part.trim() != part {
                return Err(PostofficeNameError::Character(excerpt(text)));
            }
        }
        let folded = fold(text);
        Ok(Self { text: text.into(), folded: folded.into() })
    }
}

impl fmt::Display for PostofficeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for PostofficeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for PostofficeName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for PostofficeName {}

impl PartialOrd for PostofficeName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PostofficeName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded.cmp(&other.folded)
    }
}

impl Hash for PostofficeName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_shown_as_written() {
        let name: PostofficeName = "North/Hq".parse().unwrap();
        assert_eq!(name, "NORTH/HQ".parse().unwrap());
        assert_eq!(name.to_string(), "North/Hq");
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for text in ["NORTH", "A/B/C", "/HQ", "NORTH/", "NORTH/ HQ", "NO\nRTH/HQ"] {
            assert!(text.parse::<PostofficeName>().is_err(), "{text:?}");
        }
        assert!(format!("{}/HQ", "N".repeat(64)).parse::<PostofficeName>().is_ok());
        assert!(format!("{}/HQ", "N".repeat(65)).parse::<PostofficeName>().is_err());
    }
}
