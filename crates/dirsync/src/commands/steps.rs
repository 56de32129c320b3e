//! The steps at one postoffice, with their log lines and targets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use dirsync_agent::changes::ReadReport;
use dirsync_agent::dispatch::{note_applied, note_sent};
use dirsync_agent::step::{self, Interrupted, PlaceFailure, log_lines};
use dirsync_agent::trouble::note_places;
use dirsync_carrier::Carrier;
use dirsync_postoffice::config::SourceConfig;
use dirsync_postoffice::sources;
use dirsync_postoffice::targets::{Targets, write_targets};
use dirsync_postoffice::{Postoffice, now_ms, waiting};
use dirsync_protocol::context::{Event, Level};
use dirsync_protocol::tables::{LogLine, Stored};
use dirsync_store::Transaction;
use serde_json::json;

use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, Result};

/// What a step did, for people and for scripts.
#[derive(Debug, Default)]
pub struct Done {
    /// Its log lines; the last one sums it up.
    pub lines: Vec<LogLine>,
    /// The same as fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// It moved something: another step may have something to do.
    pub moved: bool,
    /// Messages that were not looked at.
    pub left: u64,
    /// Places that it could not use, whether or not the log has said so before.
    pub failed: Vec<PlaceFailure>,
}

impl Done {
    fn new(lines: Vec<LogLine>, fields: serde_json::Value, moved: bool) -> Self {
        let serde_json::Value::Object(fields) = fields else { unreachable!("an object is given") };
        Self { lines, fields, moved, left: 0, failed: Vec::new() }
    }

    /// The places that it could not use and that none of its lines names: the log says each failure now
    /// and then, a command each time.
    pub fn unsaid(&self) -> impl Iterator<Item = &PlaceFailure> {
        let is_said =
            |failure: &PlaceFailure| self.lines.iter().any(|line| line.text == failure.text);
        self.failed.iter().filter(move |failure| !is_said(failure))
    }

