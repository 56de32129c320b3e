//! Rows of a read that name no entry, or one that another row has named.

use dirsync_directory::EntryId;

use super::read::{ReadError, ReadRow, SourceRead};
use super::report::ExampleKind;

impl SourceRead<'_> {
    /// Takes a row that has no address. A directory has no place for it, so it stands for no entry: it is
    /// counted, and no other row suffers from it.
    pub fn without_address(&mut self, key: &str, name: &str) {
        self.report.rows += 1;
        self.count_without_address(key, name);
    }

    pub(super) fn count_without_address(&mut self, key: &str, name: &str) {
        self.report.without_address += 1;
        self.report.example(ExampleKind::WithoutAddress, key, name);
    }

    /// Quarantines a row whose key the row on the line `first` has, and that row, too: neither of them is
    /// known to be the right one. What the first row changed is taken back.
    pub(super) fn second_row(
        &mut self,
        id: EntryId,
        first: u64,
        row: ReadRow<'_>,
    ) -> Result<(), ReadError> {
        let reason = |other| {
            format!("the key \"{}\" stands in more than one row, also on line {other}", row.key)
        };
        if self.twice.insert(id)
            && let Some(name) = self.take_back(id)?
        {
            self.quarantine(first, row.key, reason(row.line), &name)?;
        }
        self.quarantine(row.line, row.key, reason(first), row.record.name)
    }

    /// Takes the first row of an entry back, and returns the name in it. `None` if it is in quarantine.
    fn take_back(&mut self, id: EntryId) -> Result<Option<String>, ReadError> {
        if self.faulty.contains(&id) {
            return Ok(None);
        }
        if let Some(pending) = self.pending.remove(&id) {
            return Ok(Some(pending.record().name.to_owned()));
        }
        let Some(row) = self.changes.tables().own(id)? else { return Ok(Some(String::new())) };
        if self.new.contains(&id) {
            self.take_back_addition(id, &row.key)?;
        } else {
            self.report.unchanged -= 1;
        }
        Ok(Some(row.record.name))
    }
}
