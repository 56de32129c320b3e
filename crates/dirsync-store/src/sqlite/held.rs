//! Changes that are held for a person at their origin.

use dirsync_directory::{EntryId, Record};
use dirsync_protocol::tables::{Flow, HeldChange, Stored};
use rusqlite::params;

use super::columns::{Columns, integer};
use super::transaction::SqliteTransaction;

fn read_held(columns: &mut Columns<'_, '_>) -> Stored<HeldChange> {
    Ok(HeldChange {
        id: columns.id()?,
        source: columns.text()?.into(),
        kind: columns.parsed()?,
        record: columns.optional_record()?,
        key: columns.text()?.into(),
        since: columns.number()?,
        rejected: columns.flag()?,
    })
}

impl SqliteTransaction<'_> {
    pub(super) fn find_held(&mut self, id: EntryId) -> Stored<Option<HeldChange>> {
        let sql = "SELECT id, source, change, kind, name, addresses, details, key, since, rejected \
                   FROM held_change WHERE id = ?1";
        self.one("read a held change", sql, [id.as_bytes()], |columns, _| read_held(columns))
    }

    pub(super) fn visit_held(
        &mut self,
        visit: &mut dyn FnMut(&HeldChange, Option<&Record>) -> Flow,
    ) -> Stored<()> {
        let action = "read the held changes";
        let sql = "SELECT held.id, held.source, held.change, held.kind, held.name, \
                   held.addresses, held.details, held.key, held.since, held.rejected, \
                   own.kind, own.name, own.addresses, own.details \
                   FROM held_change held LEFT JOIN own ON own.id = held.id \
                   ORDER BY held.source, held.change, held.key, held.id";
        self.visit(action, sql, [], |row, _| {
            let mut columns = Columns::new(action, row);
            let held = read_held(&mut columns)?;
            let own: Option<Record> = columns.optional_record()?;
            Ok(visit(&held, own.as_ref()))
        })
    }

    pub(super) fn write_held(&mut self, held: &HeldChange) -> Stored<()> {
        let action = "write a held change";
        let sql = "REPLACE INTO held_change (id, source, change, kind, name, addresses, details, \
                   key, since, rejected) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let record = held.record.as_ref();
        let params = params![
            held.id.as_bytes(),
            held.source,
            held.kind.word(),
            record.map(|record| &record.kind),
            record.map(|record| &record.name),
            record.map(|record| &record.addresses),
            record.map(|record| &record.details),
            held.key,
            integer(action, held.since)?,
            held.rejected,
        ];
        self.execute(action, sql, params).map(|_| ())
    }
}
