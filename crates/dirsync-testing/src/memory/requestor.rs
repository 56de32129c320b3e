//! The tables of a requestor.

use std::ops::Bound::{Excluded, Unbounded};

use dirsync_directory::{Bucket, BucketSums, EntryId, Record, SetDigest, own_element};
use dirsync_message::{Offer, Outcome, ReqSeq};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{
    Flow, HeldChange, ListPlace, ListRow, OwnRow, OwnTombstone, OwnedListRow, RequestorState,
    RequestorTables, SourceMemory, StoreError, StoreErrorKind, Stored,
};

use super::state::{Index, LAST_ID, List, changed_bucket};
use super::{MemoryTransaction, failure, visit_all};

/// The ids with numbers above `after`, in the order of their numbers.
fn above(index: &Index<(u64, EntryId)>, after: ReqSeq) -> impl Iterator<Item = &EntryId> {
    let start = Excluded((after.0, EntryId::from_bytes(LAST_ID)));
    index.range((start, Unbounded)).map(|((_, id), ())| id)
}

impl MemoryTransaction<'_> {
    fn write_own(&mut self, id: EntryId, row: Option<OwnRow>) {
        if let Some(old) = self.store.state.own.get(&id).map(|old| old.numbers.last) {
            self.put(|state| &mut state.own_by_number, (old, id), None);
        }
        if let Some(row) = &row {
            self.put(|state| &mut state.own_by_number, (row.numbers.last, id), Some(()));
        }
        self.put(|state| &mut state.own, id, row);
    }

    fn write_own_tombstone(&mut self, id: EntryId, row: Option<OwnTombstone>) {
        if let Some(old) = self.store.state.own_tombstones.get(&id).map(|old| old.req_seq.0) {
            self.put(|state| &mut state.own_tombstones_by_number, (old, id), None);
        }
        if let Some(row) = &row {
            let key = (row.req_seq.0, id);
            self.put(|state| &mut state.own_tombstones_by_number, key, Some(()));
        }
        self.put(|state| &mut state.own_tombstones, id, row);
    }

    fn write_list_row(&mut self, place: ListPlace, id: EntryId, row: Option<OwnedListRow>) {
        let list = self.store.state.list(place);
        let old = list.rows.get(&id).map(|(at, _)| *at);
        let last = list.order.last_key_value();
        let at = old.unwrap_or_else(|| last.map_or(1, |(last, _)| last + 1));
        if old.is_some() != row.is_some() {
            let named = row.is_some().then_some(id);
            self.put(move |state| &mut state.list_mut(place).order, at, named);
        }
        self.put(move |state| &mut state.list_mut(place).rows, id, row.map(|row| (at, row)));
    }
}

