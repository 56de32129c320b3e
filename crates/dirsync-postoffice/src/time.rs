//! The clock, and times as texts.

use std::time::{SystemTime, UNIX_EPOCH};

pub use dirsync_agent::json::rfc3339;
use dirsync_agent::schedule::parse_duration;
use jiff::civil::DateTime;
pub use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::failure::{Failure, Result};

/// The time, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The time from which on a person wants to see something: a length of time before `now`, `today`,
/// `yesterday`, a date, or a time. Dates and times without an offset are those of `zone`.
///
/// # Errors
///
/// A text that is none of these.
pub fn parse_since(text: &str, now: u64, zone: &TimeZone) -> Result<u64> {
    let text = text.trim();
    if let Ok(length) = parse_duration(text) {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        return Ok(now.saturating_sub(length));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(ms(at));
    }
    let day = || Timestamp::from_millisecond(now as i64).ok().map(|at| zone.to_datetime(at).date());
    let begin = match text {
        "today" => day().map(DateTime::from),
        "yesterday" => day().and_then(|day| day.checked_sub(1.day()).ok()).map(DateTime::from),
        _ => text.parse().ok(),
    };
    // A time that the zone skips or repeats is the first one that fits.
    let at = begin.and_then(|begin| zone.to_ambiguous_timestamp(begin).earlier().ok());
    at.map(ms).ok_or_else(|| {
        Failure::usage(format!("\"{text}\" is not a time")).hint(
            "a length of time (1h, 30m, 2 days), today, yesterday, a date (2026-11-01), or a time \
             (\"2026-11-01 14:00\", 2026-11-01T14:00:00Z)",
        )
    })
}

fn ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

/// A time of day in a zone, with its date unless that is today.
pub fn clock(ms: u64, now: u64, zone: &TimeZone) -> String {
    let civil = |ms: u64| {
        let at = Timestamp::from_second((ms / 1000) as i64).ok()?;
        Some(zone.to_datetime(at))
    };
    match (civil(ms), civil(now)) {
        (Some(at), Some(now)) if at.date() == now.date() => at.strftime("%H:%M").to_string(),
        (Some(at), _) => at.strftime("%Y-%m-%d %H:%M").to_string(),
        (None, _) => "?".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_begin_with_is_said_in_many_ways() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = ms("2026-11-02T23:30:00Z".parse().unwrap());
        for (text, at) in [
            ("1h", "2026-11-02T22:30:00Z"),
            ("2 days", "2026-10-31T23:30:00Z"),
            ("1w", "2026-10-26T23:30:00Z"),
            ("today", "2026-11-02T23:00:00Z"),
            ("yesterday", "2026-11-01T23:00:00Z"),
            ("2026-11-01", "2026-10-31T23:00:00Z"),
            ("2026-11-01 14:00", "2026-11-01T13:00:00Z"),
            ("2026-11-01T14:00:00Z", "2026-11-01T14:00:00Z"),
            (" 2026-03-29 02:30 ", "2026-03-29T00:30:00Z"),
        ] {
            assert_eq!(rfc3339(parse_since(text, now, &zone).unwrap()), at, "{text}");
        }
        assert_eq!(parse_since("900 years", now, &zone).unwrap(), 0);
        for text in ["", "last week", "2026-13-01", "1 moon", "-1 h"] {
            let failure = parse_since(text, now, &zone).unwrap_err();
            assert!(failure.text().contains("is not a time"), "{text}");
        }
    }

    #[test]
    fn a_clock_shows_the_date_of_another_day_only() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = 1_764_354_600_000;
        assert_eq!(rfc3339(at), "2025-11-28T18:30:00Z");
        assert_eq!(clock(at, at + 4 * 3_600_000, &zone), "19:30");
        assert_eq!(clock(at, at + 5 * 3_600_000, &zone), "2025-11-28 19:30");
    }
}
