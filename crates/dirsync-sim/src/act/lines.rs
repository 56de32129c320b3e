//! Lines of a world: the shipped exchange moves the pieces of bodies that travel apart from their letters.

use std::collections::BTreeMap;

use dirsync_agent::exchange::{Exchange, ExchangeError, Exchanged, NoMessages};
use dirsync_agent::known_peers::KnownPeers;
use dirsync_carrier::{Carrier, CarrierErrorKind};
use dirsync_testing::{Line, LinePlace};
use dirsync_transit::Outbox;

use crate::check::Checked;
use crate::naming::{SERVER, name_of, postoffice};
use crate::network::Letter;
use crate::world::{World, site_of};

/// The line of a postoffice.
#[derive(Clone, Default)]
pub(crate) struct WorldLine {
    /// The place at its end, at which the server is.
    pub place: LinePlace,
    /// How many bytes it passes each time that it is used without being told. All for `None`.
    pub rate: Option<u64>,
}

impl WorldLine {
    fn fork(&self) -> Self {
        Self { place: self.place.fork(), rate: self.rate }
    }
}

/// The lines, by the names of postoffices.
pub(crate) type Lines = BTreeMap<String, WorldLine>;

impl World {
    /// Whether a postoffice is behind a line.
    pub fn is_slow(&self, name: &str) -> bool {
        self.setup.slow.contains(name)
    }

    /// The line of a machine is up until `bytes` bytes have passed, and then a server looks at the place. Pieces that
    /// are still there may get lost. Servers or machines that share a place take the pieces from each other.
    pub(super) fn line_step(
        &mut self,
        machine: &str,
        bytes: u64,
        server: &str,
        lost: bool,
    ) -> Checked<bool> {
        if !self.is_slow(name_of(machine)) || !self.has_machine(machine) {
            return Ok(false);
        }
        self.use_line(machine, bytes)?;
        let live = self.live_servers();
        let server = live.iter().find(|live| *live == server).or(live.first()).cloned();
        if let Some(server) = server {
            self.look_at_place(&server, name_of(machine))?;
        }
        if lost {
            self.line(name_of(machine)).place.lose(|_| true);
        }
        self.deliver_posted();
        Ok(true)
    }

    /// Sets the number of bytes that a line passes each time it is up.
    pub(super) fn set_rate(&mut self, name: &str, rate: Option<u64>) -> bool {
        let is_new = self.is_slow(name) && self.line(name).rate != rate;
        if is_new {
            self.line(name).rate = rate;
        }
        is_new
    }

    /// All lines pass everything.
    pub(crate) fn widen_lines(&mut self) {
        self.lines.values_mut().for_each(|line| line.rate = None);
    }

    pub(super) fn line(&mut self, name: &str) -> &mut WorldLine {
        self.lines.entry(name.to_owned()).or_default()
    }

    /// The line of a machine passes at most `bytes` bytes. Returns whether it was cut off. As in the program, a postoffice that
    /// is fenced or removed fetches nothing: it may be a copy, and another one waits for the pieces.
    pub(super) fn use_line(&mut self, machine: &str, bytes: u64) -> Checked<bool> {
        if !self.is_live(machine) {
            return Ok(false);
        }
        let name = name_of(machine).to_owned();
        let line = Line::new(&self.line(&name).place, &postoffice(&name), bytes);
        self.exchange(machine, SERVER, &line)
    }

    /// A server fetches the pieces at the place of a postoffice, and leaves others; a fenced one does not.
    pub(super) fn look_at_place(&mut self, server: &str, name: &str) -> Checked<()> {
        if self.server_state(server).fenced {
            return Ok(());
        }
        let line = Line::local(&self.line(name).place, &postoffice(SERVER));
        self.exchange(server, name, &line).map(|_| ())
    }

    /// All that a machine's line has to pass, which its copies may have taken before.
    pub(crate) fn use_own_line(&mut self, machine: &str) -> Checked<()> {
        if self.is_slow(name_of(machine)) {
            self.use_line(machine, u64::MAX)?;
        }
        Ok(())
    }

    /// The same of a server, at the places of all who are behind lines.
    pub(super) fn look_at_all_places(&mut self, server: &str) -> Checked<()> {
        let slow = self.names().into_iter().filter(|name| self.is_slow(name));
        slow.collect::<Vec<_>>().iter().try_for_each(|name| self.look_at_place(server, name))
    }

