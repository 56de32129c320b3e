//! What has to hold when nothing travels any more: `docs/protocol.md` §13, I9 to I12.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{EntryId, PostofficeName};
use dirsync_protocol::tables::{Mode, OwnRow, RegistrationState, Submitted};

use super::{list_of, own_of, published, seen, submitted};
use crate::check::Checked;
use crate::naming::{Sight, addresses_of, change_of, letter_of, name_of};
use crate::network::Listed;
use crate::world::World;

impl World {
    /// I9 to I12.
    ///
    /// # Errors
    ///
    /// What is not yet, or not at all, as it should be at the end.
    pub fn check_end(&mut self) -> Checked<()> {
        let servers = self.live_servers();
        let Some(server) = servers.first().filter(|_| self.are_alike(&servers)) else {
            return Err(format!("I11: {} servers", servers.len()));
        };
        if self.server_state(server).recovering {
            return Err("I9: still recovering".into());
        }
        let published = published(self.site(server));
        let names: BTreeSet<String> =
            self.machines().iter().map(|machine| name_of(machine).to_owned()).collect();
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
        let held: BTreeSet<EntryId> = self.held(server).into_iter().collect();
        for (id, (owner, record)) in &published {
            let Some((change, false)) = self.ghost.acked.get(id) else { continue };
            let author = &self.ghost.authors[change];
            let older = change_of(record) < *change && author == letter_of(owner);
            let allowed = held.contains(id) || self.ghost.undone.contains(id);
            if older && !allowed && !self.has_a_claimer(server, names.iter(), owner, *id) {
                return Err(format!("I10: deleted {} is back", self.ghost.key(*id)));
            }
        }
        Ok(())
    }

