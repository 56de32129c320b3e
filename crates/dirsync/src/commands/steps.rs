//! `dirsync send`, `process`, `apply` and `cycle`.

use std::path::Path;

use dirsync_agent::notes::STEP_ERROR;
use dirsync_agent::step::{ApplyReport, ProcessReport, SendReport};
use dirsync_agent::waiting::Waiting;
use dirsync_postoffice::report::{Counts, Done, Report};
use dirsync_postoffice::{Postoffice, steps, waiting};
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::LogLine;
use schemars::JsonSchema;
use serde::Serialize;

use crate::alarm::{make_calls, sound_alarms};
use crate::document;
use crate::failure::{ExitStatus, Failure, FailureKind, Result};
use crate::progress::Progress;
use crate::words::hint::{DIRSYNC, pasteable};

/// `dirsync send`.
pub fn send(folder: &Path, json: bool) -> Result<ExitStatus> {
    let step = |postoffice: &mut Postoffice| Ok(vec![steps::send(postoffice, true)?]);
    let (mut postoffice, done) = work(folder, "send", "sending", step)?;
    finish(&mut postoffice, done, waiting::of, json)
}

/// `dirsync process`.
pub fn process(folder: &Path, json: bool) -> Result<ExitStatus> {
    let step = |postoffice: &mut Postoffice| Ok(vec![steps::process(postoffice, false)?]);
    let (mut postoffice, done) = work(folder, "process", "processing requests", step)?;
    finish(&mut postoffice, done, waiting::of, json)
}

/// `dirsync apply`.
pub fn apply(folder: &Path, json: bool) -> Result<ExitStatus> {
    let step = |postoffice: &mut Postoffice| Ok(vec![steps::apply(postoffice)?]);
    let (mut postoffice, done) = work(folder, "apply", "applying updates", step)?;
    finish(&mut postoffice, done, waiting::of, json)
}

/// `dirsync cycle`, which also tells of what begins to need a person, as the agent does.
pub fn cycle(folder: &Path, json: bool) -> Result<ExitStatus> {
    let (mut postoffice, done) = work(folder, "cycle", "at work", steps::cycle)?;
    let status = finish(&mut postoffice, done, sound_alarms, json);
    drop(postoffice);
    let called = make_calls(|| Postoffice::open_away(folder, "cycle"));
    // The failure of a step is the one to tell.
    status.and_then(|status| called.map(|()| status))
}

/// Opens a postoffice and does steps there, with progress.
fn work(
    folder: &Path,
    purpose: &str,
    shown: &'static str,
    steps: impl FnOnce(&mut Postoffice) -> Result<Vec<Done>>,
) -> Result<(Postoffice, Result<Vec<Done>>)> {
    let mut postoffice = Postoffice::open(folder, purpose)?;
    let _progress = Progress::of(shown);
    let done = steps(&mut postoffice);
    Ok((postoffice, done))
}

/// Exit code 3 if something waits for a person or a message was refused, 4 if a place could not be
/// reached. A step that failed is noted until steps succeed again.
fn finish(
    postoffice: &mut Postoffice,
    steps: Result<Vec<Done>>,
    waits: impl FnOnce(&mut Postoffice) -> Result<Waiting>,
    json: bool,
) -> Result<ExitStatus> {
    // A mistake of the person who gave the command is no failure of the step.
    let failure = steps.as_ref().err().filter(|failure| failure.kind != FailureKind::Usage);
    let noted = postoffice.put_note(STEP_ERROR, failure.map(Failure::text).as_deref());
    // A step that failed is something to tell of, too.
    let waits = waits(postoffice);
    let steps = steps?;
    noted?;
    for done in &steps {
        for failure in done.untold() {
            eprintln!("{} error: {}", done.report.step(), failure.text);
        }
    }
    if json {
        document::print(&Steps::of(&steps));
    } else {
        steps.iter().for_each(|done| print_lines(&done.lines));
    }
    let refused = steps.iter().any(|done| done.report.refused() > 0);
    let status = match ExitStatus::from(waits?.health()) {
        ExitStatus::Done if refused => ExitStatus::Waiting,
        status => status,
    };
    if status == ExitStatus::Waiting && !json {
        eprintln!("hint: `{DIRSYNC} status` says what needs a person");
    }
    Ok(status)
}

