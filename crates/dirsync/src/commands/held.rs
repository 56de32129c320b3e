//! `dirsync held …`.

use std::path::Path;

use dirsync_postoffice::Postoffice;
use dirsync_postoffice::held::{self, Case, Verdict};
use serde_json::{Value, json};

use crate::cli::{HeldArgs, HeldCommand};
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
