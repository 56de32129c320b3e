//! Doing a step: the shipped steps, with the checks around each.

mod changes;
mod exchange;
pub(crate) mod lines;
mod lives;
pub(crate) mod nights;
mod sources;
mod undo;

use dirsync_agent::decisions::{DecisionKind, inverse};
use dirsync_protocol::requestor;
use dirsync_protocol::server;
use dirsync_protocol::tables::{ListPlace, Mode};

use crate::check::Checked;
use crate::naming::{SERVER, entry, letter_of, postoffice};
use crate::network::Letter;
use crate::step::Step;
use crate::world::{World, site_of};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl World {
    /// Runs steps that must all be possible, separated by semicolons or line ends.
    ///
    /// # Panics
    ///
    /// When a step is not possible, or breaks the protocol.
    pub fn run(&mut self, script: &str) {
        if let Err(why) = self.try_run(script) {
            panic!("{why}");
        }
    }

    /// As [`World::run`].
    ///
    /// # Errors
    ///
    /// What is broken or not possible, in words.
    pub fn try_run(&mut self, script: &str) -> Checked<()> {
        for text in script.split([';', '\n']).map(str::trim).filter(|step| !step.is_empty()) {
            let step: Step = text.parse().map_err(|error| format!("{error}"))?;
            match self.step(&step) {
                Ok(true) => {}
                Ok(false) => return Err(format!("\"{text}\" is not possible after {self}")),
                Err(why) => return Err(format!("{why} at \"{text}\" after {self}")),
            }
        }
        Ok(())
    }

    /// Does one step. `Ok(false)` when it is not possible now.
    ///
    /// # Errors
    ///
    /// When it broke the protocol: how, in words.
    pub fn step(&mut self, step: &Step) -> Checked<bool> {
        self.now += 1000;
        self.trace.push(step.clone());
        let known = self.trace.len();
        let done = self.do_step(step)?;
        match step {
            Step::Change(machine, _) | Step::View(machine, _) => self.touch(site_of(machine)),
            Step::Clock(site, _) | Step::Full(site) | Step::Space(site) => {
                self.disturb(site_of(site))
            }
            _ => {}
        }
        self.ghost.disturbed |= done && !nights::is_strict(step);
        if let Some(why) = self.broken.pop() {
            return Err(why);
        }
        if !done {
            self.trace.truncate(known - 1);
        }
        Ok(done)
    }

    pub(crate) fn do_step(&mut self, step: &Step) -> Checked<bool> {
        match step {
            Step::Change(machine, change) => {
                Ok(self.can_write(machine) && self.make_change(machine, change))
            }
            Step::View(machine, sight) => {
                if !self.can_write(machine) {
                    return Ok(false);
                }
                self.want(machine, *sight);
                Ok(true)
            }
            Step::Request(machine, trouble) => {
                Ok(self.can_send(machine) && self.send(machine, *trouble)?)
            }
            Step::Take { name, at, server, delivery, trouble } => {
                self.take_step(name, *at, server, *delivery, *trouble)
            }
            Step::Answer { name, server, parts, trouble } => {
                self.answer_step(name, server, *parts, *trouble)
            }
            Step::Apply { machine, at, delivery, trouble } => {
                self.apply_step(machine, *at, *delivery, *trouble)
            }
            Step::Agent(paces) => Ok(self.start_agents(paces)),
            Step::Stop(site) => Ok(self.stop_agent(site)),
            Step::Run(minutes) => self.run_agents(*minutes),
            Step::Away(name, away) => Ok(self.place_is_away(name, *away)),
            Step::Go(machine) => self.go(machine),
            Step::Cycle => self.cycle(false, Default::default()).map(|_| true),
            Step::Turn(at) => self.turn(at),
            Step::Inbox(machine) => {
                Ok(self.has_machine(machine) && self.take_inbox(machine).map(|()| true)?)
            }
            Step::Wait(days) => {
                self.now += days * DAY_MS;
                Ok(true)
            }
            Step::Pass(minutes) => {
                self.now += minutes * 60_000;
                Ok(true)
            }
            Step::Drop { is_request, name, at } => {
                let numbers = self.network.numbers(*is_request, name);
                Ok(numbers.get(*at).is_some_and(|number| self.network.take(*number).is_some()))
            }
            Step::Line { machine, bytes, server, lost } => {
                self.line_step(machine, *bytes, server, *lost)
            }
            Step::Rate(name, rate) => Ok(self.set_rate(name, *rate)),
            Step::Night(machine, bytes, parts) => self.night(machine, *bytes, *parts),
            Step::Rotate(site) => Ok(self.rotate(site)),
            Step::Wipe(site) => Ok(self.wipe(site)),
            Step::Bare(name, claim) => self.claim_without_evidence(name, *claim),
            Step::Purge(..)
            | Step::Remove(..)
            | Step::Reinstate(..)
            | Step::Approve
            | Step::Reject
            | Step::Register(..)
            | Step::Recover(..) => self.person(step),
            _ => self.life(step),
        }
    }

    /// The letter that was sent last.
    ///
    /// # Panics
    ///
    /// When nothing is under way.
    pub fn last_letter(&self) -> Letter {
        self.network.letters().pop().expect("something is under way")
    }

    /// The letter that was sent last, out of the network.
    ///
    /// # Panics
    ///
    /// When nothing is under way.
    pub fn pop_letter(&self) -> Letter {
        self.network.take(self.last_letter().number).expect("it is under way")
    }

    /// Whether a machine exists and still sends.
    pub fn can_send(&mut self, machine: &str) -> bool {
        self.has_machine(machine) && self.is_live(machine)
    }

    fn can_write(&mut self, machine: &str) -> bool {
        self.can_send(machine) && !self.site(machine).store.full
    }

    fn go(&mut self, machine: &str) -> Checked<bool> {
        for step in Step::exchange(machine) {
            if !self.do_step(&step)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a person decides, or has a server do.
    fn person(&mut self, step: &Step) -> Checked<bool> {
        let servers = self.live_servers();
        match step {
            Step::Register(name) => {
                if self.names().contains(name) {
                    return Ok(false);
                }
                self.setup.postoffices.push_str(name);
                servers.iter().for_each(|server| self.invite(server, name));
                self.install(&format!("{name}1"));
                Ok(true)
            }
            Step::Purge(server) => {
                if !servers.contains(server) {
                    return Ok(false);
                }
                let forget = self
                    .run_at(server, |tables, _| server::forget_before(tables, u64::MAX, u64::MAX));
                self.ghost.purged = true;
                Ok(forget.map_err(|error| error.to_string())? > 0)
            }
            Step::Recover(server) => {
                if !servers.contains(server) {
                    return Ok(false);
                }
                let ended =
                    self.run_at(server, |tables, context| server::finish_recovery(tables, context));
                // What silent origins alone have is given up for now: the list may lack it.
                self.ghost.vanishing_is_known = true;
                ended.map_err(|error| error.to_string())
            }
            Step::Remove(name) => {
                if name == SERVER || !self.names().contains(name) {
                    return Ok(false);
                }
                if !self.ghost.gone.insert(name.clone()) {
                    return Ok(false);
                }
                for server in servers {
                    let known = self.read(&server, |tables| tables.registration(&postoffice(name)));
                    let back = known.and_then(|known| inverse(&known, &DecisionKind::Remove));
                    self.decide(&server, name, DecisionKind::Remove);
                    self.check_server(&server)?;
                    if let Some(back) = back {
                        self.ghost.removals.insert((server, name.clone()), back);
                    }
                }
                Ok(true)
            }
            Step::Reinstate(name) => {
                for server in servers {
                    let back = self.ghost.removals.remove(&(server.clone(), name.clone()));
                    let Some(back) = back else { continue };
                    self.decide(&server, name, back);
                    self.ghost.gone.remove(name);
                    self.ghost.reinstated.insert(name.clone());
                }
                Ok(self.ghost.reinstated.contains(name))
            }
            Step::Approve => Ok(self.decide_held(true)? > 0),
            _ => Ok(self.decide_held(false)? > 0),
        }
    }

    /// A person decides on everything that is held; returns how much that was.
    pub fn decide_held(&mut self, approve: bool) -> Checked<usize> {
        let mut decided = 0;
        for server in self.live_servers() {
            for id in self.held(&server) {
                let rows = self.read(&server, |tables| tables.rows(id));
                let origin = rows.iter().find(|row| row.published.is_some());
                let Some(origin) = origin.map(|row| letter_of(&row.origin).to_owned()) else {
                    continue;
                };
                let kind = if approve {
                    DecisionKind::ApproveDeletion(id)
                } else {
                    DecisionKind::RejectDeletion(id)
                };
                self.decide(&server, &origin, kind);
                decided += 1;
            }
            self.check_server(&server)?;
        }
        Ok(decided)
    }

    /// A person says that a fenced machine is the one to keep, or that one that was removed asks again.
    ///
    /// # Panics
    ///
    /// When it is neither.
    pub fn rejoin(&mut self, machine: &str) {
        assert!(matches!(self.state(machine).mode, Mode::Fenced | Mode::Removed));
        let rejoined =
            self.run_at(machine, |tables, context| requestor::rejoin(tables, context, false));
        assert!(rejoined.expect("it can be written"), "{machine} was fenced");
    }

    /// Changes a row of a machine's list behind the protocol's back. Returns whether there is one.
    pub fn damage(&mut self, machine: &str, key: &str) -> bool {
        let changed = self.run_at(machine, |tables, _| {
            let row = tables.list_row(ListPlace::Live, entry(key)).expect("it can be read");
            let Some(mut row) = row else { return false };
            row.record.name = format!("{}x", row.record.name);
            tables.put_list_row(ListPlace::Live, &row.as_ref()).expect("it can be written");
            true
        });
        if changed {
            self.ghost.faulty = true;
            self.ghost.damaged.insert(machine.into());
        }
        changed
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, step) in self.trace.iter().enumerate() {
            write!(f, "{}{step}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
