//! The envelope: the file around a message.
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
//! The hash is keyed BLAKE3 over the lines above it, the head and the encoded body, so that a
//! truncated or altered file is detected before anything of it is used. The body is checked once
//! more while it is read, because files on shares can be rewritten in between.
//!
//! Each line occurs once, and values are escaped. Unknown lines are skipped, unless they begin with `!`,
//! which means that a reader has to understand them. A later version can so add a signature or a seal.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use dirsync_directory::{PostofficeName, escape, unescape};
use thiserror::Error;

use crate::body::{BODY_BYTES_MAX, BodyDecoder, CheckedFile};
use crate::carrier::Outgoing;
use crate::durable::{FileError, write_shared_file};

const MAGIC: &str = "DIRSYNC-ENVELOPE";
const VERSION: u32 = 1;
/// The largest envelope, in bytes.
const ENVELOPE_BYTES_MAX: u64 = 64 * 1024;
/// The largest head, in bytes.
const HEAD_BYTES_MAX: u64 = dirsync_message::HEAD_BYTES_MAX as u64;
const HASH_CONTEXT: &str = "dirsync 1 hash of a message file";

/// Why a file cannot be taken as a message.
#[derive(Debug, Error)]
pub enum EnvelopeError {
    /// The file does not begin like a message file.
    #[error("it is not a message file: it does not begin with {MAGIC}")]
    NotAMessage,
    /// The file was made by a newer version of the program.
    #[error(
        "its envelope has version {found}, but this program understands only {VERSION}: update this program"
    )]
    NewerVersion {
        /// The version found.
        found: u32,
    },
    /// The envelope has an unknown line that a reader has to understand.
    #[error("it has the line \"{0}\", which this version does not understand: update this program")]
    NotUnderstood(String),
    /// A line is missing or wrong.
    #[error("its envelope is wrong: {0}")]
    Wrong(String),
    /// The file is shorter than its envelope states.
    #[error("it is cut off: {have} of {need} bytes are there")]
    Truncated {
        /// The size of the file.
        have: u64,
        /// The size that the envelope states.
        need: u64,
    },
    /// The hash does not match the content.
    #[error("it was altered on its way: its hash does not match")]
    Altered,
    /// A part of the file is over its limit.
    #[error("its {0} is too large")]
    TooLarge(&'static str),
    /// Reading the file failed.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// The content of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender.
    pub from: PostofficeName,
    /// The addressee.
    pub to: PostofficeName,
    head_bytes: u64,
    body_bytes: u64,
    hash: String,
}

/// An open message file, whose hash was right.
pub struct Message {
    /// The envelope.
    pub envelope: Envelope,
    /// The text of the head.
    pub head: String,
    /// The body, which is decompressed as it is read.
    pub body: Box<dyn BufRead + Send>,
}

/// The lines of the envelope above its hash.
fn lines(message: &Outgoing<'_>) -> String {
    format!(
        "{MAGIC} {VERSION}\nfrom: {}\nto: {}\nhead-bytes: {}\nbody-bytes: {}\nbody-encoding: zstd\n",
        escape(message.from.as_str()),
        escape(message.to.as_str()),
        message.head.len(),
        message.body.len(),
    )
}

fn hash(lines: &str, message: &Outgoing<'_>) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(HASH_CONTEXT);
    hasher.update(lines.as_bytes());
    hasher.update(message.head.as_bytes());
    hasher.update(&message.body.0);
    hasher.finalize().to_hex().to_string()
}

/// The bytes of the file up to its body.
fn front(message: &Outgoing<'_>) -> Vec<u8> {
    let lines = lines(message);
    format!("{lines}hash: {}\n\n{}", hash(&lines, message), message.head).into_bytes()
}

/// Writes a message file durably and in one step. Returns its size in bytes.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_message(path: &Path, message: &Outgoing<'_>) -> Result<u64, FileError> {
    let front = front(message);
    write_shared_file(path, |output| {
        output.write_all(&front)?;
        output.write_all(&message.body.0)
    })
    .map_err(|error| error.with_bytes((front.len() + message.body.len()) as u64))
}

