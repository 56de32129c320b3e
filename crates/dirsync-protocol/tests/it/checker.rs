//! What has to hold, checked against a model of its own: `protocol.md` §10, I1 to I13.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, SetDigest, View, list_element, own_element};
use dirsync_message::{ReqSeq, SrvSeq, Stamp};
use dirsync_protocol::tables::{
    ListPlace, Mode, Numbered, OwnRow, OwnTombstone, RegistrationState, Submitted,
};
use dirsync_store::MemoryStore;

use crate::letters::{Letter, Listed};
use crate::world::{Checked, World, change_of, letter_of, look, postoffice};

/// What the checker remembers beside the world.
#[derive(Clone, Debug, Default)]
pub struct Ghost {
    /// The last change made anywhere; each has a number of its own.
    pub change: u64,
    /// Who made a change.
    pub authors: BTreeMap<u64, String>,
    pub keys: BTreeMap<EntryId, String>,
    /// Who may ever own an entry: its first origin, and whom it was released to.
    pub allowed: BTreeMap<EntryId, BTreeSet<String>>,
    /// The newest change that deleted an entry or hid it.
    pub deleted: BTreeMap<EntryId, u64>,
    /// The changes that deletions stand for.
    pub deletions: BTreeMap<(EntryId, Stamp), u64>,
    /// The newest change that its owner saw acknowledged, and whether the entry is there after it.
    pub acked: BTreeMap<EntryId, (u64, bool)>,
    /// Some state was lost or doubled.
    pub faulty: bool,
    /// Two machines of one name, or a machine that was restored: checks that stamps decide are off.
    pub doubled: bool,
    /// Deletions were forgotten.
    pub purged: bool,
    /// The open finding is looked at: I6 is not checked.
    pub vanishing_is_known: bool,
    /// Postoffices that were removed.
    pub gone: BTreeSet<String>,
    /// What the decisions log says of registrations.
    pub registered: BTreeSet<String>,
}

impl Ghost {
    pub fn allow(&mut self, key: &str, id: EntryId, name: &str) {
        self.keys.insert(id, key.into());
        self.allowed.entry(id).or_default().insert(name.into());
    }

    pub fn next_change(&mut self, author: &str) -> u64 {
        self.change += 1;
        self.authors.insert(self.change, author.into());
        self.change
    }

    fn key(&self, id: EntryId) -> &str {
        self.keys.get(&id).map_or("an unknown entry", String::as_str)
    }

    fn deleted_by(&self, id: EntryId) -> u64 {
        self.deleted.get(&id).copied().unwrap_or(0)
    }
}

/// What a server publishes.
pub fn published(store: &mut MemoryStore) -> Listed {
    look(store, |tables| {
        let mut listed = Listed::new();
        tables.visit_numbered(SrvSeq(0), SrvSeq(u64::MAX), &mut |numbered| {
            if let Numbered::Published(row) = numbered {
                let record = row.published_record().unwrap().to_record();
                let twice = listed.insert(row.id, (row.origin.clone(), record));
                assert!(twice.is_none(), "an id is published once");
            }
            ControlFlow::Continue(())
        })?;
        Ok(listed)
    })
}

/// What a view shows of it, computed apart from the shipped sums.
pub fn listed(published: Listed, view: &View) -> Listed {
    let shown =
        published.into_iter().filter(|(_, (owner, record))| view.shows(owner, record.as_ref()));
    shown
        .map(|(id, (owner, record))| {
            let disclosed = view.disclosed(record.as_ref()).unwrap_or(record);
            (id, (owner, disclosed))
        })
        .collect()
}

/// A machine's list.
pub fn list_of(store: &mut MemoryStore) -> Listed {
    look(store, |tables| {
        let mut list = Listed::new();
        tables.visit_list(ListPlace::Live, &mut |row| {
            list.insert(row.id, (row.owner.clone(), row.record.to_record()));
            ControlFlow::Continue(())
        })?;
        Ok(list)
    })
}

/// A machine's own entries.
pub fn own_of(store: &mut MemoryStore) -> BTreeMap<EntryId, OwnRow> {
    look(store, |tables| {
        let mut own = BTreeMap::new();
        tables.visit_own(ReqSeq(0), &mut |row| {
            own.insert(row.id, row.clone());
            ControlFlow::Continue(())
        })?;
        Ok(own)
    })
}

fn tombstones_of(store: &mut MemoryStore) -> BTreeMap<EntryId, OwnTombstone> {
    look(store, |tables| {
        let mut tombstones = BTreeMap::new();
        tables.visit_own_tombstones(ReqSeq(0), &mut |tombstone| {
            tombstones.insert(tombstone.id, tombstone);
            ControlFlow::Continue(())
        })?;
        Ok(tombstones)
    })
}

/// What a postoffice has submitted.
pub fn submitted(store: &mut MemoryStore, name: &str) -> BTreeMap<EntryId, Submitted> {
    look(store, |tables| {
        let mut rows = BTreeMap::new();
        tables.visit_submitted(&postoffice(name), &mut |row| {
            rows.insert(row.id, row.submitted.clone().unwrap());
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    })
}

fn submitted_deletions(store: &mut MemoryStore, name: &str) -> BTreeMap<EntryId, Stamp> {
    look(store, |tables| {
        let mut deletions = BTreeMap::new();
        tables.visit_submitted_tombstones(&postoffice(name), &mut |(id, stamp)| {
            deletions.insert(id, stamp);
            ControlFlow::Continue(())
        })?;
        Ok(deletions)
    })
}

fn list_digest(list: &Listed) -> SetDigest {
    let mut digest = SetDigest::default();
    for (id, (owner, record)) in list {
        digest += SetDigest::one(list_element(*id, owner, record.as_ref()));
    }
    digest
}

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
        let store = self.machines.get_mut(machine).unwrap();
        let (list, own) = (list_of(store), own_of(store));
        let state = self.state(machine);
        if state.list_digest != list_digest(&list) {
            return Err(format!("the digest of {machine}'s list is wrong"));
        }
        let mut digest = SetDigest::default();
        for row in own.values() {
            let released_to = row.released_to.as_ref();
            digest += SetDigest::one(own_element(row.id, released_to, row.record.as_ref()));
        }
        if state.own_digest != digest {
            return Err(format!("the digest of {machine}'s own entries is wrong"));
        }
        if applied.digest_failed && !self.ghost.faulty {
            return Err(format!("I5: {machine} needs a repair without any fault"));
        }
        if let Some(made_of) = &letter.made_of
            && applied.list_changed
        {
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
        }
        self.note_acknowledged(machine);
        if live && !self.is_live(machine) {
            self.relieve();
        }
        let (once, events) = (self.machines[machine].clone(), self.events.len());
        self.take_update(machine, letter).map_err(|error| format!("refused again: {error}"))?;
        let mut twice = std::mem::replace(self.machines.get_mut(machine).unwrap(), once);
        self.events.truncate(events);
        let again = (list_of(&mut twice), own_of(&mut twice));
        let point = look(&mut twice, |tables| tables.requestor()).point;
        if again == (list, own) && point == state.point {
            Ok(())
        } else {
            Err(format!("I4: an update was applied twice at {machine}"))
        }
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
            let handed = self.ghost.allowed[&id].len() > 1 && self.ghost.doubled;
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

/// I8: a body names each entry once.
fn distinct(letter: &Letter) -> Checked<()> {
    let named = letter.named();
    let distinct: BTreeSet<EntryId> = named.iter().copied().collect();
    if distinct.len() == named.len() { Ok(()) } else { Err("I8: an entry travels twice".into()) }
}
