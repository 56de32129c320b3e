//! The merge of what the server holds of one's own entries with what is held here (`protocol.md`
//! §6.3): after a restore, a reinstallation or a clone, neither side overwrites what only the
//! other knows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, Record, SetDigest, own_element};
use dirsync_message::{Change, LINEAGE_MAX, Own, ReqSeq, Stamp, Transaction, fits_a_body};

use super::change::element;
use super::rejoin::new_epoch;
use crate::context::{Context, Level, ReceiveError, TransactionSource};
use crate::delta::ChangeNumbers;
use crate::simulation::{Branch, Rule};
use crate::tables::{Mode, OwnRow, OwnTombstone, Quarantined, RequestorState, Stored, Tables};

/// The source of entries that came back from the server and that no source has named again yet.
pub const ADOPTED: &str = "adopted";
/// The source of entries that a person keeps.
pub const HAND: &str = "hand";

/// How many entries each row of the merge table concerned.
#[derive(Debug, Default)]
struct Tally {
    adopted: u64,
    replaced: u64,
    kept: u64,
    dropped: u64,
}

/// Takes in the submitted set that the server holds, and prepares the full export that answers its
/// challenge.
pub(super) fn merge(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    state: &mut RequestorState,
    own: &Own,
    body: &mut dyn TransactionSource,
) -> Result<(), ReceiveError> {
    let mut tally = Tally::default();
    let mut held_there: BTreeSet<EntryId> = BTreeSet::new();
    let mut deleted_there: BTreeMap<EntryId, Stamp> = BTreeMap::new();
    let mut digest = SetDigest::default();
    while let Some(transaction) = body.next()? {
        match transaction.change {
            Change::Delete { .. } => {
                deleted_there.insert(transaction.id, transaction.stamp);
            }
            Change::Whole(record) => {
                let released_to = transaction.released_to.flatten();
                digest += SetDigest::one(own_element(transaction.id, released_to, record));
                held_there.insert(transaction.id);
                if Rule::Merge.holds() {
                    merge_entry(tables, context, &transaction, record.to_record(), &mut tally)?;
                }
            }
            Change::Delta { .. } => {
                return Err(ReceiveError::Contradiction("a submitted set holds an M".into()));
            }
        }
    }
    if digest != own.digest {
        return Err(ReceiveError::Contradiction(format!(
            "the submitted set has digest {digest}, its head says {}",
            own.digest
        )));
    }
    if Rule::Merge.holds() {
        drop_deleted_there(tables, &held_there, &deleted_there, &mut tally)?;
    }
    descend(state, own);
    if own.in_force == state.epoch {
        new_epoch(state, context, true);
    }
    number_anew(tables, state)?;
    tables.forget_reads()?;
    state.req_sync = ReqSeq(0);
    state.mode = Mode::Resubmitting { base: own.digest, challenge: own.challenge };
    state.request_due = true;
    context.say(
        Level::Notice,
        "R7",
        format!(
            "merged what the server held of this postoffice: {} adopted, {} replaced by a later \
             change, {} kept against an earlier one, {} dropped as deleted; exporting all {} \
             entries as epoch {}",
            tally.adopted,
            tally.replaced,
            tally.kept,
            tally.dropped,
            state.own_digest.count,
            state.epoch
        ),
    );
    Ok(())
}

/// Rule `heir`: whoever merges a set descends from each life that it belonged to. A server that is
/// restored from before the merge was accepted has one of those in force.
fn descend(state: &mut RequestorState, own: &Own) {
    if !Rule::Heir.holds() {
        return;
    }
    for epoch in own.retired.iter().chain([&own.in_force]) {
        if *epoch != state.epoch && !state.lineage.contains(epoch) {
            state.lineage.push(*epoch);
        }
    }
    let beyond = state.lineage.len().saturating_sub(LINEAGE_MAX - 1);
    state.lineage.drain(..beyond);
}

