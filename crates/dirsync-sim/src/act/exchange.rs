//! T1, T2 and T3 of a world: what is delivered, the shipped step, and what must hold after it.

use std::collections::BTreeMap;
use std::fmt;

use dirsync_agent::decisions::Decision;
use dirsync_agent::step::{
    Interrupted, PlaceFailure, Surroundings, answer_requests, apply, send, take_requests,
};
use dirsync_carrier::Transit;
use dirsync_directory::View;
use dirsync_message::{Instance, Mark, ServerEpoch, SrvSeq, SyncPoint};
use dirsync_protocol::context::Event;
use dirsync_protocol::row::Row;
use dirsync_protocol::server::pending;
use dirsync_seal::CHAIN_MAX;
use dirsync_testing::{Fault, all_peer_keys};
use dirsync_transit::MemoryBodies;

use crate::check::Checked;
use crate::naming::{SERVER, name_of, postoffice};
use crate::network::{Letter, Parts, Port};
use crate::step::{Claim, Delivery, Trouble};
use crate::world::{World, site_of};

/// What taking one letter came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The step failed, as it had reason to.
    pub failed: bool,
    /// It was refused and set aside.
    pub refused: bool,
    /// The list would not have matched its digest.
    pub digest_failed: bool,
    /// The list was changed.
    pub list_changed: bool,
}

impl World {
    /// T1. Returns whether something was sent.
    ///
    /// # Errors
    ///
    /// When the step fails without a reason.
    pub fn send(&mut self, machine: &str, trouble: Trouble) -> Checked<bool> {
        let (around, port) = (self.around(machine), self.port_of(machine, name_of(machine)));
        self.network.answering(Parts::One, None);
        let before = self.network.posted();
        let sent = self.troubled(machine, trouble, |world| {
            send(world.site(machine), &[(name_of(machine), &port)], &around, true)
        })?;
        if let Some(report) = sent {
            self.ghost.damaged.remove(machine);
            self.note(machine, report.events);
            failed_with_reason(machine, trouble, &report.failed)?;
        }
        Ok(self.network.posted() > before || trouble != Trouble::None)
    }

    /// The access of a machine to the place of a postoffice.
    fn port_of(&self, machine: &str, name: &str) -> Port {
        self.network.port(machine).with_bodies(self.bodies_of(machine, name))
    }

    /// The bodies that a machine sends to a postoffice, or gets from it, over its line.
    pub(crate) fn bodies_of(&self, machine: &str, name: &str) -> Option<&MemoryBodies> {
        let site = self.sites.get(site_of(machine))?;
        self.is_slow(name).then_some(&site.bodies)
    }

    /// Runs a shipped step that may be disturbed; none where it failed and had reason to.
    fn troubled<R: fmt::Debug>(
        &mut self,
        at: &str,
        trouble: Trouble,
        step: impl FnOnce(&mut Self) -> Result<R, Interrupted<R>>,
    ) -> Checked<Option<R>> {
        match trouble {
            Trouble::None => {}
            Trouble::Dies(n) => self.site(at).store.faults.plan(Fault::Operation(n)),
            Trouble::Breaks(n) => self.network.break_after(Some(n)),
        }
        let result = step(self);
        self.site(at).store.faults.plan(Fault::None);
        self.network.break_after(None);
        match result {
            Ok(done) => Ok(Some(done)),
            Err(_) if trouble != Trouble::None || self.site(at).store.full => Ok(None),
            Err(error) => Err(format!("a step at {at} failed: {error}")),
        }
    }

    /// T2, first half, for one letter; the letter is delivered as it is.
    ///
    /// # Errors
    ///
    /// When the step fails without a reason.
    pub fn take_request(&mut self, server: &str, letter: &Letter) -> Checked<Taken> {
        self.take_request_with(server, letter, Trouble::None)
    }

    fn take_request_with(
        &mut self,
        server: &str,
        letter: &Letter,
        trouble: Trouble,
    ) -> Checked<Taken> {
        let (around, port) = (self.around(server), self.network.port(server));
        self.network.deliver(server, letter.clone());
        let places = BTreeMap::from([(String::new(), &port as &dyn Transit)]);
        let taken = self.troubled(server, trouble, |world| {
            let site = world.site(server);
            let mut decisions: Vec<Decision> = std::mem::take(&mut site.decisions);
            let taken = take_requests(site, &places, &mut decisions, &around);
            site.decisions = decisions;
            taken
        })?;
        let Some(report) = taken else { return Ok(Taken { failed: true, ..Taken::default() }) };
        self.note(server, report.events);
        let failed = failed_with_reason(server, trouble, &report.failed)?;
        Ok(Taken { failed, refused: report.refused > 0, ..Taken::default() })
    }

