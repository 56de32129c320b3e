//! The formats of sources and targets.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use thiserror::Error;

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
