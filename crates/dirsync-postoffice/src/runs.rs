//! Runs: reads, commands and decisions that changed something, what they changed, and how they are undone.

use dirsync_agent::changes::{self, Example, UndoKind, UndoReport, newest_in_force};
use dirsync_agent::decisions::{Decision, is_in_force};
use dirsync_agent::notes::SOURCE_ERROR;
use dirsync_directory::{EntryId, PostofficeName, own_element};
use dirsync_protocol::tables::{EntryBefore, OwnRow, Run, RunKind, Stored, Tables};
use schemars::JsonSchema;
use serde::Serialize;

use crate::difference::{Difference, differences, value};
use crate::failure::{Failure, Result};
use crate::json;
use crate::last_command::{self, Command, LastCommand, Left};
use crate::postoffice::{Postoffice, log_run, log_within};
use crate::time::now_ms;

/// The number of entries that are read together.
const ENTRIES_AT_ONCE: usize = 1000;

/// Does some work of own entries, and also returns the run that it made, if it made one.
pub(crate) fn run_of<T, E>(
    tables: &mut dyn Tables,
    work: impl FnOnce(&mut dyn Tables) -> std::result::Result<T, E>,
) -> std::result::Result<(T, Option<u64>), E>
where
    E: From<dirsync_protocol::tables::StoreError>,
{
    let before = newest(tables)?;
    let done = work(tables)?;
    let run = newest(tables)?;
    Ok((done, run.filter(|run| Some(*run) != before)))
}

fn newest(tables: &mut dyn Tables) -> Stored<Option<u64>> {
    Ok(tables.runs(u64::MAX, 1)?.first().map(|run| run.number))
}

/// A read, a command or a decision that changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunSummary {
    /// Its number.
    pub run: u64,
    /// When.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub at: u64,
    /// `read`, `command`, `approval`, `decision` or `undo`.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub kind: RunKind,
    /// The source that was read, the key of the entry that was changed by hand, or the postoffice that was
    /// decided about.
    pub subject: String,
    /// The number of own entries that it added.
    pub added: u64,
    /// The number of own entries that it changed.
    pub changed: u64,
    /// The number of own entries that it deleted.
    pub deleted: u64,
    /// The decision, as the word of the decisions log: `allow`, `carrier`, `suspend`, `resume`, `remove` or
    /// `reinstate`.
    pub decision: Option<String>,
    /// The run that it undid.
    pub undoes: Option<u64>,
    /// The run that undid it.
    pub undone_by: Option<u64>,
}

impl From<&Run> for RunSummary {
    fn from(run: &Run) -> Self {
        let word = |line: &String| line.split('\t').nth(1).map(str::to_owned);
        Self {
            run: run.number,
            at: run.at,
            kind: run.kind,
            subject: run.subject.clone(),
            added: run.added,
            changed: run.changed,
            deleted: run.deleted,
            decision: run.decision.as_ref().and_then(|(decision, _)| word(decision)),
            undoes: run.undoes,
            undone_by: run.undone_by,
        }
    }
}

/// What a run did with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was added.
    Added,
    /// It was changed.
    Changed,
    /// It was deleted.
    Deleted,
}

/// An entry that a run changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangedEntry {
    /// Its id.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub id: EntryId,
    /// Its key; empty if the entry was added and is gone since.
    pub key: String,
    /// Its display name before the run, or if it was added, now.
    pub name: String,
    /// Its primary address, likewise.
    pub address: String,
    /// What the run did.
    pub change: Change,
    /// The values before and after; empty unless it was changed, and is still as the run left it.
    pub differences: Vec<Difference>,
    /// It was changed again since: an undo leaves it.
    pub changed_since: bool,
}

/// A run by its number.
///
/// # Errors
///
/// A number of which nothing is kept.
pub fn run(postoffice: &mut Postoffice, number: u64) -> Result<RunSummary> {
    let run = find(&mut *postoffice.begin()?, number)?;
    Ok(RunSummary::from(&run))
}

fn find(tables: &mut dyn Tables, number: u64) -> Result<Run> {
    tables.run(number)?.ok_or_else(|| {
        Failure::missing(format!("nothing is kept of run {number}")).hint(
            "`dirsync log` has the numbers of runs; they are kept as long as [keep] undo says",
        )
    })
}

