//! `dirsync entry …`.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::Path;

use dirsync_agent::changes::{HandChange, change_by_hand, delete_by_hand};
use dirsync_directory::{Entry, EntryId, Record, composed, fold, unescape};
use dirsync_postoffice::{Postoffice, log_within, now_ms};
use dirsync_protocol::requestor::{claim, release};
use dirsync_protocol::tables::{ListPlace, ListRow, OwnRow, Tables};
use dirsync_store::Transaction;
use serde_json::{Value, json};

use crate::cli::{EntryAddArgs, EntryCommand, EntryFields, EntryListArgs, EntryModifyArgs};
use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, Result};
use crate::words::shown;

/// `dirsync entry …`.
pub fn run(folder: &Path, command: EntryCommand, json: bool) -> Result<ExitStatus> {
    match command {
        EntryCommand::Add(arguments) => add(folder, arguments, json),
        EntryCommand::Modify(arguments) => modify(folder, arguments, json),
        EntryCommand::Delete { entry } => delete(folder, &entry, json),
        EntryCommand::Show { entry } => show(folder, &entry, json),
        EntryCommand::List(arguments) => list(folder, &arguments, json),
        EntryCommand::Release { entry, to } => {
            let mut postoffice = Postoffice::open(folder, "entry release")?;
            let mut tables = postoffice.begin()?;
            let id = own_entry(&mut *tables, &entry)?.id;
            release(&mut *tables, now_ms(), id, Some(to.clone()))?;
            done(tables, json, id, &format!("released to {to}"))
        }
        EntryCommand::Claim { id, source } => {
            let mut postoffice = Postoffice::open(folder, "entry claim")?;
            let mut tables = postoffice.begin()?;
            claim(&mut *tables, now_ms(), id, &source)?;
            done(tables, json, id, "claimed")
        }
    }
}

/// Commits what was done by hand, with its line in the log.
fn done(
    mut tables: Box<dyn Transaction + '_>,
    json: bool,
    id: EntryId,
    what: &str,
) -> Result<ExitStatus> {
    log_within(&mut *tables, "T0", &format!("entry {id} {what} by hand"), &[])?;
    tables.commit()?;
    if json {
        print_json(&json!({ "id": id.to_string(), "done": what }));
    } else {
        println!("{id} {what}; it travels with the next `dirsync send`");
    }
    Ok(ExitStatus::Done)
}

/// Puts the given fields into an entry: addresses replace all, a detail replaces its attribute, and
/// an empty one empties it.
fn fill(entry: &mut Entry, fields: &EntryFields) -> Result<()> {
    if let Some(name) = &fields.name {
        entry.name.clone_from(name);
    }
    if !fields.addresses.is_empty() {
        entry.addresses.clone_from(&fields.addresses);
    }
    if let Some(kind) = fields.kind {
        entry.kind = kind;
    }
    let mut replaced = std::collections::BTreeSet::new();
    for detail in &fields.details {
        let Some((attribute, value)) = detail.split_once('=') else {
            return Err(Failure::usage(format!("\"{detail}\" is not ATTRIBUTE=VALUE")));
        };
        let attribute: dirsync_directory::AttributeName =
            attribute.parse().map_err(Failure::usage)?;
        if replaced.insert(attribute.clone()) {
            entry.details.remove(&attribute);
        }
        if !value.is_empty() {
            entry.details.entry(attribute).or_default().push(value.to_owned());
        }
    }
    Ok(())
}

fn add(folder: &Path, arguments: EntryAddArgs, json: bool) -> Result<ExitStatus> {
    let mut entry = Entry::default();
    fill(&mut entry, &arguments.fields)?;
    let key = match (arguments.key, entry.primary()) {
        (Some(key), _) => key,
        (None, Some(primary)) => primary.value().to_owned(),
        (None, None) => return Err(Failure::usage("an entry needs an --address")),
    };
    key.parse::<dirsync_directory::Key>().map_err(Failure::usage)?;
    write(folder, "added", HandChange { key, record: Record::from(&entry), add: true }, json)
}

fn modify(folder: &Path, arguments: EntryModifyArgs, json: bool) -> Result<ExitStatus> {
    let old = {
        let mut postoffice = super::read(folder)?;
        let mut tables = postoffice.begin()?;
        own_entry(&mut *tables, &arguments.entry)?
    };
    let mut entry = old.record.as_ref().to_entry()?;
    fill(&mut entry, &arguments.fields)?;
    write(
        folder,
        "changed",
        HandChange { key: old.key, record: Record::from(&entry), add: false },
        json,
    )
}

fn write(folder: &Path, what: &str, change: HandChange, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "entry")?;
    let mut tables = postoffice.begin()?;
    let (id, _) = change_by_hand(&mut *tables, now_ms(), change)?;
    done(tables, json, id, what)
}

fn delete(folder: &Path, entry: &str, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "entry delete")?;
    let mut tables = postoffice.begin()?;
    let id = own_entry(&mut *tables, entry)?.id;
    delete_by_hand(&mut *tables, now_ms(), id)?;
    done(tables, json, id, "deleted")
}

