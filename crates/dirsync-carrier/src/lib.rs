//! Carries message files between postoffices, and writes files that survive a crash.
//!
//! A message is a head and a body, both text; the body is compressed, and shared by several messages.
//! [`durable`] writes every file of the program, and [`access`] decides who may read it.
//!
//! This crate never looks into a message: head and body are strings of bytes, and the name of a
//! file is a hint only. `dirsync-message` reads the content, and `dirsync-protocol` decides what it
//! means.
//!
//! Begin with the trait [`Carrier`]. [`FolderCarrier`] implements it for a folder that several
//! postoffices share; a new kind of transport implements it, too. [`PatientCarrier`] keeps a share that hangs
//! from holding up the program.
//!
//! ```
//! use std::io::Write;
//!
//! use dirsync_carrier::{BodyEncoder, Carrier, FolderCarrier, Outgoing};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let share = tempfile::tempdir()?;
//! let (north, south) = ("NORTH/HQ".parse()?, "SOUTH/HQ".parse()?);
//! let mut body = BodyEncoder::new(3)?;
//! body.write_all(b"transactions")?;
//! let (body, epoch, number, part) = (body.finish()?, "e", 1, 1);
//! let message = Outgoing { from: &north, to: &south, epoch, number, part, head: "head", body: &body };
//! FolderCarrier::new(share.path(), north.clone(), 1 << 20).send(&message)?;
//!
//! let carrier = FolderCarrier::new(share.path(), south.clone(), 1 << 20);
//! let arrived = carrier.arrived()?.remove(0);
//! let opened = carrier.open(&arrived)?.expect("nobody else took it")?;
//! assert_eq!(opened.head, "head");
//! carrier.finished(&arrived)?;
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

pub mod access;
mod body;
mod carrier;
pub mod durable;
mod envelope;
mod folder;
mod lock;
mod name;
mod read_ahead;
mod share;
mod together;

/// Names of message files, for tests of other crates.
#[cfg(feature = "testing")]
pub mod message_name {
    pub use crate::name::{SUFFIX, encode, read};
}

pub use body::{BODY_BYTES_MAX, BodyDecoder, BodyEncoder, EncodedBody};
pub use carrier::{Arrived, Carrier, CarrierError, Outgoing};
pub use envelope::{
    Envelope, EnvelopeError, Message, message_bytes, open_message, open_message_within,
    write_message,
};
pub use folder::{FolderCarrier, InboxContents};
pub use lock::{LockError, PostofficeLock};
pub use share::{PatientCarrier, Shares};
