//! `[link]`: where a directory server waits for its requestors, and the way of a requestor to its server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dirsync_link::connector::ProxyChoice;

use super::problem::Problem;
use super::reader::{Placed, Reader, Table};

/// The certificate that a link's server shows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum LinkCertificate {
    /// One that the postoffice makes itself. Invitations have its root.
    #[default]
    Own,
    /// That in these PEM files: the chain, and the key.
    Files(PathBuf, PathBuf),
    /// None: a reverse proxy before it has one.
    Proxied,
}

/// The settings of the link.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LinkSettings {
    /// Where a directory server listens. `None` if it has no link.
    pub listen: Option<SocketAddr>,
    /// What it shows there.
    pub certificate: LinkCertificate,
    /// How a requestor reaches its server.
    pub proxy: ProxyChoice,
}

/// Reads the table.
pub(super) fn link<'a>(reader: &mut Reader<'a>, table: &Table<'a>, folder: &Path) -> LinkSettings {
    let listen = reader.text(table, "listen").and_then(|text| address(reader, &text));
    let word = reader.word(table, "certificate").unwrap_or("own");
    let mut file = |key| {
        let text = reader.text(table, key);
        text.map(|text| folder.join(text.value))
    };
    let (chain, key) = (file("chain"), file("key"));
    let certificate = match (word, chain, key) {
        ("files", Some(chain), Some(key)) => LinkCertificate::Files(chain, key),
        ("files", chain, _) => {
            let missing = if chain.is_none() { "chain" } else { "key" };
            reader.missing(table, missing, "\"hub.pem\"");
            LinkCertificate::Own
        }
        (_, None, None) if word == "none" => LinkCertificate::Proxied,
        (_, None, None) => LinkCertificate::Own,
        _ => {
            let span =
                reader.value_span(table, if reader.has(table, "chain") { "chain" } else { "key" });
            let problem = Problem::at(span, "this file would not be used")
                .because("the certificate is not read from files")
                .help("add: certificate = \"files\"");
            reader.report(problem);
            LinkCertificate::Own
        }
    };
    let proxy = reader.text(table, "proxy").and_then(|text| proxy(reader, &text));
    LinkSettings { listen, certificate, proxy: proxy.unwrap_or_default() }
}

fn address(reader: &mut Reader<'_>, text: &Placed<&str>) -> Option<SocketAddr> {
    let address = text.value.parse().ok();
    if address.is_none() {
        let problem = Problem::at(text.span.clone(), "\"link.listen\" is not an address")
            .because("an IP address and a port are expected")
            .help("for example: listen = \"0.0.0.0:8443\", or \"[::]:8443\"");
        reader.report(problem);
    }
    address
}

fn proxy(reader: &mut Reader<'_>, text: &Placed<&str>) -> Option<ProxyChoice> {
    let problem = match text.value {
        "none" => return Some(ProxyChoice::Direct),
        url if url.contains('@') => {
            Problem::at(text.span.clone(), "\"link.proxy\" has a password, or a user")
                .because("secrets do not belong into this file")
                .help("set the environment variable https_proxy, and leave the key out")
        }
        url if url.starts_with("http://") && url.len() > "http://".len() => {
            return Some(ProxyChoice::Url(url.to_owned()));
        }
        _ => Problem::at(text.span.clone(), "\"link.proxy\" is not the URL of a proxy")
            .help("for example: proxy = \"http://proxy.example:3128\", or \"none\""),
    };
    reader.report(problem);
    None
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parsed(text: &str) -> Result<LinkSettings, Vec<(usize, usize, String)>> {
        let config = Config::parse(Path::new("/srv/hq/dirsync.toml"), text);
        config.map(|config| config.link).map_err(|errors| errors.positions())
    }

    #[test]
    fn the_settings_of_the_link_are_read() {
        let link = parsed("").unwrap();
        assert_eq!((link.listen, link.certificate), (None, LinkCertificate::Own));
        assert_eq!(link.proxy, ProxyChoice::Environment);
        let link = parsed(
            "[link]\nlisten = \"[::]:8443\"\ncertificate = \"files\"\nchain = \"a.pem\"\nkey = \"/etc/b.pem\"\n\
             proxy = \"http://proxy:3128\"\n",
        );
        let link = link.unwrap();
        assert_eq!(link.listen.unwrap().port(), 8443);
        assert_eq!(
            link.certificate,
            LinkCertificate::Files("/srv/hq/a.pem".into(), "/etc/b.pem".into())
        );
        assert_eq!(link.proxy, ProxyChoice::Url("http://proxy:3128".into()));
        let link = parsed("[link]\ncertificate = \"none\"\nproxy = \"none\"\n").unwrap();
        assert_eq!(link.certificate, LinkCertificate::Proxied);
        assert_eq!(link.proxy, ProxyChoice::Direct);
    }

    #[test]
    fn mistakes_are_found_at_their_place() {
        for (text, line, column, says) in [
            ("listen = \"8443\"\n", 2, 10, "an IP address and a port"),
            ("certificate = \"files\"\nkey = \"k.pem\"\n", 1, 1, "\"link.chain\" is missing"),
            ("chain = \"c.pem\"\n", 2, 9, "not read from files"),
            ("certificate = \"public\"\n", 2, 15, "own"),
            ("proxy = \"http://me:secret@proxy\"\n", 2, 9, "secrets do not belong"),
            ("proxy = \"proxy:3128\"\n", 2, 9, "not the URL of a proxy"),
        ] {
            let mistakes = parsed(&format!("[link]\n{text}")).unwrap_err();
            let [(at, column_at, reason)] = mistakes.as_slice() else { panic!("{mistakes:?}") };
            assert_eq!((*at, *column_at), (line, column), "{text}: {reason}");
            assert!(reason.contains(says), "{text}: {reason}");
            assert!(!reason.contains("secret@"), "{reason}");
        }
    }
}
