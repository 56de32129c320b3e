//! Alarms: what begins to need a person, and what is over, each said once.
//!
//! That the administrator's command is to be run is committed together with the log line that says the
//! same ([`sound`]). Who runs it takes the calls one by one ([`next_call`], [`note_call`]); one that was
//! not made because the agent ended is made when it runs again.

mod kind;

use std::collections::BTreeMap;

use dirsync_directory::PostofficeName;
use dirsync_protocol::context::Level;
use dirsync_protocol::simulation::Rule;
use dirsync_protocol::tables::{LogLine, Stored, Tables};
use dirsync_store::Store;

pub use self::kind::{Alarm, AlarmKind, Away, LogTrouble, Never, Refusal, Stopped};
use crate::notes::{ALARM, ALARM_CALL, ALARM_ERROR};

/// Compares what waits now with what was said before, and commits a log line for each beginning and each
/// end; with `calls`, also a call of the administrator's command.
///
/// # Errors
///
/// When the store fails: what could not be committed is said the next time.
pub fn sound(
    store: &mut dyn Store,
    postoffice: &PostofficeName,
    now: &BTreeMap<String, String>,
    calls: bool,
    at: u64,
) -> Stored<()> {
    let notes = store.begin()?.notes(ALARM)?;
    let before: BTreeMap<&str, &str> =
        notes.iter().map(|(name, text)| (&name[ALARM.len()..], &**text)).collect();
    let begins =
        now.iter().filter(|(kind, _)| !before.contains_key(&***kind) || !Rule::AlarmOnce.holds());
    let is_over =
        before.iter().filter(|(kind, _)| !now.contains_key(**kind) && Rule::AlarmEnds.holds());
    let begins = begins.map(|(kind, text)| (&**kind, "begins", &**text));
    for (kind, when, text) in begins.chain(is_over.map(|(kind, text)| (*kind, "is over", *text))) {
        let mut tables = store.begin()?;
        tables.put_note(&format!("{ALARM}{kind}"), (when == "begins").then_some(text))?;
        if calls {
            let ok = if when == "begins" { "" } else { "OK: " };
            put_call(&mut *tables, &format!("{ok}dirsync {postoffice}: {kind} {when}: {text}"))?;
        }
        tables.put_log(&line(Level::Info, format!("{kind} {when}: {text}"), at))?;
        tables.commit()?;
    }
    Ok(())
}

fn put_call(tables: &mut dyn Tables, subject: &str) -> Stored<()> {
    let last = tables.notes(ALARM_CALL)?.pop();
    let last = last.and_then(|(name, _)| name[ALARM_CALL.len()..].parse::<u64>().ok());
    let number = last.map_or(0, |last| last.saturating_add(1));
    tables.put_note(&format!("{ALARM_CALL}{number:020}"), Some(subject))
}

/// The call that is to be made next: its name, and its subject.
///
/// # Errors
///
/// When the store fails.
pub fn next_call(tables: &mut dyn Tables) -> Stored<Option<(String, String)>> {
    Ok(tables.notes(ALARM_CALL)?.into_iter().next())
}

/// Notes that a call was made, or why it cannot be made.
///
/// # Errors
///
/// When the store fails: the call is made again.
pub fn note_call(
    tables: &mut dyn Tables,
    name: &str,
    error: Option<String>,
    at: u64,
) -> Stored<()> {
    tables.put_note(name, None)?;
    tables.put_note(ALARM_ERROR, error.as_deref())?;
    error.map_or(Ok(()), |error| tables.put_log(&line(Level::Error, error, at)))
}

fn line(level: Level, text: String, at: u64) -> LogLine {
    LogLine { at, step: "alarm".into(), level, text, run: None }
}
