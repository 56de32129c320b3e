//! Runs, and what is kept for undoing them.

use dirsync_directory::EntryId;
use dirsync_message::Stamp;
use dirsync_protocol::tables::{ClosedCase, EntryBefore, Run, RunTables, StoreError, Stored};
use rusqlite::{Connection, params};

use super::columns::{Columns, bound, integer};
use super::names::Names;
use super::transaction::SqliteTransaction;

/// Selects the columns in the order in which [`read_run`] reads them.
macro_rules! select_run {
    ($rest:literal) => {
        concat!(
            "SELECT number, at, kind, subject, added, changed, deleted, bytes, stamp_before, \
             stamp_last, undoes, undone_by, decision, inverse FROM run ",
            $rest
        )
    };
}

fn read_run(columns: &mut Columns<'_, '_>) -> Stored<Run> {
    Ok(Run {
        number: columns.number()?,
        at: columns.number()?,
        kind: columns.parsed()?,
        subject: columns.text()?.into(),
        added: columns.number()?,
        changed: columns.number()?,
        deleted: columns.number()?,
        bytes: columns.number()?,
        stamps: (Stamp(columns.number()?), Stamp(columns.number()?)),
        undoes: columns.optional_number()?,
        undone_by: columns.optional_number()?,
        decision: match (columns.optional_text()?, columns.optional_text()?) {
            (Some(decision), Some(inverse)) => Some((decision.into(), inverse.into())),
            _ => None,
        },
    })
}

fn read_before(
    columns: &mut Columns<'_, '_>,
    names: &mut Names,
    connection: &Connection,
) -> Stored<(u64, EntryBefore)> {
    let place = columns.number()?;
    let before = EntryBefore {
        id: columns.id()?,
        left: columns.optional_bytes()?.map(u128::from_be_bytes),
        stamp: Stamp(columns.number()?),
        source: columns.text()?.into(),
        first_origin: columns.name(names, connection)?.clone(),
        key: columns.text()?.into(),
        record: columns.record()?.to_record(),
        released_to: columns.optional_name(names, connection)?,
    };
    Ok((place, before))
}

/// At most this many rows, as a column.
fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

