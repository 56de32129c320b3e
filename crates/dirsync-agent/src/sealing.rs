//! What stands between the steps and the carriers: messages are sealed before they leave, and opened by the keys
//! that are known of their sender.
//!
//! [`OwnKeys`] seals with keys. A simulation may use another [`Sealing`], which is cheaper and draws no
//! randomness; the steps are the same.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};

use dirsync_carrier::{Body, BodySpool, MessageFile};
use dirsync_directory::PostofficeName;
use dirsync_seal::{
    BODY_BYTES_MAX, BodyPlace, BodySealer, BodyStatement, Confirmed, Content, Fingerprint,
    FirstContact, Fragment, FragmentLines, Front, Holding, KeyStatement, Lines, MessageName,
    OwnKeys, PeerKeys, PublicKey, SealError, SealedBody, Signal, SignalLines,
};

use dirsync_transit::{Outbox, Piece};

use crate::peers::Peer;

/// The number of decompressed bytes of a large body that are handed over at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// The number of bytes of a file that are read at a time before its body, and of a small body.
const FRONT_BYTES: usize = 8 * 1024;

/// Seals the messages of one postoffice, and opens those that it receives.
pub trait Sealing: fmt::Debug + Send + Sync {
    /// This postoffice.
    fn name(&self) -> &PostofficeName;

    /// The keys of this postoffice, for messages to itself.
    fn as_peer(&self) -> PeerKeys;

    /// The first public key of this postoffice, which the proof of its invitation covers.
    fn first_key(&self) -> PublicKey;

    /// The own keys that a peer has confirmed after a message that it sealed to `to_key`.
    fn confirmed(&self, before: Option<Confirmed>, to_key: Fingerprint) -> Confirmed;

    /// Begins a body, with a zstd level of at most 19. Its sealed bytes go to `spool`.
    ///
    /// # Errors
    ///
    /// If the level is too high.
    fn body(&self, level: i32, spool: BodySpool) -> Result<Box<dyn BodyOutput>, SealError>;

    /// The bytes of a message up to its body.
    ///
    /// # Errors
    ///
    /// If a part is over its limit.
    fn front(&self, letter: &Letter<'_>) -> Result<Vec<u8>, SealError>;

    /// The file of a piece of a body.
    ///
    /// # Errors
    ///
    /// If a part is over its limit.
    fn piece(
        &self,
        to: &Peer,
        first_contact: Option<&FirstContact>,
        piece: &Piece,
        bytes: &[u8],
    ) -> Result<Vec<u8>, SealError>;

    /// Reads a file that may be a piece as far as nothing of it need be believed.
    ///
    /// # Errors
    ///
    /// [`SealError::OtherFile`] if it is no piece; another error if it is a damaged one.
    fn read_piece<'s>(&'s self, file: &'s [u8]) -> Result<Box<dyn SealedPiece + 's>, SealError>;

    /// The file of a signal.
    ///
    /// # Errors
    ///
    /// If a part is over its limit.
    fn signal(
        &self,
        to: &Peer,
        first_contact: Option<&FirstContact>,
        signal: &Signal,
    ) -> Result<Vec<u8>, SealError>;

    /// Reads a file that may be a signal as far as nothing of it need be believed.
    ///
    /// # Errors
    ///
    /// If the file is no signal, or is damaged.
    fn read_signal<'s>(&'s self, file: &[u8]) -> Result<Box<dyn SealedSignal + 's>, SealError>;

    /// Reads a message as far as nothing of it need be believed.
    ///
    /// # Errors
    ///
    /// If it is no such message, or cut off.
    fn read<'s>(
        &'s self,
        file: Box<dyn MessageFile>,
    ) -> Result<Box<dyn SealedMessage + 's>, SealError>;
}

/// A piece of a body that is still sealed, and whose sender is not proved.
pub trait SealedPiece {
    /// The sender that it claims to have.
    fn claim(&self) -> Claim<'_>;

    /// Opens it, if one of the keys of this sender has signed it.
    ///
    /// # Errors
    ///
    /// If it is damaged or forged, or for somebody else.
    fn open(self: Box<Self>, sender: &PeerKeys) -> Result<(Piece, Vec<u8>), SealError>;
}

/// A signal whose sender is not proved.
pub trait SealedSignal {
    /// The sender that it claims to have. Signals announce no changes of keys.
    fn claim(&self) -> Claim<'_>;

    /// Opens it, if one of the keys of this sender has signed it.
    ///
    /// # Errors
    ///
    /// If it is forged, or for somebody else.
    fn open(self: Box<Self>, sender: &PeerKeys) -> Result<Signal, SealError>;
}

/// A message that is still sealed, and whose sender is not proved.
pub trait SealedMessage: Send {
    /// The sender that it claims to have.
    fn claim(&self) -> Claim<'_>;

    /// The body that it claims to have, if that travels apart.
    fn body_apart(&self) -> Option<Content>;

    /// Opens it, if one of the keys of this sender has signed it. Nothing is decrypted before. A body that travels
    /// apart is looked for in `outbox`.
    ///
    /// # Errors
    ///
    /// If it is damaged or forged, or for somebody else.
    fn open(self: Box<Self>, sender: &PeerKeys, outbox: &Outbox) -> Result<Opened, SealError>;
}

