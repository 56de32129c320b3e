//! What has to hold after each step: `protocol.md` §10, I1 to I8.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{EntryId, SetDigest, View, own_element};
use dirsync_message::Stamp;

use crate::checker::{
    list_digest, list_of, listed, own_of, published, submitted, submitted_deletions, tombstones_of,
};
use crate::letters::{Letter, Listed, Snapshot};
use crate::world::{Checked, World, change_of, letter_of, look, postoffice};

impl World {
    /// I1, I2, the sums of views, and that no acknowledged deletion is back.
    pub fn check_server(&mut self, server: &str) -> Checked<()> {
        let store = self.servers.get_mut(server).unwrap();
        let published = published(store);
        let mut addresses = BTreeMap::new();
        for (id, (owner, record)) in &published {
            let key = self.ghost.key(*id);
            let owner = letter_of(owner);
            let allowed = &self.ghost.allowed[id];
            if !allowed.contains(&owner) {
                return Err(format!("I1: {key} is published as {owner}'s"));
            }
            if self.ghost.authors.get(&change_of(record)).is_some_and(|a| !allowed.contains(a)) {
                return Err(format!("I1: {key} is published as a stranger changed it"));
            }
            for address in record.as_ref().address_keys() {
                if let Some(other) = addresses.insert(address.clone(), *id) {
                    let other = self.ghost.key(other);
                    return Err(format!("I2: {key} and {other} are published with {address}"));
                }
            }
        }
        let views = look(store, |tables| tables.views());
        for (hash, view) in views {
            let kept = look(store, |tables| tables.view_sums(hash)).total();
            let found = list_digest(&listed(published.clone(), &view));
            if kept != found {
                return Err(format!("the sums of a view are {kept}, its content has {found}"));
            }
        }
        for registration in look(store, |tables| tables.registrations()) {
            let mut digest = SetDigest::default();
            for (id, row) in submitted(store, &letter_of(&registration.name)) {
                let released_to = row.released_to.as_ref();
                digest += SetDigest::one(own_element(id, released_to, row.record.as_ref()));
            }
            if digest != registration.own_digest {
                return Err(format!(
                    "the digest of {}'s submitted set is wrong",
                    registration.name
                ));
            }
        }
        self.check_deletions_stay(server, &published)
    }

    fn check_deletions_stay(&mut self, server: &str, published: &Listed) -> Checked<()> {
        if self.ghost.faulty {
            return Ok(());
        }
        for (id, (_, record)) in published {
            let Some((change, false)) = self.ghost.acked.get(id).copied() else { continue };
            let held = self
                .read(server, |tables| tables.rows(*id))
                .into_iter()
                .any(|row| row.published.is_some_and(|published| published.held.is_some()));
            // Whether a claim or a deletion came first is decided by arrival.
            let handed = self.ghost.allowed[id].len() > 1;
            if change > change_of(record) && !held && !handed {
                return Err(format!("I10: deleted {} is published again", self.ghost.key(*id)));
            }
        }
        Ok(())
    }

    /// T2 with its checks: I4, I7, I8.
    pub fn deliver_request(&mut self, server: &str, letter: &Letter) -> Checked<()> {
        let name = letter.name.clone();
        distinct(letter)?;
        let store = self.servers.get_mut(server).unwrap();
        let before = submitted(store, &name);
        self.take_request(server, letter).map_err(|error| format!("refused at T2: {error}"))?;
        let store = self.servers.get_mut(server).unwrap();
        let (after, deleted) = (submitted(store, &name), submitted_deletions(store, &name));
        for (id, old) in before {
            let stamp = match (after.get(&id), deleted.get(&id)) {
                (Some(new), _) => new.stamp,
                (None, Some(deleted)) => *deleted,
                (None, None) => Stamp(0),
            };
            if stamp < old.stamp {
                let key = self.ghost.key(id);
                return Err(format!("I7: {key}: {stamp} replaced the later {}", old.stamp));
            }
        }
        if self.server_state(server).fenced {
            self.relieve();
        }
        self.check_server(server)?;
        let (once, events) = (self.servers[server].clone(), self.events.len());
        let first = self.server_summary(server);
        self.take_request(server, letter).map_err(|error| format!("refused again: {error}"))?;
        let second = self.server_summary(server);
        self.servers.insert(server.into(), once);
        self.events.truncate(events);
        if first == second { Ok(()) } else { Err("I4: a request was taken twice".into()) }
    }

    fn server_summary(&mut self, server: &str) -> String {
        let state = self.server_state(server);
        let store = self.servers.get_mut(server).unwrap();
        let mut summary = format!("{} {} {:?}\n", state.epoch, state.head, published(store));
        for registration in look(store, |tables| tables.registrations()) {
            let rows = submitted(store, &letter_of(&registration.name));
            let (epoch, applied) = (registration.epoch, registration.applied);
            summary += &format!("{} {epoch:?} {applied} {rows:?}\n", registration.name);
        }
        summary
    }

