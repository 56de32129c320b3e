//! A second opinion of what is due: what an agent did, and what it should have done by now.
//!
//! Times without a name are true ones; `wall` is what the clock of the agent's machine says. All are
//! milliseconds since 1970.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_agent::schedule::Step;

use super::pace::Pace;
use crate::check::Checked;
use crate::naming::SERVER;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// In continuous mode a request is sent this often.
const HEARTBEAT_MS: u64 = 5 * MINUTE_MS;
/// In continuous mode the server is overdue after this long.
const OVERDUE_MS: u64 = 15 * MINUTE_MS;
/// A turn that failed is taken again after this long, or at the next poll.
const PAUSE_MS: u64 = 30_000;

/// What an alarm of a postoffice said, and when: `overdue N/S begins`.
pub type Rung = (u64, String);

/// A state that holds, or does not, since a time.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    holds: bool,
    at: u64,
}

impl Since {
    fn set(&mut self, holds: bool, now: u64) {
        if self.holds != holds {
            *self = Self { holds, at: now };
        }
    }
}

/// Turns that fail one after the other.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: u64,
    last: u64,
    said: u64,
}

/// What an agent did for one postoffice.
#[derive(Clone, Debug)]
pub struct Record {
    pace: Pace,
    /// It is the server.
    serves: bool,
    /// Since when nothing has disturbed its process, its disk and its clock.
    good_since: u64,
    /// The places of its messages that went away or came back.
    away: BTreeMap<String, Since>,
    /// By step, the wall time of its last run.
    ran: [u64; 3],
    /// The same of runs that could use every place.
    complete: [u64; 3],
    /// By step, the last run before the clock went back, if it could not use every place: for its time it
    /// is only tried again.
    tried_before: [u64; 3],
    sent_at: u64,
    /// The list has changed since the last request.
    unconfirmed: Option<u64>,
    /// By the wall, since when a request waits for its answer.
    asked_at: Option<u64>,
    overdue: Since,
    /// The alarms that began and are not over.
    alarms: BTreeSet<String>,
    rung: Vec<Rung>,
    failing: Option<Failing>,
    /// The wall time after a jump ahead by days.
    jumped_to: Option<u64>,
    /// The wall time of its last look.
    looked_at: Option<u64>,
    has_tidied: bool,
}

impl Record {
    /// An agent begins.
    pub fn begin(pace: Pace, serves: bool) -> Self {
        Self {
            pace,
            serves,
            good_since: 0,
            away: BTreeMap::new(),
            ran: [u64::MAX; 3],
            complete: [u64::MAX; 3],
            tried_before: [0; 3],
            sent_at: 0,
            unconfirmed: None,
            asked_at: None,
            overdue: Since::default(),
            alarms: BTreeSet::new(),
            rung: Vec::new(),
            failing: None,
            jumped_to: None,
            looked_at: None,
            has_tidied: false,
        }
    }

    /// It looks at its clock. The first time, and when that went back, its schedule begins anew: what was
    /// due before is not missed.
    pub fn looks(&mut self, wall: u64) {
        if self.looked_at.is_none_or(|before| wall < before) {
            for (step, tried) in self.tried_before.iter_mut().enumerate() {
                let is_incomplete = self.complete[step] < self.ran[step];
                *tried = if is_incomplete { self.ran[step] } else { 0 };
            }
            (self.ran, self.complete) = ([wall; 3], [wall; 3]);
            self.jumped_to = None;
        }
        if self.looked_at.is_some_and(|before| wall > before + 2 * DAY_MS) {
            self.jumped_to = Some(wall);
        }
        self.looked_at = Some(wall);
    }

    /// Another process looks after the postoffice: what the last one said, it says again.
    pub fn process_began(&mut self, now: u64) {
        self.failing = None;
        self.disturbed(now);
    }

    /// Its process, disk or clock is not, or only now, as it should be.
    pub fn disturbed(&mut self, now: u64) {
        self.good_since = now;
    }

