//! One database of a world, in memory or in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_agent::decisions::Decision;
use dirsync_directory::EntryId;
use dirsync_protocol::tables::Stored;
use dirsync_store::{Store, Transaction};
use dirsync_testing::TestStore;
use dirsync_transit::MemoryBodies;

/// One machine: a database, a clock, and a log of decisions.
pub struct Site {
    /// Its database.
    pub store: TestStore,
    /// What each source has named in this life of the database, by a second account.
    named: BTreeMap<String, BTreeSet<EntryId>>,
    /// How far its clock is off, in milliseconds.
    pub skew: i64,
    /// Its bodies that travel apart from their letters.
    pub bodies: MemoryBodies,
    /// How often its key was changed; survives restores.
    pub keys: u32,
    /// What administrators decided here; survives restores.
    pub decisions: Vec<Decision>,
}

impl Site {
    /// A machine with an empty database, in memory or in a file.
    pub fn new(in_file: bool) -> Self {
        let store = if in_file { TestStore::in_file() } else { TestStore::default() };
        let bodies = MemoryBodies::default();
        Self { store, named: BTreeMap::new(), skew: 0, bodies, keys: 0, decisions: Vec::new() }
    }

    /// A copy as a backup takes it: what was committed.
    pub fn copy(&self) -> Self {
        let mut store = self.store.copy();
        store.full = self.store.full;
        let (named, decisions) = (self.named.clone(), self.decisions.clone());
        let (skew, bodies, keys) = (self.skew, self.bodies.fork(), self.keys);
        Self { store, named, skew, bodies, keys, decisions }
    }

    /// Takes the database of a copy, and keeps clock, disk and decisions.
    pub fn restore(&mut self, copy: &Self) {
        let full = self.store.full;
        let Self { store, named, .. } = copy.copy();
        (self.store, self.named) = (store, named);
        self.store.full = full;
    }

    /// Whether a source has named an entry in this life of the database.
    pub fn has_named(&self, source: &str, id: EntryId) -> bool {
        self.named.get(source).is_some_and(|named| named.contains(&id))
    }

    /// A source has named entries.
    pub fn name(&mut self, source: &str, ids: BTreeSet<EntryId>) {
        self.named.entry(source.into()).or_default().extend(ids);
    }

    /// Reads in one transaction.
    pub fn look<R>(&mut self, read: impl FnOnce(&mut (dyn Transaction + '_)) -> Stored<R>) -> R {
        self.store.look(read)
    }

    /// Collects what a visit of the tables gives.
    pub fn gather<T, R: Extend<T> + Default>(
        &mut self,
        visit: impl FnOnce(
            &mut (dyn Transaction + '_),
            &mut dyn FnMut(T) -> ControlFlow<()>,
        ) -> Stored<()>,
    ) -> R {
        self.store.gather(visit)
    }
}

impl Store for Site {
    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        self.store.begin()
    }
}
