//! The list of an update: R11 to R18 of `docs/protocol.md`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::{BucketSums, EntryId, SetDigest, plural};
use dirsync_message::{Body, BodyKind, RequestNo, SyncPoint, Update};

use super::list::ListWriter;
use super::reception::{Applied, Reception};
use crate::context::{Level, ReceiveError, TransactionSource};
use crate::row::Row;
use crate::simulation::{Branch, Rule};
use crate::tables::{ListPlace, RequestorState, Staging, StoreErrorKind, Tables};

/// A list that does not fit, with the row that says so.
type Refusal = Option<(Level, Row, String)>;

/// What became of a list that fits.
enum Taken {
    /// The live list was changed; with the number of rows that were written or removed.
    Live(u64),
    /// A replace was continued beside the list.
    Staged(u64),
    /// The list would not match its digest.
    Mismatch(SetDigest),
}

impl Reception<'_> {
    /// R11 to R18.
    pub(super) fn take_list(
        &mut self,
        list: &Body,
        previous_answer: RequestNo,
        body: &mut dyn TransactionSource,
        answered: Applied,
    ) -> Result<Applied, ReceiveError> {
        let refused = match list.kind {
            BodyKind::Delta => refuse_delta(&self.changes.state, list),
            BodyKind::Replace | BodyKind::Repair { .. } => {
                refuse_replace(&self.changes.state, self.update, list, previous_answer)
            }
        };
        if let Some((level, row, text)) = refused {
            self.say(level, row, text);
            return Ok(answered);
        }
        match self.attempt(list, body)? {
            Ok(Taken::Live(rows)) => {
                self.note_point(list);
                let text = format!(
                    "{} applied; the list is at {}",
                    plural(rows, "entry", "entries"),
                    list.to.srv_seq
                );
                self.say(Level::Info, Row::R17, text);
                Ok(Applied { rows, list_changed: true, ..answered })
            }
            Ok(Taken::Staged(rows)) => Ok(Applied { rows, ..answered }),
            Ok(Taken::Mismatch(found)) => {
                Ok(self.ask_for_repair(answered, &format!("its digest would be {found}")))
            }
            Err(contradiction) => Ok(self.ask_for_repair(answered, &contradiction)),
        }
    }

    /// Applies the list. Its changes are undone when the list would not match its digest, contradicts
    /// itself or cannot be read. This is the only savepoint of an update.
    fn attempt(
        &mut self,
        list: &Body,
        body: &mut dyn TransactionSource,
    ) -> Result<Result<Taken, String>, ReceiveError> {
        let saved = self.changes.state.clone();
        self.changes.tables.savepoint()?;
        let taken = match &list.kind {
            BodyKind::Delta => self.apply_delta(list, body),
            BodyKind::Replace => self.apply_replace(list, body),
            BodyKind::Repair { bits, buckets } => self.apply_repair(list, *bits, buckets, body),
        };
        let undone = match taken {
            Ok(taken @ (Taken::Live(_) | Taken::Staged(_))) => {
                self.changes.tables.release_savepoint()?;
                return Ok(Ok(taken));
            }
            Ok(mismatch) => Ok(Ok(mismatch)),
            // A store that failed cannot undo anything; its transaction is lost as a whole.
            Err(error @ ReceiveError::Store(_)) => return Err(error),
            Err(ReceiveError::Contradiction(why)) => Ok(Err(why)),
            Err(error) => Err(error),
        };
        self.changes.tables.rollback_savepoint()?;
        self.changes.state = saved;
        undone
    }

    /// R17: notes the point that the list has reached.
    fn note_point(&mut self, list: &Body) {
        if list.from_epoch.is_some_and(|from| from != list.to.epoch) {
            Branch::AcrossEpochs.take();
        }
        let state = &mut self.changes.state;
        state.point = Some(list.to);
        state.point_evidence = Some(list.to_evidence);
        state.filling = (is_of_first_fill(list) && !list.to.complete).then_some(list.head);
        state.view = list.view.clone();
        state.list_bad = false;
    }

    /// R18: the list stays as it was, and the next request says so.
    fn ask_for_repair(&mut self, answered: Applied, why: &str) -> Applied {
        let state = &mut self.changes.state;
        state.list_bad = true;
        state.request_due = true;
        state.staging = None;
        let text = format!("an update was not taken because {why}; a repair is asked for");
        self.say(Level::Error, Row::R18, text);
        Applied { digest_failed: true, ..answered }
    }

    fn apply_delta(
        &mut self,
        list: &Body,
        body: &mut dyn TransactionSource,
    ) -> Result<Taken, ReceiveError> {
        let is_first = self.changes.state.point.is_none();
        if is_first {
            self.changes.state.list_digest = SetDigest::default();
        }
        let before = self.changes.state.list_digest;
        let (rows, digest) = self.write_rows(ListPlace::Live, is_first, before, body)?;
        Ok(self.verdict(list, digest, rows))
    }

    /// A replace is prepared beside the list and swapped in when it is complete and right.
    fn apply_replace(
        &mut self,
        list: &Body,
        body: &mut dyn TransactionSource,
    ) -> Result<Taken, ReceiveError> {
        let is_first = list.part == 1;
        let staging = self.changes.state.staging.as_ref();
        let before = match staging.filter(|staging| continues(staging, list)) {
            _ if is_first => SetDigest::default(),
            Some(staging) => staging.digest,
            None => return Ok(Taken::Staged(0)),
        };
        let (rows, digest) = self.write_rows(ListPlace::Staged, is_first, before, body)?;
        if !list.to.complete {
            Branch::StagedPart.take();
            let (view, head) = (list.view.clone(), list.head);
            self.changes.state.staging = Some(Staging { point: list.to, view, head, digest });
            return Ok(Taken::Staged(rows));
        }
        let taken = self.verdict(list, digest, rows);
        if matches!(taken, Taken::Live(_)) {
            if list.part > 1 {
                Branch::StagedSwap.take();
            }
            self.changes.tables.swap_lists()?;
            self.changes.state.staging = None;
        }
        Ok(taken)
    }

    /// A repair is the whole content of some buckets: an entry that it does not name there goes.
    fn apply_repair(
        &mut self,
        list: &Body,
        bits: u32,
        buckets: &BTreeSet<u16>,
        body: &mut dyn TransactionSource,
    ) -> Result<Taken, ReceiveError> {
        Branch::Buckets.take();
        let tables = &mut *self.changes.tables;
        let is_repaired = |id: EntryId| {
            bits <= BucketSums::BITS
                && buckets.contains(&(BucketSums::bucket(id) >> (BucketSums::BITS - bits)))
        };
        let mut gone = BTreeSet::new();
        tables.visit_list(ListPlace::Live, &mut |row| {
            if is_repaired(row.id) {
                gone.insert(row.id);
            }
            ControlFlow::Continue(())
        })?;
        let mut writer = ListWriter::new(ListPlace::Live, false);
        while let Some(transaction) = body.next()? {
            gone.remove(&transaction.id);
            writer.apply(tables, &transaction)?;
        }
        for id in gone {
            writer.delete(tables, id)?;
        }
        let rows = writer.rows;
        let digest = writer.finish(tables, self.changes.state.list_digest)?;
        Ok(self.verdict(list, digest, rows))
    }

    /// Writes the rows of a body to a list, which is emptied before its `first` ones. Returns their number
    /// and the list's digest, which was `before`.
    fn write_rows(
        &mut self,
        place: ListPlace,
        first: bool,
        before: SetDigest,
        body: &mut dyn TransactionSource,
    ) -> Result<(u64, SetDigest), ReceiveError> {
        let tables = &mut *self.changes.tables;
        let mut writer = ListWriter::new(place, first);
        if first {
            tables.clear_list(place)?;
            tables.begin_bulk(place)?;
        }
        while let Some(transaction) = body.next()? {
            writer.apply(tables, &transaction)?;
        }
        if first {
            end_bulk(tables, place)?;
        }
        let rows = writer.rows;
        Ok((rows, writer.finish(tables, before)?))
    }

    /// Whether the list has the digest that the update promises; a middle part promises none.
    fn verdict(&mut self, list: &Body, digest: SetDigest, rows: u64) -> Taken {
        if list.digest.is_some_and(|expected| expected != digest) {
            return Taken::Mismatch(digest);
        }
        self.changes.state.list_digest = digest;
        Taken::Live(rows)
    }
}

