//! The requestor's side of TLS: whom it takes for its server.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dirsync_directory::{excerpt, shown};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use thiserror::Error;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::certificate::{HTTP_1_1, RECORD_BYTES_MAX, fingerprint};

/// The most names of a certificate that an error repeats.
const NAMES_MAX: usize = 5;

/// Whose certificates are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that this root signed for the host (DER, from the invitation). Their dates are not looked at, because
    /// the clock here may be ten years wrong. So whoever steals a key of the server can use it until the server
    /// makes a new root.
    Root(CertificateDer<'static>),
    /// Those that the operating system trusts, by its clock.
    Public,
}

/// There is nothing to compare certificates with.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The invitation was damaged.
    #[error("the root certificate of the invitation cannot be used: {0}; ask for a new invitation")]
    Root(rustls::Error),
    /// The operating system gives none.
    #[error(
        "this system has no list of public certificates: {0}; install its package ca-certificates"
    )]
    Public(rustls::Error),
}

impl Trust {
    /// The root in an invitation, as [`Root::certificate_text`](crate::certificate::Root::certificate_text) writes it.
    ///
    /// # Errors
    ///
    /// If it is not base64. What it says is looked at by [`Trust::client_config`].
    pub fn root(text: &str) -> Result<Self, TrustError> {
        let damaged = |_| TrustError::Root(rustls::Error::General("it is not base64".into()));
        let der = data_encoding::BASE64.decode(text.as_bytes()).map_err(damaged)?;
        Ok(Self::Root(der.into()))
    }

    /// TLS 1.2 and 1.3 for HTTP/1.1. A server that is not accepted is a [`WrongCertificate`]: see
    /// [`WrongCertificate::of`].
    ///
    /// # Errors
    ///
    /// If there is nothing to compare certificates with.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider has suites of both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        config.max_fragment_size = Some(RECORD_BYTES_MAX);
        Ok(Arc::new(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, TrustError> {
        let Self::Root(root) = self else {
            let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(provider));
            return Ok(Verifier {
                inner: Arc::new(verifier.map_err(TrustError::Public)?),
                root: None,
            });
        };
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).map_err(TrustError::Root)?;
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| TrustError::Root(rustls::Error::General(error.to_string())))?;
        Ok(Verifier { inner, root: Some(fingerprint(root)) })
    }
}

/// The server showed a certificate that is not accepted. The text names the host, what was expected and what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongCertificate {
    /// The host that was meant.
    pub host: String,
    /// Why the certificate was not accepted.
    pub problem: Problem,
    /// What came.
    pub came: Came,
}

/// Why a certificate was not accepted. Fingerprints are as [`fingerprint`] makes them, times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It was not signed by the root of the invitation, whose fingerprint this is.
    OtherRoot(String),
    /// It was signed by nobody whom the operating system trusts.
    NotTrusted,
    /// It is for other hosts.
    OtherHost,
    /// Its time is over.
    Expired {
        /// Its end.
        end: i64,
        /// The clock here.
        now: i64,
    },
    /// Its time has not begun.
    NotYetValid {
        /// Its beginning.
        beginning: i64,
        /// The clock here.
        now: i64,
    },
    /// Anything else, in the library's words.
    Other(String),
}

/// A certificate in words. All texts are safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Whose it is, such as `CN=hq.example`.
    pub subject: String,
    /// The first host names and IP addresses for which it is.
    pub names: String,
    /// Who signed it.
    pub issuer: String,
    /// The fingerprint of the certificate of who signed it, if that came with it.
    pub issuer_fingerprint: Option<String>,
}

impl std::error::Error for WrongCertificate {}

impl fmt::Display for WrongCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, problem, came } = self;
        match problem {
            Problem::OtherRoot(expected) => write!(
                f,
                "the certificate of {host} is not signed by the root of the invitation: expected the root {expected}, \
                 but {came} came. If the postoffice made a new root, ask for a new invitation; if not, somebody else \
                 answers in its place",
            ),
            Problem::NotTrusted => write!(
                f,
                "the certificate of {host} is signed by nobody whom this system trusts: expected a public \
                 certificate, but {came} came",
            ),
            Problem::OtherHost => write!(
                f,
                "the certificate of {host} is for other hosts: expected the name {host}, but {came} came. Use one of \
                 its names, or ask the administrator there to add this one",
            ),
            Problem::Expired { end, now } => write!(
                f,
                "the certificate of {host} has expired: expected one that is valid on {}, as the clock here says, but \
                 one for {} came that ended on {}. The administrator there must renew it, if the clock here is right",
                date(*now),
                came.names,
                date(*end),
            ),
            Problem::NotYetValid { beginning, now } => write!(
                f,
                "the certificate of {host} is not valid yet: expected one that is valid on {}, as the clock here says, \
                 but one for {} came that begins on {}. Set the clock here, if it is wrong",
                date(*now),
                came.names,
                date(*beginning),
            ),
            Problem::Other(said) => {
                write!(f, "the certificate of {host} cannot be used: {said}; {came} came")
            }
        }
    }
}

/// `"CN=hq.example" for hq.example, signed by "CN=dirsync NORTH/HQ" with the fingerprint 0A:…`.
impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, names, issuer, issuer_fingerprint } = self;
        write!(f, "\"{subject}\" for {names}, signed by \"{issuer}\"")?;
        match issuer_fingerprint {
            Some(fingerprint) => write!(f, " with the fingerprint {fingerprint}"),
            None => Ok(()),
        }
    }
}