    /// T3 with its checks: I3, I4, I5, I6.
    pub fn deliver_update(&mut self, machine: &str, letter: &Letter) -> Checked<()> {
        distinct(letter)?;
        let before = list_of(self.machines.get_mut(machine).unwrap());
        let live = self.is_live(machine);
        let applied =
            self.take_update(machine, letter).map_err(|error| format!("refused at T3: {error}"))?;
        self.check_digests(machine)?;
        if applied.digest_failed && !self.ghost.faulty {
            return Err(format!("I5: {machine} needs a repair without any fault"));
        }
        if let Some(made_of) = letter.made_of.as_ref().filter(|_| applied.list_changed) {
            self.check_list(machine, &before, made_of)?;
        }
        let store = self.machines.get_mut(machine).unwrap();
        let (list, own) = (list_of(store), own_of(store));
        let point = self.state(machine).point;
        self.note_acknowledged(machine);
        if live && !self.is_live(machine) {
            self.relieve();
        }
        let (once, events) = (self.machines[machine].clone(), self.events.len());
        self.take_update(machine, letter).map_err(|error| format!("refused again: {error}"))?;
        let mut twice = std::mem::replace(self.machines.get_mut(machine).unwrap(), once);
        self.events.truncate(events);
        let again = (list_of(&mut twice), own_of(&mut twice));
        let point_again = look(&mut twice, |tables| tables.requestor()).point;
        if again == (list, own) && point_again == point {
            Ok(())
        } else {
            Err(format!("I4: an update was applied twice at {machine}"))
        }
    }

    fn check_digests(&mut self, machine: &str) -> Checked<()> {
        let state = self.state(machine);
        let store = self.machines.get_mut(machine).unwrap();
        if state.list_digest != list_digest(&list_of(store)) {
            return Err(format!("the digest of {machine}'s list is wrong"));
        }
        let mut digest = SetDigest::default();
        for row in own_of(store).values() {
            let released_to = row.released_to.as_ref();
            digest += SetDigest::one(own_element(row.id, released_to, row.record.as_ref()));
        }
        if state.own_digest != digest {
            return Err(format!("the digest of {machine}'s own entries is wrong"));
        }
        Ok(())
    }

    /// I3 and I6, of a list that was just changed.
    fn check_list(&mut self, machine: &str, before: &Listed, made_of: &Snapshot) -> Checked<()> {
        let state = self.state(machine);
        let list = list_of(self.machines.get_mut(machine).unwrap());
        if state.point.is_some_and(|point| point.complete) && list != made_of.view {
            return Err(format!("I3: {machine} confirms what is not the server's view"));
        }
        for (id, (owner, record)) in before.iter().filter(|(id, _)| !list.contains_key(id)) {
            let taken = record.as_ref().address_keys().any(|a| made_of.addresses.contains(&a));
            let change = change_of(record);
            if !taken && self.owner_still_has(*id, &letter_of(owner), change, &state.view) {
                return Err(format!("I6: {} vanished from {machine}", self.ghost.key(*id)));
            }
        }
        Ok(())
    }

    /// Whether the only machine of an entry's owner has it as it was listed, and shows it.
    fn owner_still_has(&mut self, id: EntryId, owner: &str, change: u64, view: &View) -> bool {
        let machines = self.live_machines(owner);
        let [machine] = &machines[..] else { return false };
        if self.ghost.vanishing_is_known
            || self.ghost.gone.contains(owner)
            || self.ghost.deleted_by(id) >= change
        {
            return false;
        }
        let own = own_of(self.machines.get_mut(machine).unwrap());
        own.get(&id).is_some_and(|row| {
            change_of(&row.record) == change
                && row.released_to.is_none()
                && view.shows(&postoffice(owner), row.record.as_ref())
        })
    }

    fn note_acknowledged(&mut self, machine: &str) {
        let synced = self.state(machine).req_sync;
        let store = self.machines.get_mut(machine).unwrap();
        let (own, tombstones) = (own_of(store), tombstones_of(store));
        let ghost = &mut self.ghost;
        let mut note = |id, change, there| {
            let known = ghost.acked.entry(id).or_insert((0, true));
            if known.0 < change {
                *known = (change, there);
            }
        };
        for row in own.values().filter(|row| row.numbers.last <= synced.0) {
            note(row.id, change_of(&row.record), true);
        }
        for tombstone in tombstones.values().filter(|tombstone| tombstone.req_seq <= synced) {
            if let Some(change) = ghost.deletions.get(&(tombstone.id, tombstone.stamp)) {
                note(tombstone.id, *change, false);
            }
        }
    }

    /// After state was lost: what no live machine and no server holds any more is not owed.
    pub fn relieve(&mut self) {
        let mut best: BTreeMap<EntryId, u64> = BTreeMap::new();
        let mut hold = |id: EntryId, change: u64| {
            let held = best.entry(id).or_insert(0);
            *held = (*held).max(change);
        };
        for machine in self.live_machines("") {
            let store = self.machines.get_mut(&machine).unwrap();
            own_of(store).values().for_each(|row| hold(row.id, change_of(&row.record)));
            for tombstone in tombstones_of(store).values() {
                let deletion = (tombstone.id, tombstone.stamp);
                hold(tombstone.id, self.ghost.deletions.get(&deletion).copied().unwrap_or(0));
            }
        }
        for server in self.live_servers() {
            let store = self.servers.get_mut(&server).unwrap();
            for registration in look(store, |tables| tables.registrations()) {
                let name = letter_of(&registration.name);
                submitted(store, &name)
                    .into_iter()
                    .for_each(|(id, row)| hold(id, change_of(&row.record)));
                submitted_deletions(store, &name).into_iter().for_each(|deletion| {
                    hold(deletion.0, self.ghost.deletions.get(&deletion).copied().unwrap_or(0));
                });
            }
        }
        self.ghost.acked.retain(|id, (change, _)| best.get(id).is_some_and(|held| held >= change));
    }
}

/// I8: a body names each entry once.
fn distinct(letter: &Letter) -> Checked<()> {
    let named = letter.named();
    let distinct: BTreeSet<EntryId> = named.iter().copied().collect();
    if distinct.len() == named.len() { Ok(()) } else { Err("I8: an entry travels twice".into()) }
}
