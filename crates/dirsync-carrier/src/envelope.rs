//! The file around a message.
//!
//! ```text
//! DIRSYNC-ENVELOPE 1
//! from: NORTH/HQ
//! to: SOUTH/SALES
//! head-bytes: 812
//! body-bytes: 10241
//! body-encoding: zstd
//! hash: 64 hexadecimal digits
//!
//! head, then body
//! ```
//!
//! The hash is keyed BLAKE3 over the lines above it, the head and the encoded body, so that a cut or
//! altered file is known before anything of it is read. Values are escaped; unknown lines are kept
//! and passed over, unless they begin with `!`: those have to be understood. That is the room for a
//! signature and a seal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use dirsync_directory::{PostofficeName, escape, unescape};
use thiserror::Error;

use crate::carrier::Outgoing;
use crate::durable::{FileError, replace_file};

const MAGIC: &str = "DIRSYNC-ENVELOPE";
const VERSION: u32 = 1;
/// Longest envelope, in bytes.
const ENVELOPE_BYTES_MAX: u64 = 64 * 1024;
/// Longest head, in bytes.
const HEAD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest body once it is decompressed, in bytes.
pub const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// A body that grows by more than this when it is decompressed is cut off...
const RATIO_MAX: u64 = 200;
/// ...once it has grown to so many bytes.
const RATIO_FROM_BYTES: u64 = 1024 * 1024;

/// Bytes that are gathered before they are compressed.
const ENCODE_BYTES: usize = 128 * 1024;

const HASH_CONTEXT: &str = "dirsync 1 hash of a message file";

/// Why a file is no message that can be taken.
#[derive(Debug, Error)]
pub enum EnvelopeError {
    /// It does not begin like a message file.
    #[error("it is no message file: it does not begin with {MAGIC}")]
    NotAMessage,
    /// It was made by a newer version of the program.
    #[error("its envelope has version {found}, this program understands {VERSION}")]
    NewerVersion {
        /// The version found.
        found: u32,
    },
    /// It has a line that has to be understood and is not.
    #[error("it has the line \"{0}\", which this version does not understand")]
    NotUnderstood(String),
    /// A line is missing or wrong.
    #[error("its envelope is wrong: {0}")]
    Wrong(String),
    /// It is shorter than it says.
    #[error("it is cut off: {have} of {need} bytes")]
    Truncated {
        /// Bytes there are.
        have: u64,
        /// Bytes it says.
        need: u64,
    },
    /// It is not what was sent.
    #[error("it was altered on its way: its hash does not match")]
    Altered,
    /// A limit is passed.
    #[error("its {0} is too large")]
    TooLarge(&'static str),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// What an envelope says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who sent it.
    pub from: PostofficeName,
    /// Whom it is for.
    pub to: PostofficeName,
    head_bytes: u64,
    body_bytes: u64,
    hash: String,
}

/// Compresses a body; what it makes can be sent to many.
pub struct BodyEncoder {
    // Transactions are small: zstd is called once for many of them.
    encoder: BufWriter<zstd::stream::write::Encoder<'static, Vec<u8>>>,
}

/// A compressed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBody(Vec<u8>);

impl EncodedBody {
    /// How many bytes it has in a file.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing; an encoded body never is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl BodyEncoder {
    /// An encoder of a zstd level.
    ///
    /// # Errors
    ///
    /// When zstd refuses the level.
    pub fn new(level: i32) -> io::Result<Self> {
        let encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
        Ok(Self { encoder: BufWriter::with_capacity(ENCODE_BYTES, encoder) })
    }

    /// Bytes that have come out so far; the encoder holds back a little.
    pub fn encoded_bytes(&self) -> u64 {
        self.encoder.get_ref().get_ref().len() as u64
    }

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// When zstd fails.
    pub fn finish(self) -> io::Result<EncodedBody> {
        let encoder = self.encoder.into_inner().map_err(io::IntoInnerError::into_error)?;
        encoder.finish().map(EncodedBody)
    }
}

impl Write for BodyEncoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A flush would end a block early and cost size; nothing reads before the end.
        Ok(())
    }
}

/// Decompresses a body within limits.
pub struct BodyDecoder {
    decoder: zstd::stream::read::Decoder<'static, BufReader<io::Take<File>>>,
    encoded_bytes: u64,
    decoded_bytes: u64,
}

impl Read for BodyDecoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.decoded_bytes += count as u64;
        let allowed = (self.encoded_bytes * RATIO_MAX).clamp(RATIO_FROM_BYTES, BODY_BYTES_MAX);
        if self.decoded_bytes > allowed {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the body grows to more than {allowed} bytes"),
            ));
        }
        Ok(count)
    }
}

/// A message file that was opened: its hash was right.
pub struct Message {
    /// What its envelope says.
    pub envelope: Envelope,
    /// Its head.
    pub head: String,
    /// Its body, decompressed as it is read.
    pub body: Box<dyn BufRead>,
}

