//! One postoffice on one machine: its folder, its configuration, and the operations on it.
//!
//! Begin with [`Postoffice`]: [`Postoffice::open`] takes the folder's lock, refuses a copied folder and
//! carries out decisions that the database does not know yet; [`Postoffice::read`] looks at it while an
//! agent works. Operations return typed values.
//!
//! ```
//! use dirsync_postoffice::status::Status;
//! use dirsync_postoffice::{Postoffice, init};
//!
//! # fn main() -> dirsync_postoffice::Result<()> {
//! let folder = tempfile::tempdir()?;
//! init::make_server(folder.path(), &"NORTH/HQ".parse()?)?;
//! let mut postoffice = Postoffice::read(folder.path())?;
//! let status = Status::of(&mut postoffice)?;
//! assert_eq!(status.entries, 0);
//! # Ok(())
//! # }
//! ```
//!
//! *Never:* printing, a command line, an exit code, or a decision of the protocol.
#![deny(missing_docs)]

pub mod carrier;
pub mod check;
pub mod config;
pub mod contested;
pub mod decisions;
pub mod difference;
pub mod entries;
pub mod exposure;
pub mod failure;
pub mod folder;
pub mod forecast;
pub mod held;
pub mod home;
pub mod identity;
pub mod inbox;
pub mod init;
pub mod invitation;
pub mod key;
pub mod key_ring;
mod keys;
pub mod last_command;
pub mod line_status;
pub mod lines;
mod link_certificates;
pub mod link_desk;
pub mod links;
pub mod log;
mod mail;
pub mod maps;
pub mod message;
mod missing;
mod nearest;
pub mod next;
pub mod places;
mod postoffice;
pub mod probe;
pub mod quarantine;
pub mod registrations;
pub mod report;
pub mod restore;
pub mod runs;
pub mod server;
pub mod settings;
mod slow_place;
pub mod sources;
pub mod status;
pub mod steps;
pub mod targets;
pub mod time;
pub mod transfers;
pub mod view;
pub mod waiting;
pub mod why;

pub use dirsync_agent::json;
pub use failure::{Failure, FailureKind, Result};
pub use postoffice::{Postoffice, log_within};
pub use time::now_ms;
