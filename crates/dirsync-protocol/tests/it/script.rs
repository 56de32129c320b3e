//! Steps of a world as words, so that a trace reads like the tables of `protocol.md` §11.
//!
//! | words | step |
//! | --- | --- |
//! | `A1 +a1`, `A1 +a1@x,y` | A1 adds a1, with addresses |
//! | `A1 ~a1`, `A1 -a1`, `A1 a1>x,y`, `A1 cls a1` | modifies, deletes, renames, moves out of or into the narrow view |
//! | `A1 release a1 B`, `A1 withdraw a1`, `B1 claim a1` | hands an entry over |
//! | `A1 mass`, `A1 view` | deletes everything; asks for the other view |
//! | `req A1` | T1 |
//! | `t2 A`, `t2 A 1 s2 keep` | a server takes the oldest (or another) request; `keep`: it stays under way |
//! | `an A`, `an A half`, `an A each`, `an A s2` | a server answers; half: the rest is lost; each: in small parts |
//! | `t3 A1`, `t3 A1 1 keep` | A1 takes the oldest (or another) update |
//! | `drop q A`, `drop u A 1` | a request or update is lost |
//! | `go A1` | `req A1; t2 A; an A; t3 A1` |
//! | `backup X`, `restore X` | of a server or machine |
//! | `standby`, `promote`, `move` | a copy of s1, which becomes s2; all of s1 becomes s2 |
//! | `reinstall A1`, `clone A1` | a machine that knows nothing; a second machine A2 |
//! | `purge s1`, `remove A`, `approve`, `register C` | a server forgets, and what a person decides |
//! | `fault` | from here on repairs are to be expected |

use dirsync_message::Instance;
use dirsync_protocol::requestor;
use dirsync_protocol::server;
use dirsync_protocol::tables::Mode;

use crate::letters::Parts;
use crate::settle::held_ids;
use crate::world::{Checked, World, postoffice, registration};

impl World {
    /// Runs steps that must all be possible, separated by semicolons.
    pub fn run(&mut self, script: &str) {
        for step in script.split(';').map(str::trim).filter(|step| !step.is_empty()) {
            match self.step(step) {
                Ok(true) => {}
                Ok(false) => panic!("\"{step}\" is not possible after {:?}", self.trace),
                Err(why) => panic!("{why} at \"{step}\" after {:?}", self.trace),
            }
        }
    }

