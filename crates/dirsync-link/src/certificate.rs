//! The server's side of TLS: whose certificate it shows, and that it never shows one that has expired.
//!
//! [`ServerCertificates`] is asked at each handshake. It has two kinds. One signs its own certificate by the
//! postoffice's [`Root`], which requestors know from their invitation, and makes a new one in time. The other
//! reads PEM files that somebody else renews.

mod files;
mod root;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use dirsync_directory::excerpt;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use self::files::Files;
pub use self::root::{Root, fingerprint};

/// How long a certificate that the root signs is valid, in seconds: 90 days.
pub const LEAF_SECONDS: u64 = 90 * 24 * 60 * 60;

/// A new certificate is made when no more than this time is left, in seconds: 30 days.
const RENEW_SECONDS: u64 = LEAF_SECONDS / 3;

/// The protocol inside TLS, as servers and clients of the link name it in the handshake (ALPN).
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

/// The largest record of TLS, in bytes. Of a record whose end is cut off nothing is kept, so smaller ones than the usual
/// 16 KiB cost less where lines are cut, and 22 bytes each.
pub(crate) const RECORD_BYTES_MAX: usize = 4 * 1024;

/// The time as seconds since 1970 (UTC).
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The operating system's clock. A time before 1970 is 0.
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}

/// A certificate cannot be made or read.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The link has no host.
    #[error("the link has no host name: give at least one by which requestors reach it")]
    NoHosts,
    /// The text is not a host.
    #[error("\"{}\" is neither a host name nor an IP address", excerpt(.0))]
    Host(String),
    /// The certificate was not made.
    #[error("cannot make a certificate for the link: {0}")]
    NotMade(String),
    /// The text of a root was damaged.
    #[error("cannot read the root certificate of the link: {0}")]
    Root(String),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", quoted(.path))]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the private key.
    #[error(
        "the private key {} can be read by other users: run chmod 600 on it, or give it to root and chmod 640",
        quoted(.0)
    )]
    KeyIsOpen(PathBuf),
    /// The file has no certificate, or no key, in PEM.
    #[error("{} holds no {expected} in PEM", quoted(.path))]
    NotPem {
        /// The file.
        path: PathBuf,
        /// The missing part: a certificate or a key, in words.
        expected: &'static str,
    },
    /// The certificate is for another key.
    #[error("the certificate {} and the key {} do not belong together: {said}", quoted(.chain), quoted(.key))]
    NotAPair {
        /// The file of the certificate.
        chain: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The library's words.
        said: String,
    },
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", dirsync_directory::shown(&path.to_string_lossy()))
}

/// The certificate that a server shows, which changes while the server runs.
pub struct ServerCertificates {
    clock: Clock,
    kind: Mutex<Kind>,
}

enum Kind {
    Signed(Signed),
    Files(Files),
}

/// A certificate of the own root.
struct Signed {
    root: Root,
    hosts: Vec<String>,
    shown: Arc<CertifiedKey>,
    made_at: u64,
    warning: Option<String>,
}

impl ServerCertificates {
    /// Certificates that `root` signs for the host names and IP addresses by which requestors reach the server.
    /// Each is valid for [`LEAF_SECONDS`]. A new one, with a new key, is made when a third of its time is left, and
    /// when the clock was put back. Keys are never written to a file.
    ///
    /// # Errors
    ///
    /// If there is no host, or a text is not one.
    pub fn signed(
        root: Root,
        hosts: &[String],
        clock: Clock,
    ) -> Result<Arc<Self>, CertificateError> {
        let now = clock();
        let shown = Arc::new(root.sign(hosts, now)?);
        let signed = Signed { root, hosts: hosts.to_vec(), shown, made_at: now, warning: None };
        Ok(Arc::new(Self { clock, kind: Mutex::new(Kind::Signed(signed)) }))
    }

    /// The certificates in a PEM file, the server's own first, and the private key in another one. The files are
    /// looked at by a handshake, at most once a second, and read again when they changed. The last good pair stays
    /// when they cannot be used: see [`warning`](Self::warning).
    ///
    /// The key must be for the user alone (mode 0600). Root's key may be read by its group, as other servers want it.
    ///
    /// # Errors
    ///
    /// If the files cannot be used now.
    pub fn files(
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        clock: Clock,
    ) -> Result<Arc<Self>, CertificateError> {
        let files = Files::open(chain.into(), key.into(), clock())?;
        Ok(Arc::new(Self { clock, kind: Mutex::new(Kind::Files(files)) }))
    }

    /// Sets the host names and IP addresses, from the next handshake on. PEM files say themselves for whom they are:
    /// nothing changes for them.
    ///
    /// # Errors
    ///
    /// If there is no host, or a text is not one. The certificate stays.
    pub fn set_hosts(&self, hosts: &[String]) -> Result<(), CertificateError> {
        let now = (self.clock)();
        if let Kind::Signed(signed) = &mut *self.lock()
            && signed.hosts != hosts
        {
            signed.shown = Arc::new(signed.root.sign(hosts, now)?);
            signed.hosts = hosts.to_vec();
            signed.made_at = now;
        }
        Ok(())
    }

    /// The certificate and its key for a handshake now.
    pub fn current(&self) -> Arc<CertifiedKey> {
        let now = (self.clock)();
        match &mut *self.lock() {
            Kind::Signed(signed) => signed.current(now),
            Kind::Files(files) => files.current(now),
        }
    }

    /// Why the certificate could not be replaced by a newer one when that was last tried. `None` if it is as it
    /// should be.
    pub fn warning(&self) -> Option<String> {
        match &*self.lock() {
            Kind::Signed(signed) => signed.warning.clone(),
            Kind::Files(files) => files.warning(),
        }
    }

    /// Each change leaves a state that can be shown, so a panic elsewhere with the lock held does no harm.
    fn lock(&self) -> MutexGuard<'_, Kind> {
        self.kind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signed {
    fn current(&mut self, now: u64) -> Arc<CertifiedKey> {
        // A clock that was put back makes the certificate one of the future for everyone who looks at dates.
        if now < self.made_at || now - self.made_at >= LEAF_SECONDS - RENEW_SECONDS {
            match self.root.sign(&self.hosts, now) {
                Ok(leaf) => {
                    self.shown = Arc::new(leaf);
                    self.made_at = now;
                    self.warning = None;
                }
                Err(error) => self.warning = Some(format!("{error}; the old one is shown further")),
            }
        }
        Arc::clone(&self.shown)
    }
}

impl std::fmt::Debug for ServerCertificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &*self.lock() {
            Kind::Signed(signed) => format!("signed for {}", signed.hosts.join(", ")),
            Kind::Files(files) => format!("{files:?}"),
        };
        f.debug_tuple("ServerCertificates").field(&kind).finish()
    }
}

impl ResolvesServerCert for ServerCertificates {
    /// Whatever name the client asks for: the server has one certificate, and the client judges it.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// TLS 1.2 and 1.3 with HTTP/1.1 inside, without certificates of clients: requestors say who they are by their
/// tickets.
pub fn server_config(certificates: Arc<dyn ResolvesServerCert>) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites of both versions")
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    config.max_fragment_size = Some(RECORD_BYTES_MAX);
    Arc::new(config)
}
