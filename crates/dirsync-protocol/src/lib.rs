//! The decisions of the protocol: how requestors and the directory server change their tables when they
//! change an entry, make a request, take a message, or answer one.
//!
//! `docs/protocol.md` states the decisions as tables; [`row::Row`] names their rows, and comments refer to
//! them (S13c, B2, R11). *Never:* I/O, a clock, randomness, hash-ordered maps. Time and random tokens come
//! with a [`context::Context`], and state is reached through the traits of [`tables`].
//!
//! Begin with [`server::receive`], which takes a request, and [`requestor::receive`], which takes the
//! answer. Each reads from the top like its table: the first row that fits decides. The requestor's half is
//! in [`requestor`], and begins where somebody changes an entry:
//!
//! ```
//! use std::ops::ControlFlow;
//! use dirsync_protocol::requestor::{make_request, visit_request_body};
//! use dirsync_testing::World;
//!
//! let mut world = World::new(&["SOUTH/SALES"]);
//! let south = world.at("SOUTH/SALES");
//! south.import(&[("1", "Bo Ek", "SMTP:bo@south.example", "200")]);
//! let changes = south.transact(|tables, context, _| {
//!     let request = make_request(tables, context, Default::default(), None)?.expect("it may send");
//!     let mut changes = Vec::new();
//!     visit_request_body(tables, &request.own, &mut |transaction| {
//!         changes.push(transaction.key.to_owned());
//!         ControlFlow::Continue(())
//!     })?;
//!     Ok::<_, dirsync_protocol::context::ReceiveError>(changes)
//! });
//! assert_eq!(changes.unwrap(), ["1"], "the own changes that the server has not acknowledged");
//! ```
#![deny(missing_docs)]

pub mod bounds;
pub mod context;
pub mod delta;
mod event;
pub mod evidence;
pub mod guard;
pub mod invitation;
pub mod requestor;
pub mod row;
pub mod server;
pub mod simulation;
pub mod tables;
