//! How a postoffice is looked after: without a schedule, or by one of a few.

use std::time::Duration;

use dirsync_agent::dispatch::Settings;
use dirsync_agent::schedule::{Schedule, ScheduledTime, Step};
use jiff::tz::TimeZone;

const MINUTE_MS: u64 = 60_000;
const DAY_MIN: u64 = 24 * 60;

/// Times of a step: the first minute of the day, and from there every so many minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    first: u64,
    every: u64,
}

/// When the steps of a postoffice are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// Without a schedule: when something changes.
    Continuous,
    /// Every quarter of an hour, with a window of a few minutes.
    Often,
    /// Every hour.
    Hourly,
    /// Once in a night, as the original's manual has it.
    Nightly,
}

impl Pace {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("continuous", Self::Continuous),
        ("often", Self::Often),
        ("hourly", Self::Hourly),
        ("nightly", Self::Nightly),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The times of a step; `None` without a schedule.
    pub fn times(self, step: Step) -> Option<Times> {
        let first = match (self, step) {
            (Self::Continuous, _) => return None,
            (Self::Often, Step::Process) => 5,
            (Self::Often, Step::Apply) => 10,
            (Self::Hourly, Step::Process) => 20,
            (Self::Hourly, Step::Apply) => 40,
            (Self::Nightly, Step::Send) => 22 * 60,
            (Self::Nightly, Step::Apply) => 4 * 60 + 30,
            (_, Step::Send) | (Self::Nightly, Step::Process) => 0,
        };
        Some(Times { first, every: self.cycle_minutes() })
    }

    /// How long one cycle takes.
    pub fn cycle_minutes(self) -> u64 {
        match self {
            Self::Continuous => 10,
            Self::Often => 15,
            Self::Hourly => 60,
            Self::Nightly => DAY_MIN,
        }
    }

    /// How long after its time a step still runs.
    pub fn window_minutes(self) -> u64 {
        match self {
            Self::Continuous | Self::Often => 4,
            Self::Hourly => 30,
            Self::Nightly => 8 * 60,
        }
    }

    /// How often its postoffice is looked at.
    pub fn poll_ms(self) -> u64 {
        match self {
            Self::Continuous | Self::Often => 30_000,
            Self::Hourly => 5 * MINUTE_MS,
            Self::Nightly => 15 * MINUTE_MS,
        }
    }

    /// The settings, as a configuration has them.
    pub fn settings(self) -> Settings {
        let poll = Duration::from_millis(self.poll_ms());
        let times = [Step::Send, Step::Process, Step::Apply].into_iter();
        let times: Vec<ScheduledTime> = times
            .filter_map(|step| Some(self.times(step)?.line(step)))
            .map(|line| line.parse().expect("it is a schedule"))
            .collect();
        let window = Duration::from_secs(60 * self.window_minutes());
        let schedule =
            (!times.is_empty()).then_some(Schedule { zone: TimeZone::UTC, times, window });
        Settings { schedule, poll }
    }
}

impl Times {
    fn line(self, step: Step) -> String {
        let Self { first, every } = self;
        let time = format!("{:02}:{:02}", first / 60, first % 60);
        if every == DAY_MIN {
            format!("{step} daily {time}")
        } else {
            format!("{step} every {every} min {time}-23:59")
        }
    }

    /// The last of these times that is not after `wall`, in milliseconds since 1970.
    pub fn last_until(self, wall: u64) -> u64 {
        // Every day has a whole number of them.
        let minutes = (wall / MINUTE_MS).saturating_sub(self.first);
        (minutes / self.every * self.every + self.first) * MINUTE_MS
    }

    /// The third of these times after `wall`.
    pub fn third_after(self, wall: u64) -> u64 {
        self.last_until(wall) + 3 * self.every * MINUTE_MS
    }
}
