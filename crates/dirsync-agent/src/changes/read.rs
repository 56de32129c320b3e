//! One read of a source, compared with the entries that it feeds.
//!
//! New entries and ordinary changes take effect as the rows come. Changes that would delete, blank or move
//! many entries at once are held for a person, and delay nothing else (`docs/failure-stories.md` §1). The
//! caller owns the transaction: a dry run is a read whose transaction is not committed.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{
    EntryId, IdDeriver, PostofficeName, Record, RecordRef, check_smtp, composed, own_element,
    plural,
};
use dirsync_message::ReqSeq;
use dirsync_protocol::guard::{GuardKind, GuardLimits, WINDOW_MS};
use dirsync_protocol::requestor::{ADOPTED, HAND, OwnChanges};
use dirsync_protocol::tables::{
    HeldChange, OwnRow, OwnTombstone, Quarantined, RequestorState, Run, RunKind, SourceMemory,
    StoreError, Tables,
};
use thiserror::Error;

use super::claims::Offers;
use super::elements::{Elements, Place, short};
use super::new_lines::NewLines;
use super::pending::Pending;
use super::report::{ExampleKind, ReadReport};
use super::strangers::AdoptedStrangers;
use super::undone::Undone;
use crate::taken::Wanted;

/// Limits for the changes of one read, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// Deletions.
    pub delete: GuardLimits,
    /// Entries that lose a field.
    pub blank: GuardLimits,
    /// Entries that change kind, or type or value of their primary address.
    pub moved: GuardLimits,
    /// New entries whose addresses entries of other origins have.
    pub taken: GuardLimits,
    /// Changes of any kind in the first read after the settings of the source changed.
    pub settings: GuardLimits,
}

/// A source in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredSource {
    /// Its name.
    pub name: String,
    /// Whether its rows are the whole list.
    pub whole: bool,
}

/// The settings of a read.
#[derive(Clone, Debug, Default)]
pub struct ReadSettings {
    /// The source's name.
    pub source: String,
    /// Whether the rows are the whole list: then entries that they lack are deleted.
    pub whole: bool,
    /// Whether a row takes over an entry on offer that has its address.
    pub claims: bool,
    /// The limits above which changes are held.
    pub guards: Guards,
    /// Fingerprint of the settings that shape the rows: format, map, filter. An empty one is not compared.
    pub fingerprint: String,
    /// All sources in the settings. A person is asked about an entry that a merge brought back only when
    /// every whole source has been read. An entry whose source is not among these goes to the first source
    /// that names it.
    pub configured: Vec<ConfiguredSource>,
    /// The time, in milliseconds since 1970.
    pub now: u64,
}

/// One row of a source.
#[derive(Clone, Copy, Debug)]
pub struct ReadRow<'a> {
    /// The origin that the row names, if any.
    pub origin: Option<&'a PostofficeName>,
    /// Its key.
    pub key: &'a str,
    /// Its content.
    pub record: RecordRef<'a>,
    /// Its line in the file.
    pub line: u64,
    /// Whether its mail address is its key: then a wrong address is a wrong key.
    pub derived_key: bool,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// Its line in the file.
    pub line: u64,
    /// The row, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it lacks its key: then the read cannot tell which entries are absent.
    pub keyless: bool,
}

/// Why a read cannot go on.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A case that is held already. Of a change only a hash of its content is kept: a hundred thousand cases
/// take a few MB.
#[derive(Clone, Copy)]
pub(super) struct EarlierHold {
    kind: GuardKind,
    /// `None` for a deletion.
    pub(super) content: Option<u128>,
    since: u64,
    pub(super) rejected: bool,
}

