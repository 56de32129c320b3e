//! `dirsync export`.

use std::io::{self, BufWriter};
use std::path::Path;

use dirsync_agent::export::{
    ExportError, ExportSettings, Written, export as write_export, export_to_file,
};
use dirsync_connect::{TargetOption, TargetOptionError, TargetOptions};
use dirsync_postoffice::folder::require_foreign;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::ExportArgs;
use crate::document;
use crate::failure::{ExitStatus, Failure, Result};
use crate::words::plural;

/// A file that was exported.
#[derive(Serialize, JsonSchema)]
pub struct Exported {
    /// The file.
    file: String,
    /// How many entries it has.
    entries: u64,
    /// Entries that the format cannot express.
    omitted_entries: u64,
    /// Addresses and values of the entries in it that the format cannot express.
    omitted_values: u64,
    /// Members of lists that the format cannot express, or that are not in the file.
    omitted_members: u64,
}

/// `dirsync export`.
pub fn export(folder: &Path, arguments: &ExportArgs, json: bool) -> Result<ExitStatus> {
    if let Some(file) = &arguments.output {
        require_foreign(file)?;
    }
    let mut postoffice = super::read(folder)?;
    let target = TargetOptions {
        format: arguments.format,
        for_people: arguments.for_people,
        base: arguments.base.clone(),
        dirsync: arguments.dirsync,
        domains: arguments.domains.clone(),
    };
    if let Err(error) = target.check() {
        return Err(Failure::usage(format!("{}: {error}", option_of(&error))));
    }
    let settings = ExportSettings { target, own: arguments.own };
    let mut tables = postoffice.begin()?;
    let Some(path) = &arguments.output else {
        let mut output = BufWriter::new(io::stdout().lock());
        return match write_export(&mut *tables, &mut output, &settings) {
            Ok(written) => {
                if !written.omitted.is_nothing() {
                    eprintln!("{}", written.omitted);
                }
                Ok(ExitStatus::Done)
            }
            // A reader that has seen enough is no failure.
            Err(ExportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(ExitStatus::Done)
            }
            Err(error) => Err(error.into()),
        };
    };
    let Written { entries, omitted } = export_to_file(&mut *tables, path, &settings)?.written;
    if json {
        document::print(&Exported {
            file: path.display().to_string(),
            entries,
            omitted_entries: omitted.entries,
            omitted_values: omitted.values,
            omitted_members: omitted.members,
        });
    } else {
        println!("{} written to {}", plural(entries, "entry", "entries"), path.display());
        if !omitted.is_nothing() {
            println!("{omitted}");
        }
    }
    Ok(ExitStatus::Done)
}

/// The option of the command line that is wrong.
fn option_of(error: &TargetOptionError) -> &'static str {
    match error.option() {
        TargetOption::ForPeople => "--for-people",
        TargetOption::Base => "--base",
        TargetOption::Dirsync => "--dirsync",
        TargetOption::Domains => "--domain",
    }
}
