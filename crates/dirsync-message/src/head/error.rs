//! Errors of heads.

use thiserror::Error;

use super::{FIELDS_MAX, HEAD_BYTES_MAX};
use crate::OUTCOMES_MAX;

/// A text that is not a head.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the message head is wrong at line {line}: {kind}")]
pub struct HeadError {
    /// The line, from 1.
    pub line: u64,
    /// The problem in this line.
    pub kind: HeadErrorKind,
}

/// Why a text is not a head.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HeadErrorKind {
    /// The first line is not that of a head.
    #[error("a head begins with the line [DIRSYNC]")]
    Header,
    /// The head is larger than [`HEAD_BYTES_MAX`].
    #[error("the head has {bytes} bytes, {HEAD_BYTES_MAX} are allowed")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// The message has a format that this program does not know. It is left untouched, so that it can be
    /// read after an update of the program.
    #[error(
        "the message has format {found}, this program reads format {}: update this program",
        crate::FormatVersion::CURRENT
    )]
    NewerFormat {
        /// The version of its format.
        found: String,
    },
    /// The text ends before its last line.
    #[error("the text ends before the line [END]")]
    Truncated,
    /// A line is not a field, does not end in LF, or follows the last line.
    #[error("{text:?} is not NAME=VALUE, ended by LF")]
    Line {
        /// The beginning of the line.
        text: String,
    },
    /// A required field is missing.
    #[error("the field \"{field}\" is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },
    /// There are too many fields.
    #[error("the head has more than {FIELDS_MAX} fields besides outcomes and offers")]
    Fields,
    /// There are too many outcomes or offers.
    #[error("the head has more than {OUTCOMES_MAX} outcomes or offers")]
    Outcomes,
    /// A field's value is too long.
    #[error("the value of the field \"{field}\" has {bytes} bytes, {allowed} are allowed")]
    ValueLength {
        /// The beginning of its name.
        field: String,
        /// The length of the value.
        bytes: usize,
        /// The largest length that is allowed.
        allowed: usize,
    },
    /// A field is duplicated.
    #[error("the field \"{field}\" is duplicated")]
    Twice {
        /// Its name.
        field: String,
    },
    /// A message of this version has a field that this version does not know.
    #[error("the field \"{field}\" is not known in this format")]
    Unknown {
        /// Its name.
        field: String,
    },
    /// The value of a field cannot be read.
    #[error("the field \"{field}\" is {text:?}, but {expected} is expected")]
    Value {
        /// The field's name.
        field: &'static str,
        /// The beginning of its value.
        text: String,
        /// A description of valid values.
        expected: &'static str,
    },
    /// A field is in the wrong place, or its value is not in its one form.
    #[error(
        "the field is in the wrong place or form: \"{expected}\" in its one form is expected here"
    )]
    Form {
        /// The name of the field whose place this is.
        expected: String,
    },
}
