//! The rotation of keys: the old key of a postoffice signs the new one.
//!
//! The signed text, in the namespace `dirsync-key`, is
//!
//! ```text
//! DIRSYNC-KEY 1
//! postoffice: NORTH/HQ
//! old-key: ssh-ed25519 AAAA…
//! new-key: ssh-ed25519 AAAA…
//! ```
//!
//! A statement travels in the lines of each message until the peer seals to the new key. It proves
//! nothing after a theft: the thief of the old key can make one, too.

use std::fmt;
use std::str::FromStr;

use dirsync_directory::PostofficeName;
use thiserror::Error;

use crate::key::{Fingerprint, KeyError, KeyPair, PublicKey};
use crate::signature::{Namespace, Signature, SignatureError};

/// The most statements in one message, and the most keys that are known to follow a pinned one.
pub const CHAIN_MAX: usize = 8;

/// Why a change of keys is not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RotationError {
    /// The text of a statement is not `OLD-KEY NEW-KEY SIGNATURE`.
    #[error("a change of key is not written as OLD-KEY NEW-KEY SIGNATURE")]
    Form,
    /// One of the keys is not acceptable.
    #[error("a change of key names a key that cannot be used: {0}")]
    Key(#[from] KeyError),
    /// The old key did not sign the statement.
    #[error("the change from key {old} to {new} is not signed by the old key: {source}")]
    Unproved {
        /// The old key.
        old: Fingerprint,
        /// The new key.
        new: Fingerprint,
        /// The fault of the signature.
        source: SignatureError,
    },
    /// Another key is already known to follow the old one. One of the two was made by a thief.
    #[error(
        "key {old} was changed to {known} and now to {new}: one of them may be forged. Compare the \
         fingerprints with the administrator there, by another way, and pin the right key"
    )]
    Forked {
        /// The old key.
        old: Fingerprint,
        /// The key that is known to follow it.
        known: Fingerprint,
        /// The key that the statement names.
        new: Fingerprint,
    },
    /// The chain is longer than [`CHAIN_MAX`].
    #[error(
        "the key was changed more than {CHAIN_MAX} times since the pinned one: pin the new key"
    )]
    TooLong,
}

/// A statement that a key follows another one. It proves nothing until it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatement {
    /// The key that signed.
    pub old: PublicKey,
    /// The key that follows.
    pub new: PublicKey,
    signature: Signature,
}

impl KeyStatement {
    /// States that `new` follows `old` at this postoffice.
    ///
    /// # Errors
    ///
    /// If the old key cannot sign.
    pub fn sign(
        postoffice: &PostofficeName,
        old: &KeyPair,
        new: &PublicKey,
    ) -> Result<Self, SignatureError> {
        let text = text(postoffice, old.public(), new);
        let signature = Signature::sign(&text, Namespace::Key, old)?;
        Ok(Self { old: *old.public(), new: *new, signature })
    }

    /// Verifies that the old key of this postoffice signed the statement.
    ///
    /// # Errors
    ///
    /// If another key signed it, or for another postoffice, or for another purpose.
    pub fn verify(&self, postoffice: &PostofficeName) -> Result<(), RotationError> {
        let text = self.text(postoffice);
        self.signature.verify(&text, Namespace::Key, &self.old).map_err(|source| {
            let (old, new) = (self.old.fingerprint(), self.new.fingerprint());
            RotationError::Unproved { old, new, source }
        })
    }

    /// The text that is signed.
    pub fn text(&self, postoffice: &PostofficeName) -> String {
        text(postoffice, &self.old, &self.new)
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }
}

fn text(postoffice: &PostofficeName, old: &PublicKey, new: &PublicKey) -> String {
    let name = postoffice.as_str();
    format!("DIRSYNC-KEY 1\npostoffice: {name}\nold-key: {old}\nnew-key: {new}\n")
}

/// `OLD-KEY NEW-KEY SIGNATURE`, each in base64.
impl fmt::Display for KeyStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (self.old.to_base64(), self.new.to_base64());
        write!(f, "{old} {new} {}", self.signature.to_base64())
    }
}

impl FromStr for KeyStatement {
    type Err = RotationError;

    fn from_str(text: &str) -> Result<Self, RotationError> {
        let mut words = text.split(' ');
        let (Some(old), Some(new), Some(signature), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(RotationError::Form);
        };
        Ok(Self {
            old: PublicKey::from_base64(old)?,
            new: PublicKey::from_base64(new)?,
            signature: Signature::from_base64(signature).map_err(|_| RotationError::Form)?,
        })
    }
}