/// Visits the entries that a run changed: those that it changed or deleted, then those that it added.
///
/// # Errors
///
/// A number of which nothing is kept, and the store's.
pub fn visit_changes(
    postoffice: &mut Postoffice,
    number: u64,
    visit: &mut dyn FnMut(&ChangedEntry),
) -> Result<()> {
    let mut tables = postoffice.begin()?;
    find(&mut *tables, number)?;
    let mut after = 0;
    loop {
        let befores = tables.befores(number, after, ENTRIES_AT_ONCE)?;
        let Some((last, _)) = befores.last() else { break };
        after = *last;
        for (_, before) in befores {
            let now = tables.own(before.id)?;
            visit(&changed_entry(&before, now.as_ref()));
        }
    }
    for (id, left) in tables.added(number)? {
        let now = tables.own(id)?;
        visit(&added_entry(id, left, now.as_ref()));
    }
    Ok(())
}

fn changed_entry(before: &EntryBefore, now: Option<&OwnRow>) -> ChangedEntry {
    let record = before.record.as_ref();
    let as_left = now.filter(|row| Some(element(row)) == before.left);
    let mut differing =
        as_left.map(|row| differences(record, row.record.as_ref())).unwrap_or_default();
    if let Some(row) = as_left.filter(|row| row.released_to != before.released_to) {
        let name = |to: &Option<PostofficeName>| to.iter().map(ToString::to_string).collect();
        differing.push(Difference {
            part: "released_to".into(),
            before: name(&before.released_to),
            after: name(&row.released_to),
        });
    }
    ChangedEntry {
        id: before.id,
        key: before.key.clone(),
        name: value(record.name),
        address: record.address_texts().next().map_or(String::new(), value),
        change: if before.left.is_none() { Change::Deleted } else { Change::Changed },
        differences: differing,
        changed_since: if before.left.is_none() { now.is_some() } else { as_left.is_none() },
    }
}

fn added_entry(id: EntryId, left: u128, now: Option<&OwnRow>) -> ChangedEntry {
    let record = now.map(|row| row.record.as_ref());
    let address = record.and_then(|record| record.address_texts().next());
    ChangedEntry {
        id,
        key: now.map_or(String::new(), |row| row.key.clone()),
        name: record.map_or(String::new(), |record| value(record.name)),
        address: address.map_or(String::new(), value),
        change: Change::Added,
        differences: Vec::new(),
        changed_since: now.is_none_or(|row| element(row) != left),
    }
}

fn element(row: &OwnRow) -> u128 {
    own_element(row.id, row.released_to.as_ref(), row.record.as_ref())
}

/// An entry that an undo concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UndoneEntry {
    /// Its key.
    pub key: String,
    /// Its display name.
    pub name: String,
}

impl From<&Example> for UndoneEntry {
    fn from(example: &Example) -> Self {
        Self { key: example.key.clone(), name: value(&example.name) }
    }
}

/// A run that was undone, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Undone {
    /// The run.
    pub run: RunSummary,
    /// Nothing was done: this is what would be.
    pub dry_run: bool,
    /// The last command, if it left nothing to undo, and no run was named: then nothing was done, and the run is
    /// one before it. Else null.
    pub last_command: Option<LastCommand>,
    /// The run that undid it, which can be undone too; null if nothing was left to put back.
    pub by: Option<u64>,
    /// The number of entries that it had deleted, and that come back under their ids.
    pub returned: u64,
    /// The number of entries that it had changed, and that are as before.
    pub changed: u64,
    /// The number of entries that it had added, and that are deleted.
    pub removed: u64,
    /// The number of entries that are as before, and whose changes wait for a decision again: somebody had
    /// approved them, and they were not sent yet.
    pub held_again: u64,
    /// The number of approved changes that were sent already, and that new changes take back; their entries are
    /// counted above.
    pub sent: u64,
    /// The number of entries that were changed since, and are left as they are.
    pub left: u64,
    /// The sources that are held until their files agree, or a person says go on.
    pub held: Vec<String>,
    /// Entries that come back; at most a thousand.
    pub returned_entries: Vec<UndoneEntry>,
    /// Entries that are as before; at most a thousand.
    pub changed_entries: Vec<UndoneEntry>,
    /// Entries that are deleted; at most a thousand.
    pub removed_entries: Vec<UndoneEntry>,
    /// Entries whose changes wait again; at most a thousand.
    pub held_again_entries: Vec<UndoneEntry>,
    /// Entries that are left; at most a thousand.
    pub left_entries: Vec<UndoneEntry>,
}

impl Undone {
    fn of(report: &UndoReport, dry_run: bool) -> Self {
        let entries = |kind| {
            let examples = report.examples.get(&kind).map_or(&[][..], Vec::as_slice);
            examples.iter().map(UndoneEntry::from).collect()
        };
        Self {
            run: RunSummary::from(&report.run),
            dry_run,
            last_command: None,
            by: report.by.filter(|_| !dry_run),
            returned: report.returned,
            changed: report.changed,
            removed: report.removed,
            held_again: report.held_again,
            sent: report.sent,
            left: report.left,
            held: report.held.clone(),
            returned_entries: entries(UndoKind::Returned),
            changed_entries: entries(UndoKind::Changed),
            removed_entries: entries(UndoKind::Removed),
            held_again_entries: entries(UndoKind::HeldAgain),
            left_entries: entries(UndoKind::Left),
        }
    }
}

