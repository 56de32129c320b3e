//! `dirsync requestor …`: the server's registrations.

use std::io::IsTerminal as _;
use std::path::Path;

use dirsync_directory::PostofficeName;
use dirsync_postoffice::places::NamedPlace;
use dirsync_postoffice::registrations::{self, RegistrationStatus, Removal, Standing};
use dirsync_postoffice::view::Seen;
use dirsync_postoffice::{Postoffice, json, key, now_ms};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::{RequestorAddArgs, RequestorCommand, RequestorSetArgs};
use crate::commands::{probe, view};
use crate::document;
use crate::failure::{ExitStatus, Failure, Result};
use crate::time;
use crate::words::hint::DIRSYNC;
use crate::words::{plural, shown};

/// A requestor that was invited.
#[derive(Serialize, JsonSchema)]
pub struct Invited {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    postoffice: PostofficeName,
    /// The file of its invitation.
    invitation: String,
    /// The places through which its messages travel, the preferred one first.
    places: Vec<String>,
    /// What it may see.
    sees: Seen,
}

/// A requestor whose registration was changed.
#[derive(Serialize, JsonSchema)]
pub struct ViewChanged {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    postoffice: PostofficeName,
    /// What it could see before.
    before: Seen,
    /// What it may see now.
    after: Seen,
}

/// A requestor about which an administrator decided.
#[derive(Serialize, JsonSchema)]
pub struct Decided {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    postoffice: PostofficeName,
    /// The decision.
    decision: Decision,
}

/// A decision about a requestor.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Suspended,
    Resumed,
}

impl Decision {
    fn word(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
        }
    }
}

/// The removal of a requestor.
#[derive(Serialize, JsonSchema)]
pub struct Removed {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    postoffice: PostofficeName,
    /// How many of its entries are published.
    entries: u64,
    /// Whether it was removed; false in a dry run.
    removed: bool,
}

/// A registration, as the server knows it.
#[derive(Serialize, JsonSchema)]
pub struct Registration {
    /// The requestor.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    name: PostofficeName,
    /// How it takes part: `invited`, `active`, `fenced`, `suspended` or `removed`.
    state: &'static str,
    /// The places through which its messages travel, the preferred one first.
    places: Vec<String>,
    /// The last of its own changes that the server has acknowledged.
    req_sync: u64,
    /// The number of the list that it has confirmed.
    srv_sync: u64,
    /// How many numbers it has not confirmed.
    behind: u64,
    /// When it was heard last; null for never.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    last_contact: u64,
    /// Whether its list is as it was sent; null if that is not known.
    digest_matches: Option<bool>,
    /// What the server allows it to see: the limits, a line each; empty for everything.
    view: String,
    /// What it said of itself.
    health: Health,
    /// What it sees: what the server allows and it wants; null in a list of registrations.
    sees: Option<Seen>,
}

/// What a requestor said of itself.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// The version of its program.
    version: String,
    /// Changes that are held there.
    held: u64,
    /// Cases in quarantine there.
    quarantined: u64,
}

impl Registration {
    fn of(status: &RegistrationStatus, sees: Option<Seen>) -> Self {
        let registration = &status.registration;
        let health = &registration.health;
        Self {
            name: registration.name.clone(),
            state: word(status.standing),
            places: registration.places.clone(),
            req_sync: registration.acknowledged.0,
            srv_sync: status.confirmed.0,
            behind: status.behind,
            last_contact: registration.last_contact,
            digest_matches: status.digest_matches,
            view: registration.view_allowed.to_string(),
            health: Health {
                version: health.version.clone(),
                held: health.held,
                quarantined: health.quarantined,
            },
            sees,
        }
    }
}

