//! The text of a file as UTF-8. A byte order mark decides its encoding, else the configuration, else it
//! is UTF-8.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use thiserror::Error;

use crate::vcard_property::Charset;

const BUFFER_BYTES: usize = 128 * 1024;

/// The number of bytes that are read before anything is decided. A header fits into it.
const START_BYTES: u64 = 64 * 1024;

/// A byte that never occurs in UTF-8. It takes the place of bytes that could not be decoded, so
/// that their row is rejected like any row that is not UTF-8. A replacement character would end up
/// in the directory.
const UNDECODED: u8 = 0xff;

/// The end of a message about bytes that are not text.
pub(crate) const ENCODING_ADVICE: &str = "name the encoding of the file, for example \
                                          --encoding windows-1252 (of a source: encoding = \"windows-1252\")";

/// A name that is not an encoding.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not an encoding; for example utf-8, windows-1252, iso-8859-15, utf-16le")]
pub struct EncodingError(String);

/// Why the text of a file cannot be read at all.
#[derive(Debug)]
pub(crate) enum TextError {
    /// The configured encoding is not known.
    Encoding(EncodingError),
    /// The file is in this form of UTF-16, and does not say so.
    Utf16(&'static str),
    /// The first bytes cannot be read.
    Io(io::Error),
}

/// How the encoding of a file is found.
#[derive(Default)]
pub(crate) struct TextOptions<'a> {
    /// The configured encoding.
    pub(crate) encoding: Option<&'a str>,
    /// The file is not converted if its encoding contains ASCII, so that parts of it can have encodings
    /// of their own.
    pub(crate) keeps_bytes: bool,
    /// The usual encoding of such a file, by its first bytes. It is asked if neither a mark nor the
    /// configuration tells, and used if the file is not UTF-8.
    pub(crate) usual: Option<&'a UsualEncoding<'a>>,
}

/// Finds the usual encoding of a file by its first bytes.
type UsualEncoding<'a> = dyn Fn(&[u8]) -> Option<&'static Encoding> + 'a;

/// The text of a file. UTF-8 is passed on unchecked, so that the parser of the rows finds a wrong
/// byte and can tell its row.
pub(crate) struct Text {
    input: Input,
    encoding: &'static Encoding,
    is_converted: bool,
    marked: bool,
    usual: Option<Usual>,
}

/// The text of a file, in UTF-8 or as its bytes are.
pub(crate) type Input = BufReader<Box<dyn Read + Send>>;

/// The usual encoding of a file, and whether it turned out to be that of this one.
#[derive(Clone)]
pub(crate) struct Usual {
    encoding: &'static Encoding,
    is_used: Arc<AtomicBool>,
}

impl Usual {
    /// The name of the encoding, if the file has it.
    pub(crate) fn used(&self) -> Option<&'static str> {
        self.is_used.load(Ordering::Relaxed).then(|| self.encoding.name())
    }
}

impl Text {
    pub(crate) fn new(mut file: File, options: TextOptions<'_>) -> Result<Self, TextError> {
        let configured = match options.encoding {
            Some(name) => Some(
                Encoding::for_label(name.trim().as_bytes())
                    .ok_or_else(|| TextError::Encoding(EncodingError(name.to_owned())))?,
            ),
            None => None,
        };
        let mut start = Vec::new();
        file.by_ref().take(START_BYTES).read_to_end(&mut start).map_err(TextError::Io)?;
        let mark = Encoding::for_bom(&start);
        let is_unknown = mark.is_none() && configured.is_none();
        match start.as_slice() {
            [0, 1..=255, ..] if is_unknown => return Err(TextError::Utf16("utf-16be")),
            [1..=255, 0, ..] if is_unknown => return Err(TextError::Utf16("utf-16le")),
            _ => {}
        }
        let usual = options.usual.filter(|_| is_unknown).and_then(|usual| usual(&start));
        let usual = usual.map(|encoding| Usual { encoding, is_used: Arc::default() });
        let (encoding, mark_bytes) = mark.unwrap_or((configured.unwrap_or(UTF_8), 0));
        let bytes = io::Cursor::new(start.split_off(mark_bytes)).chain(file);
        let keeps_bytes = options.keeps_bytes && encoding.is_ascii_compatible();
        let is_converted = encoding != UTF_8 && !keeps_bytes;
        let input: Box<dyn Read + Send> = match &usual {
            Some(usual) => Box::new(Detecting {
                input: Some(bytes),
                usual: usual.clone(),
                chunk: Vec::new(),
                given: 0,
                decided: None,
            }),
            None if is_converted => Box::new(Decoding::new(bytes, encoding)),
            None => Box::new(bytes),
        };
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Ok(Self { input, encoding, is_converted, marked: mark.is_some(), usual })
    }

