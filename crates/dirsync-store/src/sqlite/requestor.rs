//! The tables of a requestor.

use dirsync_directory::{Bucket, BucketSums, EntryId, Record, SetDigest};
use dirsync_message::{Offer, Outcome, ReqSeq};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{
    Flow, HeldChange, ListPlace, ListRow, OwnRow, OwnTombstone, OwnedListRow, RequestorState,
    RequestorTables, SourceMemory, Stored,
};
use rusqlite::params;

use super::buckets::OF_LISTS;
use super::columns::{bound, integer};
use super::transaction::SqliteTransaction;

impl RequestorTables for SqliteTransaction<'_> {
    fn requestor(&mut self) -> Stored<RequestorState> {
        self.read_requestor()
    }

    fn put_requestor(&mut self, state: &RequestorState) -> Stored<()> {
        self.write_requestor(state)
    }

    fn own(&mut self, id: EntryId) -> Stored<Option<OwnRow>> {
        self.find_own(id)
    }

    fn put_own(&mut self, row: &OwnRow) -> Stored<()> {
        self.write_own(row)
    }

    fn delete_own(&mut self, id: EntryId) -> Stored<()> {
        self.delete_id("delete an own entry", "DELETE FROM own WHERE id = ?1", id)
    }

    fn visit_own(&mut self, after: ReqSeq, visit: &mut dyn FnMut(&OwnRow) -> Flow) -> Stored<()> {
        self.visit_own_after(after, visit)
    }

    fn visit_own_elements(
        &mut self,
        visit: &mut dyn FnMut((EntryId, u128, &str)) -> Flow,
    ) -> Stored<()> {
        self.visit_elements(visit)
    }

    fn own_tombstone(&mut self, id: EntryId) -> Stored<Option<OwnTombstone>> {
        self.find_own_tombstone(id)
    }

    fn put_own_tombstone(&mut self, tombstone: &OwnTombstone) -> Stored<()> {
        self.write_own_tombstone(tombstone)
    }

    fn delete_own_tombstone(&mut self, id: EntryId) -> Stored<()> {
        self.delete_id("forget an own deletion", "DELETE FROM own_tombstone WHERE id = ?1", id)
    }

    fn visit_own_tombstones(
        &mut self,
        after: ReqSeq,
        visit: &mut dyn FnMut(OwnTombstone) -> Flow,
    ) -> Stored<()> {
        self.visit_own_tombstones_after(after, visit)
    }

    fn adopted_id(&mut self, source: &str, key: &str) -> Stored<Option<EntryId>> {
        let sql = "SELECT id FROM adopted WHERE source = ?1 AND key = ?2";
        self.one("read the id of an adopted entry", sql, [source, key], |row, _| row.id())
    }

    fn put_adopted_id(&mut self, source: &str, key: &str, id: Option<EntryId>) -> Stored<()> {
        let action = "write the id of an adopted entry";
        match id {
            Some(id) => {
                let sql = "REPLACE INTO adopted (source, key, id) VALUES (?1, ?2, ?3)";
                self.execute(action, sql, params![source, key, id.as_bytes()])?;
            }
            None => {
                let sql = "DELETE FROM adopted WHERE source = ?1 AND key = ?2";
                self.execute(action, sql, [source, key])?;
            }
        }
        Ok(())
    }

    fn list_row(&mut self, place: ListPlace, id: EntryId) -> Stored<Option<OwnedListRow>> {
        self.find_list_row(place, id)
    }

    fn put_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()> {
        self.write_list_row(place, row)
    }

    fn append_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()> {
        self.add_list_row(place, row)
    }

    fn delete_list_row(&mut self, place: ListPlace, id: EntryId) -> Stored<()> {
        self.remove_list_row(place, id)
    }

    fn begin_bulk(&mut self, place: ListPlace) -> Stored<()> {
        self.start_bulk(place)
    }

    fn end_bulk(&mut self, place: ListPlace) -> Stored<()> {
        self.finish_bulk(place)
    }

    fn visit_list(
        &mut self,
        place: ListPlace,
        visit: &mut dyn FnMut(ListRow<'_>) -> Flow,
    ) -> Stored<()> {
        self.visit_all_list_rows(place, visit)
    }

    fn visit_list_by_name(&mut self, visit: &mut dyn FnMut(ListRow<'_>) -> Flow) -> Stored<()> {
        self.visit_named_list_rows(visit)
    }

    fn clear_list(&mut self, place: ListPlace) -> Stored<()> {
        self.empty_list(place)
    }

    fn swap_lists(&mut self) -> Stored<()> {
        self.exchange_lists()
    }

    fn list_buckets(&mut self, place: ListPlace) -> Stored<BucketSums> {
        let table = self.table(place) as i64;
        self.read_buckets("read the list's buckets", &OF_LISTS, &table)
    }

    fn change_list_buckets(
        &mut self,
        place: ListPlace,
        changes: &[(Bucket, SetDigest, SetDigest)],
    ) -> Stored<()> {
        let table = self.table(place) as i64;
        self.change_buckets("change the list's buckets", &OF_LISTS, &table, changes)
    }

    fn outcomes(&mut self) -> Stored<Vec<Outcome>> {
        self.read_outcomes()
    }

    fn put_outcomes(&mut self, outcomes: &[Outcome]) -> Stored<()> {
        self.write_outcomes(outcomes)
    }

    fn offers(&mut self) -> Stored<Vec<Offer>> {
        self.read_offers()
    }

    fn put_offers(&mut self, offers: &[Offer]) -> Stored<()> {
        self.write_offers(offers)
    }

    fn held_change(&mut self, id: EntryId) -> Stored<Option<HeldChange>> {
        self.find_held(id)
    }

    fn visit_held_changes(
        &mut self,
        visit: &mut dyn FnMut(&HeldChange, Option<&Record>) -> Flow,
    ) -> Stored<()> {
        self.visit_held(visit)
    }

    fn put_held_change(&mut self, held: &HeldChange) -> Stored<()> {
        self.write_held(held)
    }

    fn delete_held_change(&mut self, id: EntryId) -> Stored<()> {
        self.delete_id("delete a held change", "DELETE FROM held_change WHERE id = ?1", id)
    }

    fn guard_events(&mut self, source: &str) -> Stored<Vec<(u64, GuardKind, u64)>> {
        let sql = "SELECT at, kind, count FROM guard_event WHERE source = ?1 \
                   ORDER BY at, kind, count";
        self.all("read the guarded changes", sql, [source], |row, _| {
            Ok((row.number()?, row.parsed()?, row.number()?))
        })
    }

    fn put_guard_event(
        &mut self,
        source: &str,
        at: u64,
        kind: GuardKind,
        count: u64,
    ) -> Stored<()> {
        let action = "write a guarded change";
        let sql = "INSERT INTO guard_event (source, at, kind, count) VALUES (?1, ?2, ?3, ?4)";
        let (at, count) = (integer(action, at)?, integer(action, count)?);
        self.execute(action, sql, params![source, at, kind.word(), count]).map(|_| ())
    }

    fn purge_guard_events(&mut self, before: u64) -> Stored<()> {
        let sql = "DELETE FROM guard_event WHERE at < ?1";
        self.execute("purge the guarded changes", sql, [bound(before)]).map(|_| ())
    }

    fn source_memory(&mut self, source: &str) -> Stored<Option<SourceMemory>> {
        let sql = "SELECT rows, good_rows, read_at, settings, seen, told_all FROM source_memory \
                   WHERE source = ?1";
        self.one("read the memory of a source", sql, [source], |row, _| {
            Ok(SourceMemory {
                rows: row.number()?,
                good_rows: row.number()?,
                read_at: row.number()?,
                settings: row.text()?.into(),
                seen: row.text()?.into(),
                told_all: row.flag()?,
            })
        })
    }

    fn put_source_memory(&mut self, source: &str, memory: &SourceMemory) -> Stored<()> {
        let action = "write the memory of a source";
        let sql = "REPLACE INTO source_memory \
                   (source, rows, good_rows, read_at, settings, seen, told_all) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let SourceMemory { rows, good_rows, read_at, settings, seen, told_all } = memory;
        let rows = integer(action, *rows)?;
        let (good_rows, read_at) = (integer(action, *good_rows)?, integer(action, *read_at)?);
        let params = params![source, rows, good_rows, read_at, settings, seen, told_all];
        self.execute(action, sql, params).map(|_| ())
    }

    fn forget_files(&mut self) -> Stored<()> {
        let sql = "UPDATE source_memory SET seen = ''";
        self.execute("forget the files of all sources", sql, []).map(|_| ())
    }

    fn forget_reads(&mut self) -> Stored<()> {
        let sql = "UPDATE source_memory SET seen = '', told_all = 0";
        self.execute("forget the reads of all sources", sql, []).map(|_| ())
    }
}
