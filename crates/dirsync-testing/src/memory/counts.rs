//! Counts of what waits.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{EntryId, PostofficeName};
use dirsync_protocol::tables::{CountTables, HeldCount, QuarantineCount, Stored, UnsettledCount};

use super::MemoryTransaction;

impl CountTables for MemoryTransaction<'_> {
    fn offered_count(&mut self, to: &PostofficeName) -> Stored<u64> {
        let state = &self.store.state;
        let rows = state.live.rows.values();
        let listed = rows.filter(|(_, row)| row.released_to.as_ref() == Some(to));
        let mut offered: BTreeSet<EntryId> = listed.map(|(_, row)| row.id).collect();
        offered.extend(state.offers.iter().map(|offer| offer.id));
        let is_claimed = |id| state.own.get(id).is_some_and(|own| own.released_to.is_none());
        Ok(offered.iter().filter(|id| !is_claimed(id)).count() as u64)
    }

    fn held_counts(&mut self) -> Stored<Vec<HeldCount>> {
        let mut groups = BTreeMap::new();
        for held in self.store.state.held_changes.values().filter(|held| !held.rejected) {
            let deletes = held.record.is_none();
            let group = groups.entry((held.source.clone(), held.kind, deletes));
            let (count, since) = group.or_insert((0, held.since));
            *count += 1;
            *since = held.since.min(*since);
        }
        let count = |((source, kind, deletes), (count, since))| HeldCount {
            source,
            kind,
            deletes,
            count,
            since,
        };
        Ok(groups.into_iter().map(count).collect())
    }

    fn quarantine_counts(&mut self) -> Stored<Vec<QuarantineCount>> {
        let mut groups = BTreeMap::new();
        for case in self.store.state.quarantined.values() {
            let (count, since) = groups.entry(case.origin.clone()).or_insert((0, case.since));
            *count += 1;
            *since = case.since.min(*since);
        }
        let count = |(origin, (count, since))| QuarantineCount { origin, count, since };
        Ok(groups.into_iter().map(count).collect())
    }

    fn unsettled_counts(&mut self) -> Stored<Vec<UnsettledCount>> {
        let mut counts: Vec<UnsettledCount> = Vec::new();
        for row in self.store.state.rows.values().filter(|row| row.is_unsettled()) {
            let known = counts.iter().position(|count| count.origin == row.origin);
            let at = known.unwrap_or_else(|| {
                let origin = row.origin.clone();
                let none =
                    UnsettledCount { origin, held: 0, held_since: None, waiting: 0, invalid: 0 };
                counts.push(none);
                counts.len() - 1
            });
            let count = &mut counts[at];
            let hold = row.published.as_ref().and_then(|published| published.held);
            if let Some(hold) = hold.filter(|hold| !hold.rejected) {
                count.held += 1;
                count.held_since = count.held_since.into_iter().chain([hold.since]).min();
            }
            let Some(submitted) = &row.submitted else { continue };
            let is_published = row.published.is_some() && row.diverging_record().is_none();
            count.invalid += u64::from(submitted.invalid.is_some());
            count.waiting += u64::from(submitted.invalid.is_none() && !is_published);
        }
        counts.sort_by(|a, b| a.origin.cmp(&b.origin));
        Ok(counts)
    }
}
