//! `dirsync log`.

use std::io::{self, ErrorKind, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use dirsync_postoffice::log::{LogReader, Wanted};
use dirsync_postoffice::runs::{self, ChangedEntry, RunSummary};
use dirsync_postoffice::{Postoffice, json, now_ms};
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::LogLine;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::LogArgs;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::time;
use crate::words::{runs as words, shown};

/// How often new lines are looked for.
const POLL: Duration = Duration::from_millis(500);

/// A line of the log.
#[derive(Serialize, JsonSchema)]
pub struct Line {
    /// When.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    at: u64,
    /// `T0`, `T1`, `T2`, `T3`, or a word such as `admin` and `alarm`.
    step: String,
    /// Its level: `debug`, `info`, `notice`, `warning`, `error` or `alarm`.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    level: Level,
    /// The text, for people.
    text: String,
    /// The run that it tells of, for `log RUN` and `undo RUN`.
    run: Option<u64>,
}

/// What a run changed.
#[derive(Serialize, JsonSchema)]
pub struct RunChanges {
    /// The run.
    run: RunSummary,
    /// The entries: those that it changed or deleted, then those that it added.
    entries: Vec<ChangedEntry>,
}

impl From<&LogLine> for Line {
    fn from(line: &LogLine) -> Self {
        let LogLine { at, step, level, text, run } = line.clone();
        Self { at, step, level, text, run }
    }
}

/// `dirsync log`.
pub fn log(folder: &Path, arguments: &LogArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    if let Some(run) = arguments.run {
        return changes(&mut postoffice, run, json);
    }
    let wanted =
        Wanted { since: arguments.since.clone(), level: arguments.level, last: arguments.lines };
    let mut reader = LogReader::new(&postoffice, &wanted)?;
    if json && !arguments.follow {
        let mut lines: Vec<Line> = Vec::new();
        reader.visit(&mut postoffice, &mut |line| {
            lines.push(line.into());
            ControlFlow::Continue(())
        })?;
        document::print(&lines);
        return Ok(ExitStatus::Done);
    }
    while print_new(&mut postoffice, &mut reader, json)? && arguments.follow {
        sleep(POLL);
    }
    Ok(ExitStatus::Done)
}

/// What a run changed. The entries are printed one by one: there may be a hundred thousand.
fn changes(postoffice: &mut Postoffice, number: u64, json: bool) -> Result<ExitStatus> {
    let run = runs::run(postoffice, number)?;
    if json {
        let document = RunChanges { run, entries: Vec::new() };
        let mut entries = document::Items::of(&document, "entries");
        runs::visit_changes(postoffice, number, &mut |entry| entries.print(entry))?;
        entries.end();
    } else {
        println!("{}", words::summary(&run, now_ms(), &postoffice.config.zone()));
        runs::visit_changes(postoffice, number, &mut |entry| {
            println!("  {}", words::changed(entry));
        })?;
    }
    Ok(ExitStatus::Done)
}

/// Prints the lines that are new. Returns whether somebody still reads them.
fn print_new(postoffice: &mut Postoffice, reader: &mut LogReader, json: bool) -> Result<bool> {
    let mut output = io::stdout().lock();
    let mut broken = None;
    reader.visit(postoffice, &mut |line| {
        let text = if json { document::line(&Line::from(line)) } else { line_text(line) };
        match writeln!(output, "{text}") {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                broken = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    match broken {
        None => {
            output.flush()?;
            Ok(true)
        }
        // A reader that has seen enough is no failure.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Some(error) => Err(error.into()),
    }
}

fn line_text(line: &LogLine) -> String {
    let text = shown(&line.text.replace('\\', "\\\\"));
    let run = line.run.map_or(String::new(), |run| format!(" (run {run})"));
    format!("{} {:7} {:5} {text}{run}", time::rfc3339(line.at), line.level, line.step)
}
