//! A mailbox, as the carrier sees it.

use dirsync_carrier::CarrierError;

/// A mail in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailRef {
    /// The handle by which the mailbox knows the mail. The bytes of the mail of a handle never change while the program
    /// runs; that it has another handle later does no harm, it costs another reading.
    pub id: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A mailbox into which others deliver mail, and which people may read as well.
pub trait Mailbox: Send + Sync {
    /// The mailbox, in words.
    fn place(&self) -> String;

    /// The mail that nobody has read, oldest first.
    ///
    /// # Errors
    ///
    /// If the mailbox cannot be read.
    fn unread(&self) -> Result<Vec<MailRef>, CarrierError>;

    /// Whether a mail is there and unread.
    ///
    /// # Errors
    ///
    /// If the mailbox cannot be read.
    fn is_unread(&self, id: &str) -> Result<bool, CarrierError>;

    /// The bytes of an unread mail, which stays unread. `None` if it is gone, or was read.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has more than `bytes_max` bytes.
    fn read(&self, id: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError>;

    /// Marks a mail as read, durably. It is harmless if it is gone, or was read.
    ///
    /// # Errors
    ///
    /// If it is not known to be marked.
    fn file(&self, id: &str) -> Result<(), CarrierError>;
}
