//! A person approves or rejects changes that are held at this postoffice.

use dirsync_directory::EntryId;
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::requestor::OwnChanges;
use dirsync_protocol::tables::{OwnRow, Stored, Tables};

use super::unclaimed::keep_by_hand;

/// Makes held changes, with `None` all of them, and returns their number. Rejected changes are closed
/// cases and stay as they are. Deletions are sent as approved, so that the server does not hold them
/// again.
///
/// # Errors
///
/// When the store fails.
pub fn approve(tables: &mut dyn Tables, now: u64, ids: Option<&[EntryId]>) -> Stored<u64> {
    let mut changes = OwnChanges::begin(tables, now)?;
    let mut count = 0;
    for held in changes.tables().held_changes()? {
        if held.rejected || ids.is_some_and(|ids| !ids.contains(&held.id)) {
            continue;
        }
        count += 1;
        changes.tables().delete_held_change(held.id)?;
        match held.record {
            None => {
                changes.delete(held.id, true)?;
            }
            Some(record) => {
                if let Some(row) = changes.tables().own(held.id)? {
                    changes.put(OwnRow { record, ..row })?;
                }
            }
        }
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
    for mut held in tables.held_changes()? {
        if held.rejected || ids.is_some_and(|ids| !ids.contains(&held.id)) {
            continue;
        }
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
