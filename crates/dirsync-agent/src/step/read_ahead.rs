//! A reader whose bytes are read ahead by a thread, so that decompressing a body and applying it happen
//! at the same time.
//!
//! It changes nothing but the time: the bytes and their order are the same without it.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The number of bytes that are handed over at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// The largest number of chunks that wait to be read.
const CHUNKS_AHEAD: usize = 2;

/// How long a chunk may take. A share that hangs must not hold up the reader for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A result of the thread.
enum Piece {
    Bytes(Vec<u8>),
    /// The source has ended.
    End,
    Failed(io::Error),
}

pub(super) struct ReadAhead {
    /// `None` after it was dropped, which ends the thread.
    ahead: Option<Receiver<Piece>>,
    /// The way back for buffers, which the thread uses again.
    spare: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    current: Vec<u8>,
    at: usize,
    has_ended: bool,
}

impl ReadAhead {
    /// Starts the thread.
    pub(super) fn new(source: Box<dyn BufRead + Send>) -> io::Result<Self> {
        let (filled, ahead) = sync_channel(CHUNKS_AHEAD);
        // Besides the chunks that wait, one is being read and one is being filled. With room for
        // all of them, returning a buffer never blocks.
        let (spare, empty) = sync_channel(CHUNKS_AHEAD + 2);
        let thread = Builder::new()
            .name("read ahead".into())
            .spawn(move || read(source, &filled, &empty))?;
        Ok(Self {
            ahead: Some(ahead),
            spare: Some(spare),
            thread: Some(thread),
            current: Vec::new(),
            at: 0,
            has_ended: false,
        })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let lost = || Err(io::Error::other("reading ahead was broken off"));
        let Some(ahead) = &self.ahead else { return lost() };
        match ahead.recv_timeout(PATIENCE) {
            Ok(Piece::Bytes(bytes)) => {
                let used = std::mem::replace(&mut self.current, bytes);
                self.at = 0;
                // If the thread has ended, it needs no buffer.
                let _ = self.spare.as_ref().map(|spare| spare.try_send(used));
                Ok(())
            }
            Ok(Piece::End) => {
                self.has_ended = true;
                Ok(())
            }
            Ok(Piece::Failed(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => {
                // The thread ends when the source does, and nobody waits for it.
                self.thread = None;
                Err(io::Error::new(io::ErrorKind::TimedOut, "nothing could be read for a minute"))
            }
            // The thread has panicked. The bytes so far must not be taken for the whole.
            Err(RecvTimeoutError::Disconnected) => lost(),
        }
    }
}

fn read(
    mut source: Box<dyn BufRead + Send>,
    filled: &SyncSender<Piece>,
    empty: &Receiver<Vec<u8>>,
) {
    loop {
        let mut chunk = empty.try_recv().unwrap_or_default();
        chunk.clear();
        chunk.reserve_exact(CHUNK_BYTES);
        let read = source.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        // Bytes that were read before a failure are valid, and come before it.
        let is_empty = chunk.is_empty();
        if !is_empty && filled.send(Piece::Bytes(chunk)).is_err() {
            return;
        }
        let last = match read {
            Err(error) => Piece::Failed(error),
            Ok(_) if is_empty => Piece::End,
            Ok(_) => continue,
        };
        // If the reader was dropped, nobody waits for this.
        let _ = filled.send(last);
        return;
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.current.len() && !self.has_ended {
            self.next_chunk()?;
        }
        Ok(&self.current[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at = self.current.len().min(self.at + count);
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Waits for the thread, so that the file is closed when the reader is dropped.
impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.ahead = None;
        self.spare = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported as an error of reading.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Returns `bytes`, then fails or ends.
    struct Source {
        bytes: Vec<u8>,
        at: usize,
        then: Option<io::ErrorKind>,
    }

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.at == self.bytes.len() {
                return self.then.map_or(Ok(0), |kind| Err(kind.into()));
            }
            // Pieces whose size does not divide that of a chunk.
            let count = buffer.len().min(1009).min(self.bytes.len() - self.at);
            buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
            self.at += count;
            Ok(count)
        }
    }

    fn ahead_of(length: usize, then: Option<io::ErrorKind>) -> (Vec<u8>, ReadAhead) {
        let bytes: Vec<u8> = (0..length).map(|at| (at * at % 251) as u8).collect();
        let source = Source { bytes: bytes.clone(), at: 0, then };
        (bytes, ReadAhead::new(Box::new(BufReader::new(source))).unwrap())
    }

    #[test]
    fn what_is_read_is_the_same() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 9 * CHUNK_BYTES + 5] {
            let (bytes, mut ahead) = ahead_of(length, None);
            let mut read = Vec::new();
            ahead.read_to_end(&mut read).unwrap();
            assert!(read == bytes, "{length}");
            assert_eq!(ahead.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
        }
    }

    #[test]
    fn a_failure_comes_after_what_was_read_and_never_passes_for_the_end() {
        let kind = io::ErrorKind::InvalidData;
        for length in [0, 5, CHUNK_BYTES, 4 * CHUNK_BYTES + 7] {
            let (bytes, mut ahead) = ahead_of(length, Some(kind));
            let mut read = Vec::new();
            assert_eq!(ahead.read_to_end(&mut read).unwrap_err().kind(), kind);
            assert!(read == bytes, "{length}");
            assert!(ahead.read(&mut [0; 8]).is_err(), "a failure stays one");
        }
    }

    #[test]
    fn a_reader_that_is_dropped_early_waits_for_nothing() {
        for read in [0, 1, CHUNK_BYTES + 1] {
            let (bytes, mut ahead) = ahead_of(50 * CHUNK_BYTES, None);
            let mut begin = vec![0; read];
            ahead.read_exact(&mut begin).unwrap();
            assert!(begin == bytes[..read]);
        }
    }

    /// Returns this number of bytes, then panics.
    struct Panics(usize);

    impl Read for Panics {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(self.0 > 0, "the source panics");
            let count = self.0.min(buffer.len());
            self.0 -= count;
            buffer[..count].fill(7);
            Ok(count)
        }
    }

    #[test]
    fn a_panic_never_passes_for_the_end() {
        for length in [0, 5, CHUNK_BYTES, 4 * CHUNK_BYTES + 7] {
            let mut ahead = ReadAhead::new(Box::new(BufReader::new(Panics(length)))).unwrap();
            assert!(ahead.read_to_end(&mut Vec::new()).is_err(), "{length}");
            assert!(ahead.read(&mut [0; 8]).is_err(), "a failure stays one");
        }
    }

    /// Returns bytes for ever, and counts them. The number of references to the first field shows
    /// whether it is still open.
    struct Endless {
        _open: Arc<()>,
        taken: Arc<AtomicUsize>,
    }

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.taken.fetch_add(buffer.len(), Ordering::SeqCst);
            Ok(buffer.len())
        }
    }

    #[test]
    fn the_source_is_never_read_far_ahead_and_closed_with_the_reader() {
        let (open, taken) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
        let source = Endless { _open: Arc::clone(&open), taken: Arc::clone(&taken) };
        let mut ahead = ReadAhead::new(Box::new(BufReader::with_capacity(1, source))).unwrap();
        ahead.read_exact(&mut [0; 8]).unwrap();
        drop(ahead);
        assert_eq!(Arc::strong_count(&open), 1, "the thread is gone");
        assert!(taken.load(Ordering::SeqCst) <= (CHUNKS_AHEAD + 2) * CHUNK_BYTES);
    }
}
