//! The folder of a postoffice: what lies in it, how it is made, and its lock.

use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use dirsync_carrier::access::Access;
use dirsync_carrier::{LockError, PostofficeLock, durable};
use dirsync_directory::PostofficeName;
use dirsync_seal::PublicKey;
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{Store as _, Transaction};

use crate::config::{Config, template};
use crate::failure::{Failure, FailureKind, Result};
use crate::home::{self, Away};
use crate::identity::INSTALLATION_NOTE;
use crate::keys::{KEYS, make_key};

/// The file of the settings in a postoffice's folder.
pub(crate) const SETTINGS: &str = "dirsync.toml";
/// The database's file in it.
pub const DATABASE: &str = "postoffice.db";
/// The database of a postoffice that is being made.
const FOUNDING: &str = "postoffice.db.founding";
/// The folder of the own postoffice's messages and of the locks.
pub const TRANSIT: &str = "transit";
/// The folder in it of bodies that are being sent.
const BODIES: &str = "bodies";
/// The file in it that each command locks while it works on the postoffice.
pub const LOCK: &str = "lock";
/// The file in it that is locked by the agent for as long as it runs.
pub const AGENT_LOCK: &str = "agent.lock";

/// What a postoffice keeps in its folder, and nothing else may write.
pub(crate) const OF_POSTOFFICE: [&str; 7] = [
    SETTINGS,
    DATABASE,
    "postoffice.db-shm",
    "postoffice.db-wal",
    "decisions.log",
    "keys",
    TRANSIT,
];

/// Whether a path that is relative to a postoffice's folder names something that a postoffice keeps there.
pub(crate) fn is_named_as_own(relative: &Path) -> bool {
    match relative.components().next() {
        Some(Component::Normal(first)) => OF_POSTOFFICE.iter().any(|name| first == *name),
        _ => false,
    }
}

/// Whether a path leads to something that a postoffice keeps, whichever postoffice that is.
pub(crate) fn is_of_postoffice(path: &Path) -> bool {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    let Ok(path) = above.canonicalize().map(|above| above.join(name)) else { return false };
    path.ancestors().skip(1).any(|folder| {
        path.strip_prefix(folder).is_ok_and(is_named_as_own) && folder.join(DATABASE).is_file()
    })
}

/// Refuses to write a file in the place of one that a postoffice keeps.
pub fn require_foreign(file: &Path) -> Result<()> {
    if !is_of_postoffice(file) {
        return Ok(());
    }
    let text =
        format!("\"{}\" belongs to a postoffice; writing it would destroy it", file.display());
    Err(Failure::usage(text).hint("name another file"))
}

/// Refuses a folder without a postoffice's database.
pub fn require_folder(folder: &Path) -> Result<()> {
    if folder.join(DATABASE).is_file() {
        return Ok(());
    }
    Err(Failure::usage(format!("\"{}\" is not a postoffice folder", folder.display()))
        .hint("name it with -C, or make one with `dirsync init`"))
}

/// The configuration of a folder, without a look at its database.
pub fn load_config(folder: &Path) -> Result<Config> {
    Config::load(&folder.join(SETTINGS))
        .map_err(|errors| Failure::from(errors).with_kind(FailureKind::Usage))
}

/// Refuses a copied folder before its database is opened. Returns its
/// configuration.
pub fn require_home(folder: &Path) -> Result<Config> {
    let config = load_config(folder)?;
    match away(folder, &config)? {
        Some(away) => Err(home::refusal(away, folder)),
        None => Ok(config),
    }
}

/// Why the postoffice of a folder does not work where it is; `None` if it is at home or its configuration
/// does not ask.
pub(crate) fn away(folder: &Path, config: &Config) -> Result<Option<Away>> {
    if config.home_check { home::away(folder) } else { Ok(None) }
}

/// Refuses a folder that is a postoffice's already.
pub fn require_none(folder: &Path) -> Result<()> {
    if !folder.join(DATABASE).exists() {
        return Ok(());
    }
    Err(Failure::usage(format!("\"{}\" is a postoffice folder already", folder.display())))
}

/// Makes the folder of a new postoffice: its parts, its key, and its database with what `found`
/// writes into it. The database takes its place last, so that what a crash leaves is no postoffice
/// yet and can be made again.
pub fn make_folder(
    folder: &Path,
    name: &PostofficeName,
    found: impl FnOnce(&mut dyn Transaction, &PublicKey) -> Result<()>,
) -> Result<()> {
    require_none(folder)?;
    for part in [folder, &folder.join(TRANSIT), &folder.join(KEYS)] {
        durable::create_folder(part)?;
    }
    let key = make_key(folder, name)?;
    home::note(folder)?;
    let config = folder.join(SETTINGS);
    if !config.exists() {
        durable::replace_file(&config, Access::Settings, |output| {
            output.write_all(template().as_bytes())
        })?;
    }
    let beside = folder.join(FOUNDING);
    remove_database(&beside)?;
    let mut store = SqliteStore::create(&beside)?;
    let mut tables = store.begin()?;
    found(&mut *tables, &key.parse()?)?;
    tables.put_note(INSTALLATION_NOTE, Some(&key))?;
    tables.commit()?;
    store.checkpoint_truncate()?;
    drop(store);
    durable::move_file(&beside, &folder.join(DATABASE))?;
    Ok(())
}

/// Removes a database with what belongs to it.
pub fn remove_database(path: &Path) -> Result<()> {
    for suffix in ["-journal", "-wal", "-shm", ""] {
        durable::remove_file(&with_suffix(path, suffix))?;
    }
    Ok(())
}

/// The file of this name with something behind it, for instance a database's log.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The database of a folder, for commands that open it in a way of their own.
pub fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// The folder of long bodies between sealing and sending. They are encrypted, and their keys are not there.
pub(crate) fn bodies(folder: &Path) -> PathBuf {
    folder.join(TRANSIT).join(BODIES)
}

/// Removes bodies that a crash left before `before`.
pub(crate) fn clean_bodies(folder: &Path, before: SystemTime) -> Result<()> {
    let bodies = bodies(folder);
    if bodies.is_dir() {
        durable::clean_temporaries(&bodies, before)?;
    }
    Ok(())
}

/// Takes a postoffice's lock without opening it. An agent holds it for a step at a time, so it is
/// waited for, and only a step that takes long is in the way.
pub fn lock(folder: &Path, purpose: &str) -> Result<PostofficeLock> {
    const PATIENCE: Duration = Duration::from_secs(20);
    const PAUSE_MAX: Duration = Duration::from_millis(20);
    let path = folder.join(TRANSIT).join(LOCK);
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        match PostofficeLock::acquire(&path, purpose) {
            Err(LockError::Busy { .. }) if Instant::now() < end => std::thread::sleep(pause),
            outcome => return Ok(outcome?),
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}
