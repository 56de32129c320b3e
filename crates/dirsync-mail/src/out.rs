//! Handing mail over to a mail server.

use std::fmt;

use dirsync_carrier::CarrierError;

use crate::address::MailAddress;

mod sendmail;
#[cfg(feature = "servers")]
mod smtp;

pub use sendmail::Sendmail;
#[cfg(feature = "servers")]
pub use smtp::{Smtp, SmtpSettings};

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all: for a server on the same machine. No login is sent over such a line, but to this machine.
    None,
    /// By STARTTLS, usually at port 587, for IMAP 143. A server that does not offer it is refused.
    StartTls,
    /// From the first byte, usually at port 465, for IMAP 993.
    Tls,
}

/// A password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A name and a password at a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

#[cfg(feature = "servers")]
pub(crate) fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

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
