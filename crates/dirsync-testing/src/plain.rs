//! Messages that are not sealed, for tests and simulations: the same content gives the same bytes, and no time
//! is spent on encryption. The program makes no such messages, and refuses them.
//!
//! ```text
//! DIRSYNC-PLAIN
//! from: NORTH/HQ
//! to: SOUTH/SALES
//! name: EPOCH NUMBER PART
//! head: BYTES
//! body: BYTES SHA256 inline|apart
//! holds: SHA256 FIRST-LAST,…    any number of lines
//! key: ssh-ed25519 …            at first contact
//! admission: PROOF              at first contact
//! hash: …                       of the lines above and the head
//!
//! head, then the body as a zstd frame
//! ```

use std::io::{self, BufReader, Cursor, Read, Write};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use dirsync_agent::peers::Peer;
use dirsync_agent::sealing::{
    BodyOutput, CarriedBody, Claim, KeysShown, Letter, Opened, OpenedBody, SealedMessage,
    SealedPiece, SealedSignal, Sealing,
};
use dirsync_carrier::{BodySpool, MessageFile};
use dirsync_directory::PostofficeName;
use dirsync_seal::{
    BodyKey, BodyPlace, BodySealer, BodyStatement, Confirmed, Content, Fingerprint, FirstContact,
    Holding, MessageName, OwnKeys, Part, PeerKeys, PublicKey, SealError, SealedBody, Signal,
};

use dirsync_transit::{Outbox, Piece};

use crate::keys::key_of;

const FIRST: &str = "DIRSYNC-PLAIN\n";
const SIGNAL: &str = "DIRSYNC-PLAIN-SIGNAL\n";
const PIECE: &str = "DIRSYNC-PLAIN-PIECE\n";

/// Writes and reads messages that are not sealed.
#[derive(Clone, Debug)]
pub struct PlainSealing(pub Arc<OwnKeys>);

/// A plain message as it was read.
pub(crate) struct PlainMessage {
    pub from: PostofficeName,
    pub to: PostofficeName,
    pub name: MessageName,
    pub first_contact: Option<FirstContact>,
    pub head: String,
    /// The body's size and hash, and where it travels.
    pub statement: BodyStatement,
    pub holds: Vec<Holding>,
    /// The zstd frame, or nothing if it travels apart.
    pub body: Vec<u8>,
}

/// The lines of a plain message, one after the other.
struct Reader<'t>(std::iter::Peekable<std::str::Split<'t, char>>);

