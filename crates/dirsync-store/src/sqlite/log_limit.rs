//! The size of the write-ahead log, and its limit for readers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The write-ahead log of a database, with the size at which readers have to stop.
///
/// SQLite reuses the log only when no reader needs its content. A reader that stays open while others
/// write would let it grow without limit.
#[derive(Debug)]
pub(super) struct LogLimit {
    log: PathBuf,
    /// The limit, in bytes.
    pub bytes: u64,
}

impl LogLimit {
    /// The log of a database.
    pub fn new(database: &Path, bytes: u64) -> Self {
        let mut log = OsString::from(database);
        log.push("-wal");
        Self { log: log.into(), bytes }
    }

    /// The size of the log in bytes, or 0 if there is none.
    pub fn size(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |metadata| metadata.len())
    }

    /// Whether readers have to stop.
    pub fn exceeded(&self) -> bool {
        self.size() > self.bytes
    }
}
