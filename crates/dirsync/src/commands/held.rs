//! `dirsync held …` and `dirsync quarantine …`.

use std::path::Path;

use dirsync_postoffice::held::{self, Case, Verdict};
use dirsync_postoffice::{Postoffice, quarantine};
use dirsync_protocol::tables::Quarantined;
use serde_json::{Value, json};

use crate::cli::{HeldArgs, HeldCommand, QuarantineCommand};
use crate::commands::{print_json, waiting};
use crate::failure::{ExitStatus, Result};
use crate::time;
use crate::words::shown;

/// `dirsync held …`.
pub fn held(folder: &Path, command: &HeldCommand, json: bool) -> Result<ExitStatus> {
    match command {
        HeldCommand::List { rejected } => list(folder, *rejected, json),
        HeldCommand::Approve(arguments) => decide(folder, arguments, Verdict::Approved, json),
        HeldCommand::Reject(arguments) => decide(folder, arguments, Verdict::Rejected, json),
    }
}

fn list(folder: &Path, rejected: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let cases = held::cases(&mut postoffice, rejected)?;
    let status = waiting(!rejected && !cases.is_empty());
    if json {
        print_json(&cases.iter().map(case_json).collect());
        return Ok(status);
    }
    if cases.is_empty() {
        println!("nothing is {}", if rejected { "rejected" } else { "held" });
    }
    for case in &cases {
        let Case { id, key, .. } = case;
        let kind = case.kind.to_string();
        let (name, since) = (shown(&case.name), time::rfc3339(case.since));
        println!("{id}  {kind:10}  {}  {key} {name}  since {since}", case.asked_by());
    }
    Ok(status)
}

fn case_json(case: &Case) -> Value {
    let place = if case.origin.is_some() { "server" } else { "here" };
    json!({
        "id": case.id.to_string(), "where": place, "kind": case.kind.to_string(), "source": case.asked_by(),
        "key": case.key, "name": shown(&case.name), "since": time::json(case.since),
        "rejected": case.rejected,
    })
}

fn decide(folder: &Path, arguments: &HeldArgs, verdict: Verdict, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "held")?;
    let ids = (!arguments.all).then_some(arguments.ids.as_slice());
    let count = held::decide(&mut postoffice, ids, verdict)?;
    let word = match verdict {
        Verdict::Approved => "approved",
        Verdict::Rejected => "rejected",
    };
    if json {
        print_json(&json!({ word: count }));
    } else {
        println!("{count} held changes {word}");
    }
    Ok(ExitStatus::Done)
}

/// `dirsync quarantine …`.
pub fn quarantine(folder: &Path, command: &QuarantineCommand, json: bool) -> Result<ExitStatus> {
    match command {
        QuarantineCommand::List => quarantine_list(folder, json),
        QuarantineCommand::Show { number } => quarantine_show(folder, *number, json),
        QuarantineCommand::Retry { number } => close(folder, *number, true, json),
        QuarantineCommand::Drop { number } => close(folder, *number, false, json),
    }
}

fn quarantine_list(folder: &Path, json: bool) -> Result<ExitStatus> {
    let cases = quarantine::cases(&mut super::read(folder)?)?;
    if json {
        print_json(&cases.iter().map(quarantined_json).collect());
    } else if cases.is_empty() {
        println!("nothing is quarantined");
    } else {
        cases.iter().for_each(print_quarantined);
    }
    Ok(waiting(!cases.is_empty()))
}

fn quarantine_show(folder: &Path, number: u64, json: bool) -> Result<ExitStatus> {
    let case = quarantine::case(&mut super::read(folder)?, number)?;
    if json {
        print_json(&quarantined_json(&case));
    } else {
        print_quarantined(&case);
        case.text.lines().for_each(|line| println!("       {}", shown(line)));
    }
    Ok(ExitStatus::Waiting)
}

fn quarantined_json(case: &Quarantined) -> Value {
    json!({
        "number": case.number, "since": time::json(case.since), "origin": case.origin,
        "subject": case.subject, "reason": case.reason, "text": case.text,
    })
}

fn print_quarantined(case: &Quarantined) {
    let line = format!("{} {}: {}", case.origin, case.subject, case.reason);
    println!("{:>5}  {}", case.number, shown(&line));
}

fn close(folder: &Path, number: u64, retry: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "quarantine")?;
    let (case, word) = match retry {
        true => (quarantine::retry(&mut postoffice, number)?, "retried"),
        false => (quarantine::forget(&mut postoffice, number)?, "dropped"),
    };
    if json {
        print_json(&json!({ "number": number, "done": word }));
    } else if retry {
        println!("case {number} is closed; the next read of \"{}\" decides again", case.origin);
    } else {
        println!("case {number} is forgotten");
    }
    Ok(ExitStatus::Done)
}
