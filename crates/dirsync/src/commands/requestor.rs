//! `dirsync requestor …`: the server's registrations.

use std::path::Path;

use data_encoding::HEXLOWER;
use dirsync_agent::decisions::{Decision, DecisionKind, DecisionsLog, carry_out};
use dirsync_carrier::durable;
use dirsync_directory::{PostofficeName, View};
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::invitation::secret_hash;
use dirsync_protocol::tables::{Registration, RegistrationState};
use serde_json::json;

use crate::cli::{RequestorAddArgs, RequestorCommand, RequestorSetArgs, ViewArgs};
use crate::commands::init::shared_folder;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invitation::{Invitation, VALID_MS};
use crate::office::{Office, now_ms, random_seed};
use crate::waiting::digest_matches;

/// `dirsync requestor …`.
pub fn run(folder: &Path, command: RequestorCommand, json: bool) -> Outcome {
    match command {
        RequestorCommand::Add(arguments) => add(folder, &arguments, json),
        RequestorCommand::List => list(folder, None, json),
        RequestorCommand::Show { name } => list(folder, Some(&name), json),
        RequestorCommand::Set(arguments) => set(folder, &arguments, json),
        RequestorCommand::Suspend { name } => {
            decide_on(folder, &name, DecisionKind::Suspend, "suspended", json)
        }
        RequestorCommand::Resume { name } => {
            decide_on(folder, &name, DecisionKind::Resume, "resumed", json)
        }
        RequestorCommand::Remove { name, dry_run } => remove(folder, &name, dry_run, json),
    }
}

fn open_server(folder: &Path, purpose: &str) -> Outcome<Office> {
    let office = Office::open(folder, purpose)?;
    if !office.is_server {
        return Err(Failure::usage(format!("{} is no directory server", office.name)));
    }
    Ok(office)
}

/// Writes a decision down and makes it take effect: the log is on disk before the database says so.
pub fn decide(office: &mut Office, name: &PostofficeName, kind: DecisionKind) -> Outcome<()> {
    let decision = Decision { at: now_ms(), postoffice: name.clone(), kind };
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let guard = office.config.guards.delete;
    office.decisions().append(&decision)?;
    let mut tables = office.begin()?;
    let mut context = Context { now: decision.at, draws: &mut draws, events: &mut events, guard };
    carry_out(&mut *tables, &mut context, &decision)?;
    tables.commit()?;
    let line = decision.to_string();
    let word = line.split('\t').nth(1).unwrap_or_default().to_owned();
    office.log("admin", &format!("{word} {name}"), &events)?;
    Ok(())
}

fn view_of(arguments: &ViewArgs) -> Outcome<View> {
    let mut text = String::new();
    let mut line = |word: &str, values: Vec<String>| {
        if !values.is_empty() {
            text.push_str(&format!("{word}\t{}\n", values.join("\t")));
        }
    };
    line("types", arguments.types.clone());
    line("origins", arguments.origins.iter().map(ToString::to_string).collect());
    line("kinds", arguments.kinds.iter().map(ToString::to_string).collect());
    line("attributes", arguments.attributes.clone());
    line("filter", arguments.filter.iter().map(|f| dirsync_directory::escape(f).into()).collect());
    text.parse().map_err(Failure::usage)
}

/// Registers a requestor and gives its invitation. It is written to `out` first: when that fails, or
/// the process dies in between, nobody is registered, and the command can be given again.
pub fn invite(
    office: &mut Office,
    name: &PostofficeName,
    carrier: &str,
    view: View,
    again: bool,
    out: Option<&Path>,
) -> Outcome<Invitation> {
    let known = office.begin()?.registration(name)?;
    let taking_part = known.as_ref().filter(|known| known.state != RegistrationState::Removed);
    if let Some(known) = taking_part.filter(|_| !again) {
        return Err(Failure::usage(format!(
            "{} is registered already, {}",
            known.name,
            last_contact(known)
        ))
        .hint("--again invites a reinstalled site; its entries and their ids stay"));
    }
    let seed = random_seed()?;
    let secret = HEXLOWER.encode(&seed[..16]);
    let expires = now_ms() + VALID_MS;
    let view = match taking_part {
        Some(known) if view.is_everything() => known.view_allowed.clone(),
        _ => view,
    };
    let kind = DecisionKind::Invite {
        secret_hash: secret_hash(&secret),
        expires,
        carrier: carrier.to_owned(),
        view,
    };
    let invitation = Invitation {
        server: office.name.clone(),
        server_key: office.key.clone(),
        postoffice: name.clone(),
        secret,
        expires,
        carrier: carrier.to_owned(),
    };
    if let Some(out) = out {
        let text = invitation.to_string();
        durable::replace_file(out, |output| output.write_all(text.as_bytes()))?;
    }
    decide(office, name, kind)?;
    Ok(invitation)
}

