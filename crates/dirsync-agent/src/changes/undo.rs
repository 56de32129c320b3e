//! T0: what a run changed of own entries is put back.
//!
//! An undo is an ordinary change: it gets new numbers and new stamps, and history stays as it was. An entry
//! that was changed since the run is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, own_element};
use dirsync_message::{ReqSeq, Stamp};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::requestor::{ADOPTED, HAND, OwnChanges, visit_runs};
use dirsync_protocol::tables::{
    EntryBefore, HeldChange, OwnRow, Run, RunKind, StoreError, Stored, Tables,
};
use thiserror::Error;

use super::report::{Example, add_example};
use crate::dispatch::last_change_sent;

/// The number of entries that are read together.
const ENTRIES_AT_ONCE: usize = 1000;

/// Why a run cannot be undone.
#[derive(Debug, Error)]
pub enum UndoError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// It never was, or is forgotten.
    #[error("nothing is kept of run {0}")]
    Unknown(u64),
    /// It was undone before.
    #[error("run {run} was undone by run {by}; `dirsync undo {by}` does it again")]
    Undone {
        /// The run.
        run: u64,
        /// The run that undid it.
        by: u64,
    },
}

/// A count of an undo that has examples. The order is that of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UndoKind {
    /// [`UndoReport::returned`].
    Returned,
    /// [`UndoReport::changed`].
    Changed,
    /// [`UndoReport::removed`].
    Removed,
    /// [`UndoReport::held_again`].
    HeldAgain,
    /// [`UndoReport::left`].
    Left,
}

/// The result of undoing a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoReport {
    /// The run that was undone.
    pub run: Run,
    /// The run that undid it; `None` if nothing was left to put back.
    pub by: Option<u64>,
    /// Entries that the run had deleted, and that come back.
    pub returned: u64,
    /// Entries that the run had changed, and that are as before.
    pub changed: u64,
    /// Entries that the run had added, and that are deleted.
    pub removed: u64,
    /// Entries that are as before, and whose changes wait for a decision again: a person had approved them, and
    /// they were not sent yet.
    pub held_again: u64,
    /// Approved changes that were sent, and that new changes take back. Their entries are counted above.
    pub sent: u64,
    /// Entries that were changed since, and are left as they are.
    pub left: u64,
    /// The sources that are held now, by name.
    pub held: Vec<String>,
    /// Examples by kind.
    pub examples: BTreeMap<UndoKind, Vec<Example>>,
}

impl UndoReport {
    fn count(&mut self, kind: UndoKind, key: &str, name: &str) {
        *match kind {
            UndoKind::Returned => &mut self.returned,
            UndoKind::Changed => &mut self.changed,
            UndoKind::Removed => &mut self.removed,
            UndoKind::HeldAgain => &mut self.held_again,
            UndoKind::Left => &mut self.left,
        } += 1;
        add_example(&mut self.examples, kind, key, name);
    }
}

/// Undoes a run within the caller's transaction: an undo that is not committed is a dry run. It is itself a
/// run, so it can be undone.
///
/// # Errors
///
/// See [`UndoError`].
pub fn undo(tables: &mut dyn Tables, now: u64, number: u64) -> Result<UndoReport, UndoError> {
    let run = tables.run(number)?.ok_or(UndoError::Unknown(number))?;
    if let Some(by) = run.undone_by {
        return Err(UndoError::Undone { run: number, by });
    }
    let undoing = Run { undoes: Some(number), ..Run::new(now, RunKind::Undo, &*run.subject) };
    let report = UndoReport {
        run: run.clone(),
        by: None,
        returned: 0,
        changed: 0,
        removed: 0,
        held_again: 0,
        sent: 0,
        left: 0,
        held: Vec::new(),
        examples: BTreeMap::new(),
    };
    let undos = undos_since(tables, number)?;
    let approves_again = origin(tables, &run)? == (RunKind::Approval, true);
    let state = tables.requestor()?;
    let sent = last_change_sent(tables, &state)?.max(state.req_sync);
    let changes = OwnChanges::begin_run(tables, undoing)?;
    let mut undo = Undo { changes, report, sources: BTreeSet::new(), undos, sent, approves_again };
    undo.put_back()?;
    undo.take_back_added()?;
    let Undo { changes, mut report, sources, .. } = undo;
    report.by = changes.finish()?;
    if let Some(by) = report.by {
        report.held = settle(tables, &run, by, sources)?;
    }
    Ok(report)
}

