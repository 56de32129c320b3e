//! The format of a `[[target]]` with its options.

use std::path::PathBuf;

use dirsync_connect::{TargetFormat, TargetOption, TargetOptions};

use super::problem::Problem;
use super::reader::{Placed, Reader, Table};

/// Reads the format, by default that of the file's extension, and checks that its options belong to it.
pub(super) fn options<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    file: Option<&Placed<PathBuf>>,
) -> Option<TargetOptions> {
    let format = format(reader, table, file);
    let for_people = reader.flag(table, "for_people");
    let dirsync = reader.flag(table, "dirsync");
    let base = reader.text(table, "base").map(|base| base.value.to_owned());
    let domains = reader.texts(table, "domains").map(|domains| domains.value).unwrap_or_default();
    let domains = domains.into_iter().map(|domain| domain.value.to_owned()).collect();
    let options = TargetOptions { format: format?, for_people, base, dirsync, domains };
    let Err(error) = options.check() else { return Some(options) };
    let key = match error.option() {
        TargetOption::ForPeople => "for_people",
        TargetOption::Base => "base",
        TargetOption::Dirsync => "dirsync",
        TargetOption::Domains => "domains",
    };
    if reader.has(table, key) {
        let shown = reader.shown(table, key);
        let problem =
            Problem::at(reader.key_span(table, key), format!("\"{shown}\" is wrong here"));
        reader.report(problem.because(error.to_string()));
    } else {
        reader.missing(table, key, "[\"example.org\"]");
    }
    None
}

fn format<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    file: Option<&Placed<PathBuf>>,
) -> Option<TargetFormat> {
    if reader.has(table, "format") {
        return reader.word(table, "format")?.parse().ok();
    }
    let file = file?;
    let format = TargetFormat::of_path(&file.value).ok();
    if format.is_none() {
        let problem = Problem::at(file.span.clone(), "the format of this file is not known")
            .because("its extension names none")
            .help(format!("add format = \"…\", one of {}", TargetFormat::WORDS.join(", ")));
        reader.report(problem);
    }
    format
}
