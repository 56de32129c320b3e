//! `dirsync why`.

use std::ops::ControlFlow;
use std::path::Path;

use dirsync_directory::{PostofficeName, fold};
use dirsync_protocol::tables::{ListPlace, Tables};
use serde_json::json;

use crate::cli::WhyArgs;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Result};
use crate::words::shown;

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
