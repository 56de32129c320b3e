//! A store in memory, for tests and simulations, and as the model that other stores are compared with.
//!
//! Every change is made in place, and its inverse is kept. Beginning, committing and opening a savepoint
//! therefore cost nothing, and rolling back costs as much as the changes.

mod common;
mod counts;
mod requestor;
mod run;
mod server;
mod state;

use std::collections::BTreeMap;
use std::fmt;

use dirsync_agent::notes::REFUSALS;
use dirsync_protocol::tables::{Flow, StoreError, StoreErrorKind, Stored};

use dirsync_store::{Store, Transaction};
use state::State;

/// The database of a postoffice in memory.
///
/// A clone is a backup, or another machine: it has the committed state, and shares nothing with the
/// original. Equal operations give equal stores.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: State,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether two stores have the same content and indexes, apart from their logs and the counts of refused messages
    /// that are not in them.
    pub fn same_content(&self, other: &Self) -> bool {
        let content = |store: &Self| {
            let mut content = State { log: BTreeMap::new(), ..store.state.clone() };
            content.notes.retain(|note, _| !note.starts_with(REFUSALS));
            content
        };
        self.state == other.state || content(self) == content(other)
    }
}

impl Store for MemoryStore {
    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        Ok(Box::new(MemoryTransaction { store: self, undo: Vec::new(), savepoints: Vec::new() }))
    }
}

/// The inverse of one change.
type Undo = Box<dyn FnOnce(&mut State)>;

/// A transaction on a [`MemoryStore`].
struct MemoryTransaction<'s> {
    store: &'s mut MemoryStore,
    /// The inverses of the changes so far, oldest first.
    undo: Vec<Undo>,
    /// The number of inverses at each open savepoint.
    savepoints: Vec<usize>,
}

impl fmt::Debug for MemoryTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTransaction")
            .field("changes", &self.undo.len())
            .field("savepoints", &self.savepoints)
            .finish_non_exhaustive()
    }
}

impl MemoryTransaction<'_> {
    /// Writes or (with `None`) removes one row of a table.
    fn put<K, V>(
        &mut self,
        table: impl Fn(&mut State) -> &mut BTreeMap<K, V> + 'static,
        key: K,
        value: Option<V>,
    ) where
        K: Clone + Ord + 'static,
        V: 'static,
    {
        let old = exchange(table(&mut self.store.state), key.clone(), value);
        self.undo.push(Box::new(move |state| {
            exchange(table(state), key, old);
        }));
    }

    /// Appends a row to a table that is in the order of writing.
    fn append<V: 'static>(
        &mut self,
        table: impl Fn(&mut State) -> &mut BTreeMap<u64, V> + 'static,
        value: V,
    ) {
        let last = table(&mut self.store.state).last_key_value().map_or(0, |(key, _)| *key);
        self.put(table, last + 1, Some(value));
    }

    /// Removes the rows of a table that `which` accepts. Returns their number.
    fn remove_where<K, V>(
        &mut self,
        table: impl Fn(&mut State) -> &mut BTreeMap<K, V> + Copy + 'static,
        which: impl Fn(&K, &V) -> bool,
    ) -> u64
    where
        K: Clone + Ord + 'static,
        V: 'static,
    {
        let rows = table(&mut self.store.state).iter();
        let keys: Vec<K> =
            rows.filter(|(key, value)| which(key, value)).map(|(key, _)| key.clone()).collect();
        let count = keys.len() as u64;
        for key in keys {
            self.put(table, key, None);
        }
        count
    }

    /// Replaces a whole part of the state.
    fn replace<T: 'static>(&mut self, part: impl Fn(&mut State) -> &mut T + 'static, value: T) {
        let old = std::mem::replace(part(&mut self.store.state), value);
        self.undo.push(Box::new(move |state| *part(state) = old));
    }

    fn roll_back_to(&mut self, changes: usize) {
        for undo in self.undo.drain(changes..).rev() {
            undo(&mut self.store.state);
        }
    }
}

impl Transaction for MemoryTransaction<'_> {
    fn commit(mut self: Box<Self>) -> Stored<()> {
        self.undo.clear();
        Ok(())
    }
}

/// Rolls back a transaction that was not committed. After a commit there is nothing to undo.
impl Drop for MemoryTransaction<'_> {
    fn drop(&mut self) {
        self.roll_back_to(0);
    }
}

fn exchange<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    }
}

fn failure(action: &'static str, why: impl Into<String>) -> StoreError {
    StoreError::new(action, StoreErrorKind::Other, why.into())
}

/// Calls a visitor until it breaks.
fn visit_all<T>(rows: impl IntoIterator<Item = T>, mut visit: impl FnMut(T) -> Flow) {
    // A break is the visitor's decision, so its caller knows about it.
    let _ = rows.into_iter().try_for_each(&mut visit);
}
