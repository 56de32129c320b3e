//! The file by which a server invites a requestor: names, key, one-time secret, carrier.

use std::fmt;

use dirsync_directory::PostofficeName;
use jiff::Timestamp;
use toml::de::{DeTable, DeValue};

/// How long an invitation is good, in milliseconds: 30 days.
pub const VALID_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The directory server.
    pub server: PostofficeName,
    /// Its public key, in OpenSSH's one-line form.
    pub server_key: String,
    /// Who is invited.
    pub postoffice: PostofficeName,
    /// The secret that it presents at first contact.
    pub secret: String,
    /// When the secret expires, in milliseconds since 1970.
    pub expires: u64,
    /// Where messages travel, e.g. `folder:/srv/dirsync`.
    pub carrier: String,
}

impl Invitation {
    /// Reads an invitation.
    ///
    /// # Errors
    ///
    /// The mistake, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = DeTable::parse(text).map_err(|error| error.message().to_owned())?;
        let field = |key: &str| match document.get_ref().get(key).map(|value| value.get_ref()) {
            Some(DeValue::String(text)) => Ok(text.to_string()),
            _ => Err(format!("it is no invitation: {key} is missing")),
        };
        let name =
            |key: &str| field(key)?.parse::<PostofficeName>().map_err(|error| error.to_string());
        let time =
            |key: &str| field(key)?.parse::<Timestamp>().map_err(|error| format!("{key}: {error}"));
        Ok(Self {
            server: name("server")?,
            server_key: field("server_key")?,
            postoffice: name("postoffice")?,
            secret: field("secret")?,
            expires: time("expires")?.as_millisecond().max(0) as u64,
            carrier: field("carrier")?,
        })
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expires = Timestamp::from_millisecond(self.expires as i64).unwrap_or(Timestamp::MAX);
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        writeln!(
            f,
            "# Invitation of {} to {}. Keep it secret: who has it",
            self.postoffice, self.server
        )?;
        writeln!(f, "# can take part under this name, once, until it expires.")?;
        writeln!(f, "server = {}", quoted(self.server.as_str()))?;
        writeln!(f, "server_key = {}", quoted(&self.server_key))?;
        writeln!(f, "postoffice = {}", quoted(self.postoffice.as_str()))?;
        writeln!(f, "secret = {}", quoted(&self.secret))?;
        writeln!(f, "expires = \"{expires}\"")?;
        writeln!(f, "carrier = {}", quoted(&self.carrier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_read_as_it_was_written() {
        let invitation = Invitation {
            server: "NORTH/HQ".parse().unwrap(),
            server_key: "ssh-ed25519 AAAA NORTH/HQ".into(),
            postoffice: "SOUTH/R&D SALES".parse().unwrap(),
            secret: "s3cret".into(),
            expires: 1_700_000_000_000,
            carrier: "folder:C:\\share".into(),
        };
        assert_eq!(Invitation::parse(&invitation.to_string()), Ok(invitation));
        assert!(Invitation::parse("server = \"A/B\"").unwrap_err().contains("server_key"));
    }
}
