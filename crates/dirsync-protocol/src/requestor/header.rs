//! The header of an update: the server's epoch, the addressee, and the acknowledgement of own entries. R1
//! to R10 of the decision table.

use dirsync_directory::EntryId;
use dirsync_message::{OutcomeKind, RequestNo, Side, Update};

use super::change::OwnChanges;
use super::merge::merge;
use super::rejoin::new_epoch;
use crate::bounds::is_reachable;
use crate::context::{Context, Level, ReceiveError, TransactionSource};
use crate::simulation::Rule;
use crate::tables::{Mode, RequestorState, Tables};

/// What the header of an update came to.
pub(super) enum Header {
    /// An answer to a request of this machine; the number of the last one whose answer was taken
    /// before it.
    Answer(RequestNo),
    /// Nothing more of it is to be taken.
    Taken,
    /// It is for another machine.
    ForAnother,
}

/// R1 and R2: whether the server that speaks is not replaced.
pub(super) fn hear_epoch(
    context: &mut Context<'_>,
    state: &mut RequestorState,
    update: &Update,
) -> bool {
    let epoch = update.server_epoch;
    match state.epoch_heard {
        Some(heard) if heard.is_newer_than(&epoch) && Rule::GenerationOrder.holds() => {
            context.say(
                Level::Warning,
                "R1",
                format!("a server that was replaced still sends: its epoch is {epoch}, {heard} was heard"),
            );
            // It learns of the later epoch from the next request, and begins anew or ends.
            state.request_due = true;
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
pub(super) fn take_header(
    tables: &mut dyn Tables,
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

/// Rule `addressee`: a machine leaves the answers to another machine of its name in the inbox.
pub(super) fn is_for_another(state: &RequestorState, update: &Update) -> bool {
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
pub(super) fn hear_notice(
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
pub(super) fn drop_transferred(
    tables: &mut dyn Tables,
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
