//! `dirsync requestor …`: the server's registrations.

use std::io::IsTerminal as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use dirsync_agent::decisions::{self, Decision, DecisionKind};
use dirsync_carrier::access::Access;
use dirsync_carrier::durable;
use dirsync_directory::{PostofficeName, View};
use dirsync_postoffice::invitation::{Invitation, VALID_MS};
use dirsync_postoffice::keys::random_seed;
use dirsync_postoffice::{Postoffice, log_within, now_ms};
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::invitation::verifier;
use dirsync_protocol::tables::{Copies, Registration, RegistrationState};
use serde_json::json;

use crate::cli::{RequestorAddArgs, RequestorCommand, RequestorSetArgs};
use crate::commands::init::shared_folder;
use crate::commands::print_json;
use crate::commands::view::{self, Seen};
use crate::failure::{ExitStatus, Failure, Result};
use crate::waiting::digest_matches;

/// `dirsync requestor …`.
pub fn run(folder: &Path, command: RequestorCommand, json: bool) -> Result<ExitStatus> {
    match command {
        RequestorCommand::Add(arguments) => add(folder, &arguments, json),
        RequestorCommand::List => list(folder, None, json),
        RequestorCommand::Show { name } => list(folder, Some(&name), json),
        RequestorCommand::Set(arguments) => set(folder, &arguments, json),
        RequestorCommand::Suspend { name } => suspend(folder, &name, true, json),
        RequestorCommand::Resume { name } => suspend(folder, &name, false, json),
        RequestorCommand::Remove { name, yes, dry_run } => {
            remove(folder, &name, yes, dry_run, json)
        }
    }
}

fn open_server(folder: &Path, purpose: &str) -> Result<Postoffice> {
    let postoffice = Postoffice::open(folder, purpose)?;
    if !postoffice.is_server {
        return Err(Failure::usage(format!("{} is no directory server", postoffice.name)));
    }
    Ok(postoffice)
}

/// Writes a decision down and makes it take effect: the log is on disk before the database says so.
pub fn decide(
    postoffice: &mut Postoffice,
    name: &PostofficeName,
    kind: DecisionKind,
) -> Result<()> {
    decide_all(postoffice, vec![(name.clone(), kind)])
}

/// The same of several decisions, which take effect together.
pub fn decide_all(
    postoffice: &mut Postoffice,
    decided: Vec<(PostofficeName, DecisionKind)>,
) -> Result<()> {
    let at = now_ms();
    let decision = |(postoffice, kind)| Decision { at, postoffice, kind };
    let made: Vec<Decision> = decided.into_iter().map(decision).collect();
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let guard = postoffice.config.guards.delete;
    let mut log = postoffice.decisions();
    let mut tables = postoffice.begin()?;
    let mut context = Context { now: at, draws: &mut draws, events: &mut events, guard };
    decisions::decide(&mut *tables, &mut context, &mut log, &made)?;
    for decision in &made {
        let line = decision.to_string();
        let word = line.split('\t').nth(1).unwrap_or_default();
        let events = std::mem::take(&mut events);
        let summary = format!("{word} {}", decision.postoffice);
        log_within(&mut *tables, "admin", &summary, &events)?;
    }
    Ok(tables.commit()?)
}

/// Registers a requestor and gives its invitation. It is written to `out` first: when that fails, or
/// the process dies in between, nobody is registered, and the command can be given again.
pub fn invite(
    postoffice: &mut Postoffice,
    name: &PostofficeName,
    carrier: &str,
    view: View,
    again: bool,
    out: Option<&Path>,
) -> Result<Invitation> {
    let known = postoffice.begin()?.registration(name)?;
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
        Some(known) => view::within_limits(view::changed(&known.view_allowed, view))?,
        None => view,
    };
    let kind = DecisionKind::Invite {
        verifier: verifier(&secret),
        expires,
        carrier: carrier.to_owned(),
        view,
    };
    let invitation = Invitation {
        server: postoffice.name.clone(),
        server_key: postoffice.key.clone(),
        postoffice: name.clone(),
        secret,
        expires,
        carrier: carrier.to_owned(),
    };
    if let Some(out) = out {
        let text = invitation.to_string();
        durable::replace_file(out, Access::Own, |output| output.write_all(text.as_bytes()))?;
    }
    decide(postoffice, name, kind)?;
    Ok(invitation)
}

fn add(folder: &Path, arguments: &RequestorAddArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = open_server(folder, "requestor add")?;
    let carrier = format!("folder:{}", shared_folder(&arguments.folder)?.display());
    let view = view::named(&arguments.view)?;
    let default = format!("{}.invitation", arguments.name.to_string().replace('/', "-"));
    let out = arguments.out.clone().unwrap_or_else(|| default.into());
    invite(&mut postoffice, &arguments.name, &carrier, view, arguments.again, Some(&out))?;
    let mut tables = postoffice.begin()?;
    let view = tables.registration(&arguments.name)?.map(|known| known.view_allowed);
    let seen = Seen::of(&mut *tables, view.unwrap_or_default())?;
    if json {
        print_json(&json!({
            "postoffice": arguments.name.to_string(), "invitation": out.display().to_string(),
            "carrier": carrier, "sees": seen.json(),
        }));
    } else {
        println!("{} is invited; its invitation is {}", arguments.name, out.display());
        println!("it may see: {}", seen.words());
        println!("next, at that site: dirsync -C DIR init --invitation {}", out.display());
    }
    Ok(ExitStatus::Done)
}

