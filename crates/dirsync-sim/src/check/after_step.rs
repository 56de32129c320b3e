//! What has to hold after each step: `docs/protocol.md` §13, I1 to I8.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{EntryId, Record, SetDigest, own_element};
use dirsync_message::{BodyKind, Stamp};

use super::{
    list_digest, list_of, own_of, published, seen, submitted, submitted_deletions, tombstones_of,
};
use crate::check::Checked;
use crate::naming::{Sight, addresses_of, change_of, letter_of, postoffice};
use crate::network::{Letter, Listed};
use crate::world::World;

impl World {
    /// I1, I2, the sums of views, and that no acknowledged deletion is back.
    ///
    /// # Errors
    ///
    /// What is broken.
    pub fn check_server(&mut self, server: &str) -> Checked<()> {
        let published = published(self.site(server));
        let mut addresses = BTreeMap::new();
        for (id, (owner, record)) in &published {
            let key = self.ghost.key(*id);
            let owner = letter_of(owner);
            let Some(allowed) = self.ghost.allowed.get(id) else {
                return Err(format!("I1: {owner} publishes an entry that nobody made"));
            };
            if !allowed.contains(owner) {
                return Err(format!("I1: {key} is published as {owner}'s"));
            }
            if self.ghost.authors.get(&change_of(record)).is_some_and(|a| !allowed.contains(a)) {
                return Err(format!("I1: {key} is published as a stranger changed it"));
            }
            let written = self.ghost.written.get(&change_of(record));
            if written.is_some_and(|written| written != record) {
                return Err(format!("I14: {key} is published as nobody wrote it"));
            }
            for address in addresses_of(record) {
                if let Some(other) = addresses.insert(address.clone(), *id) {
                    let other = self.ghost.key(other);
                    return Err(format!("I2: {key} and {other} are published with {address}"));
                }
            }
        }
        self.check_owners(&published)?;
        self.check_sums(server, &published)?;
        self.check_deletions_stay(server, &published)
    }

    /// I1: an entry changes its owner only when the last one offered it, also over a deletion, or deleted
    /// it before the other one made it anew, or deleted it after the other one, who had offered it, made it anew.
    fn check_owners(&mut self, published: &Listed) -> Checked<()> {
        if self.ghost.faulty {
            return Ok(());
        }
        for (id, (owner, record)) in published {
            let owner = letter_of(owner).to_owned();
            let last = self.ghost.last_owner.insert(*id, owner.clone());
            let Some(last) = last.filter(|last| *last != owner) else { continue };
            let made_anew = self.ghost.deletions.iter().any(|((of, _), deletion)| {
                of == id && self.ghost.authors[deletion] == last && *deletion < change_of(record)
            });
            // An entry that was put back by an undo is made anew, too.
            let made_anew = made_anew || self.ghost.undone.contains(id);
            let offered = self.ghost.releases.get(&(*id, owner.clone(), last.clone()));
            let (change, deleted) = (change_of(record), self.ghost.deletions.iter());
            let was_deleted = deleted
                .filter(|((of, _), _)| of == id)
                .any(|(_, deletion)| self.ghost.authors[deletion] == last);
            let made_beside = offered.is_some_and(|offered| change > *offered)
                && self.ghost.authors.get(&change) == Some(&owner)
                && was_deleted;
            let released = (*id, last.clone(), owner.clone());
            if !made_anew && !made_beside && !self.ghost.releases.contains_key(&released) {
                return Err(format!("I1: {} fell from {last} to {owner}", self.ghost.key(*id)));
            }
        }
        Ok(())
    }

    /// The sums that the server keeps against sums of what it holds.
    fn check_sums(&mut self, server: &str, published: &Listed) -> Checked<()> {
        for (hash, view) in self.read(server, |tables| tables.views()) {
            let Some(sight) = Sight::of(&view) else { continue };
            let kept = self.read(server, |tables| tables.view_sums(hash)).total();
            let found = list_digest(&seen(published, sight));
            if kept != found {
                return Err(format!(
                    "the sums of view {sight:?} are {kept}, its content has {found}"
                ));
            }
        }
        for registration in self.read(server, |tables| tables.registrations()) {
            let mut digest = SetDigest::default();
            for (id, row) in submitted(self.site(server), letter_of(&registration.name)) {
                let released_to = row.released_to.as_ref();
                digest += SetDigest::one(own_element(id, released_to, row.content()));
            }
            if digest != registration.own_digest {
                let name = registration.name;
                return Err(format!("the digest of {name}'s submitted set is wrong"));
            }
        }
        Ok(())
    }

