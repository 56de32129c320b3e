//! `[[source]]` and `[[target]]`: the files that a postoffice reads and writes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use dirsync_agent::export::ExportSettings;
use dirsync_connect::{Format, OpenOptions, Private, Rule};
use dirsync_directory::fold;

use crate::folder::{OF_POSTOFFICE, is_named_as_own, is_of_postoffice};

use super::format::SourceFormat;
use super::map::{built_in, read_map};
use super::problem::Problem;
use super::reader::{Placed, Reader, Table, shortened};
use super::{SourceConfig, TargetConfig, target};

/// Names that stand for entries without a configured source.
const RESERVED: [&str; 4] = ["hand", "import", "adopted", "merge"];
/// Longest name of a source, in bytes: it stands in tables and messages.
const NAME_BYTES_MAX: usize = 64;

/// The files that the tables name, each with its role (source or target) and its place in the text.
type Files = BTreeMap<PathBuf, (&'static str, Range<usize>)>;

/// Reads all `[[source]]` and `[[target]]`. A target must be neither a source nor another target.
pub(super) fn sources_and_targets<'a>(
    reader: &mut Reader<'a>,
    root: &Table<'a>,
    folder: &Path,
) -> (Vec<SourceConfig>, Vec<TargetConfig>) {
    let mut names = BTreeMap::new();
    let mut files = Files::new();
    let sources = reader.tables(root, "source");
    let sources = sources
        .iter()
        .filter_map(|table| source(reader, table, folder, &mut names, &mut files))
        .collect();
    let targets = reader.tables(root, "target");
    let targets =
        targets.iter().filter_map(|table| target(reader, table, folder, &mut files)).collect();
    (sources, targets)
}

fn source<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    folder: &Path,
    names: &mut BTreeMap<String, Range<usize>>,
    files: &mut Files,
) -> Option<SourceConfig> {
    let name = name(reader, table, names);
    let file = file(reader, table, "\"people.csv\"");
    if let Some(file) = &file {
        files.insert(normal(&file.value), ("source", file.span.clone()));
    }
    let format = source_format(reader, table, file.as_ref());
    let claims = reader.flag(table, "claims");
    let whole = reader.flag(table, "whole");
    let encoding = reader.text(table, "encoding").map(|text| text.value.to_owned());
    let private = reader.word(table, "private").and_then(|word| word.parse().ok());
    let private = private.unwrap_or_default();
    let settings = folder.join("dirsync.toml");
    let map = reader.table(table, "map").and_then(|table| read_map(reader, &table, &settings));
    let (name, file, format) = (name?, folder.join(file?.value), format?);
    let map = map.or_else(|| format.map.cloned());
    let (format, known) = (format.format, built_in());
    let options = OpenOptions { encoding, map, known, private, ..OpenOptions::default() };
    let fingerprint = fingerprint(&file, format, &options);
    Some(SourceConfig { name, file, format, claims, whole, options, fingerprint })
}

fn target<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    folder: &Path,
    files: &mut Files,
) -> Option<TargetConfig> {
    let file = file(reader, table, "\"list.csv\"");
    if let Some(file) = &file
        && let Some((what, first)) =
            files.insert(normal(&file.value), ("target", file.span.clone()))
    {
        let (other, reason) = match what {
            "source" => ("a source", "writing it would destroy what the source reads"),
            _ => ("another target", "each would overwrite the other"),
        };
        let problem = Problem::at(file.span.clone(), format!("this is also the file of {other}"));
        reader.report(problem.because(reason).see(first, "also here"));
    }
    if let Some(file) = &file
        && (is_named_as_own(&normal(&file.value)) || is_of_postoffice(&folder.join(&file.value)))
    {
        let message = "this name belongs to the postoffice itself";
        let problem = Problem::at(file.span.clone(), message)
            .because("writing it would destroy what the postoffice keeps there")
            .help(format!("these do: {}", OF_POSTOFFICE.join(", ")));
        reader.report(problem);
    }
    let options = target::options(reader, table, file.as_ref());
    let own = reader.flag(table, "own");
    let file = folder.join(file?.value);
    Some(TargetConfig { file, export: ExportSettings { target: options?, own } })
}

