//! Updates for another machine of the same name. They stay in the inbox and are not opened again.

use std::collections::BTreeSet;

use dirsync_carrier::{Arrived, Transit};
use dirsync_protocol::tables::{Stored, Tables};
use dirsync_store::Store;

use super::place::Failures;
use super::{StepError, Surroundings};
use crate::notes::LEFT;

/// How long such a message waits for its addressee, in milliseconds. A postoffice on a weekly schedule has
/// looked for it twice by then.
const KEPT_MS: u64 = 15 * 24 * 60 * 60 * 1000;

/// Returns the messages at a place that were not left there before. Messages that were left for too long are set
/// aside, and the notes of messages that are gone are forgotten.
pub(super) fn without_left(
    store: &mut dyn Store,
    (place, transit): (&str, &dyn Transit),
    arrived: Vec<Arrived>,
    around: &Surroundings,
    failures: &mut Failures<'_>,
) -> Result<Vec<Arrived>, StepError> {
    let mut tables = store.begin()?;
    let noted: BTreeSet<String> =
        tables.notes(&notes_at(place))?.into_iter().map(|(name, _)| name).collect();
    if noted.is_empty() {
        return Ok(arrived);
    }
    let (left, others): (Vec<_>, Vec<_>) =
        arrived.into_iter().partition(|message| noted.contains(&note_of(place, message)));
    let there: BTreeSet<String> = left.iter().map(|left| note_of(place, left)).collect();
    for gone in noted.difference(&there) {
        tables.put_note(gone, None)?;
    }
    if there.len() < noted.len() {
        tables.commit()?;
    } else {
        drop(tables);
    }
    for stale in left.iter().filter(|left| around.now.saturating_sub(left.modified) > KEPT_MS) {
        if let Err(error) = transit.finished(stale) {
            failures.add(place, None, &error);
        }
    }
    Ok(others)
}

/// Remembers that a message is for another machine, in the transaction that took its header.
pub(super) fn note_left(tables: &mut dyn Tables, place: &str, arrived: &Arrived) -> Stored<()> {
    tables.put_note(&note_of(place, arrived), Some(""))
}

/// The beginning of the notes of the messages at a place.
fn notes_at(place: &str) -> String {
    format!("{LEFT}{place}\t")
}

/// The note of a message. A file that is written again is another message.
fn note_of(place: &str, arrived: &Arrived) -> String {
    let Arrived { sender, epoch, number, part, modified, .. } = arrived;
    format!("{}{sender} {epoch} {number} {part} {modified}", notes_at(place))
}
