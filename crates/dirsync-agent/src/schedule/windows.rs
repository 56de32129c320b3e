//! The times at which a place may be used: windows of local time, by weekday.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::due::{DAYS, day_of, instant};
use super::parse::{Words, parse_days, parse_minute, written_days};
use super::{DAY, ScheduleError};

/// One window, for example `Mon-Fri 22:00-06:00`: its days are those on which it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Monday to Sunday.
    days: [bool; 7],
    /// The minute of the day at which it opens.
    from: i16,
    /// The minute at which it closes: of the day after if it is not later than `from`.
    to: i16,
}

impl FromStr for Window {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut words = Words::new(text);
        let mut days = [true; 7];
        let mut word = words.next();
        if let Some((_, text)) = word
            && !text.contains(':')
        {
            days = parse_days(text)
                .ok_or_else(|| words.error("days are expected: daily, Mon, Mon-Fri or Mon,Wed"))?;
            word = words.next();
        }
        let range = word.and_then(|(_, text)| text.split_once('-'));
        let range = range.and_then(|(from, to)| {
            let to = if to == "24:00" { Some(DAY) } else { parse_minute(to) };
            Some((parse_minute(from)?, to?))
        });
        let (from, to) =
            range.ok_or_else(|| words.error("times are expected, e.g. 22:00-06:00"))?;
        if from == to {
            return Err(words.error("two times are expected; a whole day is 00:00-24:00"));
        }
        words.end()?;
        Ok(Self { days, from, to })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, "{} {}-{}", written_days(&self.days), time(self.from), time(self.to))
    }
}

/// The times at which a place may be used.
///
/// A local time that the zone skips is the first valid minute after it, one that the zone doubles is the first of
/// the two, as in a [`Schedule`](super::Schedule). A window from 02:15 to 02:45 does not open in a night without
/// these times; one from 02:15 to 03:15 is two hours long in a night that has the hour from 02:00 twice.
#[derive(Clone, Debug)]
pub struct Windows {
    zone: TimeZone,
    windows: Vec<Window>,
}

/// A time during which a window is open: its first instant, and the first one after it.
type Span = (Timestamp, Timestamp);

impl Windows {
    /// Windows in a zone; it is open in each of them.
    pub fn new(zone: TimeZone, windows: Vec<Window>) -> Self {
        Self { zone, windows }
    }

    /// Whether it is open.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.spans(at).iter().any(|span| is_in(at, span))
    }

    /// When it closes, if it is open at a time. `None` if it is closed, or does not close for more than a week.
    pub fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        let spans = self.spans(at);
        let last = spans.iter().map(|(opens, _)| *opens).max()?;
        let mut end = None;
        // Windows that meet are one.
        while let Some(later) = latest_end(&spans, end.unwrap_or(at)) {
            end = Some(later);
        }
        // Each window opens once more after the last one that is known to meet them, unless it never closes.
        end.filter(|end| *end <= last)
    }

    /// The first time after `at` at which it opens, having been closed. `None` if it is always open.
    pub fn next_opening(&self, at: Timestamp) -> Option<Timestamp> {
        let spans = self.spans(at);
        let was_closed = |opens: &Timestamp| {
            !spans.iter().any(|(other, closes)| other < opens && closes >= opens)
        };
        spans.iter().map(|(opens, _)| *opens).filter(|opens| *opens > at).filter(was_closed).min()
    }

    /// The open times around an instant, more than a week in both directions.
    fn spans(&self, at: Timestamp) -> Vec<Span> {
        let days: Vec<Date> =
            (-DAYS..=DAYS).filter_map(|offset| day_of(&self.zone, at, offset)).collect();
        let all = days.iter().flat_map(|day| self.windows.iter().map(|window| (*day, window)));
        all.filter_map(|(day, window)| self.span(day, window)).collect()
    }

    fn span(&self, day: Date, window: &Window) -> Option<Span> {
        if !window.days[usize::try_from(day.weekday().to_monday_zero_offset()).ok()?] {
            return None;
        }
        let closes_on = if window.to > window.from && window.to < DAY {
            day
        } else {
            day.checked_add(SignedDuration::from_hours(24)).ok()?
        };
        let opens = instant(&self.zone, day, window.from)?;
        let closes = instant(&self.zone, closes_on, window.to % DAY)?;
        (opens < closes).then_some((opens, closes))
    }
}

fn is_in(at: Timestamp, (opens, closes): &Span) -> bool {
    (*opens..*closes).contains(&at)
}

