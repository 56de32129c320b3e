//! What SQLite's errors mean to a caller.

use std::error::Error;

use dirsync_protocol::tables::{StoreError, StoreErrorKind, Stored};
use rusqlite::ErrorCode;

/// Names what was being done when SQLite failed.
pub(super) trait Doing<T> {
    /// `action` is the end of "could not …".
    fn doing(self, action: &'static str) -> Stored<T>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, action: &'static str) -> Stored<T> {
        self.map_err(|error| store_error(action, kind(&error), error))
    }
}

pub(super) fn store_error(
    action: &'static str,
    kind: StoreErrorKind,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> StoreError {
    StoreError { action, kind, source: source.into() }
}

fn kind(error: &rusqlite::Error) -> StoreErrorKind {
    use rusqlite::Error as E;
    match error {
        E::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StoreErrorKind::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreErrorKind::ReadOnly,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreErrorKind::Busy,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Other,
        },
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::InvalidColumnType(..)
        | E::Utf8Error(..)
        | E::QueryReturnedNoRows => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}
