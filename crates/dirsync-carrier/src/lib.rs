//! Carries message files between postoffices, and writes files that survive a crash.
//!
//! A message file is a front, which is made for one addressee, and a body, which several messages share.
//! [`durable`] writes every file of the program, and [`access`] decides who may read it.
//!
//! This crate never looks into a message: front and body are strings of bytes, and the name of a
//! file is a hint only. `dirsync-seal` opens the message, `dirsync-message` reads its text, and
//! `dirsync-protocol` carries it out.
//!
//! Begin with the trait [`Carrier`]. [`FolderCarrier`] implements it for a folder that several
//! postoffices share; a new kind of transport implements it, too. [`PatientCarrier`] keeps a share that hangs
//! from holding up the program.
//!
//! ```
//! use std::sync::Arc;
//!
//! use dirsync_carrier::{Carrier, FolderCarrier, Outgoing};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let share = tempfile::tempdir()?;
//! let (north, south) = ("NORTH/HQ".parse()?, "SOUTH/HQ".parse()?);
//! let (epoch, number, part, front, body) = ("e", 1, 1, b"front ", Arc::new(b"body".to_vec()));
//! let message = Outgoing { from: &north, to: &south, epoch, number, part, front, body: &body };
//! FolderCarrier::new(share.path(), north.clone(), 1 << 20).send(&message)?;
//!
//! let carrier = FolderCarrier::new(share.path(), south.clone(), 1 << 20);
//! let arrived = carrier.arrived()?.remove(0);
//! let file = carrier.open(&arrived)?.expect("nobody else took it")?;
//! assert_eq!(std::io::read_to_string(file)?, "front body");
//! carrier.finished(&arrived)?;
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

pub mod access;
mod carrier;
pub mod durable;
mod folder;
mod lock;
mod name;
mod share;
mod together;

/// Names of message files, for tests of other crates.
#[cfg(feature = "testing")]
pub mod message_name {
    pub use crate::name::{SUFFIX, encode, read};
}

pub use carrier::{Arrived, Carrier, CarrierError, MessageFile, Outgoing};
pub use folder::{FolderCarrier, InboxContents};
pub use lock::{LockError, PostofficeLock};
pub use share::{PatientCarrier, Shares};
pub use together::together;
