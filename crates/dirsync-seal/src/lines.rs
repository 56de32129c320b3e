//! The lines at the beginning of a sealed file, with the signature over them.
//!
//! Envelopes, fragments and signals share this form: a first line with a version, lines `NAME: VALUE` in a fixed
//! order, an SSHSIG over all of them, and an empty line. Each text of this form has one meaning and each
//! meaning one text, so nothing is passed over and nothing stands twice.

use std::fmt::Display;
use std::io::{BufRead, Read};
use std::str::FromStr;

use dirsync_directory::{PostofficeName, excerpt};
use dirsync_message::NUMBER_MAX;

use crate::error::{Part, SealError};
use crate::hash::Content;
use crate::key::{Fingerprint, PublicKey};
use crate::rotation::{CHAIN_MAX, KeyStatement, OwnKeys, PeerKeys, RotationError};
use crate::signature::{BEGIN, END, Namespace, Signature};

/// The most bytes of lines and signature together, including the empty line after them.
pub const LINES_BYTES_MAX: u64 = 64 * 1024;

/// The first line of a kind of file, `NAME VERSION`.
#[derive(Clone, Copy)]
pub(crate) struct FirstLine {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    /// The last version that was neither signed nor encrypted; 0 if there was none.
    pub(crate) unsealed: u32,
    /// The purpose of the signature.
    pub(crate) namespace: Namespace,
}

impl FirstLine {
    pub(crate) fn text(self) -> String {
        format!("{} {}\n", self.name, self.version)
    }

    fn check(self, line: &str) -> Result<(), SealError> {
        let version = line.strip_prefix(self.name).and_then(|rest| rest.strip_prefix(' '));
        let found: u32 = version
            .and_then(|text| text.parse().ok().filter(|found: &u32| found.to_string() == text))
            .ok_or(SealError::OtherFile(self.name))?;
        if found == self.version {
            Ok(())
        } else if (1..=self.unsealed).contains(&found) {
            Err(SealError::Unsealed)
        } else {
            Err(SealError::NewerVersion { found, known: self.version })
        }
    }
}

/// Lines and a signature that stand together. Nothing of it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedLines {
    /// All lines, each with its LF.
    pub(crate) text: String,
    pub(crate) signature: Signature,
    namespace: Namespace,
}

impl SignedLines {
    /// Signs lines, after the first one.
    pub(crate) fn sign(
        first: FirstLine,
        lines: &str,
        pair: &crate::key::KeyPair,
    ) -> Result<Self, SealError> {
        let (text, namespace) = (first.text() + lines, first.namespace);
        let signature = Signature::sign(&text, namespace, pair)?;
        let signed = Self { text, signature, namespace };
        if signed.bytes() > LINES_BYTES_MAX {
            return Err(SealError::TooLarge { part: Part::Lines, limit: LINES_BYTES_MAX });
        }
        Ok(signed)
    }

    /// The text up to and including the empty line.
    pub(crate) fn to_text(&self) -> String {
        format!("{}{}\n", self.text, self.signature.to_pem())
    }

    /// The size up to and including the empty line.
    pub(crate) fn bytes(&self) -> u64 {
        (self.text.len() + self.signature.to_pem().len() + 1) as u64
    }

    /// Reads up to and including the empty line, and no further.
    pub(crate) fn read(reader: &mut impl BufRead, first: FirstLine) -> Result<Self, SealError> {
        let mut input = LineReader { input: Read::by_ref(reader).take(LINES_BYTES_MAX), bytes: 0 };
        let mut text = match input.line() {
            Err(CannotRead::Ended(begun)) if !first.text().as_bytes().starts_with(&begun) => {
                return Err(SealError::OtherFile(first.name));
            }
            Err(CannotRead::NotText) => return Err(SealError::OtherFile(first.name)),
            line => line.map_err(|error| input.refusal(error))?,
        };
        first.check(text.trim_end_matches('\n'))?;
        let mut pem = loop {
            let line = input.line().map_err(|error| input.refusal(error))?;
            if line == "\n" {
                return Err(SealError::Unsigned);
            } else if line.trim_end_matches('\n') == BEGIN {
                break line;
            }
            text.push_str(&line);
        };
        while !pem.ends_with(&format!("\n{END}\n")) {
            pem.push_str(&input.line().map_err(|error| input.refusal(error))?);
        }
        if input.line().map_err(|error| input.refusal(error))? != "\n" {
            return Err(wrong("signature", "an empty line must follow it"));
        }
        Ok(Self { text, signature: Signature::from_pem(&pem)?, namespace: first.namespace })
    }

