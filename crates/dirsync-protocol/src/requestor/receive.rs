//! T3: an update is taken, by the decision table of `protocol.md` §4.3.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::{BucketSums, EntryId, SetDigest};
use dirsync_message::{Body, BodyKind, RequestNo, Side, Update};

use super::header::{
    Header, drop_transferred, hear_epoch, hear_notice, is_for_another, take_header,
};
use super::list::ListWriter;
use crate::bounds::check_update;
use crate::context::{Context, Level, ReceiveError, TransactionSource};
use crate::simulation::{Branch, Rule};
use crate::tables::{ListPlace, Mode, RequestorState, Staging, StoreErrorKind, Tables};

/// What taking an update came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The update was an answer to this machine's request.
    pub answered: bool,
    /// The list was changed.
    pub list_changed: bool,
    /// How many entries of the list were written or removed.
    pub rows: u64,
    /// The list would not have matched the update's digest: nothing of it was taken.
    pub digest_failed: bool,
    /// It is for another machine of this name, and has to stay there for it.
    pub for_another: bool,
    /// The server does not take this machine's requests, and says why.
    pub notice: Option<Side>,
}

/// Takes an update, within the caller's transaction (commit point C5).
///
/// # Errors
///
/// See [`ReceiveError`]: the transaction has to be rolled back, and for anything but a store
/// error the message is refused.
pub fn receive(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    update: &Update,
    body: &mut dyn TransactionSource,
) -> Result<Applied, ReceiveError> {
    let mut state = tables.requestor()?;
    if update.to != state.name || update.from != state.server {
        return Err(ReceiveError::Contradiction(format!(
            "it is from {} to {}, and this is {} with the server {}",
            update.from, update.to, state.name, state.server
        )));
    }
    if matches!(state.mode, Mode::Fenced | Mode::Removed) {
        return Ok(Applied { for_another: is_for_another(&state, update), ..Applied::default() });
    }
    check_update(&state, update)?;
    if !hear_epoch(context, &mut state, update) {
        tables.put_requestor(&state)?;
        return Ok(Applied::default());
    }
    if let Some(side) = update.side.filter(|side| side.is_notice()) {
        tables.put_requestor(&state)?;
        let for_another = is_for_another(&state, update);
        let notice = hear_notice(context, &state, update, side);
        return Ok(Applied { notice, for_another, ..Applied::default() });
    }
    let header = take_header(tables, context, &mut state, update, body)?;
    tables.put_requestor(&state)?;
    let previous_answer = match header {
        Header::Answer(previous) => previous,
        Header::Taken => return Ok(Applied::default()),
        Header::ForAnother => return Ok(Applied { for_another: true, ..Applied::default() }),
    };
    drop_transferred(tables, context, update)?;
    let mut applied = Applied { answered: true, ..Applied::default() };
    let Some(list) = &update.body else { return Ok(applied) };
    take_list(tables, context, update, list, previous_answer, body, &mut applied)?;
    Ok(applied)
}

/// R11 to R18.
fn take_list(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    update: &Update,
    list: &Body,
    previous_answer: RequestNo,
    body: &mut dyn TransactionSource,
    applied: &mut Applied,
) -> Result<(), ReceiveError> {
    let mut state = tables.requestor()?;
    let refused = match list.kind {
        BodyKind::Delta => refuse_delta(&state, list),
        BodyKind::Replace | BodyKind::Repair { .. } => {
            refuse_replace(&state, update, list, previous_answer)
        }
    };
    if let Some((level, rule, text)) = refused {
        context.say(level, rule, text);
        return Ok(());
    }
    tables.savepoint()?;
    let outcome = match &list.kind {
        BodyKind::Delta => apply_delta_body(tables, &mut state, list, body),
        BodyKind::Replace => apply_replace(tables, &mut state, list, body),
        BodyKind::Repair { bits, buckets } => {
            apply_repair(tables, &mut state, list, *bits, buckets, body)
        }
    };
    match outcome {
        Ok(Taken::Rows { rows, live }) => {
            tables.release_savepoint()?;
            applied.rows = rows;
            applied.list_changed = live;
            if live {
                if list.from_epoch.is_some_and(|from| from != list.to.epoch) {
                    Branch::AcrossEpochs.take();
                }
                state.point = Some(list.to);
                state.filling = (is_of_first_fill(list) && !list.to.complete).then_some(list.head);
                state.view = list.view.clone();
                state.list_bad = false;
                context.say(
                    Level::Info,
                    "R17",
                    format!("{rows} entries applied; the list is at {}", list.to.srv_seq),
                );
            }
        }
        Ok(Taken::Mismatch { found }) => {
            undo(tables, context, &mut state, format!("its digest would be {found}"))?;
            applied.digest_failed = true;
        }
        Err(ReceiveError::Contradiction(why)) => {
            undo(tables, context, &mut state, why)?;
            applied.digest_failed = true;
        }
        Err(error) => {
            // The caller's own savepoints are the last open ones again.
            if matches!(error, ReceiveError::Body(_)) {
                tables.rollback_savepoint()?;
            }
            return Err(error);
        }
    }
    tables.put_requestor(&state)?;
    Ok(())
}

