//! What failed on the way to a server, in words for an administrator.

use std::fmt;
use std::io;

use dirsync_carrier::CarrierErrorKind;
use dirsync_directory::{excerpt, shown};
use rustls::{AlertDescription, PeerIncompatible};
use ureq::Timeout;
use ureq::http::Uri;

use crate::trust::WrongCertificate;

/// A host with its port, and whether it is the proxy.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    address: String,
    is_proxy: bool,
}

impl Peer {
    /// The peer of a connection by its URL. Names and passwords in the URL are left out.
    pub(super) fn new(uri: &Uri, proxy: Option<&Uri>) -> Self {
        let port =
            uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let address = format!("{}:{port}", shown(uri.host().unwrap_or_default()));
        Self { address, is_proxy: proxy == Some(uri) }
    }
}

/// `hq.example:443` or `the proxy proxy.example:3128`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_proxy { "the proxy " } else { "" }, self.address)
    }
}

/// A step before the request failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Plain `http` to another machine.
    Plain { peer: Peer },
    /// The host has no address.
    Name { peer: Peer, error: ureq::Error },
    /// There is no connection.
    Connect { peer: Peer, error: ureq::Error },
    /// The proxy does not connect.
    Tunnel { proxy: Peer, target: Peer, error: ureq::Error },
    /// TLS does not begin.
    Handshake { peer: Peer, error: ureq::Error },
}

impl std::error::Error for Failed {}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().1)
    }
}

impl From<Failed> for ureq::Error {
    fn from(failed: Failed) -> Self {
        Self::Other(Box::new(failed))
    }
}

/// What kind of failure an error of [`agent`](super::agent)'s clients is, and what an administrator should know: the
/// step, the peer and its words.
///
/// A [`WrongCertificate`] is of the kind [`Settings`](CarrierErrorKind::Settings), and so is all else that somebody
/// must change. What may pass by itself is [`Unreachable`](CarrierErrorKind::Unreachable), and
/// [`CutOff`](CarrierErrorKind::CutOff) after the connection was there.
pub fn words(error: &ureq::Error) -> (CarrierErrorKind, String) {
    use CarrierErrorKind::{CutOff, Settings, Unreachable};
    let text = |kind, text: &str| (kind, text.to_owned());
    match error {
        ureq::Error::Other(other) => match other.downcast_ref::<Failed>() {
            Some(failed) => failed.words(),
            None => (Unreachable, shown(&other.to_string()).into_owned()),
        },
        ureq::Error::Timeout(timeout) => match timeout {
            Timeout::Resolve | Timeout::Connect => {
                text(Unreachable, "there was no connection in time")
            }
            Timeout::SendRequest => text(Unreachable, "the request could not be sent in time"),
            Timeout::SendBody | Timeout::PerWrite => {
                text(CutOff, "what was sent was not taken in time")
            }
            Timeout::RecvResponse => {
                text(Unreachable, "the request was sent, but no answer came in time")
            }
            Timeout::RecvBody | Timeout::PerRead => {
                text(CutOff, "the answer began, but did not end in time")
            }
            _ => text(CutOff, "the request was not done in time"),
        },
        ureq::Error::Io(error) => match tls_error(error) {
            Some(error) => during(error),
            None if has_ended(error) => {
                text(CutOff, "the other side, or something between, ended the connection")
            }
            None => (Unreachable, plain(error)),
        },
        ureq::Error::Rustls(error) => during(error),
        ureq::Error::Protocol(error) => {
            (Unreachable, format!("what came is not HTTP: {}", excerpt(&error.to_string())))
        }
        ureq::Error::LargeResponseHeader(..) => {
            text(Unreachable, "the head of the answer is too large")
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            (Settings, format!("the URL cannot be used: {}", excerpt(&error.to_string())))
        }
        other => (Unreachable, excerpt(&other.to_string())),
    }
}

impl Failed {
    fn words(&self) -> (CarrierErrorKind, String) {
        match self {
            Self::Plain { peer } => {
                let text = format!(
                    "http:// without TLS is for addresses of this machine alone, such as 127.0.0.1: use https:// for \
                     {peer}"
                );
                (CarrierErrorKind::Settings, text)
            }
            Self::Name { peer, error } => (CarrierErrorKind::Unreachable, not_found(peer, error)),
            Self::Connect { peer, error } => {
                (CarrierErrorKind::Unreachable, not_connected(peer, error))
            }
            Self::Tunnel { proxy, target, error } => no_tunnel(proxy, target, error),
            Self::Handshake { peer, error } => no_handshake(peer, error),
        }
    }
}

