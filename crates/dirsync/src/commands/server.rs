//! `dirsync server …` and `dirsync rejoin`.

use std::path::Path;

use dirsync_agent::restoring;
use dirsync_protocol::context::{Context, Draws, Event};
use dirsync_protocol::requestor;
use dirsync_protocol::server;
use dirsync_store::Store;
use dirsync_store::sqlite::SqliteStore;
use serde_json::json;

use crate::cli::ServerCommand;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::office::{Office, database, known_decisions, lock, make_instance, now_ms, random_seed};

/// `dirsync server …`.
pub fn run(folder: &Path, command: &ServerCommand, json: bool) -> Outcome {
    match command {
        ServerCommand::Promote => promote(folder, json),
        ServerCommand::Recover { dry_run, .. } => recover(folder, *dry_run, json),
    }
}

/// A copy of the server becomes the server: a move and, as the copy may be older, a restore.
fn promote(folder: &Path, json: bool) -> Outcome {
    let _lock = lock(folder, "server promote")?;
    let mut store = SqliteStore::open(database(folder))?;
    let instance = make_instance(folder)?;
    let mut draws = Draws::new(&random_seed()?);
    let mut events: Vec<Event> = Vec::new();
    let guard = Default::default();
    let mut tables = store.begin()?;
    let mut context = Context { now: now_ms(), draws: &mut draws, events: &mut events, guard };
    let decisions = known_decisions(folder)?;
    let promoted = restoring::promote(&mut *tables, &mut context, instance, &decisions)?;
    let Some(epoch) = promoted else {
        return Err(Failure::usage("this postoffice is no copy of a directory server"));
    };
    tables.commit()?;
    let epoch = epoch.to_string();
    if json {
        print_json(&json!({ "epoch": epoch }));
    } else {
        println!("this is the directory server now, epoch {epoch}");
        println!("the old one has to stay stopped; requestors go on by themselves");
    }
    Ok(ExitStatus::Done)
}

fn recover(folder: &Path, dry_run: bool, json: bool) -> Outcome {
    let mut office = Office::open(folder, "server recover")?;
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let guard = office.config.guards.delete;
    let mut tables = office.begin()?;
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

/// `dirsync rejoin`.
pub fn rejoin(folder: &Path, json: bool) -> Outcome {
    let mut office = Office::open(folder, "rejoin")?;
    let mut draws = Draws::new(&random_seed()?);
    let mut events = Vec::new();
    let guard = office.config.guards.delete;
    let mut tables = office.begin()?;
    let mut context = Context { now: now_ms(), draws: &mut draws, events: &mut events, guard };
    let fenced = requestor::rejoin(&mut *tables, &mut context)?;
    tables.commit()?;
    if fenced {
        office.log("admin", "rejoined: this machine is the one to keep", &events)?;
    }
    if json {
        print_json(&json!({ "rejoined": fenced }));
    } else if fenced {
        println!("this postoffice takes part again with its next request, and merges");
    } else {
        println!("this postoffice is not fenced; nothing was changed");
    }
    Ok(ExitStatus::Done)
}