    /// What is on its way over lines passes them, as far as their rates allow. As in a cycle each letter is delivered to
    /// all machines of a name and to all servers, each piece is.
    pub(crate) fn use_all_lines(&mut self) -> Checked<()> {
        for _ in 0..2 {
            let slow = self.names().into_iter().filter(|name| self.is_slow(name));
            for name in slow.collect::<Vec<_>>() {
                let mut machines = self.machines();
                machines.retain(|machine| name_of(machine) == name);
                let bytes = self.line(&name).rate.unwrap_or(u64::MAX);
                let before = self.line(&name).place.fork();
                for (nth, machine) in machines.iter().enumerate() {
                    if nth > 0 {
                        let copy = Line::new(&before.fork(), &postoffice(&name), bytes);
                        self.receive(machine, SERVER, &copy)?;
                    }
                    self.use_line(machine, bytes)?;
                }
                let before = self.line(&name).place.fork();
                for (nth, server) in self.live_servers().iter().enumerate() {
                    if nth > 0 {
                        let copy = Line::local(&before.fork(), &postoffice(SERVER));
                        self.receive(server, &name, &copy)?;
                    }
                    self.look_at_place(server, &name)?;
                }
            }
        }
        Ok(())
    }

    /// Whether anything is on its way over a line.
    pub(crate) fn lines_have_work(&mut self) -> bool {
        let slow = self.names().into_iter().filter(|name| self.is_slow(name));
        slow.collect::<Vec<_>>().iter().any(|name| {
            let waits =
                |at: &str, to: &str| outbox_of(self, at).has_next(&postoffice(to)).unwrap_or(true);
            let machine = format!("{name}1");
            let waits = waits(&machine, SERVER) || waits("s1", name);
            waits || !self.line(name).place.names().is_empty()
        })
    }

    /// Fetches and leaves pieces. Returns whether the line was cut off.
    fn exchange(&mut self, at: &str, to: &str, line: &Line) -> Checked<bool> {
        self.work_at(at, to, line, |exchange, done| exchange.run(done, &mut |_| true))
    }

    fn receive(&mut self, at: &str, to: &str, line: &Line) -> Checked<bool> {
        self.work_at(at, to, line, |exchange, done| exchange.receive(done, &mut |_| true))
    }

    fn work_at(
        &mut self,
        at: &str,
        to: &str,
        line: &dyn Carrier,
        work: impl FnOnce(&Exchange<'_>, &mut Exchanged) -> Result<(), ExchangeError>,
    ) -> Checked<bool> {
        let around = self.around(at);
        let sealing = &*around.sealing;
        let peers = self.read(at, |tables| KnownPeers::read(tables, sealing));
        let exchange = Exchange {
            carrier: line,
            bodies: None,
            messages: &NoMessages,
            outbox: &around.outbox,
            sealing,
            peers: &peers,
            to: &[postoffice(to)],
            pieces_to: &[postoffice(to)],
            probes: &[],
            clock: &|| around.now,
        };
        let mut done = Exchanged::default();
        let worked = work(&exchange, &mut done);
        if let Some((file, why)) = done.refused.first() {
            return Err(format!("a piece was refused at {at}: {}: {why}", file.name));
        }
        match worked {
            Ok(()) => Ok(false),
            Err(ExchangeError::Carrier(error)) if error.kind == CarrierErrorKind::CutOff => {
                Ok(true)
            }
            Err(error) => Err(format!("an exchange at {at} failed: {error}")),
        }
    }

    /// Whether the body of a letter is with it, or has come to a site.
    pub(crate) fn is_complete(&self, letter: &Letter, site: &str) -> bool {
        let Some(body) = letter.body_apart() else { return true };
        let outbox = outbox_of(self, site);
        outbox.open(&body).is_ok_and(|body| body.is_some())
    }

    /// A site loses all bodies that travel.
    pub(super) fn wipe(&mut self, at: &str) -> bool {
        match self.sites.get(site_of(at)) {
            Some(site) if !self.setup.slow.is_empty() => {
                site.bodies.clear();
                self.ghost.wiped.insert(site_of(at).to_owned());
                true
            }
            _ => false,
        }
    }
}

/// The bodies that travel to and from a site.
pub(crate) fn outbox_of(world: &World, at: &str) -> Outbox {
    match world.sites.get(site_of(at)) {
        Some(site) => Outbox::new(site.bodies.clone()),
        None => Outbox::default(),
    }
}

/// The same lines apart from these.
pub(crate) fn fork(lines: &Lines) -> Lines {
    lines.iter().map(|(name, line)| (name.clone(), line.fork())).collect()
}
