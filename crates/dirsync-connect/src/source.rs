//! A file as a source: rows, and what is wrong with those that are none.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dirsync_directory::{PostofficeName, Record};
use thiserror::Error;

use crate::csv_file::CsvSource;
use crate::ldif::LdifSource;
use crate::map::Map;
use crate::text::{EncodingError, Text};
use crate::vcard::VcardSource;

/// A file format of sources and targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, RFC 4180; semicolons and tabs are recognised.
    Csv,
    /// LDAP Data Interchange Format, RFC 2849.
    Ldif,
    /// vCard 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350).
    Vcard,
}

/// A word or extension that names no format.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a file format: csv, ldif or vcard")]
pub struct UnknownFormat(String);

impl Format {
    /// The format that a file's extension names.
    ///
    /// # Errors
    ///
    /// When it names none.
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

/// One row that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// The origin that it names, in files that came from an export.
    pub origin: Option<PostofficeName>,
    /// Its key.
    pub key: String,
    /// Its content; checked by whoever keeps it.
    pub record: Record,
    /// The line on which it begins.
    pub line: u64,
}

/// One row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// The line on which it begins.
    pub line: u64,
    /// The row, shortened.
    pub text: String,
    /// What is wrong with it, and where.
    pub reason: String,
    /// It has no key: nobody can tell whom it stands for.
    pub keyless: bool,
}

/// What a source yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A row.
    Row(SourceRow),
    /// A row that cannot be used; the next ones can.
    Rejected(RejectedRow),
}

/// A read that broke off: it is not complete, and nobody is missed because of it.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file could not be read on.
    #[error("could not read \"{path}\" after line {line}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The last line read.
        line: u64,
        /// The cause.
        source: io::Error,
    },
    /// The file ends in the middle of something.
    #[error("\"{path}\" ends inside {what} that begins on line {line}; it seems cut off", path = .path.display())]
    CutOff {
        /// The file.
        path: PathBuf,
        /// What is not ended.
        what: &'static str,
        /// Where it begins.
        line: u64,
    },
}

/// A file cannot be used as a source at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It is not there or may not be read.
    #[error("could not open \"{path}\": {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is empty, where at least a header is expected.
    #[error("\"{path}\" is empty: it has no header row", path = .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Its encoding is not known.
    #[error("\"{path}\": {error}", path = .path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: EncodingError,
    },
    /// The map names a column that is not there.
    #[error("\"{path}\" has no column \"{column}\", which the map names{hint}", path = .path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// `; did you mean "…"?`, or nothing.
        hint: String,
    },
    /// No column can be a name or an address.
    #[error("\"{path}\" has no column that holds {what}; its columns are {columns}; use a map", path = .path.display())]
    NoSubject {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
        /// The columns there are.
        columns: String,
    },
    /// Maps belong to CSV.
    #[error("a map is for CSV; {0} files name their fields themselves")]
    MapWithout(Format),
}

/// How a file is read.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Its encoding, by a name of the WHATWG Encoding Standard; none: UTF-8 or as a byte order mark
    /// says.
    pub encoding: Option<String>,
    /// From its columns to entries (CSV only).
    pub map: Option<Map>,
}

/// A file that is being read, in constant memory.
pub struct Source {
    rows: Rows,
    notes: Vec<String>,
}

enum Rows {
    Csv(Box<CsvSource>),
    Ldif(LdifSource),
    Vcard(VcardSource),
}

/// Opens a file as a source.
///
/// # Errors
///
/// See [`OpenError`].
pub fn open(path: &Path, format: Format, options: &OpenOptions) -> Result<Source, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if format != Format::Csv && options.map.is_some() {
        return Err(OpenError::MapWithout(format));
    }
    let text = Text::new(file, options.encoding.as_deref())
        .map_err(|error| OpenError::Encoding { path: path.to_owned(), error })?;
    let mut notes = vec![format!("encoding: {}", text.encoding())];
    let rows = match format {
        Format::Csv => {
            let source = CsvSource::open(path, text, options.map.as_ref(), &mut notes)?;
            Rows::Csv(Box::new(source))
        }
        Format::Ldif => Rows::Ldif(LdifSource::new(path, text)),
        Format::Vcard => Rows::Vcard(VcardSource::new(path, text)),
    };
    Ok(Source { rows, notes })
}

impl Source {
    /// What is worth saying once: the encoding, columns that are not used, how keys are chosen.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Iterator for Source {
    type Item = Result<Item, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.rows {
            Rows::Csv(source) => source.next(),
            Rows::Ldif(source) => source.next(),
            Rows::Vcard(source) => source.next(),
        }
    }
}

/// A text of a rejected row, short enough for a list.
pub(crate) fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 200;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Of some words the one nearest to a mistaken one, as the end of a message.
pub(crate) fn did_you_mean<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let wanted = word.to_lowercase();
    let nearest = words
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .min();
    match nearest {
        Some((distance, candidate)) if distance <= 1 + word.len() / 3 => {
            format!("; did you mean \"{candidate}\"?")
        }
        _ => String::new(),
    }
}

/// Edits between two words (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
