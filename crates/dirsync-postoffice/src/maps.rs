//! Maps: those that come with the program, what a map makes of a file, and a map to begin with.

use std::path::Path;

use dirsync_carrier::access::{Links, open_file};
use dirsync_connect::{
    BUILT_IN, Format, Item, Map, OpenError, OpenOptions, ReadError, RowMade, Suggestion, open,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{SourceFormat, built_in, built_in_text, load_map};
use crate::failure::{Failure, FailureKind, Result};

/// A built-in map.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct BuiltInMap {
    /// Its name, which `--format` takes as well.
    pub name: &'static str,
    /// What it reads.
    pub title: &'static str,
}

/// The text of a built-in map.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct MapText {
    /// Its name.
    pub name: &'static str,
    /// The map, as TOML.
    pub text: &'static str,
}

/// What a map made of the first rows of a file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MapTest {
    /// The rows.
    pub rows: Vec<TestedRow>,
    /// Why the file could not be read on, if it could not.
    pub broke_off: Option<String>,
}

/// What a map made of a row.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TestedRow {
    /// The line of the file on which the row begins.
    pub line: u64,
    /// The reason for which the map leaves the row out.
    pub left_out: Option<String>,
    /// Why the row cannot be used, if it cannot.
    pub rejected: Option<String>,
    /// What each line of the map made.
    pub made: Vec<MadeValues>,
}

/// What a line of a map made of a row.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MadeValues {
    /// The line's name: `key`, `name`, or the attribute of a detail.
    pub line: String,
    /// The values; none if its columns are empty or no condition is met.
    pub values: Vec<String>,
}

/// A file, and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct FileToRead<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its format; by default its extension's.
    pub format: Option<SourceFormat>,
    /// Its encoding.
    pub encoding: Option<&'a str>,
}

/// The built-in maps.
pub fn list() -> Vec<BuiltInMap> {
    let maps = built_in().iter();
    maps.map(|known| BuiltInMap { name: known.name, title: &known.map.title }).collect()
}

/// The text of a built-in map.
///
/// # Errors
///
/// If there is none of this name.
pub fn show(name: &str) -> Result<MapText> {
    let found = BUILT_IN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let (name, text) = found.ok_or_else(|| unknown(name))?;
    Ok(MapText { name, text })
}

fn unknown(name: &str) -> Failure {
    let names = BUILT_IN.map(|(name, _)| name).join(", ");
    Failure::usage(format!("there is no built-in map \"{name}\""))
        .hint(format!("these are: {names}"))
}

/// The built-in map of a name, or else that of a file.
///
/// # Errors
///
/// If there is neither, or the file is not a map.
pub fn named(name: &str) -> Result<Map> {
    if let Some(known) = built_in().iter().find(|known| known.name.eq_ignore_ascii_case(name)) {
        return Ok(known.map.clone());
    }
    let path = Path::new(name);
    if path.extension().is_none() && !path.exists() {
        return Err(unknown(name));
    }
    load_map(path).map_err(|errors| Failure::from(errors).with_kind(FailureKind::Usage))
}

impl FileToRead<'_> {
    /// Its format, and its options with a map or, if there is none, with that of its format.
    fn options(&self, map: Option<Map>, traced: usize) -> Result<(Format, OpenOptions)> {
        let format = match self.format {
            Some(format) => format,
            None => Format::of_path(self.path)
                .map_err(|error| Failure::usage(error).hint("say --format csv, ldif or vcard"))?
                .into(),
        };
        let encoding = self.encoding.map(str::to_owned);
        let map = map.or_else(|| format.map.cloned());
        Ok((
            format.format,
            OpenOptions { encoding, map, known: built_in(), traced, ..OpenOptions::default() },
        ))
    }

    fn open(&self) -> Result<std::fs::File> {
        let path = self.path.to_owned();
        let unread = |source| OpenError::Io { path, source };
        Ok(open_file(self.path, Links::Follow).map_err(unread)?)
    }
}

/// Says what each line of a map makes of the first rows of a file.
///
/// # Errors
///
/// If the file cannot be opened, or the map does not fit it.
pub fn test(map: &str, file: &FileToRead<'_>, rows: usize) -> Result<MapTest> {
    let (format, options) = file.options(Some(named(map)?), rows)?;
    let opened = open(file.open()?, file.path, format, &options);
    let mut source = opened.map_err(|error| Failure::from(error).with_kind(FailureKind::Usage))?;
    let mut test = MapTest { rows: Vec::new(), broke_off: None };
    while test.rows.len() < rows {
        let item = source.next();
        test.rows.extend(source.take_trace().into_iter().map(TestedRow::from));
        match item {
            None => break,
            Some(Ok(item)) => note(&mut test, &item),
            Some(Err(error)) => test.broke_off = Some(ReadError::to_string(&error)),
        }
    }
    Ok(test)
}

/// Notes why the row of an item cannot be used.
fn note(test: &mut MapTest, item: &Item) {
    let (line, reason) = match item {
        Item::Row(row) => {
            (row.line, row.record.as_ref().check().err().map(|error| error.to_string()))
        }
        Item::WithoutAddress(row) => (row.line, Some("it has no address".to_owned())),
        Item::Rejected(row) => (row.line, Some(row.reason.clone())),
    };
    match test.rows.iter_mut().rev().find(|row| row.line == line) {
        Some(row) => row.rejected = reason,
        None => {
            test.rows.push(TestedRow { line, left_out: None, rejected: reason, made: Vec::new() })
        }
    }
}

impl From<RowMade> for TestedRow {
    fn from(row: RowMade) -> Self {
        let made = row.made.into_iter();
        let made = made.map(|made| MadeValues { line: made.line, values: made.values }).collect();
        Self { line: row.line, left_out: row.left_out, rejected: None, made }
    }
}

/// A map to begin with for a file, as TOML.
///
/// # Errors
///
/// If the file cannot be read.
pub fn suggest(file: &FileToRead<'_>) -> Result<String> {
    let (format, options) = file.options(None, 0)?;
    let shown = file.path.display();
    let suggestion = dirsync_connect::suggest(file.open()?, file.path, format, &options)?;
    Ok(match suggestion {
        Suggestion::Text(text) => format!(
            "# A map for {shown}: dirsync import {shown} --map MAP --dry-run\n# The lines are described in \
             docs/file-formats.md.\n\n{text}"
        ),
        Suggestion::BuiltIn(name) => {
            let text = built_in_text(name).unwrap_or_default();
            format!(
                "# {shown} is read by the built-in map \"{name}\" without a map. Change this copy if you want \
                 other entries.\n{text}"
            )
        }
    })
}
