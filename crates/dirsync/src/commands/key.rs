//! `dirsync key`.

use std::path::Path;

use dirsync_postoffice::{Postoffice, key};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::KeyCommand;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::words::hint::DIRSYNC;

/// The keys of a postoffice and its peers.
#[derive(Serialize, JsonSchema)]
pub struct Keys {
    /// The own public key, in OpenSSH's one-line form.
    key: String,
    /// Its fingerprint, as `ssh-keygen -l` prints it.
    fingerprint: String,
    /// When it was changed, in milliseconds since 1970; `null` if it is the first.
    changed: Option<u64>,
    /// The fingerprints of older own keys that still open messages.
    older: Vec<String>,
    /// The peers: the server, or all requestors.
    peers: Vec<PeerKey>,
}

/// The key of a peer.
#[derive(Serialize, JsonSchema)]
pub struct PeerKey {
    /// Its name.
    name: String,
    /// The fingerprint of its key; `null` if it was never heard.
    fingerprint: Option<String>,
    /// Whether it has sent a message that is sealed to the own key in use.
    confirmed: bool,
}

/// `dirsync key`.
pub fn run(folder: &Path, command: &KeyCommand, json: bool) -> Result<ExitStatus> {
    match command {
        KeyCommand::Show => {
            let mut postoffice = super::read(folder)?;
            let keys = key::show(&mut postoffice)?;
            if json {
                document::print(&document_of(&keys));
            } else {
                println!("{}: {}", postoffice.name, keys.newest.fingerprint());
                println!("{}", keys.newest);
                print_peers(&keys);
            }
        }
        KeyCommand::Rotate { stolen } => {
            let mut postoffice = Postoffice::open(folder, "key rotate")?;
            let keys = key::rotate(&mut postoffice, *stolen)?;
            if json {
                document::print(&document_of(&keys));
            } else {
                println!("{}: the key is {} now", postoffice.name, keys.newest.fingerprint());
                println!("{}", next(&postoffice, &keys, *stolen));
            }
        }
    }
    Ok(ExitStatus::Done)
}

/// What is left to do.
fn next(postoffice: &Postoffice, keys: &key::Keys, stolen: bool) -> String {
    match (stolen, postoffice.is_server) {
        (false, _) => format!(
            "peers follow with the next messages; until all have, {} opens messages, too",
            keys.older.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ),
        (true, false) => format!(
            "at {}, by another way than messages: `requestor set {} --key \"{}\"`",
            postoffice.server, postoffice.name, keys.newest
        ),
        (true, true) => format!(
            "every requestor needs a new invitation: `{DIRSYNC} requestor add NAME --folder DIR --again`, and \
             `init` in a new folder there"
        ),
    }
}

fn print_peers(keys: &key::Keys) {
    for older in &keys.older {
        println!("older, still opens messages: {older}");
    }
    let width = keys.peers.iter().map(|peer| peer.name.as_str().chars().count()).max().unwrap_or(0);
    for peer in &keys.peers {
        let key = peer.key.map_or("not heard yet".to_owned(), |key| key.to_string());
        let confirmed = match (peer.confirmed, peer.key.is_some()) {
            (true, _) => "  knows this key",
            (false, true) => "  has not confirmed this key yet",
            (false, false) => "",
        };
        println!("{:width$}  {key}{confirmed}", peer.name.as_str());
    }
}

fn document_of(keys: &key::Keys) -> Keys {
    Keys {
        key: keys.newest.to_string(),
        fingerprint: keys.newest.fingerprint().to_string(),
        changed: keys.changed_at,
        older: keys.older.iter().map(ToString::to_string).collect(),
        peers: keys
            .peers
            .iter()
            .map(|peer| PeerKey {
                name: peer.name.to_string(),
                fingerprint: peer.key.map(|key| key.to_string()),
                confirmed: peer.confirmed,
            })
            .collect(),
    }
}
