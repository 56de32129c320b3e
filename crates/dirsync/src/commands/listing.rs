//! `dirsync export` and `dirsync log`.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use dirsync_agent::export::{ExportError, ExportSettings, export as write_export, export_to_file};
use dirsync_agent::schedule::parse_duration;
use dirsync_postoffice::now_ms;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{ExportArgs, LogArgs};
use crate::commands::print_json;
use crate::document;
use crate::failure::{ExitStatus, Failure, Result};
use crate::time;
use crate::words::shown;

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

/// `dirsync log`.
pub fn log(folder: &Path, arguments: &LogArgs, json: bool) -> Result<ExitStatus> {
    let since = match &arguments.since {
        None => 0,
        Some(text) => {
            let length = parse_duration(text).map_err(Failure::usage)?;
            now_ms().saturating_sub(length.as_millis() as u64)
        }
    };
    let mut postoffice = super::read(folder)?;
    let mut lines = Vec::new();
    let mut output = io::stdout().lock();
    let mut broken = None;
    postoffice.begin()?.visit_log(since, &mut |line| {
        if json {
            lines.push(
                json!({ "at": time::json(line.at), "step": line.step, "level": line.level.word(),
                               "text": line.text }),
            );
        } else {
            let at = time::rfc3339(line.at);
            let text = shown(&line.text.replace('\\', "\\\\"));
            if let Err(error) = writeln!(output, "{at} {:7} {:5} {text}", line.level, line.step) {
                broken = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = broken.filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        return Err(error.into());
    }
    if json {
        drop(output);
        print_json(&Value::Array(lines));
    }
    Ok(ExitStatus::Done)
}
