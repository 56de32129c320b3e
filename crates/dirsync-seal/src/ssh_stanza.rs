//! The stanza `ssh-ed25519` of age files, by which a file is encrypted to an Ed25519 key of SSH.
//!
//! ```text
//! -> ssh-ed25519 TAG SHARE
//! KEY                           the file's key, encrypted with ChaCha20-Poly1305
//! ```
//!
//! `age::ssh` reads and writes the same, and tests compare the two. Here it costs one multiplication of a point
//! rather than two, because most of the time that a small message takes is spent there. The stanza multiplies the
//! addressee's point P by two numbers, the secret of the share and the *tweak*, which is a hash of the key. Both are
//! clamped (RFC 7748 §5), so they are multiples of 8, and
//!
//! ```text
//! tweak · (secret · P) = (tweak/8 · secret/8 mod ℓ) · 64 P
//! ```
//!
//! since 64 P is in the group of prime order ℓ whatever P is.

// The traits of age want it. Its order is never looked at: it is empty.
use std::collections::HashSet;
use std::io;

use age::{DecryptError, EncryptError, Identity, Recipient};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, aead_encrypt, hkdf};
use age_core::secrecy::ExposeSecret;
use curve25519_dalek::scalar::clamp_integer;
use curve25519_dalek::{EdwardsPoint, MontgomeryPoint, Scalar};
use data_encoding::BASE64_NOPAD;
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::key::PublicKey;
use crate::work;

/// The name of the stanza.
const NAME: &str = "ssh-ed25519";
/// What separates its hashes from those of other stanzas.
const LABEL: &[u8] = b"age-encryption.org/v1/ssh-ed25519";
/// The bytes of a key's fingerprint in a stanza.
const TAG_BYTES: usize = 4;

/// The key of an addressee, to which a file is encrypted.
pub(crate) struct SshRecipient<'a>(pub(crate) &'a PublicKey);

impl Recipient for SshRecipient<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let Self(key) = self;
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret)
            .map_err(|error| EncryptError::Io(io::Error::other(error.to_string())))?;
        let share = EdwardsPoint::mul_base_clamped(*secret).to_montgomery();
        let point = key.verifying_key().to_edwards();
        let shared = times(&point, &factor(&secret, &tweak(key)));
        let wrapping = wrapping_key(&share, &point.to_montgomery(), &shared);
        let stanza = Stanza {
            tag: NAME.to_owned(),
            args: vec![tag(key), BASE64_NOPAD.encode(share.as_bytes())],
            body: aead_encrypt(&wrapping, file_key.expose_secret()),
        };
        Ok((vec![stanza], HashSet::new()))
    }
}

/// The private key of an addressee, by which a file is decrypted. Overwritten in memory when it is dropped.
pub(crate) struct SshIdentity {
    tag: String,
    public: MontgomeryPoint,
    secret: Zeroizing<[u8; 32]>,
    tweak: [u8; 32],
    /// Both of them, as [`factor`] has them.
    factor: Zeroizing<Scalar>,
}

impl SshIdentity {
    /// The identity of a private key, whose public half is `public`.
    pub(crate) fn new(private: &SigningKey, public: &PublicKey) -> Self {
        // As Ed25519 does, RFC 8032 §5.1.5.
        let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(private.as_bytes())));
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&hash[..32]);
        let tweak = tweak(public);
        Self {
            tag: tag(public),
            public: public.verifying_key().to_montgomery(),
            factor: factor(&secret, &tweak),
            secret,
            tweak,
        }
    }

    /// The secret that is shared with the author of a share.
    fn shared(&self, share: &MontgomeryPoint) -> Zeroizing<MontgomeryPoint> {
        match share.to_edwards(0) {
            Some(point) => times(&point, &self.factor),
            // It is on the twist of the curve, whose order is another one. No honest author chooses such a share.
            None => {
                let once = Zeroizing::new(share.mul_clamped(*self.secret));
                Zeroizing::new(once.mul_clamped(self.tweak))
            }
        }
    }

    fn unwrap(&self, share: &str, sealed: &[u8]) -> Result<FileKey, DecryptError> {
        let share = BASE64_NOPAD.decode(share.as_bytes()).ok();
        let share = share.and_then(|share| Some(MontgomeryPoint(share.try_into().ok()?)));
        let share = share.ok_or(DecryptError::InvalidHeader)?;
        let wrapping = wrapping_key(&share, &self.public, &self.shared(&share));
        let opened = aead_decrypt(&wrapping, FILE_KEY_BYTES, sealed);
        let opened = Zeroizing::new(opened.map_err(|_| DecryptError::DecryptionFailed)?);
        Ok(FileKey::init_with_mut(|key| key.copy_from_slice(&opened)))
    }
}

