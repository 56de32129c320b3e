//! `dirsync init` and `dirsync config check`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dirsync_agent::founding::{found_requestor, found_server};
use dirsync_carrier::durable;
use dirsync_protocol::context::Draws;
use serde_json::json;

use crate::cli::InitArgs;
use crate::commands::print_json;
use crate::config::Config;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invitation::Invitation;
use crate::office::{CARRIER_NOTE, LOCAL, make_folder, make_instance, random_seed};

/// `dirsync init`.
pub fn init(folder: &Path, arguments: &InitArgs, json: bool) -> Outcome {
    let (name, role, server) = match (&arguments.invitation, &arguments.name) {
        (Some(file), _) => init_requestor(folder, file)?,
        (None, Some(name)) => {
            make_server(folder, name)?;
            (name.to_string(), "server", name.to_string())
        }
        (None, None) => return Err(Failure::usage("name the postoffice, or its invitation")),
    };
    if json {
        print_json(&json!({ "postoffice": name, "role": role, "server": server }));
    } else if role == "server" {
        println!("{name} is a directory server in {}", folder.display());
        println!(
            "next: register a requestor with `dirsync requestor add NETWORK/POSTOFFICE --folder DIR`"
        );
    } else {
        println!("{name} is a directory requestor of {server} in {}", folder.display());
        println!(
            "next: `dirsync import FILE`, then `dirsync cycle`, or leave `dirsync run` running"
        );
    }
    Ok(ExitStatus::Done)
}

/// Makes a directory server's folder.
pub fn make_server(folder: &Path, name: &dirsync_directory::PostofficeName) -> Outcome<()> {
    make_folder(folder, name, |tables, key| {
        let instance = make_instance(folder)?;
        let mut draws = Draws::new(&random_seed()?);
        Ok(found_server(tables, &mut draws, name, instance, key, LOCAL)?)
    })
}

fn init_requestor(folder: &Path, file: &Path) -> Outcome<(String, &'static str, String)> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("could not read the invitation \"{}\"", file.display()))?;
    let invitation = Invitation::parse(&text)
        .map_err(|error| Failure::usage(format!("\"{}\": {error}", file.display())))?;
    make_requestor(folder, &invitation)?;
    Ok((invitation.postoffice.to_string(), "requestor", invitation.server.to_string()))
}

/// Makes a requestor's folder from its invitation.
pub fn make_requestor(folder: &Path, invitation: &Invitation) -> Outcome<()> {
    let Invitation { postoffice, server, .. } = invitation;
    make_folder(folder, postoffice, |tables, _| {
        let mut draws = Draws::new(&random_seed()?);
        let secret = Some(invitation.secret.clone());
        found_requestor(tables, &mut draws, postoffice, server, secret)?;
        tables.put_note(CARRIER_NOTE, Some(&invitation.carrier))?;
        tables.put_note("server-key", Some(&invitation.server_key))?;
        Ok(())
    })
}

/// The absolute form of a folder that is to be shared; it is made if it is not there.
pub fn shared_folder(folder: &Path) -> Outcome<PathBuf> {
    durable::create_folder(folder)?;
    let folder = fs::canonicalize(folder)
        .with_context(|| format!("cannot reach the shared folder \"{}\"", folder.display()))?;
    Ok(folder)
}

/// `dirsync config check`.
pub fn check_config(folder: &Path, json: bool) -> Outcome {
    let path = folder.join("dirsync.toml");
    match Config::load(&path) {
        Ok(config) => {
            if json {
                print_json(&json!({ "file": path.display().to_string(), "mistakes": [] }));
            } else {
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
            Err(Failure::from(errors).with_status(ExitStatus::Usage))
        }
    }
}
