//! What waits for a person at one postoffice, or is overdue.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_message::Side;
use dirsync_protocol::tables::{Copies, Mode, RegistrationState, Stored, Tables};

use crate::decisions::LogState;
use crate::dispatch::timestamp;
use crate::notes::{
    AGENT, ALARM_ERROR, FIRST_UNANSWERED, SERVER_NOTICE, SOURCE_ERROR, STEP_ERROR, TARGET_ERROR,
};
use crate::schedule::{Schedule, Step};
use crate::trouble::{self, Trouble};

/// In continuous mode a postoffice without an answer for this long is overdue.
const CONTINUOUS_OVERDUE_MS: u64 = 15 * 60 * 1000;
/// On a schedule, this many cycles without an answer are too many.
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

/// What the database does not say.
#[derive(Clone, Debug, Default)]
pub struct Circumstances<'a> {
    /// The schedule; `None` in continuous mode.
    pub schedule: Option<&'a Schedule>,
    /// The names of the configured sources.
    pub sources: Vec<&'a str>,
    /// Why this postoffice is not at home.
    pub away: Option<String>,
    /// How the decisions log stands to the database.
    pub log: LogState,
    /// What never happens on the schedule.
    pub never: Vec<String>,
}

/// Counts of what waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Changes held here, at the server also deletions held there.
    pub held: u64,
    /// Quarantined cases.
    pub quarantined: u64,
    /// Sides that have not been heard for too long, by name.
    pub overdue: Vec<String>,
    /// When the next one is overdue, if it is not heard before: in milliseconds since 1970.
    pub late_at: Option<u64>,
    /// This postoffice is not at home, is fenced, or was removed.
    pub stopped: Option<&'static str>,
    /// Why it is not at home.
    pub away: Option<String>,
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
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn of(tables: &mut dyn Tables, around: Circumstances<'_>, now: u64) -> Stored<Self> {
        let server = tables.server()?;
        let mut waiting = Self {
            held: tables.held_counts()?.iter().map(|held| held.count).sum(),
            quarantined: tables.quarantined()?.len() as u64,
            decisions: words_of(around.log),
            never: around.never,
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
        let named = |prefix: &str, notes: Vec<(String, String)>| -> Vec<(String, String)> {
            notes.into_iter().map(|(name, text)| (name[prefix.len()..].to_owned(), text)).collect()
        };
        let sources = named(SOURCE_ERROR, tables.notes(SOURCE_ERROR)?).into_iter();
        waiting.failed_sources = sources
            .map(|(name, _)| name)
            .filter(|name| around.sources.contains(&name.as_str()))
            .collect();
        waiting.failed_targets = named(TARGET_ERROR, tables.notes(TARGET_ERROR)?);
        waiting.failed_step = tables.note(STEP_ERROR)?;
        waiting.failed_alarm = tables.note(ALARM_ERROR)?;
        waiting.places = trouble::places(tables)?;
        if let Some(server) = &server {
            waiting.held += held_deletions(tables)?;
            if server.fenced {
                waiting.stopped = Some("fenced");
            }
        }
        waiting.doubled = tables
            .registrations()?
            .iter()
            .filter(|registration| registration.copies != Copies::One)
            .map(|registration| registration.name.to_string())
            .collect();
        if around.away.is_some() {
            waiting.stopped = Some("away");
        }
        waiting.away = around.away;
        // By hand nothing is ever overdue: only an agent that runs expects answers.
        if tables.note(AGENT)?.is_some() {
            waiting.count_overdue(tables, around.schedule, now)?;
        }
        Ok(waiting)
    }

    fn count_overdue(
        &mut self,
        tables: &mut dyn Tables,
        schedule: Option<&Schedule>,
        now: u64,
    ) -> Stored<()> {
        let state = tables.requestor()?;
        let is_server = tables.server()?.is_some();
        let sent = tables.note(FIRST_UNANSWERED)?.and_then(|text| text.parse().ok());
        let mut expected: Vec<(String, u64)> = Vec::new();
        if let Some(since) = sent.filter(|_| !is_server) {
            expected.push((state.server.to_string(), since));
        }
        for registration in tables.registrations()? {
            if registration.state == RegistrationState::Active && registration.name != state.name {
                expected.push((registration.name.to_string(), registration.last_contact));
            }
        }
        for (name, since) in expected {
            match late_at(since, schedule) {
                Some(late) if late <= now => self.overdue.push(name),
                late => self.late_at = self.late_at.into_iter().chain(late).min(),
            }
        }
        Ok(())
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

    /// Whether all is well; not if `more` says that something else waits.
    pub fn health(&self, more: bool) -> Health {
        if self.places.iter().any(|trouble| trouble.unreachable) {
            Health::Unreachable
        } else if more || self.any() {
            Health::Waiting
        } else {
            Health::Well
        }
    }

    /// What an alarm would say of each, by kind.
    pub fn subjects(&self) -> BTreeMap<String, String> {
        let mut subjects = BTreeMap::new();
        if self.held > 0 {
            let text = format!("{} changes wait for a person: dirsync held list", self.held);
            subjects.insert("held".into(), text);
        }
        if self.quarantined > 0 {
            let text = format!("{} cases: dirsync quarantine list", self.quarantined);
            subjects.insert("quarantined".into(), text);
        }
        for name in &self.overdue {
            subjects.insert(
                format!("overdue {name}"),
                format!("{name} has not been heard for too long"),
            );
        }
        for name in &self.doubled {
            let text = format!("{name} runs on two machines: dirsync status");
            subjects.insert(format!("doubled {name}"), text);
        }
        for name in &self.failed_sources {
            subjects
                .insert(format!("source {name}"), format!("source \"{name}\" could not be read"));
        }
        for text in &self.decisions {
            subjects.insert("decisions".into(), text.clone());
        }
        if let Some(notice) = self.notice {
            subjects.insert("server".into(), notice.into());
        }
        if !self.never.is_empty() {
            subjects.insert("schedule".into(), self.never.join("; "));
        }
        for (file, error) in &self.failed_targets {
            subjects.insert(format!("target {file}"), format!("it could not be written: {error}"));
        }
        for trouble in &self.places {
            subjects.insert(format!("place {}", trouble.place), trouble.text.clone());
        }
        if let Some(failure) = &self.failed_step {
            subjects.insert("step".into(), failure.clone());
        }
        if let Some(stopped) = self.stopped {
            let text = match &self.away {
                Some(away) => format!("{away}: dirsync status"),
                None => format!("this postoffice is {stopped}; nothing is sent"),
            };
            subjects.insert(stopped.into(), text);
        }
        subjects
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

/// When somebody is overdue who was heard, or asked, at `since`.
fn late_at(since: u64, schedule: Option<&Schedule>) -> Option<u64> {
    match schedule {
        None => Some(since.saturating_add(CONTINUOUS_OVERDUE_MS + 1)),
        Some(schedule) => {
            let late = schedule.nth_after(Step::Send, timestamp(since), CYCLES_OVERDUE)?;
            u64::try_from(late.as_millisecond()).ok()
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
