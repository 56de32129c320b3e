//! Writes the Global Address List, or the own entries, to a file.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use dirsync_carrier::access::Access;
use dirsync_carrier::durable::{FileError, replace_file};
use dirsync_connect::{ExportRow, Format, Target};
use dirsync_directory::{AttributeName, RecordRef};
use dirsync_message::ReqSeq;
use dirsync_protocol::tables::{ListPlace, StoreError, Tables};
use thiserror::Error;

/// The settings of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportSettings {
    /// The file format.
    pub format: Format,
    /// Whether the own entries are written, not the list.
    pub own: bool,
    /// Whether values that a spreadsheet would run as formulas are marked (CSV only).
    pub for_people: bool,
}

/// Why an export failed.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The output could not be written.
    #[error("could not write the export: {0}")]
    Output(#[from] io::Error),
    /// The file could not be replaced.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Writes entries sorted by name, then id: the same bytes at every postoffice with the same view. Returns
/// their number.
///
/// # Errors
///
/// See [`ExportError`].
pub fn export(
    tables: &mut dyn Tables,
    output: &mut dyn Write,
    settings: ExportSettings,
) -> Result<u64, ExportError> {
    let attributes =
        if settings.format == Format::Csv { attributes(tables, settings.own)? } else { Vec::new() };
    let mut target = Target::begin(output, settings.format, attributes, settings.for_people)?;
    let mut count = 0;
    let mut failed = None;
    let mut write = |row: ExportRow<'_>| match target.write(row) {
        Ok(()) => {
            count += 1;
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    if settings.own {
        let origin = tables.requestor()?.name;
        for id in own_by_name(tables)? {
            let Some(row) = tables.own(id)? else { continue };
            let record = row.record.as_ref();
            if write(ExportRow { origin: &origin, key: &row.key, record }).is_break() {
                break;
            }
        }
    } else {
        tables.visit_list_by_name(&mut |row| {
            write(ExportRow { origin: row.owner, key: row.key, record: row.record })
        })?;
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    target.finish()?;
    Ok(count)
}

/// An export that was written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The number of entries.
    pub entries: u64,
    /// Hash of the file's content.
    pub content: blake3::Hash,
}

/// Replaces a file with an export atomically.
///
/// # Errors
///
/// See [`ExportError`]; the old file then stands.
pub fn export_to_file(
    tables: &mut dyn Tables,
    path: &Path,
    settings: ExportSettings,
) -> Result<Exported, ExportError> {
    let mut outcome = Ok(0);
    let mut hasher = blake3::Hasher::new();
    let replaced = replace_file(path, Access::Export, |output| {
        let mut output = Hashed { output, hasher: &mut hasher };
        match export(tables, &mut output, settings) {
            Ok(count) => {
                outcome = Ok(count);
                Ok(())
            }
            Err(ExportError::Output(error)) => Err(error),
            Err(other) => {
                let text = other.to_string();
                outcome = Err(other);
                Err(io::Error::other(text))
            }
        }
    });
    // A failure of the store is not the file's.
    let entries = outcome?;
    replaced?;
    Ok(Exported { entries, content: hasher.finalize() })
}

/// Hashes what is written.
struct Hashed<'o> {
    output: &'o mut dyn Write,
    hasher: &'o mut blake3::Hasher,
}

impl Write for Hashed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.output.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn own_by_name(tables: &mut dyn Tables) -> Result<Vec<dirsync_directory::EntryId>, StoreError> {
    let mut order = Vec::new();
    tables.visit_own(ReqSeq(0), &mut |row| {
        order.push((row.record.name.clone(), row.id));
        ControlFlow::Continue(())
    })?;
    order.sort_unstable();
    Ok(order.into_iter().map(|(_, id)| id).collect())
}

/// The attributes that occur, by name: the columns of a CSV.
fn attributes(tables: &mut dyn Tables, own: bool) -> Result<Vec<AttributeName>, StoreError> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut note = |record: RecordRef<'_>| {
        let mut last = "";
        for (name, _) in record.detail_lines() {
            if name != last && !found.contains(name) {
                found.insert(name.to_owned());
            }
            last = name;
        }
    };
    if own {
        tables.visit_own(ReqSeq(0), &mut |row| {
            note(row.record.as_ref());
            ControlFlow::Continue(())
        })?;
    } else {
        tables.visit_list(ListPlace::Live, &mut |row| {
            note(row.record);
            ControlFlow::Continue(())
        })?;
    }
    Ok(found.into_iter().filter_map(|name| name.parse().ok()).collect())
}
