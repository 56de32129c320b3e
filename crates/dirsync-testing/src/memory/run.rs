//! Runs, and what is kept for undoing them.

use std::collections::BTreeMap;

use dirsync_directory::EntryId;
use dirsync_protocol::tables::{ClosedCase, EntryBefore, Run, RunTables, Stored};

use super::MemoryTransaction;

/// The place after the last row of a run.
fn next_place<T>(rows: &BTreeMap<(u64, u64), T>, run: u64) -> u64 {
    rows.range((run, 0)..=(run, u64::MAX)).next_back().map_or(1, |((_, place), _)| place + 1)
}

impl RunTables for MemoryTransaction<'_> {
    fn put_run(&mut self, run: &Run) -> Stored<u64> {
        let last = self.store.state.last_run;
        let number = if run.number == 0 { last + 1 } else { run.number };
        self.replace(|state| &mut state.last_run, last.max(number));
        self.put(|state| &mut state.runs, number, Some(Run { number, ..run.clone() }));
        Ok(number)
    }

    fn run(&mut self, number: u64) -> Stored<Option<Run>> {
        Ok(self.store.state.runs.get(&number).cloned())
    }

    fn runs(&mut self, before: u64, most: usize) -> Stored<Vec<Run>> {
        let runs = self.store.state.runs.range(..before).rev();
        Ok(runs.take(most).map(|(_, run)| run.clone()).collect())
    }

    fn run_bytes(&mut self) -> Stored<u64> {
        Ok(self.store.state.runs.values().map(|run| run.bytes).sum())
    }

    fn delete_run(&mut self, number: u64) -> Stored<()> {
        self.remove_where(|state| &mut state.befores, |(run, _), _| *run == number);
        self.delete_added(number)?;
        self.remove_where(|state| &mut state.closed_cases, |(run, _), _| *run == number);
        self.remove_where(|state| &mut state.source_holds, |(_, run), ()| *run == number);
        self.put(|state| &mut state.runs, number, None);
        Ok(())
    }

    fn put_before(&mut self, run: u64, before: &EntryBefore) -> Stored<()> {
        let place = next_place(&self.store.state.befores, run);
        self.put(|state| &mut state.befores, (run, place), Some(before.clone()));
        Ok(())
    }

    fn befores(&mut self, run: u64, after: u64, most: usize) -> Stored<Vec<(u64, EntryBefore)>> {
        let rows = self.store.state.befores.range((run, 0)..=(run, u64::MAX));
        let rows = rows.filter(|((_, place), _)| *place > after).take(most);
        Ok(rows.map(|((_, place), before)| (*place, before.clone())).collect())
    }

    fn put_added(&mut self, run: u64, added: &[(EntryId, u128)]) -> Stored<()> {
        let place = next_place(&self.store.state.added, run);
        self.put(|state| &mut state.added, (run, place), Some(added.to_vec()));
        Ok(())
    }

    fn added(&mut self, run: u64) -> Stored<Vec<(EntryId, u128)>> {
        let parts = self.store.state.added.range((run, 0)..=(run, u64::MAX));
        Ok(parts.flat_map(|(_, added)| added.iter().copied()).collect())
    }

    fn delete_added(&mut self, run: u64) -> Stored<()> {
        self.remove_where(|state| &mut state.added, |(of, _), _| *of == run);
        Ok(())
    }

    fn put_closed_case(&mut self, run: u64, case: &ClosedCase) -> Stored<()> {
        self.put(|state| &mut state.closed_cases, (run, case.id), Some(case.clone()));
        Ok(())
    }

    fn closed_case(&mut self, run: u64, id: EntryId) -> Stored<Option<ClosedCase>> {
        Ok(self.store.state.closed_cases.get(&(run, id)).cloned())
    }

    fn source_holds(&mut self) -> Stored<Vec<(String, u64)>> {
        Ok(self.store.state.source_holds.keys().cloned().collect())
    }

    fn put_source_hold(&mut self, source: &str, run: u64) -> Stored<()> {
        self.put(|state| &mut state.source_holds, (source.to_owned(), run), Some(()));
        Ok(())
    }

    fn delete_source_hold(&mut self, source: &str, run: u64) -> Stored<()> {
        self.put(|state| &mut state.source_holds, (source.to_owned(), run), None);
        Ok(())
    }
}
