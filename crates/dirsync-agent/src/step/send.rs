//! T1: a requestor sends a request.

use std::collections::BTreeSet;

use dirsync_carrier::{Body, Outgoing, Transit, TransitError};
use dirsync_message::{Health, Request, RequestKind};
use dirsync_protocol::context::{Draws, Event};
use dirsync_protocol::requestor::{make_request, verify_list, visit_request_body};
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::RequestorState;
use dirsync_seal::{FirstContact, MessageName};
use dirsync_store::Store;
use dirsync_transit::FrozenBody;

use super::place::Failures;
use super::transport::{encode_body, request_name};
use super::under_way::{NamedBody, freeze_first, holds, is_inline, own_part_under_way};
use super::{Interrupted, PlaceFailure, Sent, StepError, Surroundings, Ways, commit, reported};
use crate::known_peers::first_contact;
use crate::peers::Peer;
use crate::route::{Routes, Tried};
use crate::sealing::{CarriedBody, Letter};

/// The work of T1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendReport {
    /// The events of the step, which the log has.
    pub events: Vec<Event>,
    /// The number of the request; `None` if this postoffice may not send, or no place took it.
    pub request: Option<u64>,
    /// Own transactions in it.
    pub transactions: u64,
    /// Bytes of the message file.
    pub bytes: u64,
    /// The place that took it.
    pub sent: BTreeSet<Sent>,
    /// The failures of places. If no place took the request, the next run sends another one.
    pub failed: Vec<PlaceFailure>,
}

/// After this many requests without an answer it is not believed any more that the server knows no newer key than
/// the database says: a copy of the database may have taken its place.
const UNANSWERED_MAX: u64 = 3;
/// The step's name in the log.
const STEP: Row = Row::T1;

/// Sends a request to the directory server, with own changes and the point that the list has reached. It goes
/// through the first of `ways` that takes it, up to the one in use ([`crate::route`]).
///
/// With `verify` the digest of the list is computed from its content, not taken from the running sums, so
/// that a byte that changed on disk is found and repaired.
///
/// # Errors
///
/// See [`Interrupted`].
pub fn send(
    store: &mut dyn Store,
    ways: &Ways<'_>,
    around: &Surroundings,
    verify: bool,
) -> Result<SendReport, Interrupted<SendReport>> {
    reported(|report: &mut SendReport| {
        let Some(request) = make(store, ways, around, verify, report)? else { return Ok(()) };
        let name = request_name(&request.head).ok_or(StepError::NoName)?;
        let to = &request.head.to;
        for (at, (place, transit)) in ways.iter().enumerate() {
            if !request.tried.contains(at, *transit) {
                continue;
            }
            match request.send(around, &name, *transit)? {
                Ok(bytes) => {
                    (report.request, report.bytes) = (Some(request.head.number.0), bytes);
                    report.sent.insert(Sent { to: to.clone(), place: (*place).to_owned() });
                    return Ok(());
                }
                Err(error) => {
                    Failures(&mut report.failed).add(place, Some(to), &error);
                }
            }
        }
        send_again(store)
    })
}

/// A request that is ready to be sent.
struct Made {
    head: Request,
    body: OwnBody,
    server: Peer,
    /// The ways that are tried.
    tried: Tried,
    /// The proof of the invitation. It travels with every request, because a server that was put back may not
    /// know the key any more.
    first_contact: Option<FirstContact>,
}

/// The body of a request.
enum OwnBody {
    Made(CarriedBody),
    /// That of an earlier request, which is on its way.
    UnderWay(FrozenBody),
}

impl Made {
    /// Sends it through one way.
    fn send(
        &self,
        around: &Surroundings,
        name: &MessageName,
        transit: &dyn Transit,
    ) -> Result<Result<u64, TransitError>, StepError> {
        let (body, inline) = self.leave_body(around, transit)?;
        let front = self.seal(around, name, &body)?;
        Ok(transit.send(&Outgoing {
            from: &self.head.from,
            to: &self.head.to,
            epoch: name.epoch(),
            number: name.number(),
            part: name.part(),
            front: &front,
            body: &inline,
        }))
    }