/// What the lines of a message say of its sender. Nothing of it is proved.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The sender.
    pub from: &'a PostofficeName,
    /// The key that has signed.
    pub from_key: Fingerprint,
    /// The changes of the sender's key.
    pub rotated: &'a [KeyStatement],
    /// The proof of an invitation.
    pub first_contact: Option<&'a FirstContact>,
}

/// The content of a body is written to it.
pub trait BodyOutput: Write {
    /// The number of compressed bytes so far. Some more are held back.
    fn compressed_bytes(&self) -> u64;

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// If the body is too large, or could not be written.
    fn finish(self: Box<Self>) -> Result<CarriedBody, SealError>;
}

impl Claim<'_> {
    /// Whether it claims to be signed by one of these keys, or by one that follows them.
    pub(crate) fn is_by(&self, keys: &PeerKeys) -> bool {
        let mut followers = self.rotated.iter().map(|statement| statement.new.fingerprint());
        keys.may_sign(&self.from_key).is_some() || followers.any(|key| key == self.from_key)
    }
}

/// A message before it is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The addressee, with its keys.
    pub to: &'a Peer,
    /// The name of the message.
    pub name: &'a MessageName,
    /// The text of the head.
    pub head: &'a str,
    /// The body, which messages to others may share.
    pub body: &'a SealedBody,
    /// Whether the body follows the head, or travels apart.
    pub place: BodyPlace,
    /// The bytes that are here of bodies which the addressee sends.
    pub holds: &'a [Holding],
    /// The proof of an invitation.
    pub first_contact: Option<&'a FirstContact>,
}

/// A message that was opened. Its sender has signed it.
pub struct Opened {
    /// The sender.
    pub from: PostofficeName,
    /// The addressee, which is this postoffice.
    pub to: PostofficeName,
    /// The name of the message.
    pub name: MessageName,
    /// The text of the head.
    pub head: String,
    /// The body.
    pub body: OpenedBody,
    /// The bytes that the sender has of bodies which this postoffice sends.
    pub holds: Vec<Holding>,
    /// The size of the sealed body, in bytes.
    pub body_bytes: u64,
    /// The keys that the message shows.
    pub keys: KeysShown,
}

/// The body of a message that was opened.
pub enum OpenedBody {
    /// Its content. It ends with an error if it was altered, or grows beyond its limits.
    Here(Box<dyn BufRead + Send>),
    /// It travels apart, and is not whole here.
    OnItsWay(Content),
}

/// The keys that a message shows, once its signature was right.
#[derive(Clone, Debug)]
pub struct KeysShown {
    /// The keys of the sender after the message.
    pub sender: PeerKeys,
    /// The own key to which the message was sealed.
    pub to_key: Fingerprint,
}

impl BodyOutput for BodySealer<BodySpool> {
    fn compressed_bytes(&self) -> u64 {
        self.compressed_bytes()
    }

    fn finish(self: Box<Self>) -> Result<CarriedBody, SealError> {
        let (sealed, spool) = BodySealer::finish(*self)?;
        Ok(CarriedBody { sealed, bytes: spool.finish()? })
    }
}

impl Sealing for OwnKeys {
    fn name(&self) -> &PostofficeName {
        self.name()
    }

    fn as_peer(&self) -> PeerKeys {
        self.as_peer()
    }

    fn first_key(&self) -> PublicKey {
        self.first()
    }

    fn confirmed(&self, before: Option<Confirmed>, to_key: Fingerprint) -> Confirmed {
        Confirmed::after(before, to_key, self)
    }

    fn body(&self, level: i32, spool: BodySpool) -> Result<Box<dyn BodyOutput>, SealError> {
        Ok(Box::new(BodySealer::new(spool, level)?))
    }

    fn front(&self, letter: &Letter<'_>) -> Result<Vec<u8>, SealError> {
        let (pair, rotated) = self.signing_for(letter.to.confirmed.as_ref());
        let front = Front {
            from: self.name().clone(),
            to: letter.to.keys.name().clone(),
            name: letter.name.clone(),
            body: BodyStatement { content: letter.body.content, place: letter.place },
            holds: letter.holds.to_vec(),
            rotated: rotated.to_vec(),
            first_contact: letter.first_contact.cloned(),
        };
        front.seal(letter.head, &letter.body.key, pair, letter.to.keys.newest())
    }

    fn piece(
        &self,
        to: &Peer,
        first_contact: Option<&FirstContact>,
        piece: &Piece,
        bytes: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let (pair, rotated) = self.signing_for(to.confirmed.as_ref());
        let fragment = Fragment {
            from: self.name().clone(),
            to: to.keys.name().clone(),
            body: piece.body,
            at: piece.at,
            rotated: rotated.to_vec(),
            first_contact: first_contact.cloned(),
        };
        fragment.seal(bytes, pair, to.keys.newest())
    }

