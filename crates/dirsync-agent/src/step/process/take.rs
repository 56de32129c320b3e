//! The first half of T2: requests are taken.

use dirsync_carrier::{Arrived, Transit, TransitError};
use dirsync_directory::PostofficeName;
use dirsync_message::Head;
use dirsync_protocol::context::{Draws, Event};
use dirsync_protocol::server::{self, Received};
use dirsync_protocol::tables::Tables;
use dirsync_store::Store;

use super::admit::{Admission, Sender, admit, wrong_proof};
use super::opening::{OpenedRequest, open_next};
use super::waiting::{Kept, WaitingRoom, Waits};
use super::{Places, ProcessReport, STEP};
use crate::decisions::{DecideError, DecisionsLog, catch_up};
use crate::route::note_heard_at;
use crate::step::place::{Failures, PlaceFailure};
use crate::step::refusals::{end_day, log_refused};
use crate::step::transport::{Incoming, Opening};
use crate::step::turn::Turn;
use crate::step::{RefusedMessage, StepError, Surroundings, commit, refusal};

/// Requests that are taken in one transaction of the database.
const REQUESTS_PER_TRANSACTION: usize = 100;

/// The first half of T2.
pub(super) struct Taking<'a> {
    pub decisions: &'a mut dyn DecisionsLog,
    pub around: &'a Surroundings,
    pub draws: &'a mut Draws,
    pub report: &'a mut ProcessReport,
}

/// A place whose requests are taken.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    transit: &'a dyn Transit,
}

