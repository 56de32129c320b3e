//! `dirsync init` and `dirsync config check`.

use std::path::Path;

use dirsync_directory::PostofficeName;
use dirsync_postoffice::init::{Joined, join, make_server};
use dirsync_postoffice::next::Next;
use dirsync_postoffice::settings::Check;
use dirsync_postoffice::view::Unmatched;
use dirsync_postoffice::{json, now_ms};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::InitArgs;
use crate::commands::view;
use crate::document;
use crate::failure::{ExitStatus, Failure, FailureKind, Result};
use crate::time::Times;
use crate::words;
use crate::words::hint::DIRSYNC;

/// A postoffice that was made.
#[derive(Serialize, JsonSchema)]
pub struct Founded {
    /// Its name.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    postoffice: PostofficeName,
    /// Its role.
    role: Role,
    /// Its directory server, which may be itself.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    server: PostofficeName,
}

/// The role of a postoffice.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Role {
    Server,
    Requestor,
}

/// `dirsync init`.
pub fn init(folder: &Path, arguments: &InitArgs, json: bool) -> Result<ExitStatus> {
    match (&arguments.invitation, &arguments.name) {
        (Some(file), _) => {
            let joined = join(folder, file, &arguments.folders)?;
            if let Some(why) = &joined.unmarked {
                eprintln!("warning: the invitation could not be marked as used: {why}");
            }
            say_joined(folder, file, &joined, json);
        }
        (None, Some(name)) if arguments.server => {
            make_server(folder, name)?;
            say_server(folder, name, json);
        }
        _ => {
            return Err(Failure::usage("say which postoffice to make, and of which sort").hint(
                "`dirsync init NETWORK/POSTOFFICE --server` makes a directory server; `dirsync init \
                 --invitation FILE` makes a requestor, from the file that the server's administrator gave",
            ));
        }
    }
    Ok(ExitStatus::Done)
}

fn say_server(folder: &Path, name: &PostofficeName, json: bool) {
    if json {
        let (postoffice, server) = (name.clone(), name.clone());
        document::print(&Founded { postoffice, role: Role::Server, server });
        return;
    }
    println!("{name} is a directory server in {}", folder.display());
    println!(
        "next: register a requestor with `{DIRSYNC} requestor add NETWORK/POSTOFFICE --folder DIR`"
    );
}

fn say_joined(folder: &Path, file: &Path, joined: &Joined, json: bool) {
    let (name, server) = (&joined.invitation.postoffice, &joined.invitation.server);
    if json {
        let (postoffice, server) = (name.clone(), server.clone());
        document::print(&Founded { postoffice, role: Role::Requestor, server });
        return;
    }
    println!("{name} is a directory requestor of {server} in {}", folder.display());
    println!(
        "\"{}\" lets whoever has it take part until the first request is answered: keep it secret, \
         then remove it",
        file.display()
    );
    println!(
        "next: `{DIRSYNC} import FILE`, then `{DIRSYNC} cycle`, or leave `{DIRSYNC} run` running"
    );
}

/// The settings of a postoffice, checked.
#[derive(Serialize, JsonSchema)]
pub struct Checked {
    /// Their file.
    file: String,
    /// The mistakes; the program does not run with any.
    mistakes: Vec<Mistake>,
    /// Faults that do not prevent running.
    warnings: Vec<String>,
    /// What the agent does next; null with mistakes.
    next: Option<Next>,
    /// The values of the view that no entry here has.
    unmatched: Vec<Unmatched>,
}

/// A mistake in the settings.
#[derive(Serialize, JsonSchema)]
struct Mistake {
    /// The line, from 1; null if it is not about one place.
    line: Option<usize>,
    /// The column, from 1.
    column: Option<usize>,
    /// What is wrong.
    reason: String,
}

/// `dirsync config check`.
pub fn check_config(folder: &Path, json: bool) -> Result<ExitStatus> {
    let Check { file, config, never, next, warnings, unmatched } = Check::of(folder)?;
    let file = file.display().to_string();
    if json {
        let mistakes: Vec<Mistake> = match &config {
            Ok(_) => never.iter().map(|never| never_runs(words::alarm::never(never))).collect(),
            Err(errors) => errors.positions().into_iter().map(at_its_place).collect(),
        };
        let status = if mistakes.is_empty() { ExitStatus::Done } else { ExitStatus::Usage };
        document::print(&Checked { file, mistakes, warnings, next, unmatched });
        return Ok(status);
    }
    let config = config.map_err(|errors| Failure::from(errors).with_kind(FailureKind::Usage))?;
    if !never.is_empty() {
        let never: Vec<String> = never.iter().map(words::alarm::never).collect();
        return Err(Failure::usage(format!("{file}: {}", never.join("; "))));
    }
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    view::warn(&unmatched);
    let mode = if config.schedule.is_some() { "on a schedule" } else { "continuous" };
    let (sources, targets) = (config.sources.len(), config.targets.len());
    println!(
        "{file}: no mistakes; {}, {}, {mode}",
        words::plural(sources as u64, "source", "sources"),
        words::plural(targets as u64, "target", "targets")
    );
    let times = Times { zone: config.zone(), now: now_ms() };
    let next = next.map(|next| words::next::lines(&next, &times)).unwrap_or_default();
    next.iter().for_each(|line| println!("next {line}"));
    Ok(ExitStatus::Done)
}

fn never_runs(reason: String) -> Mistake {
    Mistake { line: None, column: None, reason }
}

fn at_its_place((line, column, reason): (usize, usize, String)) -> Mistake {
    Mistake { line: Some(line), column: Some(column), reason }
}
