//! The server's rows, one for each id of each origin, and the index of their addresses.

use std::collections::BTreeSet;
use std::sync::Arc;

use dirsync_directory::{EntryId, PostofficeName, Record, RecordRef, fold};
use dirsync_message::Stamp;
use dirsync_protocol::tables::{Flow, Hold, Published, ServerRow, StoreError, Stored, Submitted};
use rusqlite::{CachedStatement, Connection, params};

use super::columns::{Columns, integer, seen_in_text};
use super::names::Names;
use super::own::{parts_text, read_numbers};
use super::transaction::SqliteTransaction;

const INSERT: &str = "INSERT INTO entry (origin, first_origin, key, unsettled, s_kind, s_name, \
     s_addresses, s_details, s_stamp, s_released_to, s_claim, s_invalid, p_kind, p_name, \
     p_addresses, p_details, p_released_to, p_stamp, p_last, p_whole, p_parts, p_seen_in, \
     p_held_since, p_held_no, id, identity) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
     ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)";

const UPDATE: &str = "UPDATE entry SET origin = ?1, first_origin = ?2, key = ?3, unsettled = ?4, \
     s_kind = ?5, s_name = ?6, s_addresses = ?7, s_details = ?8, s_stamp = ?9, \
     s_released_to = ?10, s_claim = ?11, s_invalid = ?12, p_kind = ?13, p_name = ?14, \
     p_addresses = ?15, p_details = ?16, p_released_to = ?17, p_stamp = ?18, p_last = ?19, \
     p_whole = ?20, p_parts = ?21, p_seen_in = ?22, p_held_since = ?23, p_held_no = ?24 \
     WHERE row = ?25";

/// The rows that claim an address. The `+` before the parameter keeps the prepared statement.
///
/// SQLite plans a comparison `= ?1` again if the parameter changes to or from 0 or 1. Clearing the
/// parameters of a cached statement counts as such a change, so it would be planned at each use. SQLite
/// does not do so for an expression such as `+?1`.
const CLAIMANTS: &str = "SELECT id, origin, s_addresses, p_addresses \
     FROM address CROSS JOIN entry USING (row) WHERE hash = +?1";

/// Selects the columns in the order in which [`read_entry`] reads them.
macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT id, origin, first_origin, key, s_stamp, s_released_to, s_claim, s_invalid, \
             s_kind, s_name, s_addresses, s_details, p_last, p_whole, p_parts, p_released_to, \
             p_stamp, p_seen_in, p_held_since, p_held_no, p_kind, p_name, p_addresses, p_details \
             FROM entry ",
            $rest
        )
    };
}
pub(super) use select_entry;

fn read_submitted(
    columns: &mut Columns<'_, '_>,
    names: &mut Names,
    connection: &Connection,
) -> Stored<Option<Submitted>> {
    let Some(stamp) = columns.optional_number()? else {
        columns.skip(7);
        return Ok(None);
    };
    Ok(Some(Submitted {
        stamp: Stamp(stamp),
        released_to: columns.optional_name(names, connection)?,
        claim: columns.number()?,
        invalid: columns.optional_text()?.map(str::to_owned),
        record: Arc::new(columns.record()?.to_record()),
    }))
}

/// The published part of a row. Its content is stored where it differs from the submitted one.
fn read_published(
    columns: &mut Columns<'_, '_>,
    names: &mut Names,
    connection: &Connection,
    submitted: Option<&Submitted>,
) -> Stored<Option<Published>> {
    if columns.optional_integer()?.is_none() {
        return Ok(None);
    }
    columns.back();
    Ok(Some(Published {
        numbers: read_numbers(columns)?,
        released_to: columns.optional_name(names, connection)?,
        stamp: Stamp(columns.number()?),
        seen_in: columns.seen_in()?,
        held: match columns.optional_number()? {
            Some(since) => Some(Hold { since, rejected: columns.flag()? }),
            None => {
                columns.skip(1);
                None
            }
        },
        record: match (columns.optional_record()?, submitted) {
            (Some(record), _) => Arc::new(record),
            (None, Some(submitted)) => Arc::clone(&submitted.record),
            (None, None) => {
                return Err(StoreError::corrupt("read a row", "it is published without content"));
            }
        },
    }))
}

/// Reads a row from the columns of `select_entry!`.
pub(super) fn read_entry(
    columns: &mut Columns<'_, '_>,
    names: &mut Names,
    connection: &Connection,
) -> Stored<ServerRow> {
    let id = columns.id()?;
    let origin = columns.name(names, connection)?.clone();
    let first_origin = columns.name(names, connection)?.clone();
    let key = columns.text()?.into();
    let submitted = read_submitted(columns, names, connection)?;
    let published = read_published(columns, names, connection, submitted.as_ref())?;
    Ok(ServerRow { id, origin, first_origin, key, submitted, published })
}

