//! `dirsync status` and `dirsync why`.

use std::ops::ControlFlow;
use std::path::Path;

use dirsync_directory::{PostofficeName, fold};
use dirsync_postoffice::exposure;
use dirsync_postoffice::home;
use dirsync_postoffice::inbox::Inbox;
use dirsync_postoffice::now_ms;
use dirsync_postoffice::trouble::Trouble;
use dirsync_protocol::tables::{ListPlace, RequestorState, ServerState, Tables};
use serde_json::{Value, json};

use crate::cli::WhyArgs;
use crate::commands::requestor::registrations_json;
use crate::commands::targets::{self, PutRight};
use crate::commands::{inbox, print_json};
use crate::failure::{ExitStatus, Result};
use crate::time;
use crate::waiting::Waiting;
use crate::words::shown;

/// `dirsync status`.
pub fn status(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let waits = Waiting::of(&mut postoffice)?;
    let inbox = Inbox::of(&mut postoffice)?;
    let warnings = exposure::of(&mut postoffice)?;
    let requestors = registrations_json(&mut postoffice, None)?;
    let is_server = postoffice.is_server;
    let wal_bytes = postoffice.store.wal_bytes();
    let mut tables = postoffice.begin()?;
    let state = tables.requestor()?;
    let server = tables.server()?;
    let last_sent = time_noted(&mut *tables, "last_sent")?;
    let last_applied = time_noted(&mut *tables, "last_applied")?;
    let put_right = targets::put_right(&mut *tables)?;
    let missed: Vec<String> = tables.notes("missed:")?.into_iter().map(|(_, text)| text).collect();
    let digest = format!("{:032x}", state.list_digest.sum);
    let srv_sync = state.point.map_or(0, |point| point.srv_seq.0);
    if json {
        let mut value = json!({
            "postoffice": state.name.to_string(),
            "role": if is_server { "server" } else { "requestor" },
            "epoch": match &server {
                Some(server) => server.epoch.to_string(),
                None => state.epoch.to_string(),
            },
            "entries": state.list_digest.count,
            "own_entries": state.own_digest.count,
            "req_seq": state.req_seq.0,
            "req_sync": state.req_sync.0,
            "srv_sync": srv_sync,
            "digest": digest,
            "last_sent": time::json(last_sent),
            "last_applied": time::json(last_applied),
            "failed_targets": targets_json(&waits),
            "targets_put_right": put_right.iter().map(|(_, right)| right.times).sum::<u64>(),
            "failed_places": places_json(&waits),
            "failed_step": waits.failed_step,
            "failed_alarm": waits.failed_alarm,
            "missed": missed,
            "inbox": inbox::json(&inbox),
            "warnings": warnings,
            "wal_bytes": wal_bytes,
        });
        add_waiting(&mut value, &waits);
        if let Some(server) = &server {
            add_server(&mut value, server, requestors);
        }
        print_json(&value);
        return Ok(waits.status_with(inbox.waits_for_a_person()));
    }
    print_lists(&state, server.as_ref());
    print_times(last_sent, last_applied);
    missed.iter().for_each(|text| println!("  missed    {text}"));
    print_put_right(&put_right);
    print_waiting(&waits, folder);
    inbox::lines(&inbox).iter().for_each(|(word, text)| println!("  {word:9} {text}"));
    warnings.iter().for_each(|text| println!("  warning   {text}"));
    if let Some(server) = &server {
        let recovering = if server.recovering { ", recovering" } else { "" };
        println!("  last number {}{recovering}", server.head);
        print_requestors(&requestors);
    }
    Ok(waits.status_with(inbox.waits_for_a_person()))
}

fn print_times(last_sent: u64, last_applied: u64) {
    let now = now_ms();
    println!("  sent      {}", time::ago(last_sent, now));
    println!("  applied   {}", time::ago(last_applied, now));
}

fn add_waiting(value: &mut Value, waits: &Waiting) {
    value["held"] = waits.held.into();
    value["quarantined"] = waits.quarantined.into();
    value["overdue"] = waits.overdue.len().into();
    value["stopped"] = waits.stopped.into();
    value["away"] = waits.away.map(|away| away.to_string()).into();
    value["doubled"] = waits.doubled.clone().into();
    value["failed_sources"] = waits.failed_sources.clone().into();
    value["decisions"] = waits.decisions.clone().into();
    value["never"] = waits.never.clone().into();
    value["notice"] = waits.notice.into();
}

