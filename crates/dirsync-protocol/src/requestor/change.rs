//! T0: own changes become numbered transactions.

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, SetDigest, own_element};
use dirsync_message::{ReqSeq, Stamp};

use crate::delta::{ChangeNumbers, changed_parts, release_part};
use crate::simulation::{CHECKED, Rule};
use crate::tables::{
    ClosedCase, OwnRow, OwnTombstone, RequestorState, Run, StoreError, Stored, Tables,
};

use super::journal::Journal;

/// The number of own entries whose order is in memory while all are numbered anew. It is small in debug builds, so that
/// their tests do it in several pieces.
const ORDERED_AT_ONCE: usize = if cfg!(debug_assertions) { 2000 } else { 256 * 1024 };

/// The result of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// The entry is new.
    Added,
    /// The entry differs from the version held before.
    Modified,
    /// Nothing changed, and nothing was numbered.
    Unchanged,
}

/// A batch of own changes within one transaction (commit point C1).
///
/// It owns the requestor's row, which is read once and written by [`OwnChanges::finish`]. The digest of the
/// own entries is kept here, where their rows are written, and nowhere else.
pub struct OwnChanges<'t> {
    pub(super) tables: &'t mut dyn Tables,
    pub(super) state: RequestorState,
    now: u64,
    pub(super) journal: Option<Journal>,
}

