//! What tests share: postoffices that run the shipped steps, stores that fail as planned, sample
//! rows, a network and lines in memory, and the suites that every store, every transit and every
//! carrier passes.
//!
//! A dev-dependency of the crates that are tested, and part of `dirsync-sim` and `dirsync-fuzz`.
//! *Never:* in the program. Begin with [`World`]:
//!
//! ```
//! use dirsync_testing::{SERVER, World};
//!
//! let mut world = World::new(&["SOUTH/SALES"]);
//! world.at(SERVER).import(&[("1", "Ana Souza", "SMTP:ana@north.example", "100")]);
//! world.cycle();
//! let list = world.at("SOUTH/SALES").list();
//! assert!(list[0].contains("Ana Souza"));
//! assert_eq!(list, world.converged());
//! ```
#![deny(missing_docs)]

pub mod conformance;
mod faults;
mod held;
mod keys;
mod letter;
mod line;
mod memory;
mod network;
mod plain;
mod postoffice;
mod random;
pub mod rows;
mod store;
mod world;

pub use faults::{Fault, Faults};
pub use held::held_changes;
pub use keys::{all_peer_keys, changed_keys, key_of, own_keys, peer_keys, sealing_of};
pub use letter::{Readable, body_apart, head_of};
pub use line::{Line, LinePlace, SlowMessages, SlowTransit, exchange};
pub use memory::MemoryStore;
pub use network::{Letter, MemoryNetwork};
pub use plain::PlainSealing;
pub use postoffice::{DAY_MS, EVIDENCE, Failed, SERVER, START_MS, TestPostoffice};
pub use random::Random;
pub use store::TestStore;
pub use world::World;