    /// A place went away or came back.
    pub fn place_changed(&mut self, name: &str, away: bool, now: u64) {
        self.away.insert(name.to_owned(), Since { holds: away, at: now });
    }

    /// Whether all its places are there, and since when.
    fn there_since(&self) -> Option<u64> {
        let is_there = self.away.values().all(|away| !away.holds);
        is_there.then(|| self.away.values().map(|away| away.at).max().unwrap_or(0))
    }

    /// A step ran.
    pub fn ran(&mut self, step: Step, complete: bool, now: u64, wall: u64) -> Checked<()> {
        if let Some(times) = self.pace.times(step) {
            let late = wall - times.last_until(wall);
            if late >= self.pace.window_minutes() * MINUTE_MS {
                return Err(format!("runs {step} {} min after its time", late / MINUTE_MS));
            }
        }
        self.ran[step as usize] = wall;
        if complete {
            self.complete[step as usize] = wall;
        }
        if step == Step::Send {
            (self.sent_at, self.unconfirmed) = (now, None);
        }
        Ok(())
    }

    /// A request left.
    pub fn asked(&mut self, wall: u64) {
        self.asked_at.get_or_insert(wall);
    }

    /// It was answered.
    pub fn answered(&mut self) {
        self.asked_at = None;
    }

    /// T3 changed the point of the list.
    pub fn list_moved(&mut self, now: u64) {
        self.unconfirmed.get_or_insert(now);
    }

    /// What is past its time was forgotten.
    pub fn tidied(&mut self, wall: u64) -> Checked<()> {
        let is_soon = self.jumped_to.is_some_and(|jump| wall.abs_diff(jump) < DAY_MS - HOUR_MS);
        if is_soon && std::mem::replace(&mut self.has_tidied, true) {
            return Err("forgets after the clock jumped".into());
        }
        self.has_tidied = true;
        Ok(())
    }

    /// A turn failed, and whether that was said.
    pub fn turn_failed(&mut self, now: u64, said: bool) -> Checked<()> {
        let pause = PAUSE_MS.min(self.pace.poll_ms());
        let before = self.failing;
        let failing = self.failing.get_or_insert(Failing { since: now, last: now, said: 0 });
        failing.last = now;
        failing.said += u64::from(said);
        if before.is_some_and(|before| now < before.last + pause) {
            return Err("takes a turn again at once that failed".into());
        }
        let lasts = now - failing.since;
        let most = 2 + u64::from((lasts / PAUSE_MS + 1).ilog2()) + lasts / HOUR_MS;
        if failing.said > most {
            return Err(format!("says one failure {} times", failing.said));
        }
        Ok(())
    }

    /// A turn did not fail.
    pub fn turn_succeeded(&mut self) {
        self.failing = None;
    }

    /// The administrator's command was called.
    pub fn rang(&mut self, now: u64, subject: &str) -> Checked<()> {
        let is_ok = subject.strip_prefix("OK: ");
        let (_, text) = is_ok.unwrap_or(subject).split_once(": ").unwrap_or_default();
        let begins = text.split_once(" begins: ").map(|(kind, _)| kind);
        let kind = begins.or_else(|| text.split_once(" is over: ").map(|(kind, _)| kind));
        let Some(kind) = kind else { return Err(format!("calls with \"{subject}\"")) };
        let (word, is_new) = match begins {
            Some(_) => ("begins", self.alarms.insert(kind.to_owned())),
            None => ("is over", self.alarms.remove(kind)),
        };
        self.rung.push((now, format!("{kind} {word}")));
        if is_new { Ok(()) } else { Err(format!("says twice that {kind} {word}")) }
    }

    /// What the alarms have said.
    pub fn rung(&self) -> &[Rung] {
        &self.rung
    }

    /// No alarm goes on; but one that is slow is late for ever to one that is fast.
    pub fn is_silent(&self, alike: bool) -> Checked<()> {
        match self.alarms.iter().find(|kind| alike || !kind.starts_with("overdue")) {
            Some(kind) => Err(format!("says that {kind} goes on")),
            None => Ok(()),
        }
    }

