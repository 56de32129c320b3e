//! New entries whose addresses entries of other origins have. Each of them would wait at the server until
//! the address is given up. Too many of them mean that the file is not this postoffice's list.

use std::ops::ControlFlow;

use dirsync_directory::{EntryId, plural};
use dirsync_protocol::guard::GuardKind;

use super::first_list::note_uncompared;
use super::read::{ReadError, SourceRead};
use super::report::ExampleKind;
use crate::taken::OthersAddresses;

impl SourceRead<'_> {
    /// Takes additions back and holds them for a person, if too many of them have addresses of others.
    pub(super) fn settle_taken(&mut self) -> Result<(), ReadError> {
        self.take_back_rejected()?;
        let limits = self.settings.guards.taken;
        let added = self.report.added;
        let fed = self.elements.count_of(&self.settings.source) + added;
        if !limits.exceeded(added, fed) {
            // Even if each of them had an address of others, these would not be too many. Most reads end
            // here and do not look through the list.
            return Ok(());
        }
        if self.changes.state().point.is_none() {
            let source = self.settings.source.clone();
            return Ok(note_uncompared(self.changes.tables(), &source, limits)?);
        }
        let wanting = self.additions_with_addresses_of_others()?;
        let count = wanting.len() as u64;
        if !limits.exceeded(count, fed) {
            return Ok(());
        }
        self.report.warnings.push(format!(
            "{count} of {} addresses that entries of other postoffices have: {} held for a person",
            plural(added, "new entry has", "new entries have"),
            if count == 1 { "it is" } else { "they are" }
        ));
        wanting.into_iter().try_for_each(|id| self.hold_addition(id))
    }

    /// Takes the additions back that a person has rejected.
    fn take_back_rejected(&mut self) -> Result<(), ReadError> {
        let rejected = self.earlier_holds.iter().filter(|(_, earlier)| earlier.rejected);
        let again: Vec<EntryId> =
            rejected.map(|(id, _)| *id).filter(|id| self.new.contains(id)).collect();
        for id in again {
            let Some(row) = self.changes.tables().own(id)? else { continue };
            if self.stays_rejected(id, Some(row.record.as_ref())) {
                self.take_back_addition(id, &row.key)?;
                self.report.unchanged += 1;
            }
        }
        Ok(())
    }

    fn additions_with_addresses_of_others(&mut self) -> Result<Vec<EntryId>, ReadError> {
        let tables = self.changes.tables();
        let others = OthersAddresses::of_list(tables, &self.me)?;
        let mut wanting = Vec::new();
        if others.is_empty() {
            return Ok(wanting);
        }
        tables.visit_own(self.begun_after, &mut |row| {
            if self.new.contains(&row.id) && others.has_one_of(row.record.as_ref()) {
                wanting.push(row.id);
            }
            ControlFlow::Continue(())
        })?;
        Ok(wanting)
    }

    fn hold_addition(&mut self, id: EntryId) -> Result<(), ReadError> {
        let Some(row) = self.changes.tables().own(id)? else { return Ok(()) };
        self.take_back_addition(id, &row.key)?;
        self.hold_change(id, row, GuardKind::Taken)
    }

    /// Takes back what the first row of a new entry made.
    pub(super) fn take_back_addition(&mut self, id: EntryId, key: &str) -> Result<(), ReadError> {
        self.changes.forget(id)?;
        // Its deletion may not have been sent yet.
        if let Some(tombstone) = self.revived.remove(&id) {
            self.changes.tables().put_own_tombstone(&tombstone)?;
        }
        self.report.added -= 1;
        self.report.forget_example(ExampleKind::Added, key);
        Ok(())
    }
}