/// `dirsync requestor …`.
pub fn run(folder: &Path, command: RequestorCommand, json: bool) -> Result<ExitStatus> {
    match command {
        RequestorCommand::Add(arguments) => add(folder, &arguments, json),
        RequestorCommand::List => list(folder, None, json),
        RequestorCommand::Show { name } => list(folder, Some(&name), json),
        RequestorCommand::Set(arguments) => set(folder, &arguments, json),
        RequestorCommand::Test { name, wait } => {
            probe::run(folder, Some(&name), wait.duration(), json)
        }
        RequestorCommand::Suspend { name } => {
            registrations::suspend(&mut Postoffice::open_server(folder, "requestor")?, &name)?;
            decided(name, Decision::Suspended, json)
        }
        RequestorCommand::Resume { name } => {
            registrations::resume(&mut Postoffice::open_server(folder, "requestor")?, &name)?;
            decided(name, Decision::Resumed, json)
        }
        RequestorCommand::Remove { name, yes, dry_run } => {
            remove(folder, &name, yes, dry_run, json)
        }
    }
}

fn decided(name: PostofficeName, decision: Decision, json: bool) -> Result<ExitStatus> {
    if json {
        document::print(&Decided { postoffice: name, decision });
    } else {
        println!("{name} is {}", decision.word());
    }
    Ok(ExitStatus::Done)
}

fn add(folder: &Path, arguments: &RequestorAddArgs, json: bool) -> Result<ExitStatus> {
    let RequestorAddArgs { name, places, out, again, view } = arguments;
    let mut postoffice = Postoffice::open_server(folder, "requestor add")?;
    let view = view::named(view)?;
    let default = format!("{}.invitation", name.to_string().replace('/', "-"));
    let out = out.clone().unwrap_or_else(|| default.into());
    let places = places.named()?;
    let shares = Share::all(places);
    let added = registrations::add(&mut postoffice, name, places, view, *again, &out)?;
    view::warn(&added.sees.unmatched);
    if json {
        document::print(&Invited {
            postoffice: name.clone(),
            invitation: out.display().to_string(),
            places: added.places.iter().map(ToString::to_string).collect(),
            sees: added.sees,
        });
    } else {
        println!("{name} is invited; its invitation is {}", out.display());
        println!("{}", Share::words(&shares));
        println!("it may see: {}", view::words(&added.sees));
        if added.needs_listener {
            println!(
                "next, here: [link] listen = \"0.0.0.0:8443\" in dirsync.toml, and `dirsync run`"
            );
        }
        println!("next, at that site: dirsync -C DIR init --invitation {}", out.display());
    }
    Ok(ExitStatus::Done)
}

/// A place of a requestor, before its folder is made if it is not there.
struct Share {
    place: NamedPlace,
    is_new: bool,
}

impl Share {
    fn all(places: &[NamedPlace]) -> Vec<Self> {
        let is_new = |place: &NamedPlace| match place {
            NamedPlace::Folder(folder) => !folder.exists(),
            NamedPlace::Link(_) | NamedPlace::Mail(_) => false,
        };
        places.iter().map(|place| Self { place: place.clone(), is_new: is_new(place) }).collect()
    }

    fn words(shares: &[Self]) -> String {
        let shares: Vec<String> = shares.iter().map(Self::name).collect();
        format!("its messages travel through {}", shares.join("; if that does not work, through "))
    }

    /// A folder that was made may be a mistyped one, or a share that is not mounted.
    fn name(&self) -> String {
        let folder = match &self.place {
            NamedPlace::Folder(folder) => folder,
            NamedPlace::Link(url) => return format!("the link {}", shown(url)),
            NamedPlace::Mail(address) => return format!("mail to {}", shown(address)),
        };
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let is_new = if self.is_new { ", a folder that was made just now" } else { "" };
        format!("{}{is_new}", shown(&folder.display().to_string()))
    }
}

