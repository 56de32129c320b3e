//! The two lists of a requestor: the live one, and the one that is prepared beside it.

use dirsync_directory::{EntryId, PostofficeName};
use dirsync_message::{SrvSeq, Stamp};
use dirsync_protocol::tables::{
    Flow, ListPlace, ListRow, OwnedListRow, StoreError, StoreErrorKind, Stored,
};
use rusqlite::{CachedStatement, ErrorCode, Row};

use super::columns::{Columns, integer};
use super::failure::refused;
use super::names::Names;
use super::transaction::{Lists, SqliteTransaction};

/// The same statement for each of the two tables.
macro_rules! per_list {
    ($before:literal, $between:literal, $after:literal) => {
        [
            concat!($before, "list_a", $between, "list_a", $after),
            concat!($before, "list_b", $between, "list_b", $after),
        ]
    };
    ($before:literal, $after:literal) => {
        [concat!($before, "list_a", $after), concat!($before, "list_b", $after)]
    };
}

const APPEND: [&str; 2] = per_list!(
    "INSERT INTO ",
    " (id, owner, first_origin, key, srv_seq, stamp, released_to, kind, name, addresses, details) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
);
/// Writes a row. One that exists is updated in place, so that the index of ids does not change.
const PUT: [&str; 2] = per_list!(
    "INSERT INTO ",
    " (id, owner, first_origin, key, srv_seq, stamp, released_to, kind, name, addresses, details) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET \
     owner = ?2, first_origin = ?3, key = ?4, srv_seq = ?5, stamp = ?6, released_to = ?7, \
     kind = ?8, name = ?9, addresses = ?10, details = ?11"
);
const ONE: [&str; 2] = per_list!(
    "SELECT id, owner, first_origin, key, srv_seq, stamp, released_to, kind, name, addresses, \
     details FROM ",
    " WHERE id = ?1"
);
const ALL: [&str; 2] = per_list!(
    "SELECT id, owner, first_origin, key, srv_seq, stamp, released_to, kind, name, addresses, \
     details FROM ",
    " ORDER BY row"
);
const BY_NAME: [&str; 2] = per_list!(
    "SELECT id, owner, first_origin, key, srv_seq, stamp, released_to, kind, name, addresses, \
     details FROM ",
    " ORDER BY name, id"
);
const COUNT_OFFERED: [&str; 2] = per_list!(
    "SELECT count(*) FROM (SELECT id FROM offer UNION SELECT id FROM ",
    " WHERE released_to IN (SELECT no FROM postoffice WHERE identity = ?1)) AS offered \
     WHERE NOT EXISTS (SELECT 1 FROM own WHERE own.id = offered.id AND own.released_to IS NULL)"
);
const DELETE: [&str; 2] = per_list!("DELETE FROM ", " WHERE id = ?1");
const CLEAR: [&str; 2] = per_list!("DELETE FROM ", "");
/// The indexes of ids, literally as in `schema.sql`.
pub(super) const INDEX: [&str; 2] = per_list!("CREATE UNIQUE INDEX ", "_id ON ", " (id)");
const DROP_INDEX: [&str; 2] = per_list!("DROP INDEX ", "_id");
const CLEAR_BUCKETS: &str = "DELETE FROM list_bucket WHERE list = ?1";

/// Reads a row without copying its texts. Only names that another handle has added are loaded, at
/// most once for a row.
fn read_row<'r>(
    columns: &mut Columns<'r, '_>,
    names: &'r mut Names,
    connection: &rusqlite::Connection,
    action: &'static str,
) -> Stored<ListRow<'r>> {
    let id = columns.id()?;
    let (owner, first_origin) = (columns.integer()?, columns.integer()?);
    let (key, srv_seq, stamp) = (columns.text()?, columns.number()?, columns.number()?);
    let released_to = columns.optional_integer()?;
    let newest = owner.max(first_origin).max(released_to.unwrap_or(0));
    names.ensure(connection, action, newest)?;
    let names = &*names;
    Ok(ListRow {
        id,
        owner: names.get(action, owner)?,
        first_origin: names.get(action, first_origin)?,
        key,
        srv_seq: SrvSeq(srv_seq),
        stamp: Stamp(stamp),
        released_to: released_to.map(|number| names.get(action, number)).transpose()?,
        record: columns.record()?,
    })
}

