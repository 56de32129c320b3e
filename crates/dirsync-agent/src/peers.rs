//! The keys of other postoffices, as the database has them.

use dirsync_directory::PostofficeName;
use dirsync_protocol::tables::{Registration, Stored, Tables};
use dirsync_seal::{PeerKeys, PublicKey};

use crate::notes::{CONTACT_KEY, SERVER_KEY};

/// The keys of the directory server, which the invitation gave. `None` if the database has none.
///
/// # Errors
///
/// When the store fails.
pub fn server_keys(tables: &mut dyn Tables) -> Stored<Option<PeerKeys>> {
    let server = tables.requestor()?.server;
    let key = tables.note(SERVER_KEY)?;
    Ok(key.and_then(|key| pinned(&server, &key)))
}

/// Keeps the key of the directory server.
///
/// # Errors
///
/// When the store fails.
pub fn put_server_key(tables: &mut dyn Tables, key: &PublicKey) -> Stored<()> {
    tables.put_note(SERVER_KEY, Some(&key.to_string()))
}

/// The keys of a requestor. `None` if it was never heard.
pub fn requestor_keys(registration: &Registration) -> Option<PeerKeys> {
    pinned(&registration.name, registration.key.as_deref()?)
}

/// The key of a machine that knows the secret of an invitation of this postoffice, and was not admitted.
pub(crate) fn contact_keys(
    tables: &mut dyn Tables,
    name: &PostofficeName,
) -> Stored<Option<PeerKeys>> {
    let key = tables.note(&contact_note(name))?;
    Ok(key.and_then(|key| pinned(name, &key)))
}

/// Keeps the key of a machine that is not admitted, so that it can be told so.
pub(crate) fn put_contact_key(tables: &mut dyn Tables, keys: &PeerKeys) -> Stored<()> {
    tables.put_note(&contact_note(keys.name()), Some(&keys.newest().to_string()))
}

fn contact_note(name: &PostofficeName) -> String {
    format!("{CONTACT_KEY}{}", name.folded())
}

fn pinned(name: &PostofficeName, key: &str) -> Option<PeerKeys> {
    Some(PeerKeys::pinned(name.clone(), key.parse().ok()?))
}
