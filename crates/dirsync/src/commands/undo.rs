//! `dirsync undo`.

use std::path::Path;

use dirsync_directory::shown;
use dirsync_postoffice::runs;
use dirsync_postoffice::{Postoffice, now_ms};

use crate::cli::UndoArgs;
use crate::document;
use crate::failure::{ExitStatus, Failure, Result};
use crate::words::hint::DIRSYNC;
use crate::words::runs as words;

/// `dirsync undo [RUN]`. Without `--yes` it only says what would happen.
pub fn undo(folder: &Path, arguments: &UndoArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = Postoffice::open(folder, "undo")?;
    if let Some(source) = &arguments.go_on {
        let went_on = runs::go_on(&mut postoffice, source)?;
        if json {
            document::print(&went_on);
        } else {
            println!("the source \"{}\" goes on with its next read", shown(&went_on.source));
        }
        return Ok(ExitStatus::Done);
    }
    let undone = runs::undo(&mut postoffice, arguments.run, !arguments.yes)?;
    let (now, zone) = (now_ms(), postoffice.config.zone());
    let summary = words::summary(&undone.run, now, &zone);
    let last = undone.last_command.as_ref();
    let last = last.map(|last| words::last_command(last, &summary, now, &zone));
    if let Some(last) = last.as_ref().filter(|_| arguments.yes) {
        let hint = format!("`dirsync undo {} --yes` undoes that run", undone.run.run);
        return Err(Failure::usage(last).hint(hint));
    }
    if json {
        document::print(&undone);
        return Ok(ExitStatus::Done);
    }
    if let Some(last) = last {
        println!("{last}: `{DIRSYNC} undo {}`", undone.run.run);
        return Ok(ExitStatus::Done);
    }
    println!("{summary}");
    words::undone(&undone).iter().for_each(|line| println!("{line}"));
    match undone.by {
        Some(by) => println!("run {by} did it; `{DIRSYNC} undo {by}` takes it back"),
        None if undone.dry_run => {
            println!("nothing was done; `{DIRSYNC} undo {} --yes` does it", undone.run.run);
        }
        None => println!("nothing was done"),
    }
    Ok(ExitStatus::Done)
}