/// R12 to R16.
fn refuse_delta(state: &RequestorState, list: &Body) -> Refusal {
    let Some(mine) = &state.point else {
        list.from_epoch?;
        let text = format!("a delta from {} does not fit an empty list", list.from);
        return Some((Level::Warning, Row::R14, text));
    };
    let Some(from_epoch) = list.from_epoch else {
        let text = "a first fill does not fit a list that is filled".to_owned();
        return Some((Level::Debug, Row::R12, text));
    };
    if is_of_another_fill(state, mine, list) {
        let text =
            "a later part of a first fill does not fit a list that another filled".to_owned();
        return Some((Level::Debug, Row::R12, text));
    }
    if from_epoch != mine.epoch || is_from_other_view(mine, list) {
        let text = "the update starts from another epoch or view".to_owned();
        return Some((Level::Debug, Row::R13, text));
    }
    if list.from > mine.srv_seq {
        let text =
            format!("a gap: the update starts at {}, the list is at {}", list.from, mine.srv_seq);
        return Some((Level::Warning, Row::R14, text));
    }
    if list.to.epoch != mine.epoch && list.from != mine.srv_seq {
        let text = "across epochs an update has to fit exactly".to_owned();
        return Some((Level::Debug, Row::R15, text));
    }
    has_already(mine, list)
        .then(|| (Level::Debug, Row::R16, format!("already at {}", mine.srv_seq)))
}

