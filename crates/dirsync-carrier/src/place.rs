//! The places where messages are exchanged, as invitations, registrations and settings name them.
//!
//! A place is one text: its kind, a colon, and the rest, which the kind explains.
//!
//! ```text
//! local:               the server's own transit folder
//! folder:/srv/share    a folder that several postoffices share, by its absolute path
//! link:https://hub     the link of the directory server, by its URL
//! mail:hub@example     a mailbox: at the server that of the requestor, at the requestor that of the server
//! ```

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use dirsync_directory::excerpt;
use thiserror::Error;

/// A place where messages are exchanged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The transit folder of the directory server, for its own postoffice.
    Local,
    /// A shared folder, by its absolute path. [`Place::folder`] makes it from a path.
    Folder(String),
    /// The link of the directory server, by its URL without a slash at its end. [`Place::link`] makes it from a URL.
    Link(String),
    /// The mailbox of the other side, by its address. [`Place::mail`] makes it from an address.
    Mail(String),
}

/// The kinds of places that a person may name, with an example each.
const KINDS: &str = "folder:/srv/share, link:https://hub.example:8443, mail:dirsync@hub.example";
/// The longest address of a mailbox, in bytes (RFC 5321, 4.5.3.1.3 without its brackets).
const ADDRESS_BYTES_MAX: usize = 254;
/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 512;

/// A text or a path that names no place.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlaceError {
    /// It does not begin with a known kind.
    #[error("\"{0}\" is not a known kind of place; the known kinds are: {KINDS}")]
    UnknownKind(String),
    /// `local:` is followed by something.
    #[error("\"{0}\" is not a place: nothing may follow \"local:\"")]
    LocalAlone(String),
    /// A folder is relative, or is not named at all.
    #[error("\"{0}\" is not a place: an absolute path is expected, for example folder:/srv/share")]
    NotAbsolute(String),
    /// A link has no usable URL.
    #[error("\"{0}\" is not the URL of a link: {1}; for example https://hub.example:8443")]
    NotUrl(String, &'static str),
    /// A mailbox has no usable address.
    #[error("\"{0}\" is not the address of a mailbox; for example dirsync@hub.example")]
    NotAddress(String),
    /// A path is not UTF-8. No message file could name it.
    #[error("the path \"{0}\" is not UTF-8; rename the folder, or use a link with another name")]
    NotUtf8(String),
}

impl Place {
    /// A name that a folder for this place can have, on any file system.
    pub fn to_file_name(&self) -> String {
        crate::name::encode(&self.to_string())
    }

    /// The place that is a shared folder.
    ///
    /// # Errors
    ///
    /// If the path is relative or not UTF-8.
    pub fn folder(path: &Path) -> Result<Self, PlaceError> {
        let shown = || excerpt(&path.to_string_lossy());
        let text = path.to_str().ok_or_else(|| PlaceError::NotUtf8(shown()))?;
        if !is_absolute(text) {
            return Err(PlaceError::NotAbsolute(shown()));
        }
        Ok(Self::Folder(text.to_owned()))
    }

    /// The place that is the link at a URL: `https://HOST`, with a port and a path if they are needed. `http://` is for
    /// tests on one machine alone, where nobody listens on the way.
    ///
    /// # Errors
    ///
    /// If it is no such URL.
    pub fn link(url: &str) -> Result<Self, PlaceError> {
        let url = url.strip_suffix('/').unwrap_or(url);
        let refused = |why| Err(PlaceError::NotUrl(excerpt(url), why));
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = host_and_port(authority);
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}?#@%".contains(&byte);
        if url.len() > URL_BYTES_MAX || !url.bytes().all(plain) {
            return refused("it has a character that no link has, or is too long");
        }
        if host.is_empty() || port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
            return refused("a host, and a port from 1 to 65535 if there is one, are expected");
        }
        match scheme {
            "https" => {}
            "http" if ["127.0.0.1", "[::1]"].contains(&host) => {}
            "http" => return refused("only https keeps others from reading and altering it"),
            _ => return refused("it has to begin with https://"),
        }
        Ok(Self::Link(url.to_owned()))
    }

    /// The place that is the mailbox with an address: `LOCAL@DOMAIN`, in ASCII.
    ///
    /// # Errors
    ///
    /// If it is no such address.
    pub fn mail(address: &str) -> Result<Self, PlaceError> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"(),:;<>[]\\".contains(&byte);
        match address.split_once('@') {
            Some((local, domain))
                if !local.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && address.len() <= ADDRESS_BYTES_MAX
                    && address.bytes().all(plain) =>
            {
                Ok(Self::Mail(address.to_owned()))
            }
            _ => Err(PlaceError::NotAddress(excerpt(address))),
        }
    }

    /// The host of a link, without brackets. `None` for other places.
    pub fn host(&self) -> Option<&str> {
        let Self::Link(url) = self else { return None };
        let (_, rest) = url.split_once("://")?;
        let (host, _) = host_and_port(rest.split('/').next()?);
        Some(host.trim_start_matches('[').trim_end_matches(']'))
    }
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let end = authority.rfind(']').map_or(0, |at| at + 1);
    let (address, rest) = authority.split_at(end);
    match rest.split_once(':') {
        Some((host, port)) if end == 0 => (host, Some(port)),
        Some(("", port)) => (address, Some(port)),
        _ if end > 0 && rest.is_empty() => (address, None),
        _ if end > 0 => ("", None),
        _ => (rest, None),
    }
}