/// The bytes of the file up to its body.
fn front(message: &Outgoing<'_>) -> Vec<u8> {
    let lines = format!(
        "{MAGIC} {VERSION}\nfrom: {}\nto: {}\nhead-bytes: {}\nbody-bytes: {}\nbody-encoding: zstd\n",
        escape(message.from.as_str()),
        escape(message.to.as_str()),
        message.head.len(),
        message.body.len(),
    );
    let mut hasher = blake3::Hasher::new_derive_key(HASH_CONTEXT);
    hasher.update(lines.as_bytes());
    hasher.update(message.head.as_bytes());
    hasher.update(&message.body.0);
    format!("{lines}hash: {}\n\n{}", hasher.finalize().to_hex(), message.head).into_bytes()
}

/// Writes a message file durably and in one step. Returns its bytes.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_message(path: &Path, message: &Outgoing<'_>) -> Result<u64, FileError> {
    let front = front(message);
    replace_file(path, |output| {
        output.write_all(&front)?;
        output.write_all(&message.body.0)
    })
}

/// The whole file in memory, for carriers that have no files.
pub(crate) fn message_bytes(message: &Outgoing<'_>) -> Vec<u8> {
    let mut bytes = front(message);
    bytes.extend_from_slice(&message.body.0);
    bytes
}

/// Opens a message file: checks all of it, then gives out its head and a reader of its body.
///
/// # Errors
///
/// See [`EnvelopeError`].
pub fn open_message(mut file: File) -> Result<Message, EnvelopeError> {
    let mut reader = BufReader::with_capacity(256 * 1024, &mut file);
    let (envelope, hashed, length) = read_envelope(&mut reader)?;
    let mut hasher = blake3::Hasher::new_derive_key(HASH_CONTEXT);
    hasher.update(hashed.as_bytes());
    let need = length + envelope.head_bytes + envelope.body_bytes;
    let have = reader.get_ref().metadata()?.len();
    if have < need {
        return Err(EnvelopeError::Truncated { have, need });
    }
    if have > need {
        return Err(EnvelopeError::Wrong(format!("{} bytes follow its end", have - need)));
    }
    // Only now: a declared size alone allocates nothing.
    let mut head = vec![0; usize::try_from(envelope.head_bytes).unwrap_or(usize::MAX)];
    reader.read_exact(&mut head)?;
    hasher.update(&head);
    hasher.update_reader(&mut reader)?;
    if hasher.finalize().to_hex().as_str() != envelope.hash {
        return Err(EnvelopeError::Altered);
    }
    let head = String::from_utf8(head)
        .map_err(|_| EnvelopeError::Wrong("its head is not UTF-8".into()))?;
    file.seek(SeekFrom::Start(length + envelope.head_bytes))?;
    let encoded_bytes = envelope.body_bytes;
    let limited = BufReader::with_capacity(128 * 1024, file.take(encoded_bytes));
    let decoder = zstd::stream::read::Decoder::with_buffer(limited)?;
    let body = BodyDecoder { decoder, encoded_bytes, decoded_bytes: 0 };
    Ok(Message { envelope, head, body: Box::new(BufReader::with_capacity(256 * 1024, body)) })
}

/// The envelope, the text that the hash covers, and the bytes of both with the empty line.
fn read_envelope(reader: &mut impl BufRead) -> Result<(Envelope, String, u64), EnvelopeError> {
    let mut reader = reader.take(ENVELOPE_BYTES_MAX);
    let mut hashed = String::new();
    let mut length = 0;
    let (mut from, mut to, mut head_bytes, mut body_bytes, mut hash) =
        (None, None, None, None, None);
    for number in 0.. {
        let mut line = Vec::new();
        length += reader.read_until(b'\n', &mut line)? as u64;
        if line.pop() != Some(b'\n') {
            let magic = format!("{MAGIC} {VERSION}");
            return if number == 0 && !magic.as_bytes().starts_with(&line) {
                Err(EnvelopeError::NotAMessage)
            } else if length >= ENVELOPE_BYTES_MAX {
                Err(EnvelopeError::TooLarge("envelope"))
            } else {
                Err(EnvelopeError::Truncated { have: length, need: length + 1 })
            };
        }
        let line = String::from_utf8(line).map_err(|_| EnvelopeError::NotAMessage)?;
        if number == 0 {
            check_version(&line)?;
        } else if line.is_empty() {
            break;
        } else if line.starts_with('!') {
            return Err(EnvelopeError::NotUnderstood(line));
        }
        if let Some(value) = line.strip_prefix("hash: ") {
            hash = Some(value.to_owned());
            continue;
        }
        hashed.push_str(&line);
        hashed.push('\n');
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name {
            "from" => from = Some(postoffice(value)?),
            "to" => to = Some(postoffice(value)?),
            "head-bytes" => head_bytes = Some(count(value)?),
            "body-bytes" => body_bytes = Some(count(value)?),
            "body-encoding" if value != "zstd" => {
                return Err(EnvelopeError::NotUnderstood(line));
            }
            _ => {}
        }
    }
    let missing = |name: &str| EnvelopeError::Wrong(format!("the line \"{name}\" is missing"));
    let envelope = Envelope {
        from: from.ok_or_else(|| missing("from"))?,
        to: to.ok_or_else(|| missing("to"))?,
        head_bytes: head_bytes.ok_or_else(|| missing("head-bytes"))?,
        body_bytes: body_bytes.ok_or_else(|| missing("body-bytes"))?,
        hash: hash.ok_or_else(|| missing("hash"))?,
    };
    if envelope.head_bytes > HEAD_BYTES_MAX {
        return Err(EnvelopeError::TooLarge("head"));
    }
    if envelope.body_bytes > BODY_BYTES_MAX {
        return Err(EnvelopeError::TooLarge("body"));
    }
    Ok((envelope, hashed, length))
}

