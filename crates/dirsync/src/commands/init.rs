//! `dirsync init` and `dirsync config check`.

use std::path::Path;

use dirsync_directory::PostofficeName;
use dirsync_postoffice::init::{Joined, join, make_server};
use dirsync_postoffice::settings::Check;
use serde_json::{Value, json};

use crate::cli::InitArgs;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, FailureKind, Result};

/// `dirsync init`.
pub fn init(folder: &Path, arguments: &InitArgs, json: bool) -> Result<ExitStatus> {
    match (&arguments.invitation, &arguments.name) {
        (Some(file), _) => {
            let joined = join(folder, file)?;
            if let Some(why) = &joined.unmarked {
                eprintln!("warning: the invitation could not be marked as used: {why}");
            }
            say_joined(folder, file, &joined, json);
        }
        (None, Some(name)) => {
            make_server(folder, name)?;
            say_server(folder, name, json);
        }
        (None, None) => return Err(Failure::usage("name the postoffice, or its invitation")),
    }
    Ok(ExitStatus::Done)
}

fn say_server(folder: &Path, name: &PostofficeName, json: bool) {
    if json {
        let name = name.to_string();
        print_json(&json!({ "postoffice": name, "role": "server", "server": name }));
        return;
    }
    println!("{name} is a directory server in {}", folder.display());
    println!(
        "next: register a requestor with `dirsync requestor add NETWORK/POSTOFFICE --folder DIR`"
    );
}

fn say_joined(folder: &Path, file: &Path, joined: &Joined, json: bool) {
    let (name, server) = (&joined.invitation.postoffice, &joined.invitation.server);
    if json {
        let (name, server) = (name.to_string(), server.to_string());
        print_json(&json!({ "postoffice": name, "role": "requestor", "server": server }));
        return;
    }
    println!("{name} is a directory requestor of {server} in {}", folder.display());
    println!(
        "\"{}\" lets whoever has it take part until the first request is answered: keep it secret, \
         then remove it",
        file.display()
    );
    println!("next: `dirsync import FILE`, then `dirsync cycle`, or leave `dirsync run` running");
}

/// `dirsync config check`.
pub fn check_config(folder: &Path, json: bool) -> Result<ExitStatus> {
    let Check { file, config, never, warnings } = Check::of(folder)?;
    let file = file.display().to_string();
    let mistakes: Vec<Value> = match &config {
        Ok(_) => never.iter().map(|reason| json!({ "reason": reason })).collect(),
        Err(errors) => errors.positions().into_iter().map(mistake_json).collect(),
    };
    if json && !mistakes.is_empty() {
        print_json(&json!({ "file": file, "mistakes": mistakes }));
        return Ok(ExitStatus::Usage);
    }
    let config = config.map_err(|errors| Failure::from(errors).with_kind(FailureKind::Usage))?;
    if !never.is_empty() {
        return Err(Failure::usage(format!("{file}: {}", never.join("; "))));
    }
    if json {
        print_json(&json!({ "file": file, "mistakes": [], "warnings": warnings }));
    } else {
        warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        let mode = if config.schedule.is_some() { "on a schedule" } else { "continuous" };
        let (sources, targets) = (config.sources.len(), config.targets.len());
        println!("{file}: no mistakes; {sources} sources, {targets} targets, {mode}");
    }
    Ok(ExitStatus::Done)
}

fn mistake_json((line, column, reason): (usize, usize, String)) -> Value {
    json!({ "line": line, "column": column, "reason": reason })
}
