//! The protocol: what requestors and the server do with what they hold and what they hear.
//!
//! `docs/protocol.md` states the rules; names such as S13c, B2 or R11 in comments refer to its
//! tables. *Never:* I/O, a clock, randomness, hash-ordered maps: time and random tokens are
//! arguments, state is reached through the traits of [`tables`].
#![deny(missing_docs)]

pub mod bounds;
pub mod context;
pub mod delta;
pub mod guard;
pub mod invitation;
pub mod requestor;
pub mod row;
pub mod server;
pub mod simulation;
pub mod tables;