fn add_server(value: &mut Value, server: &ServerState, requestors: Vec<Value>) {
    value["srv_seq"] = server.head.0.into();
    value["cycle"] = server.cycle.into();
    value["recovering"] = server.recovering.into();
    value["requestors"] = Value::Array(requestors);
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

/// A time that a step noted; 0 for never.
fn time_noted(tables: &mut dyn Tables, name: &str) -> Result<u64> {
    Ok(tables.note(name)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn print_waiting(waits: &Waiting, folder: &Path) {
    if let Some(away) = waits.away {
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

/// The registrations, a line each.
pub fn print_requestors(requestors: &[Value]) {
    let now = now_ms();
    for row in requestors {
        let contact = row["last_contact"].as_str().map_or("never".to_owned(), |at| {
            let at: Option<jiff::Timestamp> = at.parse().ok();
            at.map_or("?".into(), |at| time::ago(at.as_millisecond() as u64, now))
        });
        let digest = match row["digest_matches"].as_bool() {
            Some(true) => "equal",
            Some(false) => "DIFFERS",
            None => "unknown",
        };
        println!(
            "  {:20} {:9} at {:>8}, {:>6} to confirm, list {digest}, heard {contact}",
            row["name"].as_str().unwrap_or_default(),
            row["state"].as_str().unwrap_or_default(),
            row["srv_sync"],
            row["behind"],
        );
    }
}

/// `dirsync why ADDRESS`.
pub fn why(folder: &Path, arguments: &WhyArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let wanted = fold(&arguments.address).into_owned();
    let is_server = postoffice.is_server;
    let mut tables = postoffice.begin()?;
    let mut lines = own_lines(&mut *tables, &wanted)?;
    lines.extend(list_lines(&mut *tables, &wanted)?);
    if is_server {
        lines.extend(server_lines(&mut *tables, &wanted, arguments.at.as_ref())?);
    }
    if lines.is_empty() {
        lines.push("no entry with this address is known here".into());
    }
    if json {
        print_json(&json!({ "address": arguments.address, "lines": lines }));
    } else {
        lines.iter().for_each(|line| println!("{line}"));
    }
    Ok(ExitStatus::Done)
}

fn has_address(record: dirsync_directory::RecordRef<'_>, wanted: &str) -> bool {
    record
        .address_keys()
        .any(|key| key == wanted || key.split_once(':').is_some_and(|(_, value)| value == wanted))
}

fn own_lines(tables: &mut dyn Tables, wanted: &str) -> Result<Vec<String>> {
    let state = tables.requestor()?;
    let outcomes = tables.outcomes()?;
    let held = tables.held_changes()?;
    let mut lines = Vec::new();
    tables.visit_own(dirsync_message::ReqSeq(0), &mut |row| {
        if !has_address(row.record.as_ref(), wanted) {
            return ControlFlow::Continue(());
        }
        let name = shown(&row.record.name);
        let acknowledged = if row.numbers.last <= state.req_sync.0 {
            "acknowledged by the server"
        } else {
            "not acknowledged yet: it travels with the next `dirsync send`"
        };
        lines.push(format!(
            "own entry \"{name}\" ({}), fed by \"{}\": change {} {acknowledged}",
            row.key, row.source, row.numbers.last
        ));
        for outcome in outcomes.iter().filter(|outcome| outcome.id == row.id) {
            lines.push(format!("  at the server: {}", outcome_words(&outcome.kind)));
        }
        for change in held.iter().filter(|change| change.id == row.id) {
            lines.push(format!("  a change is held here: {}", change.kind));
        }
        ControlFlow::Continue(())
    })?;
    Ok(lines)
}

fn outcome_words(kind: &dirsync_message::OutcomeKind) -> String {
    use dirsync_message::OutcomeKind::{Contested, ForeignId, Held, Invalid, Transferred, Waiting};
    match kind {
        Waiting { address, holder } => format!("waits for {address}, which {holder} holds"),
        Contested { address, by } => format!("{by} waits for its address {address}"),
        Held => "its deletion waits for a person".into(),
        Transferred { to } => format!("it belongs to {to} now"),
        ForeignId { owner } => format!("{owner} owns an entry with this id"),
        Invalid { reason } => format!("quarantined: {reason}"),
    }
}

fn list_lines(tables: &mut dyn Tables, wanted: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    tables.visit_list(ListPlace::Live, &mut |row| {
        if has_address(row.record, wanted) {
            lines.push(format!(
                "listed here: \"{}\" of {}, number {}",
                shown(row.record.name),
                row.owner,
                row.srv_seq
            ));
        }
        ControlFlow::Continue(())
    })?;
    if lines.is_empty() {
        lines.push("not in the list here".into());
    }
    Ok(lines)
}

fn server_lines(
    tables: &mut dyn Tables,
    wanted: &str,
    at: Option<&PostofficeName>,
) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut keys = vec![wanted.to_owned()];
    if !wanted.contains(':') {
        keys.push(format!("smtp:{wanted}"));
    }
    let registrations = tables.registrations()?;
    for key in keys {
        for (id, origin) in tables.claimants(&key)? {
            let row = tables.rows(id)?.into_iter().find(|row| row.origin == origin);
            let Some(row) = row else { continue };
            let Some(published) = &row.published else {
                lines.push(format!("at the server: {origin} wants the address, and waits for it"));
                continue;
            };
            let number = published.numbers.last;
            lines.push(format!("at the server: published for {origin}, number {number}"));
            for registration in &registrations {
                if at.is_some_and(|name| *name != registration.name) {
                    continue;
                }
                let view = registration.view_allowed.intersect(&registration.view_wanted);
                let record = row.published_record().expect("it is published");
                let reached = registration.position.point.map_or(0, |point| point.srv_seq.0);
                let word = if !view.shows(&origin, record) {
                    "not in its view".to_owned()
                } else if reached >= number {
                    "confirmed".to_owned()
                } else {
                    format!("on its way (confirmed up to {reached})")
                };
                lines.push(format!("  {}: {word}", registration.name));
            }
        }
    }
    Ok(lines)
}
