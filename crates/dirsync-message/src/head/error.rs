//! Why a text is not a head.

use thiserror::Error;

use super::{FIELDS_MAX, HEAD_BYTES_MAX};
use crate::OUTCOMES_MAX;

/// What is wrong with a head, and where.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the message head is wrong at line {line}: {kind}")]
pub struct HeadError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub kind: HeadErrorKind,
}

/// See [`HeadError`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HeadErrorKind {
    /// The first line is another.
    #[error("a head begins with the line [DIRSYNC]")]
    Header,
    /// Larger than [`HEAD_BYTES_MAX`].
    #[error("the head has {bytes} bytes, {HEAD_BYTES_MAX} are allowed")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// Made by a program whose format this one does not know; the message is left as it is.
    #[error(
        "the message has format {found}, this program reads format {}: update this program",
        crate::FormatVersion::CURRENT
    )]
    NewerFormat {
        /// Its format.
        found: String,
    },
    /// The text ends before its last line.
    #[error("the text ends before the line [END]")]
    Truncated,
    /// A line that is no field, or has no LF, or follows the last one.
    #[error("{text:?} is not NAME=VALUE, ended by LF")]
    Line {
        /// The beginning of the line.
        text: String,
    },
    /// A field that must stand does not.
    #[error("the field \"{field}\" is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },
    /// More fields than a head has.
    #[error("the head has more than {FIELDS_MAX} fields beside its outcomes")]
    Fields,
    /// More outcomes than an update may bring.
    #[error("the head has more than {OUTCOMES_MAX} outcomes")]
    Outcomes,
    /// A field's value is too long.
    #[error("the value of the field \"{field}\" has {bytes} bytes, {allowed} are allowed")]
    ValueLength {
        /// The beginning of its name.
        field: String,
        /// Its length.
        bytes: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// A field stands twice.
    #[error("the field \"{field}\" stands twice")]
    Twice {
        /// Its name.
        field: String,
    },
    /// A field that this version does not know, in a message of this version.
    #[error("the field \"{field}\" is not known in this format")]
    Unknown {
        /// Its name.
        field: String,
    },
    /// A field's value is none.
    #[error("the field \"{field}\" holds {text:?}; expected is {expected}")]
    Value {
        /// The field's name.
        field: &'static str,
        /// The beginning of its value.
        text: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A field that stands in another place or form than its one.
    #[error("the field is not in its place and one form; expected here is \"{expected}\"")]
    Form {
        /// The name of the field whose place this is.
        expected: String,
    },
}
