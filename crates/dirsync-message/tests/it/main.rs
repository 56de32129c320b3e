//! Heads and bodies, printed, read, and broken.
#![allow(clippy::disallowed_methods, reason = "tests read their data from files")]

mod bodies;
mod corpus;
mod heads;
mod strategies;
