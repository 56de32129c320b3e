//! The server's registrations: how each stands, and what an administrator decides about it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use dirsync_agent::decisions::DecisionKind;
use dirsync_agent::waiting;
use dirsync_carrier::access::Access;
use dirsync_carrier::{Place, durable};
use dirsync_directory::{PostofficeName, View};
use dirsync_message::{Side, SrvSeq};
use dirsync_protocol::invitation::verifier;
use dirsync_protocol::tables::{Copies, Registration, RegistrationState};
use dirsync_seal::PublicKey;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::folder::require_foreign;
use crate::invitation::{Invitation, VALID_MS};
use crate::keys::random_seed;
use crate::last_command::Command;
use crate::nearest::Nearest;
use crate::places::{NamedPlace, of_named};
use crate::postoffice::Postoffice;
use crate::time::{now_ms, rfc3339};
use crate::view::{Seen, ViewChange, changed, within_limits};

/// How a requestor takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has its invitation and was never heard.
    Invited,
    /// It takes part.
    Active,
    /// It takes part, and one of the machines of its name was told to stop.
    Fenced,
    /// Its requests wait.
    Suspended,
    /// It was retired.
    Removed,
}

/// One registration, as the server knows it.
#[derive(Clone, Debug)]
pub struct RegistrationStatus {
    /// Its row.
    pub registration: Registration,
    /// How it takes part.
    pub standing: Standing,
    /// The number of the list up to which it has confirmed.
    pub confirmed: SrvSeq,
    /// How many numbers it has not confirmed: an entry that changed twice counts twice.
    pub behind: u64,
    /// Whether its list equals the server's view of it; `None` while that is not known.
    pub digest_matches: Option<bool>,
}

impl RegistrationStatus {
    /// All registrations of a server, or the one of this name. A requestor has none.
    pub fn of(postoffice: &mut Postoffice, only: Option<&PostofficeName>) -> Result<Vec<Self>> {
        let mut tables = postoffice.begin()?;
        let Some(server) = tables.server()? else { return Ok(Vec::new()) };
        let mut list = Vec::new();
        for registration in tables.registrations()? {
            if only.is_some_and(|name| *name != registration.name) {
                continue;
            }
            let confirmed =
                registration.position.point.as_ref().map_or(SrvSeq(0), |point| point.srv_seq);
            let behind = server.head.0.saturating_sub(confirmed.0);
            let digest_matches = registration.agreement.equal;
            let standing = standing(&registration);
            list.push(Self { registration, standing, confirmed, behind, digest_matches });
        }
        Ok(list)
    }
}

fn standing(registration: &Registration) -> Standing {
    let fenced = || registration.side_answers.iter().any(|answer| answer.side == Side::Fenced);
    match registration.state {
        RegistrationState::Active if fenced() => Standing::Fenced,
        RegistrationState::Invited => Standing::Invited,
        RegistrationState::Active => Standing::Active,
        RegistrationState::Suspended => Standing::Suspended,
        RegistrationState::Removed => Standing::Removed,
    }
}

/// A requestor that was invited.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The places through which its messages travel, the preferred one first.
    pub places: Vec<Place>,
    /// Its view.
    pub sees: Seen,
    /// One of the places is the link, and this server does not listen.
    pub needs_listener: bool,
}

/// Registers a requestor whose messages travel through these places, the first one if it works, and writes its
/// invitation.
pub fn add(
    postoffice: &mut Postoffice,
    name: &PostofficeName,
    named: &[NamedPlace],
    view: View,
    again: bool,
    out: &Path,
) -> Result<Invited> {
    let places = of_named(named, shared_folder)?;
    invite(postoffice, name, &places, view, again, Some(out))?;
    let mut tables = postoffice.begin()?;
    let view = tables.registration(name)?.map(|known| known.view_allowed);
    let sees = Seen::of(&mut *tables, view.unwrap_or_default())?;
    drop(tables);
    let is_link = places.iter().any(|place| matches!(place, Place::Link(_)));
    let needs_listener = is_link && postoffice.config.link.listen.is_none();
    Ok(Invited { places, sees, needs_listener })
}

