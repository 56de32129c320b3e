//! The tables that every postoffice has besides the state of the protocol: quarantine, log and notes.

use dirsync_protocol::tables::{CommonTables, Flow, LogLine, Quarantined, Stored};
use rusqlite::params;

use super::columns::{Columns, bound, integer};
use super::transaction::SqliteTransaction;

impl CommonTables for SqliteTransaction<'_> {
    fn visit_quarantined(&mut self, visit: &mut dyn FnMut(Quarantined) -> Flow) -> Stored<()> {
        let sql = "SELECT number, since, origin, subject, line, reason, text FROM quarantine \
                   ORDER BY number";
        let action = "read the quarantine";
        self.visit(action, sql, [], |row, _| {
            let mut row = Columns::new(action, row);
            Ok(visit(Quarantined {
                number: row.number()?,
                since: row.number()?,
                origin: row.text()?.into(),
                subject: row.text()?.into(),
                line: row.optional_number()?,
                reason: row.text()?.into(),
                text: row.text()?.into(),
            }))
        })
    }

    fn put_quarantined(&mut self, case: &Quarantined) -> Stored<u64> {
        let action = "write to the quarantine";
        let sql = "REPLACE INTO quarantine (number, since, origin, subject, line, reason, text) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let number = (case.number != 0).then(|| integer(action, case.number)).transpose()?;
        let since = integer(action, case.since)?;
        let line = case.line.map(|line| integer(action, line)).transpose()?;
        let Quarantined { origin, subject, reason, text, .. } = case;
        let params = params![number, since, origin, subject, line, reason, text];
        self.execute(action, sql, params)?;
        // Numbers begin at 1, so the number from SQLite is not negative.
        Ok(self.connection.last_insert_rowid().unsigned_abs())
    }

    fn delete_quarantined(&mut self, number: u64) -> Stored<()> {
        let action = "take from the quarantine";
        let sql = "DELETE FROM quarantine WHERE number = ?1";
        self.execute(action, sql, [integer(action, number)?]).map(|_| ())
    }

    fn put_log(&mut self, line: &LogLine) -> Stored<()> {
        let action = "write to the log";
        let sql = "INSERT INTO log (at, step, level, text, run) VALUES (?1, ?2, ?3, ?4, ?5)";
        let run = line.run.map(|run| integer(action, run)).transpose()?;
        let at = integer(action, line.at)?;
        let params = params![at, line.step, line.level.word(), line.text, run];
        self.execute(action, sql, params).map(|_| ())
    }

    fn visit_log(&mut self, since: u64, visit: &mut dyn FnMut(&LogLine) -> Flow) -> Stored<()> {
        let action = "read the log";
        let sql = "SELECT at, step, level, text, run FROM log WHERE at >= ?1 ORDER BY at, line";
        self.visit(action, sql, [bound(since)], |row, _| {
            let mut columns = Columns::new(action, row);
            Ok(visit(&LogLine {
                at: columns.number()?,
                step: columns.text()?.into(),
                level: columns.parsed()?,
                text: columns.text()?.into(),
                run: columns.optional_number()?,
            }))
        })
    }

    fn purge_log(&mut self, before: u64) -> Stored<()> {
        let sql = "DELETE FROM log WHERE at < ?1";
        self.execute("purge the log", sql, [bound(before)]).map(|_| ())
    }

    fn note(&mut self, name: &str) -> Stored<Option<String>> {
        let sql = "SELECT text FROM note WHERE name = ?1";
        self.one("read a note", sql, [name], |row, _| row.text().map(str::to_owned))
    }

    fn put_note(&mut self, name: &str, text: Option<&str>) -> Stored<()> {
        let action = "write a note";
        match text {
            Some(text) => {
                let sql = "REPLACE INTO note (name, text) VALUES (?1, ?2)";
                self.execute(action, sql, [name, text])?;
            }
            None => {
                self.execute(action, "DELETE FROM note WHERE name = ?1", [name])?;
            }
        }
        Ok(())
    }

    fn notes(&mut self, prefix: &str) -> Stored<Vec<(String, String)>> {
        let action = "read the notes";
        let sql = "SELECT name, text FROM note WHERE name >= ?1 ORDER BY name";
        let mut notes = Vec::new();
        self.visit(action, sql, [prefix], |row, _| {
            let mut columns = Columns::new(action, row);
            let name = columns.text()?;
            // Names with the prefix follow each other, beginning with the first one that is not
            // below it.
            if !name.starts_with(prefix) {
                return Ok(Flow::Break(()));
            }
            notes.push((name.to_owned(), columns.text()?.to_owned()));
            Ok(Flow::Continue(()))
        })?;
        Ok(notes)
    }

    fn savepoint(&mut self) -> Stored<()> {
        self.open_savepoint()
    }

    fn rollback_savepoint(&mut self) -> Stored<()> {
        self.undo_savepoint()
    }

    fn release_savepoint(&mut self) -> Stored<()> {
        self.keep_savepoint()
    }
}