impl<'t> OwnChanges<'t> {
    /// Begins a batch at `now` (milliseconds since 1970) that cannot be undone: a merge, or what an update
    /// brings.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn begin(tables: &'t mut dyn Tables, now: u64) -> Stored<Self> {
        let state = tables.requestor()?;
        if !is_consistent(&state) {
            let why = "changes or requests are answered that were never made";
            return Err(StoreError::corrupt("read the requestor's row", why));
        }
        Ok(Self { tables, state, now, journal: None })
    }

    /// Begins a batch that is a person's doing, at the time of `run`: what it changes can be undone.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn begin_run(tables: &'t mut dyn Tables, run: Run) -> Stored<Self> {
        let mut changes = Self::begin(tables, run.at)?;
        changes.journal = Some(Journal::new(run, changes.state.last_stamp));
        Ok(changes)
    }

    /// The requestor's row as the batch has made it so far.
    pub fn state(&self) -> &RequestorState {
        &self.state
    }

    /// The tables, for reading between changes.
    pub fn tables(&mut self) -> &mut dyn Tables {
        self.tables
    }

    /// Makes the changes that follow later than a stamp of another origin: the versions of an entry
    /// are in order across a transfer, whatever the clocks say.
    pub fn follow(&mut self, stamp: Stamp) {
        self.state.last_stamp = self.state.last_stamp.max(stamp);
    }

    fn next_number(&mut self) -> ReqSeq {
        self.state.req_seq = self.state.req_seq.next();
        self.state.req_seq
    }

    fn next_stamp(&mut self) -> Stamp {
        let last = self.state.last_stamp;
        let stamp = if Rule::Clock.holds() { last.after(self.now) } else { Stamp(self.now) };
        assert!(
            stamp >= last || !Rule::Clock.holds(),
            "stamps never fall, whatever the clock says"
        );
        self.state.last_stamp = stamp;
        stamp
    }

    /// Makes an entry be as given. The numbers and the stamp of `row` are ignored.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn put(&mut self, row: OwnRow) -> Stored<ChangeOutcome> {
        let Some(old) = self.tables.own(row.id)? else {
            self.tables.delete_own_tombstone(row.id)?;
            self.add(row)?;
            return Ok(ChangeOutcome::Added);
        };
        let mut parts = changed_parts(old.record.as_ref(), row.record.as_ref());
        if old.released_to != row.released_to {
            parts.push(release_part());
        }
        if parts.is_empty() {
            if old.source != row.source {
                self.tables.put_own(&OwnRow { source: row.source, ..old })?;
            }
            return Ok(ChangeOutcome::Unchanged);
        }
        let (number, stamp) = (self.next_number(), self.next_stamp());
        let mut numbers = old.numbers.clone();
        numbers.changed(number.0, parts);
        let element = self.write(Some(&old), &OwnRow { numbers, stamp, ..row })?;
        self.keep(&old, Some(element), stamp)?;
        Ok(ChangeOutcome::Modified)
    }

    /// Adds an entry that is known to be absent and to have no tombstone.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn add(&mut self, row: OwnRow) -> Stored<()> {
        let numbers = ChangeNumbers::new(self.next_number().0);
        let stamp = self.next_stamp();
        let id = row.id;
        let element = self.write(None, &OwnRow { numbers, stamp, ..row })?;
        if let Some(journal) = &mut self.journal {
            journal.added(self.tables, id, element)?;
        }
        Ok(())
    }

    /// Takes back an addition of this batch as if it had never been: no tombstone is left.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn forget(&mut self, id: EntryId) -> Stored<()> {
        if let Some(row) = self.tables.own(id)? {
            self.remove(&row)?;
        }
        if let Some(journal) = &mut self.journal {
            journal.forget(id);
        }
        Ok(())
    }

    /// Deletes an own entry; `approved` when a person said so after a hold. Returns whether there
    /// was one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn delete(&mut self, id: EntryId, approved: bool) -> Stored<bool> {
        let Some(old) = self.tables.own(id)? else { return Ok(false) };
        let (req_seq, stamp) = (self.next_number(), self.next_stamp());
        self.remove(&old)?;
        self.tables.put_own_tombstone(&OwnTombstone { id, req_seq, stamp, approved })?;
        self.keep(&old, None, stamp)?;
        Ok(true)
    }

    /// Keeps an entry as it was, if the batch can be undone.
    fn keep(&mut self, old: &OwnRow, left: Option<u128>, stamp: Stamp) -> Stored<()> {
        match &mut self.journal {
            Some(journal) => journal.keep(self.tables, old, left, stamp),
            None => Ok(()),
        }
    }

    /// Keeps the case of a held change that was made, if the batch can be undone.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn keep_case(&mut self, case: &ClosedCase) -> Stored<()> {
        match &mut self.journal {
            Some(journal) => journal.keep_case(self.tables, case),
            None => Ok(()),
        }
    }

    /// P20: ends the stub of an entry that was handed over. That is no change of the entry, and must not
    /// be taken for one when the new owner hands it back (rule `stubstamp`).
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn end_stub(&mut self, stub: &OwnRow) -> Stored<()> {
        let id = stub.id;
        let stamp = if Rule::StubStamp.holds() { Stamp::OF_STUB_END } else { stub.stamp };
        let req_seq = self.next_number();
        self.remove(stub)?;
        self.tables.put_own_tombstone(&OwnTombstone { id, req_seq, stamp, approved: true })
    }

    /// Writes the requestor's row. Returns the number of the run, if the batch is one and changed something.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finish(self) -> Stored<Option<u64>> {
        let state = &self.state;
        assert!(is_consistent(state), "only changes and requests that were made are answered");
        self.tables.put_requestor(state)?;
        match self.journal {
            Some(journal) => journal.finish(self.tables, state.last_stamp),
            None => Ok(None),
        }
    }

    /// Writes an own row in the place of `old`. Returns its element of the own digest.
    pub(super) fn write(&mut self, old: Option<&OwnRow>, new: &OwnRow) -> Stored<u128> {
        assert!(old.is_none_or(|old| old.id == new.id), "a row takes the place of its own version");
        if let Some(old) = old {
            self.state.own_digest -= SetDigest::one(element(old));
        }
        let element = element(new);
        self.state.own_digest += SetDigest::one(element);
        self.tables.put_own(new)?;
        Ok(element)
    }

    /// Removes an own row.
    pub(super) fn remove(&mut self, row: &OwnRow) -> Stored<()> {
        self.state.own_digest -= SetDigest::one(element(row));
        self.tables.delete_own(row.id)
    }

    /// Gives new numbers to all own entries and tombstones, in the order of their stamps, and counts the
    /// digest of the own entries anew.
    pub(super) fn number_anew(&mut self) -> Stored<()> {
        let mut tombstones = Vec::new();
        self.tables.visit_own_tombstones(ReqSeq(0), &mut |tombstone| {
            tombstones.push(tombstone);
            ControlFlow::Continue(())
        })?;
        for tombstone in tombstones {
            self.follow(tombstone.stamp);
            let req_seq = self.next_number();
            self.tables.put_own_tombstone(&OwnTombstone { req_seq, ..tombstone })?;
        }
        self.state.own_digest = SetDigest::default();
        let mut last = None;
        loop {
            let next = next_by_stamp(self.tables, last, ORDERED_AT_ONCE)?;
            if next.is_empty() {
                return self.assert_order();
            }
            last = next.last().copied();
            for (stamp, id) in next {
                let Some(row) = self.tables.own(id)? else { continue };
                self.follow(stamp);
                let numbers = ChangeNumbers::new(self.next_number().0);
                self.write(None, &OwnRow { numbers, ..row })?;
            }
        }
    }

    /// Asserts that the numbers of the own entries are in the order of their stamps.
    fn assert_order(&mut self) -> Stored<()> {
        if !CHECKED {
            return Ok(());
        }
        let mut before = Stamp(0);
        self.tables.visit_own(ReqSeq(0), &mut |row| {
            assert!(before <= row.stamp, "a later number is a later change");
            before = row.stamp;
            ControlFlow::Continue(())
        })
    }
}

/// The next own entries after `last` in the order of their stamps, at most `most`. All entries are looked at for each
/// piece of that order, since the order of a million would take 24 MB.
fn next_by_stamp(
    tables: &mut dyn Tables,
    last: Option<(Stamp, EntryId)>,
    most: usize,
) -> Stored<Vec<(Stamp, EntryId)>> {
    let mut first = BinaryHeap::new();
    tables.visit_own(ReqSeq(0), &mut |row| {
        let key = (row.stamp, row.id);
        if last.is_none_or(|last| key > last) {
            first.push(key);
            if first.len() > most {
                first.pop();
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(first.into_sorted_vec())
}

/// Whether only changes and requests that were made here are answered.
fn is_consistent(state: &RequestorState) -> bool {
    let is_made = state.last_answer <= state.request_no || !Rule::Answers.holds();
    state.req_sync <= state.req_seq && is_made
}

fn element(row: &OwnRow) -> u128 {
    own_element(row.id, row.released_to.as_ref(), row.record.as_ref())
}