/// The hash of an address in the index: FNV-1a with 64 bits (RFC 9923). A fast hash is enough,
/// because keys are short, and the addresses of the rows found are compared anyway.
fn hash(address_key: &str) -> i64 {
    let hash = address_key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.cast_signed()
}

fn keys_of(addresses: &str) -> impl Iterator<Item = String> + '_ {
    RecordRef { kind: "", name: "", addresses, details: "" }.address_keys()
}

fn hashes(addresses: [Option<&str>; 2]) -> BTreeSet<i64> {
    addresses.into_iter().flatten().flat_map(keys_of).map(|key| hash(&key)).collect()
}

/// The addresses that a row claims by its submitted record, and those of another published record.
fn addresses_of(row: &ServerRow) -> [Option<&str>; 2] {
    let submitted = row.submitted.as_ref().map(|submitted| &*submitted.record.addresses);
    [submitted, row.diverging_record().map(|record| &*record.addresses)]
}

/// The stored state of a row that is about to change.
struct StoredEntry {
    row: i64,
    hashes: BTreeSet<i64>,
}

impl SqliteTransaction<'_> {
    fn stored_entry(
        &mut self,
        action: &'static str,
        id: EntryId,
        identity: i64,
    ) -> Stored<Option<StoredEntry>> {
        let sql = "SELECT row, s_addresses, p_addresses FROM entry WHERE id = ?1 AND identity = ?2";
        self.one(action, sql, params![id.as_bytes(), identity], |columns, _| {
            let row = columns.integer()?;
            let addresses = [columns.optional_text()?, columns.optional_text()?];
            Ok(StoredEntry { row, hashes: hashes(addresses) })
        })
    }

    /// Writes a row. In the index of addresses, only those that differ from the stored row are written.
    pub(super) fn write_entry(&mut self, row: &ServerRow) -> Stored<()> {
        let action = "write a row";
        let origin = self.number_of(action, &row.origin)?;
        let identity = self.names.identity_of(origin);
        let old = self.stored_entry(action, row.id, identity)?;
        let new = hashes(addresses_of(row));
        let mut statement = self.prepare(action, if old.is_some() { UPDATE } else { INSERT })?;
        self.bind_entry(action, &mut statement, row, origin)?;
        let mut finish = || match &old {
            Some(old) => {
                statement.raw_bind_parameter(25, old.row)?;
                statement.raw_execute()
            }
            None => {
                statement.raw_bind_parameter(25, row.id.as_bytes())?;
                statement.raw_bind_parameter(26, identity)?;
                statement.raw_execute()
            }
        };
        finish().map_err(self.failed(action))?;
        drop(statement);
        let (number, old) = match old {
            Some(old) => (old.row, old.hashes),
            None => (self.connection.last_insert_rowid(), BTreeSet::new()),
        };
        self.forget_addresses(action, number, old.difference(&new))?;
        for hash in new.difference(&old) {
            let sql = "INSERT INTO address (hash, row) VALUES (?1, ?2)";
            self.execute(action, sql, [*hash, number])?;
        }
        Ok(())
    }

    fn forget_addresses<'h>(
        &mut self,
        action: &'static str,
        row: i64,
        hashes: impl Iterator<Item = &'h i64>,
    ) -> Stored<()> {
        for hash in hashes {
            let sql = "DELETE FROM address WHERE hash = ?1 AND row = ?2";
            self.execute(action, sql, [*hash, row])?;
        }
        Ok(())
    }

    /// Binds the first 24 parameters. A parameter that is not bound is null.
    fn bind_entry(
        &mut self,
        action: &'static str,
        statement: &mut CachedStatement<'_>,
        row: &ServerRow,
        origin: i64,
    ) -> Stored<()> {
        let first_origin = self.number_of(action, &row.first_origin)?;
        let mut bind = || {
            statement.raw_bind_parameter(1, origin)?;
            statement.raw_bind_parameter(2, first_origin)?;
            statement.raw_bind_parameter(3, &*row.key)?;
            statement.raw_bind_parameter(4, row.is_unsettled())
        };
        bind().map_err(self.failed(action))?;
        if let Some(submitted) = &row.submitted {
            self.bind_submitted(action, statement, submitted)?;
        }
        if let Some(published) = &row.published {
            self.bind_published(action, statement, published, row.diverging_record())?;
        }
        Ok(())
    }

    fn bind_submitted(
        &mut self,
        action: &'static str,
        statement: &mut CachedStatement<'_>,
        submitted: &Submitted,
    ) -> Stored<()> {
        let released_to = self.optional_number_of(action, submitted.released_to.as_ref())?;
        let (stamp, claim) =
            (integer(action, submitted.stamp.0)?, integer(action, submitted.claim)?);
        let mut bind = || {
            bind_record(statement, 5, submitted.content())?;
            statement.raw_bind_parameter(9, stamp)?;
            statement.raw_bind_parameter(10, released_to)?;
            statement.raw_bind_parameter(11, claim)?;
            statement.raw_bind_parameter(12, submitted.invalid.as_deref())
        };
        bind().map_err(self.failed(action))
    }

    fn bind_published(
        &mut self,
        action: &'static str,
        statement: &mut CachedStatement<'_>,
        published: &Published,
        diverging: Option<&Record>,
    ) -> Stored<()> {
        let released_to = self.optional_number_of(action, published.released_to.as_ref())?;
        let stamp = integer(action, published.stamp.0)?;
        let last = integer(action, published.numbers.last)?;
        let whole = integer(action, published.numbers.whole)?;
        let since = published.held.map(|hold| integer(action, hold.since)).transpose()?;
        let mut bind = || {
            if let Some(record) = diverging {
                bind_record(statement, 13, record.as_ref())?;
            }
            statement.raw_bind_parameter(17, released_to)?;
            statement.raw_bind_parameter(18, stamp)?;
            statement.raw_bind_parameter(19, last)?;
            statement.raw_bind_parameter(20, whole)?;
            statement.raw_bind_parameter(21, parts_text(&published.numbers))?;
            statement.raw_bind_parameter(22, seen_in_text(&published.seen_in))?;
            statement.raw_bind_parameter(23, since)?;
            statement.raw_bind_parameter(24, published.held.map(|hold| hold.rejected))
        };
        bind().map_err(self.failed(action))
    }

    pub(super) fn read_entries(&mut self, id: EntryId) -> Stored<Vec<ServerRow>> {
        let connection = self.connection;
        let sql = select_entry!("WHERE id = ?1");
        let mut rows =
            self.all("read the rows of an entry", sql, [id.as_bytes()], |columns, names| {
                read_entry(columns, names, connection)
            })?;
        rows.sort_by(|a, b| a.origin.cmp(&b.origin));
        Ok(rows)
    }

    pub(super) fn remove_entry(&mut self, id: EntryId, origin: &PostofficeName) -> Stored<()> {
        let action = "delete a row";
        let Some(identity) = self.identity(action, origin)? else { return Ok(()) };
        let Some(old) = self.stored_entry(action, id, identity)? else { return Ok(()) };
        self.forget_addresses(action, old.row, old.hashes.iter())?;
        self.execute(action, "DELETE FROM entry WHERE row = ?1", [old.row]).map(|_| ())
    }

    /// The rows that claim or have an address. Different addresses may have the same hash, so the
    /// addresses of each row that the index finds are compared.
    pub(super) fn visit_claimants(
        &mut self,
        address_key: &str,
        visit: &mut dyn FnMut(EntryId, &PostofficeName) -> Flow,
    ) -> Stored<()> {
        let (action, connection) = ("read the claimants of an address", self.connection);
        self.visit(action, CLAIMANTS, [hash(address_key)], |row, names| {
            let mut columns = Columns::new(action, row);
            let (id, origin) = (columns.id()?, columns.integer()?);
            let addresses = [columns.optional_text()?, columns.optional_text()?];
            let mut texts = addresses.into_iter().flatten().flat_map(|texts| texts.split('\t'));
            if texts.any(|text| !text.is_empty() && fold(text) == address_key) {
                names.ensure(connection, action, origin)?;
                return Ok(visit(id, names.get(action, origin)?));
            }
            Ok(Flow::Continue(()))
        })
    }
}

fn bind_record(
    statement: &mut CachedStatement<'_>,
    first: usize,
    record: RecordRef<'_>,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(first, record.kind)?;
    statement.raw_bind_parameter(first + 1, record.name)?;
    statement.raw_bind_parameter(first + 2, record.addresses)?;
    statement.raw_bind_parameter(first + 3, record.details)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn claimants_are_found_without_planning_anew() {
        let schema = include_str!("../../sql/sqlite/schema.sql");
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema).unwrap();
        for hash in [7, 1, -9] {
            let mut statement = connection.prepare_cached(CLAIMANTS).unwrap();
            assert!(!statement.exists([hash]).unwrap());
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "for {hash}");
        }
    }

    #[test]
    fn the_hash_of_addresses_is_fnv_1a() {
        // From the test vectors of RFC 9923.
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325_u64.cast_signed());
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c_u64.cast_signed());
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8_u64.cast_signed());
    }
}
