//! `dirsync waiting`.

use std::path::Path;

use dirsync_postoffice::contested::{self, Contest, Group};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::WaitingArgs;
use crate::commands::waiting;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::words::contested as words;

/// The entries that wait for addresses which others have.
#[derive(Serialize, JsonSchema)]
pub struct List {
    /// Their groups, by origin and holder.
    groups: Vec<Group>,
    /// All contested addresses.
    addresses: Vec<Contest>,
}

/// `dirsync waiting`.
pub fn list(folder: &Path, arguments: &WaitingArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let groups = contested::groups(&mut postoffice)?;
    let status = waiting(!groups.is_empty());
    if json {
        let list = List { groups, addresses: Vec::new() };
        let mut addresses = document::Items::of(&list, "addresses");
        contested::visit(&mut postoffice, &mut |contest| addresses.print(&contest))?;
        addresses.end();
        return Ok(status);
    }
    if groups.is_empty() {
        println!("no entry waits for an address");
    } else if arguments.all {
        contested::visit(&mut postoffice, &mut |contest| println!("{}", words::line(&contest)))?;
    } else {
        groups.iter().flat_map(words::group).for_each(|line| println!("{line}"));
    }
    Ok(status)
}
