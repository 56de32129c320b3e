//! The arithmetic of Dispatch's schedule: steps by weekday and time, with run windows, in a named
//! time zone.
//!
//! No clock and no time zone database: both are arguments. The original kept a time per step and
//! weekday and added a week of seconds after each run (Q96060, Q135352), so that daylight saving
//! moved every time by an hour; here a time is a civil time. A local time that the zone skips runs
//! at the first valid minute after it, one that the zone doubles runs once, the first time.

mod due;
mod parse;
#[cfg(test)]
mod tests;
mod windows;

use std::fmt;
use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use self::due::Due;
pub use self::parse::{ScheduleError, parse_duration};
pub use self::windows::{Window, Windows};

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
/// Monday to Sunday.
const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl ScheduledTime {
    /// The step that it is for.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The minutes of one day at which it is due.
    fn minutes(&self) -> impl Iterator<Item = i16> {
        let (from, to, step) = match self.when {
            When::At(minute) => (minute, minute, 1),
            When::Every { minutes, from, to } => (from, to, minutes),
        };
        (from..=to).step_by(usize::try_from(step).unwrap_or(1))
    }

    fn is_on(&self, day: Weekday) -> bool {
        self.days[usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)]
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

impl Schedule {
    /// The run window of Microsoft Mail 3.2 and later: 28,800 seconds (Q119590).
    pub const WINDOW: Duration = Duration::from_secs(28_800);
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
    /// The delay before the next attempt when `attempt` attempts were repeats: `first` for 0.
    pub fn delay(&self, attempt: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(attempt)).min(self.max)
    }
}

/// More than this between two readings of a clock is no drift.
const JUMP: SignedDuration = SignedDuration::from_hours(24);

/// How far the clock jumped, forward or (negative) back, when `expected` should have passed between
/// two readings of it. Only more than a day is a jump: then purging is postponed and the jump is
/// reported, so that no jump forgets all deletions at once.
pub fn clock_jump(
    last_seen: Timestamp,
    now: Timestamp,
    expected: Duration,
) -> Option<SignedDuration> {
    let expected = SignedDuration::try_from(expected).unwrap_or(SignedDuration::MAX);
    let jump = now.duration_since(last_seen).saturating_sub(expected);
    (jump > JUMP || jump < -JUMP).then_some(jump)
}