impl Identity for SshIdentity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        match stanza.args.as_slice() {
            [tag, share] if stanza.tag == NAME && *tag == self.tag => {
                Some(self.unwrap(share, &stanza.body))
            }
            _ => None,
        }
    }
}

/// The beginning of the key's fingerprint, by which a reader sees that a stanza is meant for it.
fn tag(key: &PublicKey) -> String {
    BASE64_NOPAD.encode(&key.fingerprint().as_bytes()[..TAG_BYTES])
}

/// A number that binds the shared secret to the form of the key in SSH.
fn tweak(key: &PublicKey) -> [u8; 32] {
    hkdf(&key.wire(), LABEL, &[])
}

/// The product of the eighths of two numbers once they are clamped.
fn factor(secret: &[u8; 32], tweak: &[u8; 32]) -> Zeroizing<Scalar> {
    let (secret, tweak) = (Zeroizing::new(eighth(secret)), eighth(tweak));
    Zeroizing::new(*secret * tweak)
}

/// The eighth of a number once it is clamped, which is below ℓ.
fn eighth(number: &[u8; 32]) -> Scalar {
    let mut bytes = Zeroizing::new(clamp_integer(*number));
    let mut carried = 0;
    for byte in bytes.iter_mut().rev() {
        (*byte, carried) = (*byte >> 3 | carried, *byte << 5);
    }
    Scalar::from_bytes_mod_order(*bytes)
}

/// `factor · 64 · point`, in time that does not depend on the factor.
fn times(point: &EdwardsPoint, factor: &Scalar) -> Zeroizing<MontgomeryPoint> {
    work::count(|work| work.multiplications += 1);
    let point = point.mul_by_cofactor().mul_by_cofactor();
    Zeroizing::new((point * factor).to_montgomery())
}