    fn read_piece<'s>(&'s self, file: &'s [u8]) -> Result<Box<dyn SealedPiece + 's>, SealError> {
        let mut rest = file;
        let lines = FragmentLines::read(&mut rest)?;
        Ok(Box::new(SealedFragment { lines, rest, own: self }))
    }

    fn signal(
        &self,
        to: &Peer,
        first_contact: Option<&FirstContact>,
        signal: &Signal,
    ) -> Result<Vec<u8>, SealError> {
        let (pair, _) = self.signing_for(to.confirmed.as_ref());
        let parties = (self.name(), to.keys.name());
        signal.seal(parties, first_contact, pair, to.keys.newest())
    }

    fn read_signal<'s>(&'s self, mut file: &[u8]) -> Result<Box<dyn SealedSignal + 's>, SealError> {
        let lines = SignalLines::read(&mut file)?;
        Ok(Box::new(SignedSignal { lines, own: self }))
    }

    fn read<'s>(
        &'s self,
        file: Box<dyn MessageFile>,
    ) -> Result<Box<dyn SealedMessage + 's>, SealError> {
        let mut file = BufReader::with_capacity(FRONT_BYTES, file);
        let lines = Lines::read(&mut file)?;
        Ok(Box::new(SealedFile { lines, file, own: self }))
    }
}

/// A piece whose lines were read.
struct SealedFragment<'a> {
    lines: FragmentLines,
    rest: &'a [u8],
    own: &'a OwnKeys,
}

impl SealedPiece for SealedFragment<'_> {
    fn claim(&self) -> Claim<'_> {
        let Self { lines, .. } = self;
        Claim {
            from: &lines.parties().from,
            from_key: lines.parties().from_key,
            rotated: lines.rotated(),
            first_contact: lines.first_contact(),
        }
    }

    fn open(self: Box<Self>, sender: &PeerKeys) -> Result<(Piece, Vec<u8>), SealError> {
        let Self { lines, mut rest, own } = *self;
        let signed = lines.verify(own, sender)?;
        let bytes = signed.read_piece(&mut rest)?;
        let (body, at) = (signed.fragment().body, signed.fragment().at);
        Ok((Piece { body, at, bytes: bytes.len() as u64 }, bytes))
    }
}

/// A signal whose lines were read.
struct SignedSignal<'a> {
    lines: SignalLines,
    own: &'a OwnKeys,
}

impl SealedSignal for SignedSignal<'_> {
    fn claim(&self) -> Claim<'_> {
        let Self { lines, .. } = self;
        Claim {
            from: &lines.parties().from,
            from_key: lines.parties().from_key,
            rotated: &[],
            first_contact: lines.first_contact(),
        }
    }

    fn open(self: Box<Self>, sender: &PeerKeys) -> Result<Signal, SealError> {
        self.lines.verify(self.own, sender)
    }
}

/// A sealed message whose lines were read.
struct SealedFile<'a> {
    lines: Lines,
    file: BufReader<Box<dyn MessageFile>>,
    own: &'a OwnKeys,
}

impl SealedMessage for SealedFile<'_> {
    fn claim(&self) -> Claim<'_> {
        let Self { lines, .. } = self;
        Claim {
            from: &lines.parties().from,
            from_key: lines.parties().from_key,
            rotated: lines.rotated(),
            first_contact: lines.first_contact(),
        }
    }

    fn body_apart(&self) -> Option<Content> {
        let BodyStatement { content, place } = self.lines.body();
        (place == BodyPlace::Apart).then_some(content)
    }

    fn open(self: Box<Self>, sender: &PeerKeys, outbox: &Outbox) -> Result<Opened, SealError> {
        let Self { lines, file, own } = *self;
        let opened = lines.verify(own, sender)?.open_head(file, own)?;
        let front = opened.signed().front().clone();
        let sender = opened.signed().sender_keys().clone();
        let keys = KeysShown { sender, to_key: opened.signed().parties().to_key };
        let head = opened.head().to_owned();
        let BodyStatement { content, place } = front.body;
        let body = match place {
            BodyPlace::Inline => here(content, opened.open_body(BODY_BYTES_MAX)?),
            BodyPlace::Apart => match outbox.open(&content) {
                Ok(Some(body)) => here(content, opened.open_body_apart(body, BODY_BYTES_MAX)?),
                // A failure here is not the message's: it stays, and is opened again.
                Ok(None) | Err(_) => OpenedBody::OnItsWay(content),
            },
        };
        Ok(Opened {
            from: front.from,
            to: front.to,
            name: front.name,
            head,
            body,
            body_bytes: content.bytes,
            holds: front.holds,
            keys,
        })
    }
}

fn here(content: Content, body: impl Read + Send + 'static) -> OpenedBody {
    let is_small = content.bytes < BUFFER_BYTES as u64;
    let buffer = if is_small { FRONT_BYTES } else { BUFFER_BYTES };
    OpenedBody::Here(Box::new(BufReader::with_capacity(buffer, body)))
}

/// A sealed body, ready to be sent.
#[derive(Clone, Debug)]
pub struct CarriedBody {
    /// Its hash and its key.
    pub sealed: SealedBody,
    /// Its bytes.
    pub bytes: Body,
}
