//! Cycles without faults, at the end of which everything must be as it should.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::EntryId;
use dirsync_protocol::server;
use dirsync_protocol::tables::Mode;
use dirsync_store::MemoryStore;

use crate::letters::Parts;
use crate::world::{Checked, World, look};

/// In so many cycles everything has to be quiet (I13).
const CYCLES: usize = 14;
/// In this cycle a person approves the deletions that are held.
const APPROVAL: usize = 3;

impl World {
    /// Ends the faults; returns how many cycles it took until nothing travelled any more.
    pub fn settle(&mut self) -> usize {
        match self.try_settle() {
            Ok(cycles) => cycles,
            Err(why) => panic!("{why} after {:?}", self.trace),
        }
    }

    /// As [`Self::settle`].
    pub fn try_settle(&mut self) -> Checked<usize> {
        self.try_settle_with(true)
    }

    /// As [`Self::settle`]; `approving` says whether a person approves what is held.
    pub fn try_settle_with(&mut self, approving: bool) -> Checked<usize> {
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
    pub fn cycle(&mut self, approve: bool, parts: Parts) -> Checked<usize> {
        let machines: Vec<String> = self.machines.keys().cloned().collect();
        for machine in &machines {
            self.request(machine);
        }
        for letter in self.take_letters(true) {
            for server in self.live_servers() {
                self.deliver_request(&server, &letter)?;
            }
        }
        for server in self.live_servers() {
            if approve {
                let held = held_ids(self.servers.get_mut(&server).unwrap());
                self.run_at(&server, |tables, context| {
                    server::approve_deletion(tables, context, &held)
                })
                .unwrap();
            }
            let known = self.letters.len();
            for name in self.read(&server, |tables| server::pending(tables)) {
                self.answer(&server, &crate::world::letter_of(&name), parts);
            }
            self.check_no_repair(known)?;
            self.check_server(&server)?;
        }
        let mut travelled = 0;
        for letter in self.take_letters(false) {
            travelled += letter.named().len() + usize::from(letter.update().own.is_some());
            for machine in self.live_machines(&letter.name) {
                self.deliver_update(&machine, &letter)?;
            }
        }
        Ok(travelled)
    }

    fn take_letters(&mut self, requests: bool) -> Vec<crate::letters::Letter> {
        let letters = std::mem::take(&mut self.letters);
        let (taken, left) = letters.into_iter().partition(|letter| letter.is_request == requests);
        self.letters = left;
        taken
    }

    /// Where every machine of a postoffice is fenced, a person resumes one.
    fn resume(&mut self) -> Checked<()> {
        let names: BTreeSet<String> =
            self.machines.keys().map(|machine| machine[..1].to_owned()).collect();
        for name in names {
            if self.ghost.gone.contains(&name) || !self.live_machines(&name).is_empty() {
                continue;
            }
            if !self.ghost.doubled {
                return Err(format!("the only machine of {name} was fenced"));
            }
            let machine = self.machines.keys().rfind(|machine| machine.starts_with(&name)).cloned();
            let machine = machine.expect("it has machines");
            if self.state(&machine).mode == Mode::Fenced {
                self.rejoin(&machine);
            }
        }
        Ok(())
    }
}

/// The deletions that a server holds for a person.
pub fn held_ids(store: &mut MemoryStore) -> Vec<EntryId> {
    look(store, |tables| {
        let mut held = Vec::new();
        tables.visit_unsettled(&mut |row| {
            if row.published.as_ref().is_some_and(|published| published.held.is_some()) {
                held.push(row.id);
            }
            ControlFlow::Continue(())
        })?;
        Ok(held)
    })
}
