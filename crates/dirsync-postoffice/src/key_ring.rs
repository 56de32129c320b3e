//! The files of a postoffice's own keys in `keys/`, and how a key is changed.
//!
//! `id_ed25519` is the private key in use, as `ssh-keygen` writes it, and `id_ed25519.pub` the public one.
//! Older private keys stay beside it as `id_ed25519.1` and so on, until nobody needs them. `changes` has a line
//! for each change: the time in milliseconds since 1970, and the statement with which the old key signs the
//! new one, or the new public key alone if nothing leads from the old one to it. What `changes` says holds; a
//! crash leaves files that still have to take their names, and [`settle`] gives them these.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dirsync_carrier::access::Access;
use dirsync_carrier::durable;
use dirsync_directory::PostofficeName;
use dirsync_seal::{KeyPair, KeyStatement, OwnKeys, PublicKey};
use zeroize::Zeroizing;

use crate::failure::Result;
use crate::keys::{INSTALLATION, KEYS, public_key, random_seed, read_text};

pub(crate) const KEY: &str = "id_ed25519";
const PUBLIC: &str = "id_ed25519.pub";
/// A new key whose change is not written down yet.
const NEXT: &str = "id_ed25519.next";
const CHANGES: &str = "changes";

/// A change of the own key.
struct Change {
    /// When it was made, in milliseconds since 1970.
    at: u64,
    new: PublicKey,
    /// What leads from the old key to the new one. `None` if the old one was stolen.
    statement: Option<KeyStatement>,
}

/// The own keys of a folder, with the time of the last change.
pub(crate) struct KeyRing {
    /// The keys.
    pub keys: OwnKeys,
    /// When the newest one was made; `None` if it is the first.
    pub changed_at: Option<u64>,
}

impl KeyRing {
    /// Reads the keys of a postoffice.
    pub(crate) fn read(folder: &Path, name: &PostofficeName) -> Result<Self> {
        let changes = read_changes(folder)?;
        let Some(last) = changes.last() else {
            let newest = read_pair(&folder.join(KEYS).join(KEY))?;
            return Ok(Self { keys: OwnKeys::new(name.clone(), newest), changed_at: None });
        };
        let files = private_files(folder)?;
        let mut pairs: Vec<KeyPair> =
            files.iter().map(|path| read_pair(path)).collect::<Result<_>>()?;
        let mut take = |key: &PublicKey| {
            let at = pairs.iter().position(|pair| pair.public() == key)?;
            Some(pairs.swap_remove(at))
        };
        let newest = take(&last.new).with_context(|| {
            format!(
                "the private key {} is not in \"{}\"",
                last.new.fingerprint(),
                folder.join(KEYS).display()
            )
        })?;
        // What was before a stolen key leads nowhere.
        let begin = changes.iter().rposition(|change| change.statement.is_none());
        let statements: Vec<KeyStatement> = changes[begin.unwrap_or(0)..]
            .iter()
            .filter_map(|change| change.statement.clone())
            .collect();
        let older = statements.iter().filter_map(|statement| take(&statement.old)).collect();
        let keys = OwnKeys::kept(name.clone(), older, newest, statements);
        Ok(Self { keys, changed_at: Some(last.at) })
    }
}

/// Changes the key. After a theft nothing leads from the old key to the new one, and the old ones are removed
/// at once.
pub(crate) fn change(folder: &Path, name: &PostofficeName, stolen: bool, at: u64) -> Result<()> {
    settle(folder, name)?;
    let keys = folder.join(KEYS);
    let installation = keys.join(INSTALLATION);
    if !installation.exists() {
        let first = public_key(folder)?;
        durable::replace_file(&installation, Access::Own, |output| writeln!(output, "{first}"))?;
    }
    let old = KeyRing::read(folder, name)?.keys;
    let new = KeyPair::from_seed(&random_seed()?, name.as_str())?;
    let line = match stolen {
        true => format!("{at} {}", new.public().to_base64()),
        false => format!("{at} {}", KeyStatement::sign(name, old.newest(), new.public())?),
    };
    let text = new.to_openssh()?;
    durable::replace_file(&keys.join(NEXT), Access::Own, |output| {
        output.write_all(text.as_bytes())
    })?;
    let before = read_text(&keys.join(CHANGES)).unwrap_or_default();
    durable::replace_file(&keys.join(CHANGES), Access::Own, |output| {
        writeln!(output, "{before}{line}")
    })?;
    settle(folder, name)
}

/// Gives the files of the keys the names that they have after the last change.
pub(crate) fn settle(folder: &Path, name: &PostofficeName) -> Result<()> {
    let keys = folder.join(KEYS);
    let changes = read_changes(folder)?;
    let next = keys.join(NEXT);
    let Some(last) = changes.last() else {
        durable::remove_file(&next)?;
        return Ok(());
    };
    let is_newest = |path: &Path| read_pair(path).is_ok_and(|pair| *pair.public() == last.new);
    let current = keys.join(KEY);
    if !is_newest(&current) {
        if current.exists() {
            durable::move_file(&current, &keys.join(format!("{KEY}.{}", changes.len())))?;
        }
        durable::move_file(&next, &current)?;
    }
    durable::remove_file(&next)?;
    let line = format!("{} {name}", last.new);
    if public_key(folder).ok().as_ref() != Some(&line) {
        durable::replace_file(&keys.join(PUBLIC), Access::Own, |output| {
            writeln!(output, "{line}")
        })?;
    }
    if last.statement.is_none() {
        remove_old(folder)?;
    }
    Ok(())
}

