//! The tables of `lookup`: CSV files whose first column is the key.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dirsync_directory::{fold, fold_into};

use super::row::nearest;
use crate::csv_file::{delimiter_of, first_line, lines_before_header};
use crate::text::{Text, TextError, TextOptions};

/// The longest file that is read as a table, in bytes, because the table is kept in memory.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The number of values without a row that are named in a note.
const MISSING_SHOWN: usize = 12;

/// One column of a table, by the key.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Keys and values, one after another.
    text: String,
    /// The start of each row's key and value in `text`, and the end, sorted by key.
    rows: Vec<(u32, u32, u32)>,
}

/// A table and the values that it did not have.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(super) file: String,
    pub(super) table: Arc<Table>,
    missing: Arc<Mutex<Missing>>,
}

#[derive(Debug, Default)]
struct Missing {
    count: u64,
    /// The first of them.
    shown: BTreeSet<String>,
}

impl Lookup {
    pub(super) fn new(file: &str, table: Table) -> Self {
        Self { file: file.into(), table: Arc::new(table), missing: Arc::default() }
    }

    /// The value for a key. Keys are compared without regard to case.
    pub(super) fn find(&self, key: &str, folded: &mut String) -> Option<&str> {
        fold_into(key.trim(), folded);
        let found = self.table.find(folded);
        if found.is_none() {
            let missing = &mut *self.missing();
            missing.count += 1;
            if missing.shown.len() < MISSING_SHOWN && !missing.shown.contains(key) {
                missing.shown.insert(key.into());
            }
        }
        found
    }

    fn missing(&self) -> MutexGuard<'_, Missing> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A note on the values that the table does not have, if there were any.
    pub(super) fn note(&self) -> Option<String> {
        let missing = self.missing();
        let shown = missing.shown.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if missing.count > missing.shown.len() as u64 { ", …" } else { "" };
        let values = if missing.count == 1 { "value is" } else { "values are" };
        (missing.count > 0).then(|| {
            format!("warning: {} {values} not in \"{}\": {shown}{more}", missing.count, self.file)
        })
    }
}

impl Table {
    fn row(&self, at: usize) -> Option<(&str, &str)> {
        let (key, value, end) = *self.rows.get(at)?;
        let range = |start: u32, end: u32| self.text.get(start as usize..end as usize);
        Some((range(key, value)?, range(value, end)?))
    }

    fn find(&self, key: &str) -> Option<&str> {
        let at = self.rows.partition_point(|(start, end, _)| {
            self.text.get(*start as usize..*end as usize).is_some_and(|other| other < key)
        });
        self.row(at).filter(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// Reads a column of a file.
    ///
    /// # Errors
    ///
    /// The reason, in words, if the file cannot be used.
    pub(super) fn load(path: &Path, column: &str) -> Result<Self, String> {
        let could_not = |error: std::io::Error| format!("it could not be read: {error}");
        let data = std::fs::metadata(path).map_err(could_not)?;
        if !data.is_file() {
            return Err("it is not a file".into());
        }
        if data.len() > FILE_BYTES_MAX {
            return Err("it is longer than 8 MiB, and is kept in memory".into());
        }
        let file = File::open(path).map_err(could_not)?;
        let text = Text::new(file, TextOptions::default()).map_err(|error| match error {
            TextError::Io(error) => could_not(error),
            TextError::Encoding(error) => error.to_string(),
            TextError::Utf16(name) => {
                format!("it is not UTF-8 but {name}, without a byte order mark")
            }
        })?;
        let mut input = text.into_reader();
        let (separator, _) = lines_before_header(&mut input).map_err(could_not)?;
        let header = first_line(&mut input).map_err(could_not)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator.unwrap_or_else(|| delimiter_of(&header)))
            .flexible(true)
            .from_reader(input.take(4 * FILE_BYTES_MAX));
        let not_csv = |error: csv::Error| format!("it is not CSV in UTF-8: {error}");
        let headers = reader.headers().map_err(not_csv)?;
        let wanted = fold(column);
        let Some(at) = headers.iter().position(|name| fold(name.trim()) == wanted) else {
            let hint = nearest(column, headers.iter().map(str::trim))
                .map_or(String::new(), |near| format!("; did you mean \"{near}\"?"));
            return Err(format!("it has no column \"{column}\"{hint}"));
        };
        let mut table = Self::default();
        for row in reader.records() {
            let row = row.map_err(not_csv)?;
            let field = |at: usize| row.get(at).unwrap_or_default().trim();
            table.add(&fold(field(0)), field(at));
        }
        table.sort()?;
        Ok(table)
    }

    fn add(&mut self, key: &str, value: &str) {
        if key.is_empty() || value.is_empty() {
            return;
        }
        let start = self.text.len() as u32;
        self.text.push_str(key);
        let middle = self.text.len() as u32;
        self.text.push_str(value);
        self.rows.push((start, middle, self.text.len() as u32));
    }

    fn sort(&mut self) -> Result<(), String> {
        let mut rows = std::mem::take(&mut self.rows);
        let text = &self.text;
        let range = |start: u32, end: u32| text.get(start as usize..end as usize);
        rows.sort_by_key(|(key, value, _)| range(*key, *value));
        self.rows = rows;
        for at in 1..self.rows.len() {
            if let (Some((key, value)), Some((next, other))) = (self.row(at - 1), self.row(at))
                && key == next
                && value != other
            {
                return Err(format!(
                    "it has two rows with the key \"{key}\": \"{value}\" and \"{other}\""
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(content: &str, column: &str) -> Result<Table, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("units.csv");
        std::fs::write(&path, content).unwrap();
        Table::load(&path, column)
    }

    #[test]
    fn the_first_column_is_the_key_and_any_other_the_value() {
        let table =
            load("unit;Name;City\n NAV ;Navigation;Kiel\nÄ1;Äußeres;\n;x;y\n", "name").unwrap();
        let lookup = Lookup::new("units.csv", table);
        let mut folded = String::new();
        assert_eq!(lookup.find("nav", &mut folded), Some("Navigation"));
        assert_eq!(lookup.find("ä1", &mut folded), Some("Äußeres"));
        assert_eq!(lookup.note(), None);
        assert_eq!(lookup.find("x", &mut folded), None);
        assert_eq!(lookup.find("", &mut folded), None);
        assert_eq!(lookup.find("y", &mut folded), None);
        let note = "warning: 3 values are not in \"units.csv\": , x, y";
        assert_eq!(lookup.note().as_deref(), Some(note));
    }

    #[test]
    fn a_table_that_cannot_be_used_says_why() {
        let error = |content: &str| load(content, "name").unwrap_err();
        assert!(error("unit,nam\n1,a\n").contains("no column \"name\"; did you mean \"nam\"?"));
        assert!(error("unit,name\nx,a\nX,b\n").contains("two rows with the key \"x\""));
        assert!(load("unit,name\nx,a\nX,a\n", "name").is_ok(), "the same twice is no question");
        assert!(
            Table::load(Path::new("none.csv"), "name").unwrap_err().contains("could not be read")
        );
        assert!(Table::load(Path::new("."), "name").unwrap_err().contains("not a file"));
    }
}
