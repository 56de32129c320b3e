//! `dirsync backup` and `dirsync restore`.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use dirsync_agent::restoring;
use dirsync_carrier::durable;
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::tables::StoreErrorKind;
use dirsync_store::Store;
use dirsync_store::sqlite::SqliteStore;
use serde_json::json;

use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::office::{
    Office, database, known_decisions, lock, now_ms, random_seed, remove_database, require_home,
};

/// `dirsync backup FILE`.
pub fn backup(folder: &Path, file: &Path, json: bool) -> Outcome {
    if file.exists() {
        return Err(Failure::usage(format!("\"{}\" exists already", file.display())));
    }
    let office = Office::read(folder)?;
    office.store.backup_to(file)?;
    let bytes = fs::metadata(file)?.len();
    if json {
        print_json(&json!({ "file": file.display().to_string(), "bytes": bytes }));
    } else {
        println!("{} written to {} ({bytes} bytes)", office.name, file.display());
        println!("keys/ and decisions.log are to be kept beside it");
    }
    Ok(ExitStatus::Done)
}

/// `dirsync restore FILE`: the copy takes the place of the database, and a new epoch begins at once,
/// so that nobody takes the numbers of the life that is lost for those of this one.
pub fn restore(folder: &Path, file: &Path, json: bool) -> Outcome {
    restore_into(folder, file)?;
    let mut office = Office::open(folder, "restore")?;
    office.log("admin", &format!("restored from {}", file.display()), &[])?;
    if json {
        print_json(&json!({ "postoffice": office.name.to_string(), "restored": true }));
    } else {
        println!(
            "{} is restored; what others know that this copy does not comes back by itself",
            office.name
        );
    }
    Ok(ExitStatus::Done)
}

/// Puts a copy in the place of a folder's database.
pub fn restore_into(folder: &Path, file: &Path) -> Outcome<()> {
    let _lock = lock(folder, "restore")?;
    require_home(folder)?;
    // The copy is opened and checked before anything is replaced.
    let copy = SqliteStore::open_read_only(file)
        .with_context(|| format!("\"{}\" cannot be restored", file.display()))?;
    let wrong = copy.integrity_check()?;
    if !wrong.is_empty() {
        return Err(Failure::from(anyhow::anyhow!(
            "\"{}\" is damaged: {}",
            file.display(),
            wrong.join("; ")
        )));
    }
    let path = database(folder);
    let beside = path.with_extension("db.restoring");
    remove_database(&beside)?;
    copy.backup_to(&beside)?;
    drop(copy);
    begin_anew(folder, &beside)?;
    empty_log(&path)?;
    for suffix in ["-wal", "-shm"] {
        let mut left = path.clone().into_os_string();
        left.push(suffix);
        durable::remove_file(Path::new(&left))?;
    }
    durable::move_file(&beside, &path)?;
    Ok(())
}

/// Until the copy takes its place the old database stays whole: its log goes into it before the log's
/// file is removed. One that is damaged is what is being replaced.
fn empty_log(path: &Path) -> Outcome<()> {
    let emptied = SqliteStore::open(path).and_then(|mut old| old.checkpoint_truncate());
    match emptied {
        Err(error) if error.kind == StoreErrorKind::Busy => Err(error.into()),
        _ => Ok(()),
    }
}

/// The new life of the restored copy, before it takes its place.
fn begin_anew(folder: &Path, beside: &Path) -> Outcome<()> {
    let mut store = SqliteStore::open(beside)?;
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let mut tables = store.begin()?;
    let guard = Default::default();
    let mut context = Context { now: now_ms(), draws: &mut draws, events: &mut events, guard };
    let decisions = known_decisions(folder)?;
    restoring::begin_anew(&mut *tables, &mut context, &decisions)?;
    tables.commit()?;
    store.checkpoint_truncate()?;
    Ok(())
}
