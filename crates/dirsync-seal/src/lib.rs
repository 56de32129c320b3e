//! Seals messages between postoffices: encrypts them, signs them, and opens those that are genuine.
//!
//! A message is an *envelope* ([`Front`], [`Lines`]): lines that say from whom, to whom and with which hashes, the
//! sender's signature over them (SSHSIG), a head that is encrypted to the addressee's key, and a body
//! that is encrypted to a one-time key, which travels in the head (both as files of age). So one body serves many
//! addressees, and anybody can check and open a message with `ssh-keygen`, `sha256sum` and `age`. A
//! [`Fragment`] carries a piece of a body, and a [`Signal`] tries a place. [`OwnKeys`] and [`PeerKeys`] know which key signs and which is
//! accepted while keys change.
//!
//! This crate never opens a file, a folder or a connection, and reads no clock: readers, writers and
//! keys are arguments. Only the encryption library draws random numbers from the operating system. It never
//! decrypts, decompresses or believes anything before the signature, by a key that is already known, and
//! the hashes are right. It never verifies a signature by the key that the message itself names. And it knows nothing
//! of the protocol: that a message is old or was already taken is decided by `dirsync-protocol`.
//!
//! Begin with [`Lines`]. It becomes a [`Signed`], and this an [`OpenedHead`], which opens the body. Each step is
//! possible only after the one before it.
//!
//! ```
//! use std::io::{Cursor, Read, Write};
//! # use dirsync_seal::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let north = OwnKeys::new("NORTH/HQ".parse()?, KeyPair::from_seed(&[1; 32], "NORTH/HQ")?);
//! let south = OwnKeys::new("SOUTH/HQ".parse()?, KeyPair::from_seed(&[2; 32], "SOUTH/HQ")?);
//! # let (from, to) = (north.name().clone(), south.name().clone());
//! let mut sealer = BodySealer::new(Vec::new(), 3)?;
//! sealer.write_all(b"transactions")?;
//! let (body, sealed) = sealer.finish()?;
//! # let name = MessageName::new("1f", 1, 1).ok_or("a name")?;
//! # let statement = BodyStatement { content: body.content, place: BodyPlace::Inline };
//! # let (holds, rotated) = (Vec::new(), Vec::new());
//! let front = Front { from, to, name, body: statement, holds, rotated, first_contact: None };
//! let mut file = front.seal("head", &body.key, north.newest(), south.newest().public())?;
//! file.extend(sealed);
//!
//! let pinned = PeerKeys::pinned(north.name().clone(), *north.newest().public());
//! let signed = Lines::read(&mut file.as_slice())?.verify(&south, &pinned)?;
//! let opened = signed.open_head(Cursor::new(file), &south)?;
//! assert_eq!(opened.head(), "head");
//! let mut text = String::new();
//! opened.open_body(1 << 20)?.read_to_string(&mut text)?;
//! assert_eq!(text, "transactions");
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

mod age_file;
mod body;
mod envelope;
mod error;
mod fragment;
mod hash;
mod key;
mod lines;
mod login;
mod open;
mod rotation;
mod signal;
mod signature;
pub mod work;

pub use body::{BODY_BYTES_MAX, BodyKey, BodyReader, BodySealer, SealedBody};
pub use envelope::{
    BodyPlace, BodyStatement, Front, HOLDS_MAX, Holding, Lines, MessageName, RUNS_MAX,
    SEALED_HEAD_BYTES_MAX,
};
pub use error::{Part, SealError};
pub use fragment::{Fragment, FragmentLines, PIECE_BYTES_MAX, SignedFragment};
pub use hash::{Content, ContentHash, ParseHashError};
pub use key::{Fingerprint, KeyError, KeyPair, PublicKey};
pub use lines::{FirstContact, LINES_BYTES_MAX, Parties};
pub use login::{Login, LoginLines, Nonce};
pub use open::{OpenedHead, Signed};
pub use rotation::{CHAIN_MAX, Confirmed, KeyStatement, OwnKeys, PeerKeys, RotationError};
pub use signal::{ProbeId, Signal, SignalLines};
pub use signature::{Namespace, Signature, SignatureError};
