//! The arithmetic of Dispatch's schedule: steps by weekday and time, with run windows, in a named
//! time zone.
//!
//! No clock and no time zone database: both are arguments. The original kept a time per step and
//! weekday and added a week of seconds after each run (Q96060, Q135352), so that daylight saving
//! moved every time by an hour; here a time is a civil time. A local time that the zone skips runs
//! at the first valid minute after it, one that the zone doubles runs once, the first time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

/// A scheduled step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// T1: requestors send.
    Send,
    /// T2: the server processes and answers.
    Process,
    /// T3: requestors apply.
    Apply,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Send => "T1",
            Self::Process => "T2",
            Self::Apply => "T3",
        })
    }
}

/// Where and why a text is no scheduled time or length of time.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{word}\" at character {} is wrong: {expected}", position + 1)]
pub struct ScheduleError {
    /// Bytes before the wrong word.
    pub position: usize,
    word: String,
    expected: &'static str,
}

/// One line of a schedule, e.g. `T1 Mon-Fri 22:00` or `T3 every 15 min`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledTime {
    step: Step,
    /// Monday to Sunday.
    days: [bool; 7],
    when: When,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    At(i16),
    Every { minutes: i16, from: i16, to: i16 },
}

/// Minutes of a day.
const DAY: i16 = 24 * 60;
const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl ScheduledTime {
    /// The minutes of one day at which it is due.
    fn minutes(&self) -> impl Iterator<Item = i16> {
        let (from, to, step) = match self.when {
            When::At(minute) => (minute, minute, 1),
            When::Every { minutes, from, to } => (from, to, minutes),
        };
        (from..=to).step_by(step as usize).filter(|minute| *minute < DAY)
    }

    fn is_on(&self, day: Weekday) -> bool {
        self.days[usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)]
    }
}

struct Words<'a> {
    text: &'a str,
    words: Vec<(usize, &'a str)>,
    next: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        let start = text.as_ptr() as usize;
        let words = text.split_whitespace().map(|w| (w.as_ptr() as usize - start, w)).collect();
        Self { text, words, next: 0 }
    }

    fn next(&mut self) -> Option<(usize, &'a str)> {
        self.next += 1;
        self.words.get(self.next - 1).copied()
    }

    fn error(&self, expected: &'static str) -> ScheduleError {
        let at = self.words.get(self.next.saturating_sub(1)).copied();
        let (position, word) = at.unwrap_or((self.text.len(), ""));
        ScheduleError { position, word: word.to_owned(), expected }
    }
}

impl FromStr for ScheduledTime {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut words = Words::new(text);
        let step = match words.next().map(|(_, word)| word.to_ascii_uppercase()).as_deref() {
            Some("T1") => Step::Send,
            Some("T2") => Step::Process,
            Some("T3") => Step::Apply,
            _ => return Err(words.error("T1, T2 or T3 is expected")),
        };
        let mut days = [true; 7];
        let mut word = words.next();
        if let Some((_, text)) = word
            && !text.eq_ignore_ascii_case("every")
            && !text.contains(':')
        {
            days = parse_days(text)
                .ok_or_else(|| words.error("days are expected: daily, Mon, Mon-Fri or Mon,Wed"))?;
            word = words.next();
        }
        let when = match word {
            Some((_, text)) if text.eq_ignore_ascii_case("every") => parse_every(&mut words)?,
            Some((_, text)) => {
                let minute = parse_minute(text);
                When::At(minute.ok_or_else(|| words.error("a time is expected, e.g. 22:00"))?)
            }
            None => return Err(words.error("a time is expected, e.g. 22:00 or every 15 min")),
        };
        match words.next() {
            None => Ok(Self { step, days, when }),
            Some(_) => Err(words.error("nothing more is expected")),
        }
    }
}

fn parse_every(words: &mut Words<'_>) -> Result<When, ScheduleError> {
    let expected = "a number of minutes is expected, e.g. every 15 min";
    let number = words.next().and_then(|(_, word)| word.parse::<i16>().ok());
    let number = number.filter(|number| *number > 0).ok_or_else(|| words.error(expected))?;
    let minutes = match words.next().map(|(_, word)| word) {
        Some("min") => Some(number),
        Some("h") => number.checked_mul(60),
        _ => None,
    };
    let minutes = minutes
        .filter(|minutes| *minutes <= DAY)
        .ok_or_else(|| words.error("min or h is expected"))?;
    let Some((_, range)) = words.next() else {
        return Ok(When::Every { minutes, from: 0, to: DAY - 1 });
    };
    let range = range.split_once('-').and_then(|(from, to)| {
        Some((parse_minute(from)?, parse_minute(to)?)).filter(|(from, to)| from < to)
    });
    let (from, to) = range.ok_or_else(|| words.error("times are expected, e.g. 08:00-18:00"))?;
    Ok(When::Every { minutes, from, to })
}

fn parse_minute(text: &str) -> Option<i16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, below: i16| {
        (text.len() == 2).then(|| text.parse().ok())?.filter(|n| (0..below).contains(n))
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    if text.eq_ignore_ascii_case("daily") {
        return Some([true; 7]);
    }
    let day = |text: &str| NAMES.iter().position(|name| name.eq_ignore_ascii_case(text));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (day(from)?, day(to)?);
        for number in 0..7 {
            let at = (from + number) % 7;
            days[at] = true;
            if at == to {
                break;
            }
        }
    }
    Some(days)
}

