//! `dirsync held …` and `dirsync quarantine …`.

use std::ops::ControlFlow;
use std::path::Path;

use dirsync_agent::changes;
use dirsync_agent::decisions::DecisionKind;
use dirsync_directory::{EntryId, PostofficeName};
use dirsync_protocol::tables::Tables;
use serde_json::{Value, json};

use crate::cli::{HeldArgs, HeldCommand, QuarantineCommand};
use crate::commands::requestor::decide;
use crate::commands::{print_json, waiting};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::office::{Office, now_ms};
use crate::time;
use crate::words::shown;

/// `dirsync held …`.
pub fn held(folder: &Path, command: &HeldCommand, json: bool) -> Outcome {
    match command {
        HeldCommand::List => list(folder, json),
        HeldCommand::Approve(arguments) => decide_held(folder, arguments, true, json),
        HeldCommand::Reject(arguments) => decide_held(folder, arguments, false, json),
    }
}

/// A deletion that waits at the server.
struct HeldDeletion {
    id: EntryId,
    origin: PostofficeName,
    key: String,
    name: String,
    since: u64,
}

fn held_deletions<T: Tables + ?Sized>(tables: &mut T) -> Outcome<Vec<HeldDeletion>> {
    let mut held = Vec::new();
    tables.visit_unsettled(&mut |row| {
        let hold = row.published.as_ref().and_then(|published| published.held);
        if let Some(hold) = hold.filter(|hold| !hold.rejected) {
            held.push(HeldDeletion {
                id: row.id,
                origin: row.origin.clone(),
                key: row.key.clone(),
                name: row.published_record().map_or(String::new(), |record| shown(record.name)),
                since: hold.since,
            });
        }
        ControlFlow::Continue(())
    })?;
    Ok(held)
}

fn list(folder: &Path, json: bool) -> Outcome {
    let mut office = Office::read(folder)?;
    let is_server = office.is_server;
    let mut tables = office.begin()?;
    let mut rows: Vec<Value> = tables
        .held_changes()?
        .into_iter()
        .map(|held| {
            let name = held.record.as_ref().map_or(String::new(), |record| shown(&record.name));
            json!({ "id": held.id.to_string(), "where": "here", "kind": held.kind,
                    "source": held.source, "key": held.key, "name": name,
                    "since": time::json(held.since), "rejected": held.rejected })
        })
        .collect();
    if is_server {
        for held in held_deletions(&mut *tables)? {
            rows.push(json!({ "id": held.id.to_string(), "where": "server", "kind": "delete",
                              "source": held.origin.to_string(), "key": held.key,
                              "name": held.name, "since": time::json(held.since),
                              "rejected": false }));
        }
    }
    let open = rows.iter().any(|row| row["rejected"] == false);
    if json {
        print_json(&Value::Array(rows));
        return Ok(waiting(open));
    }
    if rows.is_empty() {
        println!("nothing is held");
    }
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        println!(
            "{}  {:10}  {}  {} {}  since {}{}",
            text("id"),
            text("kind"),
            text("source"),
            text("key"),
            text("name"),
            text("since"),
            if row["rejected"] == true { "  rejected" } else { "" }
        );
    }
    Ok(waiting(open))
}

fn decide_held(folder: &Path, arguments: &HeldArgs, approve: bool, json: bool) -> Outcome {
    let mut office = Office::open(folder, "held")?;
    let ids = (!arguments.all).then_some(arguments.ids.as_slice());
    let mut tables = office.begin()?;
    let mut count = if approve {
        changes::approve(&mut *tables, now_ms(), ids)?
    } else {
        changes::reject(&mut *tables, ids)?
    };
    tables.commit()?;
    if office.is_server {
        let held = held_deletions(&mut *office.begin()?)?;
        for deletion in held {
            if ids.is_none_or(|ids| ids.contains(&deletion.id)) {
                let kind = if approve {
                    DecisionKind::ApproveDeletion(deletion.id)
                } else {
                    DecisionKind::RejectDeletion(deletion.id)
                };
                decide(&mut office, &deletion.origin, kind)?;
                count += 1;
            }
        }
    }
    let word = if approve { "approved" } else { "rejected" };
    office.log("admin", &format!("{count} held changes {word}"), &[])?;
    if json {
        print_json(&json!({ word: count }));
    } else {
        println!("{count} held changes {word}");
    }
    Ok(ExitStatus::Done)
}

/// `dirsync quarantine …`.
pub fn quarantine(folder: &Path, command: &QuarantineCommand, json: bool) -> Outcome {
    match command {
        QuarantineCommand::List => quarantine_list(folder, None, json),
        QuarantineCommand::Show { number } => quarantine_list(folder, Some(*number), json),
        QuarantineCommand::Retry { number } => close(folder, *number, true, json),
        QuarantineCommand::Drop { number } => close(folder, *number, false, json),
    }
}

fn quarantine_list(folder: &Path, only: Option<u64>, json: bool) -> Outcome {
    let mut office = Office::read(folder)?;
    let mut cases = office.begin()?.quarantined()?;
    if let Some(number) = only {
        cases.retain(|case| case.number == number);
        if cases.is_empty() {
            return Err(Failure::usage(format!("there is no quarantined case {number}")));
        }
    }
    if json {
        let mut cases: Vec<Value> = cases
            .iter()
            .map(|case| {
                json!({ "number": case.number, "since": time::json(case.since),
                        "origin": case.origin, "subject": case.subject, "reason": case.reason,
                        "text": case.text })
            })
            .collect();
        let waits = !cases.is_empty();
        print_json(&if only.is_some() { cases.remove(0) } else { Value::Array(cases) });
        return Ok(waiting(waits));
    }
    if cases.is_empty() {
        println!("nothing is quarantined");
    }
    for case in &cases {
        let line = format!("{} {}: {}", case.origin, case.subject, case.reason);
        println!("{:>5}  {}", case.number, shown(&line));
        if only.is_some() {
            case.text.lines().for_each(|line| println!("       {}", shown(line)));
        }
    }
    Ok(waiting(!cases.is_empty()))
}

fn close(folder: &Path, number: u64, retry: bool, json: bool) -> Outcome {
    let mut office = Office::open(folder, "quarantine")?;
    let mut tables = office.begin()?;
    let case = tables.quarantined()?.into_iter().find(|case| case.number == number);
    let Some(case) = case else {
        return Err(Failure::usage(format!("there is no quarantined case {number}")));
    };
    tables.delete_quarantined(number)?;
    if retry && let Some(mut memory) = tables.source_memory(&case.origin)? {
        // The source's file is read again even if it stays as it is.
        memory.seen = String::new();
        tables.put_source_memory(&case.origin, &memory)?;
    }
    tables.commit()?;
    let word = if retry { "retried" } else { "dropped" };
    office.log("admin", &format!("quarantined case {number} {word}"), &[])?;
    if json {
        print_json(&json!({ "number": number, "done": word }));
    } else if retry {
        println!("case {number} is closed; the next read of \"{}\" decides again", case.origin);
    } else {
        println!("case {number} is forgotten");
    }
    Ok(ExitStatus::Done)
}
