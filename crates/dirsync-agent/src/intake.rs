//! Reads a source's file into own changes: feeds rows of `dirsync-connect` to [`crate::changes`].

use std::path::Path;
use std::thread;

use dirsync_carrier::access::{Links, open_file};
use dirsync_connect::{
    Format, Item, LeftOut, OpenError, OpenOptions, PrivateCount, ReadError as FileReadError, open,
};
use dirsync_protocol::tables::{StoreError, Tables};
use thiserror::Error;

use crate::changes::{ReadError, ReadReport, ReadRow, ReadSettings, RowFault, SourceRead};
use crate::rows_ahead::RowsAhead;
use crate::taken::{Taken, Wanted};

/// A file to read, and how.
#[derive(Clone, Copy, Debug)]
pub struct SourceFile<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its format.
    pub format: Format,
    /// Its encoding and map.
    pub options: &'a OpenOptions,
}

/// The result of reading a file.
#[derive(Debug)]
pub struct Intake {
    /// The counts.
    pub report: ReadReport,
    /// Remarks on the file: encoding, unused columns, how keys are chosen.
    pub notes: Vec<String>,
    /// The built-in map by which the file was read because it fits.
    pub map: Option<&'static str>,
    /// The rows that the map left out, by the reason.
    pub left_out: Vec<LeftOut>,
    /// The private values that were left out.
    pub private: Vec<PrivateCount>,
    /// Why the read is not complete, if it is not.
    pub broke_off: Option<FileReadError>,
    /// Addresses of new and changed entries that entries of other origins have already.
    pub taken: Taken,
}

/// Why nothing was read from a file. Nothing changed.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// The file cannot be used as a source.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<ReadError> for IntakeError {
    fn from(error: ReadError) -> Self {
        let ReadError::Store(error) = error;
        Self::Store(error)
    }
}

/// Reads a file within the caller's transaction. With `warn` the result also lists the addresses that
/// others have. `progress` is called now and then with the number of rows read so far.
///
/// # Errors
///
/// See [`IntakeError`].
pub fn take_in(
    tables: &mut dyn Tables,
    file: SourceFile<'_>,
    settings: ReadSettings,
    warn: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Intake, IntakeError> {
    const PROGRESS_ROWS: u64 = 1000;
    let SourceFile { path, format, options } = file;
    let unread = |source| OpenError::Io { path: path.to_owned(), source };
    let file = open_file(path, Links::Follow).map_err(unread)?;
    let mut source = open(file, path, format, options)?;
    let source_name = settings.source.clone();
    // Before the first list arrives nobody is known to have an address.
    let warn = warn && tables.requestor()?.list_digest.count > 0;
    let (mut read, broke_off) = thread::scope(|scope| {
        // Started first: the file is parsed while the state of its entries is loaded.
        let ahead = RowsAhead::start(scope, &mut source).map_err(unread)?;
        let mut read = SourceRead::begin(tables, settings)?;
        read.wanted = warn.then(Wanted::default);
        let mut rows = 0u64;
        let broke_off = ahead.each(|item| {
            rows += 1;
            if rows.is_multiple_of(PROGRESS_ROWS) {
                progress(rows);
            }
            take_row(&mut read, item)
        })?;
        Ok::<_, IntakeError>((read, broke_off))
    })?;
    let wanted = read.wanted.take().unwrap_or_default();
    let mut report = read.finish(broke_off.is_none())?;
    let notes = source.notes().to_vec();
    let taken = wanted.taken(tables, &source_name)?;
    let (map, left_out, private) = (source.known(), source.left_out(), source.private());
    report.left_out = left_out.iter().map(|left| left.rows).sum();
    Ok(Intake { report, notes, map, left_out, private, broke_off, taken })
}

fn take_row(read: &mut SourceRead<'_>, item: &Item) -> Result<(), ReadError> {
    match item {
        Item::Row(row) => read.row(ReadRow {
            origin: row.origin.as_ref(),
            key: &row.key,
            record: row.record.as_ref(),
            line: row.line,
            derived_key: row.derived_key,
        }),
        Item::WithoutAddress(row) => {
            read.without_address(&row.key, &row.name);
            Ok(())
        }
        Item::Rejected(row) => read.fault(&RowFault {
            line: row.line,
            text: row.text.clone(),
            reason: row.reason.clone(),
            keyless: row.keyless,
        }),
    }
}
