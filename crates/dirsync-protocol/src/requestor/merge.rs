//! The merge of the own entries that the server holds with those held here (section 9 of
//! `docs/protocol.md`): after a restore, a reinstallation or a clone, neither side overwrites changes that
//! only the other one knows.

use std::collections::BTreeMap;

use dirsync_directory::{EntryId, Record, SetDigest, own_element};
use dirsync_message::{Change, LINEAGE_MAX, Own, ReqSeq, Stamp, Transaction, fits_a_body};

use super::change::OwnChanges;
use super::reception::Reception;
use super::rejoin::new_epoch;
use crate::context::{Level, ReceiveError, TransactionSource};
use crate::delta::ChangeNumbers;
use crate::row::Row;
use crate::simulation::{Branch, Rule};
use crate::tables::{Mode, OwnRow, OwnTombstone, Quarantined, RequestorState, Stored, Tables};

/// The source of entries that came back from the server and that no source has named again yet.
pub const ADOPTED: &str = "adopted";
/// The source of entries that a person keeps.
pub const HAND: &str = "hand";

/// A submitted set that is being merged.
#[derive(Default)]
struct Merge {
    digest: SetDigest,
    held_there: Vec<EntryId>,
    deleted_there: BTreeMap<EntryId, Stamp>,
    adopted: u64,
    replaced: u64,
    kept: u64,
    dropped: u64,
}

impl Reception<'_> {
    /// R7: takes in the submitted set that the server holds, and prepares the full export that answers its
    /// challenge.
    pub(super) fn merge(
        &mut self,
        own: &Own,
        body: &mut dyn TransactionSource,
    ) -> Result<(), ReceiveError> {
        let mut merge = Merge::default();
        while let Some(transaction) = body.next()? {
            merge.take(&mut self.changes, self.context.now, &transaction)?;
        }
        if merge.digest != own.digest {
            return Err(ReceiveError::Contradiction(format!(
                "the submitted set has digest {}, its head says {}",
                merge.digest, own.digest
            )));
        }
        if Rule::Merge.holds() {
            merge.drop_deleted_there(&mut self.changes)?;
        }
        let state = &mut self.changes.state;
        descend(state, own);
        if own.in_force == state.epoch {
            new_epoch(state, &mut self.context, true);
        }
        assert!(state.epoch != own.in_force, "the merged set is submitted in an epoch of its own");
        self.changes.number_anew()?;
        self.changes.tables.forget_reads()?;
        let state = &mut self.changes.state;
        state.req_sync = ReqSeq(0);
        state.mode = Mode::Resubmitting { base: own.digest, challenge: own.challenge };
        state.request_due = true;
        let text = format!(
            "merged the entries of this postoffice that the server held: {} adopted, {} replaced by a \
             later change, {} kept against an earlier one, {} dropped as deleted; exporting all {} \
             entries as epoch {}",
            merge.adopted,
            merge.replaced,
            merge.kept,
            merge.dropped,
            state.own_digest.count,
            state.epoch
        );
        self.say(Level::Notice, Row::R7, text);
        Ok(())
    }
}

/// M10, rule `heir`: a merged set descends from each epoch that it belonged to, here or at the server. A
/// server that is restored from before the merge was accepted, or that took the place of the one that the set
/// was merged with, has one of those in force.
fn descend(state: &mut RequestorState, own: &Own) {
    if !Rule::Heir.holds() {
        return;
    }
    let former = std::mem::take(&mut state.former_epochs);
    for epoch in former.iter().chain(&own.retired).chain([&own.in_force]) {
        if *epoch != state.epoch && !state.lineage.contains(epoch) {
            state.lineage.push(*epoch);
        }
    }
    let beyond = state.lineage.len().saturating_sub(LINEAGE_MAX - 1);
    state.lineage.drain(..beyond);
}

impl Merge {
    fn take(
        &mut self,
        changes: &mut OwnChanges<'_>,
        now: u64,
        theirs: &Transaction<'_>,
    ) -> Result<(), ReceiveError> {
        match theirs.change {
            Change::Delete { .. } => {
                self.deleted_there.insert(theirs.id, theirs.stamp);
            }
            Change::Whole(record) => {
                let released_to = theirs.released_to.flatten();
                self.digest += SetDigest::one(own_element(theirs.id, released_to, record));
                self.held_there.push(theirs.id);
                if Rule::Merge.holds() {
                    self.merge_entry(changes, now, theirs, record.to_record())?;
                }
            }
            Change::Delta { .. } => {
                return Err(ReceiveError::Contradiction("a submitted set holds an M".into()));
            }
        }
        Ok(())
    }

