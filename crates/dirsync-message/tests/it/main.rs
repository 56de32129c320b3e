//! Heads and bodies that are printed, read and damaged.
#![allow(clippy::disallowed_methods, reason = "tests read their data from files")]

mod bodies;
mod corpus;
mod heads;
mod strategies;
