//! `dirsync check`.

use std::path::Path;

use dirsync_postoffice::inbox::Inbox;
use dirsync_postoffice::{Postoffice, check};
use serde_json::json;

use crate::cli::CheckArgs;
use crate::commands::{inbox, print_json};
use crate::failure::{ExitStatus, Result};

/// `dirsync check`: reads everything and says what contradicts itself.
pub fn check(folder: &Path, arguments: &CheckArgs, json: bool) -> Result<ExitStatus> {
    let mut wrong = Vec::new();
    if arguments.repair {
        wrong = check::repair(&mut Postoffice::open(folder, "check")?)?;
    }
    let mut postoffice = super::read(folder)?;
    let found = check::check(&mut postoffice)?;
    wrong.extend(found.iter().map(ToString::to_string));
    let inbox = Inbox::of(&mut postoffice)?;
    let status = if wrong.is_empty() { ExitStatus::Done } else { ExitStatus::Failed };
    if json {
        print_json(&json!({ "wrong": wrong, "inbox": inbox::json(&inbox) }));
        return Ok(status);
    }
    inbox::lines(&inbox).iter().for_each(|(word, text)| println!("{word}: {text}"));
    if wrong.is_empty() {
        println!("everything agrees");
    } else {
        wrong.iter().for_each(|line| println!("{line}"));
        if !arguments.repair {
            println!(
                "a damaged list is repaired with the next `dirsync send`, or by --repair and a cycle"
            );
        }
    }
    Ok(status)
}
