//! Signatures in the form SSHSIG, which `ssh-keygen -Y` makes and verifies.
//!
//! The format is that of OpenSSH's `PROTOCOL.sshsig`. Only one form is made and accepted: version 1,
//! Ed25519, SHA-512, nothing in the reserved field, and armor as OpenSSH wraps it. So a signature has one
//! text, and a change of any of its bits is noticed.

use std::fmt;

use ed25519_dalek::{Signature as Ed25519Signature, Signer as _};
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig, public};
use thiserror::Error;

use crate::key::{KeyPair, PublicKey};
use crate::work;

/// The first line of a signature.
pub(crate) const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
/// The last line of a signature.
pub(crate) const END: &str = "-----END SSH SIGNATURE-----";
/// The number of base64 characters in a line of a signature, as OpenSSH wraps it.
const LINE_CHARS: usize = 70;
/// The longest signature in base64 that is looked at, in bytes. One of a postoffice has about 250.
const BASE64_BYTES_MAX: usize = 1024;

/// The purpose of a signature. One made for another purpose, or by another program, is never accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// The lines of an envelope or a fragment: `dirsync-message`.
    Message,
    /// A statement that a key follows another one: `dirsync-key`.
    Key,
    /// The lines by which a requestor says who it is to the server of a link: `dirsync-link`.
    Link,
}

impl Namespace {
    /// The text, as in `ssh-keygen -Y verify -n`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "dirsync-message",
            Self::Key => "dirsync-key",
            Self::Link => "dirsync-link",
        }
    }
}

/// Why a signature is not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// It is not in the one form that postoffices use.
    #[error("it is not an SSH signature by an Ed25519 key with SHA-512, as ssh-keygen writes it")]
    Form,
    /// It was made for another purpose.
    #[error("it was made for another purpose than \"{}\"", .0.as_str())]
    OtherNamespace(Namespace),
    /// It was made by another key than the given one.
    #[error("it was made by another key than {0}")]
    OtherKey(crate::key::Fingerprint),
    /// It does not fit the text.
    #[error("it does not fit the text, which was altered or forged")]
    Wrong,
    /// The key could not sign.
    #[error("the key could not sign")]
    CannotSign,
}

/// A signature, which proves nothing until [`Signature::verify`] was called with a key that is known.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(SshSig);

impl Signature {
    /// Signs a text.
    ///
    /// # Errors
    ///
    /// If the key cannot sign.
    pub fn sign(text: &str, namespace: Namespace, pair: &KeyPair) -> Result<Self, SignatureError> {
        let cannot = |_| SignatureError::CannotSign;
        let (namespace, text) = (namespace.as_str(), text.as_bytes());
        let signed = SshSig::signed_data(namespace, HashAlg::Sha512, text).map_err(cannot)?;
        // Not by `SshSig::sign`, which computes the public key from the private one each time.
        let signature = pair.signing_key().sign(&signed).to_bytes();
        let signature = ssh_key::Signature::new(Algorithm::Ed25519, signature).map_err(cannot)?;
        let key = public::Ed25519PublicKey(*pair.public().verifying_key().as_bytes());
        let signed = SshSig::new(key.into(), namespace, HashAlg::Sha512, signature);
        signed.map(Self).map_err(cannot)
    }

    /// Verifies that the holder of `key` signed the text for this purpose. The key that the signature
    /// itself names is only compared with it.
    ///
    /// # Errors
    ///
    /// If the signature was made by another key, for another purpose, or for another text.
    pub fn verify(
        &self,
        text: &str,
        namespace: Namespace,
        key: &PublicKey,
    ) -> Result<(), SignatureError> {
        if self.0.namespace() != namespace.as_str() {
            return Err(SignatureError::OtherNamespace(namespace));
        }
        let named = match self.0.public_key() {
            public::KeyData::Ed25519(named) => named.0,
            _ => return Err(SignatureError::Form),
        };
        if &named != key.verifying_key().as_bytes() {
            return Err(SignatureError::OtherKey(key.fingerprint()));
        }
        let signed = SshSig::signed_data(namespace.as_str(), HashAlg::Sha512, text.as_bytes());
        let signed = signed.map_err(|_| SignatureError::Form)?;
        let signature = Ed25519Signature::from_slice(self.0.signature_bytes());
        let signature = signature.map_err(|_| SignatureError::Form)?;
        work::count(|work| work.signatures_verified += 1);
        // Strict: no signature that other verifiers could judge differently.
        let verified = key.verifying_key().verify_strict(&signed, &signature);
        verified.map_err(|_| SignatureError::Wrong)
    }

