//! `dirsync export`.

use std::io::{self, BufWriter};
use std::path::Path;

use dirsync_agent::export::{ExportError, ExportSettings, export as write_export, export_to_file};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::ExportArgs;
use crate::document;
use crate::failure::{ExitStatus, Result};

/// A file that was exported.
#[derive(Serialize, JsonSchema)]
pub struct Exported {
    /// The file.
    file: String,
    /// How many entries it has.
    entries: u64,
}

/// `dirsync export`.
pub fn export(folder: &Path, arguments: &ExportArgs, json: bool) -> Result<ExitStatus> {
    let mut postoffice = super::read(folder)?;
    let settings = ExportSettings {
        format: arguments.format,
        own: arguments.own,
        for_people: arguments.for_people,
    };
    let mut tables = postoffice.begin()?;
    let Some(path) = &arguments.output else {
        let mut output = BufWriter::new(io::stdout().lock());
        return match write_export(&mut *tables, &mut output, settings) {
            Ok(_) => Ok(ExitStatus::Done),
            // A reader that has seen enough is no failure.
            Err(ExportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(ExitStatus::Done)
            }
            Err(error) => Err(error.into()),
        };
    };
    let entries = export_to_file(&mut *tables, path, settings)?.entries;
    if json {
        document::print(&Exported { file: path.display().to_string(), entries });
    } else {
        println!("{entries} entries written to {}", path.display());
    }
    Ok(ExitStatus::Done)
}
