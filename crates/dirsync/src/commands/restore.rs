//! `dirsync backup` and `dirsync restore`.

use std::path::Path;

use dirsync_postoffice::{Postoffice, restore};
use serde_json::json;

use crate::commands::print_json;
use crate::failure::{ExitStatus, Result};

/// `dirsync backup FILE`.
pub fn backup(folder: &Path, file: &Path, json: bool) -> Result<ExitStatus> {
    restore::require_new(file)?;
    let postoffice = super::read(folder)?;
    let bytes = restore::back_up(&postoffice, file)?;
    if json {
        print_json(&json!({ "file": file.display().to_string(), "bytes": bytes }));
    } else {
        println!("{} written to {} ({bytes} bytes)", postoffice.name, file.display());
        println!("keys/ and decisions.log are to be kept beside it");
    }
    Ok(ExitStatus::Done)
}

/// `dirsync restore FILE`.
pub fn restore(folder: &Path, file: &Path, json: bool) -> Result<ExitStatus> {
    let kept = restore::restore(folder, file)?;
    let postoffice = Postoffice::open(folder, "restore")?;
    if json {
        print_json(&json!({ "postoffice": postoffice.name.to_string(), "restored": true }));
    } else {
        println!(
            "{} is restored; what others know that this copy does not comes back by itself",
            postoffice.name
        );
        println!("the database that it replaced is kept as {}", kept.display());
    }
    Ok(ExitStatus::Done)
}