    /// Lets the body leave by itself, or returns it to be sent with the message.
    fn leave_body(
        &self,
        around: &Surroundings,
        transit: &dyn Transit,
    ) -> Result<(NamedBody, Body), StepError> {
        Ok(match &self.body {
            OwnBody::UnderWay(body) => (NamedBody::apart(body), Body::default()),
            OwnBody::Made(body) if is_inline(around, transit, body) => {
                around.outbox.thaw(&self.head.to)?;
                (NamedBody::inline(body), body.bytes.clone())
            }
            OwnBody::Made(body) => {
                let head = self.head.to_text();
                (freeze_first(around, &self.head.to, head, body)?, Body::default())
            }
        })
    }

    fn seal(
        &self,
        around: &Surroundings,
        name: &MessageName,
        body: &NamedBody,
    ) -> Result<Vec<u8>, StepError> {
        let holds = holds(around, &self.head.to)?;
        let letter = Letter {
            to: &self.server,
            name,
            head: &self.head.to_text(),
            body: &body.sealed,
            place: body.place,
            holds: &holds,
            first_contact: self.first_contact.as_ref(),
        };
        Ok(around.sealing.front(&letter)?)
    }
}

/// Makes the request (C2: its number is committed before the message leaves).
fn make(
    store: &mut dyn Store,
    ways: &Ways<'_>,
    around: &Surroundings,
    verify: bool,
    report: &mut SendReport,
) -> Result<Option<Made>, StepError> {
    let mut draws = Draws::new(&around.seed);
    let mut events = Vec::new();
    let mut tables = store.begin()?;
    if verify {
        around.run(&mut draws, &mut events, |context| verify_list(&mut *tables, context))?;
    }
    let health = Health {
        version: env!("CARGO_PKG_VERSION").into(),
        held: tables.held_counts()?.iter().map(|held| held.count).sum(),
        quarantined: tables.quarantine_counts()?.iter().map(|cases| cases.count).sum(),
        clock: around.now,
    };
    let before = tables.requestor()?;
    let places: Vec<&str> = ways.iter().map(|(place, _)| *place).collect();
    let routes = Routes::load(&mut *tables)?;
    let tried = routes.tried(&places, &before.server, &around.fall_back, around.now);
    let Some((_, transit)) = ways.get(tried.in_use) else { return Ok(None) };
    let under_way = match transit.is_slow() {
        true => own_part_under_way(around, &before.server, before.epoch)?,
        false => None,
    };
    let request = around.run(&mut draws, &mut events, |context| {
        make_request(&mut *tables, context, health, under_way.as_ref().map(|(own, _)| own))
    })?;
    let made = match request {
        None => None,
        Some(head) => {
            let under_way = under_way.filter(|(own, _)| *own == head.own);
            let body = match under_way {
                Some((_, body)) => OwnBody::UnderWay(body),
                None => {
                    let level = around.level(*transit);
                    let encoded = encode_body(around, level, u64::MAX, |visit| {
                        visit_request_body(&mut *tables, &head.own, visit)
                    })?;
                    report.transactions = encoded.transactions;
                    let has_none = head.own.kind == RequestKind::WantOwn;
                    debug_assert!(!has_none || encoded.transactions == 0);
                    OwnBody::Made(encoded.body)
                }
            };
            let server = Peer::server(&mut *tables, &around.sealing.as_peer())?;
            let mut server = server.ok_or(StepError::NoServerKey)?;
            let state = tables.requestor()?;
            if state.request_no.0.saturating_sub(state.last_answer.0) > UNANSWERED_MAX {
                server.forget_confirmed(&mut *tables)?;
                around.outbox.begin_again_if_all_left(&head.to)?;
            }
            let first_contact = first_contact(&mut *tables, &*around.sealing)?;
            Some(Made { head, body, server, tried, first_contact })
        }
    };
    commit(tables, STEP, around, events, &mut report.events)?;
    Ok(made)
}

/// Makes another request due in place of one that was numbered and could not be sent.
fn send_again(store: &mut dyn Store) -> Result<(), StepError> {
    let mut tables = store.begin()?;
    let state = tables.requestor()?;
    tables.put_requestor(&RequestorState { request_due: true, ..state })?;
    Ok(tables.commit()?)
}
