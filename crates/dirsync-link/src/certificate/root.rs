//! The root of a postoffice's own: what an invitation pins.

use std::time::Duration;

use data_encoding::BASE64;
use dirsync_directory::PostofficeName;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{CertificateError, LEAF_SECONDS};

/// A certificate begins an hour before it is made, for programs whose clock is a little behind.
const BEFORE_SECONDS: u64 = 60 * 60;

/// The most characters of a common name (X.520).
const COMMON_NAME_CHARS_MAX: usize = 64;

/// Dates of certificates have four digits for the year.
const LAST_SECOND: u64 = 253_402_300_799;

/// The certificate and key by which a postoffice signs the certificates of its link.
///
/// Requestors get the certificate with their invitation, over a way that they trust, and from then on trust what it
/// signed. It is valid for ever: it ends when the postoffice makes a new one and invites again.
pub struct Root {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Root {
    /// Makes a root with a new P-256 key. The same name may have many: requestors compare the certificate.
    ///
    /// # Errors
    ///
    /// If the operating system has no randomness.
    pub fn new(postoffice: &PostofficeName) -> Result<Self, CertificateError> {
        let key = KeyPair::generate().map_err(not_made)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("dirsync {postoffice}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // RFC 5280 §4.1.2.5 gives this end to what has no end. The clock may be wrong, so it has no part in the
        // beginning.
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(9999, 12, 31);
        let certificate = params.self_signed(&key).map_err(not_made)?.der().clone();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Reads what [`to_pem`](Self::to_pem) wrote.
    ///
    /// # Errors
    ///
    /// If the certificate or the key is missing or damaged, or they do not belong together.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let failed = |error: &dyn std::fmt::Display| CertificateError::Root(error.to_string());
        let missing = |name| CertificateError::Root(format!("its text has no whole {name}"));
        let certificate =
            CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| missing("certificate"))?;
        let key =
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| missing("private key"))?;
        let pair = KeyPair::try_from(&key).map_err(|error| failed(&error))?;
        CertifiedKey::from_der(vec![certificate.clone()], key, &aws_lc_rs::default_provider())
            .map_err(|error| failed(&error))?;
        let issuer =
            Issuer::from_ca_cert_der(&certificate, pair).map_err(|error| failed(&error))?;
        Ok(Self { certificate, issuer })
    }

    /// The certificate and the private key as PEM, for a file that no other user may read.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(self.issuer.key().serialize_pem());
        Zeroizing::new(self.certificate_pem() + key.as_str())
    }

    /// The certificate alone as PEM, as `curl --cacert` reads it.
    pub fn certificate_pem(&self) -> String {
        let text = BASE64.encode(&self.certificate);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }

    /// The certificate alone (DER).
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate alone on one line, for an invitation: DER in base64.
    pub fn certificate_text(&self) -> String {
        BASE64.encode(&self.certificate)
    }

    /// The fingerprint of the certificate: see [`fingerprint`].
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// A certificate with a new P-256 key. The root goes with it, so that a client with another root can say which
    /// one came.
    pub(super) fn sign(
        &self,
        hosts: &[String],
        now: u64,
    ) -> Result<CertifiedKey, CertificateError> {
        let hosts = hosts.iter().map(|host| checked(host)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = hosts.first() else { return Err(CertificateError::NoHosts) };
        let mut params = CertificateParams::new(hosts.clone()).map_err(not_made)?;
        params.distinguished_name = common_name(first);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        // A clock may say anything.
        let now = now.clamp(BEFORE_SECONDS, LAST_SECOND - LEAF_SECONDS);
        let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        params.not_before = at(now - BEFORE_SECONDS);
        params.not_after = at(now + LEAF_SECONDS);

        let key = KeyPair::generate().map_err(not_made)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(not_made)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(not_made)?;
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(not_made)
    }
}

/// Prints the fingerprint alone.
impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Root({})", self.fingerprint())
    }
}

/// The SHA-256 of a certificate in the form that browsers and `openssl x509 -fingerprint -sha256` print, by which
/// people compare certificates: pairs of hexadecimal digits with colons.
pub fn fingerprint(certificate: &[u8]) -> String {
    let pairs: Vec<_> =
        Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// The host as certificates name it: without the brackets that an IPv6 address has in a URL.
fn checked(host: &str) -> Result<String, CertificateError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match ServerName::try_from(bare) {
        Ok(_) => Ok(bare.to_owned()),
        Err(_) => Err(CertificateError::Host(host.to_owned())),
    }
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text.chars().take(COMMON_NAME_CHARS_MAX).collect::<String>());
    name
}

fn not_made(error: impl std::fmt::Display) -> CertificateError {
    CertificateError::NotMade(error.to_string())
}