/// Prints log lines, the ordinary ones to standard output.
pub fn print_lines(lines: &[LogLine]) {
    for line in lines {
        let text = pasteable(&dirsync_directory::shown(&line.text));
        if line.level == Level::Info {
            println!("{} {text}", line.step);
        } else {
            eprintln!("{} {}: {text}", line.step, line.level);
        }
    }
}

/// The steps that were run; null, or empty, are those that were not.
#[derive(Default, Serialize, JsonSchema)]
pub struct Steps {
    /// The sources that were read, if they had changed.
    #[serde(rename = "T0")]
    read: Vec<Read>,
    /// The request.
    #[serde(rename = "T1")]
    sent: Option<Sent>,
    /// The requests processed at the server.
    #[serde(rename = "T2")]
    processed: Option<Processed>,
    /// The updates applied.
    #[serde(rename = "T3")]
    applied: Option<Applied>,
}

impl Steps {
    fn of(done: &[Done]) -> Self {
        let mut steps = Self::default();
        for Done { report, .. } in done {
            let failed = report.failed().map(|failure| failure.text.clone()).collect();
            match report {
                Report::Read { source, report, .. } => {
                    let counts = report.as_ref().map(Counts::from);
                    steps.read.push(Read { source: source.clone(), counts, failed });
                }
                Report::Sent(report) => {
                    let SendReport { request, transactions: changes, bytes, .. } = *report;
                    steps.sent = Some(Sent { request, changes, bytes, failed });
                }
                Report::Processed(report) => {
                    let ProcessReport { requests, messages, bytes, bodies, refused, left, .. } =
                        *report;
                    steps.processed = Some(Processed {
                        requests,
                        messages,
                        bytes,
                        bodies,
                        refused,
                        left,
                        failed,
                    });
                }
                Report::Applied { report, targets } => {
                    let ApplyReport { updates, rows: entries, bytes, refused, left, .. } = *report;
                    let targets_put_right = targets.put_right;
                    steps.applied = Some(Applied {
                        updates,
                        entries,
                        bytes,
                        refused,
                        left,
                        targets_put_right,
                        failed,
                    });
                }
            }
        }
        steps
    }
}

/// A source that was read.
#[derive(Serialize, JsonSchema)]
struct Read {
    /// Its name.
    source: String,
    /// The counts; null if it could not be read.
    counts: Option<Counts>,
    /// Why it was not read to its end.
    failed: Vec<String>,
}

/// A request that was sent.
#[derive(Serialize, JsonSchema)]
struct Sent {
    /// Its number; null if nothing could be sent.
    request: Option<u64>,
    /// Own changes in it.
    changes: u64,
    /// The size of the message file, in bytes.
    bytes: u64,
    /// The failures of the place.
    failed: Vec<String>,
}

/// Requests that were processed.
#[derive(Serialize, JsonSchema)]
struct Processed {
    /// Requests taken.
    requests: u64,
    /// Message files written.
    messages: u64,
    /// Their size, in bytes.
    bytes: u64,
    /// Bodies encoded; requestors that lack the same changes share one.
    bodies: u64,
    /// Messages refused.
    refused: u64,
    /// Messages that were left for the next step.
    left: u64,
    /// The failures of places; all other places were served.
    failed: Vec<String>,
}

/// Updates that were applied.
#[derive(Serialize, JsonSchema)]
struct Applied {
    /// Updates taken.
    updates: u64,
    /// Entries of the list that were written or removed.
    entries: u64,
    /// The size of the message files, in bytes.
    bytes: u64,
    /// Messages refused.
    refused: u64,
    /// Messages that were left for the next step.
    left: u64,
    /// Targets that others had altered.
    targets_put_right: u64,
    /// The failures of the place and of targets.
    failed: Vec<String>,
}
