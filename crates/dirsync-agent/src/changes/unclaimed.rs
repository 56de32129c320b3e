//! Asks a person about entries that no source names, because a merge brought them back or because their
//! source left the settings.

use dirsync_directory::plural;
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::requestor::{ADOPTED, HAND};
use dirsync_protocol::tables::{HeldChange, OwnRow, Stored, Tables};

use super::read::{ReadError, SourceRead};
use super::report::ExampleKind;

impl SourceRead<'_> {
    /// Holds a deletion of each such entry, once, when all whole sources have been read completely. The
    /// entries stay published meanwhile. A case is closed when a source names its entry.
    pub(super) fn ask_about_unclaimed(&mut self) -> Result<(), ReadError> {
        for source in self.settings.configured.clone() {
            if !source.whole || source.name == self.settings.source {
                continue;
            }
            let memory = self.changes.tables().source_memory(&source.name)?;
            if !memory.is_some_and(|memory| memory.told_all) {
                return Ok(());
            }
        }
        let mut unclaimed = self.elements.unseen(ADOPTED);
        for source in self.elements.sources().to_vec() {
            if self.left_the_settings(&source)? {
                unclaimed.extend(self.elements.unseen(&source));
            }
        }
        if unclaimed.is_empty() {
            return Ok(());
        }
        for id in unclaimed {
            let row = self.changes.tables().own(id)?;
            // An entry on offer leaves when it is claimed.
            let Some(row) = row.filter(|row| row.released_to.is_none()) else { continue };
            if self.changes.tables().held_change(id)?.is_some() {
                continue;
            }
            self.report.unclaimed += 1;
            self.report.example(ExampleKind::Unclaimed, &row.key, &row.record.name);
            let since = self.settings.now;
            self.changes.tables().put_held_change(&HeldChange {
                id,
                source: row.source,
                kind: GuardKind::Unclaimed,
                record: None,
                key: row.key,
                since,
                rejected: false,
            })?;
        }
        if self.report.unclaimed > 0 {
            self.report.warnings.push(format!(
                "{} named by no source (any more): {} listed until a person decides",
                plural(self.report.unclaimed, "entry is", "entries are"),
                if self.report.unclaimed == 1 { "it stays" } else { "they stay" }
            ));
        }
        Ok(())
    }

    /// Whether a source was in the settings and is no longer. The sources of `import` never were.
    fn left_the_settings(&mut self, source: &str) -> Result<bool, ReadError> {
        let stays = [HAND, ADOPTED, &self.settings.source].contains(&source)
            || self.settings.configured.iter().any(|configured| configured.name == source);
        if stays {
            return Ok(false);
        }
        let memory = self.changes.tables().source_memory(source)?;
        Ok(memory.is_some_and(|memory| !memory.settings.is_empty()))
    }
}

/// Rejects the deletion of such an entry: it is kept by hand from now on.
pub(super) fn keep_by_hand(tables: &mut dyn Tables, held: &HeldChange) -> Stored<()> {
    tables.delete_held_change(held.id)?;
    let Some(row) = tables.own(held.id)? else { return Ok(()) };
    let state = tables.requestor()?;
    if row.first_origin != state.name {
        tables.put_adopted_id(HAND, &row.key, Some(row.id))?;
    }
    tables.put_own(&OwnRow { source: HAND.into(), ..row })
}
