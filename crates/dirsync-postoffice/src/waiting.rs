//! What waits for a person at one postoffice, or is overdue.

use std::ops::ControlFlow;

use dirsync_agent::decisions::LogState;
use dirsync_agent::notes::SERVER_NOTICE;
use dirsync_message::Side;
use dirsync_protocol::tables::{Copies, Mode, RegistrationState, Stored, Tables};
use jiff::Timestamp;

use crate::failure::Result;
use crate::home::Away;
use crate::notes;
use crate::postoffice::Postoffice;
use crate::targets;
use crate::time::now_ms;
use crate::trouble::{self, Trouble};

/// In continuous mode a postoffice without an answer for so long is overdue.
const CONTINUOUS_OVERDUE_MS: u64 = 15 * 60 * 1000;
/// On a schedule, so many cycles without an answer are too many.
const CYCLES_OVERDUE: u32 = 3;

/// Whether all is well at a postoffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing waits.
    Well,
    /// Something waits for a person, is overdue, or failed.
    Waiting,
    /// A place cannot be reached.
    Unreachable,
}

/// What waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Changes held here, at the server also deletions held there.
    pub held: u64,
    /// Quarantined cases.
    pub quarantined: u64,
    /// Sides that have not been heard for too long, by name.
    pub overdue: Vec<String>,
    /// This postoffice is not at home, is fenced, or was removed.
    pub stopped: Option<&'static str>,
    /// Why it is not at home.
    pub away: Option<Away>,
    /// At the server: postoffices that several machines are, by name.
    pub doubled: Vec<String>,
    /// Sources that could not be read, by name.
    pub failed_sources: Vec<String>,
    /// Targets that could not be written: file and reason.
    pub failed_targets: Vec<(String, String)>,
    /// What is wrong with the decisions log of a server.
    pub decisions: Vec<String>,
    /// Why the server does not take this postoffice's requests, and what to do.
    pub notice: Option<&'static str>,
    /// What never happens on the schedule.
    pub never: Vec<String>,
    /// The step that cannot be done, and why.
    pub failed_step: Option<String>,
    /// Why the alarm command failed last.
    pub failed_alarm: Option<String>,
    /// Places that cannot be used.
    pub places: Vec<Trouble>,
}

impl Waiting {
    /// What waits at a postoffice.
    pub fn of(postoffice: &mut Postoffice) -> Result<Self> {
        let runs = postoffice.begin()?.note(notes::AGENT)?.is_some();
        let schedule = postoffice.config.schedule.clone();
        let is_server = postoffice.is_server;
        let away = postoffice.away()?;
        let decisions = words_of(postoffice.log_state()?);
        let never = postoffice.config.never(is_server);
        let sources: Vec<String> =
            postoffice.config.sources.iter().map(|source| source.name.clone()).collect();
        let mut tables = postoffice.begin()?;
        let mut waiting = Self {
            held: tables.held_changes()?.iter().filter(|held| !held.rejected).count() as u64,
            quarantined: tables.quarantined()?.len() as u64,
            decisions,
            never,
            ..Self::default()
        };
        let state = tables.requestor()?;
        waiting.stopped = match state.mode {
            Mode::Fenced => Some("fenced"),
            Mode::Removed => Some("removed"),
            _ => None,
        };
        let notice = tables.note(SERVER_NOTICE)?;
        waiting.notice = notice.as_deref().and_then(Side::of_word).map(notice_words);
        waiting.failed_sources = tables
            .notes(notes::SOURCE_ERROR)?
            .into_iter()
            .filter_map(|(name, _)| name.strip_prefix(notes::SOURCE_ERROR).map(str::to_owned))
            .filter(|name| sources.contains(name))
            .collect();
        waiting.failed_targets = targets::failed(&mut *tables)?;
        waiting.failed_step = tables.note(notes::STEP_ERROR)?;
        waiting.failed_alarm = tables.note(notes::ALARM_ERROR)?;
        waiting.places = trouble::places(&mut *tables)?;
        if is_server {
            waiting.held += held_deletions(&mut *tables)?;
            if tables.server()?.is_some_and(|server| server.fenced) {
                waiting.stopped = Some("fenced");
            }
        }
        waiting.doubled = tables
            .registrations()?
            .iter()
            .filter(|registration| registration.copies != Copies::One)
            .map(|registration| registration.name.to_string())
            .collect();
        waiting.away = away;
        if away.is_some() {
            waiting.stopped = Some("away");
        }
        // By hand nothing is ever overdue: only an agent that runs expects answers.
        if runs {
            let late = |since: u64| is_late(since, schedule.as_ref());
            let time = |note: Option<String>| note.and_then(|text| text.parse::<u64>().ok());
            let sent = time(tables.note(notes::FIRST_UNANSWERED)?);
            if !is_server && sent.is_some_and(late) {
                waiting.overdue.push(state.server.to_string());
            }
            for registration in tables.registrations()? {
                let expected = registration.state == RegistrationState::Active
                    && registration.name != state.name;
                if expected && late(registration.last_contact) {
                    waiting.overdue.push(registration.name.to_string());
                }
            }
        }
        Ok(waiting)
    }

