//! `dirsync quarantine …`.

use std::path::Path;

use dirsync_postoffice::{Postoffice, json, quarantine};
use dirsync_protocol::tables::Quarantined;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::QuarantineCommand;
use crate::commands::waiting;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::words::shown;

/// A row, an entry or a file that could not be accepted.
#[derive(Serialize, JsonSchema)]
pub struct Case {
    /// Its number.
    number: u64,
    /// Since when it waits.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    since: u64,
    /// The source, or the postoffice, that it came from.
    origin: String,
    /// The entry, or the file; `null` for a row whose key could not be read.
    subject: Option<String>,
    /// The line of the file on which the row begins, if it is one.
    line: Option<u64>,
    /// Why it could not be accepted.
    reason: String,
    /// The material itself.
    text: String,
}

impl From<Quarantined> for Case {
    fn from(case: Quarantined) -> Self {
        let Quarantined { number, since, origin, subject, line, reason, text } = case;
        let subject = (!subject.is_empty()).then_some(subject);
        Self { number, since, origin, subject, line, reason, text }
    }
}

/// A case that was closed.
#[derive(Serialize, JsonSchema)]
pub struct Closed {
    /// Its number.
    number: u64,
    /// Whether the next read of its source decides again; else it is forgotten.
    retried: bool,
}

/// `dirsync quarantine …`.
pub fn run(folder: &Path, command: &QuarantineCommand, json: bool) -> Result<ExitStatus> {
    match command {
        QuarantineCommand::List => list(folder, json),
        QuarantineCommand::Show { number } => show(folder, *number, json),
        QuarantineCommand::Retry { number } => close(folder, *number, true, json),
        QuarantineCommand::Drop { number } => close(folder, *number, false, json),
    }
}

fn list(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let mut count = 0_u64;
    if json {
        let mut items = document::Items::list();
        quarantine::visit(&mut postoffice, &mut |case| {
            count += 1;
            items.print(&Case::from(case));
        })?;
        items.end();
    } else {
        quarantine::visit(&mut postoffice, &mut |case| {
            count += 1;
            print_quarantined(&case);
        })?;
        if count == 0 {
            println!("nothing is quarantined");
        }
    }
    Ok(waiting(count > 0))
}

fn show(folder: &Path, number: u64, json: bool) -> Result<ExitStatus> {
    let case = quarantine::case(&mut super::read(folder)?, number)?;
    if json {
        document::print(&Case::from(case));
    } else {
        print_quarantined(&case);
        case.text.lines().for_each(|line| println!("       {}", shown(line)));
    }
    Ok(ExitStatus::Waiting)
}

fn print_quarantined(case: &Quarantined) {
    let named = [Some(case.subject.clone()), case.line.map(|line| format!("line {line}"))];
    let named: Vec<String> = named.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let line = format!("{} {}: {}", case.origin, named.join(": "), case.reason);
    println!("{:>5}  {}", case.number, shown(&line));
}

fn close(folder: &Path, number: u64, retry: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "quarantine")?;
    let case = match retry {
        true => quarantine::retry(&mut postoffice, number)?,
        false => quarantine::forget(&mut postoffice, number)?,
    };
    if json {
        document::print(&Closed { number, retried: retry });
    } else if retry {
        println!("case {number} is closed; the next read of \"{}\" decides again", case.origin);
    } else {
        println!("case {number} is forgotten");
    }
    Ok(ExitStatus::Done)
}
