//! The envelope of a message, version 2: its front is signed, its head and its body are encrypted.
//!
//! ```text
//! DIRSYNC-ENVELOPE 2
//! from: NORTH/HQ
//! to: SOUTH/SALES
//! from-key: SHA256:…            the key that signs, as `ssh-keygen -l` prints it
//! to-key: SHA256:…              the key to which the head is sealed
//! name: EPOCH NUMBER PART       the name of the message; that of a file is only a hint
//! head: BYTES SHA256
//! body: BYTES SHA256 inline|apart
//! holds: SHA256 FIRST-LAST,…    pieces of incomplete bodies that the sender has; any number of lines
//! rotated: OLD-KEY NEW-KEY SIGNATURE   while the addressee has not confirmed a new key
//! key: ssh-ed25519 …            at first contact
//! admission: PROOF              at first contact
//! -----BEGIN SSH SIGNATURE-----
//! …                             over all lines above
//! -----END SSH SIGNATURE-----
//!
//! head: an age file for `to-key`
//! body: an age file for the key in the head, or nothing if it travels apart
//! ```

use std::fmt;
use std::io::BufRead;
use std::ops::RangeInclusive;
use std::str::FromStr;

use dirsync_directory::PostofficeName;
use dirsync_message::NUMBER_MAX;

use crate::age_file;
use crate::body::{BODY_BYTES_MAX, BodyKey};
use crate::error::{Part, SealError};
use crate::hash::{Content, ContentHash};
use crate::key::{KeyPair, PublicKey};
use crate::lines::{
    self, FirstContact, FirstLine, LINES_BYTES_MAX, Parties, SignedLines, parsed, wrong,
};
use crate::open::Signed;
use crate::rotation::{CHAIN_MAX, KeyStatement, OwnKeys, PeerKeys};
use crate::signature::Namespace;

const FIRST: FirstLine =
    FirstLine { name: "DIRSYNC-ENVELOPE", version: 2, unsealed: 1, namespace: Namespace::Message };
/// The largest sealed head, in bytes: the largest head, and room for its encryption.
pub const SEALED_HEAD_BYTES_MAX: u64 = dirsync_message::HEAD_BYTES_MAX as u64 + 64 * 1024;
/// The most bodies of which a front lists the pieces.
pub const HOLDS_MAX: usize = 64;
/// The most runs of bytes that are listed of one body.
pub const RUNS_MAX: usize = 64;
/// The longest epoch in the name of a message, in bytes.
const EPOCH_BYTES_MAX: usize = 128;

/// The name of a message, which its sender gives to no other one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageName {
    epoch: String,
    number: u64,
    part: u32,
}

impl MessageName {
    /// A name. `None` if the epoch is not 1 to 128 characters of `a` to `z`, `0` to `9` and `.`, the number
    /// is larger than [`NUMBER_MAX`], or the part is 0.
    pub fn new(epoch: &str, number: u64, part: u32) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.';
        let fits = (1..=EPOCH_BYTES_MAX).contains(&epoch.len()) && epoch.bytes().all(plain);
        let fits = fits && number <= NUMBER_MAX && part > 0;
        fits.then(|| Self { epoch: epoch.to_owned(), number, part })
    }

    /// The epoch of the sender's numbering.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The number of the message within the epoch.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The number of the part, from 1.
    pub fn part(&self) -> u32 {
        self.part
    }
}

/// `EPOCH NUMBER PART`.
impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.epoch, self.number, self.part)
    }
}

impl FromStr for MessageName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.splitn(3, ' ');
        let mut next = || words.next().unwrap_or_default();
        let (epoch, number, part) = (next(), next().parse().ok(), next().parse().ok());
        let name = number.zip(part).and_then(|(number, part)| Self::new(epoch, number, part));
        name.ok_or("EPOCH NUMBER PART is meant")
    }
}

/// Where a sealed body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPlace {
    /// After the head, in the same file.
    Inline,
    /// In a file of its own, or as fragments.
    Apart,
}

impl fmt::Display for BodyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inline => "inline",
            Self::Apart => "apart",
        })
    }
}

impl FromStr for BodyPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "inline" => Ok(Self::Inline),
            "apart" => Ok(Self::Apart),
            _ => Err("\"inline\" or \"apart\" is meant"),
        }
    }
}

/// The bytes that a postoffice has of an incomplete body, so that its sender sends only the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    body: ContentHash,
    runs: Vec<RangeInclusive<u64>>,
}

