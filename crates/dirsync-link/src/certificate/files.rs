//! A certificate and its key in PEM files that somebody else renews.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use dirsync_carrier::access::{Links, open_file};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::CertificateError;

/// The most bytes of a file that are read. A chain of public certificates has about 6 kB.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// How a file looked when it was read: its size and the time of its last change.
type Look = Option<(u64, Option<SystemTime>)>;

/// The files, and the last pair in them that could be used.
pub(super) struct Files {
    chain: PathBuf,
    key: PathBuf,
    shown: Arc<CertifiedKey>,
    looks: (Look, Look),
    /// The second in which the files were last looked at. A clock that is put back makes no difference.
    looked_at: u64,
    failed: Option<CertificateError>,
}

impl Files {
    pub(super) fn open(chain: PathBuf, key: PathBuf, now: u64) -> Result<Self, CertificateError> {
        // Looked at before they are read: what changes meanwhile is read again.
        let looks = (look(&chain), look(&key));
        let shown = Arc::new(read_pair(&chain, &key)?);
        Ok(Self { chain, key, shown, looks, looked_at: now, failed: None })
    }

    pub(super) fn current(&mut self, now: u64) -> Arc<CertifiedKey> {
        if now != self.looked_at {
            self.looked_at = now;
            self.look_again();
        }
        Arc::clone(&self.shown)
    }

    /// One file may be replaced a moment before the other: until then they are not a pair, and the old pair stays.
    fn look_again(&mut self) {
        let looks = (look(&self.chain), look(&self.key));
        // What failed is tried again unchanged: chmod and chown change neither size nor time.
        if looks == self.looks && self.failed.is_none() {
            return;
        }
        self.looks = looks;
        match read_pair(&self.chain, &self.key) {
            Ok(pair) => {
                self.shown = Arc::new(pair);
                self.failed = None;
            }
            Err(error) => self.failed = Some(error),
        }
    }

    pub(super) fn warning(&self) -> Option<String> {
        let error = self.failed.as_ref()?;
        Some(format!("{error}; the certificate that was read before is shown further"))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} and {:?}", self.chain, self.key)
    }
}

fn look(path: &Path) -> Look {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()))
}

fn read_pair(chain: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let not_pem =
        |path: &Path, expected| CertificateError::NotPem { path: path.to_owned(), expected };
    let certificates = CertificateDer::pem_slice_iter(&read(chain, |_| Ok(()))?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| not_pem(chain, "certificate"))?;
    if certificates.is_empty() {
        return Err(not_pem(chain, "certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key, |data| require_private(key, data))?)
        .map_err(|_| not_pem(key, "private key"))?;
    CertifiedKey::from_der(certificates, private, &aws_lc_rs::default_provider()).map_err(|error| {
        CertificateError::NotAPair {
            chain: chain.to_owned(),
            key: key.to_owned(),
            said: error.to_string(),
        }
    })
}

fn read(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), CertificateError>,
) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    let failed = |source: io::Error| CertificateError::File { path: path.to_owned(), source };
    let file: File = open_file(path, Links::Follow).map_err(failed)?;
    let data = file.metadata().map_err(failed)?;
    check(&data)?;
    if data.len() > FILE_BYTES_MAX {
        return Err(failed(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes"))));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The rule of PostgreSQL's server: nobody else, but the group may read a key of root.
#[cfg(unix)]
fn require_private(path: &Path, data: &Metadata) -> Result<(), CertificateError> {
    use std::os::unix::fs::MetadataExt;
    let forbidden = if data.uid() == 0 { 0o037 } else { 0o077 };
    match data.mode() & forbidden {
        0 => Ok(()),
        _ => Err(CertificateError::KeyIsOpen(path.to_owned())),
    }
}

/// Does nothing: on other systems a file inherits the permissions of its folder.
#[cfg(not(unix))]
fn require_private(_: &Path, _: &Metadata) -> Result<(), CertificateError> {
    Ok(())
}