/// The keys of another postoffice, as far as they are proved: the pinned one, and those that follow it.
///
/// The pinned key comes from an invitation or from a person. Its successors are announced by
/// statements; each is proved by the key before it. As soon as a message is signed by a successor, that
/// one is pinned, and the keys before it no longer count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerKeys {
    name: PostofficeName,
    pinned: PublicKey,
    announced: Vec<PublicKey>,
}

impl PeerKeys {
    /// The keys of a postoffice of which only the pinned one is known.
    pub fn pinned(name: PostofficeName, key: PublicKey) -> Self {
        Self { name, pinned: key, announced: Vec::new() }
    }

    /// The keys as they were kept: the pinned one, and those that were already proved to follow it.
    ///
    /// # Errors
    ///
    /// If more than [`CHAIN_MAX`] follow.
    pub fn kept(
        name: PostofficeName,
        pinned: PublicKey,
        announced: Vec<PublicKey>,
    ) -> Result<Self, RotationError> {
        let fits = announced.len() <= CHAIN_MAX;
        if fits { Ok(Self { name, pinned, announced }) } else { Err(RotationError::TooLong) }
    }

    /// The postoffice.
    pub fn name(&self) -> &PostofficeName {
        &self.name
    }

    /// The pinned key, and the announced ones from the oldest to the newest.
    pub fn all(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(&self.pinned).chain(&self.announced)
    }

    /// The pinned key, which is the oldest one that may sign.
    pub fn oldest(&self) -> &PublicKey {
        &self.pinned
    }

    /// The newest key, to which messages for the postoffice are sealed. Sealing to it confirms it.
    pub fn newest(&self) -> &PublicKey {
        self.announced.last().unwrap_or(&self.pinned)
    }

    /// The key with this fingerprint, if it may sign a message of the postoffice now. Those are the
    /// pinned key and its proved successors.
    pub fn may_sign(&self, fingerprint: &Fingerprint) -> Option<&PublicKey> {
        self.all().find(|key| key.fingerprint() == *fingerprint)
    }

    /// The keys after these statements, which may repeat what is known.
    ///
    /// A statement about a key before the pinned one is history: it is passed over unverified, and
    /// nothing rests on it.
    ///
    /// # Errors
    ///
    /// If a statement is not proved, names a second successor of one key, or makes the chain too long.
    pub fn following(&self, statements: &[KeyStatement]) -> Result<Self, RotationError> {
        if statements.len() > CHAIN_MAX {
            return Err(RotationError::TooLong);
        }
        let mut keys = self.clone();
        for statement in statements {
            let known = keys.all().any(|key| *key == statement.new);
            let successor = keys.all().skip_while(|key| **key != statement.old).nth(1).copied();
            let begins_here = statement.old == *keys.newest();
            if known || !begins_here && successor.is_none() {
                continue;
            }
            if let Some(known) = successor {
                return Err(RotationError::Forked {
                    old: statement.old.fingerprint(),
                    known: known.fingerprint(),
                    new: statement.new.fingerprint(),
                });
            }
            statement.verify(&self.name)?;
            if keys.announced.len() == CHAIN_MAX {
                return Err(RotationError::TooLong);
            }
            keys.announced.push(statement.new);
        }
        Ok(keys)
    }

    /// The keys after a message that `signer` signed: it is pinned, and the keys before it no longer
    /// count. A key that may not sign changes nothing.
    #[must_use]
    pub fn after_message_of(&self, signer: &PublicKey) -> Self {
        let mut left = self.all().skip_while(|key| *key != signer).copied();
        match left.next() {
            Some(pinned) => Self { name: self.name.clone(), pinned, announced: left.collect() },
            None => self.clone(),
        }
    }
}

/// The keys of this postoffice, with the statements that lead from one to the next.
pub struct OwnKeys {
    name: PostofficeName,
    older: Vec<KeyPair>,
    newest: KeyPair,
    statements: Vec<KeyStatement>,
}

impl OwnKeys {
    /// The keys of a postoffice that has one.
    pub fn new(name: PostofficeName, pair: KeyPair) -> Self {
        Self { name, older: Vec::new(), newest: pair, statements: Vec::new() }
    }

    /// The keys as they were kept: the old ones that are not yet destroyed, from the oldest, the newest
    /// one, and the statements. Only the last [`CHAIN_MAX`] statements are of use.
    pub fn kept(
        name: PostofficeName,
        older: Vec<KeyPair>,
        newest: KeyPair,
        mut statements: Vec<KeyStatement>,
    ) -> Self {
        statements.drain(..statements.len().saturating_sub(CHAIN_MAX));
        Self { name, older, newest, statements }
    }

