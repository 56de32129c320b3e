//! The tables of a directory server.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use dirsync_directory::{Bucket, BucketSums, EntryId, PostofficeName, SetDigest, View, ViewHash};
use dirsync_message::{SrvSeq, Stamp, SyncPoint};
use dirsync_protocol::tables::{
    Flow, IssuedPoint, Numbered, Registration, SeenIn, ServerRow, ServerState, ServerTables,
    Stored, Tombstone,
};

use super::state::{FIRST_ID, LAST_ID, NumberedKey, PointKey, RowKey, State, changed_bucket};
use super::{MemoryTransaction, visit_all};

fn row_key(id: EntryId, origin: &PostofficeName) -> RowKey {
    (id, origin.folded().to_owned())
}

fn point_key(point: &SyncPoint) -> PointKey {
    (point.epoch, point.srv_seq, point.view, point.complete)
}

/// The comparison keys of all addresses of a row, submitted and published.
fn address_keys(row: &ServerRow) -> BTreeSet<String> {
    let submitted = row.submitted.iter().map(|submitted| submitted.content());
    let published = row.published.iter().map(|published| published.content());
    submitted.chain(published).flat_map(|record| record.address_keys()).collect()
}

/// The row or tombstone for an entry of the index of numbers.
fn numbered<'s>(state: &'s State, key: &NumberedKey) -> Option<Numbered<'s>> {
    match key {
        NumberedKey::Published(key) => {
            let row = &state.rows[key];
            Some(Numbered::Published(row, row.published.as_ref()?))
        }
        NumberedKey::Tombstone(id) => Some(Numbered::Tombstone(&state.tombstones[id])),
    }
}

impl MemoryTransaction<'_> {
    fn write_row(&mut self, key: RowKey, row: Option<ServerRow>) {
        if let Some(old) = self.store.state.rows.get(&key).cloned() {
            self.index_row(&old, None);
        }
        if let Some(row) = &row {
            self.index_row(row, Some(()));
        }
        self.put(|state| &mut state.rows, key, row);
    }

    /// Adds a row to the indexes, or removes it.
    fn index_row(&mut self, row: &ServerRow, entered: Option<()>) {
        for key in address_keys(row) {
            let key = (key, row_key(row.id, &row.origin));
            self.put(|state| &mut state.claimants, key, entered);
        }
        if let Some(published) = &row.published {
            let key = NumberedKey::Published(row_key(row.id, &row.origin));
            let number = SrvSeq(published.numbers.last);
            self.put(|state| &mut state.numbered, (number, key), entered);
        }
    }

    fn write_tombstone(&mut self, id: EntryId, tombstone: Option<Tombstone>) {
        let key = NumberedKey::Tombstone(id);
        if let Some(old) = self.store.state.tombstones.get(&id).map(|old| old.srv_seq) {
            self.put(|state| &mut state.numbered, (old, key.clone()), None);
        }
        if let Some(new) = &tombstone {
            self.put(|state| &mut state.numbered, (new.srv_seq, key), Some(()));
        }
        self.put(|state| &mut state.tombstones, id, tombstone);
    }
}