/// The messages of one transaction by their verdict, and its events. They are added to the report when
/// the transaction is committed.
#[derive(Default)]
struct Batch<'m> {
    taken: Vec<&'m Arrived>,
    waiting: Vec<(&'m Arrived, PostofficeName, Waits)>,
    refused: Vec<(&'m Arrived, Option<PostofficeName>, RefusedMessage)>,
    not_admitted: Vec<PostofficeName>,
    events: Vec<Event>,
}

enum Verdict {
    Taken,
    /// It is not for this step.
    Left,
    /// It cannot be taken yet.
    Waits(PostofficeName, Waits),
    /// Its sender is not admitted, and has been told so.
    NotAdmitted(PostofficeName),
    /// It cannot be taken. The sender's next request repeats its content.
    Refused(PostofficeName, RefusedMessage),
}

impl Taking<'_> {
    pub(super) fn take_all(
        mut self,
        store: &mut dyn Store,
        places: &Places<'_>,
    ) -> Result<(), StepError> {
        self.carry_out_decisions(store)?;
        for (name, transit) in places {
            self.take_place(store, Place { name, transit: *transit })?;
        }
        Ok(())
    }

    /// Catches up with the log of decisions, which may be newer than a database that was put back. No request
    /// is taken before. Also logs how many messages were refused the day before.
    fn carry_out_decisions(&mut self, store: &mut dyn Store) -> Result<(), StepError> {
        let mut tables = store.begin()?;
        let mut events = Vec::new();
        let decisions = &mut *self.decisions;
        self.around
            .run(self.draws, &mut events, |context| catch_up(&mut *tables, context, decisions))?;
        events.extend(end_day(&mut *tables, STEP, self.around)?);
        Ok(commit(tables, STEP, self.around, events, &mut self.report.events)?)
    }

    fn take_place(&mut self, store: &mut dyn Store, place: Place<'_>) -> Result<(), StepError> {
        let room = self.note(place, WaitingRoom::of(place.transit));
        let mut room = room.unwrap_or_else(|| WaitingRoom::empty(place.transit));
        let ready = ready(store, &room)?;
        for batch in ready.chunks(REQUESTS_PER_TRANSACTION) {
            self.take_batch(store, &mut room, place, batch)?;
        }
        if self.is_away(place) {
            return Ok(());
        }
        let Some(mut arrived) = self.note(place, place.transit.arrived()) else { return Ok(()) };
        let mut turn = Turn::begin(store, place.name, &mut arrived)?;
        let mut looked_at = 0;
        while looked_at < arrived.len() && turn.left() > 0 && !self.is_away(place) {
            let size = REQUESTS_PER_TRANSACTION.min(turn.left()).min(arrived.len() - looked_at);
            let batch = &arrived[looked_at..looked_at + size];
            let taken = self.take_batch(store, &mut room, place, batch)?;
            looked_at += size;
            turn.count_untaken(size - taken);
        }
        self.report.left += turn.end(store, &arrived, looked_at)?;
        Ok(())
    }

    /// The value that a transit returned. `None` if it failed, which goes to the report: the next message is
    /// tried unless the whole place is away.
    fn note<T>(&mut self, place: Place<'_>, result: Result<T, TransitError>) -> Option<T> {
        let mut failures = Failures(&mut self.report.failed);
        result.map_err(|error| failures.add(place.name, None, &error)).ok()
    }

    fn is_away(&mut self, place: Place<'_>) -> bool {
        Failures(&mut self.report.failed).is_away(place.name)
    }

    /// Takes messages in one transaction (C3: their changes are committed before their files go). Returns the
    /// number of messages that were taken.
    fn take_batch(
        &mut self,
        store: &mut dyn Store,
        room: &mut WaitingRoom<'_>,
        place: Place<'_>,
        messages: &[Arrived],
    ) -> Result<usize, StepError> {
        let mut tables = store.begin()?;
        let mut batch = Batch::default();
        let own = self.around.sealing.as_peer();
        let mut left = messages;
        'batch: while !left.is_empty() {
            let opened = open_next(&mut *tables, place.transit, left, self.around, &own)?;
            assert!(!opened.is_empty(), "the first message is always looked at");
            left = left.get(opened.len()..).unwrap_or_default();
            for OpenedRequest { arrived, sender, opening } in opened {
                match self.note(place, opening) {
                    Some(opening) => {
                        let of_it = (arrived, sender, opening);
                        self.take_opened(&mut *tables, place, of_it, &mut batch)?;
                    }
                    None if self.is_away(place) => break 'batch,
                    None => {}
                }
            }
        }
        if !batch.taken.is_empty()
            && let Some(mut server) = tables.server()?
        {
            server.cycle += 1;
            tables.put_server(&server)?;
        }
        let events = std::mem::take(&mut batch.events);
        commit(tables, STEP, self.around, events, &mut self.report.events)?;
        let taken = batch.taken.len();
        self.report.requests += taken as u64;
        self.put_away(store, room, place, batch)?;
        Ok(taken)
    }

    /// Takes a message that was opened, or notes why it cannot be.
    fn take_opened<'m>(
        &mut self,
        tables: &mut dyn Tables,
        place: Place<'_>,
        (arrived, sender, opening): (&'m Arrived, Option<Sender>, Opening),
        batch: &mut Batch<'m>,
    ) -> Result<(), StepError> {
        match opening {
            Opening::NotYet | Opening::Gone | Opening::OnItsWay => {}
            Opening::Refused(why) | Opening::OtherKey(why) => {
                let claimed = sender.map(|sender| sender.keys().name().clone());
                batch.refused.push((arrived, claimed, why));
            }
            Opening::Stranger(from) => batch.add(arrived, Verdict::Waits(from, Waits::Unknown)),
            Opening::NoProof(from) => {
                let why = RefusedMessage::NoProof(from.clone());
                batch.refused.push((arrived, Some(from.clone()), why));
                batch.not_admitted.push(from);
            }
            Opening::WrongProof(from) => {
                self.around.run(self.draws, &mut batch.events, |context| {
                    wrong_proof(tables, context, &from)
                })?;
                batch.add(arrived, Verdict::NotAdmitted(from));
            }
            Opening::Message(incoming) => {
                let Some(sender) = sender else { return Ok(()) };
                let verdict = self.take(tables, place, *incoming, &sender, &mut batch.events)?;
                batch.add(arrived, verdict);
            }
        }
        Ok(())
    }

    /// Moves the files of messages out of the inbox, by their verdicts.
    fn put_away(
        &mut self,
        store: &mut dyn Store,
        room: &mut WaitingRoom<'_>,
        place: Place<'_>,
        mut batch: Batch<'_>,
    ) -> Result<(), StepError> {
        self.report.waiting.extend(batch.not_admitted);
        for finished in place.transit.finished_all(&batch.taken) {
            self.note(place, finished);
        }
        let mut events = Vec::new();
        for (arrived, sender, why) in batch.waiting {
            match self.note(place, room.keep(arrived, &sender, why)) {
                Some(Kept::Waits(event)) => {
                    events.extend(event);
                    self.report.waiting.insert(sender);
                }
                Some(Kept::TooMany) => {
                    let why = format!("{sender} is not registered, and too many others wait");
                    batch.refused.push((arrived, Some(sender), RefusedMessage::Said(why)));
                }
                None => {}
            }
        }
        let mut refused = Vec::new();
        for (arrived, sender, why) in batch.refused {
            if self.note(place, place.transit.refuse(arrived, &why.to_string())).is_some() {
                self.report.refused += 1;
                refused.push((sender, why));
            }
        }
        let said = &mut self.report.events;
        Ok(log_refused(store, STEP, self.around, (&refused, events), said)?)
    }

    fn take(
        &mut self,
        tables: &mut dyn Tables,
        place: Place<'_>,
        incoming: Incoming,
        sender: &Sender,
        events: &mut Vec<Event>,
    ) -> Result<Verdict, StepError> {
        let Incoming { head: Head::Request(request), mut body, keys, holds } = incoming else {
            return Ok(Verdict::Left);
        };
        let (around, decisions) = (self.around, &mut *self.decisions);
        let admission = around.run(self.draws, events, |context| {
            admit(tables, decisions, context, (&request, &keys), sender, around)
        });
        match admission {
            Ok(Admission::Open) => {}
            Ok(Admission::Refused) => return Ok(Verdict::NotAdmitted(request.from)),
            Ok(Admission::Late) => {
                let why = format!("{} has changed its key since it sent it", request.from);
                return Ok(Verdict::Refused(request.from, RefusedMessage::Said(why)));
            }
            // Requests that need no decision are taken all the same.
            Err(DecideError::Log(error)) => {
                let text = format!("could not write the decisions log: {error}");
                let place = "decisions.log".to_owned();
                Failures(&mut self.report.failed).add_text(PlaceFailure {
                    place,
                    to: None,
                    unreachable: false,
                    text,
                });
                return Ok(Verdict::Left);
            }
            Err(error) => return Err(error.into()),
        }
        let admitted = events.len();
        tables.savepoint()?;
        let outcome = around.run(self.draws, events, |context| {
            server::receive(tables, context, &request, &mut body)
        });
        match outcome {
            Ok(received) => {
                tables.release_savepoint()?;
                if received == Received::Taken {
                    around.outbox.hear(&request.from, &holds)?;
                    if sender.has_several_places {
                        note_heard_at(tables, &request.from, place.name)?;
                    }
                }
                Ok(match received {
                    Received::Taken | Received::Repeated => Verdict::Taken,
                    Received::NotAdmitted => {
                        // This is logged when the request begins to wait.
                        events.truncate(admitted);
                        Verdict::Waits(request.from, Waits::Unknown)
                    }
                    Received::Suspended => Verdict::Waits(request.from, Waits::Suspended),
                    Received::Fenced => Verdict::Left,
                })
            }
            Err(error) => {
                tables.rollback_savepoint()?;
                events.truncate(admitted);
                Ok(Verdict::Refused(request.from, refusal(error)?))
            }
        }
    }
}

