//! The schema of the database: making it, checking its version, and upgrading it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use dirsync_protocol::tables::{StoreErrorKind, Stored};
use rusqlite::{Connection, TransactionBehavior};

use super::failure::{failed, file_failed, refused};

/// The version of the schema that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The application id in the header of a database: "DSyn".
const APPLICATION_ID: u32 = 0x4453_796e;

/// The newest schema, for new databases.
const SCHEMA: &str = include_str!("../../sql/sqlite/schema.sql");

/// The upgrades from each version to the next; the first one leads from 1 to 2. Each is applied in
/// one transaction together with its version. Until the first release the schema is changed in
/// place instead.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize - 1] = [];

/// Makes the newest schema in an empty database.
pub(super) fn make(connection: &mut Connection) -> Stored<()> {
    let action = "make the database";
    apply(connection, action, SCHEMA, SCHEMA_VERSION)
}

fn apply(connection: &mut Connection, action: &'static str, sql: &str, version: u32) -> Stored<()> {
    let mut work = || -> rusqlite::Result<()> {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()
    };
    work().map_err(failed(action))
}

/// Refuses a file that is not the database of a postoffice, or has a newer version. Only its header
/// is read (SQLite file format, section 1.3), so that the file is not touched.
pub(super) fn check_header(path: &Path) -> Stored<()> {
    let action = "open the database";
    let mut header = Vec::with_capacity(100);
    // Opening a named pipe would wait for ever.
    if !std::fs::metadata(path).map_err(file_failed(action))?.is_file() {
        let why = format!("{} is not a file", path.display());
        return Err(refused(action, StoreErrorKind::Other, why));
    }
    let file = File::open(path).map_err(file_failed(action))?;
    file.take(100).read_to_end(&mut header).map_err(file_failed(action))?;
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        let why = format!("{} is not a database", path.display());
        return Err(refused(action, StoreErrorKind::Corrupt, why));
    }
    let number = |at: usize| {
        header[at..at + 4].iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte))
    };
    check(path, number(68), number(60))
}

fn check(path: &Path, application: u32, version: u32) -> Stored<()> {
    let action = "open the database";
    if application != APPLICATION_ID {
        let why = format!("{} is not a postoffice database", path.display());
        return Err(refused(action, StoreErrorKind::Other, why));
    }
    if version > SCHEMA_VERSION {
        let why = format!(
            "{} has version {version}, this program knows versions up to {SCHEMA_VERSION}: use \
             the newer program, or restore a backup from before the upgrade",
            path.display()
        );
        return Err(refused(action, StoreErrorKind::Newer, why));
    }
    Ok(())
}

/// The version of the schema as SQLite sees it. After an upgrade the newest version may be only in
/// the log, which [`check_header`] does not read.
pub(super) fn checked_version(connection: &Connection, path: &Path) -> Stored<u32> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let action = "open the database";
    let application = pragma("application_id").map_err(failed(action))?;
    let version = pragma("user_version").map_err(failed(action))?;
    check(path, application, version)?;
    Ok(version)
}

/// Upgrades an older database to the newest version.
pub(super) fn upgrade(connection: &mut Connection, version: u32) -> Stored<()> {
    upgrade_with(connection, version, 1, &MIGRATIONS)
}

