//! `dirsync held …`.

use std::ops::ControlFlow;
use std::path::Path;

use dirsync_postoffice::held::{self, Case, Group, Selection, Verdict};
use dirsync_postoffice::{Postoffice, now_ms};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::{HeldArgs, HeldCommand};
use crate::commands::waiting;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::words::held as words;
use crate::words::hint::DIRSYNC;

/// The changes that wait for a person, or those that were rejected.
#[derive(Serialize, JsonSchema)]
pub struct List {
    /// Their groups, by source or origin and reason.
    groups: Vec<Group>,
    /// All of them.
    cases: Vec<Case>,
}

/// `dirsync held …`.
pub fn held(folder: &Path, command: &HeldCommand, json: bool) -> Result<ExitStatus> {
    match command {
        HeldCommand::List { all, rejected } => list(folder, *all, *rejected, json),
        HeldCommand::Approve(arguments) => decide(folder, arguments, Verdict::Approved, json),
        HeldCommand::Reject(arguments) => decide(folder, arguments, Verdict::Rejected, json),
    }
}

fn list(folder: &Path, all: bool, rejected: bool, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let groups = held::groups(&mut postoffice, rejected)?;
    let status = waiting(!rejected && !groups.is_empty());
    if json {
        list_json(&mut postoffice, groups, rejected)?;
        return Ok(status);
    }
    if groups.is_empty() {
        println!("nothing is {}", if rejected { "rejected" } else { "held" });
    }
    let (now, zone) = (now_ms(), postoffice.config.zone());
    for group in &groups {
        let heading = words::heading(group, now, &zone);
        if all {
            println!("{heading}");
            held::visit(&mut postoffice, rejected, Some(&group.group), &mut |case| {
                println!("  {}", words::line(&case));
                ControlFlow::Continue(())
            })?;
        } else {
            println!("{heading}:{}", words::examples(group));
        }
        if !rejected {
            let name = words::quoted(&group.group.to_string());
            println!(
                "  let through: {DIRSYNC} held approve {name}   turn down: {DIRSYNC} held reject {name}"
            );
        }
    }
    Ok(status)
}

/// As [`List`]. The cases are printed one by one: there may be a hundred thousand.
fn list_json(postoffice: &mut Postoffice, groups: Vec<Group>, rejected: bool) -> Result<()> {
    let mut cases = document::Items::of(&List { groups, cases: Vec::new() }, "cases");
    held::visit(postoffice, rejected, None, &mut |case| {
        cases.print(&case);
        ControlFlow::Continue(())
    })?;
    cases.end();
    Ok(())
}

fn decide(folder: &Path, arguments: &HeldArgs, verdict: Verdict, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "held")?;
    let selection = match arguments.all {
        true => Selection::All,
        false => Selection::Named(arguments.names.clone()),
    };
    let decided = held::decide(&mut postoffice, &selection, verdict)?;
    if json {
        document::print(&decided);
    } else {
        words::decided(&decided).iter().for_each(|line| println!("{line}"));
    }
    Ok(ExitStatus::Done)
}
