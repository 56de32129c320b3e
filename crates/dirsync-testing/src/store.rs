//! A postoffice's database in a test.

use std::ops::ControlFlow;
use std::path::Path;

use crate::MemoryStore;
use dirsync_protocol::tables::{StoreError, StoreErrorKind, Stored};
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{Store, Transaction};
use tempfile::TempDir;

use crate::faults::{Faults, FaultyTransaction};

/// A database in memory or in a file, which fails as planned.
#[derive(Debug)]
pub struct TestStore {
    database: Database,
    /// What fails, and how many operations there were.
    pub faults: Faults,
    /// The disk is full: no transaction begins.
    pub full: bool,
}

#[derive(Debug)]
enum Database {
    Memory(Box<MemoryStore>),
    /// With the folder that is removed after the store, if it is the store's own.
    File(Box<SqliteStore>, #[expect(dead_code, reason = "removed when dropped")] Option<TempDir>),
}

impl Default for TestStore {
    fn default() -> Self {
        Self::new(Database::Memory(Box::default()))
    }
}

impl TestStore {
    fn new(database: Database) -> Self {
        Self { database, faults: Faults::default(), full: false }
    }

    /// An empty database in a file, which goes with the store.
    pub fn in_file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::create(folder.path().join("postoffice.db")).expect("a database");
        Self::new(Database::File(Box::new(store), Some(folder)))
    }

    /// An empty database in a file that stays.
    pub fn create(path: &Path) -> Self {
        let store = SqliteStore::create(path).expect("a database");
        Self::new(Database::File(Box::new(store), None))
    }

    /// A database that is there.
    pub fn open(path: &Path) -> Self {
        let store = SqliteStore::open(path).expect("a database");
        Self::new(Database::File(Box::new(store), None))
    }

    /// What was committed, as a backup or another machine has it. Nothing in the copy fails.
    pub fn copy(&self) -> Self {
        Self::new(match &self.database {
            Database::Memory(store) => Database::Memory(store.clone()),
            Database::File(store, _) => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let path = folder.path().join("postoffice.db");
                store.backup_to(&path).expect("a copy");
                let store = SqliteStore::open(&path).expect("a copy");
                Database::File(Box::new(store), Some(folder))
            }
        })
    }

    /// Whether it is in memory, so that copies cost little and can be compared.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.database, Database::Memory(_))
    }

    /// See [`MemoryStore::same_content`].
    ///
    /// # Panics
    ///
    /// When one of them is a file.
    pub fn same_content(&self, other: &Self) -> bool {
        let (Database::Memory(one), Database::Memory(other)) = (&self.database, &other.database)
        else {
            panic!("files are not compared")
        };
        one.same_content(other)
    }

    /// Reads in one transaction, on a full disk too.
    pub fn look<R>(&mut self, read: impl FnOnce(&mut (dyn Transaction + '_)) -> Stored<R>) -> R {
        let mut tables = self.begin_inner().expect("a transaction");
        read(&mut *tables).expect("the store can be read")
    }

    /// Collects what a visit of the tables gives.
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

    /// Writes in one transaction, on a full disk too.
    pub fn write<R>(&mut self, write: impl FnOnce(&mut (dyn Transaction + '_)) -> R) -> R {
        let mut tables = self.begin_inner().expect("a transaction");
        let result = write(&mut *tables);
        tables.commit().expect("it can be committed");
        result
    }

    fn begin_inner(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        match &mut self.database {
            Database::Memory(store) => store.begin(),
            Database::File(store, _) => store.begin(),
        }
    }
}

impl Store for TestStore {
    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        if self.full {
            let why = "no space is left on this machine";
            return Err(StoreError::new("begin a transaction", StoreErrorKind::Full, why));
        }
        self.faults.operate("begin")?;
        let faults = self.faults.clone();
        Ok(Box::new(FaultyTransaction { inner: self.begin_inner()?, faults }))
    }
}
