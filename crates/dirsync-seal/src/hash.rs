//! SHA-256 of what is sealed, as `sha256sum` prints it.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A text that is not a SHA-256 hash.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a SHA-256 hash has 64 hexadecimal digits in lower case")]
pub struct ParseHashError;

/// A SHA-256 hash, printed as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentHash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(ParseHashError)
    }
}

/// The size and the hash of something sealed, which together name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    /// The size, in bytes.
    pub bytes: u64,
    /// The hash.
    pub hash: ContentHash,
}

impl Content {
    /// The content that these bytes are.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, hash: ContentHash::of(bytes) }
    }

    /// The content that a reader gives up to its end.
    ///
    /// # Errors
    ///
    /// If reading fails.
    pub fn of_all(reader: &mut impl Read) -> io::Result<Self> {
        let mut hasher = HashingWriter::new(io::sink());
        io::copy(reader, &mut hasher)?;
        Ok(hasher.finish().0)
    }

    /// Whether exactly the next `self.bytes` bytes of `reader` have the hash. `None` if it ends earlier.
    pub(crate) fn is_next_in(&self, reader: &mut impl Read) -> io::Result<Option<bool>> {
        let mut hasher = HashingWriter::new(io::sink());
        let copied = io::copy(&mut reader.by_ref().take(self.bytes), &mut hasher)?;
        Ok((copied == self.bytes).then(|| hasher.finish().0.hash == self.hash))
    }
}

/// Hashes and counts the bytes that pass through it.
pub(crate) struct HashingWriter<W> {
    hasher: Sha256,
    bytes: u64,
    output: W,
}

impl<W> HashingWriter<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { hasher: Sha256::new(), bytes: 0, output }
    }

    pub(crate) fn finish(self) -> (Content, W) {
        let hash = ContentHash(self.hasher.finalize().into());
        (Content { bytes: self.bytes, hash }, self.output)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Reads content whose hash was right before, and checks it again, because a file on a share can be
/// rewritten in between. Other holders of the body's key could so replace the body.
pub(crate) struct CheckedReader<R> {
    input: io::Take<R>,
    hasher: Sha256,
    expected: ContentHash,
}

impl<R: Read> CheckedReader<R> {
    pub(crate) fn new(input: R, content: Content) -> Self {
        let input = input.take(content.bytes);
        Self { input, hasher: Sha256::new(), expected: content.hash }
    }
}

impl<R: Read> Read for CheckedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        // Checked before the last bytes are returned, so that no reader can miss it.
        let ended = self.input.limit() == 0 || count == 0;
        if ended && !buffer.is_empty() {
            let found: [u8; 32] = self.hasher.clone().finalize().into();
            if found != self.expected.0 {
                let text = "the sealed body was changed while it was read";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(count)
    }
}
