//! Lives that begin and end: copies, restores, twins, moves, full disks, wrong clocks.

use dirsync_agent::decisions::catch_up;
use dirsync_agent::restoring::{begin_anew, promote};
use dirsync_message::Instance;
use dirsync_protocol::server::finish_recovery;
use dirsync_seal::CHAIN_MAX;

use crate::check::Checked;
use crate::naming::{SERVER, name_of};
use crate::step::Step;
use crate::world::{World, site_of};

/// So many machines of one name are the most.
const COPIES_MAX: u64 = 3;

/// The most changes of key that a site makes. Peers can follow a chain of this length.
const KEYS_MAX: u32 = CHAIN_MAX as u32;

fn twin(machine: &str, number: u64) -> String {
    format!("{}{number}", name_of(machine))
}

impl World {
    pub(super) fn life(&mut self, step: &Step) -> Checked<bool> {
        match step {
            Step::Full(site) | Step::Space(site) => {
                let Some(site) = self.sites.get_mut(site_of(site)) else { return Ok(false) };
                site.store.full = matches!(step, Step::Full(_));
                Ok(true)
            }
            Step::Clock(site, seconds) => {
                let Some(site) = self.sites.get_mut(site_of(site)) else { return Ok(false) };
                site.skew = seconds * 1000;
                Ok(true)
            }
            Step::Damage(machine, key) => Ok(self.can_send(machine) && self.damage(machine, key)),
            Step::Fault => {
                self.ghost.faulty = true;
                Ok(true)
            }
            Step::Backup(what) => {
                let Some(site) = self.sites.get(site_of(what)) else { return Ok(false) };
                let copy = site.copy();
                self.backups.insert(site_of(what).into(), copy);
                Ok(true)
            }
            Step::Restore(what, told) => self.restore(site_of(what), *told),
            Step::Standby => {
                let Some(site) = self.sites.get("s1") else { return Ok(false) };
                self.standby = Some(site.copy());
                Ok(true)
            }
            Step::Promote => {
                if self.sites.contains_key("s2") {
                    return Ok(false);
                }
                let Some(mut standby) = self.standby.take() else { return Ok(false) };
                // The log of decisions and the keys are copied when they change, beside the database's older copy.
                if let Some(old) = self.sites.get("s1") {
                    standby.decisions.clone_from(&old.decisions);
                    standby.keys = old.keys;
                }
                self.sites.insert("s2".into(), standby);
                self.become_server("s2")?;
                self.ghost.faulty = true;
                self.ghost.keys_lost.insert("s2".into());
                if self.has_machine(&format!("{SERVER}2")) {
                    self.ghost.doubled = true;
                    self.ghost.copied.insert(SERVER.into());
                }
                Ok(true)
            }
            Step::Move => self.move_server(),
            Step::Reinstall(machine) => {
                if name_of(machine) == SERVER || !self.can_send(machine) {
                    return Ok(false);
                }
                self.install(machine);
                self.ghost.keys_lost.insert(machine.clone());
                self.ghost.faulty = true;
                self.relieve();
                Ok(true)
            }
            Step::Clone(what) => Ok(self.copy_folder(what)),
            other => Err(format!("\"{other}\" is done elsewhere")),
        }
    }

    /// A postoffice changes its key, as `key rotate` does. The folder of its keys is beside the database: a copy that is
    /// put back leaves it as it is.
    pub(super) fn rotate(&mut self, site: &str) -> bool {
        let sealed = self.setup.sealed;
        let site = self.sites.get_mut(site).filter(|site| sealed && site.keys < KEYS_MAX);
        site.map(|site| site.keys += 1).is_some()
    }

    /// A copy of a folder works beside it.
    fn copy_folder(&mut self, what: &str) -> bool {
        let is_server = what.starts_with('s');
        let copy = if is_server {
            "s2".to_owned()
        } else {
            let free = |number: &u64| !self.sites.contains_key(&twin(what, *number));
            let Some(number) = (2..=COPIES_MAX).find(free) else { return false };
            twin(what, number)
        };
        let possible = if is_server {
            !self.sites.contains_key(&copy) && self.live_servers().iter().any(|live| live == what)
        } else {
            name_of(what) != SERVER && self.can_send(what)
        };
        if possible {
            let folder = self.site(what).copy();
            self.ghost.copy_keys_heard(site_of(what), site_of(&copy));
            self.sites.insert(copy, folder);
            self.ghost.faulty = true;
            let name = if is_server { SERVER } else { name_of(what) };
            if self.names().iter().any(|known| known == name) {
                self.ghost.doubled = true;
                self.ghost.copied.insert(name.into());
            }
        }
        possible
    }

    fn become_server(&mut self, server: &str) -> Checked<()> {
        let mut log = self.site(server).decisions.clone();
        let promoted =
            self.run_at(server, |tables, context| promote(tables, context, Instance(2), &mut log));
        match promoted {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(format!("{server} holds no server's tables")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn move_server(&mut self) -> Checked<bool> {
        let possible =
            !self.sites.contains_key("s2") && self.live_servers().contains(&"s1".to_owned());
        if !possible {
            return Ok(false);
        }
        let Some(old) = self.sites.remove("s1") else { return Ok(false) };
        self.sites.insert("s2".into(), old);
        self.ghost.copy_keys_heard("s1", "s2");
        self.become_server("s2")?;
        let ended = self.run_at("s2", |tables, context| finish_recovery(tables, context));
        ended.map_err(|error| error.to_string())
    }

    /// A server is opened, as before each of its steps: what the log of decisions says beyond the database,
    /// which may have been put back, is carried out.
    pub(super) fn open_server(&mut self, server: &str) -> Checked<()> {
        let mut log = self.site(server).decisions.clone();
        let opened = self.run_at(server, |tables, context| catch_up(tables, context, &mut log));
        opened.map(|_| ()).map_err(|error| error.to_string())
    }

    /// A restore: the log of decisions stays, and is longer than the copy.
    fn restore(&mut self, what: &str, told: bool) -> Checked<bool> {
        let Some(backup) = self.backups.remove(what) else { return Ok(false) };
        let is_server = what.starts_with('s');
        let possible = self.sites.contains_key(what)
            && if is_server { !self.server_state(what).fenced } else { self.can_send(what) };
        if possible {
            self.site(what).restore(&backup);
            self.ghost.keys_lost.insert(what.into());
            if told {
                let mut log = self.site(what).decisions.clone();
                let begun =
                    self.run_at(what, |tables, context| begin_anew(tables, context, &mut log));
                begun.map_err(|error| error.to_string())?;
            }
            let name = if is_server { SERVER } else { name_of(what) };
            if self.names().iter().any(|known| known == name) {
                self.ghost.doubled = true;
                if !told {
                    self.ghost.put_back.insert(name.into());
                }
            }
            self.ghost.server_restored |= is_server;
            self.ghost.faulty = true;
            self.relieve();
        }
        self.backups.insert(what.into(), backup);
        Ok(possible)
    }
}
