//! Changes that a postoffice makes of its own entries.

use dirsync_protocol::requestor::{self, ADOPTED};
use dirsync_protocol::tables::OwnRow;

use crate::check::{list_of, own_of};
use crate::naming::{
    HAND, addresses_of, change_of, entry, is_hidden, name_of, own_row, postoffice, record,
};
use crate::step::Change;
use crate::world::World;

/// Whether a hand may change an entry: no source feeds it, and it is not on offer.
fn is_by_hand(row: &OwnRow) -> bool {
    row.released_to.is_none() && [HAND, ADOPTED].contains(&row.source.as_str())
}

impl World {
    /// T0. Returns whether there was anything to change.
    pub(crate) fn make_change(&mut self, machine: &str, change: &Change) -> bool {
        let name = name_of(machine).to_owned();
        match change {
            Change::Add(key, addresses) => {
                let id = entry(key);
                if key[..1].to_uppercase() != name || self.own_row(machine, key).is_some() {
                    return false;
                }
                self.ghost.allow(key, id, &name);
                let change = self.ghost.next_change(&name);
                let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                self.put(machine, own_row(key, record(&addresses, false, change)))
            }
            Change::Modify(key) => self.rewrite(machine, key, |_| {}),
            Change::Rename(key, wanted) => {
                self.rewrite(machine, key, |(addresses, _)| addresses.clone_from(wanted))
            }
            Change::Hide(key) => {
                let done = self.rewrite(machine, key, |(_, hidden)| *hidden = !*hidden);
                if done {
                    self.ghost.deleted.insert(entry(key), self.ghost.change);
                }
                done
            }
            Change::Delete(key) => self.delete_own(machine, key),
            Change::Mass => {
                let own = own_of(self.site(machine)).into_values();
                let keys: Vec<String> = own.filter(is_by_hand).map(|row| row.key).collect();
                keys.len() >= 2 && keys.iter().all(|key| self.delete_own(machine, key))
            }
            Change::Release(key, to) => {
                if self.own_row(machine, key).is_none() || *to == name {
                    return false;
                }
                self.ghost.allow(key, entry(key), to);
                self.ghost.releases.insert((entry(key), name, to.clone()), self.ghost.change);
                self.release(machine, key, Some(to))
            }
            Change::Withdraw(key) => {
                let row = self.read(machine, |tables| tables.own(entry(key)));
                let released = row.is_some_and(|row| row.released_to.is_some());
                released && self.release(machine, key, None)
            }
            Change::Claim(key) => self.claim(machine, key),
            Change::File(source, keys) => self.write_file(&name, source, keys),
            Change::Line(source, key) => self.write_line(&name, source, key),
            Change::Read(source, complete) => self.read_source(machine, source, *complete),
            Change::Decide(approve) => self.decide_reads(machine, *approve),
            Change::Undo(back) => self.undo(machine, *back),
            Change::GoOn(source) => self.go_on(machine, source),
        }
    }

    fn release(&mut self, machine: &str, key: &str, to: Option<&str>) -> bool {
        let (id, to) = (entry(key), to.map(postoffice));
        let released = self.run_at(machine, |tables, context| {
            requestor::release(tables, context.now, id, to).is_ok()
        });
        if released {
            // A machine that was restored, or a twin, may hand over what the postoffice deleted.
            self.ghost.revive(id);
        }
        released
    }

    fn claim(&mut self, machine: &str, key: &str) -> bool {
        let id = entry(key);
        let own = own_of(self.site(machine));
        if own.get(&id).is_some_and(|row| row.released_to.is_none()) {
            return false;
        }
        let me = postoffice(name_of(machine));
        let list = list_of(self.site(machine));
        let offers = self.read(machine, |tables| tables.offers());
        let offered = offers.iter().find(|offer| offer.id == id).map(|offer| &offer.owner);
        if offered.or(list.get(&id).map(|(owner, _)| owner)).is_none_or(|owner| *owner == me) {
            return false;
        }
        let claimed = self.run_at(machine, |tables, context| {
            requestor::claim(tables, context.now, id, HAND).is_ok()
        });
        if claimed {
            self.ghost.revive(id);
        }
        claimed
    }

    /// The content of an own entry with another phone number, and what else is changed of its
    /// addresses and whether it is hidden.
    fn rewrite(
        &mut self,
        machine: &str,
        key: &str,
        edit: impl FnOnce(&mut (Vec<String>, bool)),
    ) -> bool {
        let Some(row) = self.own_row(machine, key).filter(is_by_hand) else { return false };
        let mut content = (addresses_of(&row.record), is_hidden(&row.record));
        edit(&mut content);
        let change = self.ghost.next_change(name_of(machine));
        let addresses: Vec<&str> = content.0.iter().map(String::as_str).collect();
        let record = record(&addresses, content.1, change);
        self.put(machine, OwnRow { record, source: HAND.into(), ..row })
    }

    /// An own entry that is not on offer.
    fn own_row(&mut self, machine: &str, key: &str) -> Option<OwnRow> {
        let row = self.read(machine, |tables| tables.own(entry(key)));
        row.filter(|row| row.released_to.is_none())
    }

    /// Makes an own entry be as given. Returns true.
    ///
    /// # Panics
    ///
    /// When the store fails.
    pub fn put(&mut self, machine: &str, row: OwnRow) -> bool {
        self.ghost.latest.insert(row.id, (change_of(&row.record), true));
        self.ghost.written.insert(change_of(&row.record), row.record.clone());
        self.change(machine, |changes| changes.put(row).expect("it can be written"));
        true
    }

    fn delete_own(&mut self, machine: &str, key: &str) -> bool {
        if !self.own_row(machine, key).is_some_and(|row| is_by_hand(&row)) {
            return false;
        }
        self.change(machine, |changes| {
            changes.delete(entry(key), false).expect("it can be written")
        });
        self.note_deletion(machine, key);
        true
    }

    pub(super) fn note_deletion(&mut self, machine: &str, key: &str) {
        let id = entry(key);
        let change = self.ghost.next_change(name_of(machine));
        self.ghost.deleted.insert(id, change);
        self.ghost.latest.insert(id, (change, false));
        let tombstone = self.read(machine, |tables| tables.own_tombstone(id));
        if let Some(tombstone) = tombstone {
            self.ghost.deletions.insert((id, tombstone.stamp), change);
        }
    }
}
