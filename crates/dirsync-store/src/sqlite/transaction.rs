//! The execution of statements in a transaction on the database.

use std::fmt;
use std::path::Path;

use dirsync_directory::{EntryId, PostofficeName};
use dirsync_protocol::tables::{Flow, StoreError, StoreErrorKind, Stored};
use rusqlite::{CachedStatement, Connection, Params, Row};

use super::columns::Columns;
use super::failure::{failed, refused};
use super::log_limit::LogLimit;
use super::names::Names;

/// A transaction on a [`SqliteStore`](super::SqliteStore).
pub(super) struct SqliteTransaction<'s> {
    pub connection: &'s Connection,
    /// The database's file, which errors name.
    pub path: &'s Path,
    pub names: &'s mut Names,
    pub statements: &'s mut u64,
    /// The limit of the log. Set for readers only, because they prevent its reuse.
    pub limit: Option<&'s LogLimit>,
    /// The number of names that were known when the transaction began.
    pub names_before: usize,
    /// The number of names that were known at each open savepoint.
    pub savepoints: Vec<usize>,
    pub lists: Lists<'s>,
    pub phase: Phase,
}

/// The state of the two tables of lists within a transaction.
#[derive(Default)]
pub(super) struct Lists<'s> {
    /// The table of the live list.
    pub live: usize,
    /// The statements that append rows in bulk. A table that has one is without its index.
    pub bulk: [Option<CachedStatement<'s>>; 2],
}

/// The phase of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Beginning,
    Open,
    Over,
}

impl fmt::Debug for SqliteTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTransaction")
            .field("savepoints", &self.savepoints.len())
            .finish_non_exhaustive()
    }
}

impl<'s> SqliteTransaction<'s> {
    /// The error of an action that SQLite refused; it names the database.
    pub fn failed(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + use<'s> {
        let path = self.path;
        move |error| failed(action)(error).of_database(path)
    }

    /// A result whose error names the database.
    pub fn named<T>(&self, result: Stored<T>) -> Stored<T> {
        result.map_err(|error| error.of_database(self.path))
    }

    /// A prepared statement, which the caller executes once.
    pub fn prepare(
        &mut self,
        action: &'static str,
        sql: &'static str,
    ) -> Stored<CachedStatement<'s>> {
        self.count_statement(action)?;
        self.connection.prepare_cached(sql).map_err(self.failed(action))
    }

    /// Counts a statement that is about to be executed. Fails if the transaction has ended.
    ///
    /// After some errors, such as a full disk, SQLite rolls back by itself. It would then execute each
    /// further statement as a transaction of its own.
    pub fn count_statement(&mut self, action: &'static str) -> Stored<()> {
        if let Some(limit) = self.limit {
            self.check_limit(action, limit)?;
        }
        let lost = self.phase == Phase::Open && self.connection.is_autocommit();
        if lost || self.phase == Phase::Over {
            let why = "the transaction was ended by an earlier failure";
            return Err(refused(action, StoreErrorKind::Other, why).of_database(self.path));
        }
        *self.statements += 1;
        Ok(())
    }

    /// Ends a read transaction that prevents the reuse of a log that is over its limit.
    fn check_limit(&mut self, action: &'static str, limit: &LogLimit) -> Stored<()> {
        if !limit.exceeded() {
            return Ok(());
        }
        if self.phase == Phase::Open {
            self.phase = Phase::Over;
            self.connection.execute_batch("ROLLBACK").map_err(self.failed(action))?;
        }
        let why = "this read was open for too long: the database's log grew past its limit; \
                   begin the read again";
        Err(refused(action, StoreErrorKind::Busy, why).of_database(self.path))
    }

    /// Executes a statement that returns no rows. Returns the number of rows that it changed.
    pub fn execute(
        &mut self,
        action: &'static str,
        sql: &'static str,
        params: impl Params,
    ) -> Stored<usize> {
        self.prepare(action, sql)?.execute(params).map_err(self.failed(action))
    }

    /// Reads at most one row.
    pub fn one<T>(
        &mut self,
        action: &'static str,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&mut Columns<'_, '_>, &mut Names) -> Stored<T>,
    ) -> Stored<Option<T>> {
        let mut statement = self.prepare(action, sql)?;
        let mut rows = statement.query(params).map_err(self.failed(action))?;
        match rows.next().map_err(self.failed(action))? {
            Some(row) => {
                let value = read(&mut Columns::new(action, row), self.names);
                self.named(value).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Reads all rows.
    pub fn all<T>(
        &mut self,
        action: &'static str,
        sql: &'static str,
        params: impl Params,
        mut read: impl FnMut(&mut Columns<'_, '_>, &mut Names) -> Stored<T>,
    ) -> Stored<Vec<T>> {
        let mut all = Vec::new();
        self.visit(action, sql, params, |row, names| {
            all.push(read(&mut Columns::new(action, row), names)?);
            Ok(Flow::Continue(()))
        })?;
        Ok(all)
    }

    /// Visits rows until the visitor breaks.
    pub fn visit(
        &mut self,
        action: &'static str,
        sql: &'static str,
        params: impl Params,
        mut visit: impl FnMut(&Row<'_>, &mut Names) -> Stored<Flow>,
    ) -> Stored<()> {
        let mut statement = self.prepare(action, sql)?;
        let mut rows = statement.query(params).map_err(self.failed(action))?;
        while let Some(row) = rows.next().map_err(self.failed(action))? {
            let flow = visit(row, self.names);
            if self.named(flow)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The number of a postoffice's name in this spelling, which is added if it is new.
    pub fn number_of(&mut self, action: &'static str, name: &PostofficeName) -> Stored<i64> {
        let number = self.names.number(self.connection, action, name);
        self.named(number)
    }

    /// [`Self::number_of`] a name, if there is one.
    pub fn optional_number_of(
        &mut self,
        action: &'static str,
        name: Option<&PostofficeName>,
    ) -> Stored<Option<i64>> {
        name.map(|name| self.number_of(action, name)).transpose()
    }

    /// The identity of a postoffice, or `None` if the database has never had its name.
    pub fn identity(&mut self, action: &'static str, name: &PostofficeName) -> Stored<Option<i64>> {
        let identity = self.names.identity(self.connection, action, name);
        self.named(identity)
    }

    /// Deletes the row with an id.
    pub fn delete_id(
        &mut self,
        action: &'static str,
        sql: &'static str,
        id: EntryId,
    ) -> Stored<()> {
        self.execute(action, sql, [id.as_bytes()]).map(|_| ())
    }
}