impl fmt::Display for ScheduledTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.step)?;
        if self.days == [true; 7] {
            f.write_str("daily")?;
        } else {
            let days: Vec<&str> =
                NAMES.iter().zip(self.days).filter(|(_, on)| *on).map(|(name, _)| *name).collect();
            f.write_str(&days.join(","))?;
        }
        let time = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
        match self.when {
            When::At(minute) => write!(f, " {}", time(minute)),
            When::Every { minutes, from: 0, to } if to == DAY - 1 => {
                write!(f, " every {minutes} min")
            }
            When::Every { minutes, from, to } => {
                write!(f, " every {minutes} min {}-{}", time(from), time(to))
            }
        }
    }
}

/// When the steps of one postoffice run.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The zone of its times.
    pub zone: TimeZone,
    /// Its lines.
    pub times: Vec<ScheduledTime>,
    /// How long after its time a step still runs.
    pub window: Duration,
}

/// What a schedule says of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It runs now, for this time.
    Now {
        /// The time that it was due; to be kept as the step's last run.
        scheduled_for: Timestamp,
    },
    /// It was due and its window is over: to be reported once.
    Missed {
        /// The time that was missed; to be kept as the step's last run.
        scheduled_for: Timestamp,
        /// When it is due next.
        next: Option<Timestamp>,
    },
    /// It is due then.
    At(Timestamp),
    /// It is never due.
    Never,
}

impl Schedule {
    /// The run window of Microsoft Mail 3.2 and later: 28,800 seconds (Q119590).
    pub const WINDOW: Duration = Duration::from_secs(28_800);

    /// The instants of a step on one local day, in order. Two local times may be one instant.
    fn on_day(&self, step: Step, day: Date) -> Vec<Timestamp> {
        let mut instants: Vec<Timestamp> = self
            .times
            .iter()
            .filter(|time| time.step == step && time.is_on(day.weekday()))
            .flat_map(ScheduledTime::minutes)
            .filter_map(|minute| self.instant(day, minute))
            .collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// A local time as an instant: the first one of a doubled time, the end of the gap of a skipped
    /// one. A time on a day that does not exist at all is none.
    fn instant(&self, day: Date, minute: i16) -> Option<Timestamp> {
        let time = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
        let local = DateTime::from_parts(day, time);
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        if let jiff::tz::AmbiguousOffset::Gap { before, .. } = ambiguous.offset() {
            // The clock jumps at the instant that the offset before the gap gives to its beginning.
            let after = before.to_timestamp(local).ok()?;
            let jump = self.zone.preceding(after).next()?.timestamp();
            let same_day = self.zone.to_datetime(jump).date() == day;
            return same_day.then_some(jump);
        }
        ambiguous.earlier().ok()
    }

    /// The last instant of a step that is not after `now`, and the first after it.
    fn around(&self, step: Step, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        // A week has every weekday; a day more on both sides for the zone.
        const DAYS: i32 = 8;
        let today = self.zone.to_datetime(now).date();
        let (mut last, mut next) = (None, None);
        for offset in -DAYS..=DAYS {
            let Ok(day) = today.checked_add(SignedDuration::from_hours(24 * i64::from(offset)))
            else {
                continue;
            };
            for instant in self.on_day(step, day) {
                if instant <= now {
                    last = Some(instant);
                } else if next.is_none() {
                    next = Some(instant);
                }
            }
        }
        (last, next)
    }

    /// Whether a step is due. Several missed times are one; a clock that went back repeats nothing.
    pub fn due(&self, step: Step, last_run: Option<Timestamp>, now: Timestamp) -> Due {
        let (last, next) = self.around(step, now);
        let open = last.filter(|last| last_run.is_none_or(|run| *last > run));
        match open {
            Some(scheduled_for) => {
                let window = SignedDuration::try_from(self.window).unwrap_or(SignedDuration::MAX);
                if now.duration_since(scheduled_for) < window {
                    Due::Now { scheduled_for }
                } else {
                    Due::Missed { scheduled_for, next }
                }
            }
            None => next.map_or(Due::Never, Due::At),
        }
    }

    /// How many times of a step lie after `since` and not after `now`.
    pub fn missed_cycles(&self, step: Step, since: Timestamp, now: Timestamp) -> u32 {
        const ENOUGH: u32 = 100;
        let mut count = 0;
        let mut day = self.zone.to_datetime(since).date();
        let end = self.zone.to_datetime(now).date();
        while day <= end && count < ENOUGH {
            let on_day = self.on_day(step, day);
            count += on_day.iter().filter(|at| **at > since && **at <= now).count() as u32;
            let Ok(tomorrow) = day.tomorrow() else { break };
            day = tomorrow;
        }
        count
    }
}

/// Reads a length of time: `30 s`, `90 min`, `8 h`, `14 days`, `1 year`.
///
/// # Errors
///
/// When it is none.
pub fn parse_duration(text: &str) -> Result<Duration, ScheduleError> {
    let mut words = Words::new(text);
    let number = words.next().and_then(|(_, word)| word.parse::<u64>().ok());
    let number = number.ok_or_else(|| words.error("a length of time is expected, e.g. 90 min"))?;
    let unit = match words.next().map(|(_, word)| word) {
        Some("s") => Some(1),
        Some("min") => Some(60),
        Some("h") => Some(60 * 60),
        Some("day" | "days") => Some(24 * 60 * 60),
        Some("year" | "years") => Some(365 * 24 * 60 * 60),
        _ => None,
    };
    let unit = unit.ok_or_else(|| words.error("a unit is expected: s, min, h, days or years"))?;
    let seconds = number.checked_mul(unit).ok_or_else(|| words.error("this is too long"))?;
    match words.next() {
        None => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(words.error("nothing more is expected")),
    }
}

/// How long to wait before something that failed is tried again: doubling, up to a limit.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub max: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { first: Duration::from_secs(30), max: Duration::from_secs(60 * 60) }
    }
}

impl BackOff {
    /// The delay after `failures` earlier failures.
    pub fn delay(&self, failures: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(failures)).min(self.max)
    }
}