    /// With the places that could not be used.
    fn without(mut self, failed: Vec<PlaceFailure>) -> Self {
        let texts: Vec<&str> = failed.iter().map(|failure| &*failure.text).collect();
        if !texts.is_empty() {
            self.fields.insert("failed".into(), json!(texts));
        }
        self.failed = failed;
        self
    }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What a step says of messages that it did not look at.
fn left(messages: u64) -> String {
    match messages {
        0 => String::new(),
        _ => format!("; {} left for the next step", plural(messages, "message", "messages")),
    }
}

/// T1.
pub fn send_step(postoffice: &mut Postoffice, verify: bool) -> Result<Done> {
    let carrier = postoffice.carrier()?;
    let around = postoffice.around()?;
    set_view_wanted(postoffice)?;
    let (report, cause) = told(step::send(&mut postoffice.store, &*carrier, &around, verify));
    let summary = match report.request {
        Some(request) => format!(
            "request {request} sent with {} ({} bytes)",
            plural(report.transactions, "own change", "own changes"),
            report.bytes
        ),
        None => "nothing may be sent from here".to_owned(),
    };
    let complete = report.failed.is_empty() && cause.is_none();
    let said = Said {
        step: "T1",
        summary: (report.request.is_some() || complete).then_some(&*summary),
        events: &report.events,
        failed: &report.failed,
        cause,
    };
    let lines = log_step(postoffice, said, |tables, at| {
        if report.request.is_some() { note_sent(tables, at) } else { Ok(()) }
    })?;
    let fields = json!({
        "request": report.request, "changes": report.transactions, "bytes": report.bytes,
    });
    Ok(Done::new(lines, fields, report.request.is_some()).without(report.failed))
}

/// The view that the configuration asks for takes effect with the next request.
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

/// T2.
pub fn process_step(postoffice: &mut Postoffice, push: bool) -> Result<Done> {
    if !postoffice.is_server {
        return Err(Failure::usage(format!(
            "{} is a directory requestor; requests are processed at {}",
            postoffice.name, postoffice.server
        )));
    }
    let carriers = postoffice.carriers()?;
    let carriers: BTreeMap<String, &dyn Carrier> =
        carriers.iter().map(|(text, carrier)| (text.clone(), &**carrier)).collect();
    let around = postoffice.around()?;
    let mut decisions = postoffice.decisions();
    let processed = step::process(&mut postoffice.store, &carriers, &mut decisions, &around, push);
    let (report, cause) = told(processed);
    let mut summary = format!(
        "{} processed, {} written ({} bytes, {})",
        plural(report.requests, "request", "requests"),
        plural(report.messages, "answer", "answers"),
        report.bytes,
        plural(report.bodies, "body", "bodies"),
    );
    if !report.waiting.is_empty() {
        let names: Vec<String> = report.waiting.iter().map(ToString::to_string).collect();
        summary.push_str(&format!("; waiting for an administrator: {}", names.join(", ")));
    }
    summary.push_str(&left(report.left));
    let moved = report.requests + report.messages + report.refused > 0;
    let complete = report.failed.is_empty() && cause.is_none();
    let said = Said {
        step: "T2",
        summary: (moved || complete).then_some(&*summary),
        events: &report.events,
        failed: &report.failed,
        cause,
    };
    let lines = log_step(postoffice, said, |_, _| Ok(()))?;
    let fields = json!({
        "requests": report.requests, "messages": report.messages, "bytes": report.bytes,
        "bodies": report.bodies, "refused": report.refused, "left": report.left,
    });
    let done = Done::new(lines, fields, report.messages > 0).without(report.failed);
    Ok(Done { left: report.left, ..done })
}

/// T3, with the targets.
pub fn apply_step(postoffice: &mut Postoffice) -> Result<Done> {
    let carrier = postoffice.carrier()?;
    let around = postoffice.around()?;
    let before = postoffice.begin()?.requestor()?;
    let (report, cause) = told(step::apply(&mut postoffice.store, &*carrier, &around));
    let (targets, cause) = match cause {
        None => match write_targets(postoffice) {
            Ok(targets) => (targets, None),
            Err(failure) => (Targets::default(), Some(failure)),
        },
        cause => (Targets::default(), cause),
    };
    let mut summary = format!(
        "{} applied, {} ({} bytes){}",
        plural(report.updates, "update", "updates"),
        plural(report.rows, "entry changed", "entries changed"),
        report.bytes,
        left(report.left)
    );
    if targets.put_right > 0 {
        let count = plural(targets.put_right, "target", "targets");
        summary.push_str(&format!("; {count} put right"));
    }
    let moved = report.updates + report.refused > 0;
    let complete = report.failed.is_empty() && targets.failed.is_empty() && cause.is_none();
    let said = Said {
        step: "T3",
        summary: (moved || complete).then_some(&*summary),
        events: &report.events,
        failed: &report.failed,
        cause,
    };
    let logged = log_step(postoffice, said, |tables, at| {
        note_applied(tables, report.answered > 0, before.last_answer, at)
    });
    let mut lines = targets.lines;
    match logged {
        Ok(more) => lines.extend(more),
        Err(failure) => return Err(failure.after(lines)),
    }
    let fields = json!({
        "updates": report.updates, "entries": report.rows, "bytes": report.bytes,
        "refused": report.refused, "left": report.left, "targets_put_right": targets.put_right,
    });
    let failed = report.failed.into_iter().chain(targets.failed).collect();
    let done = Done::new(lines, fields, moved).without(failed);
    Ok(Done { left: report.left, ..done })
}

/// What a step did, also if it could not be ended, and why it could not.
fn told<R: fmt::Debug>(step: Result<R, Interrupted<R>>) -> (R, Option<Failure>) {
    match step {
        Ok(report) => (report, None),
        Err(Interrupted { report, cause }) => (*report, Some(cause.into())),
    }
}

/// What a step has to say beside what it logged itself.
struct Said<'a> {
    step: &'static str,
    /// `None` if nothing moved: a place that is away is not told of at each poll.
    summary: Option<&'a str>,
    /// Its events, which are in the log already.
    events: &'a [Event],
    failed: &'a [PlaceFailure],
    /// Why it could not be ended.
    cause: Option<Failure>,
}

/// Logs the summary of a step with the places that it could not use, and what else belongs into that
/// transaction. Returns all lines of the step; if it could not be ended, they are in the failure.
fn log_step(
    postoffice: &mut Postoffice,
    said: Said<'_>,
    and: impl FnOnce(&mut dyn Transaction, u64) -> Stored<()>,
) -> Result<Vec<LogLine>> {
    let at = now_ms();
    let mut lines = log_lines(said.step, at, said.events);
    let logged = log_rest(postoffice, &said, at, &mut lines, and);
    match said.cause.or(logged.err()) {
        None => Ok(lines),
        Some(cause) => Err(cause.after(lines)),
    }
}