impl Holding {
    /// Runs of bytes of a body, counted from 0. `None` if there is no run or more than [`RUNS_MAX`], or they
    /// do not rise with a gap between each two.
    pub fn new(body: ContentHash, runs: Vec<RangeInclusive<u64>>) -> Option<Self> {
        let is_after = |before: &RangeInclusive<u64>, run: &RangeInclusive<u64>| {
            run.start().checked_sub(*before.end()).is_some_and(|distance| distance > 1)
        };
        let rise = runs.windows(2).all(|two| is_after(&two[0], &two[1]));
        let fit = runs.iter().all(|run| !run.is_empty() && *run.end() <= NUMBER_MAX);
        let fit = fit && rise && (1..=RUNS_MAX).contains(&runs.len());
        fit.then_some(Self { body, runs })
    }

    /// The body.
    pub fn body(&self) -> &ContentHash {
        &self.body
    }

    /// The runs of bytes, rising.
    pub fn runs(&self) -> &[RangeInclusive<u64>] {
        &self.runs
    }
}

/// `SHA256 FIRST-LAST,…`.
impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.body)?;
        for (index, run) in self.runs.iter().enumerate() {
            let before = if index == 0 { ' ' } else { ',' };
            write!(f, "{before}{}-{}", run.start(), run.end())?;
        }
        Ok(())
    }
}

impl FromStr for Holding {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let run = |run: &str| {
            let (first, last) = run.split_once('-')?;
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        let parse = || {
            let (body, runs) = text.split_once(' ')?;
            let runs: Option<Vec<_>> = runs.split(',').take(RUNS_MAX + 1).map(run).collect();
            Self::new(body.parse().ok()?, runs?)
        };
        parse().ok_or("SHA256 FIRST-LAST,… is meant, rising and with gaps")
    }
}

/// The sealed body of a message, as its lines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyStatement {
    /// Its sealed bytes.
    pub content: Content,
    /// Where they travel.
    pub place: BodyPlace,
}

/// The front of a message: everything in its lines but keys and head, which belong to one sealing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// The sender.
    pub from: PostofficeName,
    /// The addressee.
    pub to: PostofficeName,
    /// The name of the message.
    pub name: MessageName,
    /// The body.
    pub body: BodyStatement,
    /// The incomplete bodies of which the sender has pieces, at most [`HOLDS_MAX`], and as many as fit into
    /// [`LINES_BYTES_MAX`] with the other lines.
    pub holds: Vec<Holding>,
    /// The statements that lead from the signing key to the sender's newest one, at most [`CHAIN_MAX`].
    pub rotated: Vec<KeyStatement>,
    /// The lines of a first contact, until the addressee has pinned the sender's key.
    pub first_contact: Option<FirstContact>,
}

impl Front {
    /// Seals the front and a head to `to_key`, and signs them. Returns the bytes of the file up to an
    /// inline body, which the caller appends as it is.
    ///
    /// # Errors
    ///
    /// If a part is over its limit, or a key does not do its work.
    pub fn seal(
        &self,
        head: &str,
        body_key: &BodyKey,
        signer: &KeyPair,
        to_key: &PublicKey,
    ) -> Result<Vec<u8>, SealError> {
        if self.body.content.bytes > BODY_BYTES_MAX {
            return Err(SealError::TooLarge { part: Part::Body, limit: BODY_BYTES_MAX });
        }
        let sealed = age_file::seal_head(head, body_key, to_key)?;
        if sealed.len() as u64 > SEALED_HEAD_BYTES_MAX {
            return Err(SealError::TooLarge { part: Part::Head, limit: SEALED_HEAD_BYTES_MAX });
        }
        let parties = Parties {
            from: self.from.clone(),
            to: self.to.clone(),
            from_key: signer.public().fingerprint(),
            to_key: to_key.fingerprint(),
        };
        let text = self.to_lines(&parties, Content::of(&sealed))?;
        let signed = SignedLines::sign(FIRST, &text, signer)?;
        let mut bytes = signed.to_text().into_bytes();
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    fn to_lines(&self, parties: &Parties, head: Content) -> Result<String, SealError> {
        for (line, limit, count) in
            [("holds", HOLDS_MAX, self.holds.len()), ("rotated", CHAIN_MAX, self.rotated.len())]
        {
            if count > limit {
                return Err(SealError::TooMany { line, limit });
            }
        }
        let Content { bytes, hash } = self.body.content;
        let mut text = parties.to_lines();
        text += &format!("name: {}\nhead: {} {}\n", self.name, head.bytes, head.hash);
        text += &format!("body: {bytes} {hash} {}\n", self.body.place);
        self.holds.iter().for_each(|holding| text += &format!("holds: {holding}\n"));
        self.rotated.iter().for_each(|statement| text += &format!("rotated: {statement}\n"));
        text += &self.first_contact.as_ref().map(FirstContact::to_lines).unwrap_or_default();
        Ok(text)
    }
}

/// The lines of a message as they were read. Nothing in them is trusted: they say whose keys to look
/// up, and [`Lines::verify`] then makes a [`Signed`] of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    pub(crate) parties: Parties,
    pub(crate) front: Front,
    pub(crate) head: Content,
    signed: SignedLines,
}