/// The key that encrypts the file's key.
fn wrapping_key(
    share: &MontgomeryPoint,
    addressee: &MontgomeryPoint,
    shared: &MontgomeryPoint,
) -> Zeroizing<[u8; 32]> {
    let salt = [*share.as_bytes(), *addressee.as_bytes()].concat();
    Zeroizing::new(hkdf(&salt, LABEL, shared.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::iter;

    use age::{Decryptor, Encryptor};
    use curve25519_dalek::constants::EIGHT_TORSION;
    use ssh_key::LineEnding;

    use super::*;
    use crate::key::KeyPair;

    fn pair(seed: u8) -> KeyPair {
        KeyPair::from_seed(&[seed; 32], "NORTH/HQ").unwrap()
    }

    /// The key as the library has it.
    fn theirs(pair: &KeyPair) -> (age::ssh::Identity, age::ssh::Recipient) {
        let text = pair.to_openssh().unwrap();
        let identity = age::ssh::Identity::from_buffer(text.as_bytes(), None).unwrap();
        (identity, pair.public().to_string().parse().unwrap())
    }

    fn sealed(recipient: &dyn Recipient) -> Vec<u8> {
        let encryptor = Encryptor::with_recipients(iter::once(recipient)).unwrap();
        let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
        writer.write_all(b"text").unwrap();
        writer.finish().unwrap()
    }

    fn opened(sealed: &[u8], identity: &dyn Identity) -> Option<String> {
        let mut text = String::new();
        let mut reader =
            Decryptor::new_buffered(sealed).ok()?.decrypt(iter::once(identity)).ok()?;
        reader.read_to_string(&mut text).ok()?;
        Some(text)
    }

    #[test]
    fn the_library_opens_what_is_sealed_here_and_the_other_way_round() {
        for seed in 0..50 {
            let ours = pair(seed);
            let (identity, recipient) = theirs(&ours);
            let here = sealed(&SshRecipient(ours.public()));
            assert_eq!(opened(&here, &identity).as_deref(), Some("text"), "{seed}");
            assert_eq!(opened(&sealed(&recipient), ours.identity()).as_deref(), Some("text"));
            assert_eq!(opened(&here, pair(seed + 1).identity()), None, "another key");
        }
    }

    /// For a point of any kind the secret is the one that two multiplications as in RFC 7748 give.
    #[test]
    fn one_multiplication_gives_what_two_give() {
        let ours = pair(1);
        let identity = ours.identity();
        let mut twisted = 0;
        let of_curve = EIGHT_TORSION
            .map(|torsion| (EdwardsPoint::mul_base_clamped([9; 32]) + torsion).to_montgomery().0);
        let small = EIGHT_TORSION.map(|torsion| torsion.to_montgomery().0);
        let any = (0..=u8::MAX).map(|byte| [byte; 32]);
        for share in of_curve.into_iter().chain(small).chain(any).map(MontgomeryPoint) {
            let twice = share.mul_clamped(*identity.secret).mul_clamped(identity.tweak);
            assert_eq!(identity.shared(&share).0, twice.0, "{share:?}");
            twisted += u32::from(share.to_edwards(0).is_none());
        }
        assert!((50..200).contains(&twisted), "both kinds of points: {twisted}");
        for torsion in EIGHT_TORSION {
            let point = ours.public().verifying_key().to_edwards() + torsion;
            let (secret, tweak) = ([7; 32], tweak(ours.public()));
            let twice = point.to_montgomery().mul_clamped(secret).mul_clamped(tweak);
            assert_eq!(times(&point, &factor(&secret, &tweak)).0, twice.0);
        }
    }

    #[test]
    fn a_stanza_of_another_form_is_refused() {
        let ours = pair(1);
        let key = FileKey::new(Box::new([3; FILE_KEY_BYTES]));
        let stanza = || {
            let (mut stanzas, labels) = SshRecipient(ours.public()).wrap_file_key(&key).unwrap();
            assert!(labels.is_empty());
            stanzas.remove(0)
        };
        let read = |change: fn(&mut Stanza)| {
            let mut stanza = stanza();
            change(&mut stanza);
            ours.identity().unwrap_stanza(&stanza).map(|opened| {
                opened.ok().map(|opened| opened.expose_secret() == key.expose_secret())
            })
        };
        assert_eq!(read(|_| ()), Some(Some(true)));
        assert_eq!(read(|stanza| stanza.tag = "X25519".into()), None);
        assert_eq!(read(|stanza| stanza.args.push("more".into())), None);
        assert_eq!(read(|stanza| stanza.args[0] = "AAAAAA".into()), None, "another key");
        assert_eq!(read(|stanza| stanza.args[1].truncate(42)), Some(None));
        assert_eq!(read(|stanza| stanza.args[1] = BASE64_NOPAD.encode(&[9; 32])), Some(None));
        assert_eq!(read(|stanza| stanza.body[0] ^= 1), Some(None));
        assert_eq!(read(|stanza| stanza.body.push(0)), Some(None));
    }

    #[test]
    fn the_key_on_disk_is_the_one_that_opens() {
        let text = pair(4).to_openssh().unwrap();
        let read = ssh_key::PrivateKey::from_openssh(&*text).unwrap();
        assert_eq!(*read.to_openssh(LineEnding::LF).unwrap(), *text);
        let read = KeyPair::from_openssh(&text).unwrap();
        let here = sealed(&SshRecipient(pair(4).public()));
        assert_eq!(opened(&here, read.identity()).as_deref(), Some("text"));
    }
}
