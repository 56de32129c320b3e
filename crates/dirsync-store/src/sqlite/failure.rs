//! Converts errors of SQLite and the file system to those of the traits.

use dirsync_protocol::tables::{StoreError, StoreErrorKind};
use rusqlite::ErrorCode;

/// The error of an action that failed in SQLite.
pub(super) fn failed(action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| StoreError::new(action, kind(&error), error)
}

/// The error of an action that failed in the file system.
pub(super) fn file_failed(action: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |error| {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StoreErrorKind::Full
            }
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                StoreErrorKind::ReadOnly
            }
            _ => StoreErrorKind::Other,
        };
        StoreError::new(action, kind, error)
    }
}

/// The error of an action that this crate refuses, with its reason.
pub(super) fn refused(
    action: &'static str,
    kind: StoreErrorKind,
    why: impl Into<String>,
) -> StoreError {
    StoreError::new(action, kind, why.into())
}

fn kind(error: &rusqlite::Error) -> StoreErrorKind {
    // On a full disk, SQLite already fails to make its shared memory, before it writes anything.
    let extended = error.sqlite_error().map(|error| error.extended_code);
    if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
        return StoreErrorKind::Full;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreErrorKind::ReadOnly
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::Busy,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_reports_has_a_kind() {
        for (code, kind) in [
            (rusqlite::ffi::SQLITE_FULL, StoreErrorKind::Full),
            (rusqlite::ffi::SQLITE_IOERR_SHMSIZE, StoreErrorKind::Full),
            (rusqlite::ffi::SQLITE_IOERR_READ, StoreErrorKind::Other),
            (rusqlite::ffi::SQLITE_READONLY, StoreErrorKind::ReadOnly),
            (rusqlite::ffi::SQLITE_PERM, StoreErrorKind::ReadOnly),
            (rusqlite::ffi::SQLITE_CANTOPEN, StoreErrorKind::ReadOnly),
            (rusqlite::ffi::SQLITE_BUSY, StoreErrorKind::Busy),
            (rusqlite::ffi::SQLITE_LOCKED, StoreErrorKind::Busy),
            (rusqlite::ffi::SQLITE_CORRUPT, StoreErrorKind::Corrupt),
            (rusqlite::ffi::SQLITE_NOTADB, StoreErrorKind::Corrupt),
            (rusqlite::ffi::SQLITE_MISUSE, StoreErrorKind::Other),
        ] {
            let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            assert_eq!(failed("test")(error).kind, kind, "{code}");
        }
    }
}
