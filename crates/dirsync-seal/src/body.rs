//! The bodies of messages: compressed, encrypted to a key of their own, and hashed, all as streams.
//!
//! A sealed body is the same for all its addressees. Its key travels in the head of each message, which is
//! sealed to one addressee.

use std::fmt;
use std::io::{self, BufReader, BufWriter, Read, Write};

use age::secrecy::ExposeSecret;
use age::stream::StreamWriter;
use age::x25519::Identity;
use zeroize::Zeroizing;

use crate::age_file::{self, Decrypted};
use crate::error::{Part, SealError};
use crate::hash::{CheckedReader, Content, HashingWriter};
use crate::work;

/// The largest body in bytes, both sealed and opened.
pub const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// The largest ratio of opened to sealed size. A body that grows by more is refused, because a file of a
/// few kilobytes could otherwise fill memory or disk.
const RATIO_MAX: u64 = 200;
/// The size up to which a body may grow whatever its ratio, in bytes.
const RATIO_FROM_BYTES: u64 = 1024 * 1024;
/// The highest level of zstd. Those above it need a larger window than receivers accept.
const LEVEL_MAX: i32 = 19;
/// The largest window of a compressed body, as a power of two: 8 MiB, which level 19 uses. A receiver
/// allocates the window that the body states, so this limits the memory that a body can ask for.
const WINDOW_LOG_MAX: u32 = 23;
/// The number of bytes that are collected before they are compressed, decrypted or decompressed.
const BUFFER_BYTES: usize = 128 * 1024;
/// The same for a body that is not larger.
const SMALL_BUFFER_BYTES: usize = 8 * 1024;

/// The one-time key of a body: who has it can read the body.
#[derive(Clone)]
pub struct BodyKey(Identity);

impl BodyKey {
    fn generate() -> Self {
        Self(Identity::generate())
    }

    /// The secret as age writes it, `AGE-SECRET-KEY-1…`, to be kept beside the sealed body.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string().expose_secret().to_owned())
    }

    /// Reads the form of [`BodyKey::to_secret_text`]. `None` if it has another one.
    pub fn from_secret_text(text: &str) -> Option<Self> {
        let key = Self(text.parse().ok()?);
        (*key.to_secret_text() == text).then_some(key)
    }
}

/// Prints no secret.
impl fmt::Debug for BodyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyKey(…)")
    }
}

/// A body that was sealed.
#[derive(Clone, Debug)]
pub struct SealedBody {
    /// The sealed bytes, as a front names them.
    pub content: Content,
    /// The key that opens them.
    pub key: BodyKey,
}

/// Encrypts and counts what is written.
struct Encrypting<W> {
    output: StreamWriter<HashingWriter<W>>,
    bytes: u64,
}

impl<W: Write> Write for Encrypting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Seals a body while it is written, in bounded memory.
pub struct BodySealer<W: Write> {
    // Transactions are small, so zstd is called once for many of them.
    encoder: BufWriter<zstd::stream::write::Encoder<'static, Encrypting<W>>>,
    key: BodyKey,
}

impl<W: Write> BodySealer<W> {
    /// Begins a body, with a zstd level of at most 19. Sealed bytes go to `output`.
    ///
    /// # Errors
    ///
    /// If the level is too high, or `output` fails.
    pub fn new(output: W, level: i32) -> Result<Self, SealError> {
        if level > LEVEL_MAX {
            return Err(SealError::Level(level));
        }
        let key = BodyKey::generate();
        let hashing = HashingWriter::new(output);
        let output = age_file::encrypt(Part::Body, &key.0.to_public(), hashing)?;
        let encrypting = Encrypting { output, bytes: 0 };
        let encoder = zstd::stream::write::Encoder::new(encrypting, level)?;
        Ok(Self { encoder: BufWriter::with_capacity(BUFFER_BYTES, encoder), key })
    }

    /// The number of compressed bytes so far. The compressor holds back some more, and encryption adds 16
    /// bytes to each 64 KiB.
    pub fn compressed_bytes(&self) -> u64 {
        self.encoder.get_ref().get_ref().bytes
    }

    /// Ends the body. Returns the output, too, which is not flushed.
    ///
    /// # Errors
    ///
    /// If the output fails, or the sealed body is larger than [`BODY_BYTES_MAX`].
    pub fn finish(self) -> Result<(SealedBody, W), SealError> {
        let encoder = self.encoder.into_inner().map_err(io::IntoInnerError::into_error)?;
        let (content, output) = encoder.finish()?.output.finish()?.finish();
        if content.bytes > BODY_BYTES_MAX {
            return Err(SealError::TooLarge { part: Part::Body, limit: BODY_BYTES_MAX });
        }
        Ok((SealedBody { content, key: self.key }, output))
    }
}

impl<W: Write> Write for BodySealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes)
    }

    /// Does nothing: a flush would end a block early, which makes the body larger, and nobody reads it
    /// before its end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Unsealed<R> = Decrypted<BufReader<CheckedReader<R>>>;

/// The content of a body, opened while it is read, in bounded memory.
///
/// A body that grows beyond its limits, or was changed since its hash was checked, ends with an error of
/// the kind [`io::ErrorKind::InvalidData`]. What was read before is then of no use.
pub struct BodyReader<R: Read> {
    decoder: zstd::stream::read::Decoder<'static, BufReader<Unsealed<R>>>,
    opened_bytes: u64,
    allowed_bytes: u64,
}

impl<R: Read> BodyReader<R> {
    /// Begins to open a body, which starts where `input` stands and whose hash was right.
    pub(crate) fn new(
        input: R,
        content: Content,
        key: &BodyKey,
        bytes_max: u64,
    ) -> Result<Self, SealError> {
        // One limit for all zstd frames of the body together, because there may be any number.
        let ratio = content.bytes.saturating_mul(RATIO_MAX);
        let allowed_bytes = ratio.max(RATIO_FROM_BYTES).min(bytes_max);
        // Most bodies are small: a server opens a thousand empty ones in a row. What is allocated is also cleared.
        let is_small = content.bytes <= SMALL_BUFFER_BYTES as u64;
        let room = if is_small { SMALL_BUFFER_BYTES } else { BUFFER_BYTES };
        let checked = BufReader::with_capacity(room, CheckedReader::new(input, content));
        let decrypted = age_file::decrypt(Part::Body, &key.0, checked)?;
        let decrypted = BufReader::with_capacity(room, decrypted);
        work::count(|work| work.decompressions += 1);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(decrypted)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Self { decoder, opened_bytes: 0, allowed_bytes })
    }
}

impl<R: Read> Read for BodyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.opened_bytes += count as u64;
        if self.opened_bytes > self.allowed_bytes {
            let text = format!("the body grows to more than {} bytes", self.allowed_bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(count)
    }
}
