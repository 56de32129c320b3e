//! Entries that a whole read lacks. Only a complete read deletes, and not too many at once.

use dirsync_directory::{EntryId, plural};
use dirsync_protocol::guard::GuardKind;

use super::read::{ReadError, SourceRead};
use super::report::ExampleKind;

/// The deletions of a read with fewer rows than this share of the last good one (in percent) are held,
/// however few they are.
const SHORT_READ_PERCENT: u64 = 50;

impl SourceRead<'_> {
    /// Whether the read is suspiciously short, compared with the last good one.
    pub(super) fn is_short(&self, good_rows: u64) -> bool {
        let rows = self.report.entry_rows();
        let fed = self.elements.count_of(&self.settings.source);
        rows == 0 && fed > 0
            || rows.saturating_mul(100) < good_rows.saturating_mul(SHORT_READ_PERCENT)
    }

    /// Deletes, holds or keeps the entries that the read did not name.
    pub(super) fn settle_absence(&mut self, complete: bool) -> Result<(), ReadError> {
        if !self.settings.whole {
            return self.end_earlier_holds(false);
        }
        let source = self.settings.source.clone();
        let mut absent = self.elements.unseen(&source);
        if let Some(why) = self.may_not_delete(complete) {
            if !absent.is_empty() {
                self.report.absent_kept = absent.len() as u64;
                self.report.warnings.push(format!(
                    "{} not in this read; nobody is deleted because {why}",
                    plural(absent.len() as u64, "entry is", "entries are")
                ));
            }
            return self.end_earlier_holds(true);
        }
        absent.retain(|id| !self.stays_rejected(*id, None));
        absent.iter().for_each(|id| self.asks_for(*id));
        let good_rows = self.changes.tables().source_memory(&source)?.unwrap_or_default().good_rows;
        let earlier = self.guarded_earlier(GuardKind::Delete)?;
        let count = absent.len() as u64;
        let fed = self.elements.count_of(&source).max(count);
        let kind = if count > 0 && self.is_short(good_rows) {
            Some((
                GuardKind::ShortRead,
                format!(
                    "the read has {}, the last good one had {}: its {} held for a person",
                    plural(self.report.entry_rows(), "row", "rows"),
                    good_rows.max(fed),
                    plural(count, "deletion is", "deletions are")
                ),
            ))
        } else if self.settings.guards.delete.exceeded(count + earlier, fed + earlier) {
            Some((
                GuardKind::Delete,
                format!(
                    "{count} of {} not in this read: {} held for a person",
                    plural(fed, "entry is", "entries are"),
                    if count == 1 { "its deletion is" } else { "their deletions are" }
                ),
            ))
        } else {
            None
        };
        match kind {
            Some((kind, warning)) => {
                self.report.warnings.push(warning);
                for id in absent {
                    self.hold_deletion(id, kind)?;
                }
            }
            None => {
                if count > 0 {
                    let now = self.settings.now;
                    self.changes.tables().put_guard_event(
                        &source,
                        now,
                        GuardKind::Delete,
                        count,
                    )?;
                }
                for id in absent {
                    self.delete_absent(id)?;
                }
            }
        }
        self.end_earlier_holds(false)
    }

    pub(super) fn may_not_delete(&self, complete: bool) -> Option<String> {
        if !complete {
            return Some("the read did not end well".into());
        }
        if self.keyless > 0 {
            return Some(format!(
                "{} a readable key",
                plural(self.keyless, "row lacks", "rows lack")
            ));
        }
        if !self.changes.state().knows_its_own() {
            return Some(
                "what the directory server holds of this postoffice is not known yet".into(),
            );
        }
        None
    }

    fn hold_deletion(&mut self, id: EntryId, kind: GuardKind) -> Result<(), ReadError> {
        let Some(row) = self.changes.tables().own(id)? else { return Ok(()) };
        self.report.held_removals += 1;
        self.report.example(ExampleKind::Held, &row.key, &row.record.name);
        self.hold(id, kind, None, row.key)
    }

    fn delete_absent(&mut self, id: EntryId) -> Result<(), ReadError> {
        let Some(row) = self.changes.tables().own(id)? else { return Ok(()) };
        if self.changes.delete(id, false)? {
            self.report.removed += 1;
            self.report.example(ExampleKind::Removed, &row.key, &row.record.name);
        }
        Ok(())
    }

    /// Ends the holds that this read did not ask for again. With `keep_deletions` held deletions stay: the
    /// read cannot tell which entries are absent.
    fn end_earlier_holds(&mut self, keep_deletions: bool) -> Result<(), ReadError> {
        for (id, held) in std::mem::take(&mut self.earlier_holds) {
            let unnamed = self.elements.find(id).is_some_and(|place| !self.elements.is_seen(place));
            if keep_deletions && held.content.is_none() && unnamed {
                continue;
            }
            self.changes.tables().delete_held_change(id)?;
        }
        Ok(())
    }
}
