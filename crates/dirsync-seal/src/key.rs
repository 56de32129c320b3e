//! The Ed25519 keys of postoffices, in the forms of OpenSSH.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, BASE64_NOPAD};
use dirsync_directory::excerpt;
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// The name of the algorithm, which is the first word of a public key (RFC 8709 §4).
const ALGORITHM: &str = "ssh-ed25519";
/// The beginning of a public key in the wire format of SSH (RFC 4251 §5, RFC 8709 §4): the algorithm's name
/// and the length of the 32 bytes that follow, each after its length.
const WIRE_PREFIX: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";

/// Why a text is not a key of a postoffice. No variant repeats a private key.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// The text is not a public key in OpenSSH's one-line form.
    #[error("it is not a public key: a line \"ssh-ed25519 AAAA…\" is expected")]
    NotPublic,
    /// The text is not a private key in OpenSSH's form.
    #[error("it is not a private key as ssh-keygen writes it")]
    NotPrivate,
    /// The text is not a fingerprint.
    #[error("\"{0}\" is not a fingerprint: \"SHA256:\" and 43 characters are expected")]
    NotAFingerprint(String),
    /// The key belongs to another algorithm, such as RSA.
    #[error("it is a key for \"{0}\": the key of a postoffice is for ssh-ed25519")]
    OtherAlgorithm(String),
    /// The point has a small order, so that one signature fits many texts and anybody can find it.
    #[error("it is a weak key, for which anybody can sign: make another key")]
    Weak,
    /// The private key is encrypted. The agent works while nobody is there to type a passphrase.
    #[error("it is protected by a passphrase: remove it with \"ssh-keygen -p\"")]
    Passphrase,
}

/// The SHA-256 hash of a public key's wire format.
///
/// Printed as `ssh-keygen -l` does: `SHA256:` and base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", BASE64_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix("SHA256:");
        let bytes = encoded.and_then(|encoded| BASE64_NOPAD.decode(encoded.as_bytes()).ok());
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| KeyError::NotAFingerprint(excerpt(text)))
    }
}

/// The public key of a postoffice.
///
/// Printed in OpenSSH's one-line form without a comment, `ssh-ed25519 AAAA…`. A comment is read and
/// dropped, so that each key has one text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The fingerprint, by which people compare keys.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(self.wire()).into())
    }

    /// The key in base64, as in the second word of OpenSSH's one-line form.
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.wire())
    }

    /// Reads the base64 form of [`PublicKey::to_base64`].
    ///
    /// # Errors
    ///
    /// If it is not the only base64 form of an Ed25519 key, or the key is weak.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let wire = BASE64.decode(text.as_bytes()).map_err(|_| KeyError::NotPublic)?;
        let bytes = wire.strip_prefix(WIRE_PREFIX).ok_or(KeyError::NotPublic)?;
        let bytes = bytes.try_into().map_err(|_| KeyError::NotPublic)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotPublic)?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(Self(key)) }
    }

    /// The key as the signature library has it.
    pub(crate) fn verifying_key(&self) -> &VerifyingKey {
        &self.0
    }

    fn wire(&self) -> Vec<u8> {
        [WIRE_PREFIX, self.0.as_bytes()].concat()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM} {}", self.to_base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (algorithm, rest) = text.split_once(' ').ok_or(KeyError::NotPublic)?;
        if algorithm != ALGORITHM {
            // RSA keys above all: the library that encrypts would take them.
            return Err(KeyError::OtherAlgorithm(excerpt(algorithm)));
        }
        let (encoded, _comment) = rest.split_once(' ').unwrap_or((rest, ""));
        Self::from_base64(encoded)
    }
}

/// The key pair of a postoffice: it signs the messages of the postoffice and opens those sealed to it.
///
/// The private half is never printed, except by [`KeyPair::to_openssh`], and is overwritten in memory
/// when the pair is dropped.
pub struct KeyPair {
    private: PrivateKey,
    public: PublicKey,
    // Expanded once, because each message is signed with it.
    signing: SigningKey,
    identity: age::ssh::Identity,
}

impl KeyPair {
    /// The key pair of a seed of 32 random bytes. The comment is usually the postoffice's name.
    ///
    /// # Errors
    ///
    /// If the key cannot be encoded.
    pub fn from_seed(seed: &[u8; 32], comment: &str) -> Result<Self, KeyError> {
        let pair = ssh_key::private::Ed25519Keypair::from_seed(seed);
        let private = PrivateKey::new(pair.into(), comment).map_err(|_| KeyError::NotPrivate)?;
        Self::from_private(private)
    }

