//! Handing mail over to a mail server.

use dirsync_carrier::CarrierError;

use crate::address::MailAddress;

mod sendmail;
mod smtp;

pub use sendmail::Sendmail;
pub use smtp::{Login, Secret, Security, Smtp, SmtpSettings};

/// A way to hand mail over to a mail server.
pub trait MailOut: Send + Sync {
    /// The server or program, in words.
    fn place(&self) -> String;

    /// Hands a mail over. `from` is where bounces come. When it returns, the other side has promised to deliver the
    /// mail or to send a bounce. It ends after a time that is set.
    ///
    /// # Errors
    ///
    /// If the mail was not handed over, or it is not known whether it was, with the words of the other side.
    fn send(&self, from: &MailAddress, to: &MailAddress, mail: &[u8]) -> Result<(), CarrierError>;
}
