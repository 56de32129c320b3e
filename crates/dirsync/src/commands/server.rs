//! `dirsync server …`, `dirsync rejoin` and `dirsync moved`.

use std::path::Path;

use dirsync_directory::PostofficeName;
use dirsync_postoffice::server::SilentOrigin;
use dirsync_postoffice::{Postoffice, json, server};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::ServerCommand;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::words::plural;

/// `dirsync server …`.
pub fn run(folder: &Path, command: &ServerCommand, json: bool) -> Result<ExitStatus> {
    match command {
        ServerCommand::Promote => promote(folder, json),
        ServerCommand::Recover { dry_run, .. } => recover(folder, *dry_run, json),
        ServerCommand::RenewLog => renew_log(folder, json),
    }
}

/// A copy that is the directory server now.
#[derive(Serialize, JsonSchema)]
pub struct Promoted {
    /// The epoch that began.
    epoch: String,
}

fn promote(folder: &Path, json: bool) -> Result<ExitStatus> {
    let epoch = server::promote(folder)?.to_string();
    if json {
        document::print(&Promoted { epoch });
    } else {
        println!("this is the directory server now, epoch {epoch}");
        println!("the old one has to stay stopped; requestors go on by themselves");
    }
    Ok(ExitStatus::Done)
}

fn renew_log(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open_server(folder, "server renew-log")?;
    let renewed = server::renew_log(&mut postoffice)?;
    if json {
        document::print(&renewed);
    } else {
        let (lines, kept) = (plural(renewed.lines as u64, "line", "lines"), renewed.kept.display());
        println!("decisions.log has {lines} now, from what the database knows");
        println!("the one before is kept as {kept}");
    }
    Ok(ExitStatus::Done)
}

fn recover(folder: &Path, dry_run: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "server recover")?;
    let recovery = server::recover(&mut postoffice, !dry_run)?;
    if json {
        document::print(&recovery);
        return Ok(ExitStatus::Done);
    }
    if !recovery.recovering {
        println!("the server is not recovering");
        return Ok(ExitStatus::Done);
    }
    for SilentOrigin { postoffice, entries } in &recovery.silent {
        let entries = plural(*entries, "entry", "entries");
        println!("{postoffice} has not spoken since the restore: {entries} as in the backup;");
        println!("  what it changed later leaves the lists until it speaks");
    }
    println!("{}", if recovery.ended { "the recovery is over" } else { "nothing was changed" });
    Ok(ExitStatus::Done)
}

/// A postoffice that takes part again.
#[derive(Serialize, JsonSchema)]
pub struct Rejoined {
    /// Whether there was anything to do.
    rejoined: bool,
}

/// `dirsync rejoin`.
pub fn rejoin(folder: &Path, json: bool) -> Result<ExitStatus> {
    let rejoined = server::rejoin(folder)?;
    if json {
        document::print(&Rejoined { rejoined });
    } else if rejoined {
        println!("this postoffice takes part again with its next request, and merges");
    } else {
        println!("this postoffice is not fenced, nor was its folder copied; nothing was changed");
    }
    Ok(ExitStatus::Done)
}

/// A postoffice that goes on in this folder.
#[derive(Serialize, JsonSchema)]
pub struct Moved {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    postoffice: PostofficeName,
    /// Whether it did not live here before.
    moved: bool,
}

/// `dirsync moved`.
pub fn moved(folder: &Path, json: bool) -> Result<ExitStatus> {
    let (name, moved) = server::moved(folder)?;
    if json {
        document::print(&Moved { postoffice: name, moved });
    } else if moved {
        println!("{name} lives in {} from now on", folder.display());
        println!("the old one must not be used again");
    } else {
        println!("{name} lives here already; nothing was changed");
    }
    Ok(ExitStatus::Done)
}