    /// Whether everything was done that is due, if a message waits for it since `waits_since`.
    pub fn check(&mut self, now: u64, wall: u64, waits_since: Option<u64>) -> Checked<()> {
        let deadline = self.asked_at.map(|asked| match self.pace.times(Step::Send) {
            Some(times) => times.third_after(asked),
            None => asked + OVERDUE_MS + 1,
        });
        self.overdue.set(deadline.is_some_and(|deadline| deadline <= wall), now);
        self.check_schedule(now, wall)?;
        self.check_alarms(now)?;
        if self.pace == Pace::Continuous { self.check_continuous(now, waits_since) } else { Ok(()) }
    }

    /// Whether something that is so since a time could have been seen by now.
    fn is_seen(&self, since: u64, now: u64) -> bool {
        now > since.max(self.good_since) + slack(self.pace)
    }

    fn check_schedule(&self, now: u64, wall: u64) -> Checked<()> {
        for step in [Step::Send, Step::Process, Step::Apply] {
            let Some(times) = self.pace.times(step).filter(|_| self.has(step)) else { continue };
            let time = times.last_until(wall);
            let end = wall.min(time + self.pace.window_minutes() * MINUTE_MS);
            // By the wall, as nothing has disturbed it since.
            let by_the_wall = |at: u64| wall.saturating_sub(now - at);
            let start = time.max(by_the_wall(self.good_since));
            let ran = self.ran[step as usize].max(self.tried_before[step as usize]);
            if end > start + slack(self.pace) && ran < time {
                return Err(format!(
                    "has not run {step}, which was due {} min ago",
                    (wall - time) / MINUTE_MS
                ));
            }
            let Some(there) = self.there_since() else { continue };
            let start = start.max(by_the_wall(there));
            if end > start + slack(self.pace) && self.complete[step as usize] < time {
                return Err(format!("has not ended {step} although its places are there"));
            }
        }
        Ok(())
    }

    fn has(&self, step: Step) -> bool {
        step != Step::Process || self.is_server()
    }

    fn is_server(&self) -> bool {
        self.serves
    }

    fn check_alarms(&self, now: u64) -> Checked<()> {
        let overdue = self.alarms.contains(&format!("overdue N/{SERVER}"));
        if !self.is_server() && self.is_seen(self.overdue.at, now) && overdue != self.overdue.holds
        {
            return Err(if overdue {
                "says that the server is overdue, which has answered".into()
            } else {
                "does not say that the server is overdue".into()
            });
        }
        if self.pace != Pace::Continuous {
            return Ok(());
        }
        for (name, away) in &self.away {
            let says = self.alarms.contains(&format!("place {name}"));
            if self.is_seen(away.at, now) && says != away.holds {
                let word = if says { "away, which is there" } else { "there, which is away" };
                return Err(format!("takes the place of {name} to be {word}"));
            }
        }
        Ok(())
    }

    fn check_continuous(&self, now: u64, waits_since: Option<u64>) -> Checked<()> {
        // A server whose requestors' places are away goes on with the others.
        let there = if self.is_server() { 0 } else { self.there_since().unwrap_or(now) };
        let since = waits_since
            .map(|since| since.max(self.away.values().map(|away| away.at).max().unwrap_or(0)));
        if since.is_some_and(|since| self.is_seen(since, now)) {
            return Err("lets a message lie".into());
        }
        if self.is_seen(there.max(self.sent_at + HEARTBEAT_MS), now) {
            return Err("has not asked for what others changed".into());
        }
        if self.unconfirmed.is_some_and(|since| self.is_seen(there.max(since), now)) {
            return Err("has not confirmed what it applied".into());
        }
        Ok(())
    }
}

/// What happens is seen at the next poll, and what fails then is tried at the one after.
fn slack(pace: Pace) -> u64 {
    2 * pace.poll_ms() + 10_000
}
