//! Sources: files that are read row by row, with a reason for each row that cannot be used.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dirsync_directory::{PostofficeName, Record};
use thiserror::Error;

use crate::csv_file::CsvSource;
use crate::ldif::LdifSource;
use crate::map::Map;
use crate::text::{EncodingError, Text, TextError};
use crate::vcard::VcardSource;

/// A file format of sources and targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180). Semicolons and tabs are recognised as delimiters, too.
    Csv,
    /// LDAP Data Interchange Format, RFC 2849.
    Ldif,
    /// vCard 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350).
    Vcard,
}

/// A word or file extension that does not name a format.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a file format: csv, ldif or vcard")]
pub struct UnknownFormat(String);

impl Format {
    /// The format that the extension of a file stands for.
    ///
    /// # Errors
    ///
    /// If the extension is not known.
    pub fn of_path(path: &Path) -> Result<Self, UnknownFormat> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "csv" | "txt" | "tsv" => Ok(Self::Csv),
            "ldif" | "ldf" => Ok(Self::Ldif),
            "vcf" | "vcard" => Ok(Self::Vcard),
            _ => Err(UnknownFormat(path.display().to_string())),
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "ldif" => Ok(Self::Ldif),
            "vcard" | "vcf" => Ok(Self::Vcard),
            _ => Err(UnknownFormat(text.into())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Csv => "csv",
            Self::Ldif => "ldif",
            Self::Vcard => "vcard",
        })
    }
}

/// A row that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// The origin, if the file is an export and names it.
    pub origin: Option<PostofficeName>,
    /// The key of the entry.
    pub key: String,
    /// The content of the entry. It may be invalid; the caller checks it and keeps the reason.
    pub record: Record,
    /// The line on which it begins.
    pub line: u64,
    /// Whether the row has no key of its own, so that its mail address is used as the key.
    pub derived_key: bool,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// The line on which it begins.
    pub line: u64,
    /// The beginning of the row.
    pub text: String,
    /// The problem, and its place in the row.
    pub reason: String,
    /// Whether the key is missing or cannot be read.
    ///
    /// Such a row may stand for any entry, so a file that contains one does not prove that an entry is
    /// absent, and nothing is deleted because of it. A row with a key and invalid content is an
    /// [`Item::Row`].
    pub keyless: bool,
}

/// An item of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A row that can be used.
    Row(SourceRow),
    /// A row that cannot be used; the next ones can.
    Rejected(RejectedRow),
}

/// A read that failed in the middle. It is incomplete, so it does not prove that any entry is absent.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Reading the file failed.
    #[error("could not read \"{path}\" after line {line}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The last line read.
        line: u64,
        /// The cause.
        source: io::Error,
    },
    /// The file ends in the middle of a row, as one that is still being copied does.
    #[error("\"{path}\" ends inside {what} that begins on line {line}; it seems cut off", path = .path.display())]
    CutOff {
        /// The file.
        path: PathBuf,
        /// The part of the file that has no end.
        what: &'static str,
        /// The line at which it begins.
        line: u64,
    },
}

/// A file that cannot be used as a source at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file does not exist, or cannot be read.
    #[error("could not open \"{path}\": {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file has no content, not even a header. Taken for a complete list, it would mean that every
    /// entry was deleted.
    #[error("\"{path}\" is empty; a list without entries would have a header", path = .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The header is in another encoding.
    #[error(
        "the header of \"{path}\" is not UTF-8 in column {column}; name the file's encoding, \
         for example {advice}",
        path = .path.display()
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// The column, from 1.
        column: usize,
        /// An encoding that the file may have.
        advice: &'static str,
    },
    /// A quote in the header is not closed.
    #[error("a quote in the header of \"{path}\" is not closed", path = .path.display())]
    HeaderCutOff {
        /// The file.
        path: PathBuf,
    },
    /// The configured encoding is not known.
    #[error("\"{path}\": {error}", path = .path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The error.
        error: EncodingError,
    },
    /// The map names a column that the file does not have.
    #[error("\"{path}\" has no column \"{column}\", which the map names{hint}", path = .path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// `; did you mean "…"?`, or nothing.
        hint: String,
    },
    /// No column is known to be a name, or none to be an address.
    #[error("\"{path}\" has no column that holds {what}; its columns are {columns}; use a map", path = .path.display())]
    NoSubject {
        /// The file.
        path: PathBuf,
        /// The part of an entry that has no column.
        what: &'static str,
        /// The columns of the file.
        columns: String,
    },
    /// A map is configured for another format than CSV.
    #[error("a map works for CSV only, because {0} files name their fields: remove the map")]
    MapWithout(Format),
}

