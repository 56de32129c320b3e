//! Times as people and scripts read them.

pub use dirsync_postoffice::time::rfc3339;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How long ago, in the largest fitting unit.
pub fn ago(ms: u64, now: u64) -> String {
    if ms == 0 { "never".into() } else { format!("{} ago", length(now.saturating_sub(ms))) }
}

/// A length of time in the largest fitting unit.
pub fn length(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400), // two or more
    }
}

/// Times as somebody in a zone says them now.
#[derive(Clone, Debug)]
pub struct Times {
    /// The zone.
    pub zone: TimeZone,
    /// The time, in milliseconds since 1970.
    pub now: u64,
}

impl Times {
    /// The day, e.g. "today", "Monday" or "3 November", and the time of day.
    pub fn day_and_time(&self, ms: u64) -> (String, String) {
        let (at, now) = (self.local(ms), self.local(self.now));
        let time = at.strftime("%H:%M").to_string();
        let days = now.date().until(at.date()).map_or(i32::MAX, |span| span.get_days());
        let day = match days {
            0 => "today".into(),
            1 => "tomorrow".into(),
            -1 => "yesterday".into(),
            -6..=6 => at.strftime("%A").to_string(),
            _ if at.year() == now.year() => at.strftime("%-d %B").to_string(),
            _ => at.strftime("%-d %B %Y").to_string(),
        };
        (day, time)
    }

    /// The day and the time of day, e.g. "today 22:00".
    pub fn day(&self, ms: u64) -> String {
        let (day, time) = self.day_and_time(ms);
        format!("{day} {time}")
    }

    /// Since when, as exactly as is worth saying: "since 06:00", "since Tuesday".
    pub fn since(&self, ms: u64) -> String {
        match self.day_and_time(ms) {
            _ if ms == 0 => "since it was set up".into(),
            (day, time) if day == "today" => format!("since {time}"),
            (day, _) => format!("since {day}"),
        }
    }

    /// How long ago.
    pub fn ago(&self, ms: u64) -> String {
        ago(ms, self.now)
    }

    /// How long until a time, e.g. "in 3 h".
    pub fn until(&self, ms: u64) -> String {
        format!("in {}", length(ms.saturating_sub(self.now)))
    }

    /// The name of the zone.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    fn local(&self, ms: u64) -> DateTime {
        let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        self.zone.to_datetime(at.unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1000;
    const DAY: u64 = 24 * HOUR;

    /// A place whose clocks are two hours ahead, on Thursday, 12 November 2026, at 23:30.
    fn times() -> Times {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-12T21:30:00Z".parse::<Timestamp>().unwrap();
        Times { zone, now: now.as_millisecond().unsigned_abs() }
    }

    #[test]
    fn a_day_is_named_as_somebody_there_would() {
        let times = times();
        let day = |ms| times.day(ms);
        assert_eq!(day(times.now), "today 23:30");
        assert_eq!(day(times.now + HOUR), "tomorrow 00:30", "it is tomorrow there, not in UTC");
        assert_eq!(day(times.now - DAY), "yesterday 23:30");
        assert_eq!(day(times.now + 4 * DAY), "Monday 23:30");
        assert_eq!(day(times.now - 7 * DAY), "5 November 23:30");
        assert_eq!(day(times.now + 60 * DAY), "11 January 2027 23:30");
    }

    #[test]
    fn since_when_is_as_exact_as_is_worth_saying() {
        let times = times();
        assert_eq!(times.since(times.now - HOUR), "since 22:30");
        assert_eq!(times.since(times.now - DAY), "since yesterday");
        assert_eq!(times.since(times.now - 2 * DAY), "since Tuesday");
        assert_eq!(times.since(times.now - 20 * DAY), "since 23 October");
        assert_eq!(times.since(0), "since it was set up");
        assert_eq!(times.until(times.now + 3 * HOUR), "in 3 h");
    }
}
