//! `dirsync import`.

mod document;

use std::path::Path;

use dirsync_agent::changes::{BadRow, Example, ExampleKind, ReadReport};
use dirsync_agent::intake::Intake;
use dirsync_agent::taken::Taken;
use dirsync_connect::{Format, OpenOptions};
use dirsync_postoffice::Postoffice;
use dirsync_postoffice::config::built_in;
use dirsync_postoffice::maps::{self, FileToRead};
use dirsync_postoffice::sources::{self, Import, held_by_undo};

pub use self::document::Imported;
use crate::cli::ImportArgs;
use crate::failure::{ExitStatus, Failure, Result};
use crate::progress::Progress;
use crate::words::hint::{DIRSYNC, pasteable};
use crate::words::{contested, plural, shown};

/// The source of a file for which none is named.
const UNNAMED: &str = "import";
/// The number of examples that people see.
const SHOWN: usize = 10;

/// `dirsync import FILE`.
pub fn import(folder: &Path, arguments: &ImportArgs, json: bool) -> Result<ExitStatus> {
    if arguments.suggest_map {
        let ImportArgs { file, format, encoding, .. } = arguments;
        let file = file.as_deref().ok_or_else(|| Failure::usage("name the file"))?;
        let file = FileToRead { path: file, format: *format, encoding: encoding.as_deref() };
        print!("{}", maps::suggest(&file)?);
        return Ok(ExitStatus::Done);
    }
    let mut postoffice = Postoffice::open(folder, "import")?;
    let rows = sources::rows_before(&mut postoffice, &arguments.source)?;
    let progress = Progress::counting("reading rows", rows);
    let mut told = |rows| progress.at(rows);
    let intake = match &arguments.file {
        Some(file) => sources::import(&mut postoffice, &named(file, arguments)?, &mut told),
        None if arguments.source == UNNAMED && postoffice.config.source(UNNAMED).is_err() => {
            return Err(Failure::usage("name the file, or a source of the settings")
                .hint("dirsync import FILE --dry-run, or dirsync import --source NAME --dry-run"));
        }
        None => {
            let source = postoffice.config.source(&arguments.source)?.clone();
            sources::read_dry(&mut postoffice, &source, &mut told)
        }
    };
    drop(progress);
    let intake = intake?;
    print(&intake, arguments, json);
    if intake.broke_off.is_some() {
        return Ok(ExitStatus::Failed);
    }
    Ok(super::waiting(intake.report.needs_a_person()))
}

fn named(file: &Path, arguments: &ImportArgs) -> Result<Import> {
    let format = match arguments.format {
        Some(format) => format,
        None => Format::of_path(file)
            .map_err(|error| Failure::usage(error).hint("say --format csv, ldif or vcard"))?
            .into(),
    };
    let map = match &arguments.map {
        Some(map) => Some(maps::named(map)?),
        None => format.map.cloned(),
    };
    if ["hand", "adopted", "merge", ""].contains(&arguments.source.as_str()) {
        return Err(Failure::usage(format!("\"{}\" is no source of a file", arguments.source)));
    }
    Ok(Import {
        file: file.to_owned(),
        format: format.format,
        options: OpenOptions {
            encoding: arguments.encoding.clone(),
            map,
            known: built_in(),
            private: arguments.private,
            ..OpenOptions::default()
        },
        source: arguments.source.clone(),
        whole: arguments.whole,
        dry_run: arguments.dry_run,
    })
}

