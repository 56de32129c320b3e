//! T0 from files: the configured sources, and a file that is imported by hand.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use dirsync_agent::changes::{AskedAgain, ConfiguredSource, ReadReport, ReadSettings};
use dirsync_agent::intake::{Intake, IntakeError, SourceFile, take_in};
use dirsync_agent::notes::SOURCE_ERROR;
use dirsync_agent::step::PlaceFailure;
use dirsync_connect::{Format, Map, OpenError, OpenOptions};
use dirsync_directory::plural;
use dirsync_protocol::context::{Event, Level};
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{LogLine, Stored, Tables};
use dirsync_store::Transaction;

use crate::config::SourceConfig;
use crate::failure::{Failure, FailureKind, Result};
use crate::last_command::{self, Command, Left};
use crate::postoffice::{Postoffice, log_run, log_within};
use crate::report::{Done, Report};
use crate::runs::run_of;
use crate::time::now_ms;
use crate::transfers;

/// Reads a configured source (T0); `None` if its file has not changed since it was read.
///
/// # Errors
///
/// The store's. A source that cannot be read is a failure of the report.
pub fn read(postoffice: &mut Postoffice, source: &SourceConfig) -> Result<Option<Done>> {
    let seen = fingerprints(source);
    let settings = settings_of(postoffice, source);
    let mut tables = postoffice.begin()?;
    let memory = tables.source_memory(&source.name)?;
    let knows = tables.requestor()?.knows_its_own();
    // What a read deletes, and about whom it asks, rests on these too.
    let mut offered = Vec::new();
    if source.claims {
        transfers::visit_offers(&mut *tables, &mut |offer, _| offered.push(offer.id))?;
    }
    let rest = format!("{:?} {knows} {offered:?}", settings.configured);
    let mark = format!("{seen} {} {}", source.fingerprint, blake3::hash(rest.as_bytes()).to_hex());
    if !seen.is_empty() && memory.is_some_and(|memory| memory.seen == mark) {
        return Ok(None);
    }
    let file = SourceFile { path: &source.file, format: source.format, options: &source.options };
    let intake = run_of(&mut *tables, |tables| take_in(tables, file, settings, false, &mut |_| {}));
    match intake {
        Ok((intake, run)) => {
            if let Some(mut memory) = tables.source_memory(&source.name)? {
                // A read that broke off is tried again even if the file stays as it is.
                memory.seen = if intake.broke_off.is_none() { mark } else { String::new() };
                tables.put_source_memory(&source.name, &memory)?;
            }
            let held = held_by_undo(&source.name, intake.report.undone.as_ref());
            let error = broke_off(&source.name, &intake).or(held);
            let is_new = note_source_error(&mut *tables, source, error.as_deref())?;
            let mut lines = Vec::new();
            if error.is_none() || is_new || intake.report.has_moved() {
                lines = log_intake(&mut *tables, &source.name, &intake, run)?;
            }
            tables.commit()?;
            let failed = error.map(|text| source_failure(source, &text));
            Ok(Some(done(source, lines, Some(intake.report), failed)))
        }
        Err(error) => {
            drop(tables);
            let text =
                format!("source \"{}\" was not read; nobody is deleted: {error}", source.name);
            let mut tables = postoffice.begin()?;
            let mut lines = Vec::new();
            if note_source_error(&mut *tables, source, Some(&text))? {
                let event = Event { level: Level::Error, row: Row::T0, text: text.clone() };
                lines = log_within(&mut *tables, "T0", "a source could not be read", &[event])?;
                tables.commit()?;
            }
            let failed = Some(source_failure(source, &text));
            Ok(Some(done(source, lines, None, failed)))
        }
    }
}

fn done(
    source: &SourceConfig,
    lines: Vec<LogLine>,
    report: Option<ReadReport>,
    failed: Option<PlaceFailure>,
) -> Done {
    Done { report: Report::Read { source: source.name.clone(), report, failed }, lines }
}

/// A file that is imported by hand.
#[derive(Clone, Debug)]
pub struct Import {
    /// The file.
    pub file: PathBuf,
    /// Its format.
    pub format: Format,
    /// Its encoding and map.
    pub options: OpenOptions,
    /// The name of the source that its entries belong to.
    pub source: String,
    /// It is the whole list.
    pub whole: bool,
    /// Nothing is kept: the counts say what would happen.
    pub dry_run: bool,
}

/// How many rows the source had when it was read last; `None` if it never was.
pub fn rows_before(postoffice: &mut Postoffice, source: &str) -> Result<Option<u64>> {
    let memory = postoffice.begin()?.source_memory(source)?;
    Ok(memory.map(|memory| memory.rows).filter(|rows| *rows > 0))
}

/// Takes a file in. `progress` is told how many rows were read.
pub fn import(
    postoffice: &mut Postoffice,
    import: &Import,
    progress: &mut dyn FnMut(u64),
) -> Result<Intake> {
    let Import { file, format, options, source, whole, dry_run } = import;
    let settings = ReadSettings {
        source: source.clone(),
        whole: *whole,
        claims: false,
        guards: postoffice.config.guards,
        fingerprint: String::new(),
        configured: configured(postoffice),
        now: now_ms(),
    };
    let mut tables = postoffice.begin()?;
    let path = file;
    let file = SourceFile { path, format: *format, options };
    let (intake, run) =
        run_of(&mut *tables, |tables| take_in(tables, file, settings, true, progress))
            .map_err(explain)?;
    if !dry_run {
        log_intake(&mut *tables, source, &intake, run)?;
        if run.is_none() {
            let name = path.display().to_string();
            last_command::note(&mut *tables, Command::Import, &name, Left::Nothing)?;
        }
        tables.commit()?;
    }
    Ok(intake)
}