    /// Reads a private key in the form that `ssh-keygen` writes.
    ///
    /// # Errors
    ///
    /// If it is not an Ed25519 key without a passphrase.
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        Self::from_private(PrivateKey::from_openssh(text).map_err(|_| KeyError::NotPrivate)?)
    }

    fn from_private(private: PrivateKey) -> Result<Self, KeyError> {
        if private.is_encrypted() {
            return Err(KeyError::Passphrase);
        }
        if private.algorithm() != Algorithm::Ed25519 {
            return Err(KeyError::OtherAlgorithm(private.algorithm().to_string()));
        }
        let public: PublicKey =
            private.public_key().to_openssh().map_err(|_| KeyError::NotPrivate)?.parse()?;
        let halves = private.key_data().ed25519().ok_or(KeyError::NotPrivate)?;
        let signing = SigningKey::from(&halves.private);
        // With the halves of two keys, signatures would give the private one away.
        if signing.verifying_key() != *public.verifying_key() {
            return Err(KeyError::NotPrivate);
        }
        let text = private.to_openssh(LineEnding::LF).map_err(|_| KeyError::NotPrivate)?;
        let identity = age::ssh::Identity::from_buffer(text.as_bytes(), None);
        let identity = identity.map_err(|_| KeyError::NotPrivate)?;
        Ok(Self { private, public, signing, identity })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private key as `ssh-keygen` writes it, for the file that only its owner may read.
    ///
    /// # Errors
    ///
    /// If the key cannot be encoded.
    pub fn to_openssh(&self) -> Result<Zeroizing<String>, KeyError> {
        self.private.to_openssh(LineEnding::LF).map_err(|_| KeyError::NotPrivate)
    }

    /// The key as the signature library has it.
    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// The key as the encryption library has it.
    pub(crate) fn identity(&self) -> &age::ssh::Identity {
        &self.identity
    }
}

/// Prints the fingerprint alone.
impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `ssh-keygen -t ed25519 -C HQ/TEST`, whose `-l` prints this fingerprint.
    const PUBLIC: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIME8B8LjUPeTOnTAJgIiNRpbAIHks4WHlKxy2i/KaIxR HQ/TEST";
    const FINGERPRINT: &str = "SHA256:EkgKTve3Dj68Mzu7WKgtRV3FH46slgMF5QOj8Aeep4M";

    #[test]
    fn a_fingerprint_is_the_one_that_ssh_keygen_prints() {
        let key: PublicKey = PUBLIC.parse().unwrap();
        assert_eq!(key.fingerprint().to_string(), FINGERPRINT);
        assert_eq!(FINGERPRINT.parse(), Ok(key.fingerprint()));
        assert_eq!(PUBLIC, format!("{key} HQ/TEST"));
    }

    #[test]
    fn a_fingerprint_has_one_form() {
        let other_bits = FINGERPRINT.to_owned();
        for text in ["", "SHA256:", "MD5:00", &FINGERPRINT[..49], &format!("{FINGERPRINT}=")] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
        // The last of 43 characters carries four bits; the other two must be 0.
        let cut = &other_bits[..other_bits.len() - 1];
        let taken = |last: &char| format!("{cut}{last}").parse::<Fingerprint>().is_ok();
        assert_eq!(('a'..='z').chain('A'..='Z').chain('0'..='9').filter(taken).count(), 16);
    }

    #[test]
    fn keys_of_other_kinds_are_refused_by_name() {
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 ana";
        assert_eq!(rsa.parse::<PublicKey>(), Err(KeyError::OtherAlgorithm("ssh-rsa".into())));
        for text in ["", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-ed25519  AAAA"] {
            assert_eq!(text.parse::<PublicKey>(), Err(KeyError::NotPublic), "{text}");
        }
    }

    #[test]
    fn a_key_for_which_anybody_can_sign_is_refused() {
        // The identity of the curve and a point of order 8, of the list in RFC 8032's security notes.
        for point in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ] {
            let point = data_encoding::HEXLOWER.decode(point.as_bytes()).unwrap();
            let text = BASE64.encode(&[WIRE_PREFIX, &point].concat());
            assert_eq!(PublicKey::from_base64(&text), Err(KeyError::Weak));
        }
    }

    #[test]
    fn a_private_key_is_read_as_it_is_written() {
        let pair = KeyPair::from_seed(&[7; 32], "NORTH/HQ").unwrap();
        let text = pair.to_openssh().unwrap();
        let read = KeyPair::from_openssh(&text).unwrap();
        assert_eq!(read.public(), pair.public());
        assert_eq!(*read.to_openssh().unwrap(), *text);
    }

    #[test]
    fn a_private_key_is_in_no_debug_text() {
        let pair = KeyPair::from_seed(&[7; 32], "NORTH/HQ").unwrap();
        assert_eq!(format!("{pair:?}"), format!("KeyPair({})", pair.public().fingerprint()));
    }
}
