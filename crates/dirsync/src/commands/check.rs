//! `dirsync check`.

use std::path::Path;

use dirsync_postoffice::inbox::Inbox;
use dirsync_postoffice::{Postoffice, check};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::CheckArgs;
use crate::commands::inbox;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::progress::Progress;
use crate::words::hint::DIRSYNC;

/// The result of a check.
#[derive(Serialize, JsonSchema)]
pub struct Findings {
    /// What contradicts itself; empty if all agrees.
    wrong: Vec<String>,
    /// The contents of the inboxes.
    inbox: Inbox,
}

/// `dirsync check`: reads everything and says what contradicts itself.
pub fn check(folder: &Path, arguments: &CheckArgs, json: bool) -> Result<ExitStatus> {
    let progress = Progress::of("reading everything");
    let mut wrong = Vec::new();
    if arguments.repair {
        wrong = check::repair(&mut Postoffice::open(folder, "check")?)?;
    }
    let mut postoffice = super::read(folder)?;
    let found = check::check(&mut postoffice)?;
    wrong.extend(found.iter().map(ToString::to_string));
    let inbox = Inbox::of(&mut postoffice)?;
    drop(progress);
    let status = if wrong.is_empty() { ExitStatus::Done } else { ExitStatus::Failed };
    if json {
        document::print(&Findings { wrong, inbox });
        return Ok(status);
    }
    inbox::lines(&inbox).iter().for_each(|(word, text)| println!("{word}: {text}"));
    if wrong.is_empty() {
        println!("everything agrees");
    } else {
        wrong.iter().for_each(|line| println!("{line}"));
        if !arguments.repair {
            println!(
                "a damaged list is repaired with the next `{DIRSYNC} send`, or by --repair and a cycle"
            );
        }
    }
    Ok(status)
}
