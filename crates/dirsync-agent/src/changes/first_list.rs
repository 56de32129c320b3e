//! Reads before the first list. Nobody knew then which addresses others have, so the guard for additions with
//! such addresses (G9) looks when the first list is here.

use std::ops::ControlFlow;

use dirsync_directory::{EntryId, plural};
use dirsync_message::ReqSeq;
use dirsync_protocol::context::{Event, Level};
use dirsync_protocol::guard::{GuardKind, GuardLimits};
use dirsync_protocol::requestor::OwnChanges;
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{HeldChange, Stored, Tables};

use crate::notes::UNCOMPARED;
use crate::taken::OthersAddresses;

/// Notes that a source added entries while there was no list, with the limits of its guard.
pub(super) fn note_uncompared(
    tables: &mut dyn Tables,
    source: &str,
    limits: GuardLimits,
) -> Stored<()> {
    let limits = format!("{} {}", limits.entries, limits.percent);
    tables.put_note(&format!("{UNCOMPARED}{source}"), Some(&limits))
}

fn read_limits(note: &str) -> Option<GuardLimits> {
    let (entries, percent) = note.split_once(' ')?;
    Some(GuardLimits { entries: entries.parse().ok()?, percent: percent.parse().ok()? })
}

/// Compares the entries that were added before the first list with that list, as soon as it is whole. If too
/// many of a source have addresses of others, these are deleted and held for a person, as the guard would have
/// held them. Returns a warning for each such source.
///
/// # Errors
///
/// When the store fails.
pub fn compare_with_first_list(tables: &mut dyn Tables, now: u64) -> Stored<Vec<Event>> {
    let notes = tables.notes(UNCOMPARED)?;
    let state = tables.requestor()?;
    if notes.is_empty() || !state.point.is_some_and(|point| point.complete) {
        return Ok(Vec::new());
    }
    let others = OthersAddresses::of_list(tables, &state.name)?;
    let mut warnings = Vec::new();
    for (note, limits) in notes {
        tables.put_note(&note, None)?;
        let source = &note[UNCOMPARED.len()..];
        let Some(limits) = read_limits(&limits).filter(|_| !others.is_empty()) else { continue };
        let (mut fed, mut wanting) = (0, Vec::new());
        tables.visit_own(ReqSeq(0), &mut |row| {
            if row.source == source {
                fed += 1;
                wanting.extend(others.has_one_of(row.record.as_ref()).then_some(row.id));
            }
            ControlFlow::Continue(())
        })?;
        let count = wanting.len() as u64;
        if limits.exceeded(count, fed) {
            hold(tables, now, source, &wanting)?;
            let text = format!(
                "{count} of {} of source \"{source}\" {} addresses that entries of other postoffices have, \
                 by the first list: held for a person",
                plural(fed, "entry", "entries"),
                if count == 1 { "has" } else { "have" },
            );
            warnings.push(Event { level: Level::Warning, row: Row::T3, text });
        }
    }
    Ok(warnings)
}

/// Takes additions back and holds them. They may have been sent, so the server is told of it.
fn hold(tables: &mut dyn Tables, now: u64, source: &str, ids: &[EntryId]) -> Stored<()> {
    let mut changes = OwnChanges::begin(tables, now)?;
    for id in ids {
        let Some(row) = changes.tables().own(*id)? else { continue };
        changes.delete(*id, true)?;
        changes.tables().put_held_change(&HeldChange {
            id: *id,
            source: source.to_owned(),
            kind: GuardKind::Taken,
            record: Some(row.record),
            key: row.key,
            since: now,
            rejected: false,
        })?;
    }
    changes.finish().map(drop)
}