impl Lines {
    /// Reads the lines of a message up to and including the empty line, at most [`LINES_BYTES_MAX`].
    ///
    /// # Errors
    ///
    /// If they have not the only form that [`Front::seal`] writes.
    pub fn read(reader: &mut impl BufRead) -> Result<Self, SealError> {
        let signed = SignedLines::read(reader, FIRST)?;
        let mut lines = signed.cursor();
        let parties = lines.parties()?;
        let name = lines.parsed("name")?;
        let head = lines::content("head", lines.value("head")?)?;
        let body = body_statement(lines.value("body")?)?;
        let holds = lines.repeated("holds", HOLDS_MAX)?;
        let holds = holds.into_iter().map(|value| parsed("holds", value));
        let holds = holds.collect::<Result<_, _>>()?;
        let rotated = lines.rotated()?;
        let first_contact = lines.first_contact()?;
        lines.end()?;
        if head.bytes > SEALED_HEAD_BYTES_MAX {
            return Err(SealError::TooLarge { part: Part::Head, limit: SEALED_HEAD_BYTES_MAX });
        }
        let (from, to) = (parties.from.clone(), parties.to.clone());
        let front = Front { from, to, name, body, holds, rotated, first_contact };
        Ok(Self { parties, front, head, signed })
    }

    /// The sender and the addressee as the lines name them, with their keys.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// The name of the message as the lines say it.
    pub fn name(&self) -> &MessageName {
        &self.front.name
    }

    /// The body as the lines name it.
    pub fn body(&self) -> BodyStatement {
        self.front.body
    }

    /// The changes of the sender's key that the lines announce.
    pub fn rotated(&self) -> &[KeyStatement] {
        &self.front.rotated
    }

    /// The lines of a first contact, by which an invited postoffice can be admitted whose key is unknown.
    pub fn first_contact(&self) -> Option<&FirstContact> {
        self.front.first_contact.as_ref()
    }

    /// Verifies that the message is for this postoffice and signed by a key of its sender, which `sender`
    /// gives: the keys that are pinned for the postoffice that [`Lines::parties`] names.
    ///
    /// # Errors
    ///
    /// If the message is for others, or was not signed by the sender, or has a change of keys that is not
    /// accepted.
    pub fn verify(self, own: &OwnKeys, sender: &PeerKeys) -> Result<Signed, SealError> {
        let rotated = &self.front.rotated;
        let sender_keys = lines::verify(&self.signed, &self.parties, rotated, own, sender)?;
        Ok(Signed::new(self, sender_keys))
    }

    /// The size of the lines, with the signature and the empty line, in bytes. The head begins there.
    pub(crate) fn bytes(&self) -> u64 {
        self.signed.bytes()
    }
}

/// Reads `BYTES SHA256 inline|apart`.
fn body_statement(text: &str) -> Result<BodyStatement, SealError> {
    let (content, place) =
        text.rsplit_once(' ').ok_or_else(|| wrong("body", "BYTES SHA256 inline|apart is meant"))?;
    let content = lines::content("body", content)?;
    if content.bytes > BODY_BYTES_MAX {
        return Err(SealError::TooLarge { part: Part::Body, limit: BODY_BYTES_MAX });
    }
    Ok(BodyStatement { content, place: parsed("body", place)? })
}

const _: () = assert!(
    LINES_BYTES_MAX > (CHAIN_MAX * 600 + 4096) as u64,
    "the longest chain of keys leaves room for what a front holds"
);