impl<'t> Reader<'t> {
    fn value(&mut self, name: &'static str) -> Result<&'t str, SealError> {
        let line = self.0.next_if(|line| line.starts_with(name));
        let value = line.and_then(|line| line[name.len()..].strip_prefix(": "));
        value.ok_or_else(|| wrong(name))
    }

    fn parsed<T: FromStr>(&mut self, name: &'static str) -> Result<T, SealError> {
        self.value(name)?.parse().map_err(|_| wrong(name))
    }
}

fn wrong(line: &'static str) -> SealError {
    SealError::WrongLine { line, reason: "it is not that of a plain message".into() }
}

impl PlainMessage {
    /// Reads a whole message.
    pub(crate) fn read(file: &[u8]) -> Result<Self, SealError> {
        let cut = |need: usize| SealError::CutOff { have: file.len() as u64, need: need as u64 };
        let Some(rest) = file.strip_prefix(FIRST.as_bytes()) else {
            let is_begun = FIRST.as_bytes().starts_with(file);
            return Err(if is_begun {
                cut(FIRST.len())
            } else {
                SealError::OtherFile("DIRSYNC-PLAIN")
            });
        };
        let end =
            rest.windows(2).position(|two| two == b"\n\n").ok_or_else(|| cut(file.len() + 1))?;
        let text = std::str::from_utf8(&rest[..end]).map_err(|_| wrong("from"))?;
        let mut lines = Reader(text.split('\n').peekable());
        let (from, to, name) = (lines.parsed("from")?, lines.parsed("to")?, lines.parsed("name")?);
        let head_bytes: usize = lines.parsed("head")?;
        let statement = body_statement(lines.value("body")?).ok_or_else(|| wrong("body"))?;
        let is_inline = statement.place == BodyPlace::Inline;
        let body_bytes = if is_inline { statement.content.bytes as usize } else { 0 };
        let mut holds = Vec::new();
        while let Ok(holding) = lines.value("holds") {
            holds.push(holding.parse().map_err(|_| wrong("holds"))?);
        }
        let first_contact = match lines.value("key") {
            Ok(key) => FirstContact::new(key.parse()?, lines.value("admission")?),
            Err(_) => None,
        };
        let hash = lines.value("hash")?;
        let content = &rest[end + 2..];
        let whole = head_bytes.saturating_add(body_bytes);
        if content.len() < whole {
            return Err(cut((file.len() - content.len()).saturating_add(whole)));
        } else if content.len() > whole {
            return Err(SealError::Trailing);
        }
        let (head, body) = content.split_at(head_bytes);
        let hashed = &file[..FIRST.len() + end - hash.len() - "hash: ".len()];
        if hash_of(hashed, head) != hash {
            return Err(SealError::WrongHash(Part::Head));
        } else if is_inline && Content::of(body) != statement.content {
            return Err(SealError::WrongHash(Part::Body));
        }
        let head = String::from_utf8(head.to_vec()).map_err(|_| SealError::WrongHead)?;
        Ok(Self { from, to, name, first_contact, head, statement, holds, body: body.to_vec() })
    }
}

fn body_statement(text: &str) -> Option<BodyStatement> {
    let mut words = text.split(' ');
    let (bytes, hash) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let place = words.next()?.parse().ok()?;
    Some(BodyStatement { content: Content { bytes, hash }, place })
}

/// The bytes of a plain message up to its body.
pub(crate) fn front(
    from: &PostofficeName,
    to: &PostofficeName,
    name: &MessageName,
    first_contact: Option<&FirstContact>,
    (head, body, place): (&str, Content, BodyPlace),
    holds: &[Holding],
) -> Vec<u8> {
    let holds: String = holds.iter().map(|holding| format!("holds: {holding}\n")).collect();
    let contact = first_contact.map(FirstContact::to_lines).unwrap_or_default();
    let lines = format!(
        "{FIRST}from: {from}\nto: {to}\nname: {name}\nhead: {}\nbody: {} {} {place}\n{holds}{contact}",
        head.len(),
        body.bytes,
        body.hash,
    );
    let hash = hash_of(lines.as_bytes(), head.as_bytes());
    format!("{lines}hash: {hash}\n\n{head}").into_bytes()
}

/// A body as a zstd frame.
pub(crate) fn encoded(body: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(body, 1).expect("it is in memory")
}

fn hash_of(lines: &[u8], head: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(lines).update(head);
    hasher.finalize().to_hex().to_string()
}

/// A key that every body is said to have.
fn body_key() -> BodyKey {
    static KEY: OnceLock<BodyKey> = OnceLock::new();
    let any = || BodySealer::new(io::sink(), 1).and_then(BodySealer::finish).expect("it is empty");
    KEY.get_or_init(|| any().0.key).clone()
}

struct PlainBody(zstd::stream::write::Encoder<'static, BodySpool>);

impl Write for PlainBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BodyOutput for PlainBody {
    fn compressed_bytes(&self) -> u64 {
        self.0.get_ref().bytes()
    }

    fn finish(self: Box<Self>) -> Result<CarriedBody, SealError> {
        let bytes = self.0.finish()?.finish()?;
        let mut content = Vec::new();
        bytes.write_to(&mut content)?;
        Ok(CarriedBody {
            sealed: SealedBody { content: Content::of(&content), key: body_key() },
            bytes,
        })
    }
}

impl Sealing for PlainSealing {
    fn name(&self) -> &PostofficeName {
        self.0.name()
    }

    fn as_peer(&self) -> PeerKeys {
        self.0.as_peer()
    }

    fn first_key(&self) -> PublicKey {
        self.0.first()
    }

    fn confirmed(&self, _: Option<Confirmed>, to_key: Fingerprint) -> Confirmed {
        Confirmed { newest: to_key, last: to_key }
    }

    fn body(&self, level: i32, spool: BodySpool) -> Result<Box<dyn BodyOutput>, SealError> {
        Ok(Box::new(PlainBody(zstd::stream::write::Encoder::new(spool, level)?)))
    }

    fn front(&self, letter: &Letter<'_>) -> Result<Vec<u8>, SealError> {
        let Letter { to, name, head, body, place, holds, first_contact } = *letter;
        let content = (head, body.content, place);
        Ok(front(self.0.name(), to.keys.name(), name, first_contact, content, holds))
    }

    fn piece(
        &self,
        to: &Peer,
        first_contact: Option<&FirstContact>,
        piece: &Piece,
        bytes: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let (from, to, Content { bytes: size, hash }) = (self.0.name(), to.keys.name(), piece.body);
        let contact = first_contact.map(FirstContact::to_lines).unwrap_or_default();
        let at = piece.at;
        let lines =
            format!("{PIECE}from: {from}\nto: {to}\nbody: {size} {hash}\nat: {at}\n{contact}");
        let hash = hash_of(lines.as_bytes(), bytes);
        Ok([format!("{lines}hash: {hash}\n\n").as_bytes(), bytes].concat())
    }

    fn read_piece<'s>(&'s self, file: &'s [u8]) -> Result<Box<dyn SealedPiece + 's>, SealError> {
        let other = || SealError::OtherFile("DIRSYNC-PLAIN-PIECE");
        let rest = file.strip_prefix(PIECE.as_bytes()).ok_or_else(other)?;
        let end = rest.windows(2).position(|two| two == b"\n\n").ok_or_else(other)?;
        let text = std::str::from_utf8(&rest[..end]).map_err(|_| other())?;
        let mut lines = Reader(text.split('\n').peekable());
        let (from, to): (PostofficeName, PostofficeName) =
            (lines.parsed("from")?, lines.parsed("to")?);
        let (size, hash) = lines.value("body")?.split_once(' ').ok_or_else(|| wrong("body"))?;
        let size = size.parse().map_err(|_| wrong("body"))?;
        let body = Content { bytes: size, hash: hash.parse().map_err(|_| wrong("body"))? };
        let at = lines.parsed("at")?;
        let first_contact = match lines.value("key") {
            Ok(key) => FirstContact::new(key.parse()?, lines.value("admission")?),
            Err(_) => None,
        };
        let hash = lines.value("hash")?;
        let bytes = &rest[end + 2..];
        let hashed = &file[..PIECE.len() + end - hash.len() - "hash: ".len()];
        if hash_of(hashed, bytes) != hash {
            return Err(SealError::WrongHash(Part::Piece));
        } else if to != *self.0.name() {
            return Err(SealError::OtherAddressee(to));
        }
        let piece = Piece { body, at, bytes: bytes.len() as u64 };
        Ok(Box::new(PlainPiece { from, first_contact, piece, bytes: bytes.to_vec() }))
    }

    fn signal(
        &self,
        to: &Peer,
        first_contact: Option<&FirstContact>,
        signal: &Signal,
    ) -> Result<Vec<u8>, SealError> {
        let (from, to) = (self.0.name(), to.keys.name());
        let contact = first_contact.map(FirstContact::to_lines).unwrap_or_default();
        Ok(format!("{SIGNAL}from: {from}\nto: {to}\n{contact}\n{}", signal.to_lines()).into_bytes())
    }

    fn read_signal<'s>(&'s self, file: &[u8]) -> Result<Box<dyn SealedSignal + 's>, SealError> {
        let other = || SealError::OtherFile("DIRSYNC-PLAIN-SIGNAL");
        let text = std::str::from_utf8(file).map_err(|_| other())?;
        let (lines, signal) =
            text.strip_prefix(SIGNAL).and_then(|text| text.split_once("\n\n")).ok_or_else(other)?;
        let mut lines = Reader(lines.split('\n').peekable());
        let (from, to): (PostofficeName, PostofficeName) =
            (lines.parsed("from")?, lines.parsed("to")?);
        if to != *self.0.name() {
            return Err(SealError::OtherAddressee(to));
        }
        let first_contact = match lines.value("key") {
            Ok(key) => FirstContact::new(key.parse()?, lines.value("admission")?),
            Err(_) => None,
        };
        Ok(Box::new(PlainSignal { from, first_contact, signal: Signal::from_lines(signal)? }))
    }

