//! The steps T1 to T3 at a postoffice, with their log lines, and a cycle of all steps. T0 is in
//! [`sources`](crate::sources).

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use dirsync_agent::dispatch::{note_applied, note_sent};
use dirsync_agent::step::{self, Interrupted, log_lines};
use dirsync_agent::trouble::note_places;
use dirsync_carrier::Transit;
use dirsync_protocol::context::Level;
use dirsync_protocol::requestor::{RUN_BYTES_MAX, forget_runs};
use dirsync_protocol::server;
use dirsync_protocol::tables::{LogLine, Stored};
use dirsync_store::Transaction;

use crate::failure::{Failure, Result};
use crate::folder::clean_bodies;
use crate::key;
use crate::places::Transits;
use crate::postoffice::Postoffice;
use crate::report::{Done, Report};
use crate::sources;
use crate::targets::{Targets, write_targets};
use crate::time::now_ms;

/// The age from which on a body that was not sent yet belongs to a process that died.
const BODY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// T1. With `verify` the digest of the list is computed from its content.
///
/// # Errors
///
/// The store's, with the log lines of the work done before. A place that cannot be used is a failure of
/// the report.
pub fn send(postoffice: &mut Postoffice, verify: bool) -> Result<Done> {
    let transits = postoffice.own_transits()?;
    let around = postoffice.around()?;
    set_view_wanted(postoffice)?;
    let (report, cause) =
        split(step::send(&mut postoffice.store, &ways(&transits), &around, verify));
    let is_sent = report.request.is_some();
    let noted = |tables: &mut dyn Transaction, at| {
        if is_sent { note_sent(tables, at) } else { Ok(()) }
    };
    end(postoffice, Report::Sent(report), Vec::new(), cause, noted)
}

/// Lets the view that the configuration asks for take effect with the next request.
fn set_view_wanted(postoffice: &mut Postoffice) -> Result<()> {
    let wanted = postoffice.config.view.clone();
    let mut tables = postoffice.begin()?;
    let mut state = tables.requestor()?;
    if state.view_wanted != wanted {
        state.view_wanted = wanted;
        tables.put_requestor(&state)?;
        tables.commit()?;
    }
    Ok(())
}

/// T2. With `push` postoffices that are behind are answered without having asked (B2).
///
/// # Errors
///
/// A postoffice that is no server, and the store's, with the log lines of the work done before. A place
/// that cannot be used is a failure of the report.
pub fn process(postoffice: &mut Postoffice, push: bool) -> Result<Done> {
    if !postoffice.is_server {
        return Err(Failure::usage(format!(
            "{} is a directory requestor; requests are processed at {}",
            postoffice.name, postoffice.server
        )));
    }
    postoffice.take_files_beside_messages()?;
    let places = postoffice.transits()?;
    let places: BTreeMap<String, &dyn Transit> =
        places.iter().map(|(text, transit)| (text.clone(), &**transit)).collect();
    let around = postoffice.around()?;
    let mut decisions = postoffice.decisions();
    let processed = step::process(&mut postoffice.store, &places, &mut decisions, &around, push);
    let (report, cause) = split(processed);
    end(postoffice, Report::Processed(report), Vec::new(), cause, |_, _| Ok(()))
}

/// T3, and then the targets.
///
/// # Errors
///
/// The store's, with the log lines of the work done before. A place or a target that cannot be used is a
/// failure of the report.
pub fn apply(postoffice: &mut Postoffice) -> Result<Done> {
    postoffice.take_files_beside_messages()?;
    let transits = postoffice.own_transits()?;
    let around = postoffice.around()?;
    let answer_before = postoffice.begin()?.requestor()?.last_answer;
    let (report, cause) = split(step::apply(&mut postoffice.store, &ways(&transits), &around));
    let (mut targets, cause) = match cause {
        None => match write_targets(postoffice) {
            Ok(targets) => (targets, None),
            Err(failure) => (Targets::default(), Some(failure)),
        },
        cause => (Targets::default(), cause),
    };
    let lines = std::mem::take(&mut targets.lines);
    let is_answered = report.answered > 0;
    end(postoffice, Report::Applied { report, targets }, lines, cause, |tables, at| {
        note_applied(tables, is_answered, answer_before, at)
    })
}

/// Everything that can be done now, in order: a requestor applies, takes its changes in, sends, and applies what is
/// answered at once over a line; a server takes its changes in, sends to itself, processes, and applies.
///
/// # Errors
///
/// Those of the steps, with the log lines of the steps before.
pub fn cycle(postoffice: &mut Postoffice) -> Result<Vec<Done>> {
    let mut done = Vec::new();
    match cycle_into(postoffice, &mut done) {
        Ok(()) => Ok(done),
        Err(failure) => Err(failure.after(done.into_iter().flat_map(|done| done.lines).collect())),
    }
}