    /// Whether anything waits.
    pub fn any(&self) -> bool {
        self.held > 0
            || self.quarantined > 0
            || !self.overdue.is_empty()
            || self.stopped.is_some()
            || !self.doubled.is_empty()
            || !self.failed_sources.is_empty()
            || !self.failed_targets.is_empty()
            || !self.decisions.is_empty()
            || !self.never.is_empty()
            || self.notice.is_some()
            || !self.places.is_empty()
            || self.failed_step.is_some()
            || self.failed_alarm.is_some()
    }

    /// Whether all is well.
    pub fn health(&self) -> Health {
        self.health_with(false)
    }

    /// The same if something else may wait as well.
    pub(crate) fn health_with(&self, waits: bool) -> Health {
        if self.places.iter().any(|trouble| trouble.unreachable) {
            Health::Unreachable
        } else if waits || self.any() {
            Health::Waiting
        } else {
            Health::Well
        }
    }
}

/// What the server said of this postoffice, and what to do.
fn notice_words(side: Side) -> &'static str {
    match side {
        Side::Suspended => {
            "suspended by the server: requests wait there until its administrator resumes it"
        }
        Side::Expired => {
            "not admitted: the invitation has expired; ask the server's administrator for another one"
        }
        Side::Taken => {
            "not admitted: another machine has this name; ask the server's administrator which one is \
             the right one, and stop the other"
        }
        _ => {
            "not admitted: the invitation is not the one in force; ask the server's administrator for \
             the newest one"
        }
    }
}

/// What is wrong with a decisions log, and what to do.
fn words_of(log: LogState) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(carried_out) = log.lost {
        words.push(format!(
            "decisions.log is not the one of this database, which has carried out {carried_out} lines \
             that are not in it: nothing is undone, but after a restore they would be forgotten; put \
             the newest decisions.log back, or write it anew with `dirsync server renew-log`"
        ));
    }
    if log.unreadable > 0 {
        words.push(format!(
            "{} lines of decisions.log cannot be read, and are not carried out",
            log.unreadable
        ));
    }
    if log.behind > 0 {
        words.push(format!("{} lines of decisions.log are not carried out yet", log.behind));
    }
    words
}

fn is_late(since: u64, schedule: Option<&dirsync_agent::schedule::Schedule>) -> bool {
    let now = now_ms();
    match schedule {
        None => now.saturating_sub(since) > CONTINUOUS_OVERDUE_MS,
        Some(schedule) => {
            let at = |ms: u64| Timestamp::from_millisecond(ms as i64).unwrap_or(Timestamp::MIN);
            let step = dirsync_agent::schedule::Step::Send;
            schedule.nth_after(step, at(since), CYCLES_OVERDUE).is_some_and(|late| late <= at(now))
        }
    }
}

/// Deletions that wait at the server.
fn held_deletions(tables: &mut dyn Tables) -> Stored<u64> {
    let mut held = 0;
    tables.visit_unsettled(&mut |row| {
        let hold = row.published.as_ref().and_then(|published| published.held);
        held += u64::from(hold.is_some_and(|hold| !hold.rejected));
        ControlFlow::Continue(())
    })?;
    Ok(held)
}
