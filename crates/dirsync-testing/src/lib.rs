//! What tests share: sample rows, random numbers from a seed, a network in memory, and the
//! conformance suites that every store and every carrier passes.
//!
//! A dev-dependency of the crates that are tested, and part of `dirsync-sim` and `dirsync-fuzz`.
//! *Never:* in the program.
#![deny(missing_docs)]

pub mod conformance;
mod network;
mod random;
pub mod rows;

pub use network::MemoryNetwork;
pub use random::Random;