/// The end of the span around an instant that ends last.
fn latest_end(spans: &[Span], at: Timestamp) -> Option<Timestamp> {
    spans.iter().filter(|span| is_in(at, span)).map(|(_, closes)| *closes).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(texts: &[&str]) -> Windows {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Windows::new(zone, texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    /// A local time in Berlin with its offset.
    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_is_read_as_it_was_written() {
        for text in ["Mon,Tue,Wed,Thu,Fri 22:00-06:00", "daily 00:00-24:00", "Sun 23:59-00:00"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        let same = |one: &str, other: &str| assert_eq!(one.parse::<Window>(), other.parse());
        same("Mon-Fri 22:00-06:00", "Mon,Tue,Wed,Thu,Fri 22:00-06:00");
        same("22:00-06:00", "daily 22:00-06:00");
        for (text, position, says) in [
            ("", 0, "times are expected"),
            ("Mon-Fri", 7, "times are expected"),
            ("Mon-Fri 22:00", 8, "times are expected"),
            ("Mon-Fri 22:00-25:00", 8, "times are expected"),
            ("Mon-Fri 24:00-06:00", 8, "times are expected"),
            ("Foo 22:00-06:00", 0, "days are expected"),
            ("Mon 06:00-06:00", 4, "a whole day is 00:00-24:00"),
            ("Mon 22:00-06:00 UTC", 16, "nothing more"),
            ("every 15 min", 0, "days are expected"),
        ] {
            let error = text.parse::<Window>().unwrap_err();
            assert_eq!(error.position, position, "{text}: {error}");
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
    }

    /// 5 January 2026 is a Monday.
    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let nights = windows(&["Mon-Fri 22:00-06:00"]);
        let (opens, closes) = (at("2026-01-09T22:00+01"), at("2026-01-10T06:00+01"));
        for (time, open) in [
            ("2026-01-05T05:00+01", false),
            ("2026-01-05T21:59:59+01", false),
            ("2026-01-05T22:00+01", true),
            ("2026-01-06T05:59:59+01", true),
            ("2026-01-06T06:00+01", false),
            ("2026-01-10T05:00+01", true),
            ("2026-01-10T23:00+01", false),
            ("2026-01-11T23:00+01", false),
        ] {
            assert_eq!(nights.contains(at(time)), open, "{time}");
        }
        assert_eq!(nights.next_opening(at("2026-01-09T06:00+01")), Some(opens));
        assert_eq!(nights.closes(opens), Some(closes));
        assert_eq!(nights.closes(at("2026-01-10T05:59+01")), Some(closes));
        assert_eq!(nights.closes(closes), None, "it is closed");
        let monday = Some(at("2026-01-12T22:00+01"));
        assert_eq!(nights.next_opening(opens), monday, "after the one that is open");
        assert_eq!(nights.next_opening(closes), monday);
    }

    #[test]
    fn windows_that_meet_are_one() {
        let both = windows(&["daily 22:00-00:00", "daily 00:00-04:00", "daily 03:00-06:00"]);
        let opens = at("2026-01-05T22:00+01");
        assert_eq!(both.closes(opens), Some(at("2026-01-06T06:00+01")));
        assert_eq!(both.next_opening(opens), Some(at("2026-01-06T22:00+01")));
        let week = windows(&["Mon-Fri 00:00-24:00"]);
        assert_eq!(week.closes(at("2026-01-07T12:00+01")), Some(at("2026-01-10T00:00+01")));
        assert_eq!(week.next_opening(at("2026-01-07T12:00+01")), Some(at("2026-01-12T00:00+01")));
        let ever = windows(&["daily 00:00-24:00"]);
        assert!(ever.contains(opens));
        assert_eq!((ever.closes(opens), ever.next_opening(opens)), (None, None));
        let once = windows(&["Wed 12:00-12:30"]);
        assert_eq!(once.next_opening(at("2026-01-07T12:00+01")), Some(at("2026-01-14T12:00+01")));
        assert_eq!(once.closes(at("2026-01-07T12:00+01")), Some(at("2026-01-07T12:30+01")));
        let never = windows(&[]);
        assert_eq!((never.contains(opens), never.next_opening(opens)), (false, None));
    }

    /// On 29 March 2026 the hour from 02:00 is skipped.
    #[test]
    fn a_time_that_is_skipped_is_the_first_one_after_it() {
        let three = at("2026-03-29T03:00+02");
        let nights = windows(&["daily 22:00-06:00"]);
        assert_eq!(nights.closes(at("2026-03-28T22:00+01")), Some(at("2026-03-29T06:00+02")));
        let to_the_gap = windows(&["daily 01:00-02:30"]);
        assert_eq!(to_the_gap.closes(at("2026-03-29T01:00+01")), Some(three));
        let from_the_gap = windows(&["daily 02:30-04:00"]);
        assert_eq!(from_the_gap.next_opening(at("2026-03-29T00:00+01")), Some(three));
        let inside = windows(&["daily 02:15-02:45"]);
        let next = Some(at("2026-03-30T02:15+02"));
        assert_eq!(inside.next_opening(at("2026-03-29T00:00+01")), next, "not in this night");
        assert!(!inside.contains(three));
    }

    /// On 25 October 2026 the hour from 02:00 comes twice.
    #[test]
    fn a_time_that_is_doubled_counts_the_first_time() {
        let first = windows(&["daily 02:15-02:45"]);
        let opens = at("2026-10-25T02:15+02");
        assert_eq!(first.next_opening(at("2026-10-25T00:00+02")), Some(opens));
        assert_eq!(first.closes(opens), Some(at("2026-10-25T02:45+02")));
        assert!(!first.contains(at("2026-10-25T02:30+01")), "once");
        let long = windows(&["daily 02:15-03:15"]);
        assert!(long.contains(at("2026-10-25T02:05+01")));
        assert_eq!(long.closes(opens), Some(at("2026-10-25T03:15+01")));
        let nights = windows(&["daily 22:00-06:00"]);
        assert_eq!(nights.closes(at("2026-10-24T22:00+02")), Some(at("2026-10-25T06:00+01")));
    }
}
