//! `dirsync entry …`.

use std::path::Path;

use dirsync_agent::taken::TakenAddress;
use dirsync_directory::{Address, AttributeName, EntryId, PostofficeName};
use dirsync_postoffice::entries::{self, Fields, State, Written};
use dirsync_postoffice::transfers::{self, Offered, Released};
use dirsync_postoffice::{Postoffice, json};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::{EntryCommand, EntryFields, EntryListArgs, EntryModifyArgs};
use crate::document;
use crate::failure::{ExitStatus, Failure, Result};
use crate::words::contested;
use crate::words::hint::DIRSYNC;

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
    /// Of a list, the members that no entry here has as an address. They are kept.
    unknown_members: Vec<String>,
    /// Of a release, whether the new owner is known here; else null.
    heir_is_known: Option<bool>,
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
        EntryCommand::Release { entry, to } => {
            let released = transfers::release(&mut open("entry release")?, &entry, &to)?;
            say_released(&released, &to, json);
            return Ok(ExitStatus::Done);
        }
        EntryCommand::Add(arguments) => {
            let fields = fields(arguments.fields)?;
            (entries::add(&mut open("entry")?, arguments.key, fields)?, Done::Added)
        }
        EntryCommand::Modify(arguments) => {
            let entry = arguments.entry.clone();
            let fields = modified(arguments)?;
            (entries::modify(&mut open("entry")?, &entry, fields)?, Done::Changed)
        }
        EntryCommand::Delete { entry } => {
            (entries::delete(&mut open("entry delete")?, &entry)?.into(), Done::Deleted)
        }
        EntryCommand::Claim { who: None, .. } => return list_offers(folder, json),
        EntryCommand::Claim { who: Some(who), source } => {
            (transfers::claim(&mut open("entry claim")?, &who, &source)?.into(), Done::Claimed)
        }
    };
    say_done(written, done, json);
    Ok(ExitStatus::Done)
}

fn say_done(written: Written, done: Done, json: bool) {
    let Written { id, taken, unknown_members } = written;
    if !json {
        for line in contested::taken(&taken.addresses) {
            eprintln!("warning: {line}");
        }
        for member in &unknown_members {
            eprintln!("warning: no entry here has the address of the member {}", in_line(member));
        }
        println!("{id} {}; it travels with the next `{DIRSYNC} send`", done.word());
        return;
    }
    let taken = taken.addresses.into_iter();
    let taken =
        taken.map(|TakenAddress { address, holder, name, .. }| Taken { address, holder, name });
    let taken = taken.collect();
    document::print(&Changed { id, done, taken, unknown_members, heir_is_known: None });
}

fn say_released(released: &Released, to: &PostofficeName, json: bool) {
    let Released { id, known, nearest } = released;
    if json {
        document::print(&Changed {
            id: *id,
            done: Done::Released,
            taken: Vec::new(),
            unknown_members: Vec::new(),
            heir_is_known: Some(*known),
        });
        return;
    }
    if !known {
        let meant =
            nearest.as_ref().map_or(String::new(), |name| format!("; did you mean {name}?"));
        eprintln!("warning: no entry of {to} is in the list here{meant}");
    }
    println!("{id} released to {to}; the offer travels with the next `{DIRSYNC} send`");
}

/// The entries that may be claimed here.
fn list_offers(folder: &Path, json: bool) -> Result<ExitStatus> {
    let offers = transfers::offers(&mut super::read(folder)?)?;
    if json {
        document::print(&offers);
        return Ok(ExitStatus::Done);
    }
    if offers.is_empty() {
        println!("no entry is offered to this site");
    }
    for Offered { id, owner, name, address, .. } in &offers {
        println!("{id}  {}  {}  {owner}", in_line(name), in_line(address));
    }
    Ok(ExitStatus::Done)
}

fn detail(text: &str) -> Result<(AttributeName, String)> {
    let Some((attribute, value)) = text.split_once('=') else {
        return Err(Failure::usage(format!("\"{text}\" is not ATTRIBUTE=VALUE")));
    };
    Ok((attribute.parse().map_err(Failure::usage)?, value.to_owned()))
}

/// A member is an address; one without a type is an SMTP address.
fn member(text: &str) -> Result<(AttributeName, String)> {
    let typed = match text.contains(':') {
        true => text.to_owned(),
        false => format!("SMTP:{text}"),
    };
    let address: Address = typed.parse().map_err(Failure::usage)?;
    Ok((AttributeName::member(), address.to_string()))
}

fn fields(arguments: EntryFields) -> Result<Fields> {
    let EntryFields { name, addresses, details, kind, members } = arguments;
    let details = details.iter().map(|text| detail(text));
    let members = members.iter().map(|text| member(text));
    let details = details.chain(members).collect::<Result<_>>()?;
    Ok(Fields { name, addresses, details, kind, ..Fields::default() })
}

fn modified(arguments: EntryModifyArgs) -> Result<Fields> {
    let EntryModifyArgs {
        fields: replaced,
        added_details,
        removed_details,
        added_members,
        removed_members,
        ..
    } = arguments;
    let both = |details: Vec<String>, members: Vec<String>| {
        let details = details.iter().map(|text| detail(text));
        let all = details.chain(members.iter().map(|text| member(text)));
        all.collect::<Result<Vec<_>>>()
    };
    let added = both(added_details, added_members)?;
    let removed = both(removed_details, removed_members)?;
    Ok(Fields { added, removed, ..fields(replaced)? })
}

fn in_line(text: &str) -> String {
    dirsync_directory::shown(text).into_owned()
}

fn show(folder: &Path, text: &str, json: bool) -> Result<ExitStatus> {
    let mut found = entries::find(&mut super::read(folder)?, text)?;
    if json {
        match found.len() {
            1 => document::print(&found.remove(0)),
            _ => document::print(&found),
        }
        return Ok(ExitStatus::Done);
    }
    for entry in found {
        println!("{}{}", in_line(&entry.name), mark(entry.state));
        println!("  id      {}", entry.id);
        let (key, kind) = (in_line(&entry.key), in_line(&entry.kind));
        println!("  origin  {}   key {key}   kind {kind}", entry.origin);
        entry.addresses.iter().for_each(|address| println!("  address {}", in_line(address)));
        for (name, values) in &entry.details {
            for value in values {
                println!("  {name}: {}", in_line(&value.replace('\n', "\\n")));
            }
        }
    }
    Ok(ExitStatus::Done)
}

/// How an entry stands to the list, after its name.
fn mark(state: State) -> &'static str {
    match state {
        State::Published => "",
        State::NotInList => "  (not published yet)",
        State::Changed => "  (changed, not published yet)",
        State::Deleted => "  (deleted here, not published yet)",
    }
}

fn list(folder: &Path, arguments: &EntryListArgs, json: bool) -> Result<ExitStatus> {
    let (origin, search) = (arguments.origin.as_ref(), arguments.search.as_deref());
    let mut postoffice = super::read(folder)?;
    if json {
        let mut items = document::Items::list();
        entries::visit(&mut postoffice, origin, search, &mut |entry| items.print(&entry))?;
        items.end();
        return Ok(ExitStatus::Done);
    }
    entries::visit(&mut postoffice, origin, search, &mut |entry| {
        let (name, address) = (in_line(&entry.name), in_line(&entry.address));
        println!("{}  {name}  {address}  {}{}", entry.id, entry.origin, mark(entry.state));
    })?;
    Ok(ExitStatus::Done)
}