    /// Changes to a new pair. The old ones still open messages, and sign for peers that know no other.
    ///
    /// # Errors
    ///
    /// If the newest key cannot sign the statement; then nothing is changed.
    pub fn rotate(&mut self, new: KeyPair) -> Result<(), SignatureError> {
        let statement = KeyStatement::sign(&self.name, &self.newest, new.public())?;
        self.statements.push(statement);
        self.statements.drain(..self.statements.len().saturating_sub(CHAIN_MAX));
        self.older.push(std::mem::replace(&mut self.newest, new));
        Ok(())
    }

    /// The postoffice.
    pub fn name(&self) -> &PostofficeName {
        &self.name
    }

    /// The first public key that is remembered.
    pub fn first(&self) -> PublicKey {
        self.statements.first().map_or(*self.newest.public(), |statement| statement.old)
    }

    /// The keys of this postoffice, as a peer would know them that has confirmed none of them. With it a
    /// postoffice reads messages to itself.
    pub fn as_peer(&self) -> PeerKeys {
        let mut keys = self.pairs().map(|pair| *pair.public());
        let pinned = keys.next().unwrap_or(*self.newest.public());
        PeerKeys { name: self.name.clone(), pinned, announced: keys.collect() }
    }

    /// The fingerprints of the older pairs, from the oldest.
    pub fn older(&self) -> impl Iterator<Item = Fingerprint> {
        self.older.iter().map(|pair| pair.public().fingerprint())
    }

    /// The newest pair.
    pub fn newest(&self) -> &KeyPair {
        &self.newest
    }

    /// The pair with this fingerprint, which opens messages sealed to it.
    pub fn pair(&self, fingerprint: &Fingerprint) -> Option<&KeyPair> {
        self.pairs().find(|pair| pair.public().fingerprint() == *fingerprint)
    }

    /// The pair that signs messages for a peer, and the statements that these messages carry.
    ///
    /// The newest pair that the peer has confirmed signs, and the statements lead from the key to which
    /// the peer seals now to the newest one. So a peer that was restored from a backup, and seals to an old
    /// key again, can follow to the key that signs. A peer that has sealed nothing, or has confirmed
    /// only pairs that are destroyed, receives messages of the newest pair with all statements.
    pub fn signing_for(&self, peer: Option<&Confirmed>) -> (&KeyPair, &[KeyStatement]) {
        let pair = peer.and_then(|peer| self.pair(&peer.newest)).unwrap_or(&self.newest);
        let first = match peer {
            Some(peer) if peer.last == self.newest.public().fingerprint() => self.statements.len(),
            Some(peer) => {
                let is_next = |statement: &KeyStatement| statement.old.fingerprint() == peer.last;
                self.statements.iter().position(is_next).unwrap_or(0)
            }
            None => 0,
        };
        (pair, self.statements.get(first..).unwrap_or_default())
    }

    /// The position of a pair in the order in which they were made. `None` if it is not there any more.
    fn position_of(&self, fingerprint: &Fingerprint) -> Option<usize> {
        self.pairs().position(|pair| pair.public().fingerprint() == *fingerprint)
    }

    /// The pairs, from the oldest to the newest.
    fn pairs(&self) -> impl Iterator<Item = &KeyPair> {
        self.older.iter().chain([&self.newest])
    }
}

/// The keys of this postoffice that a peer has confirmed by sealing messages to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The newest key to which the peer ever sealed a message, or that has signed one for it. It signs messages for
    /// the peer: an older one is refused there.
    pub newest: Fingerprint,
    /// The key to which the peer sealed its last message.
    pub last: Fingerprint,
}

impl Confirmed {
    /// What is confirmed after a message of the peer that was sealed to `to_key`, which is one of the own
    /// keys. `before` is `None` if nothing is known to be confirmed. The newest key signs for the peer then, and goes
    /// on to do so. Late messages take nothing back.
    pub fn after(before: Option<Self>, to_key: Fingerprint, own: &OwnKeys) -> Self {
        let Some(Self { newest, .. }) = before else {
            return Self { newest: own.newest.public().fingerprint(), last: to_key };
        };
        let is_newer = own.position_of(&to_key) > own.position_of(&newest);
        Self { newest: if is_newer { to_key } else { newest }, last: to_key }
    }
}

/// Prints fingerprints alone.
impl fmt::Debug for OwnKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.older).entry(&self.newest).finish()
    }
}