fn print(intake: &Intake, arguments: &ImportArgs, json: bool) {
    let (report, dry_run) = (&intake.report, arguments.dry_run);
    if json {
        crate::document::print(&Imported::of(intake, dry_run));
        return;
    }
    print_notes(intake);
    if let Some(map) = intake.map {
        println!("read by the built-in map {map}");
    }
    let would = if dry_run { "would be " } else { "" };
    println!("{}: {} unchanged", plural(report.rows, "row", "rows"), report.unchanged);
    for (word, count, kind) in [
        ("added", report.added, Some(ExampleKind::Added)),
        ("changed", report.changed, Some(ExampleKind::Changed)),
        ("removed", report.removed, Some(ExampleKind::Removed)),
        ("held for a person", report.held + report.held_removals, Some(ExampleKind::Held)),
        (
            "named by no source and held for a person",
            report.unclaimed,
            Some(ExampleKind::Unclaimed),
        ),
        ("quarantined", report.quarantined, None),
        ("skipped as another origin's", report.foreign, None),
        ("skipped without an address", report.without_address, Some(ExampleKind::WithoutAddress)),
    ] {
        if count == 0 {
            continue;
        }
        println!("{count} {would}{word}");
        let examples = kind.and_then(|kind| report.examples.get(&kind));
        let examples = examples.map_or(&[][..], Vec::as_slice);
        let waits = matches!(kind, Some(ExampleKind::Held | ExampleKind::Unclaimed));
        if dry_run || waits {
            for example in examples.iter().take(SHOWN) {
                print_example(example);
            }
            if examples.len() > SHOWN {
                println!("  … and {} more; --json lists them", examples.len() - SHOWN);
            }
        }
    }
    print_bad_rows(report);
    for left in &intake.left_out {
        println!("{} left out by map: {}", left.rows, left.reason);
    }
    warn_of_taken(&intake.taken);
    print_advice(intake, arguments);
}

fn print_bad_rows(report: &ReadReport) {
    if report.quarantined == 0 {
        return;
    }
    println!("the rows in quarantine:");
    for BadRow { line, reason, .. } in report.bad_rows.iter().take(SHOWN) {
        println!("  line {line}: {}", shown(reason));
    }
    let more = report.quarantined.saturating_sub(SHOWN as u64);
    if more > 0 {
        println!("  … and {more} more");
    }
}

/// What a person should know, and can do.
fn print_advice(intake: &Intake, arguments: &ImportArgs) {
    let (report, dry_run) = (&intake.report, arguments.dry_run);
    for warning in &report.warnings {
        eprintln!("warning: {warning}");
    }
    if let Some(held) = held_by_undo(&arguments.source, report.undone.as_ref()) {
        eprintln!("warning: {}", pasteable(&held));
    } else if report.held + report.held_removals + report.unclaimed > 0 && !dry_run {
        eprintln!(
            "hint: `{DIRSYNC} held list` shows them, `{DIRSYNC} held approve --all` lets them through"
        );
    }
    if report.quarantined > 0 && !dry_run {
        eprintln!("hint: `{DIRSYNC} quarantine list` says what is wrong with each row");
    }
    if let Some(error) = &intake.broke_off {
        let taken =
            if dry_run { "would be taken, nobody would be" } else { "were taken, nobody was" };
        eprintln!("error: {error}; the rows before it {taken} deleted");
    }
}

fn warn_of_taken(taken: &Taken) {
    let lines = contested::taken(&taken.addresses);
    for line in lines.iter().take(SHOWN) {
        eprintln!("warning: {line}");
    }
    if lines.len() > SHOWN || taken.count > taken.addresses.len() as u64 {
        eprintln!(
            "warning: {} taken in all; --json lists more",
            plural(taken.count, "address is", "addresses are")
        );
    }
}

/// Prints an example of a count. A row that is no entry need not have a key.
fn print_example(Example { key, name }: &Example) {
    match key.as_str() {
        "" => println!("  {name}"),
        key => println!("  {name} ({key})"),
    }
}

/// Prints the notes that a person should know of.
fn print_notes(intake: &Intake) {
    let shown = ["warning", "private", "encoding: windows"];
    let is_shown = |note: &&String| shown.iter().any(|start| note.starts_with(start));
    for note in intake.notes.iter().filter(is_shown) {
        eprintln!("{note}");
    }
}
