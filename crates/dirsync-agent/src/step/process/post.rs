//! Seals the answers of T2, and sends them.

use std::collections::BTreeMap;

use dirsync_carrier::{Body, Outgoing, Transit, together};
use dirsync_directory::PostofficeName;
use dirsync_message::Update;
use dirsync_seal::{BodyPlace, MessageName};
use dirsync_transit::{BodiesError, FrozenBody};

use super::ProcessReport;
use crate::alarm::Refusal;
use crate::peers::Peer;
use crate::sealing::{CarriedBody, Letter};
use crate::step::place::{Failures, PlaceFailure};
use crate::step::transport::update_name;
use crate::step::under_way::{NamedBody, freeze_first, freeze_next, is_inline, named_for};
use crate::step::{StepError, Surroundings};

/// How a requestor is reached.
pub(super) struct Route<'a> {
    pub place: String,
    pub transit: &'a dyn Transit,
    /// `None` if it was never admitted.
    pub peer: Option<Peer>,
    /// A machine of its name that was not admitted, if it is to be told so.
    pub not_admitted: Option<Peer>,
}

impl Route<'_> {
    /// The machine that an update addresses. `None` if its key is not known.
    fn peer_for(&self, update: &Update) -> Option<&Peer> {
        if is_refusal(update) { self.not_admitted.as_ref() } else { self.peer.as_ref() }
    }
}

/// Whether an update tells a machine that it is not admitted.
pub(super) fn is_refusal(update: &Update) -> bool {
    update.side.and_then(Refusal::of).is_some()
}

/// The routes to the requestors, and the answers that could not be sent.
pub(super) struct Post<'a> {
    routes: BTreeMap<PostofficeName, Route<'a>>,
    /// Counts messages that are sent, and has the failures of places.
    pub report: &'a mut ProcessReport,
    /// The answers that could not be sent.
    pub unsent: Vec<Update>,
}

/// An answer that is sealed.
struct Sealed<'h> {
    head: &'h Update,
    name: MessageName,
    front: Vec<u8>,
    body: NamedBody,
}

/// The body of an answer.
#[derive(Clone, Copy)]
pub(super) enum AnswerBody<'b> {
    /// It was made for this answer.
    Made(&'b CarriedBody),
    /// It was made for an earlier one, and is on its way.
    UnderWay(&'b FrozenBody),
}

impl AnswerBody<'_> {
    /// The bytes in the file of a message with the body inline, and with the body apart.
    fn bytes(self) -> (Body, Body) {
        match self {
            Self::Made(body) => (body.bytes.clone(), Body::default()),
            Self::UnderWay(_) => <(Body, Body)>::default(),
        }
    }

    /// The body as the answer names it. A long one begins to travel over a slow line, after the parts before it.
    fn named(
        self,
        around: &Surroundings,
        transit: &dyn Transit,
        head: &Update,
    ) -> Result<NamedBody, BodiesError> {
        let body = match self {
            Self::UnderWay(body) => return Ok(NamedBody::apart(body)),
            Self::Made(body) => body,
        };
        let is_later_part = head.body.as_ref().is_some_and(|body| body.part > 1);
        // An answer to another machine of the name does not stop those to the one that is admitted.
        let replaces = head.side.is_none() && (head.body.is_some() || head.own.is_some());
        let is_first = replaces && !is_later_part;
        if is_inline(transit, body) {
            if transit.is_slow() && is_first {
                around.outbox.thaw(&head.to)?;
            }
            Ok(NamedBody::inline(body))
        } else if is_first {
            freeze_first(around, &head.to, head.to_text(), body)
        } else {
            freeze_next(around, &head.to, head.to_text(), body)
        }
    }
}

impl<'a> Post<'a> {
    pub(super) fn new(report: &'a mut ProcessReport) -> Self {
        Self { routes: BTreeMap::new(), report, unsent: Vec::new() }
    }

    pub(super) fn add_route(&mut self, name: &PostofficeName, route: Route<'a>) {
        self.routes.insert(name.clone(), route);
    }

    /// Sends one body under several heads. Over a slow line a long one travels by itself. An addressee that cannot be reached delays no other: its answer is
    /// kept as unsent, and nothing more is sent to it in this step.
    ///
    /// # Errors
    ///
    /// If a head cannot be sealed.
    pub(super) fn send<'h>(
        &mut self,
        around: &Surroundings,
        heads: impl IntoIterator<Item = &'h Update>,
        body: AnswerBody<'_>,
    ) -> Result<(), StepError> {
        let mut failures = Failures(&mut self.report.failed);
        let (mut routes, mut letters) = (Vec::new(), Vec::new());
        for head in heads {
            let Some(route) = self.routes.get(&head.to) else { continue };
            // Nobody could open a message to a machine whose key is not known.
            let Some(peer) = route.peer_for(head) else { continue };
            if failures.is_cut_off(&route.place, &head.to) {
                self.unsent.push(head.clone());
                continue;
            }
            match body.named(around, route.transit, head) {
                Ok(named) => {
                    routes.push(route);
                    letters.push((peer, head, named));
                }
                Err(error) => {
                    let (place, to) = (route.place.clone(), Some(head.to.clone()));
                    let (unreachable, text) = (false, error.to_string());
                    failures.add_text(PlaceFailure { place, to, unreachable, text });
                    self.unsent.push(head.clone());
                }
            }
        }
        let sealed = together(letters, around.threads, |(peer, head, named)| {
            seal(around, head, named, peer)
        });
        let mut by_place: BTreeMap<&str, (&dyn Transit, Vec<Sealed<'_>>)> = BTreeMap::new();
        for (route, sealed) in routes.into_iter().zip(sealed) {
            by_place.entry(&route.place).or_insert((route.transit, Vec::new())).1.push(sealed?);
        }
        for (place, (transit, sealed)) in by_place {
            let bytes = body.bytes();
            let outgoing: Vec<_> = sealed.iter().map(|sealed| sealed.outgoing(&bytes)).collect();
            for (sealed, sent) in sealed.iter().zip(transit.send_all(&outgoing)) {
                match sent {
                    Ok(bytes) => {
                        self.report.messages += 1;
                        self.report.bytes += bytes;
                        if sealed.body.place == BodyPlace::Apart {
                            around.outbox.name_for(&sealed.head.to, &named_for(sealed.head))?;
                        }
                    }
                    Err(error) => {
                        failures.add(place, Some(&sealed.head.to), &error);
                        self.unsent.push(sealed.head.clone());
                    }
                }
            }
        }
        Ok(())
    }
}

impl Sealed<'_> {
    /// The message. A body that travels apart is not in its file.
    fn outgoing<'s>(&'s self, inline: &'s (Body, Body)) -> Outgoing<'s> {
        let Self { head, name, front, body } = self;
        let body = if body.place == BodyPlace::Inline { &inline.0 } else { &inline.1 };
        let (from, to, epoch) = (&head.from, &head.to, name.epoch());
        let (number, part) = (name.number(), name.part());
        Outgoing { from, to, epoch, number, part, front, body }
    }
}

fn seal<'h>(
    around: &Surroundings,
    head: &'h Update,
    body: NamedBody,
    peer: &Peer,
) -> Result<Sealed<'h>, StepError> {
    let name = update_name(head).ok_or(StepError::NoName)?;
    let holds = around.outbox.holds(&head.to)?;
    let letter = Letter {
        to: peer,
        name: &name,
        head: &head.to_text(),
        body: &body.sealed,
        place: body.place,
        holds: &holds,
        first_contact: None,
    };
    let front = around.sealing.front(&letter)?;
    Ok(Sealed { head, name, front, body })
}