    fn read<'s>(
        &'s self,
        mut file: Box<dyn MessageFile>,
    ) -> Result<Box<dyn SealedMessage + 's>, SealError> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let message = PlainMessage::read(&bytes)?;
        if message.to != *self.0.name() {
            return Err(SealError::OtherAddressee(message.to));
        }
        Ok(Box::new(Arriving { message, own: &self.0 }))
    }
}

/// A plain piece that has arrived.
struct PlainPiece {
    from: PostofficeName,
    first_contact: Option<FirstContact>,
    piece: Piece,
    bytes: Vec<u8>,
}

impl SealedPiece for PlainPiece {
    fn claim(&self) -> Claim<'_> {
        let Self { from, first_contact, .. } = self;
        let from_key = key_of(from).fingerprint();
        Claim { from, from_key, rotated: &[], first_contact: first_contact.as_ref() }
    }

    fn open(self: Box<Self>, _: &PeerKeys) -> Result<(Piece, Vec<u8>), SealError> {
        Ok((self.piece, self.bytes))
    }
}

/// A plain signal that has arrived.
struct PlainSignal {
    from: PostofficeName,
    first_contact: Option<FirstContact>,
    signal: Signal,
}

impl SealedSignal for PlainSignal {
    fn claim(&self) -> Claim<'_> {
        let Self { from, first_contact, .. } = self;
        let from_key = key_of(from).fingerprint();
        Claim { from, from_key, rotated: &[], first_contact: first_contact.as_ref() }
    }

    fn open(self: Box<Self>, _: &PeerKeys) -> Result<Signal, SealError> {
        Ok(self.signal)
    }
}

