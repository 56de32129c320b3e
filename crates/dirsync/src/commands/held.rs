//! `dirsync held …` and `dirsync quarantine …`.

use std::ops::ControlFlow;
use std::path::Path;

use dirsync_agent::changes;
use dirsync_agent::decisions::DecisionKind;
use dirsync_directory::{EntryId, PostofficeName};
use dirsync_postoffice::{Postoffice, log_within, now_ms};
use dirsync_protocol::tables::Tables;
use serde_json::{Value, json};

use crate::cli::{HeldArgs, HeldCommand, QuarantineCommand};
use crate::commands::{print_json, waiting};
use crate::failure::{ExitStatus, Failure, Result};
use crate::time;
use crate::words::shown;

/// `dirsync held …`.
pub fn held(folder: &Path, command: &HeldCommand, json: bool) -> Result<ExitStatus> {
    match command {
        HeldCommand::List { rejected } => list(folder, *rejected, json),
        HeldCommand::Approve(arguments) => decide_held(folder, arguments, true, json),
        HeldCommand::Reject(arguments) => decide_held(folder, arguments, false, json),
    }
}

/// A change that is held here, or a deletion that waits at the server.
struct Case {
    id: EntryId,
    kind: String,
    /// The source that asked for it; none at the server.
    source: String,
    /// The origin that asked for it; none where it waits here.
    origin: Option<PostofficeName>,
    key: String,
    name: String,
    since: u64,
    rejected: bool,
}

impl Case {
    fn asked_by(&self) -> &str {
        self.origin.as_ref().map_or(&self.source, PostofficeName::as_str)
    }
}

/// All cases, open and closed: those of the own sources, and what waits at the server.
fn cases(tables: &mut dyn Tables, is_server: bool) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for held in tables.held_changes()? {
        // A deletion has no content of its own: the name is that of the entry as it stands.
        let record = match held.record {
            Some(record) => Some(record),
            None => tables.own(held.id)?.map(|row| row.record),
        };
        cases.push(Case {
            id: held.id,
            kind: held.kind.to_string(),
            source: held.source,
            origin: None,
            key: held.key,
            name: record.map_or(String::new(), |record| shown(&record.name)),
            since: held.since,
            rejected: held.rejected,
        });
    }
    if !is_server {
        return Ok(cases);
    }
    tables.visit_unsettled(&mut |row| {
        let hold = row.published.as_ref().and_then(|published| published.held);
        if let Some(hold) = hold {
            cases.push(Case {
                id: row.id,
                kind: "delete".into(),
                source: String::new(),
                origin: Some(row.origin.clone()),
                key: row.key.clone(),
                name: row.published_record().map_or(String::new(), |record| shown(record.name)),
                since: hold.since,
                rejected: hold.rejected,
            });
        }
        ControlFlow::Continue(())
    })?;
    Ok(cases)
}

fn list(folder: &Path, rejected: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let is_server = postoffice.is_server;
    let mut cases = cases(&mut *postoffice.begin()?, is_server)?;
    cases.retain(|case| case.rejected == rejected);
    let status = waiting(!rejected && !cases.is_empty());
    if json {
        let row = |case: &Case| {
            let place = if case.origin.is_some() { "server" } else { "here" };
            json!({ "id": case.id.to_string(), "where": place, "kind": case.kind,
                    "source": case.asked_by(), "key": case.key, "name": case.name,
                    "since": time::json(case.since), "rejected": case.rejected })
        };
        print_json(&Value::Array(cases.iter().map(row).collect()));
        return Ok(status);
    }
    if cases.is_empty() {
        println!("nothing is {}", if rejected { "rejected" } else { "held" });
    }
    for case in &cases {
        let Case { id, kind, key, name, .. } = case;
        let since = time::rfc3339(case.since);
        println!("{id}  {kind:10}  {}  {key} {name}  since {since}", case.asked_by());
    }
    Ok(status)
}

/// Every id has to be that of an open case, or nothing is decided at all.
fn check_open(ids: &[EntryId], cases: &[Case]) -> Result<()> {
    for id in ids {
        if cases.iter().any(|case| case.id == *id && !case.rejected) {
            continue;
        }
        if cases.iter().any(|case| case.id == *id) {
            return Err(Failure::usage(format!(
                "{id} was rejected: that case is closed, and nothing was changed"
            ))
            .hint(
                "it opens again when its source, or its origin, asks for another change of the \
                 entry; `dirsync held list --rejected` shows what is closed",
            ));
        }
        return Err(Failure::usage(format!("{id} is not held here; nothing was changed"))
            .hint("`dirsync held list` shows what waits"));
    }
    Ok(())
}

fn decide_held(
    folder: &Path,
    arguments: &HeldArgs,
    approve: bool,
    json: bool,
) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "held")?;
    let is_server = postoffice.is_server;
    let ids = (!arguments.all).then_some(arguments.ids.as_slice());
    let mut tables = postoffice.begin()?;
    let mut open = cases(&mut *tables, is_server)?;
    check_open(ids.unwrap_or_default(), &open)?;
    open.retain(|case| !case.rejected && ids.is_none_or(|ids| ids.contains(&case.id)));
    let mut count = if approve {
        changes::approve(&mut *tables, now_ms(), ids)?
    } else {
        changes::reject(&mut *tables, ids)?
    };
    tables.commit()?;
    let kind = match approve {
        true => DecisionKind::ApproveDeletion,
        false => DecisionKind::RejectDeletion,
    };
    let decided: Vec<_> =
        open.into_iter().filter_map(|case| Some((case.origin?, kind(case.id)))).collect();
    count += decided.len() as u64;
    postoffice.decide(decided)?;
    let word = if approve { "approved" } else { "rejected" };
    postoffice.log("admin", &format!("{count} held changes {word}"), &[])?;
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
        QuarantineCommand::List => quarantine_list(folder, None, json),
        QuarantineCommand::Show { number } => quarantine_list(folder, Some(*number), json),
        QuarantineCommand::Retry { number } => close(folder, *number, true, json),
        QuarantineCommand::Drop { number } => close(folder, *number, false, json),
    }
}

fn quarantine_list(folder: &Path, only: Option<u64>, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let mut cases = postoffice.begin()?.quarantined()?;
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

fn close(folder: &Path, number: u64, retry: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "quarantine")?;
    let mut tables = postoffice.begin()?;
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
    let word = if retry { "retried" } else { "dropped" };
    log_within(&mut *tables, "admin", &format!("quarantined case {number} {word}"), &[])?;
    tables.commit()?;
    if json {
        print_json(&json!({ "number": number, "done": word }));
    } else if retry {
        println!("case {number} is closed; the next read of \"{}\" decides again", case.origin);
    } else {
        println!("case {number} is forgotten");
    }
    Ok(ExitStatus::Done)
}
