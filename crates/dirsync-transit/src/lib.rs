//! Bodies of messages that travel apart from their messages, over lines that are up now and then.
//!
//! A message whose addressee is reached over such a line names its body by its hash. The body is *frozen*: made
//! once, kept in an [`Outbox`], and never changed. It travels in pieces, each signed by its sender. Pieces may be
//! lost, doubled and reordered. What has come is kept, and each message to the sender lists it, so that only the
//! rest is sent, whichever message named the body first.
//!
//! Everything here is a cache. If it is lost at any moment, bytes are sent again, and nothing else changes: the
//! protocol of `dirsync-protocol` decides what is true, and it sees whole messages only.
//!
//! Begin with [`Outbox`]. [`Queue`] and [`Assembly`] are its pure state for one peer; [`BodyStore`] keeps them in
//! memory ([`MemoryBodies`]) or in a folder ([`DiskBodies`]).
//!
//! ```
//! use dirsync_seal::{BodySealer, Content};
//! use dirsync_transit::{FrozenBody, MemoryBodies, Outbox};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (north, south) = ("NORTH/HQ".parse()?, "SOUTH/HQ".parse()?);
//! let (sealed, bytes) = BodySealer::new(Vec::new(), 3)?.finish()?;
//! let body = FrozenBody { content: sealed.content, key: sealed.key, made_for: "head".into(), made_at: 0 };
//!
//! let sender = Outbox::new(MemoryBodies::default());
//! sender.freeze(&south, &body, &mut bytes.as_slice())?;
//!
//! let receiver = Outbox::new(MemoryBodies::default());
//! while let Some(next) = sender.next_piece(&south, 100)? {
//!     receiver.take_piece(&north, &next.piece, &next.bytes, 0)?;
//!     sender.hand_over(&south, &next.piece)?;
//! }
//! assert!(receiver.open(&body.content)?.is_some());
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

mod assembly;
mod disk;
mod memory;
mod outbox;
mod queue;
mod runs;
mod store;
mod text;

#[cfg(test)]
mod testing;

pub use assembly::{Assembly, BODIES_MAX, PieceRefused};
pub use disk::DiskBodies;
pub use memory::MemoryBodies;
pub use outbox::{NextPiece, Outbox, Progress};
pub use queue::{FrozenBody, PIECE_BYTES, PIECE_BYTES_MIN, Piece, Queue};
pub use runs::Runs;
pub use store::{BodiesError, BodyStore, ChangeBodies, PeerBodies};