/// Options for reading a file.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The encoding, by a name of the WHATWG Encoding Standard. A byte order mark takes precedence, and
    /// `None` means UTF-8.
    pub encoding: Option<String>,
    /// The map from columns to entries (CSV only).
    pub map: Option<Map>,
}

/// A file that is being read, in constant memory.
///
/// The iteration ends after an error. If it ends without one, the whole file was read; only then may the
/// absence of an entry mean anything.
pub struct Source {
    rows: Rows,
    notes: Vec<String>,
    ended: bool,
}

enum Rows {
    Csv(Box<CsvSource>),
    Ldif(LdifSource),
    Vcard(VcardSource),
}

/// Makes a source of an open file. `path` is used in messages only.
///
/// # Errors
///
/// See [`OpenError`].
pub fn open(
    file: File,
    path: &Path,
    format: Format,
    options: &OpenOptions,
) -> Result<Source, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    if file.metadata().map_err(io)?.is_dir() {
        return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if format != Format::Csv && options.map.is_some() {
        return Err(OpenError::MapWithout(format));
    }
    let text = Text::new(file, options.encoding.as_deref()).map_err(|error| match error {
        TextError::Encoding(error) => OpenError::Encoding { path: path.to_owned(), error },
        TextError::Io(source) => io(source),
    })?;
    let mut notes = vec![format!("encoding: {}", text.encoding())];
    let mut reader = text.into_reader();
    if reader.fill_buf().map_err(io)?.is_empty() {
        return Err(OpenError::Empty { path: path.to_owned() });
    }
    let rows = match format {
        Format::Csv => {
            let source = CsvSource::open(path, reader, options.map.as_ref(), &mut notes)?;
            Rows::Csv(Box::new(source))
        }
        Format::Ldif => Rows::Ldif(LdifSource::new(path, reader)),
        Format::Vcard => Rows::Vcard(VcardSource::new(path, reader)),
    };
    Ok(Source { rows, notes, ended: false })
}

impl Source {
    /// Remarks on the file as a whole: its encoding, unused columns, the choice of keys. At the end of
    /// the file they include the number of values and records that were left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Iterator for Source {
    type Item = Result<Item, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = match &mut self.rows {
            Rows::Csv(source) => source.next(),
            Rows::Ldif(source) => source.next(),
            Rows::Vcard(source) => source.next(),
        };
        if matches!(item, None | Some(Err(_))) {
            self.ended = true;
            match &mut self.rows {
                Rows::Csv(_) => {}
                Rows::Ldif(source) => source.summarize(&mut self.notes),
                Rows::Vcard(source) => source.summarize(&mut self.notes),
            }
        }
        item
    }
}

/// A row that cannot be used and whose key is not known.
pub(crate) fn rejected(line: u64, text: &str, reason: String) -> Item {
    Item::Rejected(RejectedRow { line, text: shortened(text), reason, keyless: true })
}

/// The beginning of a rejected row, short enough for a list.
fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 200;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first names as a list for a message, and the number of the others.
pub(crate) fn listed(names: &std::collections::BTreeSet<String>) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Of some words the one nearest to a mistaken one, as the end of a message.
pub(crate) fn did_you_mean<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let wanted = word.to_lowercase();
    let nearest = words
        .into_iter()
        .map(|candidate| (strsim::levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .min();
    match nearest {
        Some((distance, candidate)) if distance <= 1 + word.len() / 3 => {
            format!("; did you mean \"{candidate}\"?")
        }
        _ => String::new(),
    }
}