    /// Reads the armored form, from its first to its last line, each with its LF.
    ///
    /// # Errors
    ///
    /// If it is not in the one form that is accepted.
    pub fn from_pem(text: &str) -> Result<Self, SignatureError> {
        let signature = SshSig::from_pem(text).map_err(|_| SignatureError::Form)?;
        let of_ed25519 = signature.algorithm() == Algorithm::Ed25519
            && signature.public_key().algorithm() == Algorithm::Ed25519;
        let plain = signature.version() == SshSig::VERSION
            && signature.hash_alg() == HashAlg::Sha512
            && signature.reserved().is_empty();
        let signature = Self(signature);
        if of_ed25519 && plain && signature.to_pem() == text {
            Ok(signature)
        } else {
            Err(SignatureError::Form)
        }
    }

    /// The armored form, from its first to its last line, each with its LF.
    pub fn to_pem(&self) -> String {
        armored(&self.to_base64())
    }

    /// Reads the form of [`Signature::to_base64`].
    ///
    /// # Errors
    ///
    /// If it is not in the one form that is accepted.
    pub fn from_base64(text: &str) -> Result<Self, SignatureError> {
        if text.len() > BASE64_BYTES_MAX || !text.is_ascii() {
            return Err(SignatureError::Form);
        }
        Self::from_pem(&armored(text))
    }

    /// The armored form without its first and last line, in one line.
    pub fn to_base64(&self) -> String {
        // Encoding fails only for texts that are longer than memory; the empty text is no signature.
        let pem = self.0.to_pem(LineEnding::LF).unwrap_or_default();
        pem.lines().filter(|line| !line.starts_with("-----")).collect()
    }
}

/// Prints the key that the signature names, which proves nothing.
impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", self.to_base64())
    }
}

fn armored(base64: &str) -> String {
    let mut text = format!("{BEGIN}\n");
    let mut rest = base64;
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE_CHARS).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(END);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(seed: u8) -> KeyPair {
        KeyPair::from_seed(&[seed; 32], "NORTH/HQ").unwrap()
    }

    fn signature() -> Signature {
        Signature::sign("text\n", Namespace::Message, &pair(1)).unwrap()
    }

    #[test]
    fn a_signature_is_for_one_text_one_purpose_and_one_key() {
        let (signature, key) = (signature(), *pair(1).public());
        assert_eq!(signature.verify("text\n", Namespace::Message, &key), Ok(()));
        let verify = |text, namespace, key| signature.verify(text, namespace, key).unwrap_err();
        assert_eq!(verify("text", Namespace::Message, &key), SignatureError::Wrong);
        assert_eq!(
            verify("text\n", Namespace::Key, &key),
            SignatureError::OtherNamespace(Namespace::Key)
        );
        let other = *pair(2).public();
        assert_eq!(
            verify("text\n", Namespace::Message, &other),
            SignatureError::OtherKey(other.fingerprint())
        );
    }

    #[test]
    fn both_forms_are_read_as_they_are_written() {
        let signature = signature();
        assert_eq!(Signature::from_pem(&signature.to_pem()), Ok(signature.clone()));
        assert_eq!(Signature::from_base64(&signature.to_base64()), Ok(signature));
    }

    /// Any other text of a signature would be a second file with the same content.
    #[test]
    fn no_altered_signature_is_accepted() {
        let pem = signature().to_pem();
        let key = *pair(1).public();
        for at in 0..pem.len() {
            for bit in 0..8 {
                let mut bytes = pem.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                let read = Signature::from_pem(&text);
                let accepted =
                    read.is_ok_and(|it| it.verify("text\n", Namespace::Message, &key).is_ok());
                assert!(!accepted, "byte {at}, bit {bit}");
            }
        }
        for text in
            [pem.replace('\n', "\r\n"), format!("{pem}\n"), format!("\n{pem}"), String::new()]
        {
            assert_eq!(Signature::from_pem(&text), Err(SignatureError::Form), "{text:?}");
        }
    }

    #[test]
    fn a_signature_with_a_shorter_hash_is_refused() {
        let pair = pair(1);
        let private = ssh_key::PrivateKey::from_openssh(&*pair.to_openssh().unwrap()).unwrap();
        let signed = SshSig::sign(&private, "dirsync-message", HashAlg::Sha256, b"text\n");
        let pem = signed.unwrap().to_pem(LineEnding::LF).unwrap();
        assert_eq!(Signature::from_pem(&pem), Err(SignatureError::Form));
    }
}