    /// The lines after the first one, as a cursor.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        let (_, rest) = self.text.split_once('\n').unwrap_or_default();
        Cursor(rest)
    }
}

/// Why no whole line could be read.
enum CannotRead {
    /// The file ends, or the limit is reached, after these bytes.
    Ended(Vec<u8>),
    NotText,
    Io(std::io::Error),
}

struct LineReader<R> {
    input: std::io::Take<R>,
    bytes: u64,
}

impl<R: BufRead> LineReader<R> {
    /// The next line, with its LF.
    fn line(&mut self) -> Result<String, CannotRead> {
        let mut line = Vec::new();
        let read = self.input.read_until(b'\n', &mut line);
        self.bytes += read.map_err(CannotRead::Io)? as u64;
        if line.last() != Some(&b'\n') {
            return Err(CannotRead::Ended(line));
        }
        String::from_utf8(line).map_err(|_| CannotRead::NotText)
    }

    fn refusal(&self, error: CannotRead) -> SealError {
        match error {
            CannotRead::Ended(_) if self.bytes >= LINES_BYTES_MAX => {
                SealError::TooLarge { part: Part::Lines, limit: LINES_BYTES_MAX }
            }
            CannotRead::Ended(_) => SealError::CutOff { have: self.bytes, need: self.bytes + 1 },
            CannotRead::NotText => wrong("lines", "they are not UTF-8"),
            CannotRead::Io(error) => SealError::Io(error),
        }
    }
}

/// Lines that are read one after the other, in their fixed order.
pub(crate) struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// The lines of this text.
    pub(crate) fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// The value of the next line, which must have this name.
    pub(crate) fn value(&mut self, name: &'static str) -> Result<&'a str, SealError> {
        self.optional(name).ok_or_else(|| {
            let found = excerpt(self.0.lines().next().unwrap_or("(end)"));
            SealError::UnexpectedLine { expected: name, found }
        })
    }

    /// The value of the next line, if it has this name.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<&'a str> {
        let (line, rest) = self.0.split_once('\n')?;
        let value = line.strip_prefix(name)?.strip_prefix(": ")?;
        self.0 = rest;
        Some(value)
    }

    /// The values of the next lines of this name, at most `limit`.
    pub(crate) fn repeated(
        &mut self,
        name: &'static str,
        limit: usize,
    ) -> Result<Vec<&'a str>, SealError> {
        let mut values = Vec::new();
        while let Some(value) = self.optional(name) {
            if values.len() == limit {
                return Err(SealError::TooMany { line: name, limit });
            }
            values.push(value);
        }
        Ok(values)
    }

    /// The value of the next line, read and printed back unchanged.
    pub(crate) fn parsed<T: FromStr<Err: Display> + Display>(
        &mut self,
        name: &'static str,
    ) -> Result<T, SealError> {
        parsed(name, self.value(name)?)
    }

    /// The sender, the addressee and the keys of both.
    pub(crate) fn parties(&mut self) -> Result<Parties, SealError> {
        Ok(Parties {
            from: self.parsed::<Name>("from")?.0,
            to: self.parsed::<Name>("to")?.0,
            from_key: self.parsed("from-key")?,
            to_key: self.parsed("to-key")?,
        })
    }

    /// The lines of changes of keys. Their errors say more than that the line is wrong.
    pub(crate) fn rotated(&mut self) -> Result<Vec<KeyStatement>, SealError> {
        let values = self.repeated("rotated", CHAIN_MAX)?;
        Ok(values.into_iter().map(str::parse).collect::<Result<_, RotationError>>()?)
    }

    /// The lines of a first contact, if they stand here.
    pub(crate) fn first_contact(&mut self) -> Result<Option<FirstContact>, SealError> {
        let Some(key) = self.optional("key") else { return Ok(None) };
        let key = parsed("key", key)?;
        let proof = self.value("admission")?;
        FirstContact::new(key, proof).map(Some).ok_or_else(|| wrong("admission", PROOF_FORM))
    }

    /// That no line is left.
    pub(crate) fn end(self) -> Result<(), SealError> {
        match self.0.lines().next() {
            None => Ok(()),
            Some(found) => {
                Err(SealError::UnexpectedLine { expected: BEGIN, found: excerpt(found) })
            }
        }
    }
}

/// A name whose `Display` is the text that was read.
struct Name(PostofficeName);

