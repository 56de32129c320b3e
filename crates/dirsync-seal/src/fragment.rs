//! Fragments: pieces of sealed bodies, for carriers that take only small files.
//!
//! ```text
//! DIRSYNC-FRAGMENT 1
//! from: NORTH/HQ
//! to: SOUTH/SALES
//! from-key: SHA256:…
//! to-key: SHA256:…
//! body: BYTES SHA256
//! at: OFFSET                    of the piece within the sealed body, counted from 0
//! piece: BYTES SHA256
//! rotated: OLD-KEY NEW-KEY SIGNATURE   while the addressee has not confirmed a new key
//! key: ssh-ed25519 …            at first contact
//! admission: PROOF              at first contact
//! -----BEGIN SSH SIGNATURE-----
//! …                             over all lines above
//! -----END SSH SIGNATURE-----
//!
//! the bytes of the piece
//! ```

use std::io::{BufRead, Read};

use dirsync_directory::PostofficeName;

use crate::body::BODY_BYTES_MAX;
use crate::error::{Part, SealError};
use crate::hash::Content;
use crate::key::{KeyPair, PublicKey};
use crate::lines::{self, FirstContact, FirstLine, Parties, SignedLines, content, number, wrong};
use crate::rotation::{CHAIN_MAX, KeyStatement, OwnKeys, PeerKeys};
use crate::signature::Namespace;

const FIRST: FirstLine =
    FirstLine { name: "DIRSYNC-FRAGMENT", version: 1, unsealed: 0, namespace: Namespace::Message };
/// The largest piece, in bytes. A reader holds one piece.
pub const PIECE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A piece of a body that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The sender.
    pub from: PostofficeName,
    /// The addressee.
    pub to: PostofficeName,
    /// The whole sealed body.
    pub body: Content,
    /// The offset of the piece within the sealed body, in bytes.
    pub at: u64,
    /// The changes of the sender's key that the addressee has not confirmed, in order. A piece comes before the message
    /// that names its body, which would announce them.
    pub rotated: Vec<KeyStatement>,
    /// The lines of a first contact, until the addressee has pinned the sender's key.
    pub first_contact: Option<FirstContact>,
}

impl Fragment {
    /// Signs a piece. Returns the whole file.
    ///
    /// # Errors
    ///
    /// If the piece is not within the body or over [`PIECE_BYTES_MAX`], or the key cannot sign.
    pub fn seal(
        &self,
        piece: &[u8],
        signer: &KeyPair,
        to_key: &PublicKey,
    ) -> Result<Vec<u8>, SealError> {
        let content = Content::of(piece);
        self.check(content)?;
        if self.rotated.len() > CHAIN_MAX {
            return Err(SealError::TooMany { line: "rotated", limit: CHAIN_MAX });
        }
        let parties = Parties {
            from: self.from.clone(),
            to: self.to.clone(),
            from_key: signer.public().fingerprint(),
            to_key: to_key.fingerprint(),
        };
        let mut text = parties.to_lines();
        let body = self.body;
        text += &format!("body: {} {}\nat: {}\n", body.bytes, body.hash, self.at);
        text += &format!("piece: {} {}\n", content.bytes, content.hash);
        self.rotated.iter().for_each(|statement| text += &format!("rotated: {statement}\n"));
        text += &self.first_contact.as_ref().map(FirstContact::to_lines).unwrap_or_default();
        let mut bytes = SignedLines::sign(FIRST, &text, signer)?.to_text().into_bytes();
        bytes.extend_from_slice(piece);
        Ok(bytes)
    }

    /// Whether this piece is within the body, and both within their limits.
    fn check(&self, piece: Content) -> Result<(), SealError> {
        if self.body.bytes > BODY_BYTES_MAX {
            return Err(SealError::TooLarge { part: Part::Body, limit: BODY_BYTES_MAX });
        } else if piece.bytes > PIECE_BYTES_MAX {
            return Err(SealError::TooLarge { part: Part::Piece, limit: PIECE_BYTES_MAX });
        } else if piece.bytes == 0 {
            return Err(wrong("piece", "it is empty"));
        }
        match self.at.checked_add(piece.bytes) {
            Some(end) if end <= self.body.bytes => Ok(()),
            _ => Err(wrong("at", "the piece is not within the body")),
        }
    }
}

/// The lines of a fragment as they were read. Nothing in them is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentLines {
    parties: Parties,
    fragment: Fragment,
    piece: Content,
    signed: SignedLines,
}

impl FragmentLines {
    /// Reads the lines of a fragment up to and including the empty line.
    ///
    /// # Errors
    ///
    /// If they have not the only form that [`Fragment::seal`] writes.
    pub fn read(reader: &mut impl BufRead) -> Result<Self, SealError> {
        let signed = SignedLines::read(reader, FIRST)?;
        let mut lines = signed.cursor();
        let parties = lines.parties()?;
        let body = content("body", lines.value("body")?)?;
        let at = number("at", lines.value("at")?)?;
        let piece = content("piece", lines.value("piece")?)?;
        let rotated = lines.rotated()?;
        let first_contact = lines.first_contact()?;
        lines.end()?;
        let (from, to) = (parties.from.clone(), parties.to.clone());
        let fragment = Fragment { from, to, body, at, rotated, first_contact };
        fragment.check(piece)?;
        Ok(Self { parties, fragment, piece, signed })
    }

    /// The sender and the addressee as the lines name them, with their keys.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// The lines of a first contact, by which an invited postoffice can be admitted whose key is unknown.
    pub fn first_contact(&self) -> Option<&FirstContact> {
        self.fragment.first_contact.as_ref()
    }

    /// The changes of the sender's key that it announces.
    pub fn rotated(&self) -> &[KeyStatement] {
        &self.fragment.rotated
    }

    /// Verifies that the fragment is for this postoffice and signed by a key of its sender, or by one that follows.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn verify(self, own: &OwnKeys, sender: &PeerKeys) -> Result<SignedFragment, SealError> {
        lines::verify(&self.signed, &self.parties, &self.fragment.rotated, own, sender)?;
        let piece_at = self.signed.bytes();
        Ok(SignedFragment { fragment: self.fragment, piece: self.piece, piece_at })
    }
}

/// A fragment whose lines were signed by its sender for this postoffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedFragment {
    fragment: Fragment,
    piece: Content,
    /// The size of the lines, after which the piece begins.
    piece_at: u64,
}

impl SignedFragment {
    /// The fragment.
    pub fn fragment(&self) -> &Fragment {
        &self.fragment
    }

    /// Reads the piece from the reader behind the lines, up to its end, and checks its hash. The piece is
    /// part of a sealed body, so it is kept as it is.
    ///
    /// # Errors
    ///
    /// If the piece has another size or hash than the lines state.
    pub fn read_piece(&self, reader: &mut impl Read) -> Result<Vec<u8>, SealError> {
        let mut piece = Vec::new();
        reader.by_ref().take(self.piece.bytes).read_to_end(&mut piece)?;
        let need = self.piece_at + self.piece.bytes;
        let have = self.piece_at + piece.len() as u64;
        if have < need {
            return Err(SealError::CutOff { have, need });
        }
        if reader.by_ref().take(1).read_to_end(&mut Vec::new())? > 0 {
            return Err(SealError::Trailing);
        }
        if Content::of(&piece) != self.piece {
            return Err(SealError::WrongHash(Part::Piece));
        }
        Ok(piece)
    }
}
