//! Seals the answers of T2, and sends them.

use std::collections::BTreeMap;

use dirsync_carrier::{Outgoing, Transit, together};
use dirsync_directory::PostofficeName;
use dirsync_message::Update;
use dirsync_seal::MessageName;

use super::ProcessReport;
use crate::alarm::Refusal;
use crate::peers::Peer;
use crate::sealing::{CarriedBody, Letter};
use crate::step::place::Failures;
use crate::step::transport::update_name;
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
}

impl<'a> Post<'a> {
    pub(super) fn new(report: &'a mut ProcessReport) -> Self {
        Self { routes: BTreeMap::new(), report, unsent: Vec::new() }
    }

    pub(super) fn add_route(&mut self, name: &PostofficeName, route: Route<'a>) {
        self.routes.insert(name.clone(), route);
    }

    /// Sends one body under several heads. An addressee that cannot be reached delays no other: its answer is
    /// kept as unsent, and nothing more is sent to it in this step.
    ///
    /// # Errors
    ///
    /// If a head cannot be sealed.
    pub(super) fn send<'h>(
        &mut self,
        around: &Surroundings,
        heads: impl IntoIterator<Item = &'h Update>,
        body: &CarriedBody,
    ) -> Result<(), StepError> {
        let mut failures = Failures(&mut self.report.failed);
        let (mut routes, mut letters) = (Vec::new(), Vec::new());
        for head in heads {
            let Some(route) = self.routes.get(&head.to) else { continue };
            // Nobody could open a message to a machine whose key is not known.
            let Some(peer) = route.peer_for(head) else { continue };
            if failures.is_cut_off(&route.place, &head.to) {
                self.unsent.push(head.clone());
            } else {
                routes.push(route);
                letters.push((peer, head));
            }
        }
        let sealed =
            together(letters, around.threads, |(peer, head)| seal(around, head, body, peer));
        let mut by_place: BTreeMap<&str, (&dyn Transit, Vec<Sealed<'_>>)> = BTreeMap::new();
        for (route, sealed) in routes.into_iter().zip(sealed) {
            by_place.entry(&route.place).or_insert((route.transit, Vec::new())).1.push(sealed?);
        }
        for (place, (transit, sealed)) in by_place {
            let outgoing: Vec<_> = sealed.iter().map(|sealed| sealed.outgoing(body)).collect();
            for (sealed, sent) in sealed.iter().zip(transit.send_all(&outgoing)) {
                match sent {
                    Ok(bytes) => {
                        self.report.messages += 1;
                        self.report.bytes += bytes;
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
    fn outgoing<'s>(&'s self, body: &'s CarriedBody) -> Outgoing<'s> {
        let Self { head, name, front } = self;
        let (from, to, epoch) = (&head.from, &head.to, name.epoch());
        let (number, part) = (name.number(), name.part());
        Outgoing { from, to, epoch, number, part, front, body: &body.bytes }
    }
}

fn seal<'h>(
    around: &Surroundings,
    head: &'h Update,
    body: &CarriedBody,
    peer: &Peer,
) -> Result<Sealed<'h>, StepError> {
    let name = update_name(head).ok_or(StepError::NoName)?;
    let (text, body) = (head.to_text(), &body.sealed);
    let letter = Letter { to: peer, name: &name, head: &text, body, first_contact: None };
    let front = around.sealing.front(&letter)?;
    Ok(Sealed { head, name, front })
}