fn merge_entry(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    theirs: &Transaction<'_>,
    record: Record,
    tally: &mut Tally,
) -> Result<(), ReceiveError> {
    // Any number above 0 will do until `number_anew` has seen the row.
    let provisional = ChangeNumbers::new(1);
    let Some(first_origin) = theirs.first_origin else {
        return Err(ReceiveError::Contradiction("an entry has no first origin".into()));
    };
    if !fits_a_body(record.as_ref()) {
        return Err(ReceiveError::Contradiction(
            "it has an entry that no message can carry".into(),
        ));
    }
    let released_to = theirs.released_to.flatten().cloned();
    let ours = tables.own(theirs.id)?;
    // The server does not know sources. What fed our version may have given the entry up before
    // somebody made the later one, so that its absence from a read says nothing any more.
    let source = match &ours {
        Some(ours) if ours.source == HAND || ours.stamp >= theirs.stamp => ours.source.clone(),
        _ => ADOPTED.to_owned(),
    };
    let row = OwnRow {
        id: theirs.id,
        first_origin: first_origin.clone(),
        key: theirs.key.to_owned(),
        source,
        record,
        numbers: provisional,
        stamp: theirs.stamp,
        released_to,
    };
    match ours {
        Some(ours) => {
            let same = ours.record == row.record && ours.released_to == row.released_to;
            let (winner, loser) =
                if theirs.stamp > ours.stamp { (&row, &ours) } else { (&ours, &row) };
            if !same {
                quarantine_loser(tables, context.now, winner, loser)?;
            }
            if theirs.stamp > ours.stamp {
                tables.put_own(&row)?;
                // What waits for a person was asked about the version that lost.
                tables.delete_held_change(row.id)?;
                tally.replaced += u64::from(!same);
            } else {
                tally.kept += u64::from(!same);
            }
        }
        None => match tables.own_tombstone(theirs.id)? {
            Some(tombstone) if tombstone.stamp >= theirs.stamp && Rule::KeepTombstones.holds() => {}
            tombstone => {
                if tombstone.is_some() {
                    tables.delete_own_tombstone(theirs.id)?;
                }
                tables.put_own(&row)?;
                tally.adopted += 1;
                Branch::MergeAdopted.take();
            }
        },
    }
    Ok(())
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
        reason: format!(
            "this version (stamp {}) lost to a later one (stamp {}) when two states of this \
             postoffice were merged",
            loser.stamp, winner.stamp
        ),
        text: format!("lost:\n{}\nkept:\n{}", text(&loser.record), text(&winner.record)),
    })?;
    Ok(())
}

fn drop_deleted_there(
    tables: &mut dyn Tables,
    held_there: &BTreeSet<EntryId>,
    deleted_there: &BTreeMap<EntryId, Stamp>,
    tally: &mut Tally,
) -> Stored<()> {
    for (id, stamp) in deleted_there {
        if held_there.contains(id) {
            continue;
        }
        let deletion = OwnTombstone { id: *id, req_seq: ReqSeq(1), stamp: *stamp, approved: true };
        match tables.own(*id)? {
            Some(ours) if *stamp >= ours.stamp => {
                tables.delete_own(*id)?;
                tables.delete_held_change(*id)?;
                tables.put_own_tombstone(&deletion)?;
                tally.dropped += 1;
                Branch::MergeDropped.take();
            }
            Some(_) => {}
            // Rule `owndels`: a server that is restored from before the deletion is told of it.
            None if Rule::OwnDeletions.holds() => {
                let known = tables.own_tombstone(*id)?;
                if known.is_none_or(|known| known.stamp < *stamp) {
                    tables.put_own_tombstone(&deletion)?;
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// All own entries and tombstones get new numbers, in the order of their stamps.
fn number_anew(tables: &mut dyn Tables, state: &mut RequestorState) -> Stored<()> {
    let mut tombstones = Vec::new();
    tables.visit_own_tombstones(ReqSeq(0), &mut |tombstone| {
        tombstones.push(tombstone.id);
        ControlFlow::Continue(())
    })?;
    let mut order: Vec<(Stamp, EntryId)> = Vec::new();
    tables.visit_own(ReqSeq(0), &mut |row| {
        order.push((row.stamp, row.id));
        ControlFlow::Continue(())
    })?;
    order.sort_unstable();
    state.own_digest = SetDigest::default();
    for id in tombstones {
        if let Some(tombstone) = tables.own_tombstone(id)? {
            state.req_seq = state.req_seq.next();
            state.last_stamp = state.last_stamp.max(tombstone.stamp);
            tables.put_own_tombstone(&OwnTombstone { req_seq: state.req_seq, ..tombstone })?;
        }
    }
    for (stamp, id) in order {
        let row = tables.own(id)?.expect("the entry was visited in this transaction");
        state.req_seq = state.req_seq.next();
        state.last_stamp = state.last_stamp.max(stamp);
        state.own_digest += element(id, row.released_to.as_ref(), &row.record);
        let numbers = ChangeNumbers::new(state.req_seq.0);
        tables.put_own(&OwnRow { numbers, ..row })?;
    }
    Ok(())
}
