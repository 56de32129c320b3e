//! Epochs and other tokens.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use dirsync_directory::excerpt;
use thiserror::Error;

/// A text that is not the token it should be.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{text}\" is not {what}")]
pub struct ParseTokenError {
    text: String,
    what: &'static str,
}

impl ParseTokenError {
    pub(crate) fn new(text: &str, what: &'static str) -> Self {
        Self { text: excerpt(text), what }
    }
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseTokenError;

            fn from_str(text: &str) -> Result<Self, ParseTokenError> {
                let bytes = HEXLOWER.decode(text.as_bytes()).ok();
                let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or_else(|| ParseTokenError { text: excerpt(text), what: $what })
            }
        }
    };
}

token! {
    /// One life of a requestor's own numbering: random, unordered; see its lineage.
    ReqEpoch, "a requestor epoch: 32 hexadecimal digits"
}
token! {
    /// Identifies one request; two machines may use the same number, never the same id.
    RequestId, "a request id: 32 hexadecimal digits"
}
token! {
    /// What a server asks a requestor to repeat with a full export.
    Challenge, "a challenge: 32 hexadecimal digits"
}

/// The random name of one server installation; kept in its configuration, not in its database.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(pub u64);

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Instance {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        u64::from_str_radix(text, 16).ok().map(Self).filter(|i| i.to_string() == text).ok_or_else(
            || ParseTokenError { text: excerpt(text), what: "an instance: 16 hexadecimal digits" },
        )
    }
}

/// Largest generation of a server epoch in a message. Each life adds one, so no server comes near it
/// by itself.
pub const GENERATION_MAX: u64 = 1 << 40;

/// One life of a server's numbering, ordered by generation and instance: a fencing token.
///
/// Two epochs with equal generation and instance but different random parts are a *tie*, and
/// each is newer than the other (two restores from one backup; trace T-TIE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerEpoch {
    /// Raised by every restore, move and promotion.
    pub generation: u64,
    /// Which installation made it.
    pub instance: Instance,
    /// Tells lives of equal generation apart.
    pub random: u64,
}

impl ServerEpoch {
    /// Whether this epoch makes `other` obsolete. Both of a tie do so to each other.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self != other && (self.generation, self.instance) >= (other.generation, other.instance)
    }

    /// The generation of a life after both, unless there is none any more.
    pub fn generation_after(&self, other: &Self) -> Option<u64> {
        let generation = self.generation.max(other.generation).checked_add(1)?;
        (generation <= GENERATION_MAX).then_some(generation)
    }

    /// Whether both belong to one generation of one instance.
    pub fn is_same_life(&self, other: &Self) -> bool {
        (self.generation, self.instance) == (other.generation, other.instance)
    }
}

/// `GENERATION.INSTANCE.RANDOM`, the latter two as 16 hexadecimal digits.
impl fmt::Display for ServerEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{:016x}", self.generation, self.instance, self.random)
    }
}

impl FromStr for ServerEpoch {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let parse = || {
            let mut parts = text.split('.');
            let epoch = Self {
                generation: parts.next()?.parse().ok()?,
                instance: parts.next()?.parse().ok()?,
                random: u64::from_str_radix(parts.next()?, 16).ok()?,
            };
            (parts.next().is_none() && epoch.to_string() == text).then_some(epoch)
        };
        parse().ok_or_else(|| ParseTokenError {
            text: excerpt(text),
            what: "a server epoch: GENERATION.INSTANCE.RANDOM",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_ordered_and_ties_are_newer_than_each_other() {
        let epoch = |text: &str| text.parse::<ServerEpoch>().unwrap();
        let first = epoch("1.00000000000000aa.0000000000000001");
        let tie = epoch("1.00000000000000aa.0000000000000002");
        let second = epoch("2.0000000000000001.0000000000000003");
        assert!(second.is_newer_than(&first) && !first.is_newer_than(&second));
        assert!(tie.is_newer_than(&first) && first.is_newer_than(&tie));
        assert!(!first.is_newer_than(&first));
        assert_eq!(first.to_string().parse(), Ok(first));
        assert!("1.aa.1".parse::<ServerEpoch>().is_err());
    }
}
