//! `dirsync status`.

use std::path::Path;

use dirsync_agent::trouble::Trouble;
use dirsync_agent::waiting::Waiting;
use dirsync_postoffice::home::{self, Away};
use dirsync_postoffice::now_ms;
use dirsync_postoffice::status::Status;
use dirsync_postoffice::targets::PutRight;
use dirsync_protocol::tables::{RequestorState, ServerState};
use serde_json::{Value, json};

use crate::commands::requestor::{print_registrations, registration_json};
use crate::commands::{inbox, print_json};
use crate::failure::{ExitStatus, Result};
use crate::time;
use crate::words::shown;

/// `dirsync status`.
pub fn status(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let status = Status::of(&mut postoffice)?;
    if json {
        print_json(&as_json(&status));
    } else {
        print(&status, folder);
    }
    Ok(status.health().into())
}

fn as_json(status: &Status) -> Value {
    let Status { requestor, server, waiting, .. } = status;
    let (role, epoch) = match server {
        Some(server) => ("server", server.epoch.to_string()),
        None => ("requestor", requestor.epoch.to_string()),
    };
    let mut value = json!({
        "postoffice": requestor.name.to_string(),
        "role": role,
        "epoch": epoch,
        "entries": requestor.list_digest.count,
        "own_entries": requestor.own_digest.count,
        "req_seq": requestor.req_seq.0,
        "req_sync": requestor.req_sync.0,
        "srv_sync": requestor.point.map_or(0, |point| point.srv_seq.0),
        "digest": format!("{:032x}", requestor.list_digest.sum),
        "last_sent": time::json(status.last_sent),
        "last_applied": time::json(status.last_applied),
        "targets_put_right": status.put_right.iter().map(|(_, right)| right.times).sum::<u64>(),
        "missed": status.missed,
        "inbox": status.inbox,
        "warnings": status.warnings,
        "wal_bytes": status.wal_bytes,
    });
    add_waiting(&mut value, waiting);
    if let Some(server) = server {
        value["srv_seq"] = server.head.0.into();
        value["cycle"] = server.cycle.into();
        value["recovering"] = server.recovering.into();
        value["requestors"] = status.registrations.iter().map(registration_json).collect();
    }
    value
}

fn add_waiting(value: &mut Value, waits: &Waiting) {
    value["held"] = waits.held.into();
    value["quarantined"] = waits.quarantined.into();
    value["overdue"] = waits.overdue.len().into();
    value["stopped"] = waits.stopped.into();
    value["away"] = waits.away.clone().into();
    value["doubled"] = waits.doubled.clone().into();
    value["failed_sources"] = waits.failed_sources.clone().into();
    value["failed_targets"] = targets_json(waits).into();
    value["failed_places"] = places_json(waits).into();
    value["failed_step"] = waits.failed_step.clone().into();
    value["failed_alarm"] = waits.failed_alarm.clone().into();
    value["decisions"] = waits.decisions.clone().into();
    value["never"] = waits.never.clone().into();
    value["notice"] = waits.notice.into();
}

fn print(status: &Status, folder: &Path) {
    print_lists(&status.requestor, status.server.as_ref());
    let now = now_ms();
    println!("  sent      {}", time::ago(status.last_sent, now));
    println!("  applied   {}", time::ago(status.last_applied, now));
    status.missed.iter().for_each(|text| println!("  missed    {text}"));
    print_put_right(&status.put_right);
    print_waiting(&status.waiting, status.away, folder);
    inbox::lines(&status.inbox).iter().for_each(|(word, text)| println!("  {word:9} {text}"));
    status.warnings.iter().for_each(|text| println!("  warning   {text}"));
    if let Some(server) = &status.server {
        let recovering = if server.recovering { ", recovering" } else { "" };
        println!("  last number {}{recovering}", server.head);
        print_registrations(&status.registrations);
    }
}

fn print_lists(state: &RequestorState, server: Option<&ServerState>) {
    let role = match server {
        Some(server) => format!("directory server, cycle {}", server.cycle),
        None => format!("directory requestor of {}", state.server),
    };
    println!("{}: {role}", state.name);
    let srv_sync = state.point.map_or(0, |point| point.srv_seq.0);
    let list = state.list_digest;
    println!("  list      {} entries at {srv_sync}, digest {:032x}", list.count, list.sum);
    println!(
        "  own       {} entries, {} of {} changes acknowledged",
        state.own_digest.count, state.req_sync, state.req_seq
    );
}

fn print_waiting(waits: &Waiting, away: Option<Away>, folder: &Path) {
    if let Some(away) = away {
        println!("  STOPPED   {away}: nothing is read or sent here");
        away.ways_out(folder).iter().for_each(|line| println!("            {line}"));
    } else if let Some(stopped) = waits.stopped {
        println!("  STOPPED   {stopped}: nothing is sent from here");
        if stopped == "fenced" {
            println!(
                "            another machine goes on under this name; if this is to be the one,"
            );
            println!("            stop that one and say `{}` here", home::word_to_keep(folder));
        }
    }
    if waits.held > 0 {
        println!("  held      {} changes wait for a person: `dirsync held list`", waits.held);
    }
    if waits.quarantined > 0 {
        println!("  quarantined {}: `dirsync quarantine list`", waits.quarantined);
    }
    if !waits.overdue.is_empty() {
        println!("  overdue   {}", waits.overdue.join(", "));
    }
    for name in &waits.doubled {
        println!(
            "  doubled   {name} runs on two machines: stop one; where the fenced one is to be kept,"
        );
        println!(
            "            say `dirsync rejoin` there, else `dirsync requestor resume {name}` here"
        );
    }
    for trouble in &waits.decisions {
        println!("  DECISIONS {trouble}");
    }
    if let Some(notice) = waits.notice {
        println!("  SERVER    {notice}");
    }
    waits.never.iter().for_each(|text| println!("  schedule  {text}"));
    for source in &waits.failed_sources {
        println!("  source    \"{source}\" could not be read: `dirsync log`");
    }
    for (_, error) in &waits.failed_targets {
        println!("  target    not written: {}", shown(error));
    }
    if let Some(error) = &waits.failed_step {
        println!("  agent     cannot go on: {}", shown(error));
    }
    if let Some(error) = &waits.failed_alarm {
        println!("  alarm     {}", shown(error));
    }
    for trouble in &waits.places {
        let since = time::ago(trouble.since, now_ms());
        println!("  place     {}, first {since}", shown(&trouble.text));
    }
}

fn print_put_right(targets: &[(String, PutRight)]) {
    let now = now_ms();
    for (file, PutRight { times, last }) in targets {
        let (file, last) = (shown(file), time::ago(*last, now));
        println!("  target    \"{file}\" was altered and put right, {times} in all, last {last}");
    }
}

fn targets_json(waits: &Waiting) -> Vec<Value> {
    let failed = waits.failed_targets.iter();
    failed.map(|(file, error)| json!({ "file": file, "error": error })).collect()
}

fn places_json(waits: &Waiting) -> Vec<Value> {
    let place = |trouble: &Trouble| {
        json!({
            "place": trouble.place,
            "unreachable": trouble.unreachable,
            "error": trouble.text,
            "since": time::json(trouble.since),
        })
    };
    waits.places.iter().map(place).collect()
}
