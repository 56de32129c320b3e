//! What carries message files between postoffices, and how a file is written so that it survives.
//!
//! A message is a head (text) and a body (text, compressed and shared). *Never:* what a message
//! means; what is carried is two byte strings.
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
mod together;

pub use body::{BODY_BYTES_MAX, BodyDecoder, BodyEncoder, EncodedBody};
pub use carrier::{Arrived, Carrier, CarrierError, Outgoing};
pub use envelope::{
    Envelope, EnvelopeError, Message, message_bytes, open_message, open_message_within,
    write_message,
};
pub use folder::{FolderCarrier, InboxContents};
pub use lock::{LockError, PostofficeLock};