/// The bytes of a message file, for carriers without files.
pub fn message_bytes(message: &Outgoing<'_>) -> Vec<u8> {
    let mut bytes = front(message);
    bytes.extend_from_slice(&message.body.0);
    bytes
}

/// Opens a message file. The whole file is read and checked before its head and body are returned.
///
/// # Errors
///
/// See [`EnvelopeError`].
pub fn open_message(file: impl Read + Seek + Send + 'static) -> Result<Message, EnvelopeError> {
    open_message_within(file, BODY_BYTES_MAX)
}

/// As [`open_message`], with another limit for the decompressed body.
///
/// # Errors
///
/// See [`EnvelopeError`].
pub fn open_message_within(
    mut file: impl Read + Seek + Send + 'static,
    body_bytes_max: u64,
) -> Result<Message, EnvelopeError> {
    let have = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut reader = BufReader::with_capacity(256 * 1024, &mut file);
    let (envelope, hashed, length) = read_envelope(&mut reader)?;
    let need = length + envelope.head_bytes + envelope.body_bytes;
    if have < need {
        return Err(EnvelopeError::Truncated { have, need });
    }
    if have > need {
        return Err(EnvelopeError::Wrong(format!("{} bytes follow its end", have - need)));
    }
    // Allocated only now that the file is known to be this large.
    let mut head = vec![0; usize::try_from(envelope.head_bytes).unwrap_or(usize::MAX)];
    reader.read_exact(&mut head)?;
    let mut hasher = blake3::Hasher::new_derive_key(HASH_CONTEXT);
    hasher.update(hashed.as_bytes());
    hasher.update(&head);
    let before_body = hasher.clone();
    hasher.update_reader(&mut reader)?;
    if hasher.finalize().to_hex().as_str() != envelope.hash {
        return Err(EnvelopeError::Altered);
    }
    let head = String::from_utf8(head)
        .map_err(|_| EnvelopeError::Wrong("its head is not UTF-8".into()))?;
    file.seek(SeekFrom::Start(length + envelope.head_bytes))?;
    let file: Box<dyn Read + Send> = Box::new(file);
    let encoded = CheckedFile {
        file: file.take(envelope.body_bytes),
        hasher: before_body,
        hash: envelope.hash.clone(),
    };
    let body = BodyDecoder::new(encoded, body_bytes_max)?;
    Ok(Message { envelope, head, body: Box::new(BufReader::with_capacity(256 * 1024, body)) })
}

impl Message {
    /// The size of the compressed body in the file, in bytes.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.envelope.body_bytes
    }
}

