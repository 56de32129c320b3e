//! `dirsync init` and `dirsync config check`.

use std::path::Path;

use dirsync_directory::PostofficeName;
use dirsync_postoffice::config::Config;
use dirsync_postoffice::exposure;
use dirsync_postoffice::init::{Joined, join, make_server};
use dirsync_postoffice::keys::{has_instance, public_key};
use serde_json::json;

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

/// Lines that are well formed, and a schedule on which something never happens.
fn say_never(path: &Path, never: &[String], json: bool) -> Result<ExitStatus> {
    if json {
        let mistakes: Vec<_> = never.iter().map(|reason| json!({ "reason": reason })).collect();
        print_json(&json!({ "file": path.display().to_string(), "mistakes": mistakes }));
        return Ok(ExitStatus::Usage);
    }
    Err(Failure::usage(format!("{}: {}", path.display(), never.join("; "))))
}

/// `dirsync config check`.
pub fn check_config(folder: &Path, json: bool) -> Result<ExitStatus> {
    let path = folder.join("dirsync.toml");
    let warnings = match super::read(folder) {
        Ok(mut postoffice) => exposure::of(&mut postoffice)?,
        // Settings can be checked before there is a postoffice.
        Err(_) => exposure::of_settings(folder),
    };
    match Config::load(&path) {
        Ok(config) => {
            // Before there are keys nobody knows whether this becomes a server.
            let is_postoffice = public_key(folder).is_ok();
            let never = match is_postoffice {
                true => config.never(has_instance(folder)),
                false => Vec::new(),
            };
            if !never.is_empty() {
                return say_never(&path, &never, json);
            }
            if json {
                let file = path.display().to_string();
                print_json(&json!({ "file": file, "mistakes": [], "warnings": warnings }));
            } else {
                warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
                println!(
                    "{}: no mistakes; {} sources, {} targets, {}",
                    path.display(),
                    config.sources.len(),
                    config.targets.len(),
                    if config.schedule.is_some() { "on a schedule" } else { "continuous" }
                );
            }
            Ok(ExitStatus::Done)
        }
        Err(errors) => {
            if json {
                let mistakes: Vec<_> = errors
                    .positions()
                    .into_iter()
                    .map(|(line, column, reason)| {
                        json!({ "line": line, "column": column, "reason": reason })
                    })
                    .collect();
                print_json(&json!({ "file": path.display().to_string(), "mistakes": mistakes }));
                return Ok(ExitStatus::Usage);
            }
            Err(Failure::from(errors).with_kind(FailureKind::Usage))
        }
    }
}
