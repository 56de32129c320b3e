//! What an invitation's secret proves.
//!
//! The secret itself never travels after the invitation: a request carries a proof that its sender
//! knows it, bound to the sender's public key, so whoever reads the message can use it for no other
//! key. So it may travel with every request, and a copy of the server that never heard the first one
//! (a restored or promoted one) admits the postoffice all the same.

use blake3::Hash;

/// The hash under which a server keeps an invitation's secret.
pub fn secret_hash(secret: &str) -> String {
    hash_of(secret).to_hex().to_string()
}

/// The proof that whoever has `key` (in OpenSSH's one-line form) knows the secret.
pub fn proof(secret: &str, key: &str) -> String {
    blake3::keyed_hash(hash_of(secret).as_bytes(), key.as_bytes()).to_hex().to_string()
}

/// Whether a proof is made with the secret of this hash, for this key.
pub fn is_proof(proof: &str, secret_hash: &str, key: &str) -> bool {
    let (Ok(hash), Ok(proof)) = (Hash::from_hex(secret_hash), Hash::from_hex(proof)) else {
        return false;
    };
    blake3::keyed_hash(hash.as_bytes(), key.as_bytes()) == proof
}

fn hash_of(secret: &str) -> Hash {
    let context = "dirsync 1 secret of an invitation";
    Hash::from_bytes(blake3::derive_key(context, secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_secret_and_one_key() {
        let (hash, made) = (secret_hash("s3cret"), proof("s3cret", "ssh-ed25519 AAAA a"));
        assert!(is_proof(&made, &hash, "ssh-ed25519 AAAA a"));
        assert!(!is_proof(&made, &hash, "ssh-ed25519 AAAA b"), "another's key");
        assert!(!is_proof(&made, &secret_hash("guess"), "ssh-ed25519 AAAA a"), "another secret");
        assert!(!is_proof("s3cret", &hash, "ssh-ed25519 AAAA a"), "no proof at all");
        assert!(!made.contains("s3cret") && made != hash);
    }
}