    fn check_deletions_stay(&mut self, server: &str, published: &Listed) -> Checked<()> {
        if self.ghost.faulty {
            return Ok(());
        }
        let held: BTreeSet<EntryId> = self.held(server).into_iter().collect();
        for (id, (_, record)) in published {
            let Some((change, false)) = self.ghost.acked.get(id).copied() else { continue };
            // Whether a claim or a deletion came first is decided by arrival.
            let handed = self.ghost.allowed[id].len() > 1;
            let undone = self.ghost.undone.contains(id);
            if change > change_of(record) && !held.contains(id) && !handed && !undone {
                return Err(format!("I10: deleted {} is published again", self.ghost.key(*id)));
            }
        }
        Ok(())
    }

    /// The stamps that a server holds of a postoffice's entries.
    pub fn submitted_stamps(&mut self, server: &str, name: &str) -> BTreeMap<EntryId, Stamp> {
        submitted(self.site(server), name).into_iter().map(|(id, row)| (id, row.stamp)).collect()
    }

    /// Remembers which entries a server took while another one ran, that it did not hold before.
    pub(crate) fn note_split(
        &mut self,
        server: &str,
        name: &str,
        before: &BTreeMap<EntryId, Stamp>,
    ) {
        if self.live_servers().len() > 1 {
            let after = self.submitted_stamps(server, name);
            self.ghost.split.extend(after.into_keys().filter(|id| !before.contains_key(id)));
        }
    }

    /// I7: no entry's stamp went back, but to 0 where a stub ends, or a claim that came too late.
    ///
    /// # Errors
    ///
    /// What is broken.
    pub fn check_stamps(
        &mut self,
        server: &str,
        name: &str,
        before: &BTreeMap<EntryId, Stamp>,
    ) -> Checked<()> {
        let after = self.submitted_stamps(server, name);
        let deleted = submitted_deletions(self.site(server), name);
        for (id, old) in before {
            let stamp = after.get(id).or(deleted.get(id)).copied().unwrap_or(Stamp(0));
            if stamp >= *old {
                continue;
            }
            let released = self.ghost.releases.keys().any(|(of, by, _)| of == id && by == name);
            let heir = self.read(server, |tables| tables.transferred(*id));
            let handed = released || heir.is_some_and(|heir| letter_of(&heir) != name);
            if !(stamp == Stamp(0) && handed) {
                let key = self.ghost.key(*id);
                return Err(format!("I7: {key}: {stamp} replaced the later {old}"));
            }
        }
        Ok(())
    }

    /// What the server would be asked for: what is published, and what is held of each origin.
    pub fn server_summary(&mut self, server: &str) -> String {
        let state = self.server_state(server);
        let published = published(self.site(server));
        let mut summary = format!("{} {} {published:?}\n", state.epoch, state.head);
        for registration in self.read(server, |tables| tables.registrations()) {
            let rows = submitted(self.site(server), letter_of(&registration.name));
            let (epoch, applied) = (registration.epoch, registration.acknowledged);
            summary += &format!("{} {epoch:?} {applied} {rows:?}\n", registration.name);
        }
        summary
    }

    /// What a machine holds: list, own entries, and where its list stands.
    pub fn requestor_summary(&mut self, machine: &str) -> String {
        let point = self.state(machine).point;
        let site = self.site(machine);
        format!("{point:?} {:?} {:?}", list_of(site), own_of(site))
    }

    /// I5: without a fault nobody's list is replaced.
    ///
    /// # Errors
    ///
    /// What is broken.
    pub fn check_no_repair(&self, known: u64) -> Checked<()> {
        if self.ghost.faulty || self.ghost.purged {
            return Ok(());
        }
        let letters = self.network.letters();
        let replaced = letters.iter().filter(|letter| letter.number > known).any(|letter| {
            let body = letter.update().body;
            body.is_some_and(|body| body.kind != BodyKind::Delta && body.stated.is_some())
        });
        if replaced { Err("I5: a list is replaced without any fault".into()) } else { Ok(()) }
    }

    /// I8: a body names each entry once.
    ///
    /// # Errors
    ///
    /// What is broken.
    pub fn check_distinct(&self, letter: &Letter) -> Checked<()> {
        if !letter.is_whole() {
            return Ok(());
        }
        let named = letter.named();
        let distinct: BTreeSet<EntryId> = named.iter().copied().collect();
        if distinct.len() == named.len() {
            Ok(())
        } else {
            Err("I8: an entry travels twice".into())
        }
    }

