//! Where bodies and their state are kept.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};

use dirsync_carrier::MessageFile;
use dirsync_carrier::durable::FileError;
use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, ContentHash};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::assembly::{Assembly, PieceRefused};
use crate::queue::{Piece, Queue};

/// The bodies that travel to and from one peer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PeerBodies {
    /// Those that it has still to get.
    pub queue: Queue,
    /// Those that come from it.
    pub assembly: Assembly,
}

impl PeerBodies {
    /// Whether this is a state that can come about. One that was read may be any.
    pub(crate) fn is_sound(&self) -> bool {
        self.queue.is_sound() && self.assembly.is_sound()
    }
}

/// An operation on bodies failed.
#[derive(Debug, Error)]
pub enum BodiesError {
    /// The state could not be read or written.
    #[error(
        "could not {action} in \"{path}\": {source}; it is a cache, and may be removed while nothing works on the postoffice"
    )]
    State {
        /// The operation.
        action: &'static str,
        /// The database.
        path: String,
        /// The cause.
        source: rusqlite::Error,
    },
    /// An operation on a file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A body could not be read.
    #[error("could not read a body: {0}")]
    Read(#[from] io::Error),
    /// A piece is over a limit.
    #[error("a piece is not kept: {0}")]
    Refused(#[from] PieceRefused),
}

/// Changes the state of a peer. If it fails, the state stays as it was.
pub type ChangeBodies<'c> = &'c mut dyn FnMut(&mut PeerBodies) -> Result<(), BodiesError>;

/// Keeps sealed bodies under their hashes, and the state of those that travel.
///
/// Everything in it may be lost at any time. That costs bytes, which are sent again, and nothing else.
pub trait BodyStore: fmt::Debug + Send + Sync {
    /// The state of a peer, which is empty if nothing travels.
    ///
    /// # Errors
    ///
    /// If the store fails.
    fn peer(&self, peer: &PostofficeName) -> Result<PeerBodies, BodiesError>;

    /// The peers with bodies that travel, by their names.
    ///
    /// # Errors
    ///
    /// If the store fails.
    fn peers(&self) -> Result<Vec<PostofficeName>, BodiesError>;

    /// Changes the state of a peer; nobody else changes it at the same time.
    ///
    /// # Errors
    ///
    /// If the change or the store fails. The state is then the old one.
    fn change(&self, peer: &PostofficeName, change: ChangeBodies<'_>) -> Result<(), BodiesError>;

    /// Keeps a whole body.
    ///
    /// # Errors
    ///
    /// If `body` or the store fails.
    fn put(&self, content: &Content, body: &mut dyn Read) -> Result<(), BodiesError>;

    /// Opens a whole body. `None` if it is not there.
    ///
    /// # Errors
    ///
    /// If the store fails.
    fn open(&self, content: &Content) -> Result<Option<Box<dyn MessageFile>>, BodiesError>;

    /// Keeps a piece of a body that is not yet whole, apart from those that other peers send of the same body: theirs
    /// may be wrong. When this returns, it survives a power failure.
    ///
    /// # Errors
    ///
    /// If the store fails.
    fn write_piece(
        &self,
        peer: &PostofficeName,
        piece: &Piece,
        bytes: &[u8],
    ) -> Result<(), BodiesError>;

    /// Makes a body whole of which all pieces have come. Returns false if its hash is wrong; the pieces
    /// are then gone.
    ///
    /// # Errors
    ///
    /// If the store fails.
    fn complete(&self, peer: &PostofficeName, content: &Content) -> Result<bool, BodiesError>;

    /// Removes all other bodies.
    ///
    /// # Errors
    ///
    /// If the store fails.
    fn keep_only(&self, bodies: &BTreeSet<ContentHash>) -> Result<(), BodiesError>;
}
