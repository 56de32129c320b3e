//! Changes that a postoffice makes of its own entries, as words of a script.

use dirsync_protocol::requestor;
use dirsync_protocol::tables::OwnRow;

use crate::checker::{list_of, own_of};
use crate::world::{World, entry, narrow_view, own_row, postoffice, record};

impl World {
    pub fn step_change(&mut self, machine: &str, words: &[&str]) -> bool {
        let name = &machine[..1];
        match *words {
            ["mass"] => {
                let own = own_of(self.machines.get_mut(machine).unwrap());
                let keys: Vec<String> = own
                    .into_values()
                    .filter(|row| row.released_to.is_none())
                    .map(|row| row.key)
                    .collect();
                keys.len() >= 2 && keys.iter().all(|key| self.delete_own(machine, key))
            }
            ["view"] => {
                let view = self.state(machine).view_wanted;
                let other = if view == narrow_view() { Default::default() } else { narrow_view() };
                self.run_at(machine, |tables, _| {
                    let mut state = tables.requestor().unwrap();
                    state.view_wanted = other;
                    tables.put_requestor(&state).unwrap();
                });
                true
            }
            ["cls", key] => {
                let hidden = |row: &OwnRow| row.record.details.starts_with("ou/1");
                let Some(row) = self.own_row(machine, key) else { return false };
                let change = self.ghost.next_change(name);
                self.ghost.deleted.insert(entry(key), change);
                let addresses = addresses_of(&row);
                let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                let record = record(&addresses, !hidden(&row), change);
                self.put(machine, OwnRow { record, ..row })
            }
            ["release" | "withdraw" | "claim", ..] => self.step_hand(machine, words),
            [word] => self.step_entry(machine, word),
            _ => false,
        }
    }

    fn step_hand(&mut self, machine: &str, words: &[&str]) -> bool {
        let name = &machine[..1];
        match *words {
            ["release", key, to] => {
                if self.own_row(machine, key).is_none() || to == name {
                    return false;
                }
                self.ghost.allow(key, entry(key), to);
                let to = Some(postoffice(to));
                self.run_at(machine, |tables, context| {
                    requestor::release(tables, context.now, entry(key), to).is_ok()
                })
            }
            ["withdraw", key] => self.run_at(machine, |tables, context| {
                let released =
                    tables.own(entry(key)).unwrap().is_some_and(|row| row.released_to.is_some());
                released && requestor::release(tables, context.now, entry(key), None).is_ok()
            }),
            ["claim", key] => {
                let id = entry(key);
                let own = own_of(self.machines.get_mut(machine).unwrap());
                if own.get(&id).is_some_and(|row| row.released_to.is_none()) {
                    return false;
                }
                let list = list_of(self.machines.get_mut(machine).unwrap());
                if list.get(&id).is_none_or(|(owner, _)| *owner == postoffice(name)) {
                    return false;
                }
                self.run_at(machine, |tables, context| {
                    requestor::claim(tables, context.now, id, "hand").is_ok()
                })
            }
            _ => false,
        }
    }

    fn step_entry(&mut self, machine: &str, word: &str) -> bool {
        let name = &machine[..1];
        if let Some(added) = word.strip_prefix('+') {
            let (key, addresses) = added.split_once('@').unwrap_or((added, added));
            let id = entry(key);
            if key[..1].to_uppercase() != name || self.own_row(machine, key).is_some() {
                return false;
            }
            self.ghost.allow(key, id, name);
            let change = self.ghost.next_change(name);
            let addresses: Vec<&str> = addresses.split(',').collect();
            return self.put(machine, own_row(key, record(&addresses, false, change)));
        }
        if let Some(key) = word.strip_prefix('-') {
            return self.delete_own(machine, key);
        }
        let (key, addresses) = match word.split_once('>') {
            Some((key, addresses)) => (key, Some(addresses)),
            None => (word.strip_prefix('~').unwrap_or(word), None),
        };
        let Some(row) = self.own_row(machine, key) else { return false };
        let hidden = row.record.details.starts_with("ou/1");
        let change = self.ghost.next_change(name);
        let addresses = match addresses {
            Some(addresses) => addresses.split(',').map(str::to_owned).collect(),
            None => addresses_of(&row),
        };
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        self.put(machine, OwnRow { record: record(&addresses, hidden, change), ..row })
    }

    /// An own entry that is not on offer.
    fn own_row(&mut self, machine: &str, key: &str) -> Option<OwnRow> {
        let row = self.read(machine, |tables| tables.own(entry(key)));
        row.filter(|row| row.released_to.is_none())
    }

    fn put(&mut self, machine: &str, row: OwnRow) -> bool {
        self.change(machine, |changes| changes.put(row).unwrap());
        true
    }

    fn delete_own(&mut self, machine: &str, key: &str) -> bool {
        if self.own_row(machine, key).is_none() {
            return false;
        }
        let id = entry(key);
        let change = self.ghost.next_change(&machine[..1]);
        self.ghost.deleted.insert(id, change);
        self.change(machine, |changes| changes.delete(id, false).unwrap());
        let tombstone = self.read(machine, |tables| tables.own_tombstone(id)).unwrap();
        self.ghost.deletions.insert((id, tombstone.stamp), change);
        true
    }
}

fn addresses_of(row: &OwnRow) -> Vec<String> {
    let texts = row.record.as_ref().address_texts();
    texts.map(|text| text[5..].trim_end_matches("@n.example").to_owned()).collect()
}
