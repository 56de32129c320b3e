//! The tables of a directory server.

use dirsync_directory::{Bucket, BucketSums, EntryId, PostofficeName, SetDigest, View, ViewHash};
use dirsync_message::{Mark, SrvSeq, Stamp, SyncPoint};
use dirsync_protocol::tables::{
    Flow, IssuedPoint, Numbered, Registration, ServerRow, ServerState, ServerTables, Stored,
    Tombstone,
};
use rusqlite::{Params, params};

use super::buckets::OF_VIEWS;
use super::columns::{Columns, bound, integer, text_of};
use super::entry::{read_entry, select_entry};
use super::transaction::SqliteTransaction;

impl SqliteTransaction<'_> {
    fn visit_entries(
        &mut self,
        action: &'static str,
        sql: &'static str,
        params: impl Params,
        visit: &mut dyn FnMut(&ServerRow) -> Flow,
    ) -> Stored<()> {
        let connection = self.connection;
        self.visit(action, sql, params, |row, names| {
            Ok(visit(&read_entry(&mut Columns::new(action, row), names, connection)?))
        })
    }

    /// The identity of a postoffice, which is added if it is new.
    fn new_identity(&mut self, action: &'static str, name: &PostofficeName) -> Stored<i64> {
        let number = self.number_of(action, name)?;
        Ok(self.names.identity_of(number))
    }
}

