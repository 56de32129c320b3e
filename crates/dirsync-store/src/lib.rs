//! The database of a postoffice, behind one trait.
//!
//! A step of the agent begins one [`Transaction`], passes it to `dirsync-protocol` as [`Tables`], and
//! commits it. All changes of a message so become visible together, or not at all.
//!
//! A store never decides anything: it stores rows and returns them. Decisions are in `dirsync-protocol`.
//!
//! Begin with the trait [`Store`]. [`sqlite::SqliteStore`] implements it for postoffices; tests and
//! simulations have a store in memory, in `dirsync-testing`.
//!
//! ```
//! use dirsync_store::Store;
//! use dirsync_testing::MemoryStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut store = MemoryStore::new();
//! let mut transaction = store.begin()?;
//! transaction.put_note("step/apply", Some("1767225600000"))?;
//! transaction.commit()?;
//!
//! // A transaction that is dropped leaves nothing behind.
//! store.begin()?.put_note("step/apply", None)?;
//! assert_eq!(store.begin()?.note("step/apply")?.as_deref(), Some("1767225600000"));
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

pub mod sqlite;

use dirsync_protocol::tables::{Stored, Tables};

/// The database of a postoffice.
///
/// Only one transaction writes at a time. Within a process the exclusive borrow ensures that. A
/// database that several processes can open also takes a lock, and fails with
/// [`StoreErrorKind::Busy`](dirsync_protocol::tables::StoreErrorKind::Busy) if another one has it.
/// Readers with another handle or in another process never wait, and see the state committed before
/// they began.
pub trait Store {
    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// If the store cannot be read or locked.
    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>>;
}

/// An open transaction. If it is dropped without [`Transaction::commit`], it leaves nothing behind.
pub trait Transaction: Tables {
    /// Makes the changes durable and visible. Open savepoints are released.
    ///
    /// # Errors
    ///
    /// If the changes could not be stored. Then none of them was.
    fn commit(self: Box<Self>) -> Stored<()>;
}