/// R18: the list stays as it was, and the next request says so.
fn undo(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    state: &mut RequestorState,
    why: String,
) -> Result<(), ReceiveError> {
    tables.rollback_savepoint()?;
    state.list_bad = true;
    state.request_due = true;
    state.staging = None;
    context.say(
        Level::Error,
        "R18",
        format!("an update was not taken because {why}; a repair is asked for"),
    );
    Ok(())
}

type Refusal = Option<(Level, &'static str, String)>;

/// R12 to R16.
fn refuse_delta(state: &RequestorState, list: &Body) -> Refusal {
    let Some(mine) = &state.point else {
        return match list.from_epoch {
            None => None,
            Some(_) => Some((
                Level::Warning,
                "R14",
                format!("a delta from {} does not fit an empty list", list.from),
            )),
        };
    };
    let Some(from_epoch) = list.from_epoch else {
        return Some((
            Level::Debug,
            "R12",
            "a first fill does not fit a list that is filled".into(),
        ));
    };
    let begun = mine.srv_seq == list.from && state.filling == Some(list.head);
    if is_of_first_fill(list) && !begun && Rule::FillPart.holds() {
        let text = "a later part of a first fill does not fit a list that another filled";
        return Some((Level::Debug, "R12", text.into()));
    }
    let other_view = list.view_from != Some(mine.view) && Rule::ViewBind.holds();
    if from_epoch != mine.epoch || other_view {
        return Some((Level::Debug, "R13", "the update starts from another epoch or view".into()));
    }
    if list.from > mine.srv_seq {
        return Some((
            Level::Warning,
            "R14",
            format!("a gap: the update starts at {}, the list is at {}", list.from, mine.srv_seq),
        ));
    }
    if list.to.epoch != mine.epoch && list.from != mine.srv_seq {
        return Some((Level::Debug, "R15", "across epochs an update has to fit exactly".into()));
    }
    // Also a complete one at the number of a middle part: it was made before that part, and what
    // changed in between is in neither.
    let completes = list.to.complete && !mine.complete && !Rule::Complete.holds();
    let same = list.to.epoch == mine.epoch && list.to.view == mine.view;
    (list.to.srv_seq <= mine.srv_seq && same && !completes)
        .then(|| (Level::Debug, "R16", format!("already at {}", mine.srv_seq)))
}

/// Whether a delta is one that begins with nothing, or a later part of it. Its later parts have no
/// deletions, as whoever took the parts before never saw what is gone.
fn is_of_first_fill(list: &Body) -> bool {
    list.kind == BodyKind::Delta && list.stated.is_none()
}

/// R11.
fn refuse_replace(
    state: &RequestorState,
    update: &Update,
    list: &Body,
    previous_answer: RequestNo,
) -> Refusal {
    if list.stated != state.point && Rule::ReplaceFrom.holds() {
        let text = "the list has moved since the request that this replace answers".to_owned();
        return Some((Level::Debug, "R11", text));
    }
    let mine = state.point.as_ref();
    let newer_epoch = mine.is_none_or(|point| update.server_epoch.is_newer_than(&point.epoch));
    let number = mine.map(|point| point.srv_seq);
    let later = (update.answers, Some(list.to.srv_seq)) > (previous_answer, number);
    (!later && !newer_epoch && list.part == 1)
        .then(|| (Level::Debug, "R11", "an older replace".to_owned()))
}

enum Taken {
    /// So many rows were written, to the live list or beside it.
    Rows { rows: u64, live: bool },
    /// The list would not match.
    Mismatch { found: SetDigest },
}

fn apply_delta_body(
    tables: &mut dyn Tables,
    state: &mut RequestorState,
    list: &Body,
    body: &mut dyn TransactionSource,
) -> Result<Taken, ReceiveError> {
    let appending = state.point.is_none();
    let mut writer = ListWriter::new(ListPlace::Live, appending);
    if appending {
        tables.clear_list(ListPlace::Live)?;
        state.list_digest = SetDigest::default();
        tables.begin_bulk(ListPlace::Live)?;
    }
    while let Some(transaction) = body.next()? {
        writer.apply(tables, &transaction)?;
    }
    if appending {
        end_bulk(tables, ListPlace::Live)?;
    }
    let rows = writer.rows;
    let digest = writer.finish(tables, state.list_digest)?;
    Ok(verdict(state, list, digest, rows))
}

fn verdict(state: &mut RequestorState, list: &Body, digest: SetDigest, rows: u64) -> Taken {
    if list.digest.is_some_and(|expected| expected != digest) {
        return Taken::Mismatch { found: digest };
    }
    state.list_digest = digest;
    Taken::Rows { rows, live: true }
}

/// Two entries with one id are the message's fault: it is not tried again, a repair is asked for.
fn end_bulk(tables: &mut dyn Tables, place: ListPlace) -> Result<(), ReceiveError> {
    tables.end_bulk(place).map_err(|error| match error.kind {
        StoreErrorKind::Twice => ReceiveError::Contradiction(error.to_string()),
        _ => ReceiveError::Store(error),
    })
}

/// A replace is prepared beside the list and swapped in when it is complete and right.
fn apply_replace(
    tables: &mut dyn Tables,
    state: &mut RequestorState,
    list: &Body,
    body: &mut dyn TransactionSource,
) -> Result<Taken, ReceiveError> {
    let first = list.part == 1;
    let continues = state.staging.as_ref().is_some_and(|staging| {
        staging.head == list.head
            && staging.point.epoch == list.to.epoch
            && staging.point.view == list.to.view
            && staging.point.srv_seq == list.from
    });
    if !first && !continues {
        return Ok(Taken::Rows { rows: 0, live: false });
    }
    let mut writer = ListWriter::new(ListPlace::Staged, first);
    let before = if first {
        tables.clear_list(ListPlace::Staged)?;
        tables.begin_bulk(ListPlace::Staged)?;
        SetDigest::default()
    } else {
        state.staging.as_ref().map_or(SetDigest::default(), |staging| staging.digest)
    };
    while let Some(transaction) = body.next()? {
        writer.apply(tables, &transaction)?;
    }
    if first {
        end_bulk(tables, ListPlace::Staged)?;
    }
    let rows = writer.rows;
    let digest = writer.finish(tables, before)?;
    if !list.to.complete {
        Branch::StagedPart.take();
        let (view, head) = (list.view.clone(), list.head);
        state.staging = Some(Staging { point: list.to, view, head, digest });
        return Ok(Taken::Rows { rows, live: false });
    }
    let taken = verdict(state, list, digest, rows);
    if matches!(taken, Taken::Rows { .. }) {
        if list.part > 1 {
            Branch::StagedSwap.take();
        }
        tables.swap_lists()?;
        state.staging = None;
    }
    Ok(taken)
}

/// A repair is the whole content of some buckets: what it does not name there goes.
fn apply_repair(
    tables: &mut dyn Tables,
    state: &mut RequestorState,
    list: &Body,
    bits: u32,
    buckets: &BTreeSet<u16>,
    body: &mut dyn TransactionSource,
) -> Result<Taken, ReceiveError> {
    Branch::Buckets.take();
    let in_buckets = |id: EntryId| {
        bits <= BucketSums::BITS
            && buckets.contains(&(BucketSums::bucket(id) >> (BucketSums::BITS - bits)))
    };
    let mut gone = BTreeSet::new();
    tables.visit_list(ListPlace::Live, &mut |row| {
        if in_buckets(row.id) {
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
    let digest = writer.finish(tables, state.list_digest)?;
    Ok(verdict(state, list, digest, rows))
}
