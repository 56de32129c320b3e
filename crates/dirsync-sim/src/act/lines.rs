//! Lines of a world: the shipped exchange moves the pieces of bodies that travel apart from their letters.

use dirsync_agent::exchange::{Exchange, Exchanged, NoMessages};
use dirsync_agent::known_peers::KnownPeers;
use dirsync_testing::{Line, LinePlace};
use dirsync_transit::Outbox;

use crate::check::Checked;
use crate::naming::{SERVER, name_of, postoffice};
use crate::world::{World, site_of};

impl World {
    /// Whether a postoffice is behind a line.
    pub fn is_slow(&self, name: &str) -> bool {
        self.setup.slow.contains(name)
    }

    /// The line of a machine is up until so many bytes have passed, and then the server looks at the place. Pieces that
    /// are still there may get lost.
    pub(super) fn use_line(&mut self, machine: &str, bytes: u64, lost: bool) -> Checked<bool> {
        let name = name_of(machine).to_owned();
        if !self.is_slow(&name) || !self.has_machine(machine) {
            return Ok(false);
        }
        let place = self.lines.entry(name.clone()).or_default().clone();
        // What the machine handed over before may be cut off at any byte.
        let line = Line::new(&place, &postoffice(&name), bytes);
        self.exchange(machine, SERVER, &line)?;
        for server in self.live_servers() {
            let line = Line::local(&place, &postoffice(SERVER));
            self.exchange(&server, &name, &line)?;
        }
        if lost {
            place.lose(|_| true);
        }
        Ok(true)
    }

    /// Everything that is on its way over lines passes them.
    pub(crate) fn use_all_lines(&mut self) -> Checked<()> {
        for machine in self.machines() {
            for _ in 0..2 {
                self.use_line(&machine, u64::MAX, false)?;
            }
        }
        Ok(())
    }

    fn exchange(&mut self, at: &str, to: &str, line: &Line) -> Checked<()> {
        let around = self.around(at);
        let sealing = &*around.sealing;
        let peers = self.read(at, |tables| KnownPeers::read(tables, sealing));
        let exchange = Exchange {
            carrier: line,
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
        // A line that is cut off is no failure of the world.
        let _ = exchange.run(&mut done, &mut |_| true);
        match done.refused.first() {
            Some((file, why)) => Err(format!("a piece was refused at {at}: {}: {why}", file.name)),
            None => Ok(()),
        }
    }

    /// A site loses all bodies that travel.
    pub(super) fn wipe(&mut self, at: &str) -> bool {
        match self.sites.get(site_of(at)) {
            Some(site) if !self.setup.slow.is_empty() => {
                site.bodies.clear();
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

/// The places at the ends of lines, by the names of postoffices.
pub(crate) type Lines = std::collections::BTreeMap<String, LinePlace>;

/// The same places apart from these.
pub(crate) fn fork(lines: &Lines) -> Lines {
    lines.iter().map(|(name, place)| (name.clone(), place.fork())).collect()
}