    /// The usual encoding of such a file, if it is not known to be UTF-8.
    pub(crate) fn usual(&self) -> Option<Usual> {
        self.usual.clone()
    }

    /// The encoding of the parts of a file that do not state their own.
    pub(crate) fn charset(&self) -> Charset {
        Charset { default: self.encoding, is_converted: self.is_converted }
    }

    /// The name of the encoding, for a note.
    pub(crate) fn encoding(&self) -> String {
        let reason = if self.marked { " (byte order mark)" } else { "" };
        format!("{}{reason}", self.encoding.name())
    }

    pub(crate) fn into_reader(self) -> Input {
        self.input
    }
}

/// Passes a file on up to its first character that is not ASCII. If that is UTF-8, the rest is passed on,
/// too, and a row with wrong bytes is found later; otherwise the rest is converted from the usual encoding.
struct Detecting<R> {
    /// `None` when it is decided.
    input: Option<R>,
    usual: Usual,
    chunk: Vec<u8>,
    /// The number of bytes of `chunk` that were returned.
    given: usize,
    decided: Option<Box<dyn Read + Send>>,
}

impl<R: Read + Send + 'static> Read for Detecting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decided) = &mut self.decided {
                return decided.read(buffer);
            }
            if self.given < self.chunk.len() {
                let count = buffer.len().min(self.chunk.len() - self.given);
                buffer[..count].copy_from_slice(&self.chunk[self.given..self.given + count]);
                self.given += count;
                return Ok(count);
            }
            self.chunk.clear();
            self.given = 0;
            if self.fill()? == 0 {
                return Ok(0);
            }
            self.decide()?;
        }
    }
}

impl<R: Read + Send + 'static> Detecting<R> {
    /// Adds bytes of the file to the chunk, and returns their number.
    fn fill(&mut self) -> io::Result<usize> {
        let Some(input) = &mut self.input else { return Ok(0) };
        let before = self.chunk.len();
        self.chunk.resize(before + BUFFER_BYTES, 0);
        let count = input.read(&mut self.chunk[before..])?;
        self.chunk.truncate(before + count);
        Ok(count)
    }

    /// Decides if the chunk has a byte that is not ASCII.
    fn decide(&mut self) -> io::Result<()> {
        while !self.chunk.is_ascii() {
            let is_utf8 = match std::str::from_utf8(&self.chunk) {
                Err(error) if self.chunk[..error.valid_up_to()].is_ascii() => {
                    // If the character is only cut off, more of the file has to tell.
                    if error.error_len().is_none() && self.fill()? > 0 {
                        continue;
                    }
                    false
                }
                _ => true,
            };
            let Some(input) = self.input.take() else { return Ok(()) };
            let rest = io::Cursor::new(std::mem::take(&mut self.chunk)).chain(input);
            self.usual.is_used.store(!is_utf8, Ordering::Relaxed);
            self.decided = Some(if is_utf8 {
                Box::new(rest)
            } else {
                Box::new(Decoding::new(rest, self.usual.encoding))
            });
        }
        Ok(())
    }
}

/// Converts another encoding to UTF-8 while it is read.
struct Decoding<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    /// The part of `raw` that has not been decoded.
    pending: std::ops::Range<usize>,
    decoded: Vec<u8>,
    /// The part of `decoded` that has not been returned.
    given: std::ops::Range<usize>,
    ended: bool,
}

