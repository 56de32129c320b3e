//! A source whose changes were undone is held until its file agrees, or a person says go on. Otherwise its
//! next read would make them again.

use std::collections::BTreeSet;

use dirsync_directory::EntryId;
use dirsync_protocol::tables::{Stored, Tables};

use super::read::{ReadError, SourceRead};
use super::report::{AskedAgain, ExampleKind, ReadReport};

/// The number of entries that are read together.
const ENTRIES_AT_ONCE: usize = 1000;

/// The entries that were put back after a source had changed them, and those of them that a read asks to
/// change again.
pub(super) struct Undone {
    runs: Vec<u64>,
    /// Sorted.
    entries: Vec<EntryId>,
    asked: BTreeSet<EntryId>,
}

impl Undone {
    /// What holds a source; `None` if it is not held.
    pub(super) fn of(tables: &mut dyn Tables, source: &str) -> Stored<Option<Self>> {
        let holds = tables.source_holds()?.into_iter();
        let runs: Vec<u64> = holds.filter(|(held, _)| held == source).map(|(_, run)| run).collect();
        if runs.is_empty() {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for run in &runs {
            entries.extend(tables.added(*run)?.into_iter().map(|(id, _)| id));
            let mut after = 0;
            loop {
                let befores = tables.befores(*run, after, ENTRIES_AT_ONCE)?;
                let Some((last, _)) = befores.last() else { break };
                after = *last;
                entries.extend(befores.iter().map(|(_, before)| before.id));
            }
        }
        entries.sort_unstable();
        Ok(Some(Self { runs, entries, asked: BTreeSet::new() }))
    }

    /// Whether the read asks again for what was undone.
    pub(super) fn asks_again(&self) -> bool {
        !self.asked.is_empty()
    }
}

impl SourceRead<'_> {
    /// Notes that the read asks to change an entry.
    pub(super) fn asks_for(&mut self, id: EntryId) {
        if let Some(undone) = &mut self.undone
            && undone.entries.binary_search(&id).is_ok()
        {
            undone.asked.insert(id);
        }
    }

    /// Ends a read of which nothing is taken, because it asks again for what was undone.
    pub(super) fn take_nothing(mut self, undone: &Undone) -> Result<ReadReport, ReadError> {
        self.changes.tables().rollback_savepoint()?;
        let mut report = self.report;
        report.held += report.added + report.changed;
        report.held_removals += report.removed;
        (report.added, report.changed, report.removed, report.unclaimed) = (0, 0, 0, 0);
        for kind in [ExampleKind::Added, ExampleKind::Changed, ExampleKind::Removed] {
            let examples = report.examples.remove(&kind).unwrap_or_default();
            report.examples.entry(ExampleKind::Held).or_default().extend(examples);
        }
        let run = undone.runs.last().copied().unwrap_or_default();
        report.undone = Some(AskedAgain { run, entries: undone.asked.len() as u64 });
        Ok(report)
    }

    /// Ends the hold if the file agrees with what was put back. It does if it was read completely, and has
    /// named each of the entries that there are, or is the whole list.
    pub(super) fn end_agreed_hold(&mut self, complete: bool) -> Result<(), ReadError> {
        let Some(undone) = self.undone.take() else { return Ok(()) };
        let source = self.settings.source.clone();
        let names_all = undone.entries.iter().all(|id| {
            let place = self.elements.find(*id);
            place.is_none_or(|place| {
                self.elements.source(place) != source || self.elements.is_seen(place)
            })
        });
        let tables = self.changes.tables();
        tables.release_savepoint()?;
        let agrees = match self.settings.whole {
            true => self.may_not_delete(complete).is_none(),
            false => complete && self.keyless == 0 && names_all,
        };
        if agrees {
            let tables = self.changes.tables();
            undone.runs.iter().try_for_each(|run| tables.delete_source_hold(&source, *run))?;
        }
        Ok(())
    }
}

/// A person's word that a held source goes on: its next read makes the changes again that were undone.
/// Returns whether it was held.
///
/// # Errors
///
/// When the store fails.
pub fn go_on(tables: &mut dyn Tables, source: &str) -> Stored<bool> {
    let mut was_held = false;
    for (held, run) in tables.source_holds()? {
        if held == source {
            tables.delete_source_hold(source, run)?;
            was_held = true;
        }
    }
    if was_held && let Some(mut memory) = tables.source_memory(source)? {
        // The file is read again even if it stays as it is.
        memory.seen.clear();
        tables.put_source_memory(source, &memory)?;
    }
    Ok(was_held)
}
