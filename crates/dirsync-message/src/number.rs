//! Numbers that cannot be swapped: each of the protocol's counters has a type of its own.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// Largest number and change stamp of a message. Stores keep 63 bits. A counter that has come this far
/// stays there: what is sent can be read.
pub const NUMBER_MAX: u64 = (1 << 62) - 1;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The number that follows; [`NUMBER_MAX`] follows itself.
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1).min(NUMBER_MAX))
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
    /// A requestor's number of one of its own changes. ReqSync is the highest one acknowledged.
    ReqSeq
}
number! {
    /// The server's number of one change of the list. SrvSync is where a requestor's list stands.
    SrvSeq
}
number! {
    /// The number of a request, counted by its requestor within one epoch.
    RequestNo
}
number! {
    /// A change stamp: the time of a change at its origin in milliseconds since 1970, strictly
    /// increasing there (`max(clock, last + 1)`). Compared only between changes of one origin.
    Stamp
}

/// A random number made when the server first issues a sync point: a cookie in the sense of
/// RFC 4533, by which the server recognises states that it issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u64);

impl Stamp {
    /// Of the deletion that ends the stub of an entry that was handed over. No change has it.
    pub const OF_STUB_END: Self = Self(0);

    /// The stamp of the next change when the clock shows `now` (milliseconds since 1970).
    /// [`NUMBER_MAX`] follows itself: a stamp from outside, which is later than any clock shows, does
    /// not lead to one that cannot be sent.
    pub fn after(self, now: u64) -> Self {
        Self(now.max(self.0.saturating_add(1)).min(NUMBER_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows the last number has to have a form in a message, too.
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