/// Registers a requestor and gives its invitation. It is written to `out` first: if that fails, or
/// the process dies in between, nobody is registered, and the command can be given again.
pub fn invite(
    postoffice: &mut Postoffice,
    name: &PostofficeName,
    places: &[Place],
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
        Some(known) => within_limits(changed(&known.view_allowed, view))?,
        None => view,
    };
    let kind = DecisionKind::Invite {
        verifier: verifier(&secret),
        expires,
        places: places.iter().map(ToString::to_string).collect(),
        view,
    };
    let invitation = Invitation {
        server: postoffice.name.clone(),
        server_key: format!("{} {}", postoffice.own_keys()?.newest().public(), postoffice.name),
        postoffice: name.clone(),
        secret,
        expires,
        places: seen_from_there(postoffice, places)?,
        link_root: postoffice.root_for(places)?,
        mail_address: places.iter().find_map(|place| match place {
            Place::Mail(address) => Some(address.clone()),
            _ => None,
        }),
    };
    if let Some(out) = out {
        require_foreign(out)?;
        let text = invitation.to_string();
        durable::replace_file(out, Access::Own, |output| output.write_all(text.as_bytes()))?;
    }
    postoffice.decide(vec![(name.clone(), kind)])?;
    Ok(invitation)
}

/// The places as a requestor uses them: it sends mail to the server's mailbox.
fn seen_from_there(postoffice: &mut Postoffice, places: &[Place]) -> Result<Vec<Place>> {
    let seen = |place: &Place| match place {
        Place::Mail(_) => postoffice.own_mailbox(),
        other => Ok(other.clone()),
    };
    places.iter().map(seen).collect()
}

/// The view of a requestor before and after a change.
#[derive(Clone, Debug)]
pub struct ChangedView {
    /// Before.
    pub before: Seen,
    /// After.
    pub after: Seen,
}

/// Changes the places of a requestor, its key, or its view. An empty list and `None` change nothing.
pub fn set(
    postoffice: &mut Postoffice,
    name: &PostofficeName,
    (named, key): (&[NamedPlace], Option<&PublicKey>),
    change: ViewChange,
) -> Result<ChangedView> {
    let before = taking_part(postoffice, name)?.view_allowed;
    let is_view_named = !change.is_nothing();
    let after = change.applied_to(&before)?;
    if !is_view_named && named.is_empty() && key.is_none() {
        return Err(Failure::usage(format!("name what is to change of {name}")).hint(
            "each limit on what it may see is changed by its option, and lifted by a word of its own, \
             e.g. --all-kinds; `dirsync requestor show NAME` shows them",
        ));
    }
    let mut decided = Vec::new();
    if !named.is_empty() {
        let places = of_named(named, shared_folder)?;
        let places = places.iter().map(ToString::to_string).collect();
        decided.push((name.clone(), DecisionKind::Carrier(places)));
    }
    if let Some(key) = key {
        decided.push((name.clone(), DecisionKind::Key(key.to_string())));
    }
    if is_view_named {
        decided.push((name.clone(), DecisionKind::Allow(after.clone())));
    }
    postoffice.decide(decided)?;
    let mut tables = postoffice.begin()?;
    Ok(ChangedView {
        before: Seen::of(&mut *tables, before)?,
        after: Seen::of(&mut *tables, after)?,
    })
}

/// Lets the requests of a requestor wait.
pub fn suspend(postoffice: &mut Postoffice, name: &PostofficeName) -> Result<()> {
    if taking_part_elsewhere(postoffice, name)?.state == RegistrationState::Suspended {
        return postoffice.note_idle(Command::RequestorSuspend, name.as_str());
    }
    postoffice.decide(vec![(name.clone(), DecisionKind::Suspend)])
}

/// Takes the requests of a requestor again. It is also a person's word that one machine is left of
/// several copies, or of one that was not admitted.
pub fn resume(postoffice: &mut Postoffice, name: &PostofficeName) -> Result<()> {
    let known = taking_part_elsewhere(postoffice, name)?;
    let refused = waiting::is_refused(&mut *postoffice.begin()?, &known.name)?;
    if known.state != RegistrationState::Suspended && known.copies == Copies::One && !refused {
        return postoffice.note_idle(Command::RequestorResume, name.as_str());
    }
    postoffice.decide(vec![(name.clone(), DecisionKind::Resume)])
}

