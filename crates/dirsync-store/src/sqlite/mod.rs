//! The postoffice database in one SQLite file.
//!
//! The file can be read with the `sqlite3` shell. `sql/sqlite/schema.sql` explains every table and
//! column, and the shell's `.schema` repeats that.
//!
//! While the database `NAME` is open, its log `NAME-wal` and the file `NAME-shm` exist beside it. A
//! copy of the file alone is therefore not a backup; [`SqliteStore::backup_to`] makes one.

mod backup;
mod buckets;
mod columns;
mod common;
mod counts;
mod entry;
mod failure;
mod held;
mod lifecycle;
mod list;
mod log_limit;
mod names;
mod network_filesystem;
mod numbered;
mod offer;
mod own;
mod registration;
mod requestor;
mod requestor_state;
mod run;
mod schema;
mod server;
mod transaction;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dirsync_protocol::tables::{StoreError, StoreErrorKind, Stored};
use rusqlite::{Connection, OpenFlags};

use crate::{Store, Transaction};
use failure::{failed, file_failed, refused};
use log_limit::LogLimit;
use names::Names;
use transaction::SqliteTransaction;

pub use schema::SCHEMA_VERSION;

/// The size of the log in bytes at which readers have to stop, unless
/// [`SqliteStore::set_log_limit`] sets another one.
pub const LOG_BYTES_MAX: u64 = 256 << 20;

/// The longest wait for a lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of statements that stay prepared, which is more than there are.
const STATEMENTS_MAX: usize = 200;
/// The size of the page cache, in KiB.
const CACHE_KIB: i64 = 16 << 10;
/// The size of the page cache while a table is read through once, in KiB.
const SCAN_CACHE_KIB: i64 = 1 << 10;
/// The size of a page in a new database, in bytes. It was measured against 8192, with which 1,000 random
/// changes write almost twice as much to the log, and bulk loads take a tenth less time.
const PAGE_BYTES: i64 = 4096;
/// The size of the log above which a commit moves it into the file of the database: 32 MiB.
///
/// A page that changes often is written once if the log is moved late. So the log is normally moved by
/// [`SqliteStore::checkpoint_truncate`] after a cycle, and this limit is rarely reached.
const LOG_BYTES_KEPT: i64 = 32 << 20;

/// The database of a postoffice in a file.
///
/// Several handles, in one or several processes, may have it open. Only one writes at a time, and
/// readers do not wait. A commit is on disk when it returns.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    names: Names,
    statements: u64,
    log: LogLimit,
    reads_only: bool,
}

impl SqliteStore {
    /// Makes a new database.
    ///
    /// # Errors
    ///
    /// If a file of this name exists, if it cannot be made, or if it would be on a network file system.
    pub fn create(path: impl AsRef<Path>) -> Stored<Self> {
        let path = path.as_ref();
        Self::create_at(path).map_err(|error| error.of_database(path))
    }

