//! T3: a requestor applies updates.

use dirsync_carrier::{Arrived, Transit, TransitError};
use dirsync_directory::PostofficeName;
use dirsync_message::{Head, Side, Update};
use dirsync_protocol::context::{Draws, Event};
use dirsync_protocol::requestor::{Applied, receive};
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{Stored, Tables};
use dirsync_store::Store;

use super::left::{note_left, without_left};
use super::place::Failures;
use super::refusals::{end_day, log_refused};
use super::transport::{Incoming, Opening, Transactions, open, read};
use super::turn::Turn;
use super::{
    Interrupted, PlaceFailure, RefusedMessage, StepError, Surroundings, Ways, commit, refusal,
    reported,
};
use crate::changes::compare_with_first_list;
use crate::notes::SERVER_NOTICE;
use crate::peers::{Peer, put_server_key};
use crate::sealing::KeysShown;

/// The work of T3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// The events of the step, which the log has.
    pub events: Vec<Event>,
    /// Updates taken.
    pub updates: u64,
    /// Answers among them.
    pub answered: u64,
    /// Entries of the list written or removed.
    pub rows: u64,
    /// Whether the list changed, so that targets have to be written.
    pub list_changed: bool,
    /// Messages refused.
    pub refused: u64,
    /// Bytes of the message files taken.
    pub bytes: u64,
    /// Messages that were not looked at. The next step begins with them.
    pub left: u64,
    /// The failures of places. All other places were looked at.
    pub failed: Vec<PlaceFailure>,
}

/// The step's name in the log.
const STEP: Row = Row::T3;

/// Applies every update that has arrived in one of the places, each in one transaction.
///
/// # Errors
///
/// See [`Interrupted`]; what was taken before stays taken.
pub fn apply(
    store: &mut dyn Store,
    ways: &Ways<'_>,
    around: &Surroundings,
) -> Result<ApplyReport, Interrupted<ApplyReport>> {
    reported(|report| {
        let mut draws = Draws::new(&around.seed);
        ways.iter().try_for_each(|&(place, transit)| {
            Applying { place, transit, around, draws: &mut draws, report }.apply_all(store)
        })
    })
}

/// The updates of one place.
struct Applying<'a> {
    place: &'a str,
    transit: &'a dyn Transit,
    around: &'a Surroundings,
    draws: &'a mut Draws,
    report: &'a mut ApplyReport,
}

/// Whether a message was moved out of the inbox. A failure to move it is a failure of the place.
type Moved = Result<bool, TransitError>;