impl RequestorTables for MemoryTransaction<'_> {
    fn requestor(&mut self) -> Stored<RequestorState> {
        let action = "read the requestor's state";
        let state = self.store.state.requestor.clone();
        state.ok_or_else(|| StoreError::corrupt(action, "it was never written"))
    }

    fn put_requestor(&mut self, state: &RequestorState) -> Stored<()> {
        self.replace(|all| &mut all.requestor, Some(state.clone()));
        Ok(())
    }

    fn own(&mut self, id: EntryId) -> Stored<Option<OwnRow>> {
        Ok(self.store.state.own.get(&id).cloned())
    }

    fn put_own(&mut self, row: &OwnRow) -> Stored<()> {
        self.write_own(row.id, Some(row.clone()));
        Ok(())
    }

    fn delete_own(&mut self, id: EntryId) -> Stored<()> {
        self.write_own(id, None);
        Ok(())
    }

    fn visit_own(&mut self, after: ReqSeq, visit: &mut dyn FnMut(&OwnRow) -> Flow) -> Stored<()> {
        let state = &self.store.state;
        visit_all(above(&state.own_by_number, after).map(|id| &state.own[id]), visit);
        Ok(())
    }

    fn visit_own_elements(
        &mut self,
        visit: &mut dyn FnMut((EntryId, u128, &str)) -> Flow,
    ) -> Stored<()> {
        let rows = self.store.state.own.values();
        let elements = rows.map(|row| {
            let element = own_element(row.id, row.released_to.as_ref(), row.record.as_ref());
            (row.id, element, &*row.source)
        });
        visit_all(elements, visit);
        Ok(())
    }

    fn own_tombstone(&mut self, id: EntryId) -> Stored<Option<OwnTombstone>> {
        Ok(self.store.state.own_tombstones.get(&id).cloned())
    }

    fn put_own_tombstone(&mut self, tombstone: &OwnTombstone) -> Stored<()> {
        self.write_own_tombstone(tombstone.id, Some(tombstone.clone()));
        Ok(())
    }

    fn delete_own_tombstone(&mut self, id: EntryId) -> Stored<()> {
        self.write_own_tombstone(id, None);
        Ok(())
    }

    fn visit_own_tombstones(
        &mut self,
        after: ReqSeq,
        visit: &mut dyn FnMut(OwnTombstone) -> Flow,
    ) -> Stored<()> {
        let state = &self.store.state;
        let ids = above(&state.own_tombstones_by_number, after);
        visit_all(ids.map(|id| state.own_tombstones[id].clone()), visit);
        Ok(())
    }

    fn adopted_id(&mut self, source: &str, key: &str) -> Stored<Option<EntryId>> {
        let state = &self.store.state;
        Ok(state.adopted.get(&(source.to_owned(), key.to_owned())).copied())
    }

    fn put_adopted_id(&mut self, source: &str, key: &str, id: Option<EntryId>) -> Stored<()> {
        self.put(|state| &mut state.adopted, (source.to_owned(), key.to_owned()), id);
        Ok(())
    }

    fn list_row(&mut self, place: ListPlace, id: EntryId) -> Stored<Option<OwnedListRow>> {
        let list = self.store.state.list(place);
        Ok(list.rows.get(&id).map(|(_, row)| row.clone()))
    }

    fn put_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()> {
        self.write_list_row(place, row.id, Some((*row).to_owned()));
        Ok(())
    }

    fn append_list_row(&mut self, place: ListPlace, row: &ListRow<'_>) -> Stored<()> {
        let action = "add an entry to the list";
        let list = self.store.state.list(place);
        let (twice, bulk) = (list.rows.contains_key(&row.id), list.bulk);
        if twice && !bulk {
            return Err(failure(action, format!("{} is in it already", row.id)));
        }
        if twice {
            self.replace(move |state| &mut state.list_mut(place).twice, Some(row.id));
        }
        self.write_list_row(place, row.id, Some((*row).to_owned()));
        Ok(())
    }

    fn delete_list_row(&mut self, place: ListPlace, id: EntryId) -> Stored<()> {
        self.write_list_row(place, id, None);
        Ok(())
    }

    fn begin_bulk(&mut self, place: ListPlace) -> Stored<()> {
        self.replace(move |state| &mut state.list_mut(place).bulk, true);
        Ok(())
    }

    fn end_bulk(&mut self, place: ListPlace) -> Stored<()> {
        let action = "finish filling the list";
        let twice = self.store.state.list(place).twice;
        self.replace(move |state| &mut state.list_mut(place).bulk, false);
        match twice {
            Some(id) => {
                let why = format!("{id} was added twice");
                Err(StoreError::new(action, StoreErrorKind::Twice, why))
            }
            None => Ok(()),
        }
    }

    fn visit_list(
        &mut self,
        place: ListPlace,
        visit: &mut dyn FnMut(ListRow<'_>) -> Flow,
    ) -> Stored<()> {
        let list = self.store.state.list(place);
        visit_all(list.order.values().map(|id| list.rows[id].1.as_ref()), visit);
        Ok(())
    }

    fn visit_list_by_name(&mut self, visit: &mut dyn FnMut(ListRow<'_>) -> Flow) -> Stored<()> {
        let rows = self.store.state.live.rows.values();
        let mut rows: Vec<ListRow<'_>> = rows.map(|(_, row)| row.as_ref()).collect();
        rows.sort_by_key(|row| (row.record.name, row.id));
        visit_all(rows, visit);
        Ok(())
    }

    fn clear_list(&mut self, place: ListPlace) -> Stored<()> {
        let bulk = self.store.state.list(place).bulk;
        self.replace(move |state| state.list_mut(place), List { bulk, ..List::default() });
        Ok(())
    }

    fn swap_lists(&mut self) -> Stored<()> {
        let staged = std::mem::take(&mut self.store.state.staged);
        let live = std::mem::replace(&mut self.store.state.live, staged);
        self.undo.push(Box::new(move |state| {
            state.staged = std::mem::replace(&mut state.live, live);
        }));
        Ok(())
    }

    fn list_buckets(&mut self, place: ListPlace) -> Stored<BucketSums> {
        Ok(BucketSums(self.store.state.list(place).buckets.clone()))
    }

    fn change_list_buckets(
        &mut self,
        place: ListPlace,
        changes: &[(Bucket, SetDigest, SetDigest)],
    ) -> Stored<()> {
        for &(bucket, added, taken) in changes {
            let old = self.store.state.list(place).buckets.get(&bucket);
            let new = changed_bucket(old, added, taken);
            self.put(move |state| &mut state.list_mut(place).buckets, bucket, new);
        }
        Ok(())
    }

    fn outcomes(&mut self) -> Stored<Vec<Outcome>> {
        Ok(self.store.state.outcomes.clone())
    }

    fn put_outcomes(&mut self, outcomes: &[Outcome]) -> Stored<()> {
        self.replace(|state| &mut state.outcomes, outcomes.to_vec());
        Ok(())
    }

    fn offers(&mut self) -> Stored<Vec<Offer>> {
        Ok(self.store.state.offers.clone())
    }

    fn put_offers(&mut self, offers: &[Offer]) -> Stored<()> {
        self.replace(|state| &mut state.offers, offers.to_vec());
        Ok(())
    }

    fn held_change(&mut self, id: EntryId) -> Stored<Option<HeldChange>> {
        Ok(self.store.state.held_changes.get(&id).cloned())
    }

    fn visit_held_changes(
        &mut self,
        visit: &mut dyn FnMut(&HeldChange, Option<&Record>) -> Flow,
    ) -> Stored<()> {
        let state = &self.store.state;
        let mut held: Vec<&HeldChange> = state.held_changes.values().collect();
        held.sort_by_key(|held| (&held.source, held.kind, &held.key, held.id));
        for held in held {
            if visit(held, state.own.get(&held.id).map(|row| &row.record)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn put_held_change(&mut self, held: &HeldChange) -> Stored<()> {
        self.put(|state| &mut state.held_changes, held.id, Some(held.clone()));
        Ok(())
    }

    fn delete_held_change(&mut self, id: EntryId) -> Stored<()> {
        self.put(|state| &mut state.held_changes, id, None);
        Ok(())
    }

    fn guard_events(&mut self, source: &str) -> Stored<Vec<(u64, GuardKind, u64)>> {
        let events = self.store.state.guard_events.values();
        let mut events: Vec<_> = events
            .filter(|(of, ..)| of == source)
            .map(|(_, at, kind, count)| (*at, *kind, *count))
            .collect();
        events.sort();
        Ok(events)
    }

    fn put_guard_event(
        &mut self,
        source: &str,
        at: u64,
        kind: GuardKind,
        count: u64,
    ) -> Stored<()> {
        let event = (source.to_owned(), at, kind, count);
        self.append(|state| &mut state.guard_events, event);
        Ok(())
    }

    fn purge_guard_events(&mut self, before: u64) -> Stored<()> {
        self.remove_where(|state| &mut state.guard_events, |_, (_, at, ..)| *at < before);
        Ok(())
    }

    fn source_memory(&mut self, source: &str) -> Stored<Option<SourceMemory>> {
        Ok(self.store.state.sources.get(source).cloned())
    }

    fn put_source_memory(&mut self, source: &str, memory: &SourceMemory) -> Stored<()> {
        self.put(|state| &mut state.sources, source.to_owned(), Some(memory.clone()));
        Ok(())
    }

    fn forget_files(&mut self) -> Stored<()> {
        let sources = self.store.state.sources.clone();
        for (source, memory) in sources {
            let forgotten = SourceMemory { seen: String::new(), ..memory };
            self.put(|state| &mut state.sources, source, Some(forgotten));
        }
        Ok(())
    }

    fn forget_reads(&mut self) -> Stored<()> {
        let sources = self.store.state.sources.clone();
        for (source, memory) in sources {
            let forgotten = SourceMemory { seen: String::new(), told_all: false, ..memory };
            self.put(|state| &mut state.sources, source, Some(forgotten));
        }
        Ok(())
    }
}
