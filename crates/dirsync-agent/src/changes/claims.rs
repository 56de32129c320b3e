//! Takes over entries that other postoffices offer to this one, where a row has an address of theirs: the
//! new entry would wait behind the offered one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, RecordRef};
use dirsync_protocol::requestor::{TransferError, claim_for_row};
use dirsync_protocol::tables::{ListPlace, Stored, Tables};

use super::elements::short;
use super::read::{ReadError, ReadRow, SourceRead};
use super::report::ExampleKind;

/// The entries that are on offer to this postoffice, by address.
#[derive(Default)]
pub(super) struct Offers {
    by_address: BTreeMap<String, EntryId>,
}

impl Offers {
    /// Finds them: those that came whole, and those of a list that shows everything.
    pub(super) fn find(tables: &mut dyn Tables) -> Stored<Self> {
        let me = tables.requestor()?.name;
        let mut by_address = BTreeMap::new();
        let mut add = |id: EntryId, record: RecordRef<'_>| {
            by_address.extend(record.address_keys().map(|key| (key, id)));
        };
        for offer in tables.offers()? {
            add(offer.id, offer.record.as_ref());
        }
        tables.visit_list(ListPlace::Live, &mut |row| {
            if row.released_to == Some(&me) {
                add(row.id, row.record);
            }
            ControlFlow::Continue(())
        })?;
        let ids: Vec<EntryId> = by_address.values().copied().collect();
        let mut own = Vec::new();
        for id in ids {
            if tables.own(id)?.is_some_and(|row| row.released_to.is_none()) {
                own.push(id);
            }
        }
        by_address.retain(|_, id| !own.contains(id));
        Ok(Self { by_address })
    }

    /// The entry on offer with an address of a row. It is on offer no more.
    fn take(&mut self, record: RecordRef<'_>) -> Option<EntryId> {
        if self.by_address.is_empty() {
            return None;
        }
        let id = record.address_keys().find_map(|key| self.by_address.get(&key).copied())?;
        self.by_address.retain(|_, offered| *offered != id);
        Some(id)
    }
}

impl SourceRead<'_> {
    /// Makes a row the content of the entry on offer that has an address of it. An own entry that the row
    /// made before, `old`, ends. Returns whether there was such an offer.
    pub(super) fn claim(
        &mut self,
        old: Option<EntryId>,
        row: ReadRow<'_>,
    ) -> Result<bool, ReadError> {
        let Some(id) = self.offers.take(row.record).filter(|id| old != Some(*id)) else {
            return Ok(false);
        };
        let source = self.settings.source.clone();
        let record = row.record.to_record();
        match claim_for_row(&mut self.changes, id, &source, row.key, record) {
            Ok(()) => {}
            Err(TransferError::Store(error)) => return Err(error.into()),
            // What is offered is not known whole yet; the row stands for an entry of its own until then.
            Err(_) => return Ok(false),
        }
        match old {
            Some(old) => {
                self.changes.delete(old, true)?;
                self.report.changed += 1;
                self.report.example(ExampleKind::Changed, row.key, row.record.name);
            }
            None => {
                self.new.insert(id, short(row.line));
                self.report.added += 1;
                self.report.example(ExampleKind::Added, row.key, row.record.name);
            }
        }
        self.report.claimed += 1;
        Ok(true)
    }
}
