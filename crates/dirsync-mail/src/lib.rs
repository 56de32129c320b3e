//! Carries files of the directory synchronization by e-mail, through real mail servers.
//!
//! One file travels in one mail ([`compose`]), which goes out by SMTP or a program ([`out`]), and comes in through a mailbox
//! that people may read as well ([`Maildir`], [`imap::Imap`]). [`read`] finds the file in whatever mail servers made of its mail, and
//! [`bounce`] understands what they send back. [`MailCarrier`] is the whole as a
//! [`Carrier`](dirsync_carrier::Carrier): it looks into files only as far as their first lines say for whom they are, and
//! believes none of it.
//!
//! Nothing in a mail decides anything: not its id, its date, its sender or the name of an attachment. A file is known by
//! itself, and its receiver says whether it is genuine and new. No mail is ever answered, and mail of others stays as
//! it is.
#![deny(missing_docs)]

mod address;
pub mod bounce;
pub mod carrier;
pub mod compose;
mod file;
mod hint;
#[cfg(feature = "servers")]
pub mod imap;
mod mailbox;
mod maildir;
pub mod out;
mod parts;
pub mod read;
pub mod tnef;

pub use address::{ADDRESS_BYTES_MAX, MailAddress, MailAddressError};
pub use carrier::MailCarrier;
pub use file::{FoundFile, is_file};
pub use mailbox::{MailRef, Mailbox};
pub use maildir::Maildir;
pub use parts::{DEPTH_MAX, PARTS_MAX};
