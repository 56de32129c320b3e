//! The size of the write-ahead log, and how large readers may let it become.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The log of a database beside its file, with the size at which readers have to give way.
///
/// SQLite reuses the log only when no reader needs what it holds, so one reader that stays open
/// while others write lets it grow without end.
#[derive(Debug)]
pub(super) struct LogLimit {
    log: PathBuf,
    /// In bytes.
    pub bytes: u64,
}

impl LogLimit {
    /// The log of a database.
    pub fn new(database: &Path, bytes: u64) -> Self {
        let mut log = OsString::from(database);
        log.push("-wal");
        Self { log: log.into(), bytes }
    }

    /// Its size in bytes; 0 when there is none.
    pub fn size(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |metadata| metadata.len())
    }

    /// Whether readers have to give way.
    pub fn exceeded(&self) -> bool {
        self.size() > self.bytes
    }
}
