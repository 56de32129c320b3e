//! The keys of a postoffice and its peers, and how they are changed.

use dirsync_agent::peers::Peer;
use dirsync_directory::PostofficeName;
use dirsync_protocol::tables::{Registration, RegistrationState, Stored, Tables};
use dirsync_seal::{Fingerprint, OwnKeys, PublicKey};

use crate::failure::{Failure, Result};
use crate::invitation::VALID_MS;
use crate::key_ring::{self, KeyRing};
use crate::keys::renew_evidence;
use crate::postoffice::{Postoffice, log_within};
use crate::time::now_ms;

/// How long old private keys are kept for peers that have not confirmed the newest one: a year, in milliseconds.
const OLD_KEYS_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// The keys that a postoffice knows.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The own key in use.
    pub newest: PublicKey,
    /// When it was made, in milliseconds since 1970; `None` if it is the first.
    pub changed_at: Option<u64>,
    /// Older own keys that still open messages.
    pub older: Vec<Fingerprint>,
    /// The peers.
    pub peers: Vec<PeerShown>,
}

/// The keys of a peer.
#[derive(Clone, Debug)]
pub struct PeerShown {
    /// Its name.
    pub name: PostofficeName,
    /// Its key, to which messages are sealed; `None` if it was never heard.
    pub key: Option<Fingerprint>,
    /// Whether it has confirmed the own key in use.
    pub confirmed: bool,
}

/// The own keys, and those of all peers.
///
/// # Errors
///
/// If the files of the keys cannot be read, and the store's.
pub fn show(postoffice: &mut Postoffice) -> Result<Keys> {
    let KeyRing { keys, changed_at } = KeyRing::read(&postoffice.folder, &postoffice.name)?;
    let newest = *keys.newest().public();
    let peers = shown(&mut *postoffice.begin()?, &keys)?;
    Ok(Keys { newest, changed_at, older: keys.older().collect(), peers })
}

fn shown(tables: &mut dyn Tables, keys: &OwnKeys) -> Stored<Vec<PeerShown>> {
    let (own_keys, newest) = (keys.as_peer(), keys.newest().public().fingerprint());
    let mut peers = Vec::new();
    let registrations = tables.registrations()?;
    let own = tables.requestor()?.name;
    let mut add = |name: &PostofficeName, peer: Option<Peer>| {
        let confirmed = peer.as_ref().and_then(|peer| peer.confirmed);
        peers.push(PeerShown {
            name: name.clone(),
            key: peer.map(|peer| peer.keys.newest().fingerprint()),
            confirmed: confirmed.is_some_and(|confirmed| confirmed.newest == newest),
        });
    };
    for registration in registrations.iter().filter(|one| one.name != own) {
        if registration.state != RegistrationState::Removed {
            let peer = Peer::requestor(tables, registration, &own_keys)?;
            add(&registration.name, peer);
        }
    }
    let server = tables.requestor()?.server;
    if server != own {
        let peer = Peer::server(tables, &own_keys)?;
        add(&server, peer);
    }
    Ok(peers)
}

/// Changes the own key. Peers follow by themselves, unless the old key was stolen: then a person has to tell
/// each of them, and nothing of the old key counts any more here. The thief of a server's key also has the
/// secret of its evidence, so that is replaced too.
///
/// # Errors
///
/// If a file cannot be written. The old key is then in use, or the new one.
pub fn rotate(postoffice: &mut Postoffice, stolen: bool) -> Result<Keys> {
    let folder = postoffice.folder.clone();
    if stolen && postoffice.is_server {
        renew_evidence(&folder)?;
    }
    key_ring::change(&folder, &postoffice.name, stolen, now_ms())?;
    postoffice.forget_own_keys();
    let newest = postoffice.own_keys()?.newest().public().fingerprint();
    let text = match stolen {
        true => format!("the key was replaced by {newest}; the old one counts no more"),
        false => format!("the key was changed to {newest}"),
    };
    log(postoffice, &text)?;
    show(postoffice)
}

/// Removes old private keys that nobody needs any more.
///
/// # Errors
///
/// If a file cannot be read or removed, and the store's.
pub(crate) fn remove_old(postoffice: &mut Postoffice) -> Result<()> {
    let KeyRing { keys, changed_at } = KeyRing::read(&postoffice.folder, &postoffice.name)?;
    if keys.older().next().is_none() {
        return Ok(());
    }
    let (now, changed_at) = (now_ms(), changed_at.unwrap_or(0));
    let is_old = now.saturating_sub(changed_at) > OLD_KEYS_MS;
    let mut tables = postoffice.begin()?;
    let peers = shown(&mut *tables, &keys)?;
    let is_any_behind = peers.iter().any(|peer| peer.key.is_some() && !peer.confirmed);
    let registrations = tables.registrations()?;
    let is_any_invited = registrations.iter().any(|one| is_invited_before(one, changed_at, now));
    drop(tables);
    if !is_old && (is_any_behind || is_any_invited) {
        return Ok(());
    }
    key_ring::remove_old(&postoffice.folder)?;
    postoffice.forget_own_keys();
    log(postoffice, "old private keys were removed: nobody needs them any more")
}

/// Whether an invitation from before the last change of the key is open: it has an older key.
fn is_invited_before(registration: &Registration, changed_at: u64, now: u64) -> bool {
    let is_older = |expires: u64| expires > now && expires <= changed_at.saturating_add(VALID_MS);
    registration.state != RegistrationState::Removed
        && registration.key.is_none()
        && registration.invitation.as_ref().is_some_and(|(_, expires)| is_older(*expires))
}

fn log(postoffice: &mut Postoffice, text: &str) -> Result<()> {
    let mut tables = postoffice.begin()?;
    log_within(&mut *tables, "admin", text, &[])?;
    Ok(tables.commit()?)
}

/// The key that a person gives for a requestor.
///
/// # Errors
///
/// If the text is no public key.
pub fn parse(text: &str) -> Result<PublicKey> {
    text.parse().map_err(|error| {
        Failure::usage(format!("the key: {error}"))
            .hint("it stands in `keys/id_ed25519.pub` of that postoffice's folder")
    })
}
