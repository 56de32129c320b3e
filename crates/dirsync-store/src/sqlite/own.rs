//! Own entries and own deletions.

use std::collections::BTreeMap;
use std::str::FromStr;

use dirsync_directory::{EntryId, own_element};
use dirsync_message::{ReqSeq, Stamp};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::tables::{Flow, OwnRow, OwnTombstone, Stored};
use rusqlite::{Connection, params};

use super::columns::{Columns, bound, integer};
use super::failure::failed;
use super::names::Names;
use super::transaction::SqliteTransaction;
use super::{CACHE_KIB, SCAN_CACHE_KIB};

/// Selects the columns in the order in which [`read_own`] reads them.
macro_rules! select_own {
    ($rest:literal) => {
        concat!(
            "SELECT id, first_origin, key, source, kind, name, addresses, details, last, whole, \
             parts, stamp, released_to FROM own ",
            $rest
        )
    };
}

const PUT: &str = "INSERT INTO own (id, first_origin, key, source, kind, name, addresses, details, \
     last, whole, parts, stamp, released_to, element) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
     ON CONFLICT (id) DO UPDATE SET first_origin = ?2, key = ?3, source = ?4, kind = ?5, \
     name = ?6, addresses = ?7, details = ?8, last = ?9, whole = ?10, parts = ?11, stamp = ?12, \
     released_to = ?13, element = ?14";

/// Reads the numbers of changes from three columns: last, whole, parts.
pub(super) fn read_numbers(columns: &mut Columns<'_, '_>) -> Stored<ChangeNumbers> {
    Ok(ChangeNumbers {
        last: columns.number()?,
        whole: columns.number()?,
        parts: columns.optional_parsed::<Parts>()?.unwrap_or_default().0,
    })
}

/// The parts of an entry with their numbers, as in the text of [`ChangeNumbers`].
#[derive(Default)]
struct Parts(BTreeMap<String, u64>);

impl FromStr for Parts {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers: ChangeNumbers = format!("0 0 {text}").parse()?;
        Ok(Self(numbers.parts))
    }
}

/// The parts with their numbers as a column, which is null if there are none.
pub(super) fn parts_text(numbers: &ChangeNumbers) -> Option<String> {
    if numbers.parts.is_empty() {
        return None;
    }
    numbers.to_string().splitn(3, ' ').nth(2).map(str::to_owned)
}

fn read_own(
    columns: &mut Columns<'_, '_>,
    names: &mut Names,
    connection: &Connection,
) -> Stored<OwnRow> {
    Ok(OwnRow {
        id: columns.id()?,
        first_origin: columns.name(names, connection)?.clone(),
        key: columns.text()?.into(),
        source: columns.text()?.into(),
        record: columns.record()?.to_record(),
        numbers: read_numbers(columns)?,
        stamp: Stamp(columns.number()?),
        released_to: columns.optional_name(names, connection)?,
    })
}

fn read_tombstone(columns: &mut Columns<'_, '_>) -> Stored<OwnTombstone> {
    Ok(OwnTombstone {
        id: columns.id()?,
        req_seq: ReqSeq(columns.number()?),
        stamp: Stamp(columns.number()?),
        approved: columns.flag()?,
    })
}

impl SqliteTransaction<'_> {
    pub(super) fn find_own(&mut self, id: EntryId) -> Stored<Option<OwnRow>> {
        let connection = self.connection;
        let sql = select_own!("WHERE id = ?1");
        self.one("read an own entry", sql, [id.as_bytes()], |columns, names| {
            read_own(columns, names, connection)
        })
    }

    pub(super) fn write_own(&mut self, row: &OwnRow) -> Stored<()> {
        let action = "write an own entry";
        let first_origin = self.number_of(action, &row.first_origin)?;
        let released_to = self.optional_number_of(action, row.released_to.as_ref())?;
        let element = own_element(row.id, row.released_to.as_ref(), row.record.as_ref());
        let params = params![
            row.id.as_bytes(),
            first_origin,
            row.key,
            row.source,
            row.record.kind,
            row.record.name,
            row.record.addresses,
            row.record.details,
            integer(action, row.numbers.last)?,
            integer(action, row.numbers.whole)?,
            parts_text(&row.numbers),
            integer(action, row.stamp.0)?,
            released_to,
            element.to_be_bytes(),
        ];
        self.execute(action, PUT, params).map(|_| ())
    }

    pub(super) fn visit_own_after(
        &mut self,
        after: ReqSeq,
        visit: &mut dyn FnMut(&OwnRow) -> Flow,
    ) -> Stored<()> {
        let (action, connection) = ("read own entries", self.connection);
        let sql = select_own!("WHERE last > ?1 ORDER BY last");
        self.visit(action, sql, [bound(after.0)], |row, names| {
            Ok(visit(&read_own(&mut Columns::new(action, row), names, connection)?))
        })
    }

    pub(super) fn visit_elements(
        &mut self,
        visit: &mut dyn FnMut((EntryId, u128, &str)) -> Flow,
    ) -> Stored<()> {
        // This reads the whole table for its first columns. An index of these columns in the order
        // of ids was tried: reading took a quarter less time, but writing took six times as long.
        let action = "read the digest of own entries";
        let sql = "SELECT id, element, source FROM own";
        // No page is needed twice, so few are kept. Making room for a full cache takes a tenth of the time of an
        // unchanged read.
        self.set_cache(action, SCAN_CACHE_KIB)?;
        let visited = self.visit(action, sql, [], |row, _| {
            let mut columns = Columns::new(action, row);
            let (id, element) = (columns.id()?, u128::from_be_bytes(columns.bytes()?));
            Ok(visit((id, element, columns.text()?)))
        });
        self.set_cache(action, CACHE_KIB)?;
        visited
    }

    fn set_cache(&self, action: &'static str, kib: i64) -> Stored<()> {
        self.connection.pragma_update(None, "cache_size", -kib).map_err(failed(action))
    }

    pub(super) fn find_own_tombstone(&mut self, id: EntryId) -> Stored<Option<OwnTombstone>> {
        let sql = "SELECT id, req_seq, stamp, approved FROM own_tombstone WHERE id = ?1";
        self.one("read an own deletion", sql, [id.as_bytes()], |columns, _| read_tombstone(columns))
    }

    pub(super) fn write_own_tombstone(&mut self, tombstone: &OwnTombstone) -> Stored<()> {
        let action = "write an own deletion";
        let sql = "REPLACE INTO own_tombstone (id, req_seq, stamp, approved) \
                   VALUES (?1, ?2, ?3, ?4)";
        let params = params![
            tombstone.id.as_bytes(),
            integer(action, tombstone.req_seq.0)?,
            integer(action, tombstone.stamp.0)?,
            tombstone.approved,
        ];
        self.execute(action, sql, params).map(|_| ())
    }

    pub(super) fn visit_own_tombstones_after(
        &mut self,
        after: ReqSeq,
        visit: &mut dyn FnMut(OwnTombstone) -> Flow,
    ) -> Stored<()> {
        let action = "read own deletions";
        let sql = "SELECT id, req_seq, stamp, approved FROM own_tombstone WHERE req_seq > ?1 \
                   ORDER BY req_seq";
        self.visit(action, sql, [bound(after.0)], |row, _| {
            Ok(visit(read_tombstone(&mut Columns::new(action, row))?))
        })
    }
}