impl<'m> Batch<'m> {
    fn add(&mut self, arrived: &'m Arrived, verdict: Verdict) {
        match verdict {
            Verdict::Taken => self.taken.push(arrived),
            Verdict::Left => {}
            Verdict::Waits(sender, why) => self.waiting.push((arrived, sender, why)),
            Verdict::NotAdmitted(sender) => {
                let why = format!("{sender} is not admitted");
                self.refused.push((arrived, Some(sender.clone()), RefusedMessage::Said(why)));
                self.not_admitted.push(sender);
            }
            Verdict::Refused(from, why) => self.refused.push((arrived, Some(from), why)),
        }
    }
}

/// The requests in the waiting room whose senders are now heard.
fn ready(store: &mut dyn Store, room: &WaitingRoom<'_>) -> Result<Vec<Arrived>, StepError> {
    Ok(if room.is_empty() { Vec::new() } else { room.ready(&store.begin()?.registrations()?) })
}

/// Whether T2 has anything to do: a message has arrived, a waiting one can be taken now, or a place fails,
/// which T2 reports.
///
/// # Errors
///
/// When the store fails.
pub fn requests_arrived(store: &mut dyn Store, places: &Places<'_>) -> Result<bool, StepError> {
    for transit in places.values() {
        let (Ok(arrived), Ok(room)) = (transit.arrived(), WaitingRoom::of(*transit)) else {
            return Ok(true);
        };
        if !arrived.is_empty() || !ready(store, &room)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
