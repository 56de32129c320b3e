//! The head of an update: the server's epoch, the addressee, and the acknowledgement of own entries (R1 to
//! R9 of `docs/protocol.md`).

use dirsync_directory::EntryId;
use dirsync_message::{OutcomeKind, RequestNo, ServerEpoch, Side, Update};

use super::reception::Reception;
use super::rejoin::new_epoch;
use crate::bounds::is_reachable;
use crate::context::{Level, ReceiveError, TransactionSource};
use crate::row::Row;
use crate::simulation::Rule;
use crate::tables::{Mode, RequestorState};

/// What the head of an update is to this machine.
pub(super) enum Head {
    /// An answer to a request of this machine; with the number of the last request whose answer was taken
    /// before it.
    Answer(RequestNo),
    /// Nothing more of it is to be taken.
    Taken,
    /// It is for another machine.
    ForAnother,
}

impl Reception<'_> {
    /// R1 and R2: whether the server that speaks is not replaced.
    pub(super) fn hear_server_epoch(&mut self) -> bool {
        let epoch = self.update.server_epoch;
        let heard = self.changes.state.epoch_heard;
        if let Some(heard) = heard.filter(|heard| *heard != epoch) {
            self.changes.state.request_due = true;
            if is_replaced(&epoch, &heard) {
                // The old server learns of the later epoch from the next request, and begins anew or ends.
                let text = format!(
                    "a server that was replaced still sends: its epoch is {epoch}, {heard} was heard"
                );
                self.say(Level::Warning, Row::R1, text);
                return false;
            }
            self.say(Level::Notice, Row::R2, format!("new server epoch {epoch} after {heard}"));
        }
        self.changes.state.epoch_heard = Some(epoch);
        self.changes.state.epoch_evidence = Some(self.update.epoch_evidence);
        true
    }

    /// R3 to R9.
    pub(super) fn take_head(
        &mut self,
        body: &mut dyn TransactionSource,
    ) -> Result<Head, ReceiveError> {
        let update = self.update;
        let state = &self.changes.state;
        if update.epoch != state.epoch {
            let text =
                format!("an answer to epoch {} is not for epoch {}", update.epoch, state.epoch);
            self.say(Level::Debug, Row::R3, text);
            return Ok(self.taken_unless_for_another());
        }
        if let Some(ended) = update.side.and_then(Ended::by) {
            self.end(ended);
            return Ok(Head::Taken);
        }
        if is_overtaken(state, update) {
            let text =
                format!("answer to request {} after that to {}", update.answers, state.last_answer);
            self.say(Level::Debug, Row::R5, text);
            return Ok(Head::Taken);
        }
        if !is_answer(state, update) {
            self.hear_stranger();
            return Ok(self.taken_unless_for_another());
        }
        if let Some(own) = &update.own {
            let repeated = Mode::Resubmitting { base: own.digest, challenge: own.challenge };
            if state.mode != repeated {
                self.merge(own, body)?;
            }
            self.changes.state.last_answer = update.answers;
            return Ok(Head::Taken);
        }
        self.take_acknowledgement();
        let state = &mut self.changes.state;
        let previous_answer = std::mem::replace(&mut state.last_answer, update.answers);
        state.send_buckets = update.want_buckets;
        state.request_due |= update.want_buckets;
        self.changes.tables.put_outcomes(&update.outcomes)?;
        self.changes.tables.put_offers(&update.offers)?;
        self.end_stubs()?;
        Ok(Head::Answer(previous_answer))
    }

    /// Rule `addressee`: whether the update has to stay in the inbox for another machine of this name.
    pub(super) fn is_for_another(&self) -> bool {
        let asked = (self.update.answers, self.update.request_id);
        !self.changes.state.sent.contains(&asked) && Rule::Addressee.holds()
    }

    fn taken_unless_for_another(&self) -> Head {
        if self.is_for_another() { Head::ForAnother } else { Head::Taken }
    }

    /// R4: this postoffice may not go on.
    fn end(&mut self, ended: Ended) {
        let (mode, text) = match ended {
            Ended::Fenced if !Rule::Fence.holds() => {
                return new_epoch(&mut self.changes.state, &mut self.context, false);
            }
            Ended::Fenced => (
                Mode::Fenced,
                "fenced: another machine or a later life is this postoffice now; nothing is sent \
                 until `dirsync rejoin` says that this one is to be kept",
            ),
            Ended::Removed => (Mode::Removed, "the server removed this postoffice"),
        };
        self.changes.state.mode = mode;
        self.say(Level::Alarm, Row::R4, text);
    }

    /// R4a: a request waits at the server, or was not taken. Only the newest one matters, and only to the
    /// machine that sent it.
    pub(super) fn hear_notice(&mut self, side: Side) -> Option<Side> {
        let (state, update) = (&self.changes.state, self.update);
        let is_ours = update.epoch == state.epoch && is_answer(state, update);
        if !is_ours || update.answers <= state.last_answer {
            return None;
        }
        let text = match side {
            Side::Suspended => "the server has suspended this postoffice: its requests wait there",
            Side::Expired => "not admitted: the invitation has expired",
            _ => "not admitted: another machine has this name at the server",
        };
        self.say(Level::Alarm, Row::R4a, text);
        Some(side)
    }

    /// R8 and R9.
    fn take_acknowledgement(&mut self) {
        let (ack, state) = (self.update.ack, &mut self.changes.state);
        if ack > state.req_seq {
            state.want_own();
            let text = format!(
                "the server acknowledges change {ack}, only {} were made here: this postoffice was \
                 restored from an older copy; asking for its entries as the server holds them",
                state.req_seq
            );
            return self.say(Level::Alarm, Row::R8, text);
        }
        let before = state.req_sync;
        state.req_sync = if Rule::OwnLog.holds() { ack } else { before.max(ack) };
        state.epoch_accepted = true;
        if matches!(state.mode, Mode::Resubmitting { .. }) {
            state.mode = Mode::Normal;
        }
        if ack < before {
            state.request_due = true;
            let text = format!("the server went back from change {before} to {ack}");
            self.say(Level::Warning, Row::R9, text);
        }
    }

    /// R6: an answer to a request that this machine does not remember.
    fn hear_stranger(&mut self) {
        let answers = self.update.answers;
        let state = &mut self.changes.state;
        let contradicts = state.sent.iter().any(|(number, _)| *number == answers);
        if answers < state.request_no && !contradicts {
            return;
        }
        if is_reachable(state.request_no, answers) {
            state.request_no = state.request_no.max(answers).next();
            state.want_own();
        } else {
            // Counting on from it would lead to a number that nobody reads. In another epoch the
            // server counts the requests from the first one that it gets.
            new_epoch(state, &mut self.context, true);
        }
        let text = format!(
            "an answer to request {answers} that was not sent from here: this postoffice was restored \
             from an older copy, or another machine has its identity"
        );
        self.say(Level::Alarm, Row::R6, text);
    }

    /// P20: the stub of an entry that now belongs to another origin goes.
    fn end_stubs(&mut self) -> Result<(), ReceiveError> {
        let is_transferred = |kind: &OutcomeKind| matches!(kind, OutcomeKind::Transferred { .. });
        let gone: Vec<EntryId> = self
            .update
            .outcomes
            .iter()
            .filter(|outcome| is_transferred(&outcome.kind))
            .map(|outcome| outcome.id)
            .collect();
        for id in gone {
            let stub = self.changes.tables.own(id)?;
            // An entry that was claimed back since the server said so is no stub.
            if let Some(stub) = stub.filter(|stub| stub.numbers.last <= self.update.ack.0) {
                self.changes.end_stub(&stub)?;
            }
        }
        Ok(())
    }
}

/// R4: why this postoffice may not go on.
enum Ended {
    Fenced,
    Removed,
}

impl Ended {
    fn by(side: Side) -> Option<Self> {
        match side {
            Side::Fenced => Some(Self::Fenced),
            Side::Removed => Some(Self::Removed),
            _ => None,
        }
    }
}

/// R1: whether the server that speaks was replaced by the server of a later epoch that was heard.
fn is_replaced(epoch: &ServerEpoch, heard: &ServerEpoch) -> bool {
    heard.is_newer_than(epoch) && Rule::GenerationOrder.holds()
}

/// R5: whether the answer to a later request was taken already.
fn is_overtaken(state: &RequestorState, update: &Update) -> bool {
    update.answers < state.last_answer && Rule::Answers.holds()
}

/// Whether an update answers a request of this machine.
fn is_answer(state: &RequestorState, update: &Update) -> bool {
    let asked = (update.answers, update.request_id);
    state.sent.iter().any(|sent| *sent == asked || sent.0 == asked.0 && !Rule::RequestId.holds())
        || !Rule::Answers.holds()
}