/// Changes what is named; everything else stays.
fn set(folder: &Path, arguments: &RequestorSetArgs, json: bool) -> Result<ExitStatus> {
    let RequestorSetArgs { name, folder: shared, view, lift } = arguments;
    let named = view::named(view)?;
    let mut postoffice = open_server(folder, "requestor set")?;
    let known = taking_part(&mut postoffice, name)?;
    let before = known.view_allowed;
    let after = view::within_limits(view::lifted(view::changed(&before, named.clone()), lift))?;
    let view_named = !named.is_everything() || lift.any();
    if !view_named && shared.is_none() {
        return Err(Failure::usage(format!("name what is to change of {name}")).hint(
            "each limit on what it may see is changed by its option, and lifted by a word of its own, \
             e.g. --all-kinds; `dirsync requestor show NAME` shows them",
        ));
    }
    if let Some(shared) = shared {
        let carrier = format!("folder:{}", shared_folder(shared)?.display());
        decide(&mut postoffice, name, DecisionKind::Carrier(carrier))?;
    }
    if view_named {
        decide(&mut postoffice, name, DecisionKind::Allow(after.clone()))?;
    }
    let mut tables = postoffice.begin()?;
    let (before, after) = (Seen::of(&mut *tables, before)?, Seen::of(&mut *tables, after)?);
    if json {
        print_json(&json!({ "postoffice": name.to_string(), "done": "changed",
                            "before": before.json(), "after": after.json() }));
    } else {
        println!("{name} is changed; what it may see:");
        println!("  before: {}", before.words());
        println!("  after:  {}", after.words());
    }
    Ok(ExitStatus::Done)
}

/// The registration of a postoffice that takes part, or will.
fn taking_part(postoffice: &mut Postoffice, name: &PostofficeName) -> Result<Registration> {
    match postoffice.begin()?.registration(name)? {
        None => Err(Failure::usage(format!("{name} is not registered"))),
        Some(known) if known.state == RegistrationState::Removed => {
            Err(Failure::usage(format!("{name} was removed"))
                .hint("`dirsync requestor add NAME --folder DIR` invites it anew"))
        }
        Some(known) => Ok(known),
    }
}

/// The same of one that is not the server's own.
fn taking_part_elsewhere(
    postoffice: &mut Postoffice,
    name: &PostofficeName,
) -> Result<Registration> {
    if *name == postoffice.name {
        return Err(Failure::usage("the server's own postoffice always takes part"));
    }
    taking_part(postoffice, name)
}

fn last_contact(registration: &Registration) -> String {
    match registration.last_contact {
        0 => "never heard".to_owned(),
        at => format!("last heard {}", crate::time::rfc3339(at)),
    }
}

fn suspend(folder: &Path, name: &PostofficeName, suspend: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = open_server(folder, "requestor")?;
    let known = taking_part_elsewhere(&mut postoffice, name)?;
    let suspended = known.state == RegistrationState::Suspended;
    let (kind, done) = match suspend {
        true => (DecisionKind::Suspend, "suspended"),
        false => (DecisionKind::Resume, "resumed"),
    };
    // It is also a person's word that one machine is left of several copies.
    let settles = !suspend && known.copies != Copies::One;
    if suspended != suspend || settles {
        decide(&mut postoffice, name, kind)?;
    }
    if json {
        print_json(&json!({ "postoffice": name.to_string(), "done": done }));
    } else {
        println!("{name} is {done}");
    }
    Ok(ExitStatus::Done)
}

/// All entries of an origin leave all lists. Of more than the guard lets go unseen it asks first.
fn remove(
    folder: &Path,
    name: &PostofficeName,
    yes: bool,
    dry_run: bool,
    json: bool,
) -> Result<ExitStatus> {
    let mut postoffice = open_server(folder, "requestor remove")?;
    taking_part_elsewhere(&mut postoffice, name)?;
    let entries = postoffice.begin()?.published_count(name)?;
    if dry_run {
        if json {
            print_json(
                &json!({ "postoffice": name.to_string(), "entries": entries, "done": null }),
            );
        } else {
            println!("{entries} entries of {name} would be deleted at every postoffice");
        }
        return Ok(ExitStatus::Done);
    }
    if !yes && postoffice.config.guards.delete.exceeded(entries, entries) {
        let question = format!("{entries} entries of {name} will be deleted at every postoffice");
        if json || !confirmed(&question)? {
            return Err(Failure::usage(format!("{question}: nothing was changed")).hint(
                "--yes removes it; `dirsync requestor suspend` lets its requests wait and keeps its \
                 entries",
            ));
        }
    }
    decide(&mut postoffice, name, DecisionKind::Remove)?;
    if json {
        let name = name.to_string();
        print_json(&json!({ "postoffice": name, "entries": entries, "done": "removed" }));
    } else {
        println!("{name} is removed, and {entries} entries with it");
        println!(
            "the way back: `dirsync requestor add {name} --folder DIR` invites it anew; it begins in a \
             new folder, and its entries return when it has read its sources there"
        );
    }
    Ok(ExitStatus::Done)
}

/// Asks a person. Where there is none nothing is confirmed.
fn confirmed(question: &str) -> Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Ok(false);
    }
    eprint!("{question}. Say \"yes\" to go on: ");
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
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
    postoffice: &mut Postoffice,
    only: Option<&PostofficeName>,
) -> Result<Vec<serde_json::Value>> {
    let mut tables = postoffice.begin()?;
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

fn list(folder: &Path, only: Option<&PostofficeName>, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let registrations = registrations_json(&mut postoffice, only)?;
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
