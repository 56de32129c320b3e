//! Bodies of messages on their way out: small ones in memory, long ones in a private file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;

use crate::access::{self, Access};
use crate::durable::{self, FileError, TEMPORARY_PREFIX, TEMPORARY_SUFFIX};

/// The size up to which a body stays in memory, in bytes.
const MEMORY_BYTES_MAX: usize = 1024 * 1024;
/// The number of bytes that are copied at a time.
const COPY_BYTES: usize = 64 * 1024;

/// Where bodies are kept between sealing and sending.
#[derive(Clone, Debug, Default)]
pub struct Spool {
    /// The folder of the files. `None` keeps every body in memory.
    folder: Option<PathBuf>,
    memory_bytes_max: usize,
}

impl Spool {
    /// Keeps all bodies in memory, for worlds that have no disk.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Keeps bodies of more than 1 MiB in files of `folder`. It is made when the first of them is written, as open to
    /// the group as the folder around it, which must exist.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), memory_bytes_max: MEMORY_BYTES_MAX }
    }

    /// The same, with another size in bytes up to which a body stays in memory.
    pub fn with_memory_bytes_max(self, bytes: usize) -> Self {
        Self { memory_bytes_max: bytes, ..self }
    }

    /// Begins a body.
    pub fn begin(&self) -> BodySpool {
        BodySpool { spool: self.clone(), memory: Vec::new(), file: None, bytes: 0, failed: false }
    }
}

/// A body that is being written. It collects in memory, and in a file once it is long.
///
/// The file is not synced: a body that a crash loses is made again from the database. Its errors are
/// those of [`durable`], with their advice in the text.
#[derive(Debug)]
pub struct BodySpool {
    spool: Spool,
    memory: Vec<u8>,
    file: Option<SpoolFile>,
    bytes: u64,
    /// Whether bytes are missing, because they could not be written.
    failed: bool,
}

impl BodySpool {
    /// The number of bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// If writing it has failed.
    pub fn finish(self) -> io::Result<Body> {
        if self.failed {
            return Err(incomplete());
        }
        let stored = match self.file {
            Some(file) => Stored::InFile { file, bytes: self.bytes },
            None => Stored::InMemory(self.memory),
        };
        Ok(Body(Arc::new(stored)))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let Some(folder) = self.spool.folder.as_deref() else {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        };
        let write = |file: &mut File, bytes| {
            durable::step("write a body in", folder, || file.write_all(bytes))
        };
        if let Some(SpoolFile { file, .. }) = &mut self.file {
            return write(file, bytes);
        }
        if self.memory.len() + bytes.len() <= self.spool.memory_bytes_max {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        let SpoolFile { file, .. } = self.file.insert(SpoolFile::create(folder)?);
        let before = std::mem::take(&mut self.memory);
        write(file, &before)?;
        write(file, bytes)
    }
}

impl Write for BodySpool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed {
            return Err(incomplete());
        }
        self.bytes += bytes.len() as u64;
        self.put(bytes).map_err(|error| {
            self.failed = true;
            let error = error.with_bytes(self.bytes);
            io::Error::new(error.source.kind(), error)
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn incomplete() -> io::Error {
    io::Error::other("a body could not be written, so nothing is sent of it")
}

/// A file that exists as long as it is open.
#[derive(Debug)]
struct SpoolFile {
    file: File,
    /// Removes the file after it is closed. On Unix it is removed as soon as it is open, so that not even a
    /// process that is killed leaves one; its bytes stay until it is closed.
    _removed: Option<TempPath>,
}

impl SpoolFile {
    /// Makes the file, for this user alone. It is named as a temporary one, so that
    /// [`durable::clean_temporaries`] knows it if a crash leaves it.
    fn create(folder: &Path) -> Result<Self, FileError> {
        if !folder.is_dir() {
            durable::create_subfolder(folder)?;
        }
        durable::step("create a file in", folder, || {
            let prefix = format!("{TEMPORARY_PREFIX}body.");
            let mut builder = tempfile::Builder::new();
            builder.prefix(&prefix).suffix(TEMPORARY_SUFFIX);
            let made = access::make_temporary(&mut builder, folder, Access::Own)?;
            let (file, path) = made.into_parts();
            if !cfg!(unix) {
                return Ok(Self { file, _removed: Some(path) });
            }
            path.close()?;
            Ok(Self { file, _removed: None })
        })
    }
}

enum Stored {
    InMemory(Vec<u8>),
    InFile { file: SpoolFile, bytes: u64 },
}

/// The body of one or more messages. Clones share its bytes, which exist as long as one of them does.
#[derive(Clone)]
pub struct Body(Arc<Stored>);

impl Body {
    /// The size, in bytes.
    pub fn bytes(&self) -> u64 {
        match &*self.0 {
            Stored::InMemory(bytes) => bytes.len() as u64,
            Stored::InFile { bytes, .. } => *bytes,
        }
    }

    /// Reads the body from its beginning. Any number of threads may read it at once, each with a reader of its own.
    ///
    /// A read fails if the file is shorter than what was written to it.
    pub fn reader(&self) -> impl Read + Send + use<> {
        BodyReader { body: self.clone(), at: 0 }
    }

    /// Copies the body.
    ///
    /// # Errors
    ///
    /// If reading or writing fails. A part of it may then have been written.
    pub fn write_to(&self, output: &mut dyn Write) -> io::Result<()> {
        if let Stored::InMemory(bytes) = &*self.0 {
            return output.write_all(bytes);
        }
        let (mut reader, mut buffer) = (self.reader(), vec![0; COPY_BYTES]);
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(()),
                count => output.write_all(&buffer[..count])?,
            }
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Stored::InMemory(bytes)))
    }
}

