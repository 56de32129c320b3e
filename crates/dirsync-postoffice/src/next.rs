//! What the agent does next, and when.

use dirsync_agent::dispatch::{State, timestamp};
use dirsync_agent::schedule::Step;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::Config;
use crate::failure::Result;
use crate::json;
use crate::postoffice::Postoffice;

/// The times of each step that are told.
const TIMES: usize = 3;

/// What starts the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Starts {
    /// Weekdays and times.
    Scheduled,
    /// Changes: each is sent at once, and what arrives is processed at once.
    Continuous,
}

/// What the agent does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Next {
    /// What starts the steps.
    pub starts: Starts,
    /// The zone in which times are shown to people.
    pub zone: String,
    /// How often places are looked at, in seconds.
    pub poll_seconds: u64,
    /// The steps of this postoffice, in the order of a cycle; empty in continuous mode.
    pub steps: Vec<NextTimes>,
}

/// The next times of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextTimes {
    /// The step.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub step: Step,
    /// Whether it is due now: its last time passed, and the run window is not over.
    pub due: bool,
    /// The next three times.
    #[serde(serialize_with = "json::times")]
    #[schemars(with = "Vec<json::Time>")]
    pub times: Vec<u64>,
}

/// The step that comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextStep {
    /// The step.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub step: Step,
    /// When.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "json::Time")]
    pub at: u64,
}

impl Next {
    /// What the agent does next at a postoffice.
    pub fn of(postoffice: &mut Postoffice, now: u64) -> Result<Self> {
        let config = postoffice.config.clone();
        let state = State::load(&mut *postoffice.begin()?)?;
        Ok(Self::by(&config, &state, now))
    }

    /// By settings and what the database says.
    pub fn by(config: &Config, state: &State, now: u64) -> Self {
        let zone = config.zone().iana_name().unwrap_or("UTC").to_owned();
        let poll_seconds = config.poll.as_secs();
        let Some(schedule) = &config.schedule else {
            return Self { starts: Starts::Continuous, zone, poll_seconds, steps: Vec::new() };
        };
        let steps = state.steps().map(|step| {
            let last_run = state.last_run(step);
            let (due, times) = schedule.upcoming(step, last_run, timestamp(now), TIMES);
            let times = times.iter().map(|at| at.as_millisecond().unsigned_abs()).collect();
            NextTimes { step, due, times }
        });
        Self { starts: Starts::Scheduled, zone, poll_seconds, steps: steps.collect() }
    }

    /// The step that comes first; of several at one time the first of a cycle.
    pub fn first(&self, now: u64) -> Option<NextStep> {
        let at = |next: &NextTimes| if next.due { Some(now) } else { next.times.first().copied() };
        let steps = self.steps.iter().filter_map(|next| Some((at(next)?, next.step)));
        steps.min().map(|(at, step)| NextStep { step, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1000;
    /// 1 November 2026, 12:00 in UTC.
    const NOON: u64 = 1_793_534_400_000;

    fn next(times: &str, is_server: bool, now: u64) -> Next {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dirsync.toml");
        let text = format!("[schedule]\nzone = \"Europe/Berlin\"\ntimes = [{times}]\n");
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap();
        Next::by(&config, &State::new(is_server), now)
    }

    #[test]
    fn each_step_has_its_next_three_times_in_the_zone_of_the_site() {
        let times = "\"T1 daily 22:00\", \"T3 Mon-Fri 06:00\", \"T2 every 15 min\"";
        let next = next(times, false, NOON);
        assert_eq!(next.zone, "Europe/Berlin");
        let steps: Vec<Step> = next.steps.iter().map(|one| one.step).collect();
        assert_eq!(steps, [Step::Send, Step::Apply], "T2 is not a requestor's");
        // It is Sunday, and winter time: 22:00 in Berlin is 21:00 in UTC.
        let hours = |at: &u64| (at - NOON) / HOUR;
        assert_eq!(next.steps[0].times.iter().map(hours).collect::<Vec<_>>(), [9, 33, 57]);
        assert_eq!(next.steps[1].times.iter().map(hours).collect::<Vec<_>>(), [17, 41, 65]);
        assert!(!next.steps[0].due);
        let first = NextStep { step: Step::Send, at: NOON + 9 * HOUR };
        assert_eq!(next.first(NOON), Some(first));
    }

    #[test]
    fn of_two_steps_at_one_time_the_first_of_the_cycle_is_next() {
        let next = next("\"T3 daily 22:00\", \"T2 daily 22:00\", \"T1 daily 22:00\"", true, NOON);
        assert_eq!(next.first(NOON).map(|first| first.step), Some(Step::Send));
    }

    #[test]
    fn a_time_that_passed_before_the_first_run_is_not_due() {
        let next = next("\"T1 daily 12:00\"", false, NOON);
        assert_eq!((next.steps[0].due, next.steps[0].times.len()), (false, 3));
        assert!(next.steps[1].times.is_empty(), "T3 never runs");
    }

    #[test]
    fn in_continuous_mode_nothing_has_a_time() {
        let next = next("", true, NOON);
        assert_eq!((next.starts, next.first(NOON)), (Starts::Continuous, None));
    }
}
