//! The postoffice database behind one trait.
//!
//! A step of the agent begins one [`Transaction`], hands it to `dirsync-protocol` as
//! [`Tables`], and commits it: what a message changes becomes visible at once or not at all.
//! *Never:* decisions; a store keeps rows and says what it kept.
#![deny(missing_docs)]

mod memory;
pub mod sqlite;

use dirsync_protocol::tables::{Stored, Tables};

pub use memory::MemoryStore;

/// A postoffice database.
///
/// One transaction writes at a time: the exclusive borrow says so inside one process, and an
/// implementation that several processes can open takes a lock as well
/// ([`StoreErrorKind::Busy`](dirsync_protocol::tables::StoreErrorKind::Busy) when it is held).
/// Readers of another handle or process never wait; they see what was committed before they began.
pub trait Store {
    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or locked.
    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>>;
}

/// A transaction under way. Dropped without [`Transaction::commit`], it leaves nothing behind.
pub trait Transaction: Tables {
    /// Makes the changes durable and visible; open savepoints are released.
    ///
    /// # Errors
    ///
    /// When the changes could not be kept: then none of them was.
    fn commit(self: Box<Self>) -> Stored<()>;
}