/// Notes that a run is undone. The sources that asked for its changes are held; those that were held because
/// of it go on. Returns the sources that are held.
fn settle(
    tables: &mut dyn Tables,
    run: &Run,
    by: u64,
    sources: BTreeSet<String>,
) -> Stored<Vec<String>> {
    tables.put_run(&Run { undone_by: Some(by), ..run.clone() })?;
    for (source, held_by) in tables.source_holds()? {
        if held_by == run.number {
            tables.delete_source_hold(&source, held_by)?;
        }
    }
    let (first, takes_back) = origin(tables, run)?;
    if takes_back || !matches!(first, RunKind::Read | RunKind::Approval) {
        return Ok(Vec::new());
    }
    sources.iter().try_for_each(|source| tables.put_source_hold(source, by))?;
    Ok(sources.into_iter().collect())
}

/// The undos after a run, newest first.
fn undos_since(tables: &mut dyn Tables, number: u64) -> Stored<Vec<Run>> {
    let mut undos = Vec::new();
    visit_runs(tables, |_, run| {
        if run.number <= number {
            return Ok(ControlFlow::Break(()));
        }
        undos.extend((run.kind == RunKind::Undo).then_some(run));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(undos)
}

/// What a run goes back to, and whether it takes that back: an undo does, the undo of an undo does it again.
fn origin(tables: &mut dyn Tables, run: &Run) -> Stored<(RunKind, bool)> {
    let (mut kind, mut takes_back, mut next) = (run.kind, false, run.undoes);
    while let Some(number) = next {
        takes_back = !takes_back;
        let Some(run) = tables.run(number)? else { break };
        (kind, next) = (run.kind, run.undoes.filter(|earlier| *earlier < number));
    }
    Ok((kind, takes_back))
}

/// The newest run that a person can want to undo: it is not undone, and takes nothing back itself.
///
/// # Errors
///
/// When the store fails.
pub fn newest_in_force(tables: &mut dyn Tables) -> Stored<Option<Run>> {
    let mut newest = None;
    visit_runs(tables, |tables, run| {
        if run.undone_by.is_some() || origin(tables, &run)?.1 {
            return Ok(ControlFlow::Continue(()));
        }
        newest = Some(run);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(newest)
}

/// An undo under way.
struct Undo<'t> {
    changes: OwnChanges<'t>,
    report: UndoReport,
    /// The sources that feed the entries that are put back or deleted.
    sources: BTreeSet<String>,
    /// The undos since the run.
    undos: Vec<Run>,
    /// The number of the last own change that was sent.
    sent: ReqSeq,
    /// It undoes the undo of an approval.
    approves_again: bool,
}

fn element(row: &OwnRow) -> u128 {
    own_element(row.id, row.released_to.as_ref(), row.record.as_ref())
}

impl Undo<'_> {
    /// Puts back the entries that the run changed or deleted.
    fn put_back(&mut self) -> Stored<()> {
        let run = self.report.run.number;
        let mut after = 0;
        loop {
            let befores = self.changes.tables().befores(run, after, ENTRIES_AT_ONCE)?;
            let Some((last, _)) = befores.last() else { return Ok(()) };
            after = *last;
            for (_, before) in befores {
                self.put_back_one(before)?;
            }
        }
    }

    fn put_back_one(&mut self, before: EntryBefore) -> Stored<()> {
        let is_as_left = self.is_as_left(&before)?;
        let EntryBefore { id, left, source, first_origin, key, record, released_to, .. } = before;
        let kind = match left {
            _ if !is_as_left => UndoKind::Left,
            None => UndoKind::Returned,
            Some(_) => UndoKind::Changed,
        };
        if !is_as_left {
            self.report.count(kind, &key, &record.name);
            return Ok(());
        }
        let held = self.held_again(id)?;
        self.count(kind, &key, &record.name, &source, held.is_some());
        self.close_case(id)?;
        let (numbers, stamp) = (ChangeNumbers::default(), Stamp(0));
        let row = OwnRow { id, first_origin, key, source, record, numbers, stamp, released_to };
        self.changes.put(row)?;
        held.map_or(Ok(()), |held| self.changes.tables().put_held_change(&held))
    }

    /// Counts an entry that is put back or deleted. If its change waits again, its source is not held: a read
    /// that asks for the change meets the guard again.
    fn count(&mut self, kind: UndoKind, key: &str, name: &str, source: &str, held: bool) {
        let kind = if held { UndoKind::HeldAgain } else { kind };
        self.report.count(kind, key, name);
        if !held && source != HAND && source != ADOPTED && !self.sources.contains(source) {
            self.sources.insert(source.to_owned());
        }
    }

    /// The approved change of an entry as it was held, unless it was sent. The entry is as the run left it.
    fn held_again(&mut self, id: EntryId) -> Stored<Option<HeldChange>> {
        let Run { number: run, kind, .. } = self.report.run;
        if !matches!(kind, RunKind::Approval | RunKind::Undo) {
            return Ok(None);
        }
        let tables = self.changes.tables();
        let Some(case) = tables.closed_case(run, id)? else { return Ok(None) };
        let (number, record) = match (tables.own(id)?, tables.own_tombstone(id)?) {
            (Some(row), _) => (ReqSeq(row.numbers.last), Some(row.record)),
            (None, Some(deletion)) => (deletion.req_seq, None),
            (None, None) => return Ok(None),
        };
        if number <= self.sent {
            self.report.sent += 1;
            return Ok(None);
        }
        Ok(Some(HeldChange::reopened(case, record)))
    }

    /// A person has decided about an entry, so no case about it stays open.
    fn close_case(&mut self, id: EntryId) -> Stored<()> {
        if self.approves_again
            && let Some(held) = self.changes.tables().held_change(id)?
        {
            self.changes.keep_case(&held.closed())?;
        }
        self.changes.tables().delete_held_change(id)
    }

    /// Whether an entry is as the run left it. One that it deleted may have come back and been deleted again;
    /// that is the same only if an undo did so.
    fn is_as_left(&mut self, before: &EntryBefore) -> Stored<bool> {
        let tables = self.changes.tables();
        let now = tables.own(before.id)?;
        if before.left.is_some() || now.is_some() {
            return Ok(now.is_some_and(|row| Some(element(&row)) == before.left));
        }
        let deletion = tables.own_tombstone(before.id)?.map(|deletion| deletion.stamp);
        Ok(deletion.is_some_and(|stamp| {
            stamp == before.stamp || self.undos.iter().any(|undo| undo.gave(stamp))
        }))
    }

    /// Deletes the entries that the run added. A person says so, so the deletions count as approved.
    fn take_back_added(&mut self) -> Stored<()> {
        for (id, left) in self.changes.tables().added(self.report.run.number)? {
            match self.changes.tables().own(id)? {
                Some(row) if element(&row) == left => self.take_back_one(id, &row)?,
                Some(row) => self.report.count(UndoKind::Left, &row.key, &row.record.name),
                // It is gone already.
                None => {}
            }
        }
        Ok(())
    }

    fn take_back_one(&mut self, id: EntryId, row: &OwnRow) -> Stored<()> {
        let held = self.held_again(id)?;
        self.count(UndoKind::Removed, &row.key, &row.record.name, &row.source, held.is_some());
        self.close_case(id)?;
        self.changes.delete(id, true)?;
        held.map_or(Ok(()), |held| self.changes.tables().put_held_change(&held))
    }
}
