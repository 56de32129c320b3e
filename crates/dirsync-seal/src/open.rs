//! Opening a message, in the order of work that keeps forgeries cheap: the signature, the hashes, then
//! decryption, then decompression. Each step returns the type that the next one needs.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};

use dirsync_directory::PostofficeName;

use crate::age_file::{self, HeadText};
use crate::body::{BodyKey, BodyReader};
use crate::envelope::{BodyPlace, BodyStatement, Front, Lines, MessageName};
use crate::error::{Part, SealError};
use crate::hash::Content;
use crate::lines::Parties;
use crate::rotation::{OwnKeys, PeerKeys};

/// A message whose lines were signed by its sender for this postoffice. Its content is still sealed, and
/// may be damaged.
#[derive(Debug)]
pub struct Signed {
    lines: Lines,
    sender_keys: PeerKeys,
}

impl Signed {
    pub(crate) fn new(lines: Lines, sender_keys: PeerKeys) -> Self {
        Self { lines, sender_keys }
    }

    /// The front of the message.
    pub fn front(&self) -> &Front {
        &self.lines.front
    }

    /// The sender and the addressee, with their keys. That of the addressee is the one that the sender
    /// has confirmed ([`OwnKeys::signing_for`]).
    pub fn parties(&self) -> &Parties {
        &self.lines.parties
    }

    /// The keys of the sender after this message: the signing key is pinned, and what its lines announce
    /// follows. They are to be kept when the message is taken, in the same transaction.
    pub fn sender_keys(&self) -> &PeerKeys {
        &self.sender_keys
    }

    /// Checks the hashes of everything in the file, then decrypts the head. The file is the one from whose
    /// beginning the lines were read.
    ///
    /// # Errors
    ///
    /// If the file has another size than its lines state, or a hash is wrong, and only then if the head
    /// cannot be decrypted.
    pub fn open_head<R: Read + Seek>(
        self,
        mut file: R,
        own: &OwnKeys,
    ) -> Result<OpenedHead<R>, SealError> {
        let (head, body) = (self.lines.head, self.front().body);
        let body_at = self.lines.bytes() + head.bytes;
        let need = match body.place {
            BodyPlace::Inline => body_at + body.content.bytes,
            BodyPlace::Apart => body_at,
        };
        check_size(&mut file, need)?;
        file.seek(SeekFrom::Start(self.lines.bytes()))?;
        // Allocated only now that the file is known to be this large.
        let room = usize::try_from(head.bytes).unwrap_or(0);
        let mut sealed = Vec::with_capacity(room);
        (&mut file).take(head.bytes).read_to_end(&mut sealed)?;
        if Content::of(&sealed) != head {
            return Err(SealError::WrongHash(Part::Head));
        }
        if body.place == BodyPlace::Inline {
            check_hash(&mut file, body.content)?;
        }
        let to_key = &self.lines.parties.to_key;
        let pair = own.pair(to_key).ok_or(SealError::OtherAddresseeKey(*to_key))?;
        let (body_key, text) = age_file::open_head(&sealed, head, pair)?;
        Ok(OpenedHead { signed: self, text, body_key, file, body_at })
    }
}

fn check_size(file: &mut impl Seek, need: u64) -> Result<(), SealError> {
    let have = file.seek(SeekFrom::End(0))?;
    if have < need {
        Err(SealError::CutOff { have, need })
    } else if have > need {
        Err(SealError::Trailing)
    } else {
        Ok(())
    }
}

/// Checks a body that starts where the file stands and is as long as it should be.
fn check_hash(file: &mut impl Read, content: Content) -> Result<(), SealError> {
    match content.is_next_in(file)? {
        Some(true) => Ok(()),
        _ => Err(SealError::WrongHash(Part::Body)),
    }
}

/// A message whose head is decrypted. Its body is still sealed.
pub struct OpenedHead<R> {
    signed: Signed,
    text: HeadText,
    body_key: BodyKey,
    file: R,
    body_at: u64,
}

impl<R> OpenedHead<R> {
    /// The text of the head. It is believed only as far as [`OpenedHead::check`] finds that it agrees with
    /// the lines.
    pub fn head(&self) -> &str {
        self.text.as_str()
    }

    /// The signed lines.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// The body, as the lines name it.
    pub fn body(&self) -> BodyStatement {
        self.signed.front().body
    }

    /// Checks that the head says the same as the lines. Otherwise a peer could sign a message under one
    /// name, and have it counted under another.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn check(
        &self,
        from: &PostofficeName,
        to: &PostofficeName,
        name: &MessageName,
    ) -> Result<(), SealError> {
        let front = self.signed.front();
        let disagreement = match () {
            () if *from != front.from => "sender",
            () if *to != front.to => "addressee",
            () if *name != front.name => "name of the message",
            () => return Ok(()),
        };
        Err(SealError::Disagrees(disagreement))
    }

    /// Opens a body that travelled apart. Its hash is checked before it is decrypted. It may be up to
    /// `bytes_max` bytes large when it is opened.
    ///
    /// # Errors
    ///
    /// If the body is inline, or has another size or hash, or cannot be decrypted.
    pub fn open_body_apart<B: Read + Seek>(
        &self,
        mut body: B,
        bytes_max: u64,
    ) -> Result<BodyReader<B>, SealError> {
        let BodyStatement { content, place } = self.body();
        if place == BodyPlace::Inline {
            return Err(SealError::BodyIs(place));
        }
        check_size(&mut body, content.bytes)?;
        body.rewind()?;
        check_hash(&mut body, content)?;
        body.rewind()?;
        BodyReader::new(body, content, &self.body_key, bytes_max)
    }
}

impl<R: Read + Seek> OpenedHead<R> {
    /// Opens the inline body, whose hash was checked before the head was decrypted. It may be up to
    /// `bytes_max` bytes large when it is opened.
    ///
    /// # Errors
    ///
    /// If the body travels apart, or cannot be decrypted.
    pub fn open_body(mut self, bytes_max: u64) -> Result<BodyReader<R>, SealError> {
        let BodyStatement { content, place } = self.body();
        if place == BodyPlace::Apart {
            return Err(SealError::BodyIs(place));
        }
        self.file.seek(SeekFrom::Start(self.body_at))?;
        BodyReader::new(self.file, content, &self.body_key, bytes_max)
    }
}

/// Prints the lines, and nothing that was encrypted.
impl<R> fmt::Debug for OpenedHead<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedHead").field("signed", &self.signed).finish_non_exhaustive()
    }
}