/// Applies those of `migrations` that are newer than `version`. The first one upgrades version `first`.
fn upgrade_with(
    connection: &mut Connection,
    version: u32,
    first: u32,
    migrations: &[&str],
) -> Stored<()> {
    for (to, sql) in (first + 1..).zip(migrations).filter(|(to, _)| *to > version) {
        apply(connection, "upgrade the database", sql, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two upgrades of several statements each, like those in files.
    const STEPS: [&str; 2] = [
        "ALTER TABLE note ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
         UPDATE note SET at = 7;
         CREATE INDEX note_at ON note (at);",
        "CREATE TABLE moved (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
         INSERT INTO moved SELECT name, at FROM note;
         DELETE FROM note;
         DROP INDEX note_at;",
    ];

    /// Everything in the database as text, with its version.
    fn content(connection: &Connection) -> Vec<String> {
        let lines = |sql: &str| -> Vec<String> {
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let mut content = lines("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name");
        content.extend(lines("SELECT name || '=' || text FROM note ORDER BY name"));
        content.extend(lines("SELECT user_version || '' FROM pragma_user_version"));
        content
    }

    fn version(connection: &Connection) -> u32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    fn newest(path: &Path) -> Connection {
        let mut connection = Connection::open(path).unwrap();
        make(&mut connection).unwrap();
        connection.execute_batch("INSERT INTO note VALUES ('a', 'x'), ('b', 'y')").unwrap();
        connection
    }

    #[test]
    fn interrupted_upgrade_and_downgrade() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postoffice.db");
        drop(newest(&path));
        // Each upgrade stops before its first statement, after it, after its second, ...
        for (step, sql) in STEPS.iter().enumerate() {
            let statements: Vec<&str> = sql.split_inclusive(';').collect();
            for count in 0..=statements.len() {
                let mut connection = Connection::open(&path).unwrap();
                let (before, version_before) = (content(&connection), version(&connection));
                let stopped = format!("{} SELECT stop();", statements[..count].concat());
                let mut steps = STEPS;
                steps[step] = &stopped;
                let error = upgrade_with(&mut connection, version_before, SCHEMA_VERSION, &steps)
                    .unwrap_err();
                assert!(error.to_string().contains("stop"), "{error}");
                drop(connection);
                let connection = Connection::open(&path).unwrap();
                assert_eq!(content(&connection), before, "step {step} after {count} statements");
            }
            let mut connection = Connection::open(&path).unwrap();
            let before = version(&connection);
            upgrade_with(&mut connection, before, SCHEMA_VERSION, &STEPS[..=step]).unwrap();
            assert_eq!(version(&connection), SCHEMA_VERSION + step as u32 + 1);
        }
        let connection = Connection::open(&path).unwrap();
        let moved: u32 =
            connection.query_row("SELECT sum(at) FROM moved", [], |row| row.get(0)).unwrap();
        assert_eq!(moved, 14, "each statement ran once");
        drop(connection);
        // The database is now of a version that this program does not know.
        let bytes = std::fs::read(&path).unwrap();
        for open in [crate::sqlite::SqliteStore::open, crate::sqlite::SqliteStore::open_read_only] {
            let error = open(&path).unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Newer);
            let text = error.to_string();
            let (found, known) = (SCHEMA_VERSION + 2, format!("up to {SCHEMA_VERSION}"));
            assert!(text.contains(&format!("version {found}")) && text.contains(&known), "{text}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "untouched");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside it");
    }

    #[test]
    fn a_version_that_stands_in_the_log_only_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postoffice.db");
        let connection = newest(&path);
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "user_version", 9).unwrap();
        let error = crate::sqlite::SqliteStore::open(&path).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Newer, "{error}");
    }

    #[test]
    fn every_table_and_column_is_explained() {
        let mut tables = 0;
        let mut above = "";
        for line in SCHEMA.lines() {
            if line.starts_with("CREATE TABLE") {
                assert!(above.starts_with("-- "), "{line}");
                tables += 1;
            }
            let column = line
                .strip_prefix("    ")
                .is_some_and(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
            assert!(!column || line.contains(" -- "), "{line}");
            above = line;
        }
        assert!(tables > 20, "{tables}");
    }

    #[test]
    fn statements_on_the_lists_are_those_of_the_schema() {
        // A bulk drops these indexes and makes them again, so its statements must be those of the
        // schema.
        for sql in crate::sqlite::list::INDEX {
            assert!(SCHEMA.contains(&format!("{sql};")), "{sql}");
        }
    }
}
