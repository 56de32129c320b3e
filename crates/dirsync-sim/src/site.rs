//! One database of a world, in memory or in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use dirsync_agent::decisions::Decision;
use dirsync_directory::EntryId;
use dirsync_protocol::tables::{StoreError, StoreErrorKind, Stored};
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{MemoryStore, Store, Transaction};
use tempfile::TempDir;

/// Where a database is.
enum Place {
    Memory(Box<MemoryStore>),
    File { store: Box<SqliteStore>, folder: TempDir },
}

/// One machine: a database, a clock, and a log of decisions.
pub struct Site {
    place: Place,
    /// What each source has named in this life of the database, by a second account.
    named: BTreeMap<String, BTreeSet<EntryId>>,
    /// How far its clock is off, in milliseconds.
    pub skew: i64,
    /// Its disk is full: nothing can be written.
    pub full: bool,
    /// What administrators decided here; survives restores.
    pub decisions: Vec<Decision>,
}

impl Site {
    /// A machine with an empty database, in memory or in a file.
    ///
    /// # Panics
    ///
    /// When no file can be made.
    pub fn new(in_file: bool) -> Self {
        let place = if in_file {
            let folder = tempfile::tempdir().expect("a folder for a database");
            let store = SqliteStore::create(folder.path().join("postoffice.db"));
            Place::File { store: Box::new(store.expect("a database")), folder }
        } else {
            Place::Memory(Box::default())
        };
        let named = BTreeMap::new();
        Self { place, named, skew: 0, full: false, decisions: Vec::new() }
    }

    /// A copy as a backup takes it: what was committed.
    ///
    /// # Panics
    ///
    /// When no file can be made.
    pub fn copy(&self) -> Self {
        let place = match &self.place {
            Place::Memory(store) => Place::Memory(store.clone()),
            Place::File { store, .. } => {
                let folder = tempfile::tempdir().expect("a folder for a database");
                let path: PathBuf = folder.path().join("postoffice.db");
                store.backup_to(&path).expect("a copy");
                Place::File { store: Box::new(SqliteStore::open(&path).expect("a copy")), folder }
            }
        };
        let (skew, full, decisions) = (self.skew, self.full, self.decisions.clone());
        Self { place, named: self.named.clone(), skew, full, decisions }
    }

    /// Takes the database of a copy, and keeps clock and decisions.
    pub fn restore(&mut self, copy: &Self) {
        let Self { place, named, .. } = copy.copy();
        (self.place, self.named) = (place, named);
    }

    /// Whether a source has named an entry in this life of the database.
    pub fn has_named(&self, source: &str, id: EntryId) -> bool {
        self.named.get(source).is_some_and(|named| named.contains(&id))
    }

    /// A source has named entries.
    pub fn name(&mut self, source: &str, ids: BTreeSet<EntryId>) {
        self.named.entry(source.into()).or_default().extend(ids);
    }

    /// The store.
    ///
    /// # Panics
    ///
    /// When it is not in memory.
    pub fn memory(&mut self) -> &mut MemoryStore {
        match &mut self.place {
            Place::Memory(store) => store,
            Place::File { folder, .. } => panic!("{} is a file", folder.path().display()),
        }
    }

    /// Whether its database is in memory, so that copies cost little.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// Makes the `n`th operation of a database in memory fail; see [`MemoryStore::fail_at`].
    pub fn fail_at(&mut self, n: Option<u64>) {
        if let Place::Memory(store) = &mut self.place {
            store.fail_at(n);
        }
    }

    /// Reads in one transaction.
    ///
    /// # Panics
    ///
    /// When the store fails, which it does only where the world asked for it.
    pub fn look<R>(&mut self, read: impl FnOnce(&mut (dyn Transaction + '_)) -> Stored<R>) -> R {
        let full = std::mem::replace(&mut self.full, false);
        let result = {
            let mut tables = self.begin().expect("a transaction");
            read(&mut *tables).expect("the store can be read")
        };
        self.full = full;
        result
    }

    /// Collects what a visit of the tables gives.
    ///
    /// # Panics
    ///
    /// As [`Self::look`].
    pub fn gather<T, R: Extend<T> + Default>(
        &mut self,
        visit: impl FnOnce(
            &mut (dyn Transaction + '_),
            &mut dyn FnMut(T) -> ControlFlow<()>,
        ) -> Stored<()>,
    ) -> R {
        let mut gathered = R::default();
        self.look(|tables| {
            visit(tables, &mut |thing| {
                gathered.extend([thing]);
                ControlFlow::Continue(())
            })
        });
        gathered
    }
}

impl Store for Site {
    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        if self.full {
            return Err(StoreError {
                action: "begin a transaction",
                kind: StoreErrorKind::Full,
                source: "no space is left on this machine".into(),
            });
        }
        match &mut self.place {
            Place::Memory(store) => store.begin(),
            Place::File { store, .. } => store.begin(),
        }
    }
}