/// Undoes a run, or the newest one that is in force. With `dry_run` nothing is done, nor without a number if
/// the last command left no run: a person who means that command would undo the one before it.
///
/// # Errors
///
/// A run that cannot be undone.
pub fn undo(postoffice: &mut Postoffice, number: Option<u64>, dry_run: bool) -> Result<Undone> {
    let mut tables = postoffice.begin()?;
    if let Some(number) = number {
        let run = find(&mut *tables, number)?;
        drop(tables);
        return undo_run(postoffice, &run, dry_run);
    }
    let run = newest_in_force(&mut *tables)?.ok_or_else(|| {
        Failure::usage("there is nothing to undo")
            .hint("`dirsync log` has the numbers of runs; an undo is undone by its number")
    })?;
    let last_command = LastCommand::of(&mut *tables)?;
    drop(tables);
    let undone = undo_run(postoffice, &run, dry_run || last_command.is_some())?;
    Ok(Undone { last_command, ..undone })
}

fn undo_run(postoffice: &mut Postoffice, run: &Run, dry_run: bool) -> Result<Undone> {
    if let Some((decision, inverse)) = &run.decision {
        let (decision, inverse) = (decision.parse()?, inverse.parse()?);
        return undo_decision(postoffice, run, &decision, inverse, dry_run);
    }
    let mut tables = postoffice.begin()?;
    let report = changes::undo(&mut *tables, now_ms(), run.number).map_err(Failure::usage)?;
    let undone = Undone::of(&report, dry_run);
    if dry_run || report.by.is_none() {
        return Ok(undone);
    }
    let summary = format!(
        "run {} undone: {} returned, {} as before, {} removed, {} held again; {} changed since and left",
        run.number, undone.returned, undone.changed, undone.removed, undone.held_again, undone.left
    );
    log_run(&mut *tables, "T0", &summary, &[], report.by)?;
    tables.commit()?;
    Ok(undone)
}

fn undo_decision(
    postoffice: &mut Postoffice,
    run: &Run,
    decision: &Decision,
    inverse: Decision,
    dry_run: bool,
) -> Result<Undone> {
    if let Some(by) = run.undone_by {
        return Err(Failure::usage(changes::UndoError::Undone { run: run.number, by }));
    }
    let known = postoffice.begin()?.registration(&decision.postoffice)?;
    if !known.is_some_and(|known| is_in_force(&known, &decision.kind)) {
        return Err(Failure::usage(format!(
            "{} was decided about again since run {}; nothing was undone",
            decision.postoffice, run.number
        ))
        .hint("`dirsync requestor show NAME` shows how it stands"));
    }
    let by = match dry_run {
        true => None,
        false => {
            let decided = vec![(inverse.postoffice, inverse.kind)];
            postoffice.decide_and_undo(decided, Some(run.number))?
        }
    };
    Ok(Undone {
        run: RunSummary::from(run),
        dry_run,
        last_command: None,
        by,
        returned: 0,
        changed: 0,
        removed: 0,
        held_again: 0,
        sent: 0,
        left: 0,
        held: Vec::new(),
        returned_entries: Vec::new(),
        changed_entries: Vec::new(),
        removed_entries: Vec::new(),
        held_again_entries: Vec::new(),
        left_entries: Vec::new(),
    })
}

/// A source that goes on, although what it asked for was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WentOn {
    /// The source.
    pub source: String,
}

/// Lets a source go on that is held because what it asked for was undone: its next read asks for it again.
///
/// # Errors
///
/// A source that is not held.
pub fn go_on(postoffice: &mut Postoffice, source: &str) -> Result<WentOn> {
    let mut tables = postoffice.begin()?;
    if !changes::go_on(&mut *tables, source)? {
        let held: std::collections::BTreeSet<String> =
            tables.source_holds()?.into_iter().map(|(held, _)| held).collect();
        let held: Vec<String> = held.into_iter().collect();
        let hint = match held.is_empty() {
            true => "no source is held because of an undo".to_owned(),
            false => format!("held are: {}", held.join(", ")),
        };
        return Err(Failure::missing(format!("the source \"{source}\" is not held")).hint(hint));
    }
    tables.put_note(&format!("{SOURCE_ERROR}{source}"), None)?;
    log_within(&mut *tables, "T0", &format!("source \"{source}\" goes on"), &[])?;
    last_command::note(&mut *tables, Command::GoOn, source, Left::NoRun)?;
    tables.commit()?;
    Ok(WentOn { source: source.to_owned() })
}