impl ServerTables for MemoryTransaction<'_> {
    fn server(&mut self) -> Stored<Option<ServerState>> {
        Ok(self.store.state.server.clone())
    }

    fn put_server(&mut self, state: &ServerState) -> Stored<()> {
        self.replace(|all| &mut all.server, Some(state.clone()));
        Ok(())
    }

    fn registrations(&mut self) -> Stored<Vec<Registration>> {
        Ok(self.store.state.registrations.values().cloned().collect())
    }

    fn registration(&mut self, name: &PostofficeName) -> Stored<Option<Registration>> {
        Ok(self.store.state.registrations.get(name).cloned())
    }

    fn put_registration(&mut self, registration: &Registration) -> Stored<()> {
        let (name, row) = (registration.name.clone(), registration.clone());
        self.put(|state| &mut state.registrations, name, Some(row));
        Ok(())
    }

    fn rows(&mut self, id: EntryId) -> Stored<Vec<ServerRow>> {
        let rows = self.store.state.rows.range((id, String::new())..);
        let rows = rows.take_while(|((of, _), _)| *of == id);
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    fn put_row(&mut self, row: &ServerRow) -> Stored<()> {
        self.write_row(row_key(row.id, &row.origin), Some(row.clone()));
        Ok(())
    }

    fn delete_row(&mut self, id: EntryId, origin: &PostofficeName) -> Stored<()> {
        self.write_row(row_key(id, origin), None);
        Ok(())
    }

    fn claimants(&mut self, address_key: &str) -> Stored<Vec<(EntryId, PostofficeName)>> {
        let state = &self.store.state;
        let start = (address_key.to_owned(), (EntryId::from_bytes(FIRST_ID), String::new()));
        let claims = state.claimants.range(start..).map(|((address, row), ())| (address, row));
        let claims = claims.take_while(|(address, _)| *address == address_key);
        let rows = claims.map(|(_, row)| &state.rows[row]);
        Ok(rows.map(|row| (row.id, row.origin.clone())).collect())
    }

    fn is_claimed_by_other(&mut self, address_key: &str, id: EntryId) -> Stored<bool> {
        Ok(self.claimants(address_key)?.iter().any(|(other, _)| *other != id))
    }

    fn visit_submitted(
        &mut self,
        origin: &PostofficeName,
        visit: &mut dyn FnMut(&ServerRow) -> Flow,
    ) -> Stored<()> {
        let rows = self.store.state.rows.values();
        visit_all(rows.filter(|row| row.origin == *origin && row.submitted.is_some()), visit);
        Ok(())
    }

    fn visit_unsettled(&mut self, visit: &mut dyn FnMut(&ServerRow) -> Flow) -> Stored<()> {
        let rows = self.store.state.rows.values();
        visit_all(rows.filter(|row| row.is_unsettled()), visit);
        Ok(())
    }

    fn published_count(&mut self, origin: &PostofficeName) -> Stored<u64> {
        let rows = self.store.state.rows.values();
        Ok(rows.filter(|row| row.origin == *origin && row.published.is_some()).count() as u64)
    }

    fn visit_numbered(
        &mut self,
        after: SrvSeq,
        upto: SrvSeq,
        visit: &mut dyn FnMut(Numbered<'_>) -> Flow,
    ) -> Stored<()> {
        let state = &self.store.state;
        let start = (after, NumberedKey::Tombstone(EntryId::from_bytes(LAST_ID)));
        let changes = state.numbered.range((Excluded(start), Unbounded)).map(|(key, ())| key);
        let changes = changes.take_while(|(number, _)| *number <= upto);
        visit_all(changes.filter_map(|(_, key)| numbered(state, key)), visit);
        Ok(())
    }

    fn tombstone(&mut self, id: EntryId) -> Stored<Option<Tombstone>> {
        Ok(self.store.state.tombstones.get(&id).cloned())
    }

    fn put_tombstone(&mut self, tombstone: &Tombstone) -> Stored<()> {
        self.write_tombstone(tombstone.id, Some(tombstone.clone()));
        Ok(())
    }

    fn delete_tombstone(&mut self, id: EntryId) -> Stored<()> {
        self.write_tombstone(id, None);
        Ok(())
    }

    fn purge_tombstones(&mut self, upto: SrvSeq) -> Stored<u64> {
        let state = &self.store.state;
        let old = state.numbered.keys().take_while(|(number, _)| *number <= upto);
        let old: Vec<NumberedKey> = old.map(|(_, key)| key.clone()).collect();
        let mut purged = 0;
        for key in old {
            match key {
                NumberedKey::Tombstone(id) => {
                    self.write_tombstone(id, None);
                    purged += 1;
                }
                NumberedKey::Published(key) => {
                    let mut row = self.store.state.rows.get(&key).cloned();
                    if let Some(published) = row.as_mut().and_then(|row| row.published.as_mut()) {
                        published.seen_in = SeenIn::default();
                    }
                    self.put(|state| &mut state.rows, key, row);
                }
            }
        }
        Ok(purged)
    }

    fn submitted_tombstone(
        &mut self,
        origin: &PostofficeName,
        id: EntryId,
    ) -> Stored<Option<Stamp>> {
        let state = &self.store.state;
        Ok(state.submitted_tombstones.get(&(origin.clone(), id)).copied())
    }

    fn put_submitted_tombstone(
        &mut self,
        origin: &PostofficeName,
        id: EntryId,
        stamp: Option<Stamp>,
    ) -> Stored<()> {
        self.put(|state| &mut state.submitted_tombstones, (origin.clone(), id), stamp);
        Ok(())
    }

    fn visit_submitted_tombstones(
        &mut self,
        origin: &PostofficeName,
        visit: &mut dyn FnMut((EntryId, Stamp)) -> Flow,
    ) -> Stored<()> {
        let start = (origin.clone(), EntryId::from_bytes(FIRST_ID));
        let deletions = self.store.state.submitted_tombstones.range(start..);
        let of_origin = deletions.take_while(|((of, _), _)| of == origin);
        visit_all(of_origin.map(|((_, id), stamp)| (*id, *stamp)), visit);
        Ok(())
    }

    fn transferred(&mut self, id: EntryId) -> Stored<Option<PostofficeName>> {
        Ok(self.store.state.transferred.get(&id).cloned())
    }

    fn put_transferred(&mut self, id: EntryId, owner: &PostofficeName) -> Stored<()> {
        self.put(|state| &mut state.transferred, id, Some(owner.clone()));
        Ok(())
    }

    fn issued_point(&mut self, point: &SyncPoint) -> Stored<Option<IssuedPoint>> {
        Ok(self.store.state.points.get(&point_key(point)).copied())
    }

    fn put_issued_point(&mut self, point: &SyncPoint, digest: Option<SetDigest>) -> Stored<()> {
        let issued = IssuedPoint { mark: point.mark, digest };
        self.put(|state| &mut state.points, point_key(point), Some(issued));
        Ok(())
    }

    fn views(&mut self) -> Stored<Vec<(ViewHash, View)>> {
        let views = &self.store.state.views;
        Ok(views.iter().map(|(hash, view)| (*hash, view.clone())).collect())
    }

    fn put_view(&mut self, hash: ViewHash, view: &View, sums: &BucketSums) -> Stored<()> {
        self.delete_view(hash)?;
        self.put(|state| &mut state.views, hash, Some(view.clone()));
        for (bucket, digest) in &sums.0 {
            self.put(|state| &mut state.view_sums, (hash, *bucket), Some(*digest));
        }
        Ok(())
    }

    fn delete_view(&mut self, hash: ViewHash) -> Stored<()> {
        self.put(|state| &mut state.views, hash, None);
        self.remove_where(|state| &mut state.view_sums, |(of, _), _| *of == hash);
        Ok(())
    }

    fn view_sums(&mut self, hash: ViewHash) -> Stored<BucketSums> {
        let sums = &self.store.state.view_sums;
        let sums = sums.range((hash, Bucket::MIN)..=(hash, Bucket::MAX));
        Ok(BucketSums(sums.map(|((_, bucket), digest)| (*bucket, *digest)).collect()))
    }

    fn change_view_sums(
        &mut self,
        hash: ViewHash,
        changes: &[(Bucket, SetDigest, SetDigest)],
    ) -> Stored<()> {
        for &(bucket, added, taken) in changes {
            let old = self.store.state.view_sums.get(&(hash, bucket));
            let new = changed_bucket(old, added, taken);
            self.put(|state| &mut state.view_sums, (hash, bucket), new);
        }
        Ok(())
    }

    fn deletion_events(&mut self, origin: &PostofficeName) -> Stored<Vec<(u64, u64)>> {
        let events = self.store.state.deletion_events.values();
        let mut events: Vec<_> =
            events.filter(|(of, ..)| of == origin).map(|(_, at, count)| (*at, *count)).collect();
        events.sort_unstable();
        Ok(events)
    }

    fn put_deletion_event(&mut self, origin: &PostofficeName, at: u64, count: u64) -> Stored<()> {
        self.append(|state| &mut state.deletion_events, (origin.clone(), at, count));
        Ok(())
    }

    fn purge_deletion_events(&mut self, before: u64) -> Stored<()> {
        self.remove_where(|state| &mut state.deletion_events, |_, (_, at, _)| *at < before);
        Ok(())
    }
}