impl RunTables for SqliteTransaction<'_> {
    fn put_run(&mut self, run: &Run) -> Stored<u64> {
        let action = "write a run";
        let sql = "REPLACE INTO run (number, at, kind, subject, added, changed, deleted, bytes, \
                   stamp_before, stamp_last, undoes, undone_by, decision, inverse) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
        let number = |number: u64| integer(action, number);
        let optional = |run: Option<u64>| run.map(number).transpose();
        let decision = run.decision.as_ref();
        let params = params![
            optional((run.number != 0).then_some(run.number))?,
            number(run.at)?,
            run.kind.word(),
            run.subject,
            number(run.added)?,
            number(run.changed)?,
            number(run.deleted)?,
            number(run.bytes)?,
            number(run.stamps.0.0)?,
            number(run.stamps.1.0)?,
            optional(run.undoes)?,
            optional(run.undone_by)?,
            decision.map(|(decision, _)| decision),
            decision.map(|(_, inverse)| inverse),
        ];
        self.execute(action, sql, params)?;
        // Numbers begin at 1, so the number from SQLite is not negative.
        Ok(self.connection.last_insert_rowid().unsigned_abs())
    }

    fn run(&mut self, number: u64) -> Stored<Option<Run>> {
        let sql = select_run!("WHERE number = ?1");
        self.one("read a run", sql, [bound(number)], |columns, _| read_run(columns))
    }

    fn runs(&mut self, before: u64, most: usize) -> Stored<Vec<Run>> {
        let sql = select_run!("WHERE number < ?1 ORDER BY number DESC LIMIT ?2");
        self.all("read the runs", sql, [bound(before), limit(most)], |columns, _| read_run(columns))
    }

    fn run_bytes(&mut self) -> Stored<u64> {
        let sql = "SELECT coalesce(sum(bytes), 0) FROM run";
        let bytes = self.one("read the size of the runs", sql, [], |row, _| row.number())?;
        Ok(bytes.unwrap_or_default())
    }

    fn delete_run(&mut self, number: u64) -> Stored<()> {
        self.delete_added(number)?;
        let action = "forget a run";
        let number = integer(action, number)?;
        self.execute(action, "DELETE FROM run_before WHERE run = ?1", [number])?;
        self.execute(action, "DELETE FROM run_case WHERE run = ?1", [number])?;
        self.execute(action, "DELETE FROM source_hold WHERE run = ?1", [number])?;
        self.execute(action, "DELETE FROM run WHERE number = ?1", [number]).map(|_| ())
    }

    fn put_before(&mut self, run: u64, before: &EntryBefore) -> Stored<()> {
        let action = "keep an entry as it was";
        let sql = "INSERT INTO run_before (run, id, left, stamp, source, first_origin, key, kind, \
                   name, addresses, details, released_to) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let first_origin = self.number_of(action, &before.first_origin)?;
        let released_to = self.optional_number_of(action, before.released_to.as_ref())?;
        let params = params![
            integer(action, run)?,
            before.id.as_bytes(),
            before.left.map(u128::to_be_bytes),
            integer(action, before.stamp.0)?,
            before.source,
            first_origin,
            before.key,
            before.record.kind,
            before.record.name,
            before.record.addresses,
            before.record.details,
            released_to,
        ];
        self.execute(action, sql, params).map(|_| ())
    }

    fn befores(&mut self, run: u64, after: u64, most: usize) -> Stored<Vec<(u64, EntryBefore)>> {
        let connection = self.connection;
        let sql = "SELECT row, id, left, stamp, source, first_origin, key, kind, name, addresses, \
                   details, released_to FROM run_before WHERE run = ?1 AND row > ?2 ORDER BY row \
                   LIMIT ?3";
        let params = [bound(run), bound(after), limit(most)];
        self.all("read entries as they were", sql, params, |columns, names| {
            read_before(columns, names, connection)
        })
    }

    fn put_added(&mut self, run: u64, added: &[(EntryId, u128)]) -> Stored<()> {
        let action = "keep the entries that were added";
        let mut ids = Vec::with_capacity(added.len() * 32);
        for (id, element) in added {
            ids.extend(id.as_bytes());
            ids.extend(element.to_be_bytes());
        }
        let sql = "INSERT INTO run_added (run, ids) VALUES (?1, ?2)";
        self.execute(action, sql, params![integer(action, run)?, ids]).map(|_| ())
    }

    fn added(&mut self, run: u64) -> Stored<Vec<(EntryId, u128)>> {
        let action = "read the entries that were added";
        let sql = "SELECT ids FROM run_added WHERE run = ?1 ORDER BY row";
        let mut added = Vec::new();
        self.visit(action, sql, [bound(run)], |row, _| {
            let mut columns = Columns::new(action, row);
            let (halves, cut_off) = columns.blob()?.as_chunks::<16>();
            let (entries, half) = halves.as_chunks::<2>();
            if !cut_off.is_empty() || !half.is_empty() {
                return Err(StoreError::corrupt(action, "the last entry is cut off"));
            }
            let entry = |[id, element]: &[[u8; 16]; 2]| {
                (EntryId::from_bytes(*id), u128::from_be_bytes(*element))
            };
            added.extend(entries.iter().map(entry));
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(added)
    }

    fn delete_added(&mut self, run: u64) -> Stored<()> {
        let action = "forget the entries that were added";
        let sql = "DELETE FROM run_added WHERE run = ?1";
        self.execute(action, sql, [integer(action, run)?]).map(|_| ())
    }

    fn put_closed_case(&mut self, run: u64, case: &ClosedCase) -> Stored<()> {
        let action = "keep a case that a run closed";
        let sql = "REPLACE INTO run_case (run, id, source, change, key, since) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let params = params![
            integer(action, run)?,
            case.id.as_bytes(),
            case.source,
            case.kind.word(),
            case.key,
            integer(action, case.since)?,
        ];
        self.execute(action, sql, params).map(|_| ())
    }

    fn closed_case(&mut self, run: u64, id: EntryId) -> Stored<Option<ClosedCase>> {
        let action = "read a case that a run closed";
        let sql = "SELECT id, source, change, key, since FROM run_case WHERE run = ?1 AND id = ?2";
        self.one(action, sql, params![bound(run), id.as_bytes()], |columns, _| {
            Ok(ClosedCase {
                id: columns.id()?,
                source: columns.text()?.into(),
                kind: columns.parsed()?,
                key: columns.text()?.into(),
                since: columns.number()?,
            })
        })
    }

    fn source_holds(&mut self) -> Stored<Vec<(String, u64)>> {
        let sql = "SELECT source, run FROM source_hold ORDER BY source, run";
        self.all("read the held sources", sql, [], |row, _| {
            Ok((row.text()?.to_owned(), row.number()?))
        })
    }

    fn put_source_hold(&mut self, source: &str, run: u64) -> Stored<()> {
        let action = "hold a source";
        let sql = "REPLACE INTO source_hold (source, run) VALUES (?1, ?2)";
        self.execute(action, sql, params![source, integer(action, run)?]).map(|_| ())
    }

    fn delete_source_hold(&mut self, source: &str, run: u64) -> Stored<()> {
        let action = "end the hold of a source";
        let sql = "DELETE FROM source_hold WHERE source = ?1 AND run = ?2";
        self.execute(action, sql, params![source, integer(action, run)?]).map(|_| ())
    }
}
