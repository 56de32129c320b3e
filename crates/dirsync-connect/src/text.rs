//! The text of a file as UTF-8. A byte order mark decides its encoding, else the configuration, else it
//! is UTF-8.

use std::fs::File;
use std::io::{self, BufReader, Read};

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
    /// The first bytes cannot be read.
    Io(io::Error),
}

/// The text of a file. UTF-8 is passed on unchecked, so that the parser of the rows finds a wrong
/// byte and can tell its row.
pub(crate) struct Text {
    input: BufReader<Box<dyn Read>>,
    encoding: &'static Encoding,
    is_converted: bool,
    marked: bool,
}

impl Text {
    /// Begins a file. With `keeps_bytes` it is not converted if its encoding contains ASCII, so that parts
    /// of it can have encodings of their own.
    pub(crate) fn new(
        mut file: File,
        name: Option<&str>,
        keeps_bytes: bool,
    ) -> Result<Self, TextError> {
        let configured = match name {
            Some(name) => Some(
                Encoding::for_label(name.trim().as_bytes())
                    .ok_or_else(|| TextError::Encoding(EncodingError(name.to_owned())))?,
            ),
            None => None,
        };
        let mut start = Vec::new();
        file.by_ref().take(START_BYTES).read_to_end(&mut start).map_err(TextError::Io)?;
        let mark = Encoding::for_bom(&start);
        let (encoding, mark_bytes) = mark.unwrap_or((configured.unwrap_or(UTF_8), 0));
        let bytes = io::Cursor::new(start.split_off(mark_bytes)).chain(file);
        let is_converted = encoding != UTF_8 && !(keeps_bytes && encoding.is_ascii_compatible());
        let input: Box<dyn Read> = if !is_converted {
            Box::new(bytes)
        } else {
            Box::new(Decoding {
                input: bytes,
                decoder: encoding.new_decoder_without_bom_handling(),
                raw: vec![0; BUFFER_BYTES],
                pending: 0..0,
                decoded: vec![0; 4 * BUFFER_BYTES],
                given: 0..0,
                ended: false,
            })
        };
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Ok(Self { input, encoding, is_converted, marked: mark.is_some() })
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

    pub(crate) fn into_reader(self) -> BufReader<Box<dyn Read>> {
        self.input
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
        let Ok(text) = Text::new(file, name, false) else { panic!("a known encoding") };
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

    #[test]
    fn an_unknown_encoding_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(Text::new(file, Some("latin-9000"), false), Err(TextError::Encoding(_))));
    }
}
