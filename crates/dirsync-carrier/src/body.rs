//! The bodies of messages, which the sender compresses and the receiver decompresses within limits.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

/// The largest body after decompression, in bytes.
pub const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// The largest ratio of decompressed to compressed size. A body that grows by more is refused, because a
/// file of a few kilobytes could otherwise fill memory or disk.
const RATIO_MAX: u64 = 200;
/// The size up to which a body may grow whatever its ratio, in bytes.
const RATIO_FROM_BYTES: u64 = 1024 * 1024;

/// The highest zstd level. Those above it need a larger window than receivers accept.
pub(crate) const LEVEL_MAX: i32 = 19;
/// The largest window of a compressed body, as a power of two: 8 MiB, which level 19 uses. A receiver
/// allocates the window that the body states, so this limits what a body can make it allocate.
pub(crate) const WINDOW_LOG_MAX: u32 = 23;
/// The number of bytes that are collected before they are compressed.
const ENCODE_BYTES: usize = 128 * 1024;

/// Compresses a body. The result can be sent to several addressees.
pub struct BodyEncoder {
    // Transactions are small, so zstd is called once for many of them.
    encoder: BufWriter<zstd::stream::write::Encoder<'static, Vec<u8>>>,
}

/// A compressed body.
/// Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBody(pub(crate) Arc<Vec<u8>>);

impl EncodedBody {
    /// The size of the body in a file, in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes. An encoded body always has some, even if the body is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl BodyEncoder {
    /// An encoder with a zstd level.
    ///
    /// # Errors
    ///
    /// If the level is above 19, or zstd refuses it.
    pub fn new(level: i32) -> io::Result<Self> {
        if level > LEVEL_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("compression level {level} is above {LEVEL_MAX}"),
            ));
        }
        let encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
        Ok(Self { encoder: BufWriter::with_capacity(ENCODE_BYTES, encoder) })
    }

    /// The number of compressed bytes so far. The encoder holds back some more.
    pub fn encoded_bytes(&self) -> u64 {
        self.encoder.get_ref().get_ref().len() as u64
    }

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// If zstd fails.
    pub fn finish(self) -> io::Result<EncodedBody> {
        let encoder = self.encoder.into_inner().map_err(io::IntoInnerError::into_error)?;
        encoder.finish().map(|bytes| EncodedBody(Arc::new(bytes)))
    }
}

impl Write for BodyEncoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A flush would end a block early, which makes the body larger, and nobody reads before its end.
        Ok(())
    }
}

/// Reads the encoded body, and checks again that it is the one whose hash was checked when the file was
/// opened. Files on shares can be rewritten in between.
pub(crate) struct CheckedFile {
    pub(crate) file: io::Take<Box<dyn Read + Send>>,
    /// The state of the hash before the body.
    pub(crate) hasher: blake3::Hasher,
    pub(crate) hash: String,
}

impl Read for CheckedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        // Checked before the last bytes are returned, so that no reader can miss it.
        let ended = self.file.limit() == 0 || count == 0;
        if ended && !buffer.is_empty() && self.hasher.finalize().to_hex().as_str() != self.hash {
            let text = "the message file was changed while it was read";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(count)
    }
}

/// Decompresses a body, up to the limits of its size.
pub struct BodyDecoder {
    decoder: zstd::stream::read::Decoder<'static, BufReader<CheckedFile>>,
    decoded_bytes: u64,
    allowed_bytes: u64,
}

impl BodyDecoder {
    pub(crate) fn new(encoded: CheckedFile, body_bytes_max: u64) -> io::Result<Self> {
        // The limit is one for all zstd frames of the body together, because there may be any number.
        let ratio = encoded.file.limit().saturating_mul(RATIO_MAX);
        let allowed_bytes = ratio.max(RATIO_FROM_BYTES).min(body_bytes_max);
        let buffered = BufReader::with_capacity(128 * 1024, encoded);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Self { decoder, decoded_bytes: 0, allowed_bytes })
    }
}

impl Read for BodyDecoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.decoded_bytes += count as u64;
        if self.decoded_bytes > self.allowed_bytes {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the body grows to more than {} bytes", self.allowed_bytes),
            ));
        }
        Ok(count)
    }
}
