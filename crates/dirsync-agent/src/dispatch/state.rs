//! What the database says to Dispatch, and what is noted there for it.

use dirsync_message::{ReqSeq, RequestNo, SyncPoint};
use dirsync_protocol::context::Level;
use dirsync_protocol::simulation::Rule;
use dirsync_protocol::tables::{LogLine, Mode, RequestorState, Stored, Tables};
use jiff::Timestamp;

use crate::notes::{
    FIRST_UNANSWERED, INCOMPLETE, LAST_APPLIED, LAST_RUN, LAST_SENT, MISSED, SENT_UP_TO,
    SOURCE_ERROR, TARGET_ERROR, TIDIED,
};
use crate::schedule::Step;
use crate::trouble::is_due_again;

/// What the database says to Dispatch.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// It is the directory server.
    pub is_server: bool,
    /// Own changes were not sent, or another request is needed.
    pub unsent: bool,
    /// T3 could not use a place or target, and is due until it can.
    pub applies_again: bool,
    /// T2 could not use a place, and is due until it can.
    pub processes_again: bool,
    /// A source could not be read to its end, and is read until it can.
    pub reads_again: bool,
    /// The point that the list has reached.
    pub point: Option<SyncPoint>,
    pub(super) tidied: Option<u64>,
    runs: [Run; 3],
}

/// What is known of a scheduled step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    /// The time for which it ran last.
    pub last: Option<Timestamp>,
    /// The time for which it ran and could not use every place.
    pub incomplete: Option<Timestamp>,
}

impl State {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn load(tables: &mut dyn Tables) -> Stored<Self> {
        let requestor = tables.requestor()?;
        let mut runs = [Run::default(); 3];
        for step in [Step::Send, Step::Process, Step::Apply] {
            let mut time = |prefix: &str| -> Stored<Option<Timestamp>> {
                let text = tables.note(&format!("{prefix}{step}"))?;
                Ok(text.and_then(|text| text.parse().ok()))
            };
            runs[step as usize] = Run { last: time(LAST_RUN)?, incomplete: time(INCOMPLETE)? };
        }
        let again = Rule::PlaceAgain.holds();
        Ok(Self {
            is_server: tables.server()?.is_some(),
            unsent: is_to_send(tables, &requestor)?,
            applies_again: again
                && (is_due_again(tables, "T3")? || !tables.notes(TARGET_ERROR)?.is_empty()),
            processes_again: again && is_due_again(tables, "T2")?,
            reads_again: !tables.notes(SOURCE_ERROR)?.is_empty(),
            point: requestor.point,
            tidied: tables.note(TIDIED)?.and_then(|text| text.parse().ok()),
            runs,
        })
    }

    /// Of a postoffice that has not done anything yet.
    pub fn new(is_server: bool) -> Self {
        Self { is_server, ..Self::default() }
    }

    /// The time of the schedule for which a step ran last.
    pub fn last_run(&self, step: Step) -> Option<Timestamp> {
        self.run(step).last
    }

    pub(super) fn run(&self, step: Step) -> Run {
        self.runs[step as usize]
    }

    /// A scheduled step could not use every place.
    pub(super) fn is_incomplete(&self) -> bool {
        self.runs.iter().any(|run| run.incomplete.is_some())
    }

    /// In continuous mode each poll tries again.
    pub(super) fn is_to_continue(&self) -> bool {
        self.unsent || self.applies_again || self.processes_again || self.reads_again
    }
}

/// What [`SENT_UP_TO`] says when all is sent.
fn sent_up_to(state: &RequestorState) -> String {
    format!("{} {}", state.epoch, state.req_seq)
}

/// The number of the last own change that a request contained; 0 if no request of this epoch contained one.
///
/// # Errors
///
/// When the store fails.
pub fn last_change_sent(tables: &mut dyn Tables, state: &RequestorState) -> Stored<ReqSeq> {
    let sent = tables.note(SENT_UP_TO)?.unwrap_or_default();
    let number = sent.split_once(' ').filter(|(epoch, _)| *epoch == state.epoch.to_string());
    Ok(ReqSeq(number.and_then(|(_, number)| number.parse().ok()).unwrap_or(0)))
}

/// Whether there are own changes that were not sent, or another request is needed.
fn is_to_send(tables: &mut dyn Tables, state: &RequestorState) -> Stored<bool> {
    let sent = tables.note(SENT_UP_TO)?.unwrap_or_default();
    let unsent = state.req_seq > state.req_sync && sent != sent_up_to(state);
    let stopped = matches!(state.mode, Mode::Fenced | Mode::Removed);
    Ok(unsent || state.request_due && !stopped)
}

