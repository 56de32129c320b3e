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

/// Returns the messages that were not left before. Messages that were left for too long are set aside,
/// and the notes of messages that are gone are forgotten.
pub(super) fn without_left(
    store: &mut dyn Store,
    transit: &dyn Transit,
    arrived: Vec<Arrived>,
    around: &Surroundings,
    failures: &mut Failures<'_>,
) -> Result<Vec<Arrived>, StepError> {
    let mut tables = store.begin()?;
    let noted: BTreeSet<String> = tables.notes(LEFT)?.into_iter().map(|(name, _)| name).collect();
    if noted.is_empty() {
        return Ok(arrived);
    }
    let (left, others): (Vec<_>, Vec<_>) =
        arrived.into_iter().partition(|message| noted.contains(&note_of(message)));
    let there: BTreeSet<String> = left.iter().map(note_of).collect();
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
            failures.add("", None, &error);
        }
    }
    Ok(others)
}

/// Remembers that a message is for another machine, in the transaction that took its header.
pub(super) fn note_left(tables: &mut dyn Tables, arrived: &Arrived) -> Stored<()> {
    tables.put_note(&note_of(arrived), Some(""))
}

/// The note of a message. A file that is written again is another message.
fn note_of(arrived: &Arrived) -> String {
    let Arrived { sender, epoch, number, part, modified, .. } = arrived;
    format!("{LEFT}{sender} {epoch} {number} {part} {modified}")
}
