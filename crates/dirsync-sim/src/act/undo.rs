//! Runs that a person undoes.

use dirsync_agent::changes::{go_on, newest_in_force, undo};

use crate::check::own_of;
use crate::naming::change_of;
use crate::world::World;

impl World {
    /// Undoes the newest run that is in force, or the `back`th newest of all. Returns whether that changed
    /// anything.
    pub(super) fn undo(&mut self, machine: &str, back: Option<usize>) -> bool {
        let before = own_of(self.site(machine));
        let undone = self.run_at(machine, |tables, context| {
            let run = match back {
                None => newest_in_force(tables).expect("it can be read"),
                Some(back) => tables.runs(u64::MAX, back).expect("it can be read").pop(),
            };
            run.and_then(|run| undo(tables, context.now, run.number).ok()?.by)
        });
        if undone.is_none() {
            return false;
        }
        let after = own_of(self.site(machine));
        for row in before.values().filter(|row| !after.contains_key(&row.id)) {
            self.ghost.undone.insert(row.id);
            self.note_deletion(machine, &row.key);
        }
        for row in after.values() {
            let old = before.get(&row.id);
            if old.is_some_and(|old| old.record == row.record && old.stamp == row.stamp) {
                continue;
            }
            // The entry has an earlier content again, and the number of that change with it.
            self.ghost.undone.insert(row.id);
            self.ghost.revive(row.id);
            self.ghost.acked.remove(&row.id);
            self.ghost.latest.insert(row.id, (change_of(&row.record), true));
        }
        true
    }

    /// Lets a source go on whose changes were undone. Returns whether it was held.
    pub(super) fn go_on(&mut self, machine: &str, source: &str) -> bool {
        self.run_at(machine, |tables, _| go_on(tables, source).expect("it can be written"))
    }
}