/// The cases that a source has asked for, or that are about entries which it feeds.
fn earlier_holds(
    tables: &mut dyn Tables,
    source: &str,
    elements: &Elements,
) -> Result<BTreeMap<EntryId, EarlierHold>, StoreError> {
    let mut holds = BTreeMap::new();
    tables.visit_held_changes(&mut |held, _| {
        let place = elements.find(held.id);
        if held.source == source || place.is_some_and(|place| elements.source(place) == source) {
            let content = content_of(held.id, held.record.as_ref().map(Record::as_ref));
            let HeldChange { id, kind, since, rejected, .. } = *held;
            holds.insert(id, EarlierHold { kind, content, since, rejected });
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(holds)
}

fn content_of(id: EntryId, record: Option<RecordRef<'_>>) -> Option<u128> {
    record.map(|record| own_element(id, None, record))
}

/// A read under way.
pub struct SourceRead<'t> {
    pub(super) changes: OwnChanges<'t>,
    pub(super) settings: ReadSettings,
    pub(super) elements: Elements,
    pub(super) report: ReadReport,
    pub(super) me: PostofficeName,
    deriver: IdDeriver,
    /// The number of the last own change before this read.
    pub(super) begun_after: ReqSeq,
    /// The new entries, and the lines that name them.
    pub(super) new: NewLines,
    pub(super) twice: BTreeSet<EntryId>,
    /// Entries of which the first row is in quarantine.
    pub(super) faulty: BTreeSet<EntryId>,
    adopted_strangers: AdoptedStrangers,
    pub(super) offers: Offers,
    pub(super) pending: BTreeMap<EntryId, Pending>,
    pub(super) keyless: u64,
    pub(super) earlier_holds: BTreeMap<EntryId, EarlierHold>,
    has_tombstones: bool,
    /// The tombstones of new entries that had been deleted.
    pub(super) revived: BTreeMap<EntryId, OwnTombstone>,
    pub(super) undone: Option<Undone>,
    /// The addresses that entries of this read want and did not have, if somebody asks for them.
    pub(crate) wanted: Option<Wanted>,
}

impl<'t> SourceRead<'t> {
    /// Begins a read within the caller's transaction.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn begin(tables: &'t mut dyn Tables, settings: ReadSettings) -> Result<Self, ReadError> {
        let undone = Undone::of(tables, &settings.source)?;
        if undone.is_some() {
            tables.savepoint()?;
        }
        let elements = Elements::load(tables)?;
        let RequestorState { name: me, req_seq: begun_after, .. } = tables.requestor()?;
        let adopted_strangers = AdoptedStrangers::find(tables, &me, &elements.unseen(ADOPTED))?;
        let mut has_tombstones = false;
        tables.visit_own_tombstones(ReqSeq(0), &mut |_| {
            has_tombstones = true;
            std::ops::ControlFlow::Break(())
        })?;
        let offers = match settings.claims {
            true => Offers::find(tables)?,
            false => Offers::default(),
        };
        let earlier_holds = earlier_holds(tables, &settings.source, &elements)?;
        // A row that is still bad is quarantined again by this read.
        let mut closed = Vec::new();
        tables.visit_quarantined(&mut |case| {
            if case.origin == settings.source {
                closed.push(case.number);
            }
            std::ops::ControlFlow::Continue(())
        })?;
        for number in closed {
            tables.delete_quarantined(number)?;
        }
        let run = Run::new(settings.now, RunKind::Read, &*settings.source);
        Ok(Self {
            deriver: IdDeriver::new(&me),
            changes: OwnChanges::begin_run(tables, run)?,
            settings,
            elements,
            report: ReadReport::default(),
            me,
            begun_after,
            new: NewLines::default(),
            twice: BTreeSet::new(),
            faulty: BTreeSet::new(),
            adopted_strangers,
            offers,
            pending: BTreeMap::new(),
            keyless: 0,
            earlier_holds,
            has_tombstones,
            revived: BTreeMap::new(),
            undone,
            wanted: None,
        })
    }

    /// Takes a row.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn row(&mut self, row: ReadRow<'_>) -> Result<(), ReadError> {
        self.report.rows += 1;
        let key = composed(row.key);
        let row = ReadRow { key: &key, ..row };
        if row.origin.is_some_and(|origin| *origin != self.me) {
            self.report.foreign += 1;
            return Ok(());
        }
        if row.record.addresses.is_empty() {
            self.count_without_address(row.key, row.record.name);
            return Ok(());
        }
        let derived = self.deriver.id(row.key);
        let mut place = self.elements.find(derived);
        let mut id = derived;
        if place.is_none()
            && let Some(adopted) = self.adopted_id(row.key)?
        {
            id = adopted;
            place = self.elements.find(adopted);
        }
        if let Some(place) = place {
            self.take_over(id, place)?;
        }
        // Content that the entry has already was checked when it was taken.
        let is_held = place.is_some_and(|place| {
            self.elements.source(place) == self.settings.source
                && self.elements.is_same(place, own_element(id, None, row.record))
        });
        if !is_held && let Err(reason) = check(row.record) {
            self.keyless += u64::from(row.derived_key);
            if place.is_some_and(|place| self.elements.see(place, row.line).is_none()) {
                self.faulty.insert(id);
            }
            return self.quarantine(row.line, row.key, reason, row.record.name);
        }
        let is_first = place.is_none_or(|place| {
            !self.elements.is_seen(place) && self.elements.source(place) == self.settings.source
        });
        if is_first && !self.new.contains(&id) && self.claim(place.map(|_| id), row)? {
            if let Some(place) = place {
                self.elements.see(place, row.line);
            }
            return Ok(());
        }
        let Some(place) = place else { return self.new_row(id, row) };
        if let Some(first) = self.elements.see(place, row.line) {
            return self.second_row(id, first, row);
        }
        if is_held {
            self.report.unchanged += 1;
            return Ok(());
        }
        let source = self.elements.source(place);
        if source != self.settings.source {
            let reason = format!("the source \"{source}\" feeds this entry already");
            self.faulty.insert(id);
            return self.quarantine(row.line, row.key, reason, row.record.name);
        }
        self.known_row(id, row)
    }

    /// The id of an entry of another first origin that a key stands for, if any.
    fn adopted_id(&mut self, key: &str) -> Result<Option<EntryId>, ReadError> {
        let source = self.settings.source.clone();
        let known = self.changes.tables().adopted_id(&source, key)?;
        if known.is_some() {
            return Ok(known);
        }
        let found = self.adopted_strangers.with_key(key);
        if found.is_some() {
            self.changes.tables().put_adopted_id(&source, key, found)?;
        }
        Ok(found)
    }

    /// Makes this source the one that feeds an entry that no other source feeds, even if the change of its
    /// content is held.
    fn take_over(&mut self, id: EntryId, place: Place) -> Result<(), ReadError> {
        let feeder = self.elements.source(place);
        let is_configured =
            |name: &str| self.settings.configured.iter().any(|source| source.name == name);
        let has_no_feeder = feeder == ADOPTED
            || is_configured(&self.settings.source) && feeder != HAND && !is_configured(feeder);
        if !has_no_feeder || feeder == self.settings.source {
            return Ok(());
        }
        let source = self.settings.source.clone();
        if let Some(row) = self.changes.tables().own(id)? {
            self.changes.tables().put_own(&OwnRow { source: source.clone(), ..row })?;
            self.changes.tables().delete_held_change(id)?;
        }
        self.elements.take_over(place, &source);
        Ok(())
    }

    fn known_row(&mut self, id: EntryId, row: ReadRow<'_>) -> Result<(), ReadError> {
        let old = self.changes.tables().own(id)?;
        let Some(old) = old else { return self.new_row(id, row) };
        let old = old.record.as_ref();
        let (loses_field, moves) = (blanks(old, row.record), moves(old, row.record));
        if let Some(wanted) = &mut self.wanted {
            wanted.add_new(row.record, Some(old));
        }
        self.pending.insert(id, Pending::new(row.record, loses_field, moves));
        Ok(())
    }

    fn new_row(&mut self, id: EntryId, row: ReadRow<'_>) -> Result<(), ReadError> {
        if let Some(first) = self.new.get(&id) {
            return self.second_row(id, u64::from(first), row);
        }
        self.new.insert(id, short(row.line));
        self.asks_for(id);
        if let Some(wanted) = &mut self.wanted {
            wanted.add_new(row.record, None);
        }
        if self.has_tombstones
            && let Some(tombstone) = self.changes.tables().own_tombstone(id)?
        {
            self.changes.tables().delete_own_tombstone(id)?;
            self.revived.insert(id, tombstone);
        }
        let (me, source) = (self.me.clone(), self.settings.source.clone());
        let record = row.record.to_record();
        self.changes.add(OwnRow::new(id, me, row.key.to_owned(), source, record))?;
        self.report.added += 1;
        self.report.example(ExampleKind::Added, row.key, row.record.name);
        Ok(())
    }

    /// Takes a row that cannot be used.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn fault(&mut self, fault: &RowFault) -> Result<(), ReadError> {
        self.report.rows += 1;
        self.keyless += u64::from(fault.keyless);
        self.quarantine(fault.line, "", fault.reason.clone(), &fault.text)
    }

    pub(super) fn quarantine(
        &mut self,
        line: u64,
        subject: &str,
        reason: String,
        text: &str,
    ) -> Result<(), ReadError> {
        self.report.quarantine(line, subject, &reason);
        let case = Quarantined {
            number: 0,
            since: self.settings.now,
            origin: self.settings.source.clone(),
            subject: subject.to_owned(),
            line: Some(line),
            reason,
            text: text.to_owned(),
        };
        self.changes.tables().put_quarantined(&case)?;
        Ok(())
    }

    /// Ends the read. `complete` says that every row was read; otherwise no entry counts as absent.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finish(mut self, complete: bool) -> Result<ReadReport, ReadError> {
        self.settle_taken()?;
        self.settle_pending()?;
        self.settle_absence(complete)?;
        if let Some(undone) = self.undone.take_if(|undone| undone.asks_again()) {
            return self.take_nothing(&undone);
        }
        self.end_agreed_hold(complete)?;
        let tells_all = self.settings.whole && self.may_not_delete(complete).is_none();
        if tells_all {
            self.ask_about_unclaimed()?;
        }
        if self.report.removed > 0 {
            // Another source may name an entry that left this one, and would not be read before its
            // file changes.
            self.changes.tables().forget_files()?;
        }
        let source = self.settings.source.clone();
        let memory = self.changes.tables().source_memory(&source)?.unwrap_or_default();
        let good = complete && self.settings.whole && self.keyless == 0;
        let memory = SourceMemory {
            rows: self.report.rows - self.report.foreign,
            good_rows: if good && !self.is_short(memory.good_rows) {
                self.report.entry_rows()
            } else {
                memory.good_rows
            },
            read_at: self.settings.now,
            settings: self.settings.fingerprint.clone(),
            seen: memory.seen,
            told_all: memory.told_all || tells_all,
        };
        self.changes.tables().put_source_memory(&source, &memory)?;
        let before = self.settings.now.saturating_sub(WINDOW_MS);
        self.changes.tables().purge_guard_events(before)?;
        self.changes.finish()?;
        assert!(self.report.reconciles(), "every row is counted once: {:?}", self.report);
        Ok(self.report)
    }

    /// Makes or holds the changes of known entries.
    fn settle_pending(&mut self) -> Result<(), ReadError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|id, pending| {
            let closed = self.stays_rejected(*id, Some(pending.record()));
            self.report.unchanged += u64::from(closed);
            !closed
        });
        pending.keys().for_each(|id| self.asks_for(*id));
        let fed = self.elements.count_of(&self.settings.source);
        let mut held_kinds = BTreeSet::new();
        let guards = self.settings.guards;
        for (kind, limits, would) in [
            (GuardKind::Blank, guards.blank, "lose a field"),
            (GuardKind::Move, guards.moved, "change kind or primary address"),
        ] {
            let count = pending.values().filter(|pending| pending.is_of(kind)).count() as u64;
            let earlier = self.guarded_earlier(kind)?;
            if count > 0 && limits.exceeded(count + earlier, fed) {
                held_kinds.insert(kind);
                self.report.warnings.push(format!(
                    "{} would {would} at once: {} held for a person",
                    plural(count, "entry", "entries"),
                    if count == 1 { "it is" } else { "they are" }
                ));
            } else if count > 0 {
                let now = self.settings.now;
                let source = self.settings.source.clone();
                self.changes.tables().put_guard_event(&source, now, kind, count)?;
            }
        }
        if self.settings_changed()? && guards.settings.exceeded(pending.len() as u64, fed) {
            held_kinds.insert(GuardKind::Settings);
            self.report.warnings.push(format!(
                "the settings of source \"{}\" changed and {} would change with them: \
                 {} held for a person",
                self.settings.source,
                plural(pending.len() as u64, "entry", "entries"),
                if pending.len() == 1 { "it is" } else { "they are" }
            ));
        }
        for (id, pending) in pending {
            // A row of this read had the entry, and nothing but this read writes meanwhile.
            let Some(old) = self.changes.tables().own(id)? else { continue };
            let source = self.settings.source.clone();
            let row = OwnRow { source, record: pending.record().to_record(), ..old };
            match pending.held_by(&held_kinds) {
                Some(kind) => self.hold_change(id, row, kind)?,
                None => {
                    let (key, name) = (row.key.clone(), row.record.name.clone());
                    let outcome = self.changes.put(row)?;
                    if outcome == dirsync_protocol::requestor::ChangeOutcome::Unchanged {
                        self.report.unchanged += 1;
                    } else {
                        self.report.changed += 1;
                        self.report.example(ExampleKind::Changed, &key, &name);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn hold_change(
        &mut self,
        id: EntryId,
        row: OwnRow,
        kind: GuardKind,
    ) -> Result<(), ReadError> {
        self.report.held += 1;
        self.report.example(ExampleKind::Held, &row.key, &row.record.name);
        self.hold(id, kind, Some(row.record), row.key)
    }

    /// Whether a person has rejected this very change. Such a case is closed and not counted.
    pub(super) fn stays_rejected(&mut self, id: EntryId, record: Option<RecordRef<'_>>) -> bool {
        let earlier = self.earlier_holds.get(&id).filter(|earlier| earlier.rejected);
        let closed = earlier.is_some_and(|earlier| earlier.content == content_of(id, record));
        if closed {
            self.earlier_holds.remove(&id);
        }
        closed
    }

    /// Holds a change. One that is held already stays so, since the same time, if it is still the same.
    pub(super) fn hold(
        &mut self,
        id: EntryId,
        kind: GuardKind,
        record: Option<Record>,
        key: String,
    ) -> Result<(), ReadError> {
        let earlier = self.earlier_holds.remove(&id);
        let content = content_of(id, record.as_ref().map(Record::as_ref));
        let same = earlier.filter(|earlier| earlier.kind == kind && earlier.content == content);
        let held = HeldChange {
            id,
            source: self.settings.source.clone(),
            kind,
            record,
            key,
            since: same.map_or(self.settings.now, |same| same.since),
            rejected: false,
        };
        self.changes.tables().put_held_change(&held)?;
        Ok(())
    }

    pub(super) fn guarded_earlier(&mut self, kind: GuardKind) -> Result<u64, ReadError> {
        let since = self.settings.now.saturating_sub(WINDOW_MS);
        let source = self.settings.source.clone();
        let events = self.changes.tables().guard_events(&source)?;
        let counted = events.iter().filter(|(at, of, _)| *at > since && *of == kind);
        Ok(counted.map(|(_, _, count)| count).sum())
    }

    fn settings_changed(&mut self) -> Result<bool, ReadError> {
        let source = self.settings.source.clone();
        let memory = self.changes.tables().source_memory(&source)?;
        Ok(memory.is_some_and(|memory| {
            !self.settings.fingerprint.is_empty()
                && !memory.settings.is_empty()
                && memory.settings != self.settings.fingerprint
        }))
    }
}

/// Checks the content of a row, and more than the protocol does: what this postoffice sends into the
/// directory can be delivered to.
fn check(record: RecordRef<'_>) -> Result<(), String> {
    record.check().map_err(|error| error.to_string())?;
    let mut smtp = record.address_texts().filter_map(|text| text.strip_prefix("SMTP:"));
    smtp.try_for_each(check_smtp).map_err(|error| error.to_string())
}

/// Whether an entry would lose a field.
fn blanks(old: RecordRef<'_>, new: RecordRef<'_>) -> bool {
    let has = |record: RecordRef<'_>, name: &str| record.detail_lines().any(|line| line.0 == name);
    old.detail_lines().any(|(name, _)| !has(new, name))
}

/// Whether an entry would change its kind or primary address.
fn moves(old: RecordRef<'_>, new: RecordRef<'_>) -> bool {
    old.kind != new.kind || old.address_texts().next() != new.address_texts().next()
}
