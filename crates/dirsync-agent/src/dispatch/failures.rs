//! Turns that failed: when the next one is taken, and how often the failure is said.

use std::time::Duration;

use dirsync_protocol::simulation::Rule;

use super::{Dispatch, Moment};
use crate::schedule::BackOff;

/// The failure that goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    text: Option<String>,
    /// When it is said again.
    said_again: Duration,
    /// How often it has been said.
    times: u32,
    not_before: Option<Duration>,
}

impl Failures {
    pub fn not_before(&self) -> Option<Duration> {
        self.not_before
    }
}

impl Dispatch {
    /// Ends a turn that failed, or could not even begin. Returns what is to be said: a failure that goes
    /// on is said again after twice as long each time.
    pub fn failed(&mut self, text: &str, now: Moment) -> Option<String> {
        let pause = self.settings.poll.min(BackOff::default().first);
        let failures = &mut self.failures;
        failures.not_before =
            Some(now.steady + if Rule::TurnPause.holds() { pause } else { Duration::ZERO });
        if failures.text.as_deref() != Some(text) {
            *failures = Failures {
                text: Some(text.to_owned()),
                said_again: now.steady,
                times: 0,
                ..*failures
            };
        }
        if now.steady < failures.said_again && Rule::FailureSaid.holds() {
            return None;
        }
        failures.said_again = now.steady + BackOff::default().delay(failures.times);
        failures.times = failures.times.saturating_add(1);
        Some(format!("{text}; tried again in {} s", pause.as_secs()))
    }

    /// Ends a turn that did not fail.
    pub fn succeeded(&mut self) {
        self.failures = Failures::default();
    }

    /// Whether the last turn failed.
    pub fn has_failed(&self) -> bool {
        self.failures.text.is_some()
    }
}