/// Notes that T1 has sent a request.
///
/// # Errors
///
/// When the store fails.
pub fn note_sent(tables: &mut dyn Tables, at: u64) -> Stored<()> {
    let state = tables.requestor()?;
    tables.put_note(SENT_UP_TO, Some(&sent_up_to(&state)))?;
    tables.put_note(LAST_SENT, Some(&at.to_string()))?;
    if tables.note(FIRST_UNANSWERED)?.is_none() {
        tables.put_note(FIRST_UNANSWERED, Some(&at.to_string()))?;
    }
    Ok(())
}

/// Notes what T3 has applied: whether there was an answer, and which was the last answered request before.
///
/// # Errors
///
/// When the store fails.
pub fn note_applied(
    tables: &mut dyn Tables,
    answered: bool,
    last_answer_before: RequestNo,
    at: u64,
) -> Stored<()> {
    if answered {
        tables.put_note(LAST_APPLIED, Some(&at.to_string()))?;
    }
    if tables.requestor()?.last_answer > last_answer_before {
        tables.put_note(FIRST_UNANSWERED, None)?;
    }
    Ok(())
}

/// What a turn notes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The schedule of a step begins now: what was due before this agent ever ran is not missed.
    Begun(Step),
    /// The clock went back before the last run: one that was ahead must not silence a postoffice until
    /// it is there again.
    BegunAnew(Step),
    /// A step ran for its time, and could use every place or not.
    Ran {
        /// The step.
        step: Step,
        /// The time that it was due.
        scheduled_for: Timestamp,
        /// It could use every place.
        complete: bool,
    },
    /// The run window of a step is over.
    Missed {
        /// The step.
        step: Step,
        /// The time that it was due.
        scheduled_for: Timestamp,
        /// It ran then, and could not use every place: that is not missed.
        ran: bool,
    },
    /// What is past its time was forgotten.
    Tidied,
    /// The clock jumped by a day or more: what is past its time is forgotten tomorrow.
    TidyPostponed,
}

impl Note {
    /// Writes it down. Returns what is to be said of it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn write(self, tables: &mut dyn Tables, now: u64) -> Stored<Option<LogLine>> {
        let last_run = |step| format!("{LAST_RUN}{step}");
        let incomplete = |step| format!("{INCOMPLETE}{step}");
        let missed = |step| format!("{MISSED}{step}");
        let today = super::timestamp(now).to_string();
        let warning = |step: &str, text: &str| {
            let (level, text) = (Level::Warning, text.to_owned());
            Ok(Some(LogLine { at: now, step: step.into(), level, text, run: None }))
        };
        match self {
            Self::Begun(step) => tables.put_note(&last_run(step), Some(&today))?,
            Self::BegunAnew(step) => {
                tables.put_note(&last_run(step), Some(&today))?;
                return warning(&step.to_string(), "the clock went back; the schedule begins anew");
            }
            Self::Ran { step, scheduled_for, complete: false } => {
                tables.put_note(&incomplete(step), Some(&scheduled_for.to_string()))?;
            }
            Self::Ran { step, scheduled_for, complete: true } => {
                tables.put_note(&last_run(step), Some(&scheduled_for.to_string()))?;
                tables.put_note(&incomplete(step), None)?;
                tables.put_note(&missed(step), None)?;
            }
            Self::Missed { step, scheduled_for, ran } => {
                tables.put_note(&last_run(step), Some(&scheduled_for.to_string()))?;
                tables.put_note(&incomplete(step), None)?;
                if !ran {
                    let text = format!("{step} of {scheduled_for} missed its run window");
                    tables.put_note(&missed(step), Some(&text))?;
                    let (step, level) = (step.to_string(), Level::Info);
                    let line = LogLine { at: now, step: step.clone(), level, text, run: None };
                    tables.put_log(&line)?;
                    return warning(&step, &line.text);
                }
            }
            Self::Tidied => tables.put_note(TIDIED, Some(&now.to_string()))?,
            Self::TidyPostponed => {
                tables.put_note(TIDIED, Some(&now.to_string()))?;
                return warning(
                    "run",
                    "a day or more is missing; nothing is forgotten before tomorrow",
                );
            }
        }
        Ok(None)
    }
}