fn cycle_into(postoffice: &mut Postoffice, done: &mut Vec<Done>) -> Result<()> {
    let before = postoffice.exchange(&|| false)?;
    if !postoffice.is_server {
        done.push(apply(postoffice)?);
    }
    for source in postoffice.config.sources.clone() {
        done.extend(sources::read(postoffice, &source)?);
    }
    done.push(send(postoffice, true)?);
    if postoffice.is_server {
        done.push(process(postoffice, false)?);
        done.push(apply(postoffice)?);
    }
    let after = postoffice.exchange(&|| false)?;
    // A line has no report of its own: its lines stand with those of the steps next to it.
    if let Some(first) = done.first_mut() {
        first.lines.splice(..0, before);
    }
    if let Some(last) = done.last_mut() {
        last.lines.extend(after);
    }
    if !postoffice.is_server && postoffice.has_slow_places() && postoffice.look()?.updates {
        done.push(apply(postoffice)?);
    }
    Ok(())
}

/// Removes everything that was kept as long as the settings say: message files that are done, log lines,
/// and at a server confirmed changes and tombstones.
///
/// # Errors
///
/// The store's. A place that is away is tidied up another day.
pub fn tidy_up(postoffice: &mut Postoffice) -> Result<()> {
    let config = &postoffice.config;
    let (done, log, undo) = (config.keep_done, config.keep_log, config.keep_undo);
    let (confirmed, tombstones) = (config.keep_confirmed, config.keep_tombstones);
    let now = now_ms();
    let before = |length: Duration| now.saturating_sub(length.as_millis() as u64);
    let own = postoffice.own_transits()?.into_iter().map(|(_, transit)| transit);
    for transit in postoffice.transits()?.into_values().chain(own) {
        let _ = transit.purge(before(done));
    }
    clean_bodies(&postoffice.folder, SystemTime::now() - BODY_AGE)?;
    postoffice.outbox()?.tidy_up(before(done))?;
    key::remove_old(postoffice)?;
    let mut tables = postoffice.begin()?;
    tables.purge_log(before(log))?;
    forget_runs(&mut *tables, before(undo), RUN_BYTES_MAX)?;
    server::forget_before(&mut *tables, before(confirmed), before(tombstones))?;
    Ok(tables.commit()?)
}

/// The transits to the server as steps take them.
fn ways(transits: &Transits) -> Vec<(&str, &dyn Transit)> {
    transits.iter().map(|(place, transit)| (place.as_str(), &**transit)).collect()
}

/// The report of a step, also if it did not come to its end, and why it did not.
fn split<R: fmt::Debug>(step: Result<R, Interrupted<R>>) -> (R, Option<Failure>) {
    match step {
        Ok(report) => (report, None),
        Err(Interrupted { report, cause }) => (*report, Some(cause.into())),
    }
}

/// Logs the end of a step, with the rest that belongs into that transaction (`and`). If the step did not
/// come to its end (`cause`), or this fails, its lines are in the failure.
fn end(
    postoffice: &mut Postoffice,
    report: Report,
    mut lines: Vec<LogLine>,
    cause: Option<Failure>,
    and: impl FnOnce(&mut dyn Transaction, u64) -> Stored<()>,
) -> Result<Done> {
    let at = now_ms();
    lines.extend(log_lines(&report.step().to_string(), at, report.events()));
    let has_ended = cause.is_none();
    let logged = log_end(postoffice, &report, has_ended, at, and);
    match (cause, logged) {
        (None, Ok(more)) => {
            lines.extend(more);
            Ok(Done { report, lines })
        }
        (Some(cause), logged) => {
            lines.extend(logged.unwrap_or_default());
            Err(cause.after(lines))
        }
        (None, Err(failure)) => Err(failure.after(lines)),
    }
}

fn log_end(
    postoffice: &mut Postoffice,
    report: &Report,
    has_ended: bool,
    at: u64,
    and: impl FnOnce(&mut dyn Transaction, u64) -> Stored<()>,
) -> Result<Vec<LogLine>> {
    let step = report.step().to_string();
    let mut lines = Vec::new();
    let mut tables = postoffice.begin()?;
    // A step that did not come to its end may not have come to every place.
    if has_ended {
        lines = note_places(&mut *tables, &step, report.failed_places(), &report.sent(), at)?;
    }
    // A place that is away is not told of at each poll.
    let is_complete = has_ended && report.failed().next().is_none();
    if report.has_moved() || is_complete {
        let text = report.summary();
        let line = LogLine { at, step, level: Level::Info, text, run: None };
        tables.put_log(&line)?;
        lines.push(line);
    }
    and(&mut *tables, at)?;
    tables.commit()?;
    Ok(lines)
}