    /// Whether an entry stands for another origin than its listed owner, who deleted it. If the claimer waits
    /// for an address, the entry is listed as before (P12).
    fn has_a_claimer<'a>(
        &mut self,
        server: &str,
        mut names: impl Iterator<Item = &'a String>,
        owner: &PostofficeName,
        id: EntryId,
    ) -> bool {
        names.any(|name| {
            name != letter_of(owner) && submitted(self.site(server), name).contains_key(&id)
        })
    }

    /// Whether servers are at the same point of the same life with the same list: copies after which
    /// nothing was changed cannot be told apart.
    fn are_alike(&mut self, servers: &[String]) -> bool {
        let mut known = servers.iter().map(|server| {
            let state = self.server_state(server);
            (state.epoch, state.head, published(self.site(server)))
        });
        let Some(first) = known.next() else { return false };
        known.all(|other| other == first)
    }

    fn check_end_of(&mut self, server: &str, name: &str, published: &Listed) -> Checked<()> {
        let machines = self.live_machines(name);
        let [machine] = &machines[..] else {
            return Err(format!("I11: {} machines of {name}", machines.len()));
        };
        let state = self.state(machine);
        let site = self.site(machine);
        let (own, list) = (own_of(site), list_of(site));
        let submitted = submitted(self.site(server), name);
        let alike = own.len() == submitted.len()
            && own.values().all(|row| {
                submitted.get(&row.id).is_some_and(|there| {
                    (&*there.record, &there.released_to) == (&row.record, &row.released_to)
                })
            });
        if !alike {
            return Err(format!("I9: the server does not hold what {name} submitted"));
        }
        let sight = Sight::of(&state.view_wanted).ok_or("nobody asked for this view")?;
        if list != seen(published, sight) {
            return Err(format!("I9: the list of {name} differs"));
        }
        if state.mode != Mode::Normal || state.list_bad {
            return Err(format!("I9: {name} is still in repair"));
        }
        if state.req_sync != state.req_seq {
            return Err(format!("I9: {name} was never acknowledged"));
        }
        self.check_sources(machine)?;
        self.check_latest(name, &own)?;
        self.check_acknowledged(server, name, &own)
    }

    /// Nothing that was changed here is undone, where no state was ever lost.
    fn check_latest(&self, name: &str, own: &BTreeMap<EntryId, OwnRow>) -> Checked<()> {
        if self.ghost.faulty {
            return Ok(());
        }
        for (id, (change, there)) in &self.ghost.latest {
            let key = self.ghost.key(*id);
            let handed = self.ghost.allowed[id].len() > 1;
            if handed || key[..1].to_uppercase() != name {
                continue;
            }
            let found = own.get(id).map(|row| change_of(&row.record));
            if found != there.then_some(*change) {
                return Err(format!("I10: the last change of {key} was undone"));
            }
        }
        Ok(())
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
            let heir = self.read(server, |tables| tables.transferred(id));
            let heir = heir.map(|to| letter_of(&to).to_owned());
            let claimed = rows.iter().filter(|row| row.submitted.is_some()).count() > 1;
            // Whether a claim or a deletion came first is decided by arrival.
            let handed = self.ghost.allowed[&id].len() > 1 && (self.ghost.doubled || !there);
            if claimed || handed || heir.is_some_and(|heir| heir != self.ghost.authors[&change]) {
                continue;
            }
            let key = self.ghost.key(id).to_owned();
            let row = own.get(&id);
            if self.ghost.undone.contains(&id) {
                continue;
            }
            if row.is_some_and(|row| change_of(&row.record) < change) {
                return Err(format!("I10: an acknowledged change of {key} was undone"));
            }
            let first = key[..1].to_uppercase() == name;
            if there && first && row.is_none() && self.ghost.deleted_by(id) <= change {
                let machines = self.machines();
                let held = |machine: &String| own_of(self.site(machine)).contains_key(&id);
                if !machines.iter().any(held) {
                    return Err(format!("I10: the acknowledged {key} is lost"));
                }
            }
        }
        Ok(())
    }

    /// I12: whatever waits for an address waits, in the end, for an entry that has what it wants.
    fn check_waiting(&mut self, server: &str, published: &Listed) -> Checked<()> {
        let mut wanted: BTreeMap<EntryId, Submitted> = BTreeMap::new();
        for registration in self.read(server, |tables| tables.registrations()) {
            if registration.state == RegistrationState::Removed {
                continue;
            }
            for (id, row) in submitted(self.site(server), letter_of(&registration.name)) {
                let rows = self.read(server, |tables| tables.rows(id));
                let alone = rows.iter().filter(|row| row.submitted.is_some()).count() == 1;
                let heir = self.read(server, |tables| tables.transferred(id));
                let stub = heir.is_some_and(|heir| heir != registration.name);
                if alone && !stub && row.invalid.is_none() {
                    wanted.insert(id, row);
                }
            }
        }
        let mut holders = BTreeMap::new();
        for (id, (_, record)) in published {
            holders.extend(addresses_of(record).into_iter().map(|address| (address, *id)));
        }
        let keeps = |id: &EntryId, address: &String| {
            wanted.get(id).is_none_or(|row| addresses_of(&row.record).contains(address))
        };
        // For each that waits: the entries that hold what it wants, and whether one means to keep it.
        let mut waiting: BTreeMap<EntryId, (BTreeSet<EntryId>, bool)> = BTreeMap::new();
        for (id, row) in &wanted {
            let has = published
                .get(id)
                .is_some_and(|(_, listed)| listed.addresses == row.record.addresses);
            if !has {
                let addresses = addresses_of(&row.record);
                let others: Vec<(&String, EntryId)> = addresses
                    .iter()
                    .filter_map(|address| holders.get(address).map(|holder| (address, *holder)))
                    .filter(|(_, holder)| holder != id)
                    .collect();
                let kept = others.iter().any(|(address, holder)| keeps(holder, address));
                waiting.insert(*id, (others.into_iter().map(|(_, holder)| holder).collect(), kept));
            }
        }
        let mut in_vain: BTreeSet<EntryId> = waiting.keys().copied().collect();
        loop {
            let reasons = |id: &EntryId| {
                let (holders, kept) = &waiting[id];
                *kept || holders.iter().any(|holder| !in_vain.contains(holder))
            };
            let Some(settled) = in_vain.iter().copied().find(reasons) else { break };
            in_vain.remove(&settled);
        }
        match in_vain.first() {
            None => Ok(()),
            Some(id) => Err(format!("I12: {} waits for nobody", self.ghost.key(*id))),
        }
    }
}