/// Reads the envelope. Returns it with the text that its hash covers, and its size including the
/// empty line.
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
            once(&mut hash, "hash", value.to_owned())?;
            continue;
        }
        hashed.push_str(&line);
        hashed.push('\n');
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name {
            "from" => once(&mut from, name, postoffice(value)?)?,
            "to" => once(&mut to, name, postoffice(value)?)?,
            "head-bytes" => once(&mut head_bytes, name, count(value)?)?,
            "body-bytes" => once(&mut body_bytes, name, count(value)?)?,
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

/// Stores the value of a line, and refuses a second one. Otherwise two readers could see different
/// senders or lengths in the same file.
fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), EnvelopeError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(EnvelopeError::Wrong(format!("the line \"{name}\" is duplicated"))),
    }
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
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::body::{BodyEncoder, EncodedBody, LEVEL_MAX, WINDOW_LOG_MAX};

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

    /// `docs/failure-stories.md` §7: a truncated file is never taken, wherever it ends.
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

    fn message_of(body: &EncodedBody) -> Vec<u8> {
        let (from, to) = ("NORTH/HQ".parse().unwrap(), "SOUTH/SALES".parse().unwrap());
        let (epoch, number, part, head) = ("e", 1, 1, "");
        message_bytes(&Outgoing { from: &from, to: &to, epoch, number, part, head, body })
    }

    /// The number of bytes of a body that are returned, and the error after them.
    fn read_body(mut message: Message) -> (usize, String) {
        let mut read = Vec::new();
        let error = message.body.read_to_end(&mut read).unwrap_err();
        (read.len(), error.to_string())
    }

    /// `docs/failure-stories.md` §12: a few kilobytes that decompress to gigabytes.
    #[test]
    fn bomb_is_cut_off() {
        let one = encoded(&vec![b'a'; 64 * 1024 * 1024]);
        let frame = encoded(&vec![b'a'; 512 * 1024]);
        let many = EncodedBody(frame.0.repeat(128).into());
        for bomb in [one, many] {
            assert!(bomb.len() < 64 * 1024, "it is a bomb");
            let (bytes, error) = read_body(open_message(file_of(&message_of(&bomb))).unwrap());
            assert!(error.contains("grows"), "{error}");
            assert!(bytes < 16 * 1024 * 1024, "{bytes} bytes came through");
        }
    }

    #[test]
    fn a_large_body_is_cut_off_whatever_its_ratio() {
        let whole = message_of(&encoded(b"0123456789"));
        assert!(
            open_message_within(file_of(&whole), 10)
                .unwrap()
                .body
                .read_to_end(&mut Vec::new())
                .is_ok()
        );
        let (bytes, error) = read_body(open_message_within(file_of(&whole), 9).unwrap());
        assert!(bytes == 0 && error.contains("more than 9 bytes"), "{bytes}: {error}");
    }

    #[test]
    fn a_declared_window_is_not_allocated() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(WINDOW_LOG_MAX + 1).unwrap();
        encoder.write_all(b"the body").unwrap();
        let body = EncodedBody(encoder.finish().unwrap().into());
        let (bytes, _) = read_body(open_message(file_of(&message_of(&body))).unwrap());
        assert_eq!(bytes, 0);
        assert!(BodyEncoder::new(LEVEL_MAX + 1).is_err(), "what nobody could read is not written");
        let mut encoder = BodyEncoder::new(LEVEL_MAX).unwrap();
        encoder.write_all(b"the body").unwrap();
        let whole = message_of(&encoder.finish().unwrap());
        assert!(open_message(file_of(&whole)).unwrap().body.read_to_end(&mut Vec::new()).is_ok());
    }

    #[test]
    fn a_body_that_ends_within_a_frame_is_an_error() {
        let body = encoded(b"the body\n");
        let cut = EncodedBody(body.0[..body.len() - 1].to_vec().into());
        read_body(open_message(file_of(&message_of(&cut))).unwrap());
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_noticed() {
        let mut file = file_of(&message_of(&encoded(b"one body")));
        let other = message_of(&encoded(b"two body"));
        let message = open_message(file.try_clone().unwrap()).unwrap();
        file.rewind().unwrap();
        file.write_all(&other).unwrap();
        let body_bytes = message.envelope.body_bytes;
        file.seek(SeekFrom::End(-(body_bytes as i64))).unwrap();
        let (bytes, error) = read_body(message);
        assert!(bytes == 0 && error.contains("changed while it was read"), "{bytes}: {error}");
    }

    #[test]
    fn no_line_can_be_said_twice() {
        for line in ["from: A/B", "to: A/B", "head-bytes: 1", "body-bytes: 1", "hash: 0"] {
            let text = String::from_utf8_lossy(&sample()).replacen('\n', &format!("\n{line}\n"), 1);
            let error = open_message(file_of(text.as_bytes())).err().unwrap().to_string();
            assert!(error.contains("duplicated"), "{error}");
        }
    }

    #[test]
    fn lines_of_later_versions_are_passed_over() {
        let (from, to) = ("NORTH/HQ".parse().unwrap(), "SOUTH/a.b ümlaut".parse().unwrap());
        let body = encoded(b"");
        let (epoch, number, part, head) = ("e", 1, 1, "");
        let outgoing = Outgoing { from: &from, to: &to, epoch, number, part, head, body: &body };
        let lines = lines(&outgoing).replace("to: ", "later: x\nno colon\nto: ");
        let hash = hash(&lines, &outgoing);
        let mut bytes = format!("{lines}hash: {hash}\n\n").into_bytes();
        bytes.extend_from_slice(&body.0);
        let message = open_message(file_of(&bytes)).unwrap();
        assert_eq!(message.envelope.to.as_str(), to.as_str());
    }

    #[test]
    fn declared_sizes_allocate_nothing() {
        let text = "DIRSYNC-ENVELOPE 1\nfrom: A/B\nto: C/D\nhead-bytes: 6000000\n\
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
