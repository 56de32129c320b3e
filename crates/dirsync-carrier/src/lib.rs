//! Carries message files between postoffices, and writes files that survive a crash.
//!
//! A message file is a front, which is made for one addressee, and a body, which several messages share.
//! A [`Spool`] keeps bodies until they are sent: long ones in files, so that memory does not grow with them.
//! [`durable`] writes every other file of the program, and [`access`] decides who may read it.
//!
//! This crate never looks into a message: front and body are strings of bytes, and the name of a
//! file is a hint only. `dirsync-seal` opens the message, `dirsync-message` reads its text, and
//! `dirsync-protocol` carries it out.
//!
//! Begin with the trait [`Transit`]. [`FolderTransit`] implements it for a folder that several
//! postoffices share; a new kind of transport implements it, too. [`PatientTransit`] keeps a share that hangs
//! from holding up the program. A [`Place`] is the text that names where messages are exchanged.
//!
//! ```
//! use dirsync_carrier::{Body, FolderTransit, Outgoing, Transit};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let share = tempfile::tempdir()?;
//! let (north, south) = ("NORTH/HQ".parse()?, "SOUTH/HQ".parse()?);
//! let (epoch, number, part, front, body) = ("e", 1, 1, b"front ", Body::from(b"body".to_vec()));
//! let message = Outgoing { from: &north, to: &south, epoch, number, part, front, body: &body };
//! FolderTransit::new(share.path(), north.clone()).send(&message)?;
//!
//! let transit = FolderTransit::new(share.path(), south.clone());
//! let arrived = transit.arrived()?.remove(0);
//! let file = transit.open(&arrived)?.expect("nobody else took it")?;
//! assert_eq!(std::io::read_to_string(file)?, "front body");
//! transit.finished(&arrived)?;
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

pub mod access;
mod beside;
mod body;
mod carrier;
pub mod durable;
mod folder;
mod folder_carrier;
mod lock;
mod name;
mod place;
mod share;
mod together;
mod transit;

/// Names of message files, for tests of other crates.
#[cfg(feature = "testing")]
pub mod message_name {
    pub use crate::name::{SUFFIX, encode, read};
}

pub use beside::{PIECE_SUFFIX, SIGNAL_SUFFIX, is_of_piece, is_of_signal};
pub use body::{Body, BodySpool, Spool};
pub use carrier::{Carrier, CarrierError, CarrierErrorKind, CarrierFile};
pub use folder::{FolderTransit, InboxContents, is_of_message, sender_in_name};
pub use folder_carrier::FolderCarrier;
pub use lock::{LockError, PostofficeLock};
pub use name::message_file_name;
pub use place::{Place, PlaceError};
pub use share::{PatientTransit, Shares};
pub use together::together;
pub use transit::{Arrived, MessageFile, OpenedFile, Outgoing, Transit, TransitError};