    fn create_at(path: &Path) -> Stored<Self> {
        let action = "make the database";
        check_place(action, path)?;
        // An interrupted attempt leaves an empty file, which is used.
        let left = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
        if !left {
            make_file(path).map_err(file_failed(action))?;
        }
        let mut connection = connect(action, path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(failed(action))?;
        schema::make(&mut connection)?;
        sync_folder(action, path)?;
        Self::with(action, connection, path, false)
    }

    /// Opens a database. One of an older version of the program is upgraded.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not the database of a postoffice, is on a network file
    /// system, or was made by a newer version of the program. In these cases it is not touched.
    pub fn open(path: impl AsRef<Path>) -> Stored<Self> {
        let path = path.as_ref();
        Self::open_at(path).map_err(|error| error.of_database(path))
    }

    fn open_at(path: &Path) -> Stored<Self> {
        let action = "open the database";
        check_place(action, path)?;
        schema::check_header(path)?;
        share_log(path);
        let mut connection = connect(action, path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let version = schema::checked_version(&connection, path)?;
        schema::upgrade(&mut connection, version)?;
        Self::with(action, connection, path, false)
    }

    /// Opens a database for reading. Its transactions see the state committed before they began,
    /// and make nobody wait. A transaction that is open while the log grows past its limit is ended
    /// with [`StoreErrorKind::Busy`].
    ///
    /// The database can also be read on a disk that is full or read-only, unless its log still has
    /// content.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`], and if the database has to be upgraded first.
    pub fn open_read_only(path: impl AsRef<Path>) -> Stored<Self> {
        let path = path.as_ref();
        Self::open_to_read(path).map_err(|error| error.of_database(path))
    }

    fn open_to_read(path: &Path) -> Stored<Self> {
        let action = "open the database";
        check_place(action, path)?;
        schema::check_header(path)?;
        let (connection, version) = match connect_to_read(action, path) {
            Err(error) if error.kind != StoreErrorKind::Busy => {
                // Report the first error, unless the database can be read without its log.
                connect_without_log(action, path).ok_or(error)?
            }
            outcome => outcome?,
        };
        if version < SCHEMA_VERSION {
            let why = format!(
                "it has version {version} and must be upgraded to {SCHEMA_VERSION} first: start \
                 the agent once"
            );
            return Err(refused(action, StoreErrorKind::Other, why));
        }
        Self::with(action, connection, path, true)
    }

    fn with(
        action: &'static str,
        connection: Connection,
        path: &Path,
        reads_only: bool,
    ) -> Stored<Self> {
        let set = |name, value: &dyn rusqlite::ToSql| connection.pragma_update(None, name, value);
        let settings = || {
            if !reads_only {
                set("journal_mode", &"WAL")?;
                set("journal_size_limit", &LOG_BYTES_KEPT)?;
                set("wal_autocheckpoint", &(LOG_BYTES_KEPT / PAGE_BYTES))?;
            }
            set("synchronous", &"FULL")?;
            set("foreign_keys", &true)?;
            set("cache_size", &-CACHE_KIB)?;
            set("temp_store", &"FILE")
        };
        settings().map_err(failed(action))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(Self {
            connection,
            path: path.into(),
            names: Names::default(),
            statements: 0,
            log: LogLimit::new(path, LOG_BYTES_MAX),
            reads_only,
        })
    }

    /// Moves the content of the log into the file of the database, and empties the log.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Busy`] if a reader or writer uses the log.
    pub fn checkpoint_truncate(&mut self) -> Stored<()> {
        let action = "empty the database's log";
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: i64 =
            self.connection.query_row(sql, [], |row| row.get(0)).map_err(failed(action))?;
        if busy != 0 {
            let why = "another reader or writer uses it";
            return Err(refused(action, StoreErrorKind::Busy, why));
        }
        Ok(())
    }

    /// The size of the log in bytes.
    pub fn wal_bytes(&self) -> u64 {
        self.log.size()
    }

    /// Sets the size of the log, in bytes, at which reads of this handle have to stop.
    pub fn set_log_limit(&mut self, bytes: u64) {
        self.log.bytes = bytes;
    }

    /// Copies the committed state into a new database, while others read and write on. The copy is
    /// made as `PATH.part` and then renamed, so that a file of the final name is always whole. `PATH.lock`
    /// is there meanwhile, and lets only one copy be made.
    ///
    /// # Errors
    ///
    /// If a file of this name exists or another copy of this name is being made, or if the copy cannot be
    /// made. The unfinished copy is then removed.
    pub fn backup_to(&self, path: impl AsRef<Path>) -> Stored<()> {
        let path = path.as_ref();
        self.back_up_at(path).map_err(|error| match error.kind {
            StoreErrorKind::Busy | StoreErrorKind::Corrupt => error.of_database(&self.path),
            // The database itself was read.
            _ => error.of_database(path),
        })
    }

    fn failed(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        move |error| failed(action)(error).of_database(&self.path)
    }

    /// Checks the database, and returns a line for each fault.
    ///
    /// # Errors
    ///
    /// If the database is too damaged for the check.
    pub fn integrity_check(&self) -> Stored<Vec<String>> {
        let action = "check the database";
        let lines = |sql, text: fn(&rusqlite::Row<'_>) -> rusqlite::Result<String>| {
            let mut statement = self.connection.prepare(sql)?;
            statement.query_map([], text)?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let mut faults =
            lines("PRAGMA integrity_check", |row| row.get(0)).map_err(self.failed(action))?;
        faults.retain(|line| line != "ok");
        let references = lines("PRAGMA foreign_key_check", |row| {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            Ok(format!("a row of {table} refers to a row of {parent} that is missing"))
        });
        faults.extend(references.map_err(self.failed(action))?);
        Ok(faults)
    }

    /// The number of statements that were executed in transactions of this handle.
    pub fn statements(&self) -> u64 {
        self.statements
    }

    /// The path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for SqliteStore {
    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        let limit = self.reads_only.then_some(&self.log);
        let begun = SqliteTransaction::begin(
            &self.connection,
            &self.path,
            &mut self.names,
            &mut self.statements,
            limit,
        )?;
        Ok(Box::new(begun))
    }
}

/// Makes an empty file that only the user may read. SQLite gives the files beside a database the same
/// permissions.
fn make_file(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.write(true).create_new(true).open(path).map(drop)
}

fn connect(action: &'static str, path: &Path, flags: OpenFlags) -> Stored<Connection> {
    // Exclusive borrows prove that only one thread at a time uses a handle, so SQLite needs no mutex.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed(action))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed(action))?;
    Ok(connection)
}

/// Gives the log and its index the permissions of the database. They are made with the permissions
/// that it has at that time, so after a time without write permission they would stay unwritable.
fn share_log(path: &Path) {
    let Ok(database) = std::fs::metadata(path) else { return };
    for suffix in ["-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        if std::fs::metadata(&file).is_ok_and(|it| it.permissions() != database.permissions()) {
            // If this is not permitted, opening the database fails and reports it.
            let _ = std::fs::set_permissions(&file, database.permissions());
        }
    }
}

/// A handle for reading, and the version of the schema that it sees.
fn connect_to_read(action: &'static str, path: &Path) -> Stored<(Connection, u32)> {
    let connection = connect(action, path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = schema::checked_version(&connection, path)?;
    Ok((connection, version))
}

/// A handle for reading if no log can be made, which SQLite otherwise needs even for reading. If
/// there is no log, or an empty one, the file has the whole state; and nobody can write to it
/// meanwhile. `None` if the log has content.
fn connect_without_log(action: &'static str, path: &Path) -> Option<(Connection, u32)> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0) {
        return None;
    }
    let text = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = PathBuf::from(format!("file:{text}?immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = connect(action, &uri, flags).ok()?;
    let version = schema::checked_version(&connection, path).ok()?;
    Some((connection, version))
}

fn check_place(action: &'static str, path: &Path) -> Stored<()> {
    let Some(kind) = network_filesystem::network_filesystem(path) else { return Ok(()) };
    let why = format!(
        "{} is on a network file system ({kind}), where databases are damaged: keep it on a local \
         disk",
        path.display()
    );
    Err(refused(action, StoreErrorKind::Other, why))
}

/// Makes the name of a new file durable, which it is when its folder is synced.
fn sync_folder(action: &'static str, path: &Path) -> Stored<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(file_failed(action))?;
    folder.sync_all().map_err(file_failed(action))
}

#[cfg(test)]
mod tests {
    use dirsync_protocol::tables::StoreErrorKind;

    use super::*;

    #[test]
    fn a_full_disk_is_told_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::create(folder.path().join("postoffice.db")).unwrap();
        let pages: i64 =
            store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |store: &SqliteStore, pages: i64| {
            let set = store.connection.query_row(
                &format!("PRAGMA max_page_count = {pages}"),
                [],
                |row| row.get::<_, i64>(0),
            );
            set.unwrap();
        };
        limit(&store, pages + 10);
        let mut transaction = store.begin().unwrap();
        transaction.put_note("first", Some("x")).unwrap();
        let long = "x".repeat(200 << 10);
        let error = transaction.put_note("second", Some(&long)).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Full, "{error}");
        drop(transaction);
        limit(&store, 1 << 20);
        let mut transaction = store.begin().unwrap();
        let notes = transaction.notes("").unwrap();
        assert_eq!(notes, []);
        transaction.put_note("second", Some(&long)).unwrap();
        transaction.commit().unwrap();
        assert_eq!(store.integrity_check().unwrap(), [""; 0]);
    }

    /// A statement after a failure, such as a note of it, must not be committed as a transaction of
    /// its own.
    #[test]
    fn a_transaction_that_was_rolled_back_takes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::create(folder.path().join("postoffice.db")).unwrap();
        let mut transaction = SqliteTransaction::begin(
            &store.connection,
            &store.path,
            &mut store.names,
            &mut store.statements,
            None,
        )
        .unwrap();
        transaction.execute("test", "INSERT INTO note VALUES ('a', 'x')", []).unwrap();
        // As SQLite does after some failures.
        store.connection.execute_batch("ROLLBACK").unwrap();
        let sql = "INSERT INTO note VALUES ('b', 'x')";
        assert!(transaction.execute("test", sql, []).is_err());
        assert!(Box::new(transaction).commit().is_err());
        assert_eq!(store.begin().unwrap().notes("").unwrap(), []);
    }

    #[test]
    fn the_settings_are_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::create(folder.path().join("postoffice.db")).unwrap();
        let reader = SqliteStore::open_read_only(store.path()).unwrap();
        for handle in [&store, &reader] {
            let number = |name: &str| -> i64 {
                let connection = &handle.connection;
                connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
            };
            assert_eq!(number("synchronous"), 2, "FULL");
            assert_eq!(number("foreign_keys"), 1);
            assert_eq!(number("cache_size"), -CACHE_KIB);
            assert_eq!(number("temp_store"), 1, "FILE");
            assert_eq!(number("busy_timeout"), 5000);
            let connection = &handle.connection;
            let mode: String =
                connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
        }
    }
}
