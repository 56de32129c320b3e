//! Copies of a postoffice's database, and putting one back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dirsync_agent::restoring;
use dirsync_carrier::durable;
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::tables::{StoreError, StoreErrorKind};
use dirsync_store::Store;
use dirsync_store::sqlite::SqliteStore;

use crate::decisions::FileDecisions;
use crate::failure::{Failure, Result};
use crate::folder::{database, lock, remove_database, require_home, with_suffix};
use crate::identity::Identity;
use crate::keys::random_seed;
use crate::postoffice::{Postoffice, log_within};
use crate::time::now_ms;

/// Added to the name of a database that a restore replaced.
const KEPT: &str = ".before-restore";

/// Refuses to write a copy over a file that is there.
pub fn require_new(file: &Path) -> Result<()> {
    if file.exists() {
        return Err(Failure::usage(format!("\"{}\" exists already", file.display())));
    }
    Ok(())
}

/// Writes a consistent copy of the database. Returns how many bytes it has.
pub fn back_up(postoffice: &Postoffice, file: &Path) -> Result<u64> {
    require_new(file)?;
    postoffice.store.backup_to(file)?;
    Ok(fs::metadata(file)?.len())
}

/// Puts a copy in the place of a folder's database. A new epoch begins at once, so that nobody takes the
/// numbers of the epoch that is lost for those of this one. Returns where the old database is kept.
pub fn restore(folder: &Path, file: &Path) -> Result<PathBuf> {
    let _lock = lock(folder, "restore")?;
    require_home(folder)?;
    let here = Identity::of_folder(folder)?;
    // The copy is opened and checked before anything is replaced.
    let copy = open_copy(folder, &here, file)?;
    let path = database(folder);
    let beside = path.with_extension("db.restoring");
    remove_database(&beside)?;
    copy.backup_to(&beside)?;
    drop(copy);
    begin_anew(folder, &beside, file)?;
    empty_log(&path)?;
    keep_old(&path)?;
    for suffix in ["-wal", "-shm"] {
        durable::remove_file(&with_suffix(&path, suffix))?;
    }
    durable::move_file(&beside, &path)?;
    Ok(with_suffix(&path, KEPT))
}

/// Opens the copy. An error names the copy, not the database that it was to replace.
fn open_copy(folder: &Path, here: &Identity, file: &Path) -> Result<SqliteStore> {
    let name = file.display();
    if !file.is_file() {
        return Err(anyhow::anyhow!("there is no file \"{name}\": nothing was changed").into());
    }
    let refused = |error: StoreError| {
        let failure =
            anyhow::anyhow!("\"{name}\" cannot be restored: {error}; nothing was changed");
        let hint = match error.kind {
            StoreErrorKind::Newer => "use the program that made it, or a newer one",
            _ => "name a file that `dirsync backup` has written; another copy may be whole",
        };
        Failure::from(failure).hint(hint)
    };
    let mut copy = SqliteStore::open_read_only(file).map_err(refused)?;
    let wrong = copy.integrity_check().map_err(refused)?;
    if !wrong.is_empty() {
        let wrong = wrong.join("; ");
        return Err(anyhow::anyhow!("\"{name}\" is damaged: {wrong}; nothing was changed").into());
    }
    let identity = copy.begin().and_then(|mut tables| Identity::of_database(&mut *tables));
    here.require_same(folder, &identity.map_err(refused)?, file)?;
    Ok(copy)
}

/// Keeps the database that is replaced, in the place of the one that was kept before. A log that could
/// not be emptied into it is kept with it.
fn keep_old(path: &Path) -> Result<()> {
    let kept = with_suffix(path, KEPT);
    keep_file(path, &kept)?;
    let (log, kept_log) = (with_suffix(path, "-wal"), with_suffix(&kept, "-wal"));
    if fs::metadata(&log).is_ok_and(|data| data.len() > 0) {
        keep_file(&log, &kept_log)?;
    } else {
        durable::remove_file(&kept_log)?;
    }
    Ok(())
}

/// Gives a file a second name, in the place of whatever had that name; at no time is it without its
/// first one. Where there are no links it is copied.
fn keep_file(path: &Path, kept: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let beside = with_suffix(kept, ".new");
    durable::remove_file(&beside)?;
    let linked = fs::hard_link(path, &beside).or_else(|_| fs::copy(path, &beside).map(|_| ()));
    linked
        .and_then(|()| {
            let file = fs::File::open(&beside)?;
            make_private(&file)?;
            file.sync_all()
        })
        .with_context(|| format!("could not keep the old database as \"{}\"", kept.display()))?;
    durable::move_file(&beside, kept)?;
    Ok(())
}

/// Until the copy takes its place the old database stays whole: its log goes into it before the log's
/// file is removed. One that is damaged is what is being replaced.
fn empty_log(path: &Path) -> Result<()> {
    let emptied = SqliteStore::open(path).and_then(|mut old| old.checkpoint_truncate());
    match emptied {
        Err(error) if error.kind == StoreErrorKind::Busy => Err(error.into()),
        _ => Ok(()),
    }
}

/// Begins the new epoch of the restored copy, before it takes its place.
fn begin_anew(folder: &Path, beside: &Path, file: &Path) -> Result<()> {
    let mut store = SqliteStore::open(beside)?;
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let mut tables = store.begin()?;
    let guard = Default::default();
    let evidence = &EvidenceKey::NONE;
    let mut context =
        Context { now: now_ms(), draws: &mut draws, events: &mut events, guard, evidence };
    restoring::begin_anew(&mut *tables, &mut context, &mut FileDecisions::of(folder))?;
    let summary = format!("restored from {}", file.display());
    log_within(&mut *tables, "admin", &summary, &events)?;
    tables.commit()?;
    store.checkpoint_truncate()?;
    Ok(())
}

/// Lets nobody but the user read or write a file.
#[cfg(unix)]
fn make_private(file: &fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

/// Files are private there as their folder is.
#[cfg(not(unix))]
fn make_private(_: &fs::File) -> std::io::Result<()> {
    Ok(())
}
