//! What the files of the configured sources say of an entry.

use dirsync_carrier::access::{Links, open_file};
use dirsync_connect::{Item, OpenError, OpenOptions, RowMade, SourceRow, open};
use dirsync_directory::{PostofficeName, Record, escape};

use super::found::{All, Found, Wanted};
use super::stage::{LeftOut, Stage};
use crate::config::SourceConfig;
use crate::difference::differences;
use crate::failure::Result;
use crate::postoffice::Postoffice;

/// Looks into the file of each source.
pub(super) fn look(postoffice: &mut Postoffice, wanted: &Wanted, all: &mut All) -> Result<()> {
    let me = postoffice.name.clone();
    for source in &postoffice.config.sources.clone() {
        let mut look = Look { source, me: &me, wanted, rows: 0, all };
        if let Err(error) = look.read() {
            look.unreadable(error);
        }
    }
    Ok(())
}

/// A look into the file of one source.
struct Look<'a> {
    source: &'a SourceConfig,
    me: &'a PostofficeName,
    wanted: &'a Wanted,
    rows: u64,
    all: &'a mut All,
}

impl Look<'_> {
    fn read(&mut self) -> std::result::Result<(), String> {
        let SourceConfig { file: path, format, options, .. } = self.source;
        let unread = |source| OpenError::Io { path: path.clone(), source }.to_string();
        let file = open_file(path, Links::Follow).map_err(unread)?;
        let mut met = Vec::new();
        // The trace has the rows that a map leaves out, too.
        let options = OpenOptions { traced: usize::MAX, ..options.clone() };
        let mut source = open(file, path, *format, &options).map_err(|error| error.to_string())?;
        while let Some(item) = source.next() {
            self.rows += 1;
            self.left_out(source.take_trace());
            match item.map_err(|error| error.to_string())? {
                Item::Row(row) => met.extend(self.row(row)),
                Item::WithoutAddress(row) => {
                    let record = Record { name: row.name, ..Record::default() };
                    if self.wanted.is_row(&row.key, record.as_ref()) {
                        self.add_left_out(row.line, LeftOut::NoAddress, &row.key, &record);
                    }
                }
                Item::Rejected(row) if self.wanted.is_within(&row.text) => {
                    let stage = Stage::Unusable {
                        source: self.source.name.clone(),
                        file: path.clone(),
                        line: row.line,
                        reason: row.reason,
                        row: row.text,
                    };
                    self.add_row("", &Record::default(), stage);
                }
                Item::Rejected(_) => {}
            }
        }
        self.left_out(source.take_trace());
        self.tell_absent(&met);
        Ok(())
    }

    /// Looks for the entry among the rows that the map left out.
    fn left_out(&mut self, made: Vec<RowMade>) {
        for row in made {
            let Some(reason) = row.left_out else { continue };
            let first = |name: &str| {
                let line = row.made.iter().find(|line| line.line == name)?;
                line.values.first().cloned()
            };
            let mut all = row.made.iter().flat_map(|line| &line.values);
            if all.any(|value| self.wanted.is_value(value)) {
                let name = escape(&first("name").unwrap_or_default()).into_owned();
                let record = Record { name, ..Record::default() };
                let key = first("key").unwrap_or_default();
                self.add_left_out(row.line, LeftOut::Map { reason }, &key, &record);
            }
        }
    }

    fn add_left_out(&mut self, line: u64, left_out: LeftOut, key: &str, record: &Record) {
        let SourceConfig { name, file, .. } = self.source;
        let (source, file) = (name.clone(), file.clone());
        self.add_row(key, record, Stage::LeftOut { source, file, line, left_out });
    }

    /// Takes a row. Returns its key if the row belongs to an entry that was found.
    fn row(&mut self, row: SourceRow) -> Option<String> {
        let SourceConfig { name, file, .. } = self.source;
        let (source, file, line) = (name.clone(), file.clone(), row.line);
        let is_wanted = self.wanted.is_row(&row.key, row.record.as_ref());
        if let Some(origin) = row.origin.as_ref().filter(|origin| *origin != self.me) {
            if is_wanted {
                let left_out = LeftOut::OtherOrigin { origin: origin.clone() };
                self.add_left_out(line, left_out, &row.key, &row.record);
            }
            return None;
        }
        let mut entries = self.all.entries.values_mut();
        let fed = entries.find(|found| {
            found.key == row.key && found.source.as_ref().is_some_and(|feeder| *feeder == source)
        });
        if let Some(found) = fed {
            let changes = differences(found.record.as_ref(), row.record.as_ref());
            found.stages.insert(0, Stage::InSource { source, file, line, taken: true, changes });
            return Some(row.key);
        }
        if is_wanted {
            let stage = Stage::InSource { source, file, line, taken: false, changes: Vec::new() };
            self.add_row(&row.key, &row.record, stage);
        }
        None
    }

    /// Says of the entries that the source feeds that the file lacks them.
    fn tell_absent(&mut self, met: &[String]) {
        let SourceConfig { name, file, .. } = self.source;
        for found in self.all.entries.values_mut() {
            let is_fed = found.source.as_ref().is_some_and(|source| source == name);
            if is_fed && !met.contains(&found.key) {
                let (source, file, rows) = (name.clone(), file.clone(), self.rows);
                found.stages.insert(0, Stage::NotInSource { source, file, rows });
            }
        }
    }

    fn unreadable(&mut self, error: String) {
        let SourceConfig { name, file, .. } = self.source;
        for found in self.all.entries.values_mut() {
            if found.source.as_ref().is_some_and(|source| source == name) {
                let (source, file, error) = (name.clone(), file.clone(), error.clone());
                found.stages.insert(0, Stage::Unreadable { source, file, error });
            }
        }
    }

    fn add_row(&mut self, key: &str, record: &Record, stage: Stage) {
        let mut row = Found::new(None, self.me, key, record.as_ref());
        row.stages.push(stage);
        self.all.add_row(row);
    }
}
