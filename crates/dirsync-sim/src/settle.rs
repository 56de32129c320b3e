//! Cycles without faults, at the end of which everything must be as it should.

use std::collections::BTreeSet;

use dirsync_protocol::tables::Mode;
use dirsync_testing::Random;

use crate::check::Checked;
use crate::naming::{SERVER, name_of};
use crate::network::Parts;
use crate::step::{Change, Step, Trouble};
use crate::world::World;

/// In so many cycles everything has to be quiet (I13).
const CYCLES: usize = 14;
/// In this cycle a person approves the deletions that are held.
const APPROVAL: usize = 3;
/// Copies are told apart within four cycles. A cycle takes two rounds if inboxes come before the server
/// and requests after it.
const TOLD_APART: usize = 8;
/// Copies behind a line take pieces from each other, and by chance: each round tells one in five apart, or more.
const TOLD_APART_BEHIND_LINES: usize = 64;
/// Two servers are told apart first, and then what each of them kept apart.
const TOLD_APART_AT_TWO_SERVERS: usize = 10;

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
        self.widen_lines();
        if !self.agents.is_empty() {
            return self.settle_agents();
        }
        self.sites.values_mut().for_each(|site| site.store.full = false);
        let mut last = String::new();
        let order = self.order();
        if self.setup.in_turn {
            self.change_everywhere();
        }
        let told_apart = match self.servers().len() {
            _ if !self.setup.slow.is_empty() => TOLD_APART_BEHIND_LINES,
            0 | 1 => TOLD_APART,
            _ => TOLD_APART_AT_TWO_SERVERS,
        };
        let more = if self.setup.slow.is_empty() { TOLD_APART } else { told_apart };
        let cycles = if self.setup.in_turn { CYCLES + more } else { CYCLES };
        for cycle in 0..cycles {
            self.now += 1000;
            self.resume()?;
            let approve = approving && cycle == APPROVAL;
            let travelled = if self.setup.in_turn {
                self.round(&order, approve)?
            } else {
                self.cycle(approve, Parts::One)?
            };
            if self.setup.in_turn && cycle >= told_apart {
                let in_order = || {
                    let steps: Vec<String> = order.iter().map(ToString::to_string).collect();
                    steps.join("; ")
                };
                self.check_alone().map_err(|why| format!("{why}: {}", in_order()))?;
            }
            match self.check_end() {
                Ok(()) if travelled == 0 => return Ok(cycle),
                Ok(()) => last = "I13: it never falls silent".into(),
                Err(why) => last = why,
            }
        }
        Err(format!("{last} after {cycles} cycles"))
    }

    /// The order in which folders take turns, by the seed: with one server it comes once or several
    /// times, and machines may send and apply at different times; with two each machine comes to both.
    fn order(&mut self) -> Vec<Step> {
        let mut random = Random::new(self.setup.seed);
        let mut machines: Vec<String> =
            self.machines().into_iter().filter(|machine| name_of(machine) != SERVER).collect();
        let servers = self.servers();
        if servers.len() > 1 {
            let mut order = Vec::new();
            for server in servers {
                shuffle(&mut random, &mut machines);
                order.extend(machines.iter().cloned().map(Step::Turn));
                order.push(Step::Turn(server));
            }
            return order;
        }
        let mut order = Vec::new();
        for machine in machines {
            if random.one_in(2) {
                order.push(Step::Turn(machine));
            } else {
                order.push(Step::Request(machine.clone(), Trouble::None));
                order.push(Step::Inbox(machine));
            }
        }
        for _ in 0..=random.below(3) {
            order.extend(servers.iter().cloned().map(Step::Turn));
        }
        shuffle(&mut random, &mut order);
        order
    }

    /// An entry of each machine is new: copies that never say anything could not be told apart.
    fn change_everywhere(&mut self) {
        for machine in self.machines().into_iter().filter(|machine| name_of(machine) != SERVER) {
            let key = format!("{}9{}", name_of(&machine).to_lowercase(), &machine[1..]);
            if self.can_send(&machine) {
                self.make_change(&machine, &Change::Add(key.clone(), vec![key]));
            }
        }
    }

    /// Every folder has its turn; returns how many transactions and own sets travelled down.
    fn round(&mut self, order: &[Step], approve: bool) -> Checked<usize> {
        self.travelled = 0;
        for step in order {
            self.now += 1000;
            let machine = match step {
                Step::Request(machine, _) | Step::Inbox(machine) => Some(machine),
                _ => None,
            };
            machine.map_or(Ok(()), |machine| self.use_own_line(machine))?;
            self.do_step(step)?;
            machine.map_or(Ok(()), |machine| self.use_own_line(machine))?;
            if let Some(why) = self.broken.pop() {
                return Err(why);
            }
        }
        if approve {
            self.decide_held(true)?;
        }
        Ok(self.travelled)
    }

    /// Of all copies of a folder one is left that is not fenced.
    fn check_alone(&mut self) -> Checked<()> {
        let servers = self.live_servers();
        if servers.len() != 1 {
            return Err(format!("I11: \"{}\" live after so many turns", servers.join(" ")));
        }
        for name in self.ghost.copied.clone() {
            let machines = self.live_machines(&name);
            if machines.len() != 1 && !self.ghost.gone.contains(&name) {
                return Err(format!("I11: \"{}\" live after so many turns", machines.join(" ")));
            }
        }
        Ok(())
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
        self.use_all_lines()?;
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
        self.use_all_lines()?;
        let mut travelled = 0;
        for letter in self.network.take_all(false) {
            travelled += letter.travelled();
            for machine in self.live_machines(&letter.name) {
                self.deliver_update(&machine, &letter, Trouble::None)?;
                self.network.take_delivered(&machine);
            }
        }
        Ok(travelled)
    }

    /// Where every machine of a postoffice is fenced, a person resumes one. One that was removed asks again when
    /// the removal was taken back.
    fn resume(&mut self) -> Checked<()> {
        let names: BTreeSet<String> =
            self.machines().iter().map(|machine| name_of(machine).to_owned()).collect();
        for name in names {
            if self.ghost.gone.contains(&name) || !self.live_machines(&name).is_empty() {
                continue;
            }
            let expected = !self.setup.in_turn || self.servers().len() > 1;
            let copied = self.ghost.copied.contains(&name) && expected;
            let put_back = self.ghost.put_back.contains(&name)
                || self.ghost.doubled && self.ghost.server_restored;
            let reinstated = self.ghost.reinstated.contains(&name);
            if !copied && !put_back && !reinstated {
                return Err(format!("every machine of {name} was fenced"));
            }
            let machines = self.machines();
            let Some(machine) = machines.iter().rfind(|machine| machine.starts_with(&name)) else {
                continue;
            };
            if matches!(self.state(machine).mode, Mode::Fenced | Mode::Removed) {
                self.rejoin(machine);
            }
        }
        Ok(())
    }
}

fn shuffle<T>(random: &mut Random, things: &mut [T]) {
    for at in (1..things.len()).rev() {
        things.swap(at, random.below(at as u64 + 1) as usize);
    }
}
