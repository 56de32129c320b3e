//! T3: an update is taken, by the decision table of `protocol.md` §4.3.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::{BucketSums, EntryId, SetDigest};
use dirsync_message::{Body, BodyKind, OutcomeKind, RequestNo, Side, Update};

use super::change::OwnChanges;
use super::list::ListWriter;
use super::merge::merge;
use super::rejoin::new_epoch;
use crate::bounds::{check_update, is_reachable};
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

/// What the header of an update came to.
enum Header {
    /// An answer to a request of this machine; the number of the last one whose answer was taken
    /// before it.
    Answer(RequestNo),
    /// Nothing more of it is to be taken.
    Taken,
    /// It is for another machine.
    ForAnother,
}

/// Takes an update, within the caller's transaction (commit point C5).
///
/// # Errors
///
/// See [`ReceiveError`]: the transaction has to be rolled back, and for anything but a store
/// error the message is refused.
pub fn receive<T: Tables + ?Sized>(
    tables: &mut T,
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

/// R1 and R2: whether the server that speaks is not replaced.
fn hear_epoch(context: &mut Context<'_>, state: &mut RequestorState, update: &Update) -> bool {
    let epoch = update.server_epoch;
    match state.epoch_heard {
        Some(heard) if heard.is_newer_than(&epoch) && Rule::GenerationOrder.holds() => {
            context.say(
                Level::Warning,
                "R1",
                format!("a server that was replaced still sends: its epoch is {epoch}, {heard} was heard"),
            );
            false
        }
        Some(heard) if epoch == heard => true,
        heard => {
            if let Some(heard) = heard {
                context.say(Level::Notice, "R2", format!("new server epoch {epoch} after {heard}"));
                state.request_due = true;
            }
            state.epoch_heard = Some(epoch);
            true
        }
    }
}

/// R3 to R10.
fn take_header<T: Tables + ?Sized>(
    tables: &mut T,
    context: &mut Context<'_>,
    state: &mut RequestorState,
    update: &Update,
    body: &mut dyn TransactionSource,
) -> Result<Header, ReceiveError> {
    if update.epoch != state.epoch {
        context.say(
            Level::Debug,
            "R3",
            format!("an answer to epoch {} is not for epoch {}", update.epoch, state.epoch),
        );
        return Ok(unless_for_another(state, update));
    }
    if stop_for_side(context, state, update.side) {
        return Ok(Header::Taken);
    }
    if update.answers < state.last_answer && Rule::Answers.holds() {
        context.say(
            Level::Debug,
            "R5",
            format!("answer to request {} after that to {}", update.answers, state.last_answer),
        );
        return Ok(Header::Taken);
    }
    if !is_answer(state, update) {
        hear_stranger(context, state, update);
        return Ok(unless_for_another(state, update));
    }
    if let Some(own) = &update.own {
        let repeated = Mode::Resubmitting { base: own.digest, challenge: own.challenge };
        if state.mode != repeated {
            merge(tables, context, state, own, body)?;
        }
        state.last_answer = update.answers;
        return Ok(Header::Taken);
    }
    take_acknowledgement(context, state, update);
    let previous_answer = state.last_answer;
    state.last_answer = update.answers;
    state.send_buckets = update.want_buckets;
    state.request_due |= update.want_buckets;
    tables.put_outcomes(&update.outcomes)?;
    tables.put_offers(&update.offers)?;
    Ok(Header::Answer(previous_answer))
}

/// Rule `addressee`: of two machines with one name, each leaves the other what it is told.
fn is_for_another(state: &RequestorState, update: &Update) -> bool {
    let asked = (update.answers, update.request_id);
    !state.sent.contains(&asked) && Rule::Addressee.holds()
}

fn unless_for_another(state: &RequestorState, update: &Update) -> Header {
    if is_for_another(state, update) { Header::ForAnother } else { Header::Taken }
}

/// Whether an update answers a request of this machine.
fn is_answer(state: &RequestorState, update: &Update) -> bool {
    let asked = (update.answers, update.request_id);
    state.sent.iter().any(|sent| *sent == asked || sent.0 == asked.0 && !Rule::RequestId.holds())
        || !Rule::Answers.holds()
}

/// R4: whether this postoffice may not go on.
fn stop_for_side(
    context: &mut Context<'_>,
    state: &mut RequestorState,
    side: Option<Side>,
) -> bool {
    let (mode, text) = match side {
        Some(Side::Fenced) => (
            Mode::Fenced,
            "fenced: another machine or a later life is this postoffice now; nothing is sent \
             until `dirsync rejoin` says that this one is to be kept",
        ),
        Some(Side::Removed) => (Mode::Removed, "the server removed this postoffice"),
        _ => return false,
    };
    if mode == Mode::Fenced && !Rule::Fence.holds() {
        new_epoch(state, context, false);
        return true;
    }
    state.mode = mode;
    context.say(Level::Alarm, "R4", text);
    true
}

/// R4a: a request waits at the server, or was not taken. Only the newest one matters, and only to the
/// machine that sent it.
fn hear_notice(
    context: &mut Context<'_>,
    state: &RequestorState,
    update: &Update,
    side: Side,
) -> Option<Side> {
    let ours = update.epoch == state.epoch && is_answer(state, update);
    if !ours || update.answers <= state.last_answer {
        return None;
    }
    let text = match side {
        Side::Suspended => "the server has suspended this postoffice: its requests wait there",
        Side::Expired => "not admitted: the invitation has expired",
        Side::Taken => "not admitted: another machine has this name at the server",
        _ => "not admitted: the invitation is not the one in force at the server",
    };
    context.say(Level::Alarm, "R4a", text);
    Some(side)
}

/// R8 and R9.
fn take_acknowledgement(context: &mut Context<'_>, state: &mut RequestorState, update: &Update) {
    if update.ack > state.req_seq {
        state.want_own();
        context.say(
            Level::Alarm,
            "R8",
            format!(
                "the server acknowledges change {}, only {} were made here: this postoffice was \
                 restored from an older copy; asking for what the server holds",
                update.ack, state.req_seq
            ),
        );
    } else {
        if update.ack < state.req_sync {
            context.say(
                Level::Warning,
                "R9",
                format!("the server went back from change {} to {}", state.req_sync, update.ack),
            );
            state.request_due = true;
        }
        state.req_sync =
            if Rule::OwnLog.holds() { update.ack } else { state.req_sync.max(update.ack) };
        state.epoch_accepted = true;
        if matches!(state.mode, Mode::Resubmitting { .. }) {
            state.mode = Mode::Normal;
        }
    }
}

/// R6: an answer to a request that this machine does not remember.
fn hear_stranger(context: &mut Context<'_>, state: &mut RequestorState, update: &Update) {
    let contradicts = state.sent.iter().any(|(number, _)| *number == update.answers);
    if update.answers >= state.request_no || contradicts {
        if is_reachable(state.request_no, update.answers) {
            state.request_no = state.request_no.max(update.answers).next();
            state.want_own();
        } else {
            // Counting on from it would lead to a number that nobody reads. In another epoch the
            // server counts the requests from the first one that it gets.
            new_epoch(state, context, true);
        }
        context.say(
            Level::Alarm,
            "R6",
            format!(
                "an answer to request {} that was not sent from here: this postoffice was restored \
                 from an older copy, or another machine has its identity",
                update.answers
            ),
        );
    }
}

/// `protocol.md` §5.2 (3): the stub of an entry that now belongs to another origin goes.
fn drop_transferred<T: Tables + ?Sized>(
    tables: &mut T,
    context: &mut Context<'_>,
    update: &Update,
) -> Result<(), ReceiveError> {
    let gone: Vec<EntryId> = update
        .outcomes
        .iter()
        .filter(|outcome| matches!(outcome.kind, OutcomeKind::Transferred { .. }))
        .map(|outcome| outcome.id)
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    let now = context.now;
    let mut changes = OwnChanges::begin(tables, now)?;
    for id in gone {
        let stub = changes.tables().own(id)?;
        // What was claimed back since the server said so is no stub.
        if let Some(stub) = stub.filter(|stub| stub.numbers.last <= update.ack.0) {
            changes.drop_stub(&stub)?;
        }
    }
    Ok(changes.finish()?)
}

/// R11 to R18.
fn take_list<T: Tables + ?Sized>(
    tables: &mut T,
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
fn undo<T: Tables + ?Sized>(
    tables: &mut T,
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

fn apply_delta_body<T: Tables + ?Sized>(
    tables: &mut T,
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
fn end_bulk<T: Tables + ?Sized>(tables: &mut T, place: ListPlace) -> Result<(), ReceiveError> {
    tables.end_bulk(place).map_err(|error| match error.kind {
        StoreErrorKind::Twice => ReceiveError::Contradiction(error.to_string()),
        _ => ReceiveError::Store(error),
    })
}

/// A replace is prepared beside the list and swapped in when it is complete and right.
fn apply_replace<T: Tables + ?Sized>(
    tables: &mut T,
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
fn apply_repair<T: Tables + ?Sized>(
    tables: &mut T,
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
