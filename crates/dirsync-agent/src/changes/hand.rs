//! T0 by hand: a person writes or deletes one entry.

use dirsync_directory::{EntryId, Record, RecordError, composed};
use dirsync_protocol::requestor::{ADOPTED, ChangeOutcome, HAND, OwnChanges};
use dirsync_protocol::tables::{OwnRow, Run, RunKind, StoreError, Tables};
use thiserror::Error;

/// Why a change by hand is refused.
#[derive(Debug, Error)]
pub enum HandError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A source feeds the entry: its next read would undo the change.
    #[error("the entry \"{key}\" is fed by the source \"{source_name}\"; change it there")]
    Fed {
        /// Its key.
        key: String,
        /// The source.
        source_name: String,
    },
    /// There is no such own entry.
    #[error("\"{0}\" is not one of this postoffice's own entries")]
    Unknown(String),
    /// The entry exists already.
    #[error("the entry \"{0}\" exists already")]
    Exists(String),
    /// The content is not valid.
    #[error("the entry \"{key}\" cannot be kept: {error}")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong.
        error: RecordError,
    },
}

/// An entry that is written by hand.
#[derive(Clone, Debug)]
pub struct HandChange {
    /// Its key.
    pub key: String,
    /// Its content.
    pub record: Record,
    /// Whether the entry has to be new.
    pub add: bool,
}

/// Writes an entry by hand.
///
/// # Errors
///
/// See [`HandError`].
pub fn change_by_hand(
    tables: &mut dyn Tables,
    now: u64,
    change: HandChange,
) -> Result<(EntryId, ChangeOutcome), HandError> {
    let HandChange { key, record, add } = change;
    let key = composed(&key).into_owned();
    if let Err(error) = record.as_ref().check() {
        return Err(HandError::Record { key, error });
    }
    let run = Run::new(now, RunKind::Command, &*key);
    let mut changes = OwnChanges::begin_run(tables, run)?;
    let me = changes.state().name.clone();
    let adopted = changes.tables().adopted_id(HAND, &key)?;
    let id = adopted.unwrap_or_else(|| EntryId::derive(&me, &key));
    let old = changes.tables().own(id)?;
    let row = match old {
        Some(_) if add => return Err(HandError::Exists(key)),
        Some(old) if old.source != HAND && old.source != ADOPTED => {
            return Err(HandError::Fed { key, source_name: old.source });
        }
        Some(old) => OwnRow { record, source: HAND.into(), ..old },
        None if !add => return Err(HandError::Unknown(key)),
        None => OwnRow::new(id, me, key, HAND.into(), record),
    };
    let outcome = changes.put(row)?;
    // A person has decided about the entry, so no case about it stays open.
    changes.tables().delete_held_change(id)?;
    changes.finish()?;
    Ok((id, outcome))
}

/// Deletes an entry by hand.
///
/// # Errors
///
/// See [`HandError`].
pub fn delete_by_hand(tables: &mut dyn Tables, now: u64, id: EntryId) -> Result<(), HandError> {
    let old = tables.own(id)?.ok_or_else(|| HandError::Unknown(id.to_string()))?;
    if old.source != HAND && old.source != ADOPTED {
        return Err(HandError::Fed { key: old.key, source_name: old.source });
    }
    let run = Run::new(now, RunKind::Command, &*old.key);
    let mut changes = OwnChanges::begin_run(tables, run)?;
    changes.delete(id, true)?;
    changes.tables().delete_held_change(id)?;
    changes.finish()?;
    Ok(())
}