/// A plain message that has arrived.
struct Arriving<'a> {
    message: PlainMessage,
    own: &'a OwnKeys,
}

impl SealedMessage for Arriving<'_> {
    /// The keys of tests derive from names, so the message need not say them.
    fn claim(&self) -> Claim<'_> {
        let PlainMessage { from, first_contact, .. } = &self.message;
        let from_key = key_of(from).fingerprint();
        Claim { from, from_key, rotated: &[], first_contact: first_contact.as_ref() }
    }

    fn body_apart(&self) -> Option<Content> {
        let BodyStatement { content, place } = self.message.statement;
        (place == BodyPlace::Apart).then_some(content)
    }

    fn open(self: Box<Self>, sender: &PeerKeys, outbox: &Outbox) -> Result<Opened, SealError> {
        let PlainMessage { from, to, name, head, statement, holds, body, .. } = self.message;
        let content = statement.content;
        let file: Option<Box<dyn MessageFile>> = match statement.place {
            BodyPlace::Inline => Some(Box::new(Cursor::new(body))),
            BodyPlace::Apart => outbox.open(&content).expect("it is in memory"),
        };
        let body = match file {
            None => OpenedBody::OnItsWay(content),
            Some(file) => {
                let decoder = zstd::stream::read::Decoder::new(file)?;
                OpenedBody::Here(Box::new(BufReader::new(decoder)))
            }
        };
        let body_bytes = content.bytes;
        let keys = KeysShown { sender: sender.clone(), to_key: self.own.first().fingerprint() };
        Ok(Opened { from, to, name, head, body, holds, body_bytes, keys })
    }
}
