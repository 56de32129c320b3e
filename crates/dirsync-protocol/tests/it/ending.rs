//! What has to hold when nothing travels any more: `protocol.md` §10, I9 to I12.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::EntryId;
use dirsync_protocol::tables::{Mode, OwnRow, RegistrationState};

use crate::checker::{list_of, listed, own_of, published, submitted};
use crate::letters::Listed;
use crate::world::{Checked, World, change_of, letter_of};

impl World {
    /// I9 to I12. `Err` says what is not yet, or not at all, as it should be at the end.
    pub fn check_end(&mut self) -> Checked<()> {
        let servers = self.live_servers();
        let [server] = &servers[..] else { return Err(format!("I11: {} servers", servers.len())) };
        if self.server_state(server).recovering {
            return Err("I9: still recovering".into());
        }
        let published = published(self.servers.get_mut(server).unwrap());
        let names: BTreeSet<String> =
            self.machines.keys().map(|machine| machine[..1].to_owned()).collect();
        for name in &names {
            if self.ghost.gone.contains(name) {
                if published.values().any(|(owner, _)| letter_of(owner) == *name) {
                    return Err(format!("{name} was removed and is back"));
                }
                continue;
            }
            self.check_end_of(server, name, &published)?;
        }
        self.check_waiting(server, &published)?;
        for (id, (owner, record)) in &published {
            let Some((change, false)) = self.ghost.acked.get(id) else { continue };
            let author = &self.ghost.authors[change];
            if change_of(record) < *change && *author == letter_of(owner) {
                return Err(format!("I10: deleted {} is back", self.ghost.key(*id)));
            }
        }
        Ok(())
    }

    fn check_end_of(&mut self, server: &str, name: &str, published: &Listed) -> Checked<()> {
        let machines = self.live_machines(name);
        let [machine] = &machines[..] else {
            return Err(format!("I11: {} machines of {name}", machines.len()));
        };
        let state = self.state(machine);
        let store = self.machines.get_mut(machine).unwrap();
        let (own, list) = (own_of(store), list_of(store));
        let submitted = submitted(self.servers.get_mut(server).unwrap(), name);
        let alike = own.len() == submitted.len()
            && own.values().all(|row| {
                submitted.get(&row.id).is_some_and(|there| {
                    (&there.record, &there.released_to) == (&row.record, &row.released_to)
                })
            });
        if !alike {
            return Err(format!("I9: the server does not hold what {name} submitted"));
        }
        if list != listed(published.clone(), &state.view_wanted) {
            return Err(format!("I9: the list of {name} differs"));
        }
        if state.mode != Mode::Normal || state.list_bad {
            return Err(format!("I9: {name} is still in repair"));
        }
        if state.req_sync != state.req_seq {
            return Err(format!("I9: {name} was never acknowledged"));
        }
        self.check_acknowledged(server, name, &own)
    }

    /// I10.
    fn check_acknowledged(
        &mut self,
        server: &str,
        name: &str,
        own: &BTreeMap<EntryId, OwnRow>,
    ) -> Checked<()> {
        for (id, (change, there)) in self.ghost.acked.clone() {
            let rows = self.read(server, |tables| tables.rows(id));
            let heir = self.read(server, |tables| tables.transferred(id)).map(|to| letter_of(&to));
            let claimed = rows.iter().filter(|row| row.submitted.is_some()).count() > 1;
            // Whether a claim or a deletion came first is decided by arrival.
            let handed = self.ghost.allowed[&id].len() > 1 && (self.ghost.doubled || !there);
            if claimed || handed || heir.is_some_and(|heir| heir != self.ghost.authors[&change]) {
                continue;
            }
            let key = self.ghost.key(id).to_owned();
            let row = own.get(&id);
            if row.is_some_and(|row| change_of(&row.record) < change) {
                return Err(format!("I10: an acknowledged change of {key} was undone"));
            }
            let first = key[..1].to_uppercase() == name;
            if there && first && row.is_none() && self.ghost.deleted_by(id) <= change {
                let machines: Vec<String> = self.machines.keys().cloned().collect();
                let held = |machine: &String| {
                    own_of(self.machines.get_mut(machine).unwrap()).contains_key(&id)
                };
                if !machines.iter().any(held) {
                    return Err(format!("I10: the acknowledged {key} is lost"));
                }
            }
        }
        Ok(())
    }

    /// I12.
    fn check_waiting(&mut self, server: &str, published: &Listed) -> Checked<()> {
        let mut holders = BTreeMap::new();
        for (id, (_, record)) in published {
            holders.extend(record.as_ref().address_keys().map(|key| (key, *id)));
        }
        let registrations = self.read(server, |tables| tables.registrations());
        for registration in registrations {
            if registration.state == RegistrationState::Removed {
                continue;
            }
            let name = letter_of(&registration.name);
            for (id, row) in submitted(self.servers.get_mut(server).unwrap(), &name) {
                let rows = self.read(server, |tables| tables.rows(id));
                let alone = rows.iter().filter(|row| row.submitted.is_some()).count() == 1;
                let heir = self.read(server, |tables| tables.transferred(id));
                let stub = heir.is_some_and(|heir| heir != registration.name);
                let as_wanted = published
                    .get(&id)
                    .is_some_and(|(_, listed)| listed.addresses == row.record.addresses);
                if !alone || stub || as_wanted || row.invalid.is_some() {
                    continue;
                }
                let mut keys = row.record.as_ref().address_keys();
                if !keys.any(|key| holders.get(&key).is_some_and(|holder| *holder != id)) {
                    return Err(format!("I12: {} waits for nobody", self.ghost.key(id)));
                }
            }
        }
        Ok(())
    }
}
