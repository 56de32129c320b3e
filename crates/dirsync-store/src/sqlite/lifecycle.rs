//! The beginning and end of transactions, and their savepoints.

use std::path::Path;

use dirsync_protocol::tables::{StoreErrorKind, Stored};
use rusqlite::Connection;

use super::failure::refused;
use super::log_limit::LogLimit;
use super::names::Names;
use super::transaction::{Lists, Phase, SqliteTransaction};
use crate::Transaction;

impl<'s> SqliteTransaction<'s> {
    /// Begins a transaction. With a limit of the log it only reads; otherwise it may write.
    pub fn begin(
        connection: &'s Connection,
        path: &'s Path,
        names: &'s mut Names,
        statements: &'s mut u64,
        limit: Option<&'s LogLimit>,
    ) -> Stored<Self> {
        let action = "begin a transaction";
        let sql = if limit.is_some() { "BEGIN" } else { "BEGIN IMMEDIATE" };
        let names_before = names.count();
        let mut begun = Self {
            connection,
            path,
            names,
            statements,
            limit,
            names_before,
            savepoints: Vec::new(),
            lists: Lists::default(),
            phase: Phase::Beginning,
        };
        begun.execute(action, sql, [])?;
        begun.phase = Phase::Open;
        // SQLite takes the snapshot of a read transaction at its first read, not at BEGIN.
        begun.read_lists(action)?;
        Ok(begun)
    }

    /// Opens a savepoint.
    pub fn open_savepoint(&mut self) -> Stored<()> {
        self.execute("mark a savepoint", "SAVEPOINT step", [])?;
        self.savepoints.push(self.names.count());
        Ok(())
    }

    /// Undoes everything since the last open savepoint.
    pub fn undo_savepoint(&mut self) -> Stored<()> {
        let action = "roll back to a savepoint";
        let names = self.close_savepoint(action)?;
        self.execute(action, "ROLLBACK TO step", [])?;
        self.execute(action, "RELEASE step", [])?;
        self.names.truncate(names);
        self.read_lists(action)?;
        self.read_bulks(action)
    }

    /// Keeps everything since the last open savepoint.
    pub fn keep_savepoint(&mut self) -> Stored<()> {
        let action = "release a savepoint";
        self.close_savepoint(action)?;
        self.execute(action, "RELEASE step", []).map(|_| ())
    }

    fn close_savepoint(&mut self, action: &'static str) -> Stored<usize> {
        let none = || refused(action, StoreErrorKind::Other, "no savepoint is open");
        self.savepoints.pop().ok_or_else(none)
    }
}

impl Transaction for SqliteTransaction<'_> {
    fn commit(mut self: Box<Self>) -> Stored<()> {
        let action = "commit a transaction";
        self.end_bulks(action)?;
        self.execute(action, "COMMIT", [])?;
        self.phase = Phase::Over;
        self.names_before = self.names.count();
        Ok(())
    }
}

/// Rolls back a transaction that was not committed.
impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        self.lists = Lists::default();
        if !self.connection.is_autocommit() {
            // If this fails, the connection rolls back at its next use.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.names.truncate(self.names_before);
        *self.statements += std::mem::take(&mut self.names.statements);
    }
}
