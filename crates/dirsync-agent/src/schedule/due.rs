//! When a step is due: scheduled local times as instants, and what lies between two of them.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::{Schedule, ScheduledTime, Step};

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

/// Days searched on both sides: a week has every weekday, and two days more for zones that skip or
/// double the hours around midnight, or a whole day.
pub(super) const DAYS: i32 = 9;

impl Schedule {
    /// The instants of a step on one local day, in order. Two local times may be one instant, and a
    /// time that the zone skips may be an instant of the day after.
    fn on_day(&self, step: Step, day: Date) -> Vec<Timestamp> {
        let mut instants: Vec<Timestamp> = self
            .times
            .iter()
            .filter(|time| time.step == step && time.is_on(day.weekday()))
            .flat_map(ScheduledTime::minutes)
            .filter_map(|minute| instant(&self.zone, day, minute))
            .collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// The last instant of a step that is not after `at`.
    fn last_until(&self, step: Step, at: Timestamp) -> Option<Timestamp> {
        (-1..=DAYS)
            .filter_map(|back| day_of(&self.zone, at, -back))
            .find_map(|day| self.on_day(step, day).into_iter().rfind(|instant| *instant <= at))
    }

    /// The first instant of a step after `at`.
    fn next_after(&self, step: Step, at: Timestamp) -> Option<Timestamp> {
        (-1..=DAYS)
            .filter_map(|forward| day_of(&self.zone, at, forward))
            .find_map(|day| self.on_day(step, day).into_iter().find(|instant| *instant > at))
    }

    /// Whether a step is due, when it last ran for `last_run`.
    ///
    /// Several times that have passed are one. No time up to `last_run` is due again, also when the
    /// clock goes back; a caller that learns of a jump back (`clock_jump`) passes no `last_run`
    /// once, or the step rests until the clock is there again.
    pub fn due(&self, step: Step, last_run: Option<Timestamp>, now: Timestamp) -> Due {
        let last = self.last_until(step, now);
        let open = last.filter(|last| last_run.is_none_or(|run| *last > run));
        let next = self.next_after(step, last_run.map_or(now, |run| run.max(now)));
        let Some(scheduled_for) = open else { return next.map_or(Due::Never, Due::At) };
        let window = SignedDuration::try_from(self.window).unwrap_or(SignedDuration::MAX);
        if now.duration_since(scheduled_for) < window {
            Due::Now { scheduled_for }
        } else {
            Due::Missed { scheduled_for, next }
        }
    }

    /// The next `n` times of a step, and whether it is due now, before the first of them.
    pub fn upcoming(
        &self,
        step: Step,
        last_run: Option<Timestamp>,
        now: Timestamp,
        n: usize,
    ) -> (bool, Vec<Timestamp>) {
        // Before the first run a time that has passed is not made up for.
        let is_due = last_run.is_some() && matches!(self.due(step, last_run, now), Due::Now { .. });
        let first = self.next_after(step, last_run.map_or(now, |run| run.max(now)));
        let times = std::iter::successors(first, |at| self.next_after(step, *at));
        (is_due, times.take(n).collect())
    }

    /// The `n`th instant of a step after `since`, counted from 1.
    pub fn nth_after(&self, step: Step, since: Timestamp, n: u32) -> Option<Timestamp> {
        (0..n).try_fold(since, |at, _| self.next_after(step, at))
    }
}

/// A local time as an instant: the first one of a doubled time, the end of the gap of a skipped
/// one, be it an hour or (Apia, 30 December 2011) a day. Later local times are never earlier
/// instants.
pub(super) fn instant(zone: &TimeZone, day: Date, minute: i16) -> Option<Timestamp> {
    let hour = i8::try_from(minute / 60).ok()?;
    let time = Time::new(hour, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
    let local = DateTime::from_parts(day, time);
    let ambiguous = zone.to_ambiguous_timestamp(local);
    if let AmbiguousOffset::Gap { before, .. } = ambiguous.offset() {
        // By the offset before it, a time in the gap is at or after the jump; `preceding` wants
        // to start after the jump, and the gap's first minute is the jump.
        let at_or_after = before.to_timestamp(local).ok()?;
        let after = at_or_after.checked_add(SignedDuration::from_secs(1)).ok()?;
        return zone.preceding(after).next().map(|jump| jump.timestamp());
    }
    ambiguous.earlier().ok()
}

/// The local day of an instant, or one some days after it.
pub(super) fn day_of(zone: &TimeZone, at: Timestamp, offset: i32) -> Option<Date> {
    let hours = SignedDuration::from_hours(24 * i64::from(offset));
    zone.to_datetime(at).date().checked_add(hours).ok()
}