/// Changes what is named; everything else stays.
fn set(folder: &Path, arguments: &RequestorSetArgs, json: bool) -> Result<ExitStatus> {
    let RequestorSetArgs { name, places, key, view, lift } = arguments;
    let change = view::change(view, *lift)?;
    let change_of_view = !change.is_nothing();
    let mut postoffice = Postoffice::open_server(folder, "requestor set")?;
    let places = &places.places;
    let shares = Share::all(places);
    let key = key.as_deref().map(key::parse).transpose()?;
    let other = (places.as_slice(), key.as_ref());
    let changed = registrations::set(&mut postoffice, name, other, change)?;
    view::warn(&changed.after.unmatched);
    if json {
        let (before, after) = (changed.before, changed.after);
        document::print(&ViewChanged { postoffice: name.clone(), before, after });
    } else {
        if !shares.is_empty() {
            println!("{name}: {}", Share::words(&shares));
        }
        if let Some(key) = key {
            println!("{name}: the key is {}; messages by any other are refused", key.fingerprint());
        }
        if change_of_view {
            println!("the view of {name} is changed:");
            println!("  before: {}", view::words(&changed.before));
            println!("  after:  {}", view::words(&changed.after));
        }
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
    let mut postoffice = Postoffice::open_server(folder, "requestor remove")?;
    let removal = Removal::of(&mut postoffice, name)?;
    let entries = removal.entries;
    if !dry_run && !yes && removal.needs_confirmation {
        let question = format!(
            "{} of {name} will be deleted at every postoffice",
            plural(entries, "entry", "entries")
        );
        if json || !confirmed(&question)? {
            return Err(Failure::usage(format!("{question}: nothing was changed")).hint(
                "--yes removes it; `{DIRSYNC} requestor suspend` lets its requests wait and keeps its \
                 entries",
            ));
        }
    }
    if !dry_run {
        removal.decide(&mut postoffice)?;
    }
    if json {
        document::print(&Removed { postoffice: name.clone(), entries, removed: !dry_run });
    } else if dry_run {
        let entries = plural(entries, "entry", "entries");
        println!("{entries} of {name} would be deleted at every postoffice");
    } else {
        println!("{name} is removed, and {} with it", plural(entries, "entry", "entries"));
        println!(
            "the way back: `{DIRSYNC} undo --yes`, and if {name} has heard of it, `rejoin` there; its \
             entries return with its next requests. `{DIRSYNC} requestor add {name} --folder DIR` invites a \
             new installation"
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

fn list(folder: &Path, only: Option<&PostofficeName>, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    if !postoffice.is_server {
        let text = format!("registrations are at the directory server, {}", postoffice.server);
        return Err(Failure::usage(text));
    }
    let registrations = RegistrationStatus::of(&mut postoffice, only)?;
    if let (Some(name), true) = (only, registrations.is_empty()) {
        return Err(registrations::unknown(&mut postoffice, name)?);
    }
    let (Some(_), [one]) = (only, registrations.as_slice()) else {
        match json {
            true => {
                let all = registrations.iter().map(|one| Registration::of(one, None));
                document::print(&all.collect::<Vec<_>>());
            }
            false => print_registrations(&registrations),
        }
        return Ok(ExitStatus::Done);
    };
    let view = one.registration.view_allowed.intersect(&one.registration.view_wanted);
    let sees = Seen::of(&mut *postoffice.begin()?, view)?;
    if json {
        document::print(&Registration::of(one, Some(sees)));
        return Ok(ExitStatus::Done);
    }
    print_registrations(&registrations);
    println!("  it sees: {}", view::words(&sees));
    if !one.registration.view_wanted.is_everything() {
        println!(
            "  of this, its own settings want: {}",
            view::limits(&one.registration.view_wanted)
        );
    }
    view::warn(&sees.unmatched);
    Ok(ExitStatus::Done)
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Invited => "invited",
        Standing::Active => "active",
        Standing::Fenced => "fenced",
        Standing::Suspended => "suspended",
        Standing::Removed => "removed",
    }
}

/// The registrations, a line each.
pub fn print_registrations(registrations: &[RegistrationStatus]) {
    let now = now_ms();
    for status in registrations {
        let digest = match status.digest_matches {
            Some(true) => "equal",
            Some(false) => "DIFFERS",
            None => "unknown",
        };
        println!(
            "  {:20} {:9} at {:>8}, {:>6} to confirm, list {digest}, heard {}",
            status.registration.name.as_str(),
            word(status.standing),
            status.confirmed.0,
            status.behind,
            time::ago(status.registration.last_contact, now),
        );
    }
}
