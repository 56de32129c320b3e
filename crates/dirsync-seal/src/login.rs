//! Logins: the signed lines by which a requestor says who it is to the server of a link.
//!
//! ```text
//! DIRSYNC-LINK 1
//! from: SOUTH/SALES
//! to: NORTH/HQ
//! from-key: SHA256:…
//! to-key: SHA256:…
//! nonce: NONCE                  as the server gave it
//! rotated: OLD-KEY NEW-KEY SIGNATURE  while a change of key is unconfirmed
//! key: ssh-ed25519 …            at first contact
//! admission: PROOF              at first contact
//! -----BEGIN SSH SIGNATURE-----
//! …                             over all lines above, namespace "dirsync-link"
//! -----END SSH SIGNATURE-----
//!
//! ```

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use dirsync_directory::PostofficeName;

use crate::error::SealError;
use crate::key::{KeyPair, PublicKey};
use crate::lines::{self, FirstContact, FirstLine, Parties, SignedLines};
use crate::rotation::{KeyStatement, OwnKeys, PeerKeys};
use crate::signature::Namespace;

const FIRST: FirstLine =
    FirstLine { name: "DIRSYNC-LINK", version: 1, unsealed: 0, namespace: Namespace::Link };

/// The text of a server that a login answers, so that none can be used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nonce(pub [u8; 40]);

/// 80 hexadecimal digits in lower case.
impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for Nonce {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let nonce = bytes.and_then(|bytes| bytes.try_into().ok());
        nonce.map(Self).ok_or("80 hexadecimal digits in lower case are meant")
    }
}

/// A login before it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The requestor.
    pub from: &'a PostofficeName,
    /// The directory server.
    pub to: &'a PostofficeName,
    /// The nonce that the server gave.
    pub nonce: Nonce,
    /// The changes of the requestor's key that the server has not confirmed.
    pub rotated: &'a [KeyStatement],
    /// The proof of an invitation.
    pub first_contact: Option<&'a FirstContact>,
}

impl Login<'_> {
    /// Signs it. Returns the whole text.
    ///
    /// # Errors
    ///
    /// If it is over the limit of lines, or the key cannot sign.
    pub fn seal(&self, signer: &KeyPair, to_key: &PublicKey) -> Result<String, SealError> {
        let parties = Parties {
            from: self.from.clone(),
            to: self.to.clone(),
            from_key: signer.public().fingerprint(),
            to_key: to_key.fingerprint(),
        };
        let mut text = parties.to_lines() + &format!("nonce: {}\n", self.nonce);
        self.rotated.iter().for_each(|statement| text += &format!("rotated: {statement}\n"));
        text += &self.first_contact.map(FirstContact::to_lines).unwrap_or_default();
        Ok(SignedLines::sign(FIRST, &text, signer)?.to_text())
    }
}

/// The lines of a login as they were read. Nothing in them is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginLines {
    parties: Parties,
    nonce: Nonce,
    rotated: Vec<KeyStatement>,
    first_contact: Option<FirstContact>,
    signed: SignedLines,
}

impl LoginLines {
    /// Reads a whole login.
    ///
    /// # Errors
    ///
    /// If it has not the only form that [`Login::seal`] writes.
    pub fn read(mut text: &[u8]) -> Result<Self, SealError> {
        let signed = SignedLines::read(&mut text, FIRST)?;
        let mut lines = signed.cursor();
        let parties = lines.parties()?;
        let nonce = lines.parsed("nonce")?;
        let rotated = lines.rotated()?;
        let first_contact = lines.first_contact()?;
        lines.end()?;
        if !text.is_empty() {
            return Err(SealError::Trailing);
        }
        Ok(Self { parties, nonce, rotated, first_contact, signed })
    }

    /// The requestor and the server as the lines name them, with their keys.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// The nonce that it answers.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// The changes of the requestor's key that it announces.
    pub fn rotated(&self) -> &[KeyStatement] {
        &self.rotated
    }

    /// The lines of a first contact, by which an invited postoffice can be admitted whose key is unknown.
    pub fn first_contact(&self) -> Option<&FirstContact> {
        self.first_contact.as_ref()
    }

    /// Verifies that the login is for this postoffice and signed by a key of its sender, or by one that follows.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn verify(self, own: &OwnKeys, sender: &PeerKeys) -> Result<(), SealError> {
        lines::verify(&self.signed, &self.parties, &self.rotated, own, sender)?;
        Ok(())
    }
}
