//! Carriers: they move files for one place, over lines that may be slow, cut off, or down.

use std::fmt;

use dirsync_directory::PostofficeName;
use thiserror::Error;

use crate::transit::MessageFile;

/// A file at a place that is for this postoffice. Its name may come from anybody, and proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CarrierFile {
    /// The name, by which [`Carrier::fetch`] and [`Carrier::taken`] know it.
    pub name: String,
    /// The size in bytes; `None` if the place does not say it.
    pub bytes: Option<u64>,
}

/// Why a carrier could not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierErrorKind {
    /// The place cannot be reached now.
    Unreachable,
    /// The line was cut off in the middle of a file.
    CutOff,
    /// The file is larger than the place takes.
    TooLarge,
    /// The place refuses this file, or everything of this postoffice, and will go on doing so.
    Refused,
    /// The settings of the place are wrong.
    Settings,
}

/// An operation of a carrier failed.
#[derive(Debug, Error)]
pub struct CarrierError {
    /// What kind of failure it is.
    pub kind: CarrierErrorKind,
    /// The place, in words.
    pub place: String,
    /// What the other side, or the operating system, says.
    pub said: String,
}

/// `cannot reach the shared folder "/srv/a": not found; it is tried again`.
impl fmt::Display for CarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, place, said } = self;
        match kind {
            CarrierErrorKind::Unreachable => {
                write!(f, "cannot reach {place}: {said}; it is tried again")
            }
            CarrierErrorKind::CutOff => write!(f, "{place} was cut off: {said}; it is tried again"),
            CarrierErrorKind::TooLarge => {
                write!(f, "{place} takes no file of this size: {said}; smaller ones are sent")
            }
            CarrierErrorKind::Refused => {
                write!(f, "{place} refuses messages: {said}; ask its administrator")
            }
            CarrierErrorKind::Settings => {
                write!(f, "{place} cannot be used: {said}; correct its settings")
            }
        }
    }
}

/// Moves files between the postoffices that use one place.
///
/// A carrier never looks into a file. Files may get lost, come twice and in any order, but never in part. Each
/// operation ends after a time that the carrier sets.
pub trait Carrier {
    /// The place, in words.
    fn place(&self) -> String;

    /// The largest file that the place takes, in bytes. `None` if there is no limit.
    fn file_bytes_max(&self) -> Option<u64>;

    /// Whether a file that was cut off is continued by the next call with the same name and bytes.
    fn continues(&self) -> bool;

    /// Leaves a file for a postoffice. The other side sees the whole file or nothing. A file that is there already is
    /// left again.
    ///
    /// # Errors
    ///
    /// If the file was not left, or it is not known whether it was.
    fn put(&self, to: &PostofficeName, name: &str, bytes: &[u8]) -> Result<(), CarrierError>;

    /// All files for this postoffice, by their names.
    ///
    /// # Errors
    ///
    /// If the place cannot be read.
    fn list(&self) -> Result<Vec<CarrierFile>, CarrierError>;

    /// Fetches a file of at most `bytes_max` bytes. `None` if it is gone.
    ///
    /// # Errors
    ///
    /// If the file could not be fetched, or is larger.
    fn fetch(&self, file: &CarrierFile, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError>;

    /// Opens a file that is too large to be fetched into memory. `None` if it is gone.
    ///
    /// # Errors
    ///
    /// If the file could not be opened.
    fn open(&self, file: &CarrierFile) -> Result<Option<Box<dyn MessageFile>>, CarrierError>;

    /// Removes a file that was fetched and is kept elsewhere. It is harmless if it is gone.
    ///
    /// # Errors
    ///
    /// If it is not known to be gone.
    fn taken(&self, file: &CarrierFile) -> Result<(), CarrierError>;
}
