//! `dirsync server …` and `dirsync rejoin`.

use std::path::Path;

use dirsync_agent::{decisions, restoring};
use dirsync_postoffice::decisions::FileDecisions;
use dirsync_postoffice::folder::{database, lock, require_folder};
use dirsync_postoffice::home;
use dirsync_postoffice::keys::{make_instance, random_seed, read_instance};
use dirsync_postoffice::{Postoffice, log_within, now_ms};
use dirsync_protocol::context::{Context, Draws, Event};
use dirsync_protocol::requestor;
use dirsync_protocol::server;
use dirsync_store::Store;
use dirsync_store::sqlite::SqliteStore;
use serde_json::json;

use crate::cli::ServerCommand;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, Result};

/// `dirsync server …`.
pub fn run(folder: &Path, command: &ServerCommand, json: bool) -> Result<ExitStatus> {
    match command {
        ServerCommand::Promote => promote(folder, json),
        ServerCommand::Recover { dry_run, .. } => recover(folder, *dry_run, json),
        ServerCommand::RenewLog => renew_log(folder, json),
    }
}

/// A copy of the server becomes the server: a move and, as the copy may be older, a restore.
fn promote(folder: &Path, json: bool) -> Result<ExitStatus> {
    let _lock = lock(folder, "server promote")?;
    let mut store = SqliteStore::open(database(folder))?;
    require_copy(folder, &mut store)?;
    let instance = make_instance(folder)?;
    let mut draws = Draws::new(&random_seed()?);
    let mut events: Vec<Event> = Vec::new();
    let guard = Default::default();
    let mut tables = store.begin()?;
    let mut context = Context { now: now_ms(), draws: &mut draws, events: &mut events, guard };
    let mut log = FileDecisions::of(folder);
    let promoted = restoring::promote(&mut *tables, &mut context, instance, &mut log)?;
    let Some(epoch) = promoted else {
        return Err(Failure::usage("this postoffice is no copy of a directory server"));
    };
    tables.commit()?;
    // After it: had only the home been noted, a copy with the old server's name would go on.
    home::note(folder)?;
    let epoch = epoch.to_string();
    if json {
        print_json(&json!({ "epoch": epoch }));
    } else {
        println!("this is the directory server now, epoch {epoch}");
        println!("the old one has to stay stopped; requestors go on by themselves");
    }
    Ok(ExitStatus::Done)
}

/// The server at its home is the server: a promotion would begin a new life, and its requestors would
/// wait for all of them to speak again. One that was replaced may be the server again.
fn require_copy(folder: &Path, store: &mut SqliteStore) -> Result<()> {
    let Some(server) = store.begin()?.server()? else {
        return Err(Failure::usage("this postoffice is no copy of a directory server"));
    };
    let is_copy = home::away(folder)?.is_some() || read_instance(folder)? != server.epoch.instance;
    if is_copy || server.fenced {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "this is the directory server already, epoch {}: nothing was changed",
        server.epoch
    ))
    .hint("`dirsync server promote` is for a copy of its folder, when the server itself is lost"))
}

/// A lost log is written anew, so that a later restore has all registrations again.
fn renew_log(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "server renew-log")?;
    if !postoffice.is_server {
        return Err(Failure::usage(format!("{} is no directory server", postoffice.name)));
    }
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
    if json {
        print_json(&json!({ "lines": known.len(), "kept": kept.display().to_string() }));
    } else {
        println!("decisions.log has {} lines now, from what the database knows", known.len());
        println!("the one before is kept as {}", kept.display());
    }
    Ok(ExitStatus::Done)
}

fn recover(folder: &Path, dry_run: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "server recover")?;
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let guard = postoffice.config.guards.delete;
    let mut tables = postoffice.begin()?;
    let recovering = tables.server()?.is_some_and(|server| server.recovering);
    let silent = server::would_vanish(&mut *tables)?;
    let mut context = Context { now: now_ms(), draws: &mut draws, events: &mut events, guard };
    let ended = !dry_run && server::finish_recovery(&mut *tables, &mut context)?;
    tables.commit()?;
    if json {
        let silent: serde_json::Map<_, _> =
            silent.into_iter().map(|(name, count)| (name.to_string(), count.into())).collect();
        print_json(&json!({ "recovering": recovering, "silent": silent, "ended": ended }));
        return Ok(ExitStatus::Done);
    }
    if !recovering {
        println!("the server is not recovering");
        return Ok(ExitStatus::Done);
    }
    for (name, count) in silent {
        println!("{name} has not spoken since the restore: {count} entries as in the backup;");
        println!("  what it changed later leaves the lists until it speaks");
    }
    println!("{}", if ended { "the recovery is over" } else { "nothing was changed" });
    Ok(ExitStatus::Done)
}

/// `dirsync rejoin`: this machine is the one to keep, after it was fenced, or in a folder that was
/// copied; the machine that it was copied from will be the fenced one.
pub fn rejoin(folder: &Path, json: bool) -> Result<ExitStatus> {
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
    let mut context = Context { now: now_ms(), draws: &mut draws, events: &mut events, guard };
    let rejoined = requestor::rejoin(&mut *tables, &mut context, away)?;
    if rejoined {
        let summary = "rejoined: this machine is the one to keep";
        log_within(&mut *tables, "admin", summary, &events)?;
    }
    tables.commit()?;
    if away {
        home::note(folder)?;
    }
    if json {
        print_json(&json!({ "rejoined": rejoined }));
    } else if rejoined {
        println!("this postoffice takes part again with its next request, and merges");
    } else {
        println!("this postoffice is not fenced, nor was its folder copied; nothing was changed");
    }
    Ok(ExitStatus::Done)
}

/// `dirsync moved`. It does not depend on the database: one that is damaged can be restored only
/// where the postoffice is at home.
pub fn moved(folder: &Path, json: bool) -> Result<ExitStatus> {
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
    if json {
        let name = postoffice.name.to_string();
        print_json(&json!({ "postoffice": name, "moved": away.is_some() }));
    } else if away.is_some() {
        println!("{} lives in {} from now on", postoffice.name, folder.display());
        println!("the old one must not be used again");
    } else {
        println!("{} lives here already; nothing was changed", postoffice.name);
    }
    Ok(ExitStatus::Done)
}
