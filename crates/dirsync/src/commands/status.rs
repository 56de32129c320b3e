//! `dirsync status`.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use dirsync_agent::alarm::{Alarm, Stopped};
use dirsync_postoffice::home;
use dirsync_postoffice::now_ms;
use dirsync_postoffice::status::{Role, Status};

use crate::cli::StatusArgs;
use crate::commands::inbox;
use crate::document;
use crate::failure::{ExitStatus, Failure, Result};
use crate::output;
use crate::time::Times;
use crate::words::hint::pasteable;
use crate::words::{self, plural, shown};

/// How often `--watch` looks.
const WATCH: Duration = Duration::from_secs(2);

/// `dirsync status`.
pub fn status(folder: &Path, arguments: &StatusArgs, json: bool) -> Result<ExitStatus> {
    if arguments.watch {
        return watch(folder, arguments.verbose);
    }
    let (status, times) = look(folder)?;
    if json {
        document::print(&status);
    } else {
        let page = Page { status: &status, times, folder, verbose: arguments.verbose };
        page.lines().iter().for_each(|line| println!("{line}"));
    }
    Ok(super::waiting(!status.is_well()))
}

fn look(folder: &Path) -> Result<(Status, Times)> {
    let mut postoffice = super::read(folder)?;
    let status = Status::of(&mut postoffice)?;
    Ok((status, Times { zone: postoffice.config.zone(), now: now_ms() }))
}

/// Shows it again and again, until a signal ends the program.
fn watch(folder: &Path, verbose: bool) -> Result<ExitStatus> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage("--watch draws on a terminal, and the output is none")
            .hint("leave --watch out, or read `status --json` as often as you like"));
    }
    loop {
        let (status, times) = look(folder)?;
        let page = Page { status: &status, times, folder, verbose };
        output::redraw(&page.lines())?;
        std::thread::sleep(WATCH);
    }
}

/// A status as people read it.
struct Page<'a> {
    status: &'a Status,
    times: Times,
    folder: &'a Path,
    verbose: bool,
}

impl Page<'_> {
    fn lines(&self) -> Vec<String> {
        let Self { status, times, .. } = self;
        let mut lines = vec![words::status::headline(status, times), String::new()];
        lines.extend(words::status::rows(status, times, self.verbose));
        lines.push(String::new());
        for alarm in &status.alarms {
            lines.push(words::alarm::line(alarm, times));
            lines.extend(
                self.ways_out(alarm).into_iter().map(|way| format!("  {}", pasteable(&way))),
            );
        }
        let notes = self.notes();
        if !status.alarms.is_empty() && !notes.is_empty() {
            lines.push(String::new());
        }
        lines.extend(notes.iter().map(|(word, text)| format!("{word:9} {text}")));
        lines
    }

    /// What a person can do where nothing is sent from here.
    fn ways_out(&self, alarm: &Alarm) -> Vec<String> {
        match alarm {
            Alarm::Stopped { away: Some(away), .. } => home::ways_out(*away, self.folder).into(),
            Alarm::Stopped { stopped: Stopped::Fenced, .. } => vec![format!(
                "if this is to be the one, stop the other and say `{}` here",
                home::word_to_keep(self.folder)
            )],
            _ => Vec::new(),
        }
    }

    /// What is worth knowing and needs nobody.
    fn notes(&self) -> Vec<(&'static str, String)> {
        let Self { status, times, .. } = self;
        let mut notes = inbox::lines(&status.inbox);
        notes.extend(status.missed.iter().map(|text| ("missed", text.clone())));
        for (file, right) in &status.put_right {
            let (times_in_all, last) = (right.times, times.ago(right.last));
            let text = format!(
                "\"{}\" was altered and put right, {times_in_all} in all, last {last}",
                shown(file)
            );
            notes.push(("target", text));
        }
        let places = words::status::places(status, times, self.verbose);
        notes.extend(places.into_iter().map(|text| ("places", text)));
        notes.extend(status.warnings.iter().map(|text| ("warning", text.clone())));
        notes
            .extend(words::next::lines(&status.next, times).into_iter().map(|text| ("next", text)));
        if self.verbose {
            notes.extend(self.numbers());
        }
        notes
    }

    fn numbers(&self) -> Vec<(&'static str, String)> {
        let Self { status, times, .. } = self;
        let role = match (status.role, status.cycle) {
            (Role::Server, cycle) => {
                format!("directory server, cycle {}", cycle.unwrap_or_default())
            }
            (Role::Requestor, _) => format!("directory requestor of {}", status.server),
        };
        let list = format!(
            "{} at {}, digest {}",
            plural(status.entries, "entry", "entries"),
            status.srv_sync,
            status.digest
        );
        let own = format!(
            "{}, {} of {} acknowledged",
            plural(status.own_entries, "entry", "entries"),
            status.req_sync,
            plural(status.req_seq, "change", "changes")
        );
        let head =
            status.srv_seq.map(|head| ("number", format!("{head}, the last one of the list")));
        let notes = [
            ("role", role),
            ("epoch", status.epoch.clone()),
            ("list", list),
            ("own", own),
            ("sent", times.ago(status.last_sent)),
            ("applied", times.ago(status.last_applied)),
            ("log", format!("{} bytes of the database's log", status.wal_bytes)),
        ];
        notes.into_iter().chain(head).collect()
    }
}