fn name<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    names: &mut BTreeMap<String, Range<usize>>,
) -> Option<String> {
    if !reader.has(table, "name") {
        reader.missing(table, "name", "\"personnel\"");
    }
    let Placed { value: name, span } = reader.text(table, "name")?;
    let what = shortened(name);
    let problem = |message: String| Problem::at(span.clone(), message);
    if RESERVED.contains(&fold(name).as_ref()) {
        let message = format!("\"{what}\" cannot be the name of a source");
        let reason = format!("these stand for other entries: {}", RESERVED.join(", "));
        reader.report(problem(message).because(reason));
        return None;
    }
    if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) || name.trim() != name {
        let message = format!("\"{what}\" cannot be the name of a source");
        let reason = format!(
            "1 to {NAME_BYTES_MAX} bytes are expected, without outer blanks and control characters"
        );
        reader.report(problem(message).because(reason));
        return None;
    }
    match names.entry(fold(name).into_owned()) {
        Entry::Occupied(first) => {
            let problem = problem(format!("two sources have the name \"{what}\""))
                .because("entries could not be told apart by their source")
                .see(first.get().clone(), "first here");
            reader.report(problem);
        }
        Entry::Vacant(place) => {
            place.insert(span);
        }
    }
    Some(name.to_owned())
}

fn file<'a>(reader: &mut Reader<'a>, table: &Table<'a>, example: &str) -> Option<Placed<PathBuf>> {
    if !reader.has(table, "file") {
        reader.missing(table, "file", example);
    }
    let Placed { value, span } = reader.text(table, "file")?;
    Some(Placed { value: PathBuf::from(value), span })
}

/// The format of a source: a built-in map has none of the settings' beside it.
fn source_format<'a>(
    reader: &mut Reader<'a>,
    table: &Table<'a>,
    file: Option<&Placed<PathBuf>>,
) -> Option<SourceFormat> {
    if !reader.has(table, "format") {
        return of_extension(reader, file).map(SourceFormat::from);
    }
    let format: SourceFormat = reader.word(table, "format")?.parse().ok()?;
    if format.map.is_some() && reader.has(table, "map") {
        let problem = Problem::at(reader.key_span(table, "map"), "this source has two maps")
            .because("its format names a built-in one")
            .help("leave out one of them, or begin with what `dirsync map show` prints");
        reader.report(problem);
        return None;
    }
    Some(format)
}

fn of_extension(reader: &mut Reader<'_>, file: Option<&Placed<PathBuf>>) -> Option<Format> {
    let file = file?;
    let format = Format::of_path(&file.value).ok();
    if format.is_none() {
        let problem = Problem::at(file.span.clone(), "the format of this file is not known")
            .because("its extension names none")
            .help("add format = \"csv\", \"ldif\" or \"vcard\"");
        reader.report(problem);
    }
    format
}

/// What shapes the rows of a source: when it changes, its next read is looked at more closely.
fn fingerprint(file: &Path, format: Format, options: &OpenOptions) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |name: &str, value: &str| {
        hasher.update(format!("{name} {} {value}\n", value.len()).as_bytes());
    };
    part("file", &file.display().to_string());
    part("format", &format.to_string());
    part("encoding", options.encoding.as_deref().unwrap_or_default());
    part("private", if options.private == Private::Keep { "keep" } else { "omit" });
    if let Some(map) = &options.map {
        part("absent", if map.lenient { "empty" } else { "error" });
        for (name, line) in map.lines() {
            for Rule { value, condition, .. } in line {
                part(name, value.as_str());
                part("if", &condition.as_ref().map_or(String::new(), ToString::to_string));
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// A path without `.` and `..` where they change nothing: `./a.csv` and `b/../a.csv` are `a.csv`.
/// Links are not followed; this finds slips, not intent.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match (part, normal.components().next_back()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                normal.pop();
            }
            _ => normal.push(part),
        }
    }
    normal
}