/// Whether a path is absolute on any operating system: an invitation may name the path by which its server
/// reaches a folder.
fn is_absolute(path: &str) -> bool {
    let mut drive = path.chars();
    let has_drive = drive.next().is_some_and(|letter| letter.is_ascii_alphabetic())
        && drive.next() == Some(':')
        && drive.next().is_some_and(|slash| matches!(slash, '\\' | '/'));
    path.starts_with('/') || path.starts_with("\\\\") || has_drive
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match text.split_once(':') {
            Some(("local", "")) => Ok(Self::Local),
            Some(("local", _)) => Err(PlaceError::LocalAlone(excerpt(text))),
            Some(("folder", path)) if is_absolute(path) => Ok(Self::Folder(path.to_owned())),
            Some(("folder", _)) => Err(PlaceError::NotAbsolute(excerpt(text))),
            Some(("link", url)) => Self::link(url),
            Some(("mail", address)) => Self::mail(address),
            _ => Err(PlaceError::UnknownKind(excerpt(text))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local:"),
            Self::Folder(path) => write!(f, "folder:{path}"),
            Self::Link(url) => write!(f, "link:{url}"),
            Self::Mail(address) => write!(f, "mail:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for text in [
            "local:",
            "folder:/srv/share",
            "folder:/srv/a: b\tc",
            "folder:/",
            "folder:C:\\share",
            "folder:\\\\server\\share",
            "link:https://hub.example",
            "link:https://hub.example:8443/dirsync",
            "link:https://[2001:db8::1]:8443",
            "link:http://127.0.0.1:8080",
            "mail:dirsync@hub.example",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        assert_eq!(Place::folder(Path::new("/srv/share")), "folder:/srv/share".parse());
    }

    #[test]
    fn what_names_no_place_says_what_does() {
        let why = |text: &str| text.parse::<Place>().unwrap_err().to_string();
        for text in ["", "pigeon:north", "Folder:/srv", "/srv/share", "C:\\share"] {
            assert!(why(text).contains("the known kinds are: folder:/srv/share"), "{text}");
        }
        for text in ["folder:", "folder:srv", "folder:C:share", "folder:./srv"] {
            assert!(why(text).contains("absolute"), "{text}");
        }
        for text in [
            "link:",
            "link:hub.example",
            "link:https://",
            "link:https://:8443",
            "link:https://hub:0",
            "link:https://hub:x",
            "link:https://[::1]x",
            "link:https://user@hub",
            "link:https://hub/?x",
            "link:http://hub.example",
            "link:http://localhost:8080",
            "link:ftp://hub.example",
        ] {
            assert!(why(text).contains("is not the URL of a link"), "{text}: {}", why(text));
        }
        for text in ["mail:", "mail:hub", "mail:@hub", "mail:a@b@c", "mail:a b@c", "mail:<a@b>"] {
            assert!(why(text).contains("is not the address"), "{text}");
        }
        assert!(why("local:/srv").contains("nothing may follow"));
        let relative = Place::folder(Path::new("srv")).unwrap_err();
        assert_eq!(relative, PlaceError::NotAbsolute("srv".into()));
    }

    #[test]
    fn a_link_has_a_host() {
        for (text, host) in [
            ("link:https://hub.example:8443/x", Some("hub.example")),
            ("link:https://[::1]/", Some("::1")),
            ("folder:/srv", None),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().host(), host, "{text}");
        }
        assert_eq!(Place::link("https://hub/"), Place::link("https://hub"));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_no_text_can_name_is_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/srv/\xff"));
        assert!(matches!(Place::folder(path), Err(PlaceError::NotUtf8(_))));
    }
}