fn check_version(line: &str) -> Result<(), EnvelopeError> {
    let version = line.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(' '));
    let found: u32 =
        version.and_then(|text| text.parse().ok()).ok_or(EnvelopeError::NotAMessage)?;
    if found == VERSION { Ok(()) } else { Err(EnvelopeError::NewerVersion { found }) }
}

fn postoffice(value: &str) -> Result<PostofficeName, EnvelopeError> {
    let text = unescape(value).ok_or_else(|| EnvelopeError::Wrong("a wrong escape".into()))?;
    text.parse().map_err(|error| EnvelopeError::Wrong(format!("{error}")))
}

fn count(value: &str) -> Result<u64, EnvelopeError> {
    value.parse().map_err(|_| EnvelopeError::Wrong(format!("\"{value}\" is not a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(body: &[u8]) -> EncodedBody {
        let mut encoder = BodyEncoder::new(3).unwrap();
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn sample() -> Vec<u8> {
        let (from, to) = ("NORTH/HQ".parse().unwrap(), "SOUTH/SALES".parse().unwrap());
        let body = encoded(b"the body\n");
        message_bytes(&Outgoing {
            from: &from,
            to: &to,
            epoch: "e",
            number: 1,
            part: 1,
            head: "[DIRSYNC]\n",
            body: &body,
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let mut message = open_message(file_of(&sample())).unwrap();
        assert_eq!(message.envelope.to.to_string(), "SOUTH/SALES");
        assert_eq!(message.head, "[DIRSYNC]\n");
        let mut body = String::new();
        message.body.read_to_string(&mut body).unwrap();
        assert_eq!(body, "the body\n");
    }

    /// `failure-stories` §7: a file cut anywhere is never taken.
    #[test]
    fn every_cut_is_noticed() {
        let whole = sample();
        for length in 0..whole.len() {
            let error = open_message(file_of(&whole[..length])).err();
            let error = error.unwrap_or_else(|| panic!("cut at {length} was taken"));
            let known = matches!(error, EnvelopeError::Truncated { .. });
            assert!(known, "cut at {length}: {error}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let whole = sample();
        for byte in 0..whole.len() {
            for bit in 0..8 {
                let mut altered = whole.clone();
                altered[byte] ^= 1 << bit;
                assert!(open_message(file_of(&altered)).is_err(), "byte {byte} bit {bit}");
            }
        }
    }

    /// `failure-stories` §12: a few kilobytes that ask for gigabytes.
    #[test]
    fn bomb_is_cut_off() {
        let (from, to) = ("NORTH/HQ".parse().unwrap(), "SOUTH/SALES".parse().unwrap());
        let body = encoded(&vec![b'a'; 64 * 1024 * 1024]);
        assert!(body.len() < 64 * 1024, "it is a bomb");
        let outgoing = Outgoing {
            from: &from,
            to: &to,
            epoch: "e",
            number: 1,
            part: 1,
            head: "",
            body: &body,
        };
        let mut message = open_message(file_of(&message_bytes(&outgoing))).unwrap();
        let mut read = Vec::new();
        let error = message.body.read_to_end(&mut read).unwrap_err();
        assert!(error.to_string().contains("grows"), "{error}");
        assert!(read.len() < 16 * 1024 * 1024, "{} bytes came through", read.len());
    }

    #[test]
    fn declared_sizes_allocate_nothing() {
        let text = "DIRSYNC-ENVELOPE 1\nfrom: A/B\nto: C/D\nhead-bytes: 60000000\n\
                    body-bytes: 4000000000\nhash: 00\n\nx";
        let error = open_message(file_of(text.as_bytes())).err().unwrap();
        assert!(matches!(error, EnvelopeError::Truncated { .. }), "{error}");
    }

    #[test]
    fn what_must_be_understood_is_refused() {
        let text = String::from_utf8_lossy(&sample()).replace("to: ", "!sealed: age\nto: ");
        let error = open_message(file_of(text.as_bytes())).err().unwrap();
        assert!(matches!(error, EnvelopeError::NotUnderstood(_)), "{error}");
        let newer = String::from_utf8_lossy(&sample()).replace("ENVELOPE 1", "ENVELOPE 2");
        let error = open_message(file_of(newer.as_bytes())).err().unwrap();
        assert!(matches!(error, EnvelopeError::NewerVersion { found: 2 }), "{error}");
    }
}
