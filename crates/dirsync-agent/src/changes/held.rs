//! A person approves or rejects changes that are held at this postoffice.

use std::ops::ControlFlow;

use dirsync_directory::EntryId;
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::requestor::{ChangeOutcome, OwnChanges};
use dirsync_protocol::tables::{HeldChange, OwnRow, Run, RunKind, Stored, Tables};

use super::unclaimed::keep_by_hand;

/// The held changes that are not rejected: all of them with `None`, or those of the given entries. Only
/// their ids are kept in memory.
fn open_ids(tables: &mut dyn Tables, ids: Option<&[EntryId]>) -> Stored<Vec<EntryId>> {
    if let Some(ids) = ids {
        return Ok(ids.to_vec());
    }
    let mut open = Vec::new();
    tables.visit_held_changes(&mut |held, _| {
        if !held.rejected {
            open.push(held.id);
        }
        ControlFlow::Continue(())
    })?;
    Ok(open)
}

fn open(tables: &mut dyn Tables, id: EntryId) -> Stored<Option<HeldChange>> {
    Ok(tables.held_change(id)?.filter(|held| !held.rejected))
}

/// Makes held changes, with `None` all of them, and returns their number. Rejected changes are closed
/// cases and stay as they are. Deletions are sent as approved, so that the server does not hold them
/// again.
///
/// # Errors
///
/// When the store fails.
pub fn approve(tables: &mut dyn Tables, now: u64, ids: Option<&[EntryId]>) -> Stored<u64> {
    let ids = open_ids(tables, ids)?;
    let mut changes = OwnChanges::begin_run(tables, Run::new(now, RunKind::Approval, ""))?;
    let me = changes.state().name.clone();
    let mut count = 0;
    let mut has_deleted = false;
    for id in ids {
        let Some(mut held) = open(changes.tables(), id)? else { continue };
        count += 1;
        changes.tables().delete_held_change(held.id)?;
        let is_made = match held.record.take() {
            None => {
                let is_deleted = changes.delete(held.id, true)?;
                has_deleted |= is_deleted;
                is_deleted
            }
            Some(record) => {
                let row = match changes.tables().own(held.id)? {
                    Some(row) => OwnRow { record, ..row },
                    None if held.kind == GuardKind::Taken => {
                        let (key, source) = (held.key.clone(), held.source.clone());
                        OwnRow::new(held.id, me.clone(), key, source, record)
                    }
                    // The entry was deleted meanwhile.
                    None => continue,
                };
                changes.put(row)? != ChangeOutcome::Unchanged
            }
        };
        if is_made {
            changes.keep_case(&held.closed())?;
        }
    }
    if has_deleted {
        // Another source may name the entry.
        changes.tables().forget_files()?;
    }
    changes.finish()?;
    Ok(count)
}

/// Rejects held changes, with `None` all of them, and returns their number. The entries stay as they are
/// until their source asks for another change. An entry that no source names is kept by hand from then
/// on.
///
/// # Errors
///
/// When the store fails.
pub fn reject(tables: &mut dyn Tables, ids: Option<&[EntryId]>) -> Stored<u64> {
    let mut count = 0;
    for id in open_ids(tables, ids)? {
        let Some(mut held) = open(tables, id)? else { continue };
        count += 1;
        if held.kind == GuardKind::Unclaimed {
            keep_by_hand(tables, &held)?;
            continue;
        }
        held.rejected = true;
        tables.put_held_change(&held)?;
    }
    Ok(count)
}