    /// T3 for one letter; the letter is delivered as it is.
    ///
    /// # Errors
    ///
    /// When the step fails without a reason.
    pub fn take_update(&mut self, machine: &str, letter: &Letter) -> Checked<Taken> {
        self.take_update_with(machine, letter, Trouble::None)
    }

    fn take_update_with(
        &mut self,
        machine: &str,
        letter: &Letter,
        trouble: Trouble,
    ) -> Checked<Taken> {
        let (around, port) = (self.around(machine), self.port_of(machine, name_of(machine)));
        self.network.deliver(machine, letter.clone());
        let applied = self.troubled(machine, trouble, |world| {
            apply(world.site(machine), &[(name_of(machine), &port)], &around)
        })?;
        let Some(report) = applied else { return Ok(Taken { failed: true, ..Taken::default() }) };
        let digest_failed = report.events.iter().any(|event| event.row == Row::R18);
        let (refused, list_changed) = (report.refused > 0, report.list_changed);
        self.note(machine, report.events);
        let failed = failed_with_reason(machine, trouble, &report.failed)?;
        Ok(Taken { failed, refused, digest_failed, list_changed })
    }

    /// Whether a server has something to say to a postoffice.
    pub fn answer_is_due(&mut self, server: &str, name: &str) -> bool {
        self.read(server, |tables| pending(tables)).contains(&postoffice(name))
    }

    /// T2, second half, for some postoffices.
    ///
    /// # Errors
    ///
    /// When the step fails without a reason, or replaces a list without any fault.
    pub fn answer(
        &mut self,
        server: &str,
        names: &[String],
        parts: Parts,
        trouble: Trouble,
    ) -> Checked<()> {
        self.open_server(server)?;
        let published = self.published(server);
        self.network.answering(parts, Some(published));
        let around = Surroundings { part_bytes_max: parts.bytes_max(), ..self.around(server) };
        let ports: Vec<(String, Port)> =
            names.iter().map(|name| (name.clone(), self.port_of(server, name))).collect();
        let places: BTreeMap<String, &dyn Transit> =
            ports.iter().map(|(name, port)| (name.clone(), port as &dyn Transit)).collect();
        let (known, push) = (self.network.posted(), self.setup.push);
        let answered = self.troubled(server, trouble, |world| {
            answer_requests(world.site(server), &places, &around, push)
        })?;
        self.network.answering(Parts::One, None);
        if let Some(report) = answered {
            self.note(server, report.events);
            failed_with_reason(server, trouble, &report.failed)?;
        }
        self.check_no_repair(known)?;
        self.check_server(server)
    }

    pub(super) fn take_step(
        &mut self,
        name: &str,
        at: usize,
        server: &str,
        delivery: Delivery,
        trouble: Trouble,
    ) -> Checked<bool> {
        if !self.sites.contains_key(server) {
            return Ok(false);
        }
        let Some(letter) = self.letter_to_deliver(true, name, at, delivery) else {
            return Ok(false);
        };
        self.deliver_request(server, &letter, trouble)?;
        if delivery == Delivery::Twice {
            self.take_request(server, &letter)?;
        }
        self.put_back_undelivered(server, delivery);
        Ok(true)
    }

    pub(super) fn apply_step(
        &mut self,
        machine: &str,
        at: usize,
        delivery: Delivery,
        trouble: Trouble,
    ) -> Checked<bool> {
        if !self.can_send(machine) {
            return Ok(false);
        }
        let Some(letter) = self.letter_to_deliver(false, name_of(machine), at, delivery) else {
            return Ok(false);
        };
        self.deliver_update(machine, &letter, trouble)?;
        if delivery == Delivery::Twice {
            self.take_update(machine, &letter)?;
        }
        self.put_back_undelivered(machine, delivery);
        Ok(true)
    }

    pub(super) fn answer_step(
        &mut self,
        name: &str,
        server: &str,
        parts: Parts,
        trouble: Trouble,
    ) -> Checked<bool> {
        if !self.live_servers().iter().any(|live| live == server)
            || !self.answer_is_due(server, name)
        {
            return Ok(false);
        }
        self.answer(server, &[name.to_owned()], parts, trouble)?;
        Ok(true)
    }

