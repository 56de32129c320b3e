//! `dirsync why`.

use std::path::Path;

use dirsync_postoffice::now_ms;
use dirsync_postoffice::why::Why;

use crate::cli::WhyArgs;
use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::words::why as words;

/// `dirsync why WHO`.
pub fn why(folder: &Path, arguments: &WhyArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let why = Why::of(&mut postoffice, &arguments.who, arguments.at.as_ref())?;
    if json {
        document::print(&why);
        return Ok(ExitStatus::Done);
    }
    let (now, zone) = (now_ms(), postoffice.config.zone());
    for found in &why.found {
        println!("{}", words::heading(found));
        found.stages.iter().for_each(|stage| println!("  {}", words::stage(stage, now, &zone)));
    }
    if why.more > 0 {
        println!("… {} more; name one by its id or address", why.more);
    }
    Ok(ExitStatus::Done)
}
