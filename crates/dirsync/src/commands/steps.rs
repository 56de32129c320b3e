//! `dirsync send`, `process`, `apply` and `cycle`.

use std::path::Path;

use dirsync_agent::changes::ReadReport;
use dirsync_postoffice::report::{Done, Report};
use dirsync_postoffice::{Postoffice, steps, waiting};
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::LogLine;
use serde_json::{Value, json};

use crate::commands::print_json;
use crate::failure::{ExitStatus, Result};

/// `dirsync send`.
pub fn send(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "send")?;
    let done = steps::send(&mut postoffice, true)?;
    finish(&mut postoffice, &[done], json)
}

/// `dirsync process`.
pub fn process(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "process")?;
    let done = steps::process(&mut postoffice, false)?;
    finish(&mut postoffice, &[done], json)
}

/// `dirsync apply`.
pub fn apply(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "apply")?;
    let done = steps::apply(&mut postoffice)?;
    finish(&mut postoffice, &[done], json)
}

/// `dirsync cycle`.
pub fn cycle(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "cycle")?;
    let done = steps::cycle(&mut postoffice)?;
    finish(&mut postoffice, &done, json)
}

/// Exit code 3 if something waits for a person, 4 if a place could not be reached.
fn finish(postoffice: &mut Postoffice, steps: &[Done], json: bool) -> Result<ExitStatus> {
    for done in steps {
        for failure in done.untold() {
            eprintln!("{} error: {}", done.report.step(), failure.text);
        }
    }
    if json {
        print_json(&as_json(steps));
    } else {
        steps.iter().for_each(|done| print_lines(&done.lines));
    }
    Ok(waiting::of(postoffice)?.health(false).into())
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

fn as_json(steps: &[Done]) -> Value {
    let step = |done: &Done| (done.report.step().to_string(), step_json(&done.report));
    Value::Object(steps.iter().map(step).collect())
}

fn step_json(report: &Report) -> Value {
    let mut fields = match report {
        Report::Read { source, report, .. } => read_json(source, report.as_ref()),
        Report::Sent(report) => json!({
            "request": report.request, "changes": report.transactions, "bytes": report.bytes,
        }),
        Report::Processed(report) => json!({
            "requests": report.requests, "messages": report.messages, "bytes": report.bytes,
            "bodies": report.bodies, "refused": report.refused, "left": report.left,
        }),
        Report::Applied { report, targets } => json!({
            "updates": report.updates, "entries": report.rows, "bytes": report.bytes,
            "refused": report.refused, "left": report.left,
            "targets_put_right": targets.put_right,
        }),
    };
    let failed: Vec<&str> = report.failed().map(|failure| &*failure.text).collect();
    if !failed.is_empty() {
        fields["failed"] = json!(failed);
    }
    fields
}

fn read_json(source: &str, report: Option<&ReadReport>) -> Value {
    let Some(report) = report else { return json!({ "source": source }) };
    json!({
        "source": source, "rows": report.rows, "unchanged": report.unchanged,
        "added": report.added, "changed": report.changed, "foreign": report.foreign,
        "quarantined": report.quarantined, "held": report.held, "removed": report.removed,
        "held_removals": report.held_removals, "unclaimed": report.unclaimed,
    })
}