fn add(folder: &Path, arguments: &RequestorAddArgs, json: bool) -> Outcome {
    let mut office = open_server(folder, "requestor add")?;
    let carrier = format!("folder:{}", shared_folder(&arguments.folder)?.display());
    let view = view_of(&arguments.view)?;
    let default = format!("{}.invitation", arguments.name.to_string().replace('/', "-"));
    let out = arguments.out.clone().unwrap_or_else(|| default.into());
    invite(&mut office, &arguments.name, &carrier, view, arguments.again, Some(&out))?;
    if json {
        print_json(&json!({
            "postoffice": arguments.name.to_string(), "invitation": out.display().to_string(),
            "carrier": carrier,
        }));
    } else {
        println!("{} is invited; its invitation is {}", arguments.name, out.display());
        println!("next, at that site: dirsync -C DIR init --invitation {}", out.display());
    }
    Ok(ExitStatus::Done)
}

/// Changes what is given; a view that is not given stays.
fn set(folder: &Path, arguments: &RequestorSetArgs, json: bool) -> Outcome {
    let name = &arguments.name;
    let view = view_of(&arguments.view)?;
    if let Some(shared) = &arguments.folder {
        let carrier = format!("folder:{}", shared_folder(shared)?.display());
        let kind = DecisionKind::Carrier(carrier);
        if view.is_everything() {
            return decide_on(folder, name, kind, "changed", json);
        }
        let mut office = open_server(folder, "requestor set")?;
        decide(&mut office, name, kind)?;
    }
    decide_on(folder, name, DecisionKind::Allow(view), "changed", json)
}

fn last_contact(registration: &Registration) -> String {
    match registration.last_contact {
        0 => "never heard".to_owned(),
        at => format!("last heard {}", crate::time::rfc3339(at)),
    }
}

fn decide_on(
    folder: &Path,
    name: &PostofficeName,
    kind: DecisionKind,
    done: &str,
    json: bool,
) -> Outcome {
    let mut office = open_server(folder, "requestor")?;
    if office.begin()?.registration(name)?.is_none() {
        return Err(Failure::usage(format!("{name} is not registered")));
    }
    if *name == office.name && matches!(kind, DecisionKind::Remove | DecisionKind::Suspend) {
        return Err(Failure::usage("the server's own postoffice always takes part"));
    }
    decide(&mut office, name, kind)?;
    if json {
        print_json(&json!({ "postoffice": name.to_string(), "done": done }));
    } else {
        println!("{name} is {done}");
    }
    Ok(ExitStatus::Done)
}

fn remove(folder: &Path, name: &PostofficeName, dry_run: bool, json: bool) -> Outcome {
    if !dry_run {
        return decide_on(folder, name, DecisionKind::Remove, "removed", json);
    }
    let mut office = Office::read(folder)?;
    let entries = office.begin()?.published_count(name)?;
    if json {
        print_json(&json!({ "postoffice": name.to_string(), "entries": entries, "done": null }));
    } else {
        println!("{entries} entries of {name} would be deleted at every postoffice");
    }
    Ok(ExitStatus::Done)
}

/// The word for a registration in `status` and lists.
pub fn state_word(registration: &Registration) -> &'static str {
    let fenced =
        registration.side_answers.iter().any(|answer| answer.side == dirsync_message::Side::Fenced);
    match registration.state {
        RegistrationState::Active if fenced => "fenced",
        RegistrationState::Invited => "invited",
        RegistrationState::Active => "active",
        RegistrationState::Suspended => "suspended",
        RegistrationState::Removed => "removed",
    }
}

/// The registrations as a script reads them.
pub fn registrations_json(
    office: &mut Office,
    only: Option<&PostofficeName>,
) -> Outcome<Vec<serde_json::Value>> {
    let mut tables = office.begin()?;
    let Some(server) = tables.server()? else { return Ok(Vec::new()) };
    let registrations = tables.registrations()?;
    let mut list = Vec::new();
    for registration in registrations {
        if only.is_some_and(|name| *name != registration.name) {
            continue;
        }
        let sync = registration.position.point.map_or(0, |point| point.srv_seq.0);
        let mut behind = 0u64;
        let after = dirsync_message::SrvSeq(sync);
        tables.visit_numbered(after, server.head, &mut |_| {
            behind += 1;
            std::ops::ControlFlow::Continue(())
        })?;
        list.push(json!({
            "name": registration.name.to_string(),
            "state": state_word(&registration),
            "carrier": registration.carrier,
            "req_sync": registration.applied.0,
            "srv_sync": sync,
            "behind": behind,
            "last_contact": crate::time::json(registration.last_contact),
            "digest_matches": digest_matches(&mut *tables, &registration)?,
            "view": registration.view_allowed.to_string(),
            "health": {
                "version": registration.health.version, "held": registration.health.held,
                "quarantined": registration.health.quarantined,
            },
        }));
    }
    Ok(list)
}

fn list(folder: &Path, only: Option<&PostofficeName>, json: bool) -> Outcome {
    let mut office = Office::read(folder)?;
    let registrations = registrations_json(&mut office, only)?;
    if let (Some(name), true) = (only, registrations.is_empty()) {
        return Err(Failure::usage(format!("{name} is not registered")));
    }
    if json {
        print_json(&match (only, registrations.as_slice()) {
            (Some(_), [one]) => one.clone(),
            _ => serde_json::Value::Array(registrations),
        });
        return Ok(ExitStatus::Done);
    }
    crate::commands::status::print_requestors(&registrations);
    Ok(ExitStatus::Done)
}