    /// The oldest request of a postoffice is written anew, as somebody can who has its key: it claims to
    /// know of the server what the server never said.
    pub(super) fn claim_without_evidence(&mut self, name: &str, claim: Claim) -> Checked<bool> {
        let Some(server) = self.live_servers().first().cloned() else { return Ok(false) };
        let number = self.network.numbers(true, name).first().copied();
        let Some(letter) = number.and_then(|number| self.network.take(number)) else {
            return Ok(false);
        };
        let (state, mut request) = (self.server_state(&server), letter.request());
        let generation = state.epoch.generation + 1;
        let later = ServerEpoch { generation, random: 1, ..state.epoch };
        match claim {
            Claim::Epoch => request.epoch_heard = Some(later),
            Claim::Instance => {
                request.epoch_heard = Some(ServerEpoch { instance: Instance(9), ..later });
            }
            Claim::Point => {
                let view = request.point.map_or(View::default().hash(), |point| point.view);
                let (epoch, srv_seq) = (state.epoch, SrvSeq(state.head.0 + 1000));
                let never = SyncPoint { epoch, srv_seq, mark: Mark(1), view, complete: true };
                request.point = Some(never);
                // The list is replaced, or would be: the point is not the one at which it stands.
                self.ghost.faulty = true;
            }
        }
        self.network.put_back(letter.with_head(request.to_text()));
        Ok(true)
    }

    /// A whole cycle of one folder: what lies in its inbox is taken, and what the step leaves there
    /// stays for the folder's copies.
    pub(super) fn turn(&mut self, at: &str) -> Checked<bool> {
        if self.has_machine(at) {
            self.use_own_line(at)?;
            self.take_inbox(at)?;
            self.read_sources(at)?;
            self.send(at, Trouble::None)?;
            self.use_own_line(at)?;
            return Ok(true);
        }
        if !at.starts_with('s') || !self.sites.contains_key(at) {
            return Ok(false);
        }
        let own = format!("{SERVER}{}", &at[1..]);
        let takes_part = self.has_machine(&own);
        if takes_part {
            self.send(&own, Trouble::None)?;
        }
        self.look_at_all_places(at)?;
        for name in self.names() {
            for number in self.network.numbers(true, &name) {
                self.take_from_inbox(at, number)?;
            }
        }
        self.answer(at, &self.names(), Parts::One, Trouble::None)?;
        self.look_at_all_places(at)?;
        if takes_part {
            self.take_inbox(&own)?;
        }
        Ok(true)
    }

    /// T3 with all that lies in the inbox of a machine, which its copies share.
    pub(super) fn take_inbox(&mut self, machine: &str) -> Checked<()> {
        for number in self.network.numbers(false, name_of(machine)) {
            let known = self.network.numbers(false, name_of(machine)).len();
            let letter = self.take_from_inbox(machine, number)?;
            if self.network.numbers(false, name_of(machine)).len() < known {
                self.travelled += letter.map_or(0, |letter| letter.travelled());
            }
        }
        Ok(())
    }

    /// T2 or T3 with a letter that is under way, unless its body is: the shipped queue keeps it until that has come. The
    /// letter that was delivered; it is under way again if the step leaves it in the inbox.
    pub(super) fn take_from_inbox(&mut self, at: &str, number: u64) -> Checked<Option<Letter>> {
        let letter = self.network.letter(number);
        let Some(letter) = letter.filter(|letter| self.is_complete(letter, at)) else {
            return Ok(None);
        };
        self.network.take(number);
        if letter.is_request {
            self.deliver_request(at, &letter, Trouble::None)?;
        } else {
            self.deliver_update(at, &letter, Trouble::None)?;
        }
        self.put_back_undelivered(at, Delivery::Whole);
        Ok(Some(letter))
    }

    /// The letter that a step delivers, as it arrives.
    fn letter_to_deliver(
        &mut self,
        is_request: bool,
        name: &str,
        at: usize,
        delivery: Delivery,
    ) -> Option<Letter> {
        let number = self.network.numbers(is_request, name).get(at).copied()?;
        let mut letter = match delivery {
            Delivery::Keep => self.network.letter(number)?,
            _ => self.network.take(number)?,
        };
        let place = |thousandths: u64, file: &[u8]| {
            usize::try_from(file.len() as u64 * thousandths.min(999) / 1000).unwrap_or(0)
        };
        match delivery {
            Delivery::Cut(at) => letter.file.truncate(place(at, &letter.file)),
            Delivery::Flip(at) => {
                let place = place(at, &letter.file);
                if let Some(byte) = letter.file.get_mut(place) {
                    *byte ^= 1 << (at % 8);
                }
            }
            Delivery::Whole | Delivery::Keep | Delivery::Twice => {}
        }
        Some(letter)
    }