fn not_found(peer: &Peer, error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => {
            format!("no name server answered in time for the address of {peer}")
        }
        ureq::Error::Io(error) => format!("{peer} was not found: {}", plain(error)),
        _ => format!("{peer} was not found: its name has no address"),
    }
}

fn not_connected(peer: &Peer, error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => {
            format!("{peer} did not answer in time: it is off, or a firewall drops the packets")
        }
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            format!(
                "{peer} refused the connection: nothing listens on that port, or a firewall refuses"
            )
        }
        ureq::Error::Io(error) => format!("there is no way to {peer}: {}", plain(error)),
        other => format!("there is no way to {peer}: {}", excerpt(&other.to_string())),
    }
}

fn no_tunnel(proxy: &Peer, target: &Peer, error: &ureq::Error) -> (CarrierErrorKind, String) {
    use CarrierErrorKind::{Settings, Unreachable};
    match error {
        ureq::Error::ConnectProxyFailed(said) => match status(said) {
            // Some answer a wrong password with the status of a server.
            Some(status @ (401 | 407)) => (
                Settings,
                format!(
                    "{proxy} wants a user name and password, or did not accept the ones in its URL (status {status})"
                ),
            ),
            Some(status @ (403 | 405)) => (
                Settings,
                format!("{proxy} does not allow connections to {target} (status {status})"),
            ),
            Some(status @ 500..) => {
                (Unreachable, format!("{proxy} could not connect to {target} (status {status})"))
            }
            Some(status) => {
                (Settings, format!("{proxy} did not connect to {target} (status {status})"))
            }
            None => (Unreachable, format!("{proxy} ended the connection without an answer")),
        },
        ureq::Error::Timeout(_) => {
            (Unreachable, format!("{proxy} did not connect to {target} in time"))
        }
        ureq::Error::Io(error) if has_ended(error) => {
            (Unreachable, format!("{proxy} ended the connection without an answer"))
        }
        ureq::Error::Io(error) => (Unreachable, format!("{proxy} was cut off: {}", plain(error))),
        other => {
            (Settings, format!("{proxy} is not an HTTP proxy: {}", excerpt(&other.to_string())))
        }
    }
}

/// The status in `ureq`'s "proxy server responded 407/407".
fn status(said: &str) -> Option<u16> {
    said.rsplit(['/', ' ']).next()?.parse().ok()
}

fn no_handshake(peer: &Peer, error: &ureq::Error) -> (CarrierErrorKind, String) {
    use CarrierErrorKind::{Settings, Unreachable};
    let tls = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Timeout(_) => {
            return (
                Unreachable,
                format!("{peer} took the connection, but did not begin TLS in time"),
            );
        }
        ureq::Error::Io(error) => match tls_error(error) {
            Some(error) => error,
            None if has_ended(error) => {
                return (
                    Unreachable,
                    format!("{peer}, or something between, ended the connection before TLS began"),
                );
            }
            None => {
                return (
                    Unreachable,
                    format!("{peer} was cut off before TLS began: {}", plain(error)),
                );
            }
        },
        ureq::Error::HostNotFound => {
            return (Settings, format!("{peer} is not a name that a certificate can have"));
        }
        other => {
            return (
                Unreachable,
                format!("{peer} did not begin TLS: {}", excerpt(&other.to_string())),
            );
        }
    };
    match tls {
        _ if let Some(wrong) = WrongCertificate::of(tls) => (Settings, wrong.to_string()),
        rustls::Error::InvalidMessage(_) => (
            Settings,
            format!("{peer} does not speak TLS: is it the right port, and an https server?"),
        ),
        rustls::Error::PeerIncompatible(why) => (
            Settings,
            format!("{peer} and this program share no kind of TLS: {}", incompatible(why)),
        ),
        rustls::Error::AlertReceived(alert) => (
            Unreachable,
            format!("{peer} ended TLS before it began, with the alert {}", alert_name(*alert)),
        ),
        other => (Unreachable, format!("{peer} did not begin TLS: {}", shown(&other.to_string()))),
    }
}