/// `2026-11-29`.
fn date(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => format!("second {seconds} since 1970"),
    }
}

impl WrongCertificate {
    /// The wrong certificate in an error of TLS, if that is what it is.
    pub fn of(error: &rustls::Error) -> Option<&Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(error))) => {
                error.downcast_ref()
            }
            _ => None,
        }
    }

    fn new(
        host: &ServerName<'_>,
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        root: Option<&String>,
        error: &rustls::Error,
    ) -> Self {
        let seconds = |time: &UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let problem = match error {
            rustls::Error::InvalidCertificate(error) => match (error, root) {
                (CertificateError::UnknownIssuer | CertificateError::BadSignature, Some(root)) => {
                    Problem::OtherRoot(root.clone())
                }
                (CertificateError::UnknownIssuer | CertificateError::BadSignature, None) => {
                    Problem::NotTrusted
                }
                (
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                    _,
                ) => Problem::OtherHost,
                (CertificateError::ExpiredContext { time, not_after }, _) => {
                    Problem::Expired { end: seconds(not_after), now: seconds(time) }
                }
                (CertificateError::NotValidYetContext { time, not_before }, _) => {
                    Problem::NotYetValid { beginning: seconds(not_before), now: seconds(time) }
                }
                _ => Problem::Other(error.to_string()),
            },
            _ => Problem::Other(error.to_string()),
        };
        Self {
            host: shown(&host.to_str()).into_owned(),
            problem,
            came: Came::read(chain.0, chain.1),
        }
    }
}

impl Came {
    fn read(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Self {
        let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return Self::unreadable() };
        let is_issuer = |other: &&CertificateDer<'_>| {
            X509Certificate::from_der(other)
                .is_ok_and(|(_, other)| other.subject() == leaf.issuer())
        };
        Self {
            subject: excerpt(&leaf.subject().to_string()),
            names: names(&leaf),
            issuer: excerpt(&leaf.issuer().to_string()),
            issuer_fingerprint: others.iter().find(is_issuer).map(|other| fingerprint(other)),
        }
    }

    fn unreadable() -> Self {
        let unknown = || "?".to_owned();
        Self { subject: unknown(), names: unknown(), issuer: unknown(), issuer_fingerprint: None }
    }
}

fn names(certificate: &X509Certificate<'_>) -> String {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let all = extension.map_or(&[][..], |extension| &extension.value.general_names);
    let mut names: Vec<_> = all.iter().filter_map(name).take(NAMES_MAX + 1).collect();
    if names.is_empty() {
        return "no host".to_owned();
    }
    if names.len() > NAMES_MAX {
        names[NAMES_MAX] = "…".to_owned();
    }
    names.join(", ")
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(excerpt(name)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// Asks the library, and says in words why a certificate was not accepted.
#[derive(Debug)]
struct Verifier {
    inner: Arc<dyn ServerCertVerifier>,
    /// The fingerprint of the root of the invitation.
    root: Option<String>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let at = if self.root.is_some() { its_beginning(leaf).unwrap_or(now) } else { now };
        self.inner.verify_server_cert(leaf, others, host, ocsp, at).map_err(|error| {
            let wrong = WrongCertificate::new(host, (leaf, others), self.root.as_ref(), &error);
            CertificateError::Other(OtherError(Arc::new(wrong))).into()
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The beginning of a certificate. Our roots sign certificates of servers alone, so there is no other one between
/// that would need a time of its own.
fn its_beginning(leaf: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let seconds = u64::try_from(leaf.validity().not_before.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Root, ServerCertificates};

    /// Whatever a stranger shows, it is refused, and in words.
    #[test]
    fn a_certificate_with_any_byte_changed_is_refused() {
        let root = Root::new(&"NORTH/HQ".parse().unwrap()).unwrap();
        let trust = Trust::Root(root.certificate().clone());
        let verifier = trust.verifier(&Arc::new(aws_lc_rs::default_provider())).unwrap();
        let hosts = ["hq.example".to_owned(), "10.0.0.1".to_owned()];
        let chain =
            ServerCertificates::signed(root, &hosts, Arc::new(|| 1_800_000_000)).unwrap().current();
        let host = "hq.example".try_into().unwrap();
        let verify = |leaf: &[u8], other: &[u8]| {
            let (leaf, other) = (CertificateDer::from(leaf), CertificateDer::from(other));
            let now = UnixTime::since_unix_epoch(Duration::ZERO);
            verifier.verify_server_cert(&leaf, &[other], &host, &[], now)
        };
        let (leaf, other) = (&chain.cert[0], &chain.cert[1]);
        verify(leaf, other).unwrap();
        for place in 0..leaf.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = leaf.to_vec();
                changed[place] ^= change;
                let error = verify(&changed, other).expect_err("it was changed");
                let text = WrongCertificate::of(&error).unwrap().to_string();
                assert!(text.starts_with("the certificate of hq.example "), "{text}");
            }
            assert!(verify(&leaf[..place], other).is_err(), "{place}");
        }
        // What comes beside it counts for nothing.
        for place in 0..other.len() {
            let mut changed = other.to_vec();
            changed[place] ^= 0xff;
            verify(leaf, &changed).unwrap();
        }
    }
}
