//! The body of a message: compressed by its sender, decompressed within limits by its receiver.

use std::io::{self, BufReader, BufWriter, Read, Write};

/// Longest body once it is decompressed, in bytes.
pub const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// A body that grows by more than this when it is decompressed is cut off...
const RATIO_MAX: u64 = 200;
/// ...once it has grown to so many bytes.
const RATIO_FROM_BYTES: u64 = 1024 * 1024;

/// The highest zstd level: those above it make every receiver hold more than the window below.
pub(crate) const LEVEL_MAX: i32 = 19;
/// How far back a body may refer, as a power of two: 8 MiB, what level 19 uses. A receiver
/// allocates as much as the body says, so this bounds what it can be made to allocate.
pub(crate) const WINDOW_LOG_MAX: u32 = 23;
/// Bytes that are gathered before they are compressed.
const ENCODE_BYTES: usize = 128 * 1024;

/// Compresses a body; what it makes can be sent to many.
pub struct BodyEncoder {
    // Transactions are small: zstd is called once for many of them.
    encoder: BufWriter<zstd::stream::write::Encoder<'static, Vec<u8>>>,
}

/// A compressed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBody(pub(crate) Vec<u8>);

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
    /// When zstd refuses the level, or it is above 19.
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

/// The encoded body, which must still be what was checked when the file was opened.
pub(crate) struct CheckedFile {
    pub(crate) file: io::Take<Box<dyn Read + Send>>,
    /// Has taken in what the hash covers before the body.
    pub(crate) hasher: blake3::Hasher,
    pub(crate) hash: String,
}

impl Read for CheckedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        // Before the last bytes are given out, so that no reader can miss it.
        let ended = self.file.limit() == 0 || count == 0;
        if ended && !buffer.is_empty() && self.hasher.finalize().to_hex().as_str() != self.hash {
            let text = "the message file was changed while it was read";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(count)
    }
}

/// Decompresses a body within limits.
pub struct BodyDecoder {
    decoder: zstd::stream::read::Decoder<'static, BufReader<CheckedFile>>,
    decoded_bytes: u64,
    allowed_bytes: u64,
}

impl BodyDecoder {
    pub(crate) fn new(encoded: CheckedFile, body_bytes_max: u64) -> io::Result<Self> {
        // Over all frames together, however many there are.
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
