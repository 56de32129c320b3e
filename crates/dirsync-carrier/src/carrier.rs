//! What every carrier does.

use std::io;
use std::path::PathBuf;

use dirsync_directory::PostofficeName;
use thiserror::Error;

use crate::durable::FileError;
use crate::{EncodedBody, EnvelopeError, Message, name};

/// A message on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Who sends it.
    pub from: &'a PostofficeName,
    /// Who is to receive it.
    pub to: &'a PostofficeName,
    /// The life of the sender's numbering, as text.
    pub epoch: &'a str,
    /// Number of the message within it.
    pub number: u64,
    /// Number of the part, from 1.
    pub part: u32,
    /// The head's text.
    pub head: &'a str,
    /// The body.
    pub body: &'a EncodedBody,
}

/// A message that has arrived; what its name says is a hint and proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    /// The sender, as the name says (folded).
    pub sender: String,
    /// The epoch, as the name says.
    pub epoch: String,
    /// The number, as the name says.
    pub number: u64,
    /// The part, as the name says.
    pub part: u32,
    /// The file, or another handle of the carrier.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified: u64,
}

impl Arrived {
    /// Whether its name says that this postoffice sent it.
    pub fn is_from(&self, name: &PostofficeName) -> bool {
        self.sender == name.folded() || name::hint(name.as_str()).as_ref() == Some(&self.sender)
    }
}

/// A carrier could not do what it was asked.
#[derive(Debug, Error)]
pub enum CarrierError {
    /// The place that it carries through is not there.
    #[error("cannot reach the shared folder \"{path}\": {source}; messages wait until it is back", path = .path.display())]
    Unreachable {
        /// The place.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be handled.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Carries message files from and to one postoffice.
pub trait Carrier {
    /// Sends a message; once this returns it will be seen whole or not at all. Sending the same
    /// again is harmless. Returns the bytes of the file.
    ///
    /// # Errors
    ///
    /// When the place cannot be reached or written.
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, CarrierError>;

    /// Sends messages, each to another addressee, and tells for each as [`Self::send`] does. What
    /// fails for one is tried for the others.
    fn send_all(&self, messages: &[Outgoing<'_>]) -> Vec<Result<u64, CarrierError>> {
        messages.iter().map(|message| self.send(message)).collect()
    }

    /// What has arrived, by sender, epoch, number and part.
    ///
    /// # Errors
    ///
    /// When the place cannot be reached.
    fn arrived(&self) -> Result<Vec<Arrived>, CarrierError>;

    /// Opens a message; none where it is gone because somebody else took it.
    ///
    /// # Errors
    ///
    /// The outer error is the carrier's, the inner one says what is wrong with the file.
    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<Result<Message, EnvelopeError>>, CarrierError>;

    /// Says that a message was taken; it is kept aside for a time. Returns false when somebody
    /// else was first, or another message has its name by now: that one stays.
    ///
    /// # Errors
    ///
    /// When the file cannot be moved.
    fn finished(&self, arrived: &Arrived) -> Result<bool, CarrierError>;

    /// Sets a message aside with the reason why it cannot be taken.
    ///
    /// # Errors
    ///
    /// When the file cannot be moved.
    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, CarrierError>;

    /// Keeps a message of `sender` aside until it can be taken; [`Self::waiting`] tells of it. Returns
    /// where it is now; none where it is gone because somebody else took it.
    ///
    /// # Errors
    ///
    /// When the file cannot be moved.
    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, CarrierError>;

    /// What was kept waiting, by sender, epoch, number and part.
    ///
    /// # Errors
    ///
    /// When the place cannot be reached.
    fn waiting(&self) -> Result<Vec<Arrived>, CarrierError>;

    /// Removes what was set aside before `before` (milliseconds since 1970). Returns how many.
    ///
    /// # Errors
    ///
    /// When the place cannot be reached.
    fn purge(&self, before: u64) -> Result<u64, CarrierError>;

    /// From how many encoded bytes on a body is better cut into parts.
    fn part_bytes_max(&self) -> u64;
}