/// What a read of a configured source would do now. Nothing is kept.
pub fn read_dry(
    postoffice: &mut Postoffice,
    source: &SourceConfig,
    progress: &mut dyn FnMut(u64),
) -> Result<Intake> {
    let settings = settings_of(postoffice, source);
    let file = SourceFile { path: &source.file, format: source.format, options: &source.options };
    let mut tables = postoffice.begin()?;
    take_in(&mut *tables, file, settings, true, progress).map_err(explain)
}

fn settings_of(postoffice: &Postoffice, source: &SourceConfig) -> ReadSettings {
    ReadSettings {
        source: source.name.clone(),
        whole: source.whole,
        claims: source.claims,
        guards: postoffice.config.guards,
        fingerprint: source.fingerprint.clone(),
        configured: configured(postoffice),
        now: now_ms(),
    }
}

/// A map that does not fit its file is a mistake of its writer.
fn explain(error: IntakeError) -> Failure {
    let mapped = matches!(
        error,
        IntakeError::Open(
            OpenError::NoColumn { .. } | OpenError::NoSubject { .. } | OpenError::Lookup { .. }
        )
    );
    let failure = Failure::from(error);
    if mapped { failure.with_kind(FailureKind::Usage) } else { failure }
}

/// Notes why a source could not be read to its end, for `status`. Returns whether that is new.
fn note_source_error(
    tables: &mut dyn Tables,
    source: &SourceConfig,
    error: Option<&str>,
) -> Stored<bool> {
    let note = format!("{SOURCE_ERROR}{}", source.name);
    if tables.note(&note)?.as_deref() == error {
        return Ok(false);
    }
    tables.put_note(&note, error)?;
    Ok(true)
}

/// As its log line says it.
fn source_failure(source: &SourceConfig, text: &str) -> PlaceFailure {
    let (place, text) = (source.name.clone(), format!("{text} [T0]"));
    PlaceFailure { place, to: None, unreachable: false, text }
}

/// Why a read is not complete, if it is not.
fn broke_off(source: &str, intake: &Intake) -> Option<String> {
    let error = intake.broke_off.as_ref()?;
    Some(format!("source \"{source}\" was read in part; nobody is deleted: {error}"))
}

/// Why nothing of a read was taken, if the source is held because what it asks for was undone.
pub fn held_by_undo(source: &str, asked: Option<&AskedAgain>) -> Option<String> {
    let AskedAgain { run, entries } = asked?;
    let entries = plural(*entries, "entry", "entries");
    Some(format!(
        "source \"{source}\" is held: its file asks again for what run {run} undid of {entries}, and \
         nothing of it was taken; correct the file, or let the source go on with `dirsync undo --go-on \
         {source}`"
    ))
}

/// The sources of the settings, as a read has to know them.
fn configured(postoffice: &Postoffice) -> Vec<ConfiguredSource> {
    let sources = postoffice.config.sources.iter();
    sources
        .map(|source| ConfiguredSource { name: source.name.clone(), whole: source.whole })
        .collect()
}

/// The file of a source and the tables of its map, as they are now; empty if the file is not there.
fn fingerprints(source: &SourceConfig) -> String {
    let mut marks = fingerprint(&source.file);
    if marks.is_empty() {
        return marks;
    }
    for table in source.options.map.iter().flat_map(Map::lookups) {
        marks.push(' ');
        marks.push_str(&fingerprint(&table));
    }
    marks
}

fn fingerprint(file: &Path) -> String {
    let Ok(data) = std::fs::metadata(file) else { return String::new() };
    let modified = data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("{} {:?}", data.len(), modified)
}

/// Logs a read in the transaction that takes it in.
fn log_intake(
    tables: &mut dyn Transaction,
    source: &str,
    intake: &Intake,
    run: Option<u64>,
) -> Stored<Vec<LogLine>> {
    let report = &intake.report;
    let mut events: Vec<Event> = report
        .warnings
        .iter()
        .map(|text| Event { level: Level::Warning, row: Row::T0, text: text.clone() })
        .collect();
    let held = held_by_undo(source, report.undone.as_ref());
    if let Some(text) = broke_off(source, intake).or(held) {
        events.push(Event { level: Level::Error, row: Row::T0, text });
    }
    let summary = format!(
        "{source}: {} read = {} unchanged + {} added + {} changed + {} of others + {} without \
         an address + {} quarantined + {} held; {} removed, {} removals held",
        report.rows,
        report.unchanged,
        report.added,
        report.changed,
        report.foreign,
        report.without_address,
        report.quarantined,
        report.held,
        report.removed,
        report.held_removals
    );
    let left_out = intake.left_out.iter().map(|left| format!("{} {}", left.reason, left.rows));
    let summary = match left_out.collect::<Vec<_>>().join(", ").as_str() {
        "" => summary,
        left_out => format!("{summary}; left out by map: {left_out}"),
    };
    log_run(tables, "T0", &summary, &events, run)
}