/// A removal that is not decided yet: all entries of the origin leave all lists.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The requestor.
    pub name: PostofficeName,
    /// How many of its entries are published.
    pub entries: u64,
    /// They are more than the guard lets go unseen: a person has to confirm it.
    pub needs_confirmation: bool,
}

impl Removal {
    /// The removal of a requestor.
    pub fn of(postoffice: &mut Postoffice, name: &PostofficeName) -> Result<Self> {
        taking_part_elsewhere(postoffice, name)?;
        let entries = postoffice.begin()?.published_count(name)?;
        let needs_confirmation = postoffice.config.guards.delete.exceeded(entries, entries);
        Ok(Self { name: name.clone(), entries, needs_confirmation })
    }

    /// Decides it.
    pub fn decide(&self, postoffice: &mut Postoffice) -> Result<()> {
        postoffice.decide(vec![(self.name.clone(), DecisionKind::Remove)])
    }
}

/// Nobody of this name is registered; perhaps somebody of a similar one is.
pub fn unknown(postoffice: &mut Postoffice, name: &PostofficeName) -> Result<Failure> {
    let mut nearest = Nearest::to(name.as_str());
    let registrations = postoffice.begin()?.registrations()?;
    registrations.iter().for_each(|registration| nearest.offer(registration.name.as_str()));
    let failure = Failure::missing(format!("{name} is not registered"));
    Ok(match nearest.found() {
        Some(name) => failure.hint(format!("did you mean {name}?")),
        None => failure.hint("`dirsync requestor list` shows who is"),
    })
}

/// The registration of a postoffice that takes part, or will.
pub(crate) fn taking_part(
    postoffice: &mut Postoffice,
    name: &PostofficeName,
) -> Result<Registration> {
    let known = postoffice.begin()?.registration(name)?;
    match known {
        None => Err(unknown(postoffice, name)?),
        Some(known) if known.state == RegistrationState::Removed => {
            Err(Failure::missing(format!("{name} was removed"))
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
        at => format!("last heard {}", rfc3339(at)),
    }
}

/// The absolute form of a folder that is to be shared; it is made if it is not there.
pub fn shared_folder(folder: &Path) -> Result<PathBuf> {
    durable::create_shared_folder(folder)?;
    let folder = fs::canonicalize(folder)
        .with_context(|| format!("cannot reach the shared folder \"{}\"", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
pub(crate) mod tests {
    use dirsync_protocol::tables::{Agreement, Position};

    use super::*;
    use crate::init;

    /// A server with registrations made by their number from that of its own, and a million numbers that
    /// nobody has confirmed.
    pub(crate) fn server_with(
        folder: &Path,
        requestors: u64,
        registration: impl Fn(u64, Registration) -> Registration,
    ) -> Postoffice {
        init::make_server(folder, &"NORTH/HQ".parse().unwrap()).unwrap();
        let mut postoffice = Postoffice::open(folder, "test").unwrap();
        let mut tables = postoffice.begin().unwrap();
        let own = tables.registrations().unwrap().remove(0);
        for number in 1..=requestors {
            let name = format!("SOUTH/SITE{number}").parse().unwrap();
            let one = registration(number, Registration { name, ..own.clone() });
            tables.put_registration(&one).unwrap();
        }
        let mut state = tables.server().unwrap().unwrap();
        state.head = SrvSeq(1_000_000);
        tables.put_server(&state).unwrap();
        tables.commit().unwrap();
        postoffice
    }

    #[test]
    fn statements_do_not_grow_with_requestors_or_numbers() {
        for requestors in [2, 1_000] {
            let folder = tempfile::tempdir().unwrap();
            let mut postoffice = server_with(folder.path(), requestors, |number, own| {
                let agreement = Agreement { equal: Some(number % 10 != 0), since: 1 };
                Registration { agreement, position: Position::default(), ..own }
            });
            let before = postoffice.store.statements();
            let list = RegistrationStatus::of(&mut postoffice, None).unwrap();
            assert_eq!(postoffice.store.statements() - before, 4, "{requestors} requestors");
            assert_eq!(list.len() as u64, requestors + 1);
            assert!(list[1..].iter().all(|status| status.behind == 1_000_000));
        }
    }
}