/// An empty body.
impl Default for Body {
    fn default() -> Self {
        Vec::new().into()
    }
}

/// Prints the size alone.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.bytes())
    }
}

struct BodyReader {
    body: Body,
    at: u64,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.body.bytes() - self.at;
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..room];
        if room == 0 {
            return Ok(0);
        }
        let count = match &*self.body.0 {
            Stored::InMemory(bytes) => (&bytes[self.at as usize..]).read(buffer)?,
            Stored::InFile { file, .. } => read_at(&file.file, buffer, self.at)?,
        };
        if count == 0 {
            let text = "the file of a body was cut off while it was read";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// Reads at a place of a file, whatever its other readers do.
#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIMIT: usize = 1000;

    fn spool(folder: &Path) -> Spool {
        Spool::in_folder(folder.join("bodies")).with_memory_bytes_max(LIMIT)
    }

    /// Bytes of which no two neighbouring pieces are equal.
    fn content(count: usize) -> Vec<u8> {
        (0..count).map(|at| (at / 7 % 251) as u8).collect()
    }

    fn written(spool: &Spool, bytes: &[u8]) -> io::Result<Body> {
        let mut output = spool.begin();
        bytes.chunks(300).try_for_each(|piece| output.write_all(piece))?;
        assert_eq!(output.bytes(), bytes.len() as u64);
        output.finish()
    }

    fn read(body: &Body) -> Vec<u8> {
        let mut bytes = Vec::new();
        body.reader().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_body_is_read_as_it_was_written() {
        let home = tempfile::tempdir().unwrap();
        for count in [0, 1, LIMIT, LIMIT + 1, 3 * COPY_BYTES + 5] {
            for spool in [Spool::in_memory(), spool(home.path())] {
                let is_in_file = spool.folder.is_some() && count > LIMIT;
                let body = written(&spool, &content(count)).unwrap();
                assert_eq!(matches!(*body.0, Stored::InFile { .. }), is_in_file, "{count}");
                assert_eq!((body.bytes(), read(&body)), (count as u64, content(count)));
                let mut copied = Vec::new();
                body.write_to(&mut copied).unwrap();
                assert_eq!(copied, content(count));
            }
        }
        assert_eq!(Body::default().bytes(), 0);
    }

    /// The threads of a share read one body at once, and those that were given up after its sender has dropped it.
    #[test]
    fn any_number_of_threads_read_one_body() {
        let home = tempfile::tempdir().unwrap();
        let body = written(&spool(home.path()), &content(100_000)).unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let body = body.clone();
                std::thread::spawn(move || read(&body) == content(100_000))
            })
            .collect();
        drop(body);
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    }

    #[test]
    fn nothing_is_left_of_a_body() {
        let home = tempfile::tempdir().unwrap();
        let left = || fs::read_dir(home.path().join("bodies")).unwrap().count();
        let body = written(&spool(home.path()), &content(LIMIT + 1)).unwrap();
        let clone = body.clone();
        // Not even while it is there, so that a process that is killed leaves nothing.
        assert!(left() == 0 || !cfg!(unix));
        drop(body);
        assert_eq!(read(&clone).len(), LIMIT + 1);
        drop(clone);
        assert_eq!(left(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_body_is_for_the_user_and_its_folder_as_open_as_the_one_around_it() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let body = written(&spool(home.path()), &content(LIMIT + 1)).unwrap();
        let mode = |permissions: fs::Permissions| permissions.mode() & 0o777;
        let Stored::InFile { file, .. } = &*body.0 else { panic!("it is long") };
        assert_eq!(mode(file.file.metadata().unwrap().permissions()), 0o600);
        let folder = fs::metadata(home.path().join("bodies")).unwrap();
        assert_eq!(mode(folder.permissions()), 0o750);
    }

    /// After a failed write no body can be made, even if the writer goes on.
    #[test]
    fn a_full_disk_is_an_error_of_the_body() {
        for nth in 1.. {
            let home = tempfile::tempdir().unwrap();
            durable::fail_at(Some(nth));
            let mut output = spool(home.path()).begin();
            let outcome = content(5000).chunks(500).try_for_each(|piece| output.write_all(piece));
            let met = !durable::failure_pending();
            durable::fail_at(None);
            assert_eq!(outcome.is_err(), met, "{nth}");
            let Err(error) = outcome else {
                assert!(nth > 5, "folder 2, file 1, a write for each piece: {nth}");
                assert_eq!(read(&output.finish().unwrap()), content(5000));
                break;
            };
            let text = error.to_string();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(text.starts_with("could not ") && text.contains("nothing is lost"), "{text}");
            output.write_all(b"more").unwrap_err();
            output.finish().unwrap_err();
            if let Ok(left) = fs::read_dir(home.path().join("bodies")) {
                assert_eq!(left.count(), 0, "{nth}");
            }
        }
    }

    #[test]
    fn a_file_that_was_cut_off_is_no_shorter_body() {
        let home = tempfile::tempdir().unwrap();
        let body = written(&spool(home.path()), &content(LIMIT + 1)).unwrap();
        let Stored::InFile { file, .. } = &*body.0 else { panic!("it is long") };
        file.file.set_len(10).unwrap();
        let error = body.write_to(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