fn log_rest(
    postoffice: &mut Postoffice,
    said: &Said<'_>,
    at: u64,
    lines: &mut Vec<LogLine>,
    and: impl FnOnce(&mut dyn Transaction, u64) -> Stored<()>,
) -> Result<()> {
    let place = postoffice.carrier_text()?;
    let mut rest = Vec::new();
    let mut tables = postoffice.begin()?;
    // A step that was not ended may not have come to every place.
    if said.cause.is_none() {
        rest = note_places(&mut *tables, said.step, &place, said.failed, at)?;
    }
    if let Some(summary) = said.summary {
        let (step, text) = (said.step.into(), summary.to_owned());
        let line = LogLine { at, step, level: Level::Info, text };
        tables.put_log(&line)?;
        rest.push(line);
    }
    and(&mut *tables, at)?;
    tables.commit()?;
    lines.append(&mut rest);
    Ok(())
}

/// T0 from one configured source; `None` if its file has not changed.
pub fn read_source(postoffice: &mut Postoffice, source: &SourceConfig) -> Result<Option<Done>> {
    let Some(read) = sources::read(postoffice, source)? else { return Ok(None) };
    let fields = match &read.report {
        Some(report) => read_fields(&source.name, report),
        None => json!({ "source": source.name }),
    };
    let moved = read.report.as_ref().is_some_and(sources::has_moved);
    let done = Done::new(read.lines, fields, moved);
    Ok(Some(done.without(read.failed.into_iter().collect())))
}

fn read_fields(source: &str, report: &ReadReport) -> serde_json::Value {
    json!({
        "source": source, "rows": report.rows, "unchanged": report.unchanged,
        "added": report.added, "changed": report.changed, "foreign": report.foreign,
        "quarantined": report.quarantined, "held": report.held, "removed": report.removed,
        "held_removals": report.held_removals, "unclaimed": report.unclaimed,
    })
}

/// Everything that can be done now, in order: a requestor applies, takes its changes in, and
/// sends; a server takes its changes in, sends to itself, processes, and applies.
fn cycle_steps(postoffice: &mut Postoffice, done: &mut Vec<(&'static str, Done)>) -> Result<()> {
    if !postoffice.is_server {
        done.push(("T3", apply_step(postoffice)?));
    }
    for source in postoffice.config.sources.clone() {
        if let Some(read) = read_source(postoffice, &source)? {
            done.push(("T0", read));
        }
    }
    done.push(("T1", send_step(postoffice, true)?));
    if postoffice.is_server {
        done.push(("T2", process_step(postoffice, false)?));
        done.push(("T3", apply_step(postoffice)?));
    }
    Ok(())
}

fn report(steps: Vec<(&'static str, Done)>, json: bool) -> ExitStatus {
    for (step, done) in &steps {
        for failure in done.unsaid() {
            eprintln!("{step} error: {}", failure.text);
        }
    }
    if json {
        let steps: serde_json::Map<_, _> = steps
            .into_iter()
            .map(|(step, done)| (step.to_owned(), serde_json::Value::Object(done.fields)))
            .collect();
        print_json(&serde_json::Value::Object(steps));
        return ExitStatus::Done;
    }
    steps.iter().for_each(|(_, done)| print_lines(&done.lines));
    ExitStatus::Done
}

/// Prints log lines, the ordinary ones to standard output.
pub fn print_lines(lines: &[LogLine]) {
    for line in lines {
        let text = dirsync_directory::shown(&line.text);
        if line.level == Level::Info {
            println!("{} {text}", line.step);
        } else {
            eprintln!("{} {}: {text}", line.step, line.level);
        }
    }
}

/// `dirsync send`.
pub fn send(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "send")?;
    let done = send_step(&mut postoffice, true)?;
    finish(report(vec![("T1", done)], json), &mut postoffice)
}

/// `dirsync process`.
pub fn process(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "process")?;
    let done = process_step(&mut postoffice, false)?;
    finish(report(vec![("T2", done)], json), &mut postoffice)
}

/// `dirsync apply`.
pub fn apply(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "apply")?;
    let done = apply_step(&mut postoffice)?;
    finish(report(vec![("T3", done)], json), &mut postoffice)
}

/// `dirsync cycle`.
pub fn cycle(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "cycle")?;
    let mut steps = Vec::new();
    if let Err(failure) = cycle_steps(&mut postoffice, &mut steps) {
        let lines = steps.into_iter().flat_map(|(_, done)| done.lines);
        return Err(failure.after(lines.collect()));
    }
    finish(report(steps, json), &mut postoffice)
}

/// Exit code 3 where something waits for a person, 4 where a place could not be reached.
fn finish(status: ExitStatus, postoffice: &mut Postoffice) -> Result<ExitStatus> {
    if status == ExitStatus::Done {
        Ok(waiting::of(postoffice)?.health(false).into())
    } else {
        Ok(status)
    }
}