impl<R> Decoding<R> {
    fn new(input: R, encoding: &'static Encoding) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: vec![0; BUFFER_BYTES],
            pending: 0..0,
            decoded: vec![0; 4 * BUFFER_BYTES],
            given: 0..0,
            ended: false,
        }
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given.is_empty() && !(self.ended && self.pending.is_empty()) {
            if self.pending.is_empty() {
                let count = self.input.read(&mut self.raw)?;
                self.pending = 0..count;
                self.ended = count == 0;
            }
            self.decode();
        }
        let count = self.given.len().min(buffer.len());
        let end = self.given.start + count;
        buffer[..count].copy_from_slice(&self.decoded[self.given.start..end]);
        self.given.start = end;
        Ok(count)
    }
}

impl<R> Decoding<R> {
    fn decode(&mut self) {
        // One byte is kept free for UNDECODED.
        let room = self.decoded.len() - 1;
        let (result, read, mut written) = self.decoder.decode_to_utf8_without_replacement(
            &self.raw[self.pending.clone()],
            &mut self.decoded[..room],
            self.ended,
        );
        self.pending.start += read;
        if let DecoderResult::Malformed(..) = result {
            self.decoded[written] = UNDECODED;
            written += 1;
        } else if self.ended && result == DecoderResult::InputEmpty {
            self.pending = 0..0;
        }
        self.given = 0..written;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn decoded(bytes: &[u8], name: Option<&str>) -> (String, Vec<u8>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let Ok(text) = Text::new(file, TextOptions { encoding: name, ..TextOptions::default() })
        else {
            panic!("a known encoding")
        };
        let encoding = text.encoding();
        let mut all = Vec::new();
        text.into_reader().read_to_end(&mut all).unwrap();
        (encoding, all)
    }

    #[test]
    fn a_mark_decides_and_is_no_text() {
        assert_eq!(decoded(b"\xef\xbb\xbfa\xff", None).1, b"a\xff");
        let (encoding, text) = decoded(b"\xff\xfe\xe4\0b\0", Some("windows-1252"));
        assert_eq!((encoding.as_str(), text), ("UTF-16LE (byte order mark)", "äb".into()));
        assert_eq!(decoded(b"\xe4b", Some("windows-1252")).1, "äb".as_bytes());
    }

    #[test]
    fn what_cannot_be_decoded_is_marked_not_replaced() {
        // A high surrogate without a low one, and an odd byte at the end.
        assert_eq!(decoded(b"\xff\xfea\0\0\xd8b\0", None).1, b"a\xffb");
        assert_eq!(decoded(b"\xff\xfea\0b", None).1, b"a\xff");
        let long: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(std::iter::repeat_n(0x42, 600_001)).collect();
        let text = decoded(&long, None).1;
        assert_eq!(text.len(), 3 * 300_000 + 1);
        assert_eq!(text.last(), Some(&UNDECODED));
    }

    /// Wherever the first character that is not ASCII stands, also where it lies across two reads.
    #[test]
    fn the_usual_encoding_is_that_of_a_file_that_is_not_utf8() {
        for before in [0, 1, 70_000, BUFFER_BYTES - 1, BUFFER_BYTES, START_BYTES as usize - 1] {
            let start = "x".repeat(before);
            for (rest, text, used) in [
                (&b"\xc3\xb6\xff"[..], &b"\xc3\xb6\xff"[..], None),
                (b"\xf6\xc3\xb6", "öÃ¶".as_bytes(), Some("windows-1252")),
                (b"\xc3", "Ã".as_bytes(), Some("windows-1252")),
                (b"", b"", None),
            ] {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&[start.as_bytes(), rest].concat()).unwrap();
                io::Seek::rewind(&mut file).unwrap();
                let usual = |_: &[u8]| Encoding::for_label(b"windows-1252");
                let options = TextOptions { usual: Some(&usual), ..TextOptions::default() };
                let Ok(read) = Text::new(file, options) else { panic!("an encoding") };
                let usual = read.usual().unwrap();
                let mut all = Vec::new();
                read.into_reader().read_to_end(&mut all).unwrap();
                assert!(all == [start.as_bytes(), text].concat(), "{before} {rest:?}");
                assert_eq!(usual.used(), used, "{before} {rest:?}");
            }
        }
    }

    #[test]
    fn an_unknown_encoding_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let options = TextOptions { encoding: Some("latin-9000"), ..TextOptions::default() };
        assert!(matches!(Text::new(file, options), Err(TextError::Encoding(_))));
    }
}
