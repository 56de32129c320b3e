//! The keys of postoffices in tests, which derive from their names. So a test can read every message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dirsync_agent::sealing::Sealing;
use dirsync_directory::PostofficeName;
use dirsync_seal::{KeyPair, OwnKeys, PeerKeys, PublicKey};

use crate::plain::PlainSealing;

/// The keys of a postoffice.
///
/// # Panics
///
/// Never: every seed makes a key.
pub fn own_keys(name: &PostofficeName) -> Arc<OwnKeys> {
    changed_keys(name, 0)
}

/// The keys of a postoffice after it has changed its key this number of times. It still has the older ones.
///
/// # Panics
///
/// Never: every seed makes a key, and every key signs.
pub fn changed_keys(name: &PostofficeName, changes: u32) -> Arc<OwnKeys> {
    // A key costs as much as opening a message.
    static MADE: Mutex<BTreeMap<(String, u32), Arc<OwnKeys>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = made.entry((name.as_str().to_owned(), changes)).or_insert_with(|| {
        let mut keys = OwnKeys::new(name.clone(), pair(name, 0));
        for change in 1..=changes {
            keys.rotate(pair(name, change)).expect("the key signs");
        }
        Arc::new(keys)
    });
    Arc::clone(keys)
}

/// The key of a postoffice after this number of changes.
fn pair(name: &PostofficeName, changes: u32) -> KeyPair {
    let text = match changes {
        0 => format!("key of {}", name.folded()),
        _ => format!("key {changes} of {}", name.folded()),
    };
    let seed = *blake3::hash(text.as_bytes()).as_bytes();
    KeyPair::from_seed(&seed, name.as_str()).expect("a seed makes a key")
}

/// The public key of a postoffice.
pub fn key_of(name: &PostofficeName) -> PublicKey {
    *own_keys(name).newest().public()
}

/// The keys of a postoffice, as others know them.
pub fn peer_keys(name: &PostofficeName) -> PeerKeys {
    PeerKeys::pinned(name.clone(), key_of(name))
}

/// All keys that a postoffice has after this number of changes, as others know them that were told of each.
///
/// # Panics
///
/// If there are more changes than anybody follows.
pub fn all_peer_keys(name: &PostofficeName, changes: u32) -> PeerKeys {
    let later = (1..=changes).map(|change| *pair(name, change).public()).collect();
    PeerKeys::kept(name.clone(), key_of(name), later).expect("they can be followed")
}

/// The sealing of a postoffice, with keys or plain.
pub fn sealing_of(name: &PostofficeName, sealed: bool) -> Arc<dyn Sealing> {
    let keys = own_keys(name);
    if sealed { keys } else { Arc::new(PlainSealing(keys)) }
}
