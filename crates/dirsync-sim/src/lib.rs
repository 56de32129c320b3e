//! Worlds of postoffices that run the shipped steps under faults, from a seed, and a checker with a
//! model of its own beside them.
//!
//! Everything is decided by the seed: the same seed replays byte for byte on any machine. *Never:*
//! a copy of what is shipped, threads inside a world, real time, randomness without a seed.
#![deny(missing_docs)]

pub mod act;
pub mod agents;
pub mod calendar;
pub mod check;
pub mod conversation;
pub mod exhaustive;
pub mod naming;
pub mod network;
pub mod plan;
pub mod random;
pub mod settle;
pub mod site;
pub mod step;
pub mod world;
