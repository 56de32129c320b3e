//! Bytes of a file as UTF-8: the encoding is configured, or said by a byte order mark, or UTF-8.

use std::fs::File;
use std::io::{self, BufReader, Read};

use encoding_rs::{Decoder, Encoding, UTF_8};
use thiserror::Error;

const BUFFER_BYTES: usize = 128 * 1024;

/// A name that is no encoding.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not an encoding; for example utf-8, windows-1252, iso-8859-15, utf-16le")]
pub struct EncodingError(String);

/// A file's text. UTF-8 passes through as it is, so that a wrong byte can be told from its row.
pub(crate) struct Text {
    input: BufReader<Box<dyn Read>>,
    encoding: &'static Encoding,
}

impl Text {
    pub(crate) fn new(mut file: File, name: Option<&str>) -> Result<Self, EncodingError> {
        let configured = match name {
            Some(name) => Some(
                Encoding::for_label(name.trim().as_bytes())
                    .ok_or_else(|| EncodingError(name.to_owned()))?,
            ),
            None => None,
        };
        let mut start = Vec::new();
        // A file that cannot be read says so at its first row.
        let _ = file.by_ref().take(BUFFER_BYTES as u64).read_to_end(&mut start);
        let (encoding, mark) = match Encoding::for_bom(&start) {
            Some((encoding, length)) => (encoding, length),
            None => (configured.unwrap_or(UTF_8), 0),
        };
        let bytes = io::Cursor::new(start.split_off(mark)).chain(file);
        let input: Box<dyn Read> = if encoding == UTF_8 {
            Box::new(bytes)
        } else {
            Box::new(Decoding {
                input: bytes,
                decoder: encoding.new_decoder_without_bom_handling(),
                raw: vec![0; BUFFER_BYTES],
                pending: 0..0,
                decoded: String::with_capacity(4 * BUFFER_BYTES),
                given: 0,
                ended: false,
            })
        };
        Ok(Self { input: BufReader::with_capacity(BUFFER_BYTES, input), encoding })
    }

    pub(crate) fn encoding(&self) -> &'static str {
        self.encoding.name()
    }

    pub(crate) fn into_reader(self) -> BufReader<Box<dyn Read>> {
        self.input
    }
}

/// Decodes another encoding to UTF-8 as it is read.
struct Decoding<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    pending: std::ops::Range<usize>,
    decoded: String,
    given: usize,
    ended: bool,
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() && !(self.ended && self.pending.is_empty()) {
            if self.pending.is_empty() {
                let count = self.input.read(&mut self.raw)?;
                self.pending = 0..count;
                self.ended = count == 0;
            }
            self.decoded.clear();
            self.given = 0;
            let raw = &self.raw[self.pending.clone()];
            let (_, read, _) = self.decoder.decode_to_string(raw, &mut self.decoded, self.ended);
            self.pending.start += read;
            if self.ended {
                self.pending = 0..0;
            }
        }
        let rest = &self.decoded.as_bytes()[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}