impl FromStr for Name {
    type Err = dirsync_directory::PostofficeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// Reads a value, and refuses every text but the one in which it is printed.
pub(crate) fn parsed<T: FromStr<Err: Display> + Display>(
    line: &'static str,
    text: &str,
) -> Result<T, SealError> {
    let value: T = text.parse().map_err(|error| wrong(line, format!("{error}")))?;
    let printed = value.to_string();
    if printed == text { Ok(value) } else { Err(wrong(line, format!("\"{printed}\" is meant"))) }
}

/// Reads a number, which is at most [`NUMBER_MAX`].
pub(crate) fn number(line: &'static str, text: &str) -> Result<u64, SealError> {
    let number = parsed(line, text)?;
    if number <= NUMBER_MAX {
        Ok(number)
    } else {
        Err(wrong(line, format!("{number} is above {NUMBER_MAX}")))
    }
}

/// Reads `BYTES SHA256`.
pub(crate) fn content(line: &'static str, text: &str) -> Result<Content, SealError> {
    let (bytes, hash) = text.split_once(' ').ok_or_else(|| wrong(line, "BYTES SHA256 is meant"))?;
    Ok(Content { bytes: number(line, bytes)?, hash: parsed(line, hash)? })
}

pub(crate) fn wrong(line: &'static str, reason: impl Into<String>) -> SealError {
    SealError::WrongLine { line, reason: reason.into() }
}

/// The sender, the addressee and their keys, as the lines of a file name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The sender.
    pub from: PostofficeName,
    /// The addressee.
    pub to: PostofficeName,
    /// The key that signs.
    pub from_key: Fingerprint,
    /// The key of the addressee to which the head is sealed.
    pub to_key: Fingerprint,
}

impl Parties {
    pub(crate) fn to_lines(&self) -> String {
        let Self { from, to, from_key, to_key } = self;
        let (from, to) = (from.as_str(), to.as_str());
        format!("from: {from}\nto: {to}\nfrom-key: {from_key}\nto-key: {to_key}\n")
    }
}

const PROOF_FORM: &str = "a proof has 128 hexadecimal digits in lower case";

/// The lines of a first contact: the key of an invited postoffice and its proof of the invitation.
///
/// The key is not trusted. [`FirstContact::admitted`] gives it out after the proof was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstContact {
    key: PublicKey,
    proof: String,
}

impl FirstContact {
    /// The key of an invited postoffice, with its proof: an Ed25519 signature as 128 hexadecimal
    /// digits. `None` if the proof has another form.
    pub fn new(key: PublicKey, proof: &str) -> Option<Self> {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = proof.len() == 128 && proof.bytes().all(hexadecimal);
        fits.then(|| Self { key, proof: proof.to_owned() })
    }

    /// The keys of the sender, if `is_proof` finds that the proof is that of an open invitation for the
    /// sender and this key. It is called with the proof and the key, as `ssh-ed25519 AAAA…`.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn admitted(
        &self,
        from: &PostofficeName,
        is_proof: impl FnOnce(&str, &PublicKey) -> bool,
    ) -> Result<PeerKeys, SealError> {
        if is_proof(&self.proof, &self.key) {
            Ok(PeerKeys::pinned(from.clone(), self.key))
        } else {
            Err(SealError::NotAdmitted(from.clone()))
        }
    }

    /// The two lines of a first contact, each with its LF.
    pub fn to_lines(&self) -> String {
        format!("key: {}\nadmission: {}\n", self.key, self.proof)
    }
}

/// Verifies lines by the keys of their sender, after the cheap comparisons. Returns the keys of the
/// sender after this message.
///
/// At most [`CHAIN_MAX`](crate::CHAIN_MAX) + 1 signatures are verified, and the first wrong one ends it.
pub(crate) fn verify(
    signed: &SignedLines,
    parties: &Parties,
    rotated: &[KeyStatement],
    own: &OwnKeys,
    sender: &PeerKeys,
) -> Result<PeerKeys, SealError> {
    let Parties { from, to, from_key, to_key } = parties;
    if to != own.name() {
        return Err(SealError::OtherAddressee(to.clone()));
    }
    if own.pair(to_key).is_none() {
        return Err(SealError::OtherAddresseeKey(*to_key));
    }
    if from != sender.name() {
        return Err(SealError::OtherSender(from.clone()));
    }
    if let Some(key) = sender.may_sign(from_key) {
        signed.signature.verify(&signed.text, signed.namespace, key)?;
        return Ok(sender.following(rotated)?.after_message_of(key));
    }
    // The signer may be a successor that these very lines announce.
    let followed = sender.following(rotated)?;
    let other = || SealError::OtherSigner { from: from.clone(), key: *from_key };
    let key = followed.may_sign(from_key).ok_or_else(other)?;
    signed.signature.verify(&signed.text, signed.namespace, key)?;
    Ok(followed.after_message_of(key))
}