    /// The sums that a machine keeps against sums of what it holds.
    ///
    /// # Errors
    ///
    /// What is broken.
    pub fn check_digests(&mut self, machine: &str) -> Checked<()> {
        let state = self.state(machine);
        let site = self.site(machine);
        let (list, own) = (list_of(site), own_of(site));
        if !state.list_bad && !self.ghost.faulty && state.list_digest != list_digest(&list) {
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
        Ok(())
    }

    /// I2, I3 and I6, of a list that was just changed by a letter.
    pub(crate) fn check_list(
        &mut self,
        machine: &str,
        before: &Listed,
        letter: &Letter,
    ) -> Checked<()> {
        let Some(made_of) = &letter.made_of else { return Ok(()) };
        let state = self.state(machine);
        let list = list_of(self.site(machine));
        let Some(sight) = Sight::of(&state.view) else { return Ok(()) };
        let complete = state.point.is_some_and(|point| point.complete);
        let damaged = self.ghost.damaged.contains(machine);
        if complete && !damaged && list != seen(made_of, sight) {
            return Err(format!("I3: {machine} confirms what is not the server's view"));
        }
        let addresses: Vec<String> =
            made_of.values().flat_map(|(_, record)| addresses_of(record)).collect();
        for (id, (owner, record)) in before.iter().filter(|(id, _)| !list.contains_key(id)) {
            let taken = addresses_of(record).iter().any(|address| addresses.contains(address));
            if !taken && self.owner_still_has(*id, letter_of(owner), record, sight) {
                return Err(format!("I6: {} vanished from {machine}", self.ghost.key(*id)));
            }
        }
        Ok(())
    }

    /// Whether the only machine of an entry's owner has it as it was listed, and shows it.
    fn owner_still_has(&mut self, id: EntryId, owner: &str, listed: &Record, sight: Sight) -> bool {
        let machines = self.live_machines(owner);
        let [machine] = &machines[..] else { return false };
        if self.ghost.vanishing_is_known
            || self.ghost.split.contains(&id)
            || self.ghost.gone.contains(owner)
            || self.ghost.reinstated.contains(owner)
        {
            return false;
        }
        let own = own_of(self.site(machine));
        own.get(&id).is_some_and(|row| {
            // Where the view hides which change it was, any deletion may explain it.
            let deleted = self.ghost.deleted_by(id);
            (deleted == 0 || deleted < change_of(listed))
                && row.released_to.is_none()
                && sight.shown(&postoffice(owner), &row.record).as_ref() == Some(listed)
        })
    }

    /// Remembers what a machine saw acknowledged.
    pub(crate) fn note_acknowledged(&mut self, machine: &str) {
        let synced = self.state(machine).req_sync;
        let site = self.site(machine);
        let (own, tombstones) = (own_of(site), tombstones_of(site));
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
            let change = ghost.deletions.get(&(tombstone.id, tombstone.stamp));
            let revived = ghost.revived.get(&tombstone.id).copied().unwrap_or(0);
            if let Some(change) = change.filter(|change| **change > revived) {
                note(tombstone.id, *change, false);
            }
        }
    }

    /// After state was lost: what no live machine and no server holds any more is not owed.
    pub(crate) fn relieve(&mut self) {
        let mut best: BTreeMap<EntryId, u64> = BTreeMap::new();
        let mut hold = |id: EntryId, change: u64| {
            let held = best.entry(id).or_insert(0);
            *held = (*held).max(change);
        };
        for machine in self.live_machines("") {
            let site = self.sites.get_mut(crate::world::site_of(&machine)).expect("it is live");
            own_of(site).values().for_each(|row| hold(row.id, change_of(&row.record)));
            for tombstone in tombstones_of(site).values() {
                let deletion = (tombstone.id, tombstone.stamp);
                hold(tombstone.id, self.ghost.deletions.get(&deletion).copied().unwrap_or(0));
            }
        }
        for server in self.live_servers() {
            let site = self.sites.get_mut(&server).expect("it is live");
            for registration in site.look(|tables| tables.registrations()) {
                let name = letter_of(&registration.name);
                let rows = submitted(site, name);
                rows.into_iter().for_each(|(id, row)| hold(id, change_of(&row.record)));
                submitted_deletions(site, name).into_iter().for_each(|deletion| {
                    hold(deletion.0, self.ghost.deletions.get(&deletion).copied().unwrap_or(0));
                });
            }
        }
        self.ghost.acked.retain(|id, (change, _)| best.get(id).is_some_and(|held| held >= change));
    }
}