/// Rule `fillpart`: whether a body is a later part of a first fill, and not of the one in whose middle the
/// list stands.
fn is_of_another_fill(state: &RequestorState, mine: &SyncPoint, list: &Body) -> bool {
    let is_next_part = mine.srv_seq == list.from && state.filling == Some(list.head);
    is_of_first_fill(list) && !is_next_part && Rule::FillPart.holds()
}

/// Whether a delta is one that begins with nothing, or a later part of it. Its later parts have no
/// deletions, as the list of the parts before never had the entries that are gone.
fn is_of_first_fill(list: &Body) -> bool {
    list.kind == BodyKind::Delta && list.stated.is_none()
}

/// R13: whether a delta starts from another view than the list's.
fn is_from_other_view(mine: &SyncPoint, list: &Body) -> bool {
    list.view_from != Some(mine.view) && Rule::ViewBind.holds()
}

/// R16: whether the list has the changes of a delta already. So has a list in the middle of a fill those
/// of a complete update that reaches the same number: the update was made before that part, and the changes
/// in between are in neither.
fn has_already(mine: &SyncPoint, list: &Body) -> bool {
    let completes = list.to.complete && !mine.complete && !Rule::Complete.holds();
    let is_same_list = list.to.epoch == mine.epoch && list.to.view == mine.view;
    list.to.srv_seq <= mine.srv_seq && is_same_list && !completes
}

/// R11.
fn refuse_replace(
    state: &RequestorState,
    update: &Update,
    list: &Body,
    previous_answer: RequestNo,
) -> Refusal {
    if has_moved(state, list) {
        let text = "the list has moved since the request that this replace answers".to_owned();
        return Some((Level::Debug, Row::R11, text));
    }
    let mine = state.point.as_ref();
    let is_newer_epoch = mine.is_none_or(|point| update.server_epoch.is_newer_than(&point.epoch));
    let number = mine.map(|point| point.srv_seq);
    let is_later = (update.answers, Some(list.to.srv_seq)) > (previous_answer, number);
    (!is_later && !is_newer_epoch && list.part == 1)
        .then(|| (Level::Debug, Row::R11, "an older replace".to_owned()))
}

/// R11: whether the list is not at the point any more for which a replace was made.
fn has_moved(state: &RequestorState, list: &Body) -> bool {
    list.stated != state.point && Rule::ReplaceFrom.holds()
}

/// Whether a part of a replace follows the parts that were staged.
fn continues(staging: &Staging, list: &Body) -> bool {
    staging.head == list.head
        && staging.point.epoch == list.to.epoch
        && staging.point.view == list.to.view
        && staging.point.srv_seq == list.from
}

/// Two entries with one id are the message's fault: it is not tried again, a repair is asked for.
fn end_bulk(tables: &mut dyn Tables, place: ListPlace) -> Result<(), ReceiveError> {
    tables.end_bulk(place).map_err(|error| match error.kind {
        StoreErrorKind::Twice => ReceiveError::Contradiction(error.to_string()),
        _ => ReceiveError::Store(error),
    })
}
