//! The errors of sources, and the lists of names in their messages.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::text::EncodingError;

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
    /// A column holds the name of a type in place of values.
    #[error(
        "\"{path}\", line {line}: the column \"{column}\" has the name of a type instead of its values; join \
         them when they are exported: … | Select-Object Guid, DisplayName, PrimarySmtpAddress, \
         RecipientTypeDetails, HiddenFromAddressListsEnabled, \
         @{{n='{column}';e={{$_.{column} -join ';'}}}} | Export-Csv FILE -NoTypeInformation -Encoding utf8",
        path = .path.display()
    )]
    TypeNames {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The column.
        column: String,
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
        "the header of \"{path}\" is not UTF-8 in column {column}; name the encoding of the file, \
         for example --encoding {advice} (of a source: encoding = \"{advice}\")",
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
    /// The file is in UTF-16 without a byte order mark.
    #[error(
        "\"{path}\" is not UTF-8; it seems to be {name}: say --encoding {name} (of a source: \
         encoding = \"{name}\")",
        path = .path.display()
    )]
    Utf16 {
        /// The file.
        path: PathBuf,
        /// The form of UTF-16.
        name: &'static str,
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
    #[error(
        "\"{path}\" has no column \"{column}\", which the map names ({place}){hint}",
        path = .path.display()
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The map, its line and the name of that line.
        place: String,
        /// `; did you mean "…"?`, or nothing.
        hint: String,
    },
    /// A table that the map looks values up in cannot be used.
    #[error("the table \"{path}\" ({place}) cannot be used: {reason}", path = .path.display())]
    Lookup {
        /// The table's file.
        path: PathBuf,
        /// The map, its line and the name of that line.
        place: String,
        /// The problem.
        reason: String,
    },
    /// No column is known to be a name, or none to be an address.
    #[error("\"{path}\" has no column that holds {what}; its columns are {columns}; use a map; `dirsync import FILE --suggest-map` prints one to begin with", path = .path.display())]
    NoSubject {
        /// The file.
        path: PathBuf,
        /// The part of an entry that has no column.
        what: &'static str,
        /// The columns of the file.
        columns: String,
    },
}

/// The first names as a list for a message, and the number of the others.
pub(crate) fn listed(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
