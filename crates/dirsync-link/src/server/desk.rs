//! What a postoffice offers to its requestors over the link.

use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, ContentHash, LoginLines};
use dirsync_transit::Piece;
use thiserror::Error;

/// Why a desk did not do what was asked.
#[derive(Debug, Error)]
pub enum DeskError {
    /// It never will: the file or the body is not one that this postoffice takes.
    #[error("{0}")]
    Refused(String),
    /// It may do so later. The other side is told no more than that.
    #[error("{0}")]
    Failed(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl From<std::io::Error> for DeskError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The work of a desk, or why it was not done.
pub type Served<T> = Result<T, DeskError>;

/// The messages and bodies of a directory server, by requestor. Its calls may take as long as a disk does; none of them
/// waits for a step or for a line.
pub trait Desk: Send + Sync + 'static {
    /// The requestor that a login proves. The nonce was checked.
    ///
    /// # Errors
    ///
    /// If it proves none.
    fn admit(&self, login: LoginLines) -> Served<PostofficeName>;

    /// Whether a requestor that was admitted still may exchange messages.
    fn is_served(&self, requestor: &PostofficeName) -> bool;

    /// The files that wait for a requestor, in the order in which it should take them, with their sizes in bytes.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn waiting(&self, requestor: &PostofficeName) -> Served<Vec<(String, u64)>>;

    /// A file that waits for a requestor. `None` if it is gone.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn read(&self, requestor: &PostofficeName, name: &str) -> Served<Option<Vec<u8>>>;

    /// Forgets a file that a requestor has taken.
    ///
    /// # Errors
    ///
    /// If it is not known to be gone.
    fn taken(&self, requestor: &PostofficeName, name: &str) -> Served<()>;

    /// Takes a file of a requestor, durably. Returns whether an answer may follow soon.
    ///
    /// # Errors
    ///
    /// If it was not taken.
    fn deliver(&self, requestor: &PostofficeName, name: &str, bytes: &[u8]) -> Served<bool>;

    /// The body with this hash, if it travels to this requestor.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn body(&self, requestor: &PostofficeName, hash: &ContentHash) -> Served<Option<Content>>;

    /// A part of a body that travels to a requestor. `None` if its bytes are gone.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn read_part(&self, requestor: &PostofficeName, part: &Piece) -> Served<Option<Vec<u8>>>;

    /// How many bytes of a requestor's body have come, from its beginning. `None` if none of it is known.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn held(&self, requestor: &PostofficeName, hash: &ContentHash) -> Served<Option<Held>>;

    /// Takes a part of a requestor's body, durably.
    ///
    /// # Errors
    ///
    /// If it was not taken.
    fn take_part(&self, requestor: &PostofficeName, part: &Piece, bytes: &[u8]) -> Served<()>;
}

/// How much has come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The body.
    pub body: Content,
    /// The number of bytes from its beginning.
    pub bytes: u64,
}
