//! T0: own changes become numbered transactions.

use dirsync_directory::{EntryId, PostofficeName, Record, SetDigest, own_element};
use dirsync_message::{ReqSeq, Stamp};

use crate::delta::{ChangeNumbers, changed_parts, release_part};
use crate::simulation::Rule;
use crate::tables::{OwnRow, OwnTombstone, RequestorState, Stored, Tables};

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// The entry is new.
    Added,
    /// The entry differs from what was held.
    Modified,
    /// Nothing changed, and nothing was numbered.
    Unchanged,
}

/// A batch of own changes within one transaction (commit point C1).
///
/// The requestor's row is read once and written by [`OwnChanges::finish`].
pub struct OwnChanges<'t> {
    tables: &'t mut dyn Tables,
    state: RequestorState,
    now: u64,
}

impl<'t> OwnChanges<'t> {
    /// Begins a batch at `now` (milliseconds since 1970).
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn begin(tables: &'t mut dyn Tables, now: u64) -> Stored<Self> {
        let state = tables.requestor()?;
        Ok(Self { tables, state, now })
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

    fn next(&mut self) -> (ReqSeq, Stamp) {
        self.state.req_seq = self.state.req_seq.next();
        self.state.last_stamp = if Rule::Clock.holds() {
            self.state.last_stamp.after(self.now)
        } else {
            Stamp(self.now)
        };
        (self.state.req_seq, self.state.last_stamp)
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
        self.state.own_digest -= element(old.id, old.released_to.as_ref(), &old.record);
        self.state.own_digest += element(row.id, row.released_to.as_ref(), &row.record);
        let (number, stamp) = self.next();
        let mut numbers = old.numbers;
        numbers.changed(number.0, parts);
        self.tables.put_own(&OwnRow { numbers, stamp, ..row })?;
        Ok(ChangeOutcome::Modified)
    }

    /// Adds an entry that is known to be absent and to have no tombstone.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn add(&mut self, row: OwnRow) -> Stored<()> {
        self.state.own_digest += element(row.id, row.released_to.as_ref(), &row.record);
        let (number, stamp) = self.next();
        self.tables.put_own(&OwnRow { numbers: ChangeNumbers::new(number.0), stamp, ..row })
    }

    /// Takes back an addition of this batch as if it had never been: no tombstone is left.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn forget(&mut self, id: EntryId) -> Stored<()> {
        if let Some(row) = self.tables.own(id)? {
            self.state.own_digest -= element(id, row.released_to.as_ref(), &row.record);
            self.tables.delete_own(id)?;
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
        self.state.own_digest -= element(id, old.released_to.as_ref(), &old.record);
        let (req_seq, stamp) = self.next();
        self.tables.delete_own(id)?;
        self.tables.put_own_tombstone(&OwnTombstone { id, req_seq, stamp, approved })?;
        Ok(true)
    }

    /// Drops the stub of an entry that was handed over. That is no change of the entry, and not to be
    /// taken for one when the new owner hands it back (rule `stubstamp`).
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn drop_stub(&mut self, stub: &OwnRow) -> Stored<()> {
        self.state.own_digest -= element(stub.id, stub.released_to.as_ref(), &stub.record);
        let id = stub.id;
        let stamp = if Rule::StubStamp.holds() { Stamp::OF_STUB_END } else { stub.stamp };
        self.state.req_seq = self.state.req_seq.next();
        let req_seq = self.state.req_seq;
        self.tables.delete_own(id)?;
        self.tables.put_own_tombstone(&OwnTombstone { id, req_seq, stamp, approved: true })
    }

    /// Writes the requestor's row.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finish(self) -> Stored<()> {
        self.tables.put_requestor(&self.state)
    }
}

pub(super) fn element(
    id: EntryId,
    released_to: Option<&PostofficeName>,
    record: &Record,
) -> SetDigest {
    SetDigest::one(own_element(id, released_to, record.as_ref()))
}
