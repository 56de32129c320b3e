//! The keys of a postoffice folder: its Ed25519 key, and the name of a server installation.

use std::path::Path;

use anyhow::Context as _;
use dirsync_carrier::access::{Access, Links, open_file};
use dirsync_carrier::durable;
use dirsync_directory::PostofficeName;
use dirsync_message::Instance;
use dirsync_protocol::context::Draws;
use dirsync_seal::KeyPair;

use crate::failure::Result;
use crate::key_ring::KEY;

/// The folder of its keys.
pub(crate) const KEYS: &str = "keys";
/// The first public key of the folder, by which it is known after the key has changed.
pub(crate) const INSTALLATION: &str = "installation";
/// The file in it that names the server installation; a requestor has none.
pub(crate) const INSTANCE: &str = "instance";

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
