//! Signals: short signed files by which the two ends of a place try it, and say how far bodies have come.
//!
//! ```text
//! DIRSYNC-SIGNAL 1
//! from: NORTH/HQ
//! to: SOUTH/SALES
//! from-key: SHA256:…
//! to-key: SHA256:…
//! sent: MILLISECONDS            since 1970, by the sender's clock
//! probe: ID                     if it asks for an answer
//! answers: ID                   if it answers the probe with this id
//! holds: SHA256 FIRST-LAST,…    of bodies that the addressee sends; any number of lines, or one: nothing
//! key: ssh-ed25519 …            at first contact
//! admission: PROOF              at first contact
//! -----BEGIN SSH SIGNATURE-----
//! …                             over all lines above
//! -----END SSH SIGNATURE-----
//!
//! ```

use std::fmt;
use std::io::{BufRead, Read as _};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use dirsync_directory::PostofficeName;

use crate::envelope::{HOLDS_MAX, Holding};
use crate::error::SealError;
use crate::key::{KeyPair, PublicKey};
use crate::lines::{self, Cursor, FirstContact, FirstLine, Parties, SignedLines, number, parsed};
use crate::rotation::{OwnKeys, PeerKeys};
use crate::signature::Namespace;

/// The value of the only line `holds`, if no byte of any body is there.
const NOTHING: &str = "nothing";

const FIRST: FirstLine =
    FirstLine { name: "DIRSYNC-SIGNAL", version: 1, unsealed: 0, namespace: Namespace::Message };

/// The id of a probe, by which its answer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId(pub [u8; 16]);

/// 32 hexadecimal digits in lower case.
impl fmt::Display for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for ProbeId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let id = bytes.and_then(|bytes| bytes.try_into().ok());
        id.map(Self).ok_or("32 hexadecimal digits in lower case are meant")
    }
}

/// What a signal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// When it was sent, in milliseconds since 1970, by the sender's clock.
    pub sent: u64,
    /// The probe, if it asks for an answer.
    pub probe: Option<ProbeId>,
    /// The probe that it answers.
    pub answers: Option<ProbeId>,
    /// The bytes that the sender has of bodies which the addressee sends. `None` if it says nothing of them.
    pub holds: Option<Vec<Holding>>,
}

impl Signal {
    /// Its own lines, each with its LF.
    pub fn to_lines(&self) -> String {
        let mut text = format!("sent: {}\n", self.sent);
        if let Some(id) = self.probe {
            text += &format!("probe: {id}\n");
        }
        if let Some(id) = self.answers {
            text += &format!("answers: {id}\n");
        }
        match self.holds.as_deref() {
            None => {}
            Some([]) => text += &format!("holds: {NOTHING}\n"),
            Some(holds) => {
                text.extend(holds.iter().map(|holding| format!("holds: {holding}\n")));
            }
        }
        text
    }

    /// Reads its own lines, and no others.
    ///
    /// # Errors
    ///
    /// If they have not the only form that [`Signal::to_lines`] writes.
    pub fn from_lines(text: &str) -> Result<Self, SealError> {
        let mut lines = Cursor::of(text);
        let signal = Self::read(&mut lines)?;
        lines.end()?;
        Ok(signal)
    }

    fn read(lines: &mut Cursor<'_>) -> Result<Self, SealError> {
        let sent = number("sent", lines.value("sent")?)?;
        let probe = lines.optional("probe").map(|id| parsed("probe", id)).transpose()?;
        let answers = lines.optional("answers").map(|id| parsed("answers", id)).transpose()?;
        let holds = lines.repeated("holds", HOLDS_MAX)?;
        let holds = match holds.as_slice() {
            [] => None,
            [NOTHING] => Some(Vec::new()),
            holds => {
                let holds = holds.iter().map(|text| parsed("holds", text));
                Some(holds.collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { sent, probe, answers, holds })
    }

    /// Signs it. Returns the whole file.
    ///
    /// # Errors
    ///
    /// If it is over the limit of lines, or the key cannot sign.
    pub fn seal(
        &self,
        (from, to): (&PostofficeName, &PostofficeName),
        first_contact: Option<&FirstContact>,
        signer: &KeyPair,
        to_key: &PublicKey,
    ) -> Result<Vec<u8>, SealError> {
        let parties = Parties {
            from: from.clone(),
            to: to.clone(),
            from_key: signer.public().fingerprint(),
            to_key: to_key.fingerprint(),
        };
        let mut text = parties.to_lines() + &self.to_lines();
        text += &first_contact.map(FirstContact::to_lines).unwrap_or_default();
        Ok(SignedLines::sign(FIRST, &text, signer)?.to_text().into_bytes())
    }
}

/// The lines of a signal as they were read. Nothing in them is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalLines {
    parties: Parties,
    signal: Signal,
    first_contact: Option<FirstContact>,
    signed: SignedLines,
}

impl SignalLines {
    /// Reads a signal to the end of its file.
    ///
    /// # Errors
    ///
    /// If it has not the only form that [`Signal::seal`] writes.
    pub fn read(reader: &mut impl BufRead) -> Result<Self, SealError> {
        let signed = SignedLines::read(reader, FIRST)?;
        let mut lines = signed.cursor();
        let parties = lines.parties()?;
        let signal = Signal::read(&mut lines)?;
        let first_contact = lines.first_contact()?;
        lines.end()?;
        if reader.take(1).read_to_end(&mut Vec::new())? > 0 {
            return Err(SealError::Trailing);
        }
        Ok(Self { parties, signal, first_contact, signed })
    }

    /// The sender and the addressee as the lines name them, with their keys.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// The lines of a first contact, by which an invited postoffice can be admitted whose key is unknown.
    pub fn first_contact(&self) -> Option<&FirstContact> {
        self.first_contact.as_ref()
    }

    /// Verifies that the signal is for this postoffice and signed by a key of its sender.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn verify(self, own: &OwnKeys, sender: &PeerKeys) -> Result<Signal, SealError> {
        lines::verify(&self.signed, &self.parties, &[], own, sender)?;
        Ok(self.signal)
    }
}