    /// Runs one step. `Ok(false)` when it is not possible now; `Err` when it broke the protocol.
    pub fn step(&mut self, step: &str) -> Checked<bool> {
        self.now += 1000;
        let words: Vec<&str> = step.split_whitespace().collect();
        let done = match words[..] {
            ["req", machine] => self.can_send(machine) && self.request(machine),
            ["t2", name, ref rest @ ..] => return self.step_t2(step, name, rest),
            ["an", name, ref rest @ ..] => self.step_answer(name, rest)?,
            ["t3", machine, ref rest @ ..] => return self.step_t3(step, machine, rest),
            ["drop", kind, name, ref rest @ ..] => {
                let letters = self.letters_of(kind == "q", name);
                let at = letters.get(index(rest));
                at.is_some_and(|at| self.letters.remove(*at).number > 0)
            }
            ["go", machine] => {
                let name = &machine[..1];
                for step in [
                    format!("req {machine}"),
                    format!("t2 {name}"),
                    format!("an {name}"),
                    format!("t3 {machine}"),
                ] {
                    if !self.step(&step)? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
            ["backup" | "restore" | "standby" | "promote" | "move" | "reinstall" | "clone", ..] => {
                self.step_machine(&words)
            }
            ["purge" | "remove" | "approve" | "register" | "fault", ..] => {
                self.step_person(&words)?
            }
            [machine, ref change @ ..] => {
                self.can_send(machine) && self.step_change(machine, change)
            }
            [] => false,
        };
        if done {
            self.trace.push(step.into());
        }
        Ok(done)
    }

    fn can_send(&mut self, machine: &str) -> bool {
        self.machines.contains_key(machine) && self.is_live(machine)
    }

    fn step_t2(&mut self, step: &str, name: &str, rest: &[&str]) -> Checked<bool> {
        let server = server_of(rest);
        let letters = self.letters_of(true, name);
        let Some(at) = letters.get(index(rest)).copied() else { return Ok(false) };
        if !self.live_servers().iter().any(|live| live == server) {
            return Ok(false);
        }
        self.trace.push(step.into());
        let letter =
            if rest.contains(&"keep") { self.letters[at].clone() } else { self.letters.remove(at) };
        self.deliver_request(server, &letter).map(|()| true)
    }

    fn step_answer(&mut self, name: &str, rest: &[&str]) -> Checked<bool> {
        let server = server_of(rest);
        if !self.live_servers().iter().any(|live| live == server)
            || !self.answer_is_due(server, name)
        {
            return Ok(false);
        }
        let parts = match () {
            () if rest.contains(&"half") => Parts::Half,
            () if rest.contains(&"each") => Parts::Each,
            () => Parts::One,
        };
        let known = self.letters.len();
        self.answer(server, name, parts);
        self.check_no_repair(known)?;
        self.check_server(server).map(|()| true)
    }

    /// I5: without a fault nobody's list is replaced.
    pub fn check_no_repair(&self, known: usize) -> Checked<()> {
        if self.ghost.faulty || self.ghost.purged {
            return Ok(());
        }
        let replaced = self.letters[known..].iter().any(|letter| {
            let body = letter.update().body;
            body.is_some_and(|body| {
                body.kind != dirsync_message::BodyKind::Delta && body.stated.is_some()
            })
        });
        if replaced { Err("I5: a list is replaced without any fault".into()) } else { Ok(()) }
    }

    fn step_t3(&mut self, step: &str, machine: &str, rest: &[&str]) -> Checked<bool> {
        let letters = self.letters_of(false, &machine[..1]);
        let Some(at) = letters.get(index(rest)).copied() else { return Ok(false) };
        if !self.can_send(machine) {
            return Ok(false);
        }
        self.trace.push(step.into());
        let letter =
            if rest.contains(&"keep") { self.letters[at].clone() } else { self.letters.remove(at) };
        self.deliver_update(machine, &letter).map(|()| true)
    }

    fn step_machine(&mut self, words: &[&str]) -> bool {
        match *words {
            ["backup", what] => {
                let store = self.servers.get(what).or_else(|| self.machines.get(what));
                let Some(store) = store.cloned() else { return false };
                self.backups.insert(what.into(), store);
            }
            ["restore", what] => return self.restore(what),
            ["standby"] => self.standby = Some(self.servers["s1"].clone()),
            ["promote"] => {
                if self.servers.contains_key("s2") {
                    return false;
                }
                let Some(standby) = self.standby.take() else { return false };
                self.servers.insert("s2".into(), standby);
                self.promote();
                self.ghost.faulty = true;
            }
            ["move"] => {
                if self.servers.contains_key("s2") || !self.live_servers().contains(&"s1".into()) {
                    return false;
                }
                let old = self.servers.remove("s1").unwrap();
                self.servers.insert("s2".into(), old);
                self.promote();
                self.run_at("s2", |tables, context| server::finish_recovery(tables, context))
                    .unwrap();
            }
            ["reinstall", machine] => {
                if !self.can_send(machine) {
                    return false;
                }
                self.install(machine);
                self.ghost.faulty = true;
                self.relieve();
            }
            ["clone", machine] => {
                let twin = format!("{}2", &machine[..1]);
                if machine == twin || self.machines.contains_key(&twin) || !self.can_send(machine) {
                    return false;
                }
                self.machines.insert(twin, self.machines[machine].clone());
                (self.ghost.faulty, self.ghost.doubled) = (true, true);
            }
            _ => return false,
        }
        true
    }

    fn promote(&mut self) {
        let promoted =
            self.run_at("s2", |tables, context| server::promote(tables, context, Instance(2)));
        assert!(promoted.unwrap());
    }

    /// A restore of the database; the decisions log is longer than the backup and is replayed.
    fn restore(&mut self, what: &str) -> bool {
        let Some(backup) = self.backups.get(what).cloned() else { return false };
        if self.servers.contains_key(what) {
            if self.server_state(what).fenced {
                return false;
            }
            self.servers.insert(what.into(), backup);
            for name in self.ghost.registered.clone() {
                self.register(what, &name);
            }
            for name in self.ghost.gone.clone() {
                self.run_at(what, |tables, context| {
                    server::remove(tables, context, &postoffice(&name))
                })
                .unwrap();
            }
        } else {
            if !self.can_send(what) {
                return false;
            }
            self.machines.insert(what.into(), backup);
            self.ghost.doubled = true;
        }
        self.ghost.faulty = true;
        self.relieve();
        true
    }

    fn register(&mut self, server: &str, name: &str) {
        let decided = registration(name);
        self.run_at(server, |tables, _| server::register(tables, &decided)).unwrap();
    }

    fn step_person(&mut self, words: &[&str]) -> Checked<bool> {
        match *words {
            ["fault"] => self.ghost.faulty = true,
            ["register", name] => {
                self.ghost.registered.insert(name.into());
                for server in self.live_servers() {
                    self.register(&server, name);
                }
                self.install(&format!("{name}1"));
            }
            ["purge", server] => {
                if !self.live_servers().iter().any(|live| live == server) {
                    return Ok(false);
                }
                let purged = self
                    .run_at(server, |tables, _| server::forget_before(tables, u64::MAX, u64::MAX));
                self.ghost.purged = true;
                return Ok(purged.unwrap() > 0);
            }
            ["remove", name] => {
                if !self.ghost.gone.insert(name.into()) {
                    return Ok(false);
                }
                for server in self.live_servers() {
                    self.run_at(&server, |tables, context| {
                        server::remove(tables, context, &postoffice(name))
                    })
                    .unwrap();
                    self.check_server(&server)?;
                }
            }
            ["approve"] => {
                let mut approved = 0;
                for server in self.live_servers() {
                    let held = held_ids(self.servers.get_mut(&server).unwrap());
                    approved += self
                        .run_at(&server, |tables, context| {
                            server::approve_deletion(tables, context, &held)
                        })
                        .unwrap();
                    self.check_server(&server)?;
                }
                return Ok(approved > 0);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A person says that a fenced machine is the one to keep.
    pub fn rejoin(&mut self, machine: &str) {
        assert_eq!(self.state(machine).mode, Mode::Fenced);
        assert!(
            self.run_at(machine, |tables, context| requestor::rejoin(tables, context)).unwrap()
        );
    }
}

fn server_of<'w>(words: &[&'w str]) -> &'w str {
    words.iter().copied().find(|word| word.starts_with('s')).unwrap_or("s1")
}

fn index(words: &[&str]) -> usize {
    words.iter().find_map(|word| word.parse().ok()).unwrap_or(0)
}
