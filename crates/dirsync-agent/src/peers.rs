//! The keys of other postoffices, as the database has them, and how they change.

use dirsync_directory::PostofficeName;
use dirsync_protocol::context::{Context, Level};
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{Registration, Stored, Tables};
use dirsync_seal::{Confirmed, PeerKeys, PublicKey};

use crate::notes::{ANNOUNCED_KEYS, CONFIRMED_KEYS, CONTACT_KEY, SERVER_KEY};
use crate::sealing::{KeysShown, Sealing};

/// A postoffice with which messages are exchanged. A server exchanges messages with itself, too: then the keys are
/// `own`, and are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its keys: the pinned one, and those that follow it.
    pub keys: PeerKeys,
    /// The keys of this postoffice that it has confirmed by sealing to them. `None` before its first message.
    pub confirmed: Option<Confirmed>,
}

impl Peer {
    /// A peer of which only the pinned key is known.
    pub fn pinned(keys: PeerKeys) -> Self {
        Self { keys, confirmed: None }
    }

    /// The directory server, whose key the invitation gave. `None` if the database has none.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn server(tables: &mut dyn Tables, own: &PeerKeys) -> Stored<Option<Self>> {
        let server = tables.requestor()?.server;
        if server == *own.name() {
            return Ok(Some(Self::pinned(own.clone())));
        }
        match tables.note(SERVER_KEY)? {
            Some(key) => Self::kept(tables, &server, &key),
            None => Ok(None),
        }
    }

    /// A requestor. `None` if it was never admitted.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn requestor(
        tables: &mut dyn Tables,
        registration: &Registration,
        own: &PeerKeys,
    ) -> Stored<Option<Self>> {
        match &registration.key {
            Some(_) if registration.name == *own.name() => Ok(Some(Self::pinned(own.clone()))),
            Some(key) => Self::kept(tables, &registration.name, key),
            None => Ok(None),
        }
    }

    /// A machine that knows the secret of an invitation of this postoffice, and was not admitted.
    pub(crate) fn not_admitted(
        tables: &mut dyn Tables,
        name: &PostofficeName,
    ) -> Stored<Option<Self>> {
        let key = tables.note(&note(CONTACT_KEY, name))?.and_then(|key| key.parse().ok());
        Ok(key.map(|key| Self::pinned(PeerKeys::pinned(name.clone(), key))))
    }

    fn kept(tables: &mut dyn Tables, name: &PostofficeName, key: &str) -> Stored<Option<Self>> {
        let Ok(pinned) = key.parse() else { return Ok(None) };
        let announced = tables.note(&note(ANNOUNCED_KEYS, name))?.unwrap_or_default();
        let announced = announced.split_whitespace().flat_map(PublicKey::from_base64).collect();
        let confirmed = tables.note(&note(CONFIRMED_KEYS, name))?;
        let confirmed = confirmed.as_deref().and_then(confirmed_of);
        let keys = PeerKeys::kept(name.clone(), pinned, announced).ok();
        Ok(keys.map(|keys| Self { keys, confirmed }))
    }

    /// Forgets which own keys it has confirmed (K4). The newest one signs for it from now on, and none before that one
    /// again: the peer may have followed to the newest.
    pub(crate) fn forget_confirmed(&mut self, tables: &mut dyn Tables) -> Stored<()> {
        if self.confirmed.take().is_some() {
            tables.put_note(&note(CONFIRMED_KEYS, self.keys.name()), None)?;
        }
        Ok(())
    }

    /// Keeps what a message shows that is being taken: the keys that follow those of its sender, and the own
    /// key to which it was sealed. Returns the key that is pinned from now on, if that is another one
    /// (K1); the caller keeps it.
    pub(crate) fn hear(
        &self,
        tables: &mut dyn Tables,
        context: &mut Context<'_>,
        sealing: &dyn Sealing,
        shown: &KeysShown,
    ) -> Stored<Option<PublicKey>> {
        let name = self.keys.name();
        if name == sealing.name() {
            return Ok(None);
        }
        let (before, after) = (&self.keys, &shown.sender);
        if before != after {
            put_announced(tables, after)?;
        }
        let confirmed = sealing.confirmed(self.confirmed, shown.to_key);
        if self.confirmed != Some(confirmed) {
            let text = format!("{} {}", confirmed.newest, confirmed.last);
            tables.put_note(&note(CONFIRMED_KEYS, name), Some(&text))?;
        }
        let pinned = *after.oldest();
        if pinned == *before.oldest() {
            return Ok(None);
        }
        let print = pinned.fingerprint();
        let text =
            format!("{name} has changed its key to {print}; messages by older keys are refused");
        context.say(Level::Notice, Row::K1, text);
        Ok(Some(pinned))
    }
}

/// Keeps the key of the directory server.
///
/// # Errors
///
/// When the store fails.
pub fn put_server_key(tables: &mut dyn Tables, key: &PublicKey) -> Stored<()> {
    tables.put_note(SERVER_KEY, Some(&key.to_string()))
}

/// Forgets the keys that follow the pinned one, because another one is pinned now.
///
/// # Errors
///
/// When the store fails.
pub fn forget_announced(tables: &mut dyn Tables, name: &PostofficeName) -> Stored<()> {
    tables.put_note(&note(ANNOUNCED_KEYS, name), None)
}

/// Forgets which own keys peers have confirmed, because it may be long ago: they refuse messages by keys older
/// than those that they know by now. Until they are heard, the newest key signs, and each message brings
/// all changes that lead to it.
///
/// # Errors
///
/// When the store fails.
pub fn forget_confirmed(tables: &mut dyn Tables) -> Stored<()> {
    for (confirmed, _) in tables.notes(CONFIRMED_KEYS)? {
        tables.put_note(&confirmed, None)?;
    }
    Ok(())
}

/// Keeps the key of a machine that is not admitted, so that it can be told so.
pub(crate) fn put_contact_key(tables: &mut dyn Tables, keys: &PeerKeys) -> Stored<()> {
    tables.put_note(&note(CONTACT_KEY, keys.name()), Some(&keys.oldest().to_string()))
}

/// Keeps the keys that follow the pinned one.
pub(crate) fn put_announced(tables: &mut dyn Tables, keys: &PeerKeys) -> Stored<()> {
    let announced: Vec<String> = keys.all().skip(1).map(PublicKey::to_base64).collect();
    let announced = (!announced.is_empty()).then(|| announced.join(" "));
    tables.put_note(&note(ANNOUNCED_KEYS, keys.name()), announced.as_deref())
}

fn confirmed_of(text: &str) -> Option<Confirmed> {
    let (newest, last) = text.split_once(' ')?;
    Some(Confirmed { newest: newest.parse().ok()?, last: last.parse().ok()? })
}

fn note(prefix: &str, name: &PostofficeName) -> String {
    format!("{prefix}{}", name.folded())
}