    /// M1 to M6.
    fn merge_entry(
        &mut self,
        changes: &mut OwnChanges<'_>,
        now: u64,
        theirs: &Transaction<'_>,
        record: Record,
    ) -> Result<(), ReceiveError> {
        let Some(first_origin) = theirs.first_origin else {
            return Err(ReceiveError::Contradiction("an entry has no first origin".into()));
        };
        if !fits_a_body(record.as_ref()) {
            return Err(ReceiveError::Contradiction(
                "it has an entry that no message can carry".into(),
            ));
        }
        let ours = changes.tables.own(theirs.id)?;
        // The server does not know sources. The source of our version may have given the entry up before
        // somebody made the later one, so that its absence from a read says nothing any more.
        let source = match &ours {
            Some(ours) if ours.source == HAND || ours.stamp >= theirs.stamp => ours.source.clone(),
            _ => ADOPTED.to_owned(),
        };
        let theirs = OwnRow {
            id: theirs.id,
            first_origin: first_origin.clone(),
            key: theirs.key.to_owned(),
            source,
            record,
            // Any number above 0 will do until all rows are numbered anew.
            numbers: ChangeNumbers::new(1),
            stamp: theirs.stamp,
            released_to: theirs.released_to.flatten().cloned(),
        };
        match ours {
            Some(ours) => Ok(self.merge_versions(changes, now, &theirs, &ours)?),
            None => Ok(self.adopt(changes, &theirs)?),
        }
    }

    /// M1 to M3: of two versions the later one stays, the other one goes to quarantine.
    fn merge_versions(
        &mut self,
        changes: &mut OwnChanges<'_>,
        now: u64,
        theirs: &OwnRow,
        ours: &OwnRow,
    ) -> Stored<()> {
        let is_same = ours.record == theirs.record && ours.released_to == theirs.released_to;
        let theirs_wins = theirs.stamp > ours.stamp;
        if !is_same {
            let (winner, loser) = if theirs_wins { (theirs, ours) } else { (ours, theirs) };
            quarantine_loser(changes.tables, now, winner, loser)?;
        }
        if theirs_wins {
            changes.write(Some(ours), theirs)?;
            // A change that waits for a person was asked about for the version that lost.
            changes.tables.delete_held_change(theirs.id)?;
            self.replaced += u64::from(!is_same);
        } else {
            self.kept += u64::from(!is_same);
        }
        Ok(())
    }

    /// M4 to M6: an entry that is not held here comes back, unless it was deleted here later.
    fn adopt(&mut self, changes: &mut OwnChanges<'_>, theirs: &OwnRow) -> Stored<()> {
        let deleted_here = changes.tables.own_tombstone(theirs.id)?;
        if let Some(deletion) = deleted_here {
            if deletion.stamp >= theirs.stamp && Rule::KeepTombstones.holds() {
                return Ok(());
            }
            changes.tables.delete_own_tombstone(theirs.id)?;
        }
        changes.write(None, theirs)?;
        self.adopted += 1;
        Branch::MergeAdopted.take();
        Ok(())
    }

    /// M7 to M9: deletions that the server holds.
    fn drop_deleted_there(&mut self, changes: &mut OwnChanges<'_>) -> Stored<()> {
        // Given back before all entries are numbered anew, which needs as much again.
        let mut held_there = std::mem::take(&mut self.held_there);
        held_there.sort_unstable();
        for (id, stamp) in &std::mem::take(&mut self.deleted_there) {
            if held_there.binary_search(id).is_ok() {
                continue;
            }
            let deletion =
                OwnTombstone { id: *id, req_seq: ReqSeq(1), stamp: *stamp, approved: true };
            match changes.tables.own(*id)? {
                Some(ours) if *stamp >= ours.stamp => {
                    changes.remove(&ours)?;
                    changes.tables.delete_held_change(*id)?;
                    changes.tables.put_own_tombstone(&deletion)?;
                    self.dropped += 1;
                    Branch::MergeDropped.take();
                }
                Some(_) => {}
                // Rule `owndels`: a server that is restored from before the deletion is told of it.
                None if Rule::OwnDeletions.holds() => {
                    let known = changes.tables.own_tombstone(*id)?;
                    if known.is_none_or(|known| known.stamp < *stamp) {
                        changes.tables.put_own_tombstone(&deletion)?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn quarantine_loser(
    tables: &mut dyn Tables,
    now: u64,
    winner: &OwnRow,
    loser: &OwnRow,
) -> Stored<()> {
    Branch::MergeLoser.take();
    let text =
        |record: &Record| format!("{}\n{}\n{}", record.name, record.addresses, record.details);
    tables.put_quarantined(&Quarantined {
        number: 0,
        since: now,
        origin: "merge".into(),
        subject: loser.key.clone(),
        line: None,
        reason: format!(
            "this version (stamp {}) lost to a later one (stamp {}) when two states of this \
             postoffice were merged",
            loser.stamp, winner.stamp
        ),
        text: format!("lost:\n{}\nkept:\n{}", text(&loser.record), text(&winner.record)),
    })?;
    Ok(())
}
