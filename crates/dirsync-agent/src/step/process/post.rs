//! Seals the answers of T2, and sends them.

use std::collections::{BTreeMap, VecDeque};

use dirsync_carrier::{Body, Outgoing, Transit, together};
use dirsync_directory::PostofficeName;
use dirsync_message::Update;
use dirsync_seal::{BodyPlace, MessageName};
use dirsync_transit::{BodiesError, FrozenBody};

use super::ProcessReport;
use crate::alarm::Refusal;
use crate::peers::Peer;
use crate::sealing::{CarriedBody, Letter};
use crate::step::place::{Failures, PlaceFailure, Sent};
use crate::step::transport::update_name;
use crate::step::under_way::{NamedBody, freeze_first, freeze_next, holds, is_inline, named_for};
use crate::step::{StepError, Surroundings};

/// A place through which a requestor is reached.
pub(super) struct Way<'a> {
    pub place: String,
    pub transit: &'a dyn Transit,
}

/// How a requestor is reached.
pub(super) struct Route<'a> {
    /// The places that have not failed in this step, the next one first. After the first part of an answer the others
    /// go the same way.
    pub ways: VecDeque<Way<'a>>,
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
        if is_inline(around, transit, body) {
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

    /// Sends one body under several heads. Over a slow line a long one travels by itself. An addressee that cannot be
    /// reached delays no other: its answer is kept as unsent, and nothing more is sent to it in this step.
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
        let mut left: Vec<&Update> = heads.into_iter().collect();
        left.retain(|head| self.can_go(head));
        // Each round tries the next place of those whose messages the last one did not take.
        while !left.is_empty() {
            left = self.send_round(around, left, body)?;
            left.retain(|head| self.can_go(head));
        }
        Ok(())
    }

    /// Whether there is a place that may still take an update. If not, it is kept as unsent, unless nobody could open
    /// it, because the key of the machine that it addresses is not known.
    fn can_go(&mut self, update: &Update) -> bool {
        let Some(route) = self.routes.get_mut(&update.to) else { return false };
        if route.peer_for(update).is_none() {
            return false;
        }
        let failures = Failures(&mut self.report.failed);
        while route.ways.front().is_some_and(|way| failures.is_cut_off(&way.place, &update.to)) {
            route.ways.pop_front();
        }
        if route.ways.is_empty() {
            self.unsent.push(update.clone());
        }
        !route.ways.is_empty()
    }

    /// Sends one body through the next place of each addressee. Returns the heads that could not be sent.
    fn send_round<'h>(
        &mut self,
        around: &Surroundings,
        heads: Vec<&'h Update>,
        body: AnswerBody<'_>,
    ) -> Result<Vec<&'h Update>, StepError> {
        let mut failures = Failures(&mut self.report.failed);
        let (mut ways, mut letters, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for head in heads {
            let Some(route) = self.routes.get(&head.to) else { continue };
            let (Some(way), Some(peer)) = (route.ways.front(), route.peer_for(head)) else {
                continue;
            };
            match body.named(around, way.transit, head) {
                Ok(named) => {
                    ways.push(way);
                    letters.push((peer, head, named));
                }
                Err(error) => {
                    let (place, to) = (way.place.clone(), Some(head.to.clone()));
                    let (unreachable, text) = (false, error.to_string());
                    failures.add_text(PlaceFailure { place, to, unreachable, text });
                    failed.push(head);
                }
            }
        }
        let sealed = together(letters, around.threads, |(peer, head, named)| {
            seal(around, head, named, peer)
        });
        let mut by_place: BTreeMap<&str, (&dyn Transit, Vec<Sealed<'_>>)> = BTreeMap::new();
        for (way, sealed) in ways.into_iter().zip(sealed) {
            by_place.entry(&way.place).or_insert((way.transit, Vec::new())).1.push(sealed?);
        }
        for (place, (transit, sealed)) in by_place {
            let bytes = body.bytes();
            let outgoing: Vec<_> = sealed.iter().map(|sealed| sealed.outgoing(&bytes)).collect();
            for (sealed, sent) in sealed.iter().zip(transit.send_all(&outgoing)) {
                let to = &sealed.head.to;
                match sent {
                    Ok(bytes) => {
                        self.report.messages += 1;
                        self.report.bytes += bytes;
                        self.report.sent.insert(Sent { to: to.clone(), place: place.to_owned() });
                        if sealed.body.place == BodyPlace::Apart {
                            around.outbox.name_for(to, &named_for(sealed.head))?;
                        }
                    }
                    Err(error) => {
                        failures.add(place, Some(to), &error);
                        failed.push(sealed.head);
                    }
                }
            }
        }
        Ok(failed)
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
    let holds = holds(around, &head.to)?;
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
