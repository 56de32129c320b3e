//! Prepared statements, held for the length of a transaction.

use std::cell::Cell;
use std::path::Path;

use rusqlite::{CachedStatement, Connection, ffi};

use super::queries::Query;

/// The statements of one transaction. Looking one up in the connection's cache costs as much as
/// running a small one, so each is looked up once.
pub(super) struct Statements<'s> {
    connection: &'s Connection,
    held: Vec<Option<CachedStatement<'s>>>,
    executed: &'s Cell<u64>,
    log_limit: Option<LogLimit<'s>>,
}

/// How large the write-ahead log may grow while a reader keeps it from being emptied.
#[derive(Clone, Copy)]
pub(super) struct LogLimit<'s> {
    /// The log.
    pub path: &'s Path,
    /// In bytes.
    pub bytes: u64,
}

impl LogLimit<'_> {
    fn check(self) -> rusqlite::Result<()> {
        let bytes = std::fs::metadata(self.path).map_or(0, |metadata| metadata.len());
        if bytes <= self.bytes {
            return Ok(());
        }
        Err(failure(
            ffi::SQLITE_BUSY,
            format!("the reading was ended because the log has grown to {bytes} bytes: read again"),
        ))
    }
}

impl<'s> Statements<'s> {
    pub fn new(
        connection: &'s Connection,
        executed: &'s Cell<u64>,
        log_limit: Option<LogLimit<'s>>,
    ) -> Self {
        let held = Query::ALL.iter().map(|_| None).collect();
        Self { connection, held, executed, log_limit }
    }

    /// A statement to execute once.
    ///
    /// # Errors
    ///
    /// Beside SQLite's: when an earlier failure ended the transaction. SQLite would take what
    /// follows for transactions of their own.
    pub fn get(&mut self, query: Query) -> rusqlite::Result<&mut CachedStatement<'s>> {
        if self.connection.is_autocommit() {
            return Err(failure(
                ffi::SQLITE_ABORT,
                "the transaction was ended by an earlier failure".into(),
            ));
        }
        self.check_log()?;
        self.executed.set(self.executed.get() + 1);
        let held = &mut self.held[query as usize];
        if held.is_none() {
            *held = Some(self.connection.prepare_cached(query.sql())?);
        }
        held.as_mut().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// A statement that is held apart from the others.
    pub fn separate(&mut self, query: Query) -> rusqlite::Result<CachedStatement<'s>> {
        self.get(query)?;
        self.held[query as usize].take().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Whether this reader still may hold the log; to be asked now and then while rows are read.
    pub fn check_log(&self) -> rusqlite::Result<()> {
        self.log_limit.map_or(Ok(()), LogLimit::check)
    }

    /// What has to be asked while the statements are in use.
    pub fn log_limit(&self) -> Option<LogLimit<'s>> {
        self.log_limit
    }
}

pub(super) fn failure(code: i32, text: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(text))
}
