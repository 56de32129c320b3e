//! The file by which a server invites a requestor: names, key, one-time secret, places.

use std::fmt;

use dirsync_carrier::Place;
use dirsync_directory::PostofficeName;
use jiff::Timestamp;
use toml::Spanned;
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
    /// The places where messages are exchanged, the preferred one first, as the server reaches them.
    pub places: Vec<Place>,
    /// The root of the certificates that the link of the server shows, DER in base64. `None` if they are public, or
    /// there is no link.
    pub link_root: Option<String>,
    /// The mail address of the invited postoffice. `None` if no messages travel by mail.
    pub mail_address: Option<String>,
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
            places: places(document.get_ref())?,
            link_root: field("link_root").ok(),
            mail_address: field("mail_address").ok(),
        })
    }
}

/// The list of places.
fn places(document: &DeTable<'_>) -> Result<Vec<Place>, String> {
    let missing = || "it is no invitation: carrier, a list of places, is missing".to_owned();
    let items = document.get("carrier").and_then(|value| value.get_ref().as_array());
    let items = items.filter(|items| !items.is_empty()).ok_or_else(missing)?;
    let place = |item: &Spanned<DeValue<'_>>| {
        let text = item.get_ref().as_str().ok_or_else(missing)?;
        match text.parse() {
            Ok(Place::Local) => Err("its place \"local:\" is for the server alone".to_owned()),
            Ok(place) => Ok(place),
            Err(error) => Err(format!("its carrier {error}")),
        }
    };
    items.iter().map(place).collect()
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
        writeln!(f, "carrier = [")?;
        for place in &self.places {
            writeln!(f, "    {},", quoted(&place.to_string()))?;
        }
        writeln!(f, "]")?;
        for (key, value) in [("link_root", &self.link_root), ("mail_address", &self.mail_address)] {
            if let Some(value) = value {
                writeln!(f, "{key} = {}", quoted(value))?;
            }
        }
        Ok(())
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
            places: vec![Place::Folder("C:\\share".into()), Place::Folder("/srv/a \"b\"".into())],
            link_root: Some("MIIB".into()),
            mail_address: Some("sales@south.example".into()),
        };
        assert_eq!(Invitation::parse(&invitation.to_string()), Ok(invitation.clone()));
        assert!(Invitation::parse("server = \"A/B\"").unwrap_err().contains("server_key"));
        let text = invitation.to_string();
        assert!(text.contains("\n    'folder:C:\\share',\n"), "each is on its line: {text}");
        assert!(Invitation::parse(&text.replace("folder:C", "local:C")).is_err());
    }
}
