//! What a batch of own changes keeps, so that it can be undone.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, Record};
use dirsync_message::Stamp;

use crate::tables::{ClosedCase, EntryBefore, OwnRow, Run, Stored, Tables};

/// The size of all that is kept for undoing, in bytes. Above it the oldest runs are forgotten.
pub const RUN_BYTES_MAX: u64 = 64 << 20;

/// The number of entries in one row of those that a run added: 256 KiB.
const ADDED_IN_A_ROW: usize = 8192;
/// What a row costs beside its texts, in bytes.
const ROW_BYTES: u64 = 64;
/// The number of runs that are looked at together.
const RUNS_AT_ONCE: usize = 100;

/// The journal of one run. The run is written when it has changed something, and the entries that it added
/// as soon as they fill a row: a first read adds a million.
pub(super) struct Journal {
    run: Run,
    added: Vec<(EntryId, u128)>,
    forgotten: BTreeSet<EntryId>,
}

impl Journal {
    /// A journal of changes that follow `last`.
    pub(super) fn new(run: Run, last: Stamp) -> Self {
        let run = Run { stamps: (last, last), ..run };
        Self { run, added: Vec::new(), forgotten: BTreeSet::new() }
    }

    /// Keeps an entry as it was before it was changed, which left it with an element of the own digest, or
    /// deleted. A run does so once with each entry.
    pub(super) fn keep(
        &mut self,
        tables: &mut dyn Tables,
        old: &OwnRow,
        left: Option<u128>,
        stamp: Stamp,
    ) -> Stored<()> {
        let number = self.number(tables)?;
        let OwnRow { id, source, first_origin, key, record, released_to, .. } = old.clone();
        self.run.bytes += size(&source, &key, &record);
        match left {
            None => self.run.deleted += 1,
            Some(_) => self.run.changed += 1,
        }
        let before =
            EntryBefore { id, left, stamp, source, first_origin, key, record, released_to };
        tables.put_before(number, &before)
    }

    /// Keeps the case of a held change that was made.
    pub(super) fn keep_case(&mut self, tables: &mut dyn Tables, case: &ClosedCase) -> Stored<()> {
        let number = self.number(tables)?;
        self.run.bytes += ROW_BYTES + (case.source.len() + case.key.len()) as u64;
        tables.put_closed_case(number, case)
    }

    /// Keeps an entry that was added.
    pub(super) fn added(
        &mut self,
        tables: &mut dyn Tables,
        id: EntryId,
        element: u128,
    ) -> Stored<()> {
        if self.added.len() == ADDED_IN_A_ROW {
            let number = self.number(tables)?;
            self.put_added(tables, number)?;
        }
        self.added.push((id, element));
        Ok(())
    }

    /// Writes the entries that were added and are not written yet.
    fn put_added(&mut self, tables: &mut dyn Tables, number: u64) -> Stored<()> {
        if !self.added.is_empty() {
            tables.put_added(number, &self.added)?;
        }
        self.run.added += self.added.len() as u64;
        self.added.clear();
        Ok(())
    }

    /// The run's number. It is given when something is kept for the first time.
    fn number(&mut self, tables: &mut dyn Tables) -> Stored<u64> {
        if self.run.number == 0 {
            self.run.number = tables.put_run(&self.run)?;
        }
        Ok(self.run.number)
    }

    /// Notes that an entry that was added is taken back.
    pub(super) fn forget(&mut self, id: EntryId) {
        self.forgotten.insert(id);
    }

    /// Writes the run, if it has changed something, and returns its number.
    pub(super) fn finish(mut self, tables: &mut dyn Tables, last: Stamp) -> Stored<Option<u64>> {
        self.drop_forgotten(tables)?;
        let added = self.run.added + self.added.len() as u64;
        if added + self.run.changed + self.run.deleted == 0 {
            return match self.run.number {
                0 => Ok(None),
                number => tables.delete_run(number).map(|()| None),
            };
        }
        self.run.bytes += ROW_BYTES + added * size_of::<(EntryId, u128)>() as u64;
        self.run.stamps.1 = last;
        let number = tables.put_run(&Run { added, ..self.run.clone() })?;
        self.put_added(tables, number)?;
        if tables.run_bytes()? > RUN_BYTES_MAX {
            forget_runs(tables, 0, RUN_BYTES_MAX)?;
        }
        Ok(Some(number))
    }

    /// Drops the entries that were added and then taken back, also those that are written.
    fn drop_forgotten(&mut self, tables: &mut dyn Tables) -> Stored<()> {
        self.added.retain(|(id, _)| !self.forgotten.remove(id));
        if self.forgotten.is_empty() || self.run.added == 0 {
            return Ok(());
        }
        let number = self.run.number;
        let mut written = tables.added(number)?;
        written.retain(|(id, _)| !self.forgotten.contains(id));
        tables.delete_added(number)?;
        self.run.added = written.len() as u64;
        written.chunks(ADDED_IN_A_ROW).try_for_each(|added| tables.put_added(number, added))
    }
}

fn size(source: &str, key: &str, record: &Record) -> u64 {
    let texts = [source, key, &record.kind, &record.name, &record.addresses, &record.details];
    ROW_BYTES + texts.iter().map(|text| text.len() as u64).sum::<u64>()
}

/// Forgets the runs before `before` (milliseconds since 1970), and the oldest of those that together are
/// larger than `most` bytes. The newest run stays whatever its size, and so does a run because of which a
/// source is held. Returns the number of runs that were forgotten.
///
/// # Errors
///
/// When the store fails.
pub fn forget_runs(tables: &mut dyn Tables, before: u64, most: u64) -> Stored<u64> {
    let holding: BTreeSet<u64> = tables.source_holds()?.into_iter().map(|(_, run)| run).collect();
    let (mut bytes, mut forgotten, mut is_newest) = (0u64, 0, true);
    visit_runs(tables, |tables, run| {
        bytes = bytes.saturating_add(run.bytes);
        let too_large = bytes > most && !is_newest;
        is_newest = false;
        if (run.at < before || too_large) && !holding.contains(&run.number) {
            tables.delete_run(run.number)?;
            forgotten += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(forgotten)
}

/// Visits the runs, the newest first. The visitor may delete the one that it visits.
///
/// # Errors
///
/// When the store fails.
pub fn visit_runs(
    tables: &mut dyn Tables,
    mut visit: impl FnMut(&mut dyn Tables, Run) -> Stored<ControlFlow<()>>,
) -> Stored<()> {
    let mut next = u64::MAX;
    loop {
        let runs = tables.runs(next, RUNS_AT_ONCE)?;
        let Some(last) = runs.last() else { return Ok(()) };
        next = last.number;
        for run in runs {
            if visit(tables, run)?.is_break() {
                return Ok(());
            }
        }
    }
}
