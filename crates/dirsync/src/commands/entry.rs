//! `dirsync entry …`.

use std::path::Path;

use dirsync_directory::{AttributeName, EntryId};
use dirsync_postoffice::Postoffice;
use dirsync_postoffice::entries::{self, Fields, ShownEntry};
use serde_json::{Value, json};

use crate::cli::{EntryCommand, EntryFields, EntryListArgs};
use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, Result};
use crate::words::shown;

/// `dirsync entry …`.
pub fn run(folder: &Path, command: EntryCommand, json: bool) -> Result<ExitStatus> {
    let open = |purpose: &str| Postoffice::open(folder, purpose);
    let (id, done) = match command {
        EntryCommand::Show { entry } => return show(folder, &entry, json),
        EntryCommand::List(arguments) => return list(folder, &arguments, json),
        EntryCommand::Add(arguments) => {
            let fields = fields(arguments.fields)?;
            (entries::add(&mut open("entry")?, arguments.key, fields)?, "added".to_owned())
        }
        EntryCommand::Modify(arguments) => {
            let fields = fields(arguments.fields)?;
            let id = entries::modify(&mut open("entry")?, &arguments.entry, fields)?;
            (id, "changed".to_owned())
        }
        EntryCommand::Delete { entry } => {
            (entries::delete(&mut open("entry delete")?, &entry)?, "deleted".to_owned())
        }
        EntryCommand::Release { entry, to } => {
            let id = entries::release(&mut open("entry release")?, &entry, &to)?;
            (id, format!("released to {to}"))
        }
        EntryCommand::Claim { id, source } => {
            (entries::claim(&mut open("entry claim")?, id, &source)?, "claimed".to_owned())
        }
    };
    say_done(id, &done, json)
}

fn say_done(id: EntryId, done: &str, json: bool) -> Result<ExitStatus> {
    if json {
        print_json(&json!({ "id": id.to_string(), "done": done }));
    } else {
        println!("{id} {done}; it travels with the next `dirsync send`");
    }
    Ok(ExitStatus::Done)
}

fn fields(arguments: EntryFields) -> Result<Fields> {
    let EntryFields { name, addresses, details, kind } = arguments;
    let details = details.iter().map(|detail| {
        let Some((attribute, value)) = detail.split_once('=') else {
            return Err(Failure::usage(format!("\"{detail}\" is not ATTRIBUTE=VALUE")));
        };
        let attribute: AttributeName = attribute.parse().map_err(Failure::usage)?;
        Ok((attribute, value.to_owned()))
    });
    Ok(Fields { name, addresses, details: details.collect::<Result<_>>()?, kind })
}

fn entry_json(entry: &ShownEntry) -> Value {
    let mut value = json!({
        "id": entry.id.to_string(), "origin": entry.origin.to_string(), "key": entry.key,
        "kind": entry.kind, "name": entry.name,
        "address": entry.addresses.first().cloned().unwrap_or_default(),
        "addresses": entry.addresses, "details": entry.details,
        "srv_seq": entry.number.map(|number| number.0),
        "released_to": entry.released_to.as_ref().map(ToString::to_string), "valid": entry.valid,
    });
    if let Some(source) = &entry.source {
        value["source"] = source.clone().into();
    }
    value
}

fn show(folder: &Path, text: &str, json: bool) -> Result<ExitStatus> {
    let mut found = entries::find(&mut super::read(folder)?, text)?;
    if json {
        let one = if found.len() == 1 { found.pop() } else { None };
        print_json(
            &one.as_ref().map_or_else(|| found.iter().map(entry_json).collect(), entry_json),
        );
        return Ok(ExitStatus::Done);
    }
    let in_line = |text: &str| dirsync_directory::shown(text).into_owned();
    for entry in found {
        println!("{}", in_line(&entry.name));
        println!("  id      {}", entry.id);
        let (key, kind) = (in_line(&entry.key), in_line(&entry.kind));
        println!("  origin  {}   key {key}   kind {kind}", entry.origin);
        entry.addresses.iter().for_each(|address| println!("  address {}", in_line(address)));
        for (name, values) in &entry.details {
            values.iter().for_each(|value| println!("  {name}: {}", in_line(value)));
        }
    }
    Ok(ExitStatus::Done)
}

fn list(folder: &Path, arguments: &EntryListArgs, json: bool) -> Result<ExitStatus> {
    let (origin, search) = (arguments.origin.as_ref(), arguments.search.as_deref());
    let mut found = Vec::new();
    entries::visit(&mut super::read(folder)?, origin, search, &mut |row| {
        if json {
            found.push(entry_json(&ShownEntry::listed(row)));
            return;
        }
        let address = row.record.address_texts().next().unwrap_or_default();
        println!("{}  {}  {}  {}", row.id, shown(row.record.name), shown(address), row.owner);
    })?;
    if json {
        print_json(&Value::Array(found));
    }
    Ok(ExitStatus::Done)
}
