//! Cycles without faults, at the end of which everything must be as it should.

use std::collections::BTreeSet;

use dirsync_protocol::tables::Mode;

use crate::naming::name_of;
use crate::network::Parts;
use crate::step::Trouble;
use crate::world::{Checked, World};

/// In so many cycles everything has to be quiet (I13).
const CYCLES: usize = 14;
/// In this cycle a person approves the deletions that are held.
const APPROVAL: usize = 3;

impl World {
    /// Ends the faults; returns how many cycles it took until nothing travelled any more.
    ///
    /// # Panics
    ///
    /// When it does not settle.
    pub fn settle(&mut self) -> usize {
        match self.try_settle(true) {
            Ok(cycles) => cycles,
            Err(why) => panic!("{why} after {self}"),
        }
    }

    /// As [`Self::settle`]; `approving` says whether a person approves what is held.
    ///
    /// # Errors
    ///
    /// What is broken, or not in order after so many cycles.
    pub fn try_settle(&mut self, approving: bool) -> Checked<usize> {
        self.sites.values_mut().for_each(|site| site.full = false);
        let mut last = String::new();
        for cycle in 0..CYCLES {
            self.now += 1000;
            self.resume()?;
            let approve = approving && cycle == APPROVAL;
            let travelled = self.cycle(approve, Parts::One)?;
            match self.check_end() {
                Ok(()) if travelled == 0 => return Ok(cycle),
                Ok(()) => last = "I13: it never falls silent".into(),
                Err(why) => last = why,
            }
        }
        Err(format!("{last} after {CYCLES} cycles"))
    }

    /// One cycle of everybody; returns how many transactions and own sets travelled down.
    ///
    /// # Errors
    ///
    /// What is broken.
    pub fn cycle(&mut self, approve: bool, parts: Parts) -> Checked<usize> {
        for machine in self.machines() {
            if self.is_live(&machine) {
                self.read_sources(&machine)?;
            }
            self.send(&machine, Trouble::None)?;
        }
        for letter in self.network.take_all(true) {
            for server in self.live_servers() {
                self.deliver_request(&server, &letter, Trouble::None)?;
                self.network.take_delivered(&server);
            }
        }
        if approve {
            self.decide_held(true)?;
        }
        for server in self.live_servers() {
            self.answer(&server, &self.names(), parts, Trouble::None)?;
        }
        let mut travelled = 0;
        for letter in self.network.take_all(false) {
            travelled += letter.named().len() + usize::from(letter.update().own.is_some());
            for machine in self.live_machines(&letter.name) {
                self.deliver_update(&machine, &letter, Trouble::None)?;
                self.network.take_delivered(&machine);
            }
        }
        Ok(travelled)
    }

    /// Where every machine of a postoffice is fenced, a person resumes one.
    fn resume(&mut self) -> Checked<()> {
        let names: BTreeSet<String> =
            self.machines().iter().map(|machine| name_of(machine).to_owned()).collect();
        for name in names {
            if self.ghost.gone.contains(&name) || !self.live_machines(&name).is_empty() {
                continue;
            }
            if !self.ghost.doubled {
                return Err(format!("the only machine of {name} was fenced"));
            }
            let machines = self.machines();
            let Some(machine) = machines.iter().rfind(|machine| machine.starts_with(&name)) else {
                continue;
            };
            if self.state(machine).mode == Mode::Fenced {
                self.rejoin(machine);
            }
        }
        Ok(())
    }
}