impl Applying<'_> {
    fn apply_all(mut self, store: &mut dyn Store) -> Result<(), StepError> {
        self.end_day(store)?;
        let (place, mut failures) = (self.place, Failures(&mut self.report.failed));
        let mut arrived = match self.transit.arrived() {
            Ok(arrived) => {
                let way = (place, self.transit);
                without_left(store, way, arrived, self.around, &mut failures)?
            }
            Err(error) => {
                failures.add(place, None, &error);
                Vec::new()
            }
        };
        let mut turn = Turn::begin(store, &format!("{STEP} {place}"), &mut arrived)?;
        let (mut server, mut looked_at) = (None, 0);
        for one in &arrived {
            if turn.left() == 0 {
                break;
            }
            let taken = self.report.updates;
            let peer = match &mut server {
                Some(peer) => peer,
                unknown => unknown.insert(self.server(store)?),
            };
            let mut claimed = None;
            let opening = read(self.transit, one, self.around).map(|read| {
                let message = read?;
                let from = message.claim().from;
                claimed = Some(from.clone());
                if from != peer.keys.name() {
                    return Err(Opening::Stranger(from.clone()));
                }
                Ok(open(message, &peer.keys, one, self.around))
            });
            let moved = match opening.map(|opening| opening.unwrap_or_else(|why| why)) {
                Ok(Opening::NotYet | Opening::Gone | Opening::OnItsWay) => Ok(false),
                Ok(Opening::OtherKey(_)) => self.leave(store, one)?,
                Ok(Opening::Refused(why)) => self.refuse(store, one, claimed, why)?,
                Ok(
                    Opening::Stranger(from) | Opening::NoProof(from) | Opening::WrongProof(from),
                ) => {
                    let text = format!("it is from {from}, which is not the directory server");
                    self.refuse(store, one, Some(from), RefusedMessage::Said(text))?
                }
                Ok(Opening::Message(incoming)) => match *incoming {
                    Incoming { head: Head::Update(update), body, keys, holds } => {
                        let moved = self.take(store, one, (peer, &keys), &update, body)?;
                        self.around.outbox.hear(&update.from, &holds)?;
                        // Its keys may have changed with the message.
                        server = None;
                        moved
                    }
                    Incoming { head: Head::Request(_), .. } => Ok(false),
                },
                Err(error) => Err(error),
            };
            if let Err(error) = moved
                && !Failures(&mut self.report.failed).add(place, None, &error)
            {
                break;
            }
            looked_at += 1;
            turn.count_untaken(usize::from(self.report.updates == taken));
        }
        self.report.left += turn.end(store, &arrived, looked_at)?;
        Ok(())
    }

    /// Leaves a message in the inbox, as another machine of this name may have its key.
    fn leave(&self, store: &mut dyn Store, arrived: &Arrived) -> Result<Moved, StepError> {
        let mut tables = store.begin()?;
        note_left(&mut *tables, self.place, arrived)?;
        tables.commit()?;
        Ok(Ok(false))
    }

    /// Logs how many messages the step refused the day before.
    fn end_day(&mut self, store: &mut dyn Store) -> Result<(), StepError> {
        let mut tables = store.begin()?;
        let event = end_day(&mut *tables, STEP, self.around)?;
        if event.is_some() {
            let events = event.into_iter().collect();
            commit(tables, STEP, self.around, events, &mut self.report.events)?;
        }
        Ok(())
    }

    fn server(&self, store: &mut dyn Store) -> Result<Peer, StepError> {
        let own = self.around.sealing.as_peer();
        Peer::server(&mut *store.begin()?, &own)?.ok_or(StepError::NoServerKey)
    }

    fn take(
        &mut self,
        store: &mut dyn Store,
        arrived: &Arrived,
        (server, shown): (&Peer, &KeysShown),
        update: &Update,
        mut body: Transactions,
    ) -> Result<Moved, StepError> {
        let mut events = Vec::new();
        let mut tables = store.begin()?;
        let outcome = self.around.run(self.draws, &mut events, |context| {
            let sealing = &*self.around.sealing;
            if let Some(key) = server.hear(&mut *tables, context, sealing, shown)? {
                put_server_key(&mut *tables, &key)?;
            }
            receive(&mut *tables, context, update, &mut body)
        });
        match outcome {
            Ok(applied) => {
                note_notice(&mut *tables, &applied)?;
                if applied.answered {
                    events.extend(compare_with_first_list(&mut *tables, self.around.now)?);
                }
                // C5: list, point and numbers are committed before the file goes.
                let is_for_another = applied.for_another;
                if is_for_another {
                    note_left(&mut *tables, self.place, arrived)?;
                }
                commit(tables, STEP, self.around, events, &mut self.report.events)?;
                count(self.report, applied, arrived);
                Ok(if is_for_another { Ok(false) } else { self.transit.finished(arrived) })
            }
            Err(error) => {
                drop(tables);
                self.refuse(store, arrived, Some(update.from.clone()), refusal(error)?)
            }
        }
    }

    fn refuse(
        &mut self,
        store: &mut dyn Store,
        arrived: &Arrived,
        sender: Option<PostofficeName>,
        why: RefusedMessage,
    ) -> Result<Moved, StepError> {
        let moved = self.transit.refuse(arrived, &why.to_string());
        if moved.is_ok() {
            self.report.refused += 1;
            let refused = (&[(sender, why)][..], Vec::new());
            log_refused(store, STEP, self.around, refused, &mut self.report.events)?;
        }
        Ok(moved)
    }
}

/// Notes why the server does not take this postoffice's requests, until it answers one again.
fn note_notice(tables: &mut dyn Tables, applied: &Applied) -> Stored<()> {
    if applied.notice.is_none() && !applied.answered {
        return Ok(());
    }
    tables.put_note(SERVER_NOTICE, applied.notice.map(Side::word))
}

fn count(report: &mut ApplyReport, applied: Applied, arrived: &Arrived) {
    report.updates += 1;
    report.answered += u64::from(applied.answered);
    report.rows += applied.rows;
    report.list_changed |= applied.list_changed;
    report.bytes += arrived.bytes;
}