/// Removes all private keys but the newest.
pub(crate) fn remove_old(folder: &Path) -> Result<()> {
    for path in private_files(folder)? {
        if path.file_name().is_some_and(|name| name != KEY) {
            durable::remove_file(&path)?;
        }
    }
    Ok(())
}

fn read_changes(folder: &Path) -> Result<Vec<Change>> {
    let path = folder.join(KEYS).join(CHANGES);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text =
        read_text(&path).with_context(|| format!("could not read \"{}\"", path.display()))?;
    let changes = text.lines().enumerate().map(|(at, line)| {
        change_of(line).with_context(|| {
            format!("\"{}\", line {}: it is no change of a key", path.display(), at + 1)
        })
    });
    Ok(changes.collect::<anyhow::Result<_>>()?)
}

fn change_of(line: &str) -> Option<Change> {
    let (at, change) = line.split_once(' ')?;
    let at = at.parse().ok()?;
    if let Ok(new) = PublicKey::from_base64(change) {
        return Some(Change { at, new, statement: None });
    }
    let statement: KeyStatement = change.parse().ok()?;
    Some(Change { at, new: statement.new, statement: Some(statement) })
}

/// The files of private keys.
fn private_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let keys = folder.join(KEYS);
    let entries =
        fs::read_dir(&keys).with_context(|| format!("could not read \"{}\"", keys.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let private = names.filter_map(|name| name.into_string().ok()).filter(|name| {
        let rest = name.strip_prefix(KEY);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') && rest != ".pub")
    });
    Ok(private.map(|name| keys.join(name)).collect())
}

fn read_pair(path: &Path) -> Result<KeyPair> {
    let text = read_text(path)
        .map(Zeroizing::new)
        .with_context(|| format!("could not read \"{}\"", path.display()))?;
    Ok(KeyPair::from_openssh(&text)
        .with_context(|| format!("\"{}\" cannot be used", path.display()))?)
}

#[cfg(test)]
mod tests {
    use dirsync_seal::Fingerprint;

    use super::*;
    use crate::keys::make_key;

    fn folder() -> (tempfile::TempDir, PostofficeName) {
        let folder = tempfile::tempdir().unwrap();
        let name: PostofficeName = "NORTH/HQ".parse().unwrap();
        fs::create_dir(folder.path().join(KEYS)).unwrap();
        make_key(folder.path(), &name).unwrap();
        (folder, name)
    }

    fn newest(folder: &Path, name: &PostofficeName) -> Fingerprint {
        KeyRing::read(folder, name).unwrap().keys.newest().public().fingerprint()
    }

    fn opens(folder: &Path, name: &PostofficeName, key: &Fingerprint) -> bool {
        KeyRing::read(folder, name).unwrap().keys.pair(key).is_some()
    }

    #[test]
    fn a_changed_key_leads_from_the_first_to_the_newest() {
        let (folder, name) = folder();
        let folder = folder.path();
        let first = newest(folder, &name);
        let mut made = vec![first];
        for at in 1..=3 {
            change(folder, &name, false, at).unwrap();
            made.push(newest(folder, &name));
        }
        let ring = KeyRing::read(folder, &name).unwrap();
        assert_eq!(ring.changed_at, Some(3));
        assert_eq!(ring.keys.first().fingerprint(), first);
        assert!(made.iter().all(|key| ring.keys.pair(key).is_some()), "all open messages");
        let (_, statements) = ring.keys.signing_for(None);
        assert!(statements.iter().all(|statement| statement.verify(&name).is_ok()));
        assert_eq!(statements.len(), 3);
        assert!(public_key(folder).unwrap().ends_with(" NORTH/HQ"));
        remove_old(folder).unwrap();
        assert!(made[..3].iter().all(|key| !opens(folder, &name, key)));
        assert!(opens(folder, &name, &made[3]));
    }

    #[test]
    fn a_stolen_key_leads_nowhere_and_is_gone() {
        let (folder, name) = folder();
        let folder = folder.path();
        change(folder, &name, false, 1).unwrap();
        let stolen = newest(folder, &name);
        change(folder, &name, true, 2).unwrap();
        let ring = KeyRing::read(folder, &name).unwrap();
        assert!(ring.keys.pair(&stolen).is_none());
        assert!(ring.keys.signing_for(None).1.is_empty());
        assert_eq!(private_files(folder).unwrap(), [folder.join(KEYS).join(KEY)]);
        change(folder, &name, false, 3).unwrap();
        assert_eq!(KeyRing::read(folder, &name).unwrap().keys.signing_for(None).1.len(), 1);
    }

    /// A power failure at each file operation: the old key is in use or the new one, and all older ones
    /// that are needed are there; what was begun is ended by the next change.
    #[test]
    fn a_crash_at_any_point_leaves_a_key_in_use() {
        for stolen in [false, true] {
            for nth in 1.. {
                let (folder, name) = folder();
                let folder = folder.path();
                change(folder, &name, false, 1).unwrap();
                let before = newest(folder, &name);
                durable::fail_at(Some(nth));
                let changed = change(folder, &name, stolen, 2);
                let met = !durable::failure_pending();
                durable::fail_at(None);
                let after = newest(folder, &name);
                assert!(met || changed.is_ok(), "{nth}");
                assert!(after == before || stolen || opens(folder, &name, &before), "{nth}");
                settle(folder, &name).unwrap();
                assert_eq!(newest(folder, &name), after, "{nth}");
                let current = read_pair(&folder.join(KEYS).join(KEY)).unwrap();
                assert_eq!(current.public().fingerprint(), after, "{nth}");
                assert!(public_key(folder).unwrap().starts_with(&current.public().to_string()));
                if !met {
                    break;
                }
            }
        }
    }
}
