//! Through which of its places a postoffice sends to a peer.
//!
//! A peer has an ordered list of places. Messages go through the first one as long as it works. If it has not
//! worked for its [`FallBack`] time, the second one is used, and so on. The first one is tried again by each
//! step that sends, and is used from the first step on that succeeds. A slow place (`Transit::is_slow`) is not tried:
//! it takes every message, so that only the line behind it knows whether it works.
//!
//! A place may be away for one side alone. A requestor that sends through its second place cannot use its first
//! one, so the server answers it at the second, and at the first again when a request has come there. A requestor
//! does not follow its server: if both followed, neither would go back.

use std::collections::BTreeMap;
use std::time::Duration;

use dirsync_carrier::Transit;
use dirsync_directory::PostofficeName;
use dirsync_protocol::tables::{Stored, Tables};

use crate::notes::HEARD_AT;
use crate::trouble::{Trouble, Troubles};

/// How long a place may fail before the next one is used, by the text of the place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FallBack(BTreeMap<String, Duration>);

impl FallBack {
    /// The time for a place that no settings name: 6 hours.
    pub const DEFAULT: Duration = Duration::from_secs(6 * 60 * 60);

    /// The time for one place.
    pub fn of(&self, place: &str) -> Duration {
        self.0.get(place).copied().unwrap_or(Self::DEFAULT)
    }
}

impl FromIterator<(String, Duration)> for FallBack {
    fn from_iter<I: IntoIterator<Item = (String, Duration)>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}

/// The number of the place in use: of the first one that works or does not fail for its [`FallBack`] time yet.
/// If all have failed for so long, it is the last one. A step that sends tries all places up to this one in
/// their order, and ends with the first that takes the message.
///
/// `fails_since` returns since when a place fails, in milliseconds since 1970, or `None` if it works. A time
/// that is later than `now`, because the clock was put back, is no time at all.
pub fn in_use<P: AsRef<str>>(
    places: &[P],
    fall_back: &FallBack,
    fails_since: impl Fn(&str) -> Option<u64>,
    now: u64,
) -> usize {
    let serves = |place: &P| {
        let place = place.as_ref();
        fails_since(place).is_none_or(|since| {
            Duration::from_millis(now.saturating_sub(since)) < fall_back.of(place)
        })
    };
    places.iter().position(serves).unwrap_or(places.len().saturating_sub(1))
}

/// What decides the places to peers, as the database says it.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    troubles: Troubles,
    /// By the folded name of a requestor, the place at which its newest request came.
    heard_at: BTreeMap<String, String>,
}

impl Routes {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn load(tables: &mut dyn Tables) -> Stored<Self> {
        let heard_at = tables.notes(HEARD_AT)?.into_iter();
        let heard_at = heard_at.map(|(name, place)| (name[HEARD_AT.len()..].to_owned(), place));
        Ok(Self { troubles: Troubles::load(tables)?, heard_at: heard_at.collect() })
    }

    /// What is wrong with a place for messages to a peer.
    pub fn trouble(&self, place: &str, peer: &PostofficeName) -> Option<&Trouble> {
        self.troubles.of(place, peer)
    }

    /// Which of the places of a peer are tried.
    pub fn tried<P: AsRef<str>>(
        &self,
        places: &[P],
        peer: &PostofficeName,
        fall_back: &FallBack,
        now: u64,
    ) -> Tried {
        let heard_at = |heard: &String| places.iter().position(|place| place.as_ref() == heard);
        let first = self.heard_at.get(peer.folded()).and_then(heard_at).unwrap_or(0);
        let fails_since = |place: &str| self.troubles.fails_since(place, peer);
        Tried { first, in_use: first + in_use(&places[first..], fall_back, fails_since, now) }
    }
}

/// The places that are tried for a message, in their order, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    first: usize,
    /// The place in use, which is tried last.
    pub in_use: usize,
}

impl Tried {
    /// Whether the place with this number is tried. A slow one before the place in use is not.
    pub fn contains(&self, number: usize, transit: &dyn Transit) -> bool {
        number == self.in_use || (self.first..self.in_use).contains(&number) && !transit.is_slow()
    }
}

/// Notes the place at which the newest request of a requestor came.
///
/// # Errors
///
/// When the store fails.
pub(crate) fn note_heard_at(
    tables: &mut dyn Tables,
    requestor: &PostofficeName,
    place: &str,
) -> Stored<()> {
    let note = format!("{HEARD_AT}{}", requestor.folded());
    if tables.note(&note)?.as_deref() == Some(place) {
        return Ok(());
    }
    tables.put_note(&note, Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1000;
    const NOW: u64 = 1000 * HOUR;
    const PLACES: [&str; 3] = ["a", "b", "c"];

    /// The place in use if each place fails for this many hours; 0 if it works.
    fn used(hours: [u64; 3]) -> &'static str {
        used_with(&FallBack::default(), hours.map(|hours| hours * HOUR))
    }

    fn used_with(fall_back: &FallBack, fails_for: [u64; 3]) -> &'static str {
        let since = |place: &str| {
            let at = PLACES.iter().position(|known| *known == place).unwrap();
            (fails_for[at] > 0).then(|| NOW - fails_for[at])
        };
        PLACES[in_use(&PLACES, fall_back, since, NOW)]
    }

    #[test]
    fn the_first_place_is_used_until_it_has_failed_for_six_hours() {
        assert_eq!(used([0, 0, 0]), "a");
        assert_eq!(used([5, 0, 0]), "a");
        assert_eq!(used_with(&FallBack::default(), [6 * HOUR - 1, 0, 0]), "a");
        assert_eq!(used([6, 0, 0]), "b");
        assert_eq!(used([0, 100, 100]), "a", "others do not matter");
    }

    #[test]
    fn one_that_fails_for_less_time_is_waited_for() {
        assert_eq!(used([100, 5, 0]), "b");
        assert_eq!(used([100, 6, 5]), "c");
        assert_eq!(used([6, 100, 0]), "c");
    }

    #[test]
    fn the_last_one_is_used_if_all_fail() {
        assert_eq!(used([6, 6, 6]), "c");
        assert_eq!(in_use(&["a"], &FallBack::default(), |_| Some(0), NOW), 0);
        assert_eq!(in_use::<&str>(&[], &FallBack::default(), |_| Some(0), NOW), 0);
    }

    #[test]
    fn each_place_has_its_own_time() {
        let times: FallBack = [("a".into(), Duration::ZERO), ("b".into(), FallBack::DEFAULT * 2)]
            .into_iter()
            .collect();
        assert_eq!(used_with(&times, [1, 0, 0]), "b");
        assert_eq!(used_with(&times, [0, 0, 0]), "a", "one that works is used");
        assert_eq!(used_with(&times, [1, 11 * HOUR, 0]), "b");
        assert_eq!(used_with(&times, [1, 12 * HOUR, 0]), "c");
    }

    #[test]
    fn a_clock_that_was_put_back_is_no_failure_of_hours() {
        let used = in_use(&PLACES, &FallBack::default(), |_| Some(NOW + 100 * HOUR), NOW);
        assert_eq!(PLACES[used], "a");
    }
}
