//! The postoffices with which messages are exchanged, as the database had them at one moment.

use std::collections::BTreeMap;

use dirsync_directory::PostofficeName;
use dirsync_protocol::invitation::is_proof;
use dirsync_protocol::tables::{RegistrationState, Stored, Tables};
use dirsync_seal::{FirstContact, PeerKeys, PublicKey};

use crate::peers::Peer;
use crate::sealing::{Claim, Sealing};

/// The postoffices with which messages are exchanged. It is read from the database, and used while the database is
/// not at hand.
#[derive(Clone, Debug, Default)]
pub struct KnownPeers {
    /// By folded names.
    peers: BTreeMap<String, Peer>,
    /// The verifiers of open invitations, by folded names.
    invited: BTreeMap<String, (PostofficeName, String)>,
    first_contact: Option<FirstContact>,
    are_requestors: bool,
}

impl KnownPeers {
    /// Reads the server of a requestor, or the requestors of a server.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn read(tables: &mut dyn Tables, sealing: &dyn Sealing) -> Stored<Self> {
        let own = &sealing.as_peer();
        let mut known = Self::default();
        if tables.server()?.is_none() {
            known.peers.extend(Peer::server(tables, own)?.map(by_name));
            known.first_contact = first_contact(tables, sealing)?;
            return Ok(known);
        }
        known.are_requestors = true;
        for registration in tables.registrations()? {
            if registration.state == RegistrationState::Removed || registration.name == *own.name()
            {
                continue;
            }
            known.peers.extend(Peer::requestor(tables, &registration, own)?.map(by_name));
            if let Some((verifier, _)) = registration.invitation {
                let folded = registration.name.folded().to_owned();
                known.invited.insert(folded, (registration.name, verifier));
            }
        }
        Ok(known)
    }

    /// The proof of this postoffice's invitation. It travels with every request and every piece, because a server
    /// that was put back may not know the key any more.
    pub fn first_contact(&self) -> Option<&FirstContact> {
        self.first_contact.as_ref()
    }

    /// Whether this postoffice is the directory server, and they are its requestors.
    pub fn are_requestors(&self) -> bool {
        self.are_requestors
    }

    /// A peer whose key is known.
    pub fn peer(&self, name: &PostofficeName) -> Option<&Peer> {
        self.peers.get(name.folded())
    }

    /// Whether a postoffice of this name can prove that it is one of them, or is invited.
    pub fn may_come(&self, name: &PostofficeName) -> bool {
        self.peers.contains_key(name.folded()) || self.invited.contains_key(name.folded())
    }

    /// The keys by which something may be signed that makes this claim. `None` if nobody may have signed it.
    pub fn keys_of(&self, claim: &Claim<'_>) -> Option<PeerKeys> {
        let known = self.peer(claim.from).map(|peer| &peer.keys);
        if let Some(keys) = known.filter(|keys| claim.is_by(keys)) {
            return Some(keys.clone());
        }
        let (name, verifier) = self.invited.get(claim.from.folded())?;
        let is_proved = |proof: &str, key: &PublicKey| is_proof(proof, verifier, &key.to_string());
        claim.first_contact?.admitted(name, is_proved).ok().or_else(|| known.cloned())
    }
}

/// The proof of the own invitation. `None` at a server.
pub(crate) fn first_contact(
    tables: &mut dyn Tables,
    sealing: &dyn Sealing,
) -> Stored<Option<FirstContact>> {
    let proof = tables.requestor()?.proof;
    Ok(proof.and_then(|proof| FirstContact::new(sealing.first_key(), &proof)))
}

fn by_name(peer: Peer) -> (String, Peer) {
    (peer.keys.name().folded().to_owned(), peer)
}
