//! Epochs, and other tokens that identify something.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use dirsync_directory::excerpt;
use thiserror::Error;

use crate::NUMBER_MAX;

/// A text that is not the token that is expected.
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
    /// An epoch of a requestor's own numbering.
    ///
    /// A new one begins when the requestor's database is restored, so that no number has two meanings.
    /// Epochs are random and have no order; a requestor knows those that its own descends from as its
    /// lineage.
    ReqEpoch, "a requestor epoch: 32 hexadecimal digits"
}
token! {
    /// The identity of a request. Two machines that run copies of one folder may use the same number
    /// for different requests, but never the same id.
    RequestId, "a request id: 32 hexadecimal digits"
}
token! {
    /// A random token that a requestor has to repeat in its full export. It proves that the export was
    /// made after the server asked for it.
    Challenge, "a challenge: 32 hexadecimal digits"
}

token! {
    /// A tag by which a server recognises one of its epochs or points, and which nobody else can make: the
    /// claim of a requestor that it heard that epoch, or that its list stands at that point, is true.
    ///
    /// A requestor keeps the tags that its server sends, and repeats them (`docs/protocol.md`, section 5).
    Evidence, "evidence: 32 hexadecimal digits"
}

/// The random name of one installation of a server.
///
/// `init` makes it, and `server promote` makes another one for a copy. A restore keeps it. By the
/// instance a server tells a later epoch of its own, which it lost by a restore, from that of
/// another server that replaced it (`docs/protocol.md`, S4 and S5).
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

/// The largest generation of a server epoch in a message. Each epoch adds one, so no server comes near
/// it by itself.
pub const GENERATION_MAX: u64 = 1 << 40;

const _: () = assert!(GENERATION_MAX < NUMBER_MAX, "a generation is a number, too");

/// An epoch of a server's numbering. It is a fencing token: epochs are ordered, by generation and then
/// instance, and a server that hears of a newer one than its own knows that it was replaced or restored.
///
/// Two epochs that differ only in the random part are a *tie*, as when one backup is restored
/// twice. Each of them is newer than the other, so a server that hears of the other one begins an
/// epoch after both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerEpoch {
    /// The count of restores, moves and promotions.
    pub generation: u64,
    /// The installation that made the epoch.
    pub instance: Instance,
    /// Distinguishes epochs of the same generation and instance.
    pub random: u64,
}

impl ServerEpoch {
    /// Whether this epoch makes `other` obsolete. In a tie, each makes the other obsolete.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self != other && (self.generation, self.instance) >= (other.generation, other.instance)
    }

    /// The generation of an epoch that is newer than both, or `None` if [`GENERATION_MAX`] is reached.
    pub fn generation_after(&self, other: &Self) -> Option<u64> {
        let generation = self.generation.max(other.generation).checked_add(1)?;
        debug_assert!(generation > self.generation && generation > other.generation);
        (generation <= GENERATION_MAX).then_some(generation)
    }

    /// Whether both have the same generation and instance, so that they are equal or a tie.
    pub fn is_same_generation(&self, other: &Self) -> bool {
        (self.generation, self.instance) == (other.generation, other.instance)
    }
}

/// `GENERATION.INSTANCE.RANDOM`, with the latter two as 16 hexadecimal digits.
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
