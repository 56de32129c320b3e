//! The proof that a postoffice was invited.
//!
//! The secret is the seed of a pair of keys. The server keeps the public half, with which a proof can be
//! checked and none can be made; the invited postoffice signs its own public key with the other half,
//! once, and keeps that signature alone. The secret never travels after the invitation and is written
//! down nowhere else.
//!
//! A request carries the proof. It is valid for the sender's key and no other, so a reader of the message
//! cannot use it. Therefore it may travel with every request, and a copy of the server that never heard the
//! first one (a restored or promoted one) admits the postoffice all the same.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// The part of an invitation's secret that a server keeps: proofs can be checked with it, and not made.
pub fn verifier(secret: &str) -> String {
    HEXLOWER.encode(pair_of(secret).verifying_key().as_bytes())
}

/// The proof that the holder of `key` (in OpenSSH's one-line form) knows the secret.
pub fn proof(secret: &str, key: &str) -> String {
    HEXLOWER.encode(&pair_of(secret).sign(&statement(key)).to_bytes())
}

/// Whether a proof is made with the secret of this verifier, for this key.
pub fn is_proof(proof: &str, verifier: &str, key: &str) -> bool {
    let verifier = bytes_of(verifier).and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    let (Some(verifier), Some(proof)) = (verifier, bytes_of(proof)) else { return false };
    verifier.verify_strict(&statement(key), &Signature::from_bytes(&proof)).is_ok()
}

fn pair_of(secret: &str) -> SigningKey {
    let context = "dirsync 1 secret of an invitation";
    SigningKey::from_bytes(&blake3::derive_key(context, secret.as_bytes()))
}

/// The text that is signed. No other text that is ever signed begins like it.
fn statement(key: &str) -> Vec<u8> {
    format!("dirsync 1 invited postoffice\n{key}").into_bytes()
}

fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_secret_and_one_key() {
        let (verifier, made) = (verifier("s3cret"), proof("s3cret", "ssh-ed25519 AAAA a"));
        assert!(is_proof(&made, &verifier, "ssh-ed25519 AAAA a"));
        assert!(!is_proof(&made, &verifier, "ssh-ed25519 AAAA b"), "another's key");
        assert!(
            !is_proof(&made, &super::verifier("guess"), "ssh-ed25519 AAAA a"),
            "another secret"
        );
        for none in ["s3cret", "", &verifier, &made.to_uppercase(), &made[2..], &"0".repeat(128)] {
            assert!(!is_proof(none, &verifier, "ssh-ed25519 AAAA a"), "{none} is no proof");
        }
        assert!(!is_proof(&made, "no verifier", "ssh-ed25519 AAAA a"));
    }

    /// What the server keeps and logs is enough to check a proof and not to make one.
    #[test]
    fn a_verifier_makes_no_proof() {
        let (verifier, key) = (verifier("s3cret"), "ssh-ed25519 AAAA thief");
        assert!(!is_proof(&proof(&verifier, key), &verifier, key));
        let secret = HEXLOWER.decode(verifier.as_bytes()).unwrap();
        let forged = SigningKey::from_bytes(&secret.try_into().unwrap());
        let forged = HEXLOWER.encode(&forged.sign(&statement(key)).to_bytes());
        assert!(!is_proof(&forged, &verifier, key));
        let hash = blake3::Hash::from_hex(&verifier).unwrap();
        let keyed = blake3::keyed_hash(hash.as_bytes(), key.as_bytes()).to_hex().to_string();
        assert!(!is_proof(&keyed, &verifier, key), "as proofs were once made");
    }
}