/// An own entry by id or key.
fn own_entry(tables: &mut dyn Tables, text: &str) -> Result<OwnRow> {
    let me = tables.requestor()?.name;
    let ids = [text.parse::<EntryId>().ok(), Some(EntryId::derive(&me, text))];
    for id in ids.into_iter().flatten() {
        if let Some(row) = tables.own(id)? {
            return Ok(row);
        }
    }
    let mut found = None;
    tables.visit_own(dirsync_message::ReqSeq(0), &mut |row| {
        if row.key != composed(text) {
            return ControlFlow::Continue(());
        }
        found = Some(row.clone());
        ControlFlow::Break(())
    })?;
    found.ok_or_else(|| {
        Failure::usage(format!("\"{text}\" is not the id or key of an own entry"))
            .hint("`dirsync export --own` lists own entries")
    })
}

fn row_json(row: ListRow<'_>) -> Value {
    let entry = row.record.to_entry();
    let value = |text: &str| unescape(text).map_or_else(|| text.to_owned(), Cow::into_owned);
    let addresses: Vec<String> = row.record.address_texts().map(value).collect();
    let mut details: std::collections::BTreeMap<String, Vec<String>> =
        std::collections::BTreeMap::new();
    for (name, text) in row.record.detail_lines() {
        details.entry(name.to_owned()).or_default().push(value(text));
    }
    json!({
        "id": row.id.to_string(), "origin": row.owner.to_string(), "key": row.key,
        "kind": row.record.kind, "name": value(row.record.name),
        "address": addresses.first().cloned().unwrap_or_default(), "addresses": addresses,
        "details": details, "srv_seq": row.srv_seq.0,
        "released_to": row.released_to.map(ToString::to_string), "valid": entry.is_ok(),
    })
}

fn own_json(row: &OwnRow) -> Value {
    let list = ListRow {
        id: row.id,
        owner: &row.first_origin,
        first_origin: &row.first_origin,
        key: &row.key,
        srv_seq: dirsync_message::SrvSeq(0),
        stamp: row.stamp,
        released_to: row.released_to.as_ref(),
        record: row.record.as_ref(),
    };
    let mut value = row_json(list);
    value["srv_seq"] = Value::Null;
    value["source"] = row.source.clone().into();
    value
}

fn show(folder: &Path, text: &str, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let mut tables = postoffice.begin()?;
    let wanted = fold(text).into_owned();
    let mut found: Vec<Value> = Vec::new();
    tables.visit_list(ListPlace::Live, &mut |row| {
        let by_address = || {
            row.record.address_keys().any(|key| {
                key == wanted || key.split_once(':').is_some_and(|(_, value)| value == wanted)
            })
        };
        if row.id.to_string() == wanted || row.key == composed(text) || by_address() {
            found.push(row_json(row));
        }
        ControlFlow::Continue(())
    })?;
    if found.is_empty()
        && let Ok(own) = own_entry(&mut *tables, text)
    {
        found.push(own_json(&own));
    }
    if found.is_empty() {
        return Err(Failure::from(anyhow::anyhow!(
            "no entry has the id, key or address \"{text}\""
        )));
    }
    if json {
        let one = if found.len() == 1 { found.remove(0) } else { Value::Array(found) };
        print_json(&one);
        return Ok(ExitStatus::Done);
    }
    let in_line =
        |value: &Value| value.as_str().map(|text| dirsync_directory::shown(text).into_owned());
    for entry in found {
        let text = |key: &str| in_line(&entry[key]).unwrap_or("-".into());
        println!("{}", text("name"));
        println!("  id      {}", text("id"));
        println!("  origin  {}   key {}   kind {}", text("origin"), text("key"), text("kind"));
        for address in entry["addresses"].as_array().into_iter().flatten() {
            println!("  address {}", in_line(address).unwrap_or_default());
        }
        for (name, values) in entry["details"].as_object().into_iter().flatten() {
            for value in values.as_array().into_iter().flatten() {
                println!("  {name}: {}", in_line(value).unwrap_or_default());
            }
        }
    }
    Ok(ExitStatus::Done)
}

fn list(folder: &Path, arguments: &EntryListArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let mut tables = postoffice.begin()?;
    let search = arguments.search.as_ref().map(|text| fold(text).into_owned());
    let mut found = Vec::new();
    tables.visit_list_by_name(&mut |row| {
        let here = arguments.origin.as_ref().is_none_or(|origin| origin == row.owner);
        let matches = search.as_ref().is_none_or(|wanted| {
            fold(row.record.name).contains(wanted.as_str())
                || row.record.address_keys().any(|key| key.contains(wanted.as_str()))
        });
        if here && matches {
            if json {
                found.push(row_json(row));
            } else {
                let address = row.record.address_texts().next().unwrap_or_default();
                println!(
                    "{}  {}  {}  {}",
                    row.id,
                    shown(row.record.name),
                    shown(address),
                    row.owner
                );
            }
        }
        ControlFlow::Continue(())
    })?;
    if json {
        print_json(&Value::Array(found));
    }
    Ok(ExitStatus::Done)
}