/// An error of TLS after its beginning.
fn during(error: &rustls::Error) -> (CarrierErrorKind, String) {
    let text = match error {
        rustls::Error::AlertReceived(alert) => {
            format!("the other side ended TLS with the alert {}", alert_name(*alert))
        }
        rustls::Error::DecryptError | rustls::Error::InvalidMessage(_) => {
            "what came was changed on the way, so TLS ended".to_owned()
        }
        other => format!("TLS ended: {}", shown(&other.to_string())),
    };
    (CarrierErrorKind::CutOff, text)
}

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13 => {
            "it has neither version 1.2 nor 1.3".to_owned()
        }
        other => format!("{other:?}"),
    }
}

/// The alert as RFC 8446 names it, without the underscores.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    for letter in alert.as_str().unwrap_or("unknown").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.push(letter.to_ascii_lowercase());
    }
    format!("\"{name}\"")
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The operating system's words without its number, such as "network is unreachable".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    excerpt(&first.into_iter().chain(letters).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use CarrierErrorKind::{CutOff, Settings, Unreachable};

    fn peer() -> Peer {
        Peer::new(&"https://hq.example/".parse().unwrap(), None)
    }

    fn io(kind: io::ErrorKind) -> ureq::Error {
        ureq::Error::Io(kind.into())
    }

    /// What tests cannot produce between two sockets of one machine. The rest is produced in `tests/tls`.
    #[test]
    fn failures_of_the_network_are_told_apart() {
        let connect = |error| Failed::Connect { peer: peer(), error };
        let timeout = || ureq::Error::Timeout(Timeout::Connect);
        let unreachable =
            ureq::Error::Io(io::Error::other("Network is unreachable (os error 101)"));
        let proxy: Uri = "http://user:secret@proxy.example".parse().unwrap();
        let cases = [
            (
                connect(timeout()),
                "hq.example:443 did not answer in time: it is off, or a firewall drops the packets",
            ),
            (connect(unreachable), "there is no way to hq.example:443: network is unreachable"),
            (
                Failed::Name { peer: peer(), error: ureq::Error::Timeout(Timeout::Resolve) },
                "no name server answered in time for the address of hq.example:443",
            ),
            (
                Failed::Name { peer: peer(), error: ureq::Error::HostNotFound },
                "hq.example:443 was not found: its name has no address",
            ),
            (
                Failed::Connect { peer: Peer::new(&proxy, Some(&proxy)), error: timeout() },
                "the proxy proxy.example:80 did not answer in time: it is off, or a firewall drops the packets",
            ),
        ];
        for (failed, text) in cases {
            assert_eq!(words(&failed.into()), (Unreachable, text.to_owned()));
        }
    }

    #[test]
    fn what_a_request_ends_with_is_told_apart() {
        let alert = |alert| ureq::Error::Io(io::Error::other(rustls::Error::AlertReceived(alert)));
        let cases = [
            (
                ureq::Error::Timeout(Timeout::SendBody),
                CutOff,
                "what was sent was not taken in time",
            ),
            (ureq::Error::Timeout(Timeout::Global), CutOff, "the request was not done in time"),
            (
                ureq::Error::Timeout(Timeout::SendRequest),
                Unreachable,
                "the request could not be sent in time",
            ),
            (
                io(io::ErrorKind::ConnectionReset),
                CutOff,
                "the other side, or something between, ended the connection",
            ),
            (io(io::ErrorKind::StorageFull), Unreachable, "no storage space"),
            (
                alert(AlertDescription::InternalError),
                CutOff,
                "the other side ended TLS with the alert \"internal error\"",
            ),
            (ureq::Error::Other("a\u{202e}b".into()), Unreachable, "a\\u{202e}b"),
            (
                ureq::Error::BadUri("no host".to_owned()),
                Settings,
                "the URL cannot be used: bad uri: no host",
            ),
        ];
        for (error, kind, text) in cases {
            assert_eq!(words(&error), (kind, text.to_owned()));
        }
    }

    #[test]
    fn servers_that_are_too_old_are_named() {
        let why = PeerIncompatible::ServerDoesNotSupportTls12Or13;
        let error = ureq::Error::Rustls(rustls::Error::PeerIncompatible(why));
        let text = "hq.example:443 and this program share no kind of TLS: it has neither version 1.2 nor 1.3";
        assert_eq!(
            words(&Failed::Handshake { peer: peer(), error }.into()),
            (Settings, text.to_owned())
        );
    }
}
