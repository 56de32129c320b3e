//! The version of the schema: making, checking and upgrading it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use dirsync_protocol::tables::{StoreErrorKind, Stored};
use rusqlite::{Connection, TransactionBehavior};

use super::failure::{failed, file_failed, refused};

/// The version of the schema that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// In a database's header: "DSyn".
const APPLICATION_ID: u32 = 0x4453_796e;

/// The newest schema, for new databases.
const SCHEMA: &str = include_str!("../../sql/sqlite/schema.sql");

/// What leads from each version to the next: the first from 1 to 2. Each is applied in one
/// transaction with its version.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize - 1] = [];

/// Gives an empty database the newest schema.
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

/// Refuses a file that is not ours or newer, by its header (SQLite file format §1.3) and without
/// touching it.
pub(super) fn check_header(path: &Path) -> Stored<()> {
    let action = "open the database";
    let mut header = Vec::with_capacity(100);
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

/// The version as SQLite sees it: the newest may stand in the log only.
pub(super) fn checked_version(connection: &Connection, path: &Path) -> Stored<u32> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let action = "open the database";
    let application = pragma("application_id").map_err(failed(action))?;
    let version = pragma("user_version").map_err(failed(action))?;
    check(path, application, version)?;
    Ok(version)
}

/// Brings an older database to the newest version.
pub(super) fn upgrade(connection: &mut Connection, version: u32) -> Stored<()> {
    upgrade_with(connection, version, &MIGRATIONS)
}

fn upgrade_with(connection: &mut Connection, version: u32, migrations: &[&str]) -> Stored<()> {
    for (to, sql) in (2..).zip(migrations).filter(|(to, _)| *to > version) {
        apply(connection, "upgrade the database", sql, to)?;
    }
    Ok(())
}
