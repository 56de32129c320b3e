//! The counters of the protocol. Each has a type of its own, so that they cannot be mistaken for one
//! another.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The largest number or change stamp in a message.
///
/// A counter that reaches it stays there. It could be reached only by a number from outside, and a
/// larger one would be refused by every reader of the next message.
pub const NUMBER_MAX: u64 = (1 << 62) - 1;

const _: () = assert!(NUMBER_MAX < i64::MAX as u64, "databases store signed integers of 64 bits");

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one. [`NUMBER_MAX`] is followed by itself.
            pub fn next(self) -> Self {
                let next = Self(self.0.saturating_add(1).min(NUMBER_MAX));
                debug_assert!(next > self || next.0 == NUMBER_MAX, "numbers rise");
                next
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    };
}

number! {
    /// A requestor's number of one of its own changes. ReqSync is the highest one that the server has
    /// acknowledged.
    ReqSeq
}
number! {
    /// The server's number of one change of the list. SrvSync is the one that a requestor's list has
    /// reached.
    SrvSeq
}
number! {
    /// The number of a request, which its requestor counts within one epoch.
    RequestNo
}
number! {
    /// A change stamp: the time of a change at its origin, in milliseconds since 1970.
    ///
    /// Stamps of one origin are strictly increasing, even if its clock is not (see [`Stamp::after`]).
    /// Stamps of different origins are never compared, because their clocks differ.
    Stamp
}

/// A random number that the server makes when it first issues a sync point.
///
/// It is a cookie in the sense of RFC 4533: a server that was restored from a backup issues numbers a
/// second time, and tells by the mark which of the two a requestor has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u64);

impl Stamp {
    /// The stamp of the deletion that ends the stub of an entry that was handed over.
    ///
    /// No change has this stamp, so a deletion with it is recognised as the end of a stub: the entry
    /// lives on at its new owner, and must not be remembered as deleted.
    pub const OF_STUB_END: Self = Self(0);

    /// The stamp of the next change, with the clock at `now` (milliseconds since 1970).
    ///
    /// It is the time, or one more than the last stamp if the clock is behind it. [`NUMBER_MAX`] is
    /// followed by itself, so a last stamp that came from outside, later than any clock, never leads to
    /// one that cannot be sent.
    pub fn after(self, now: u64) -> Self {
        let next = Self(now.max(self.0.saturating_add(1)).min(NUMBER_MAX));
        debug_assert!(next > self || next.0 == NUMBER_MAX, "stamps rise, whatever the clock does");
        debug_assert!(next > Self::OF_STUB_END, "no change has the stamp of a stub's end");
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number after the last one must be valid in a message, too.
    #[test]
    fn the_last_number_follows_itself() {
        assert_eq!(RequestNo(NUMBER_MAX - 1).next(), RequestNo(NUMBER_MAX));
        for number in [NUMBER_MAX, NUMBER_MAX + 1, u64::MAX] {
            assert_eq!(ReqSeq(number).next(), ReqSeq(NUMBER_MAX));
            assert_eq!(SrvSeq(number).next(), SrvSeq(NUMBER_MAX));
            assert_eq!(Stamp(number).after(7), Stamp(NUMBER_MAX));
        }
        assert_eq!(Stamp(7).after(u64::MAX), Stamp(NUMBER_MAX));
    }
}
