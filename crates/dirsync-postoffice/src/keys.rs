//! The keys of a postoffice folder: its Ed25519 key, and of a server the name of the installation and the
//! secret of its evidence.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use dirsync_carrier::access::{Access, Links, open_file};
use dirsync_carrier::durable;
use dirsync_directory::PostofficeName;
use dirsync_message::Instance;
use dirsync_protocol::context::Draws;
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_seal::KeyPair;
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::key_ring::KEY;

/// The folder of its keys.
pub(crate) const KEYS: &str = "keys";
/// The first public key of the folder, by which it is known after the key has changed.
pub(crate) const INSTALLATION: &str = "installation";
/// The file in it that names the server installation; a requestor has none.
pub(crate) const INSTANCE: &str = "instance";
/// The file in it with the secret of the server's evidence, as 64 hexadecimal digits.
const EVIDENCE: &str = "evidence";

/// Randomness of the operating system.
pub fn random_seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(seed)
}

/// Reads a file of a folder. Whoever can write there may have put anything in its place: it is not
/// waited for.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    std::io::read_to_string(open_file(path, Links::Follow)?)
}

/// Makes the postoffice's key, or finds the one that is there. Returns the public one.
pub(crate) fn make_key(folder: &Path, name: &PostofficeName) -> Result<String> {
    let path = folder.join(KEYS).join(KEY);
    let public = folder.join(KEYS).join(format!("{KEY}.pub"));
    if let Ok(key) = read_text(&public) {
        return Ok(key.trim().to_owned());
    }
    let pair = KeyPair::from_seed(&random_seed()?, name.as_str())?;
    let text = pair.to_openssh()?;
    durable::replace_file(&path, Access::Own, |output| output.write_all(text.as_bytes()))?;
    let line = format!("{} {name}", pair.public());
    durable::replace_file(&public, Access::Own, |output| writeln!(output, "{line}"))?;
    Ok(line)
}

/// Makes a new server installation's random name and writes it down.
pub fn make_instance(folder: &Path) -> Result<Instance> {
    let instance = Instance(Draws::new(&random_seed()?).number());
    let path = folder.join(KEYS).join(INSTANCE);
    durable::replace_file(&path, Access::Own, |output| writeln!(output, "{instance}"))?;
    Ok(instance)
}

/// The secret of the server's evidence. If its file is missing, a new one is made, under which no tag is
/// right that was made before.
///
/// # Errors
///
/// If the file cannot be read, used or written.
pub(crate) fn evidence_key(folder: &Path) -> Result<EvidenceKey> {
    let path = folder.join(KEYS).join(EVIDENCE);
    let text = match read_text(&path).map(Zeroizing::new) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return renew_evidence(folder),
        Err(error) => {
            return Err(error).with_context(|| format!("could not read \"{}\"", path.display()))?;
        }
    };
    let secret = HEXLOWER.decode(text.trim().as_bytes()).ok();
    let secret: Option<[u8; EvidenceKey::BYTES]> = secret.and_then(|bytes| bytes.try_into().ok());
    let secret = secret.ok_or_else(|| {
        let hint = "put the file back from a copy of the folder, or remove it: a new one is made, \
                    and what requestors heard counts again from their next update on";
        Failure::usage(format!("\"{}\" is not 64 hexadecimal digits", path.display())).hint(hint)
    })?;
    Ok(EvidenceKey::new(secret))
}

/// Replaces the secret of the server's evidence. No tag is right any more that was made before.
///
/// # Errors
///
/// If the file cannot be written.
pub(crate) fn renew_evidence(folder: &Path) -> Result<EvidenceKey> {
    let path = folder.join(KEYS).join(EVIDENCE);
    let secret = random_seed()?;
    let text = Zeroizing::new(HEXLOWER.encode(&secret));
    durable::replace_file(&path, Access::Own, |output| writeln!(output, "{}", *text))?;
    Ok(EvidenceKey::new(secret))
}

/// The public key of a folder, in OpenSSH's one-line form, which ends with the postoffice's name.
pub fn public_key(folder: &Path) -> Result<String> {
    let path = folder.join(KEYS).join(format!("{KEY}.pub"));
    let key = read_text(&path).with_context(|| format!("could not read \"{}\"", path.display()))?;
    Ok(key.trim().to_owned())
}

/// The public key with which a folder was made, in the same form.
pub fn installation_key(folder: &Path) -> Result<String> {
    let path = folder.join(KEYS).join(INSTALLATION);
    match read_text(&path) {
        Ok(key) => Ok(key.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => public_key(folder),
        Err(error) => {
            Err(error).with_context(|| format!("could not read \"{}\"", path.display()))?
        }
    }
}

/// Whether a folder is that of a server installation.
pub fn has_instance(folder: &Path) -> bool {
    folder.join(KEYS).join(INSTANCE).exists()
}

/// The server installation's name.
pub fn read_instance(folder: &Path) -> Result<Instance> {
    let path = folder.join(KEYS).join(INSTANCE);
    let text =
        read_text(&path).with_context(|| format!("could not read \"{}\"", path.display()))?;
    Ok(text.trim().parse::<Instance>()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_missing_secret_is_made_once_and_a_copy_of_the_folder_has_it() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [folder, copy] = folders.each_ref().map(|folder| folder.path());
        folders.iter().for_each(|folder| fs::create_dir(folder.path().join(KEYS)).unwrap());
        let path = folder.join(KEYS).join(EVIDENCE);
        let key = evidence_key(folder).unwrap();
        assert_eq!(evidence_key(folder).unwrap(), key, "it is kept");
        assert_eq!(fs::read_to_string(&path).unwrap().trim().len(), 2 * EvidenceKey::BYTES);
        fs::copy(&path, copy.join(KEYS).join(EVIDENCE)).unwrap();
        assert_eq!(evidence_key(copy).unwrap(), key);
        fs::remove_file(&path).unwrap();
        assert_ne!(evidence_key(folder).unwrap(), key, "another one takes its place");
    }

    #[test]
    fn a_secret_that_is_none_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(KEYS)).unwrap();
        let path = folder.path().join(KEYS).join(EVIDENCE);
        let secret = "0f".repeat(EvidenceKey::BYTES);
        for text in ["", "secret", &secret[2..], &format!("{secret}0f"), &format!("{secret}\nx")] {
            fs::write(&path, text).unwrap();
            let failure = evidence_key(folder.path()).unwrap_err();
            assert!(failure.text().contains("64 hexadecimal digits"), "{}", failure.text());
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
