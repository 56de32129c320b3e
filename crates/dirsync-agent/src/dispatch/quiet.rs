//! Until when nothing but an event makes a turn necessary.
//!
//! A process may look after many postoffices. One in whose places nothing happened, and for which no
//! time has come, needs no turn: its database is not opened.

use std::time::Duration;

use dirsync_protocol::simulation::Rule;
use jiff::Timestamp;

use super::{Dispatch, HEARTBEAT, Moment, State, TIDY};
use crate::schedule::{Due, Schedule, Step};

/// Nothing is due before these times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quiet {
    since: Moment,
    steady: Duration,
    wall: u64,
}

impl Dispatch {
    /// Ends a turn after which the database says `state`, and somebody is overdue at `late_at`.
    pub fn rest(&mut self, state: &State, late_at: Option<u64>, now: Moment) {
        self.quiet = None;
        if self.has_left || state.is_incomplete() {
            return;
        }
        let mut steady = Duration::MAX;
        let mut wall = state.tidied.map_or(0, |at| at.saturating_add(TIDY.as_millis() as u64));
        match &self.settings.schedule {
            Some(schedule) => wall = wall.min(next_step(schedule, state, now.wall)),
            None if state.is_to_continue() => return,
            None => {
                let heartbeat = self.sent_at.map_or(Duration::ZERO, |at| at + HEARTBEAT);
                steady = heartbeat.min(self.confirm_at.unwrap_or(Duration::MAX));
            }
        }
        if Rule::LateLooked.holds() {
            wall = wall.min(late_at.unwrap_or(u64::MAX));
        }
        self.quiet = Some(Quiet { since: now, steady, wall });
    }

    /// Whether a turn is needed although nothing happened since the last one.
    pub fn is_due(&self, now: Moment) -> bool {
        self.quiet.is_none_or(|quiet| {
            now.steady >= quiet.steady
                || now.wall >= quiet.wall
                || now.has_jumped_since(quiet.since)
        })
    }
}

/// When the schedule has the next step, in milliseconds since 1970; 0 for at once.
fn next_step(schedule: &Schedule, state: &State, now: u64) -> u64 {
    let now = timestamp(now);
    let next = |step| match schedule.due(step, state.run(step).last, now) {
        Due::Now { .. } | Due::Missed { .. } => 0,
        Due::At(at) => at.as_millisecond().unsigned_abs(),
        Due::Never => u64::MAX,
    };
    state.steps().map(next).min().unwrap_or(u64::MAX)
}

/// A time of day, as schedules have it.
pub fn timestamp(ms: u64) -> Timestamp {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MIN)
}

impl State {
    /// The steps that this postoffice has, in the order of a cycle.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        let is_server = self.is_server;
        [Step::Send, Step::Process, Step::Apply]
            .into_iter()
            .filter(move |step| is_server || *step != Step::Process)
    }
}
