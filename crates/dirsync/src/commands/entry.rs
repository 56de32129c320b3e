//! `dirsync entry …`.

use std::path::Path;

use dirsync_agent::taken::TakenAddress;
use dirsync_directory::{Address, AttributeName, EntryId, PostofficeName};
use dirsync_postoffice::entries::{self, Fields, ShownEntry, Written};
use dirsync_postoffice::{Postoffice, json};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{EntryCommand, EntryFields, EntryListArgs};
use crate::commands::print_json;
use crate::document;
use crate::failure::{ExitStatus, Failure, Result};
use crate::words::{contested, shown};

/// A change of an own entry by hand. It travels with the next request.
#[derive(Serialize, JsonSchema)]
pub struct Changed {
    /// The entry.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    id: EntryId,
    /// What was done.
    done: Done,
    /// The addresses of it that other entries have: it waits for them.
    taken: Vec<Taken>,
}

/// What was done with an own entry.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// It is new.
    Added,
    /// It was changed.
    Changed,
    /// It was deleted.
    Deleted,
    /// It is on offer to another postoffice.
    Released,
    /// It was taken over from another postoffice.
    Claimed,
}

impl Done {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Released => "released",
            Self::Claimed => "claimed",
        }
    }
}

/// An address that another entry has.
#[derive(Serialize, JsonSchema)]
pub struct Taken {
    /// The address.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    address: Address,
    /// The owner of the entry that has it.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    holder: PostofficeName,
    /// The name of that entry.
    name: String,
}

/// `dirsync entry …`.
pub fn run(folder: &Path, command: EntryCommand, json: bool) -> Result<ExitStatus> {
    let open = |purpose: &str| Postoffice::open(folder, purpose);
    let (written, done) = match command {
        EntryCommand::Show { entry } => return show(folder, &entry, json),
        EntryCommand::List(arguments) => return list(folder, &arguments, json),
        EntryCommand::Add(arguments) => {
            let fields = fields(arguments.fields)?;
            (entries::add(&mut open("entry")?, arguments.key, fields)?, Done::Added)
        }
        EntryCommand::Modify(arguments) => {
            let fields = fields(arguments.fields)?;
            (entries::modify(&mut open("entry")?, &arguments.entry, fields)?, Done::Changed)
        }
        EntryCommand::Delete { entry } => {
            (entries::delete(&mut open("entry delete")?, &entry)?.into(), Done::Deleted)
        }
        EntryCommand::Release { entry, to } => {
            (entries::release(&mut open("entry release")?, &entry, &to)?.into(), Done::Released)
        }
        EntryCommand::Claim { id, source } => {
            (entries::claim(&mut open("entry claim")?, id, &source)?.into(), Done::Claimed)
        }
    };
    say_done(written, done, json);
    Ok(ExitStatus::Done)
}

fn say_done(written: Written, done: Done, json: bool) {
    let Written { id, taken } = written;
    if !json {
        for taken in &taken.addresses {
            eprintln!("warning: {}", contested::taken(taken));
        }
        println!("{id} {}; it travels with the next `dirsync send`", done.word());
        return;
    }
    let taken = taken.addresses.into_iter();
    let taken =
        taken.map(|TakenAddress { address, holder, name, .. }| Taken { address, holder, name });
    document::print(&Changed { id, done, taken: taken.collect() });
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
