//! `dirsync init` and `dirsync config check`.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use dirsync_agent::founding::{found_requestor, found_server};
use dirsync_carrier::access::{Links, open_file};
use dirsync_carrier::durable;
use dirsync_postoffice::config::Config;
use dirsync_postoffice::exposure;
use dirsync_postoffice::folder::{make_folder, require_none};
use dirsync_postoffice::invitation::Invitation;
use dirsync_postoffice::keys::{has_instance, make_instance, public_key, random_seed};
use dirsync_postoffice::{CARRIER_NOTE, LOCAL, now_ms};
use dirsync_protocol::context::Draws;
use dirsync_protocol::invitation::proof;
use serde_json::json;

use crate::cli::InitArgs;
use crate::commands::print_json;
use crate::failure::{ExitStatus, Failure, FailureKind, Result};
use crate::time;

/// Longest file that is read as an invitation, in bytes.
const INVITATION_BYTES_MAX: u64 = 64 * 1024;

/// `dirsync init`.
pub fn init(folder: &Path, arguments: &InitArgs, json: bool) -> Result<ExitStatus> {
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
        if let Some(file) = &arguments.invitation {
            println!(
                "\"{}\" lets whoever has it take part until the first request is answered: keep it \
                 secret, then remove it",
                file.display()
            );
        }
        println!(
            "next: `dirsync import FILE`, then `dirsync cycle`, or leave `dirsync run` running"
        );
    }
    Ok(ExitStatus::Done)
}

/// Makes a directory server's folder.
pub fn make_server(folder: &Path, name: &dirsync_directory::PostofficeName) -> Result<()> {
    make_folder(folder, name, |tables, key| {
        let instance = make_instance(folder)?;
        let mut draws = Draws::new(&random_seed()?);
        Ok(found_server(tables, &mut draws, name, instance, key, LOCAL)?)
    })
}

fn init_requestor(folder: &Path, file: &Path) -> Result<(String, &'static str, String)> {
    let mut text = String::new();
    open_file(file, Links::Follow)
        .and_then(|file| file.take(INVITATION_BYTES_MAX).read_to_string(&mut text))
        .with_context(|| format!("could not read the invitation \"{}\"", file.display()))?;
    let invitation = Invitation::parse(&text)
        .map_err(|error| Failure::usage(format!("\"{}\": {error}", file.display())))?;
    // A folder that is there has used it, most likely: that is said first.
    require_none(folder)?;
    check_invitation(&invitation, &text).map_err(|failure| failure.within(quoted(file)))?;
    make_requestor(folder, &invitation)?;
    mark_used(file, folder);
    Ok((invitation.postoffice.to_string(), "requestor", invitation.server.to_string()))
}

/// Refuses an invitation that shows that it admits nobody.
fn check_invitation(invitation: &Invitation, text: &str) -> Result<()> {
    let Invitation { server, postoffice, secret, expires, carrier, .. } = invitation;
    let another = format!(
        "ask the server for another one: `dirsync requestor add {postoffice} --folder DIR --again`"
    );
    if *expires < now_ms() {
        let text = format!("this invitation expired on {}", time::rfc3339(*expires));
        return Err(Failure::usage(text).hint(another));
    }
    if let Some(used) = used(text) {
        return Err(Failure::usage(format!("this invitation was used {used}")).hint(format!(
            "it admits one machine; {another}; if that folder never sent anything and is gone, remove \
             the line \"used\""
        )));
    }
    if carrier.strip_prefix("folder:").is_none_or(str::is_empty) {
        return Err(Failure::usage(format!("its carrier \"{carrier}\" is not known")).hint(another));
    }
    if secret.is_empty() {
        return Err(Failure::usage("this invitation has no secret").hint(another));
    }
    if server == postoffice {
        return Err(Failure::usage("this invitation invites the server itself").hint(another));
    }
    Ok(())
}

fn quoted(file: &Path) -> String {
    format!("\"{}\"", file.display())
}

/// When and where an invitation was used.
fn used(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("used = "))?;
    Some(line.trim_matches('"').to_owned())
}

/// Notes in an invitation's file that it was used: whoever finds it does not wait in vain. Where the
/// file cannot be written the server says so later.
fn mark_used(file: &Path, folder: &Path) {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let words = format!("on {} for {}", time::rfc3339(now_ms()), folder.display());
    let line = toml::Value::String(words).to_string();
    // What a crash leaves of the line makes it no invitation: it was used.
    if let Err(error) = durable::append_line(file, &format!("used = {line}")) {
        eprintln!("warning: the invitation could not be marked as used: {error}");
    }
}

/// Makes a requestor's folder from its invitation.
pub fn make_requestor(folder: &Path, invitation: &Invitation) -> Result<()> {
    let Invitation { postoffice, server, .. } = invitation;
    make_folder(folder, postoffice, |tables, key| {
        let mut draws = Draws::new(&random_seed()?);
        let proof = Some(proof(&invitation.secret, key));
        found_requestor(tables, &mut draws, postoffice, server, proof)?;
        tables.put_note(CARRIER_NOTE, Some(&invitation.carrier))?;
        tables.put_note("server-key", Some(&invitation.server_key))?;
        Ok(())
    })
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
