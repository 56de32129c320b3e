//! A directory server that is lost, copied or restored, and a postoffice of which there are two.

use std::path::{Path, PathBuf};

use dirsync_agent::{decisions, restoring};
use dirsync_directory::PostofficeName;
use dirsync_message::ServerEpoch;
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::{requestor, server};
use dirsync_store::Store as _;
use dirsync_store::sqlite::SqliteStore;
use schemars::JsonSchema;
use serde::Serialize;

use crate::decisions::FileDecisions;
use crate::failure::{Failure, Result};
use crate::folder::{database, lock, require_folder};
use crate::keys::{make_instance, random_seed, read_instance};
use crate::postoffice::{Postoffice, log_within};
use crate::time::now_ms;
use crate::{home, json};

/// A copy of the server becomes the server: a move and, as the copy may be older, a restore. Returns the
/// epoch that begins.
pub fn promote(folder: &Path) -> Result<ServerEpoch> {
    let _lock = lock(folder, "server promote")?;
    let mut store = SqliteStore::open(database(folder))?;
    require_copy(folder, &mut store)?;
    let instance = make_instance(folder)?;
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let guard = Default::default();
    let mut tables = store.begin()?;
    let evidence = &EvidenceKey::NONE;
    let mut context =
        Context { now: now_ms(), draws: &mut draws, events: &mut events, guard, evidence };
    let mut log = FileDecisions::of(folder);
    let promoted = restoring::promote(&mut *tables, &mut context, instance, &mut log)?;
    let Some(epoch) = promoted else { return Err(no_copy()) };
    let summary = format!("promoted: this is the directory server now, epoch {epoch}");
    log_within(&mut *tables, "admin", &summary, &events)?;
    tables.commit()?;
    // After it: had only the home been noted, a copy with the old server's name would go on.
    home::note(folder)?;
    Ok(epoch)
}

fn no_copy() -> Failure {
    Failure::usage("this postoffice is no copy of a directory server")
}

/// The server at its home is the server: a promotion would begin a new epoch, and its requestors would
/// wait for all of them to speak again. One that was replaced may be the server again.
fn require_copy(folder: &Path, store: &mut SqliteStore) -> Result<()> {
    let Some(server) = store.begin()?.server()? else {
        return Err(no_copy());
    };
    let is_copy = home::away(folder)?.is_some() || read_instance(folder)? != server.epoch.instance;
    if is_copy || server.fenced {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "this is the directory server already, epoch {}: nothing was changed",
        server.epoch
    ))
    .hint("`server promote` is for a copy of its folder, when the server itself is lost"))
}

/// A decisions log that was written anew.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RenewedLog {
    /// How many lines it has.
    pub lines: usize,
    /// Where the one before is kept.
    #[serde(serialize_with = "json::path")]
    #[schemars(with = "String")]
    pub kept: PathBuf,
}

/// Writes a lost log anew, so that a later restore has all registrations again.
pub fn renew_log(postoffice: &mut Postoffice) -> Result<RenewedLog> {
    let mut log = postoffice.decisions();
    let state = postoffice.log_state()?;
    if state.lost.is_none() && state.unreadable == 0 {
        return Err(Failure::usage(
            "decisions.log is the one of this database: nothing was changed",
        ));
    }
    let mut tables = postoffice.begin()?;
    let known = decisions::renewed_log(&mut *tables, now_ms())?;
    // The file is first: what a crash leaves is a log that agrees with no note, and is said again.
    let kept = log.replace(&known)?;
    log_within(&mut *tables, "admin", "decisions.log was written anew", &[])?;
    tables.commit()?;
    Ok(RenewedLog { lines: known.len(), kept })
}

/// A recovery after a restore.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Recovery {
    /// The server was recovering.
    pub recovering: bool,
    /// The origins that have not spoken since.
    pub silent: Vec<SilentOrigin>,
    /// It was ended.
    pub ended: bool,
}

/// An origin that has not spoken since the server was restored.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SilentOrigin {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub postoffice: PostofficeName,
    /// How many of its entries leave the lists if the recovery ends without it.
    pub entries: u64,
}

/// Looks at a recovery, and ends it if `finish` says so, although some origins have not spoken.
pub fn recover(postoffice: &mut Postoffice, finish: bool) -> Result<Recovery> {
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let guard = postoffice.config.guards.delete;
    let mut tables = postoffice.begin()?;
    let recovering = tables.server()?.is_some_and(|server| server.recovering);
    let silent = server::would_vanish(&mut *tables)?
        .into_iter()
        .map(|(postoffice, entries)| SilentOrigin { postoffice, entries })
        .collect();
    let evidence = &EvidenceKey::NONE;
    let mut context =
        Context { now: now_ms(), draws: &mut draws, events: &mut events, guard, evidence };
    let ended = finish && server::finish_recovery(&mut *tables, &mut context)?;
    if ended {
        log_within(&mut *tables, "admin", "the recovery is over", &events)?;
    }
    tables.commit()?;
    Ok(Recovery { recovering, silent, ended })
}

/// This machine is the one to keep, after it was fenced, or in a folder that was copied; the machine that
/// it was copied from will be the fenced one. Returns whether there was anything to do.
pub fn rejoin(folder: &Path) -> Result<bool> {
    let mut postoffice = Postoffice::open_away(folder, "rejoin")?;
    let away = postoffice.away()?.is_some();
    if away && postoffice.is_server {
        return Err(Failure::usage("a copied directory server does not rejoin").hint(
            "`dirsync server promote` makes this copy the server, `dirsync moved` says that the old \
             folder is gone",
        ));
    }
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let guard = postoffice.config.guards.delete;
    let mut tables = postoffice.begin()?;
    let evidence = &EvidenceKey::NONE;
    let mut context =
        Context { now: now_ms(), draws: &mut draws, events: &mut events, guard, evidence };
    let rejoined = requestor::rejoin(&mut *tables, &mut context, away)?;
    if rejoined {
        let summary = "rejoined: this machine is the one to keep";
        log_within(&mut *tables, "admin", summary, &events)?;
    }
    tables.commit()?;
    if away {
        home::note(folder)?;
    }
    Ok(rejoined)
}

/// The postoffice lives in this folder from now on. It does not depend on the database: one that is
/// damaged can be restored only if the postoffice is at home. Returns its name, and whether it had
/// lived elsewhere.
pub fn moved(folder: &Path) -> Result<(PostofficeName, bool)> {
    require_folder(folder)?;
    let away = {
        let _lock = lock(folder, "moved")?;
        let away = home::away(folder)?;
        if away.is_some() {
            home::note(folder)?;
        }
        away
    };
    let mut postoffice = Postoffice::open(folder, "moved")?;
    if let Some(away) = away {
        postoffice.log("admin", &format!("moved: lives here from now on ({away})"), &[])?;
    }
    Ok((postoffice.name, away.is_some()))
}
