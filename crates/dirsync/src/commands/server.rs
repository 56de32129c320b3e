//! `dirsync server …`, `dirsync rejoin` and `dirsync moved`.

use std::path::Path;

use dirsync_postoffice::{Postoffice, server};
use serde_json::json;

use crate::cli::ServerCommand;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Result};

/// `dirsync server …`.
pub fn run(folder: &Path, command: &ServerCommand, json: bool) -> Result<ExitStatus> {
    match command {
        ServerCommand::Promote => promote(folder, json),
        ServerCommand::Recover { dry_run, .. } => recover(folder, *dry_run, json),
        ServerCommand::RenewLog => renew_log(folder, json),
    }
}

fn promote(folder: &Path, json: bool) -> Result<ExitStatus> {
    let epoch = server::promote(folder)?.to_string();
    if json {
        print_json(&json!({ "epoch": epoch }));
    } else {
        println!("this is the directory server now, epoch {epoch}");
        println!("the old one has to stay stopped; requestors go on by themselves");
    }
    Ok(ExitStatus::Done)
}

fn renew_log(folder: &Path, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open_server(folder, "server renew-log")?;
    let renewed = server::renew_log(&mut postoffice)?;
    let (lines, kept) = (renewed.lines, renewed.kept.display());
    if json {
        print_json(&json!({ "lines": lines, "kept": kept.to_string() }));
    } else {
        println!("decisions.log has {lines} lines now, from what the database knows");
        println!("the one before is kept as {kept}");
    }
    Ok(ExitStatus::Done)
}

fn recover(folder: &Path, dry_run: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "server recover")?;
    let recovery = server::recover(&mut postoffice, !dry_run)?;
    let (recovering, ended) = (recovery.recovering, recovery.ended);
    let silent = recovery.silent.into_iter().map(|(name, count)| (name.to_string(), count));
    if json {
        let silent: serde_json::Map<_, _> =
            silent.map(|(name, count)| (name, count.into())).collect();
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
pub fn rejoin(folder: &Path, json: bool) -> Result<ExitStatus> {
    let rejoined = server::rejoin(folder)?;
    if json {
        print_json(&json!({ "rejoined": rejoined }));
    } else if rejoined {
        println!("this postoffice takes part again with its next request, and merges");
    } else {
        println!("this postoffice is not fenced, nor was its folder copied; nothing was changed");
    }
    Ok(ExitStatus::Done)
}

/// `dirsync moved`.
pub fn moved(folder: &Path, json: bool) -> Result<ExitStatus> {
    let (name, moved) = server::moved(folder)?;
    if json {
        print_json(&json!({ "postoffice": name.to_string(), "moved": moved }));
    } else if moved {
        println!("{name} lives in {} from now on", folder.display());
        println!("the old one must not be used again");
    } else {
        println!("{name} lives here already; nothing was changed");
    }
    Ok(ExitStatus::Done)
}