    /// What a step did not set aside, as it failed, arrives again.
    fn put_back_undelivered(&mut self, at: &str, delivery: Delivery) {
        for letter in self.network.take_delivered(at) {
            if delivery != Delivery::Keep {
                self.network.put_back(letter);
            }
        }
    }

    /// T2 with its checks.
    ///
    /// # Errors
    ///
    /// When an invariant is broken.
    pub fn deliver_request(
        &mut self,
        server: &str,
        letter: &Letter,
        trouble: Trouble,
    ) -> Checked<()> {
        let before = self.submitted_stamps(server, &letter.name);
        let taken = self.take_request_with(server, letter, trouble)?;
        self.check_key(server, letter, &taken)?;
        self.note_split(server, &letter.name, &before);
        self.check_stamps(server, &letter.name, &before)?;
        if self.server_state(server).fenced {
            self.relieve();
        }
        self.check_server(server)?;
        if taken.failed || taken.refused || !self.site(server).store.is_in_memory() {
            return Ok(());
        }
        self.check_distinct(letter)?;
        let first = self.server_summary(server);
        let second = self.twice(server, |world| {
            world.take_request(server, letter)?;
            Ok(world.server_summary(server))
        })?;
        if first == second { Ok(()) } else { Err("I4: a request was taken twice".into()) }
    }

    /// T3 with its checks.
    ///
    /// # Errors
    ///
    /// When an invariant is broken.
    pub fn deliver_update(
        &mut self,
        machine: &str,
        letter: &Letter,
        trouble: Trouble,
    ) -> Checked<()> {
        let before = crate::check::list_of(self.site(machine));
        let live = self.is_live(machine);
        let taken = self.take_update_with(machine, letter, trouble)?;
        self.check_key(machine, letter, &taken)?;
        self.check_digests(machine)?;
        if taken.digest_failed && !self.ghost.faulty {
            return Err(format!("I5: {machine} needs a repair without any fault"));
        }
        if taken.list_changed {
            self.check_list(machine, &before, letter)?;
        }
        self.note_acknowledged(machine);
        if live && !self.is_live(machine) {
            self.relieve();
        }
        if taken.failed || taken.refused || !self.site(machine).store.is_in_memory() {
            return Ok(());
        }
        self.check_distinct(letter)?;
        let first = self.requestor_summary(machine);
        let second = self.twice(machine, |world| {
            world.take_update(machine, letter)?;
            Ok(world.requestor_summary(machine))
        })?;
        if first == second {
            Ok(())
        } else {
            Err(format!("I4: an update was applied twice at {machine}"))
        }
    }

    /// A letter is refused for its key only where one by a later key of its sender was taken (K1), or where a copy of the
    /// database was put back that knows too few of them (K4).
    fn check_key(&mut self, at: &str, letter: &Letter, taken: &Taken) -> Checked<()> {
        let sender = if letter.is_request { letter.name.as_str() } else { SERVER };
        let Some(key) = letter.signed_by().filter(|_| self.setup.sealed) else {
            return Ok(());
        };
        let site = site_of(at).to_owned();
        let Some(key) = all_peer_keys(&postoffice(sender), CHAIN_MAX as u32)
            .all()
            .position(|known| known.fingerprint() == key)
        else {
            return Ok(());
        };
        let heard = self.ghost.keys_heard.entry((site.clone(), sender.to_owned())).or_default();
        if !taken.refused {
            // A step that failed may have taken it before.
            *heard = (*heard).max(key);
            return Ok(());
        }
        let is_known = key < *heard || self.ghost.keys_lost.contains(&site);
        if is_known || self.ghost.gone.contains(sender) || !letter.is_whole() {
            return Ok(());
        }
        Err(format!("K1: a letter of {sender} by key {key} was refused at {at}"))
    }

    /// Does something that leaves no trace.
    fn twice<R>(&mut self, at: &str, again: impl FnOnce(&mut Self) -> Checked<R>) -> Checked<R> {
        let once = self.site(at).copy();
        let events: Vec<(String, Event)> = std::mem::take(&mut self.events);
        let left = self.network.take_delivered(at);
        let result = again(self);
        self.network.take_delivered(at);
        left.into_iter().for_each(|letter| self.network.deliver(at, letter));
        self.sites.insert(site_of(at).to_owned(), once);
        self.events = events;
        result
    }
}

/// Whether a place failed; it may only where the world disturbed it.
fn failed_with_reason(at: &str, trouble: Trouble, failed: &[PlaceFailure]) -> Checked<bool> {
    match failed.first() {
        Some(failure) if trouble == Trouble::None => {
            Err(format!("a step at {at} failed: {}", failure.text))
        }
        first => Ok(first.is_some()),
    }
}
