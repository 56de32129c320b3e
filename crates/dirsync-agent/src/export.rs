//! Writes the Global Address List, or the own entries, to a file.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use dirsync_carrier::access::Access;
use dirsync_carrier::durable::{FileError, replace_file_with};
use dirsync_connect::{ExportRow, Members, Omitted, Target, TargetOptions};
use dirsync_directory::{AttributeName, EntryId, RecordRef};
use dirsync_message::ReqSeq;
use dirsync_protocol::tables::{ListPlace, StoreError, Tables};
use thiserror::Error;

/// The settings of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSettings {
    /// The format, with its options.
    pub target: TargetOptions,
    /// Whether the own entries are written, not the list.
    pub own: bool,
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The number of entries.
    pub entries: u64,
    /// What the format cannot express.
    pub omitted: Omitted,
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

/// Writes entries sorted by name, then id: the same bytes at every postoffice with the same view.
///
/// # Errors
///
/// See [`ExportError`].
pub fn export(
    tables: &mut dyn Tables,
    output: &mut dyn Write,
    settings: &ExportSettings,
) -> Result<Written, ExportError> {
    let own = settings.own;
    let options = settings.target.clone();
    let attributes = if options.needs_attributes() { attributes(tables, own)? } else { Vec::new() };
    let members = if options.needs_members() { members(tables, own)? } else { Members::default() };
    let mut target = Target::begin(output, options, attributes, members)?;
    let mut failed = None;
    let mut write = |row: ExportRow<'_>| match target.write(row) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    if own {
        let origin = tables.requestor()?.name;
        for id in own_by_name(tables)? {
            let Some(row) = tables.own(id)? else { continue };
            let record = row.record.as_ref();
            if write(ExportRow { id, origin: &origin, key: &row.key, record }).is_break() {
                break;
            }
        }
    } else {
        tables.visit_list_by_name(&mut |row| {
            write(ExportRow { id: row.id, origin: row.owner, key: row.key, record: row.record })
        })?;
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    let written = Written { entries: target.entries(), omitted: target.omitted() };
    target.finish()?;
    Ok(written)
}

/// An export that was written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// What was written.
    pub written: Written,
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
    settings: &ExportSettings,
) -> Result<Exported, ExportError> {
    export_to_file_with(tables, path, settings, |_| Ok(()))
}

/// As [`export_to_file`]. `complete` is called with the new file, under its temporary name, before it
/// takes the place of the old one.
///
/// # Errors
///
/// See [`ExportError`], and those of `complete`; the old file then stands.
pub fn export_to_file_with(
    tables: &mut dyn Tables,
    path: &Path,
    settings: &ExportSettings,
    complete: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<Exported, ExportError> {
    let mut outcome = Ok(Written::default());
    let mut hasher = blake3::Hasher::new();
    let write = |output: &mut dyn Write| {
        let mut output = Hashed { output, hasher: &mut hasher };
        match export(tables, &mut output, settings) {
            Ok(written) => {
                outcome = Ok(written);
                Ok(())
            }
            Err(ExportError::Output(error)) => Err(error),
            Err(other) => {
                let text = other.to_string();
                outcome = Err(other);
                Err(io::Error::other(text))
            }
        }
    };
    let replaced = replace_file_with(path, Access::Export, write, complete);
    // A failure of the store is not the file's.
    let written = outcome?;
    replaced?;
    Ok(Exported { written, content: hasher.finalize() })
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

fn own_by_name(tables: &mut dyn Tables) -> Result<Vec<EntryId>, StoreError> {
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
    visit(tables, own, &mut |_, record| {
        let mut last = "";
        for (name, _) in record.detail_lines() {
            if name != last && !found.contains(name) {
                found.insert(name.to_owned());
            }
            last = name;
        }
    })?;
    Ok(found.into_iter().filter_map(|name| name.parse().ok()).collect())
}

/// The entries that lists name as their members.
fn members(tables: &mut dyn Tables, own: bool) -> Result<Members, StoreError> {
    let mut members = Members::default();
    visit(tables, own, &mut |_, record| members.ask(record))?;
    if !members.is_empty() {
        visit(tables, own, &mut |id, record| members.answer(id, record))?;
    }
    Ok(members)
}

/// Visits the entries that an export writes, in any order.
fn visit(
    tables: &mut dyn Tables,
    own: bool,
    see: &mut dyn FnMut(EntryId, RecordRef<'_>),
) -> Result<(), StoreError> {
    if own {
        tables.visit_own(ReqSeq(0), &mut |row| {
            see(row.id, row.record.as_ref());
            ControlFlow::Continue(())
        })
    } else {
        tables.visit_list(ListPlace::Live, &mut |row| {
            see(row.id, row.record);
            ControlFlow::Continue(())
        })
    }
}
