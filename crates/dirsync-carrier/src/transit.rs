//! The messages that a postoffice sends and receives, as its steps see them.

use std::io::{self, Read, Seek, Write};

use dirsync_directory::PostofficeName;
use thiserror::Error;

use crate::body::Body;
use crate::durable::FileError;

/// A message file that is read. The bytes may come from anybody.
pub trait MessageFile: Read + Seek + Send {}

impl<F: Read + Seek + Send> MessageFile for F {}

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The sender.
    pub from: &'a PostofficeName,
    /// The addressee.
    pub to: &'a PostofficeName,
    /// The epoch of the sender's numbering, as text.
    pub epoch: &'a str,
    /// The number of the message within the epoch.
    pub number: u64,
    /// The number of the part, from 1.
    pub part: u32,
    /// The bytes of the file up to the body.
    pub front: &'a [u8],
    /// The body, which messages to others may share.
    pub body: &'a Body,
}

impl Outgoing<'_> {
    /// The size of the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.front.len() as u64 + self.body.bytes()
    }

    /// Writes the bytes of the file.
    ///
    /// # Errors
    ///
    /// If the body cannot be read, or writing fails. A part may then have been written.
    pub fn write_to(&self, output: &mut dyn Write) -> io::Result<()> {
        output.write_all(self.front)?;
        self.body.write_to(output)
    }
}

/// A message that has arrived. The fields that come from its name are hints and prove nothing:
/// anybody who can write to the folder chooses the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    /// The sender according to the name, folded.
    pub sender: String,
    /// The epoch according to the name.
    pub epoch: String,
    /// The number according to the name.
    pub number: u64,
    /// The part according to the name.
    pub part: u32,
    /// The handle by which the transit finds it again.
    pub id: String,
    /// Where it is, for people: the path of a file, for instance.
    pub whereabouts: String,
    /// The size of the file.
    pub bytes: u64,
    /// The time of the last write to the file, in milliseconds since 1970.
    pub modified: u64,
}

/// An operation of a transit failed.
#[derive(Debug, Error)]
pub enum TransitError {
    /// The place where messages are exchanged cannot be reached.
    #[error("cannot reach {place}: {source}; messages wait until it is back")]
    Unreachable {
        /// The place, in words.
        place: String,
        /// The cause.
        source: io::Error,
    },
    /// An operation on a file failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The result of [`Transit::open`].
pub type OpenedFile = Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError>;

/// The messages of one postoffice that leave and arrive.
///
/// Messages may get lost, come twice and in any order, because the protocol tolerates that. A part of a
/// message, or an altered one, must never arrive as a whole.
pub trait Transit {
    /// Whether messages wait here for a line that is up now and then. Long bodies then travel apart from them, and
    /// by themselves.
    fn is_slow(&self) -> bool {
        false
    }

    /// Sends a message. The addressee sees the whole message or nothing. Sending the same message again
    /// is harmless. Returns the size of the file in bytes.
    ///
    /// # Errors
    ///
    /// If the place cannot be reached, or writing fails.
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError>;

    /// Sends messages to different addressees, and returns the result of [`Self::send`] for each. If one
    /// fails, the others are sent all the same.
    fn send_all(&self, messages: &[Outgoing<'_>]) -> Vec<Result<u64, TransitError>> {
        messages.iter().map(|message| self.send(message)).collect()
    }

    /// The messages that have arrived, sorted by sender, epoch, number and part.
    ///
    /// # Errors
    ///
    /// If the place cannot be reached.
    fn arrived(&self) -> Result<Vec<Arrived>, TransitError>;

    /// Opens the file of a message. `None` if it is gone, because another process took it.
    ///
    /// # Errors
    ///
    /// The outer error is one of the transit, and trying again may help. The inner error is one of this
    /// file, which will never be readable.
    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError>;

    /// Opens the files of several small messages, and returns the result of [`Self::open`] for each, up to and
    /// including the first error of the transit.
    fn open_all(&self, messages: &[&Arrived]) -> Vec<OpenedFile> {
        let mut opened = Vec::with_capacity(messages.len());
        for message in messages {
            opened.push(self.open(message));
            if opened.last().is_some_and(Result::is_err) {
                break;
            }
        }
        opened
    }

    /// Sets a message aside that was taken. It is kept until [`Self::purge`] removes it.
    ///
    /// Returns false if another process was first, or if another message has its name by now; that one
    /// stays in its place.
    ///
    /// # Errors
    ///
    /// If the file cannot be moved.
    fn finished(&self, arrived: &Arrived) -> Result<bool, TransitError>;

    /// Sets messages aside that were taken, and returns the result of [`Self::finished`] for each. If one fails,
    /// the others are set aside all the same.
    fn finished_all(&self, messages: &[&Arrived]) -> Vec<Result<bool, TransitError>> {
        messages.iter().map(|message| self.finished(message)).collect()
    }

    /// Sets a message aside that cannot be taken, with the reason. Returns as [`Self::finished`] does.
    ///
    /// # Errors
    ///
    /// If the file cannot be moved.
    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, TransitError>;

    /// Keeps a message of `sender` aside until it can be taken; [`Self::waiting`] returns it then.
    ///
    /// Returns the message in its new place, or `None` if it is gone, because another process took it.
    ///
    /// # Errors
    ///
    /// If the file cannot be moved.
    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError>;

    /// The messages that are kept waiting, sorted by sender, epoch, number and part.
    ///
    /// # Errors
    ///
    /// If the place cannot be reached.
    fn waiting(&self) -> Result<Vec<Arrived>, TransitError>;

    /// Removes the messages that were set aside before `before` (milliseconds since 1970). Returns their
    /// number.
    ///
    /// # Errors
    ///
    /// If the place cannot be reached.
    fn purge(&self, before: u64) -> Result<u64, TransitError>;
}
