//! The changes of the server's list in the order of their numbers: published rows and tombstones.

use dirsync_message::SrvSeq;
use dirsync_protocol::tables::{Flow, Numbered, StoreError, Stored, Tombstone};
use rusqlite::params;

use super::columns::{Columns, bound, integer, seen_in_text};
use super::entry::{read_entry, select_entry};
use super::transaction::SqliteTransaction;

fn read_tombstone(columns: &mut Columns<'_, '_>) -> Stored<Tombstone> {
    Ok(Tombstone {
        id: columns.id()?,
        srv_seq: SrvSeq(columns.number()?),
        seen_in: columns.seen_in()?,
        at: columns.number()?,
    })
}

impl SqliteTransaction<'_> {
    /// Merges two cursors, each in the order of numbers.
    pub(super) fn visit_changes(
        &mut self,
        after: SrvSeq,
        upto: SrvSeq,
        visit: &mut dyn FnMut(Numbered<'_>) -> Flow,
    ) -> Stored<()> {
        let (action, connection) = ("read the changes of the list", self.connection);
        let (path, failed) = (self.path, self.failed(action));
        let range = [bound(after.0), bound(upto.0)];
        let sql = select_entry!("WHERE p_last > ?1 AND p_last <= ?2 ORDER BY p_last");
        let mut entries = self.prepare(action, sql)?;
        let mut entries = entries.query(range).map_err(&failed)?;
        let sql = "SELECT id, srv_seq, seen_in, at FROM tombstone \
                   WHERE srv_seq > ?1 AND srv_seq <= ?2 ORDER BY srv_seq";
        let mut tombstones = self.prepare(action, sql)?;
        let mut tombstones = tombstones.query(range).map_err(&failed)?;
        let names = &mut *self.names;
        let named = |error: StoreError| error.of_database(path);
        let mut next_entry = || -> Stored<_> {
            let row = entries.next().map_err(&failed)?;
            let row = row.map(|row| read_entry(&mut Columns::new(action, row), names, connection));
            row.transpose().map_err(named)
        };
        let mut next_tombstone = || -> Stored<_> {
            let row = tombstones.next().map_err(&failed)?;
            row.map(|row| read_tombstone(&mut Columns::new(action, row))).transpose().map_err(named)
        };
        let (mut entry, mut tombstone) = (next_entry()?, next_tombstone()?);
        loop {
            let published = entry.as_ref().and_then(|row| Some((row, row.published.as_ref()?)));
            let entry_is_first = match (published, &tombstone) {
                (Some((_, published)), Some(tombstone)) => {
                    published.numbers.last <= tombstone.srv_seq.0
                }
                (published, _) => published.is_some(),
            };
            let flow = match (published, &tombstone) {
                (Some((row, published)), _) if entry_is_first => {
                    visit(Numbered::Published(row, published))
                }
                (_, Some(tombstone)) => visit(Numbered::Tombstone(tombstone)),
                _ => return Ok(()),
            };
            if flow.is_break() {
                return Ok(());
            }
            if entry_is_first {
                entry = next_entry()?;
            } else {
                tombstone = next_tombstone()?;
            }
        }
    }

    pub(super) fn write_tombstone(&mut self, tombstone: &Tombstone) -> Stored<()> {
        let action = "write a tombstone";
        let sql = "REPLACE INTO tombstone (id, srv_seq, seen_in, at) VALUES (?1, ?2, ?3, ?4)";
        let params = params![
            tombstone.id.as_bytes(),
            integer(action, tombstone.srv_seq.0)?,
            seen_in_text(&tombstone.seen_in),
            integer(action, tombstone.at)?,
        ];
        self.execute(action, sql, params).map(|_| ())
    }

    pub(super) fn find_tombstone(
        &mut self,
        id: dirsync_directory::EntryId,
    ) -> Stored<Option<Tombstone>> {
        let sql = "SELECT id, srv_seq, seen_in, at FROM tombstone WHERE id = ?1";
        self.one("read a tombstone", sql, [id.as_bytes()], |columns, _| read_tombstone(columns))
    }

    /// Forgets the state that only deltas from this number or a lower one need: tombstones, and the
    /// views in which earlier versions of entries were visible. Returns the number of tombstones.
    pub(super) fn purge_changes(&mut self, upto: SrvSeq) -> Stored<u64> {
        let action = "purge the tombstones";
        let upto = [bound(upto.0)];
        let sql = "UPDATE entry SET p_seen_in = NULL WHERE p_last <= ?1 AND p_seen_in NOT NULL";
        self.execute(action, sql, upto)?;
        let purged = self.execute(action, "DELETE FROM tombstone WHERE srv_seq <= ?1", upto)?;
        Ok(purged as u64)
    }
}