fn visit_row(
    row: &Row<'_>,
    names: &mut Names,
    connection: &rusqlite::Connection,
    action: &'static str,
    visit: &mut dyn FnMut(ListRow<'_>) -> Flow,
) -> Stored<Flow> {
    let mut columns = Columns::new(action, row);
    Ok(visit(read_row(&mut columns, names, connection, action)?))
}

impl<'s> SqliteTransaction<'s> {
    /// Reads which table is live.
    pub fn read_lists(&mut self, action: &'static str) -> Stored<()> {
        let live = self.one(action, "SELECT list FROM live_list", [], |row, _| row.integer())?;
        self.lists = Lists::default();
        self.lists.live = usize::from(live == Some(1));
        Ok(())
    }

    /// Reads which tables have no index. A rollback may return to the middle of a bulk.
    pub fn read_bulks(&mut self, action: &'static str) -> Stored<()> {
        let sql = "SELECT name FROM sqlite_schema WHERE name IN ('list_a_id', 'list_b_id')";
        let indexes = self.all(action, sql, [], |row, _| row.text().map(str::to_owned))?;
        for (table, index) in ["list_a_id", "list_b_id"].iter().enumerate() {
            if !indexes.iter().any(|name| name == index) {
                self.lists.bulk[table] = Some(self.prepare(action, APPEND[table])?);
            }
        }
        Ok(())
    }

    /// The number of the table of a list.
    pub(super) fn table(&self, place: ListPlace) -> usize {
        match place {
            ListPlace::Live => self.lists.live,
            ListPlace::Staged => 1 - self.lists.live,
        }
    }

    /// The table of a list, with its index. A bulk in it is ended, as rows can be found by their
    /// ids only then.
    fn indexed(&mut self, action: &'static str, place: ListPlace) -> Stored<usize> {
        let table = self.table(place);
        self.end_bulk_of(action, table)?;
        Ok(table)
    }

    /// Binds the columns of a row, in the order of PUT and APPEND.
    fn bind(
        &mut self,
        action: &'static str,
        statement: &mut CachedStatement<'_>,
        row: &ListRow<'_>,
    ) -> Stored<()> {
        let owner = self.number_of(action, row.owner)?;
        let first_origin = self.number_of(action, row.first_origin)?;
        let released_to = self.optional_number_of(action, row.released_to)?;
        let (srv_seq, stamp) = (integer(action, row.srv_seq.0)?, integer(action, row.stamp.0)?);
        let mut bind = || {
            statement.raw_bind_parameter(1, row.id.as_bytes())?;
            statement.raw_bind_parameter(2, owner)?;
            statement.raw_bind_parameter(3, first_origin)?;
            statement.raw_bind_parameter(4, row.key)?;
            statement.raw_bind_parameter(5, srv_seq)?;
            statement.raw_bind_parameter(6, stamp)?;
            statement.raw_bind_parameter(7, released_to)?;
            statement.raw_bind_parameter(8, row.record.kind)?;
            statement.raw_bind_parameter(9, row.record.name)?;
            statement.raw_bind_parameter(10, row.record.addresses)?;
            statement.raw_bind_parameter(11, row.record.details)
        };
        bind().map_err(self.failed(action))
    }

    pub(super) fn write_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()> {
        let action = "write an entry of the list";
        let table = self.indexed(action, place)?;
        let mut statement = self.prepare(action, PUT[table])?;
        self.bind(action, &mut statement, row)?;
        statement.raw_execute().map(|_| ()).map_err(self.failed(action))
    }

    /// Appends a row whose id the list does not have. In a bulk there is no index that could tell, so a
    /// duplicate id is an error only when the bulk ends.
    pub(super) fn add_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()> {
        let action = "add an entry to the list";
        let table = self.table(place);
        let bulk = self.lists.bulk[table].take();
        let is_bulk = bulk.is_some();
        let mut statement = match bulk {
            Some(statement) => {
                self.count_statement(action)?;
                statement
            }
            None => self.prepare(action, APPEND[table])?,
        };
        self.bind(action, &mut statement, row)?;
        let result =
            statement.raw_execute().map_err(|error| twice(error, action, self.failed(action)));
        if is_bulk {
            self.lists.bulk[table] = Some(statement);
        }
        result.map(|_| ())
    }

    pub(super) fn find_list_row(
        &mut self,
        place: ListPlace,
        id: EntryId,
    ) -> Stored<Option<OwnedListRow>> {
        let action = "read an entry of the list";
        let table = self.indexed(action, place)?;
        let connection = self.connection;
        let mut found = None;
        self.visit(action, ONE[table], [id.as_bytes()], |row, names| {
            visit_row(row, names, connection, action, &mut |row| {
                found = Some(row.to_owned());
                Flow::Break(())
            })
        })?;
        Ok(found)
    }

    pub(super) fn remove_list_row(&mut self, place: ListPlace, id: EntryId) -> Stored<()> {
        let action = "delete an entry of the list";
        let table = self.indexed(action, place)?;
        self.delete_id(action, DELETE[table], id)
    }

    /// Begins to append rows in bulk. The index of ids is dropped, and made at the end from all
    /// rows at once. Ids are hashes, so row by row they would be inserted all over a large index.
    pub(super) fn start_bulk(&mut self, place: ListPlace) -> Stored<()> {
        let action = "begin filling the list";
        let table = self.table(place);
        if self.lists.bulk[table].is_none() {
            self.execute(action, DROP_INDEX[table], [])?;
            self.lists.bulk[table] = Some(self.prepare(action, APPEND[table])?);
        }
        Ok(())
    }

    pub(super) fn finish_bulk(&mut self, place: ListPlace) -> Stored<()> {
        self.end_bulk_of("finish filling the list", self.table(place))
    }

    /// Ends the bulks that are still open.
    pub fn end_bulks(&mut self, action: &'static str) -> Stored<()> {
        (0..2).try_for_each(|table| self.end_bulk_of(action, table))
    }

    /// Makes the index of a table again, if it is in a bulk. The index is unique, so this finds
    /// duplicate ids.
    fn end_bulk_of(&mut self, action: &'static str, table: usize) -> Stored<()> {
        if self.lists.bulk[table].take().is_none() {
            return Ok(());
        }
        let mut statement = self.prepare(action, INDEX[table])?;
        statement.execute([]).map(|_| ()).map_err(|error| twice(error, action, self.failed(action)))
    }

    pub(super) fn visit_all_list_rows(
        &mut self,
        place: ListPlace,
        visit: &mut dyn FnMut(ListRow<'_>) -> Flow,
    ) -> Stored<()> {
        let (action, connection) = ("read the list", self.connection);
        let table = self.table(place);
        self.visit(action, ALL[table], [], |row, names| {
            visit_row(row, names, connection, action, visit)
        })
    }

    pub(super) fn visit_named_list_rows(
        &mut self,
        visit: &mut dyn FnMut(ListRow<'_>) -> Flow,
    ) -> Stored<()> {
        let (action, connection) = ("read the list by name", self.connection);
        self.visit(action, BY_NAME[self.lists.live], [], |row, names| {
            visit_row(row, names, connection, action, visit)
        })
    }

    pub(super) fn count_offered(&mut self, to: &PostofficeName) -> Stored<u64> {
        let action = "count the entries on offer";
        let identity = self.identity(action, to)?;
        let sql = COUNT_OFFERED[self.lists.live];
        Ok(self.one(action, sql, [identity], |row, _| row.number())?.unwrap_or(0))
    }

    pub(super) fn empty_list(&mut self, place: ListPlace) -> Stored<()> {
        self.empty_table("empty the list", self.table(place))
    }

    fn empty_table(&mut self, action: &'static str, table: usize) -> Stored<()> {
        self.execute(action, CLEAR[table], [])?;
        self.execute(action, CLEAR_BUCKETS, [table as i64]).map(|_| ())
    }

    /// Makes the staged list the live one. Rows are not moved, so readers of another handle see the
    /// old list or the new one, whatever their size; then the old one is emptied.
    pub(super) fn exchange_lists(&mut self) -> Stored<()> {
        let action = "put the new list in place";
        let old = self.lists.live;
        self.end_bulk_of(action, 1 - old)?;
        self.lists.live = 1 - old;
        self.execute(action, "UPDATE live_list SET list = ?1", [self.lists.live as i64])?;
        self.empty_table(action, old)
    }
}

/// Tells a duplicate id, which is a fault of the message, from other errors of SQLite.
fn twice(
    error: rusqlite::Error,
    action: &'static str,
    failed: impl Fn(rusqlite::Error) -> StoreError,
) -> StoreError {
    if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
        return refused(action, StoreErrorKind::Twice, "two rows of the list have one id");
    }
    failed(error)
}
