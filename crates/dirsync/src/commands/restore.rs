//! `dirsync backup` and `dirsync restore`.

use std::path::Path;

use dirsync_postoffice::{Postoffice, restore};
use schemars::JsonSchema;
use serde::Serialize;

use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::progress::Progress;

/// A copy of the database.
#[derive(Serialize, JsonSchema)]
pub struct BackedUp {
    /// Its file.
    file: String,
    /// Its size, in bytes.
    bytes: u64,
}

/// `dirsync backup FILE`.
pub fn backup(folder: &Path, file: &Path, json: bool) -> Result<ExitStatus> {
    restore::require_new(file)?;
    let postoffice = super::read(folder)?;
    let progress = Progress::of("copying");
    let bytes = restore::back_up(&postoffice, file)?;
    drop(progress);
    if json {
        document::print(&BackedUp { file: file.display().to_string(), bytes });
    } else {
        println!("{} written to {} ({bytes} bytes)", postoffice.name, file.display());
        println!("keys/ and decisions.log are to be kept beside it");
    }
    Ok(ExitStatus::Done)
}

/// A postoffice that was put back.
#[derive(Serialize, JsonSchema)]
pub struct Restored {
    /// Its name.
    postoffice: String,
    /// The file in which the database that was replaced is kept.
    kept: String,
}

/// `dirsync restore FILE`.
pub fn restore(folder: &Path, file: &Path, json: bool) -> Result<ExitStatus> {
    let progress = Progress::of("putting the copy back");
    let kept = restore::restore(folder, file)?;
    drop(progress);
    let postoffice = Postoffice::open(folder, "restore")?;
    if json {
        let (postoffice, kept) = (postoffice.name.to_string(), kept.display().to_string());
        document::print(&Restored { postoffice, kept });
    } else {
        println!(
            "{} is restored; what others know that this copy does not comes back by itself",
            postoffice.name
        );
        println!("the database that it replaced is kept as {}", kept.display());
    }
    Ok(ExitStatus::Done)
}