impl ServerTables for SqliteTransaction<'_> {
    fn server(&mut self) -> Stored<Option<ServerState>> {
        self.read_server()
    }

    fn put_server(&mut self, state: &ServerState) -> Stored<()> {
        self.write_server(state)
    }

    fn registrations(&mut self) -> Stored<Vec<Registration>> {
        self.read_registrations()
    }

    fn registration(&mut self, name: &PostofficeName) -> Stored<Option<Registration>> {
        self.find_registration(name)
    }

    fn put_registration(&mut self, registration: &Registration) -> Stored<()> {
        self.write_registration(registration)
    }

    fn rows(&mut self, id: EntryId) -> Stored<Vec<ServerRow>> {
        self.read_entries(id)
    }

    fn put_row(&mut self, row: &ServerRow) -> Stored<()> {
        self.write_entry(row)
    }

    fn delete_row(&mut self, id: EntryId, origin: &PostofficeName) -> Stored<()> {
        self.remove_entry(id, origin)
    }

    fn claimants(&mut self, address_key: &str) -> Stored<Vec<(EntryId, PostofficeName)>> {
        let mut claimants = Vec::new();
        self.visit_claimants(address_key, &mut |id, origin| {
            claimants.push((id, origin.clone()));
            Flow::Continue(())
        })?;
        Ok(claimants)
    }

    fn is_claimed_by_other(&mut self, address_key: &str, id: EntryId) -> Stored<bool> {
        let mut is_claimed = false;
        self.visit_claimants(address_key, &mut |other, _| {
            is_claimed = other != id;
            if is_claimed { Flow::Break(()) } else { Flow::Continue(()) }
        })?;
        Ok(is_claimed)
    }

    fn visit_submitted(
        &mut self,
        origin: &PostofficeName,
        visit: &mut dyn FnMut(&ServerRow) -> Flow,
    ) -> Stored<()> {
        let action = "read the submitted set of an origin";
        let Some(identity) = self.identity(action, origin)? else { return Ok(()) };
        let sql = select_entry!("WHERE identity = ?1 AND s_stamp NOT NULL");
        self.visit_entries(action, sql, [identity], visit)
    }

    fn visit_unsettled(&mut self, visit: &mut dyn FnMut(&ServerRow) -> Flow) -> Stored<()> {
        self.visit_entries("read the unsettled rows", select_entry!("WHERE unsettled"), [], visit)
    }

    fn published_count(&mut self, origin: &PostofficeName) -> Stored<u64> {
        let action = "count published entries";
        let Some(identity) = self.identity(action, origin)? else { return Ok(0) };
        let sql = "SELECT count(*) FROM entry WHERE identity = ?1 AND (p_last IS NOT NULL) = 1";
        Ok(self.one(action, sql, [identity], |row, _| row.number())?.unwrap_or(0))
    }

    fn visit_numbered(
        &mut self,
        after: SrvSeq,
        upto: SrvSeq,
        visit: &mut dyn FnMut(Numbered<'_>) -> Flow,
    ) -> Stored<()> {
        self.visit_changes(after, upto, visit)
    }

    fn tombstone(&mut self, id: EntryId) -> Stored<Option<Tombstone>> {
        self.find_tombstone(id)
    }

    fn put_tombstone(&mut self, tombstone: &Tombstone) -> Stored<()> {
        self.write_tombstone(tombstone)
    }

    fn delete_tombstone(&mut self, id: EntryId) -> Stored<()> {
        self.delete_id("delete a tombstone", "DELETE FROM tombstone WHERE id = ?1", id)
    }

    fn purge_tombstones(&mut self, upto: SrvSeq) -> Stored<u64> {
        self.purge_changes(upto)
    }

    fn submitted_tombstone(
        &mut self,
        origin: &PostofficeName,
        id: EntryId,
    ) -> Stored<Option<Stamp>> {
        let action = "read a submitted deletion";
        let Some(identity) = self.identity(action, origin)? else { return Ok(None) };
        let sql = "SELECT stamp FROM submitted_tombstone WHERE identity = ?1 AND id = ?2";
        self.one(action, sql, params![identity, id.as_bytes()], |row, _| row.number().map(Stamp))
    }

    fn put_submitted_tombstone(
        &mut self,
        origin: &PostofficeName,
        id: EntryId,
        stamp: Option<Stamp>,
    ) -> Stored<()> {
        let action = "write a submitted deletion";
        let identity = self.new_identity(action, origin)?;
        match stamp {
            Some(stamp) => {
                let sql = "REPLACE INTO submitted_tombstone (identity, id, stamp) \
                           VALUES (?1, ?2, ?3)";
                let stamp = integer(action, stamp.0)?;
                self.execute(action, sql, params![identity, id.as_bytes(), stamp])?;
            }
            None => {
                let sql = "DELETE FROM submitted_tombstone WHERE identity = ?1 AND id = ?2";
                self.execute(action, sql, params![identity, id.as_bytes()])?;
            }
        }
        Ok(())
    }

    fn visit_submitted_tombstones(
        &mut self,
        origin: &PostofficeName,
        visit: &mut dyn FnMut((EntryId, Stamp)) -> Flow,
    ) -> Stored<()> {
        let action = "read submitted deletions";
        let Some(identity) = self.identity(action, origin)? else { return Ok(()) };
        let sql = "SELECT id, stamp FROM submitted_tombstone WHERE identity = ?1";
        self.visit(action, sql, [identity], |row, _| {
            let mut columns = Columns::new(action, row);
            Ok(visit((columns.id()?, Stamp(columns.number()?))))
        })
    }

    fn transferred(&mut self, id: EntryId) -> Stored<Option<PostofficeName>> {
        let connection = self.connection;
        let sql = "SELECT owner FROM transferred WHERE id = ?1";
        self.one("read the owner after a transfer", sql, [id.as_bytes()], |row, names| {
            row.name(names, connection).cloned()
        })
    }

    fn put_transferred(&mut self, id: EntryId, owner: &PostofficeName) -> Stored<()> {
        let action = "write the owner after a transfer";
        let owner = self.number_of(action, owner)?;
        let sql = "REPLACE INTO transferred (id, owner) VALUES (?1, ?2)";
        self.execute(action, sql, params![id.as_bytes(), owner]).map(|_| ())
    }

    fn issued_point(&mut self, point: &SyncPoint) -> Stored<Option<IssuedPoint>> {
        let action = "read an issued point";
        let sql = "SELECT mark, digest FROM issued_point \
                   WHERE epoch = ?1 AND srv_seq = ?2 AND view = ?3 AND complete = ?4";
        // The point comes from another machine, so its number may be one that SQLite cannot store.
        let Ok(srv_seq) = i64::try_from(point.srv_seq.0) else { return Ok(None) };
        let params =
            params![point.epoch.to_string(), srv_seq, point.view.as_bytes(), point.complete];
        self.one(action, sql, params, |row, _| {
            let mark = row.read(|text| u64::from_str_radix(text, 16).ok())?;
            Ok(IssuedPoint { mark: Mark(mark), digest: row.optional_parsed()? })
        })
    }

    fn put_issued_point(&mut self, point: &SyncPoint, digest: Option<SetDigest>) -> Stored<()> {
        let action = "write an issued point";
        let sql = "REPLACE INTO issued_point (epoch, srv_seq, view, complete, mark, digest) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let params = params![
            point.epoch.to_string(),
            integer(action, point.srv_seq.0)?,
            point.view.as_bytes(),
            point.complete,
            format!("{:016x}", point.mark.0),
            text_of(&digest),
        ];
        self.execute(action, sql, params).map(|_| ())
    }

    fn views(&mut self) -> Stored<Vec<(ViewHash, View)>> {
        let sql = "SELECT hash, definition FROM view ORDER BY hash";
        self.all("read the views", sql, [], |row, _| {
            Ok((ViewHash::from_bytes(row.bytes()?), row.view()?))
        })
    }

    fn put_view(&mut self, hash: ViewHash, view: &View, sums: &BucketSums) -> Stored<()> {
        let action = "write a view";
        let key = hash.as_bytes();
        let sql = "REPLACE INTO view (hash, definition) VALUES (?1, ?2)";
        self.execute(action, sql, params![key, view.to_string()])?;
        self.execute(action, "DELETE FROM view_bucket WHERE view = ?1", [key])?;
        for (bucket, digest) in &sums.0 {
            self.write_bucket(action, &OF_VIEWS, key, *bucket, *digest)?;
        }
        Ok(())
    }

    fn delete_view(&mut self, hash: ViewHash) -> Stored<()> {
        let action = "forget a view";
        self.execute(action, "DELETE FROM view WHERE hash = ?1", [hash.as_bytes()])?;
        self.execute(action, "DELETE FROM view_bucket WHERE view = ?1", [hash.as_bytes()])?;
        Ok(())
    }

    fn view_sums(&mut self, hash: ViewHash) -> Stored<BucketSums> {
        self.read_buckets("read the sums of a view", &OF_VIEWS, hash.as_bytes())
    }

    fn change_view_sums(
        &mut self,
        hash: ViewHash,
        changes: &[(Bucket, SetDigest, SetDigest)],
    ) -> Stored<()> {
        self.change_buckets("change the sums of a view", &OF_VIEWS, hash.as_bytes(), changes)
    }

    fn deletion_events(&mut self, origin: &PostofficeName) -> Stored<Vec<(u64, u64)>> {
        let action = "read the published deletions";
        let Some(identity) = self.identity(action, origin)? else { return Ok(Vec::new()) };
        let sql = "SELECT at, count FROM deletion_event WHERE identity = ?1 ORDER BY at, count";
        self.all(action, sql, [identity], |row, _| Ok((row.number()?, row.number()?)))
    }

    fn put_deletion_event(&mut self, origin: &PostofficeName, at: u64, count: u64) -> Stored<()> {
        let action = "write a published deletion";
        let identity = self.new_identity(action, origin)?;
        let sql = "INSERT INTO deletion_event (identity, at, count) VALUES (?1, ?2, ?3)";
        let (at, count) = (integer(action, at)?, integer(action, count)?);
        self.execute(action, sql, [identity, at, count]).map(|_| ())
    }

    fn purge_deletion_events(&mut self, before: u64) -> Stored<()> {
        let sql = "DELETE FROM deletion_event WHERE at < ?1";
        self.execute("purge the published deletions", sql, [bound(before)]).map(|_| ())
    }
}
