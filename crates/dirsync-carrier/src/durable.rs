//! Files that survive: written beside their place, synced, renamed, and the folder synced too.
//!
//! `failure-stories` §7: a rename that was not synced was undone by a power failure after success
//! had been reported. The order is data, rename, folder; only then may anything be acknowledged.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// How temporary files begin; readers pass over them.
pub const TEMPORARY_PREFIX: &str = ".dirsync-";
/// How temporary files end.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// A file operation that failed: what, where, why, and what to do.
#[derive(Debug, Error)]
#[error("could not {action} \"{path}\": {source}{advice}", path = .path.display(), advice = advice(.source))]
pub struct FileError {
    /// What was tried, e.g. `write`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The cause.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; nothing is lost, work goes on when there is space"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; it is mounted read-only",
        io::ErrorKind::PermissionDenied => "; the user that runs dirsync needs to write there",
        _ => "",
    }
}

thread_local! {
    /// How many operations may still succeed before one fails; see [`fail_at`].
    static FAIL_AT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// For tests of crash points: lets the `nth` file operation of this thread from now fail once, as
/// on a full disk; `None` lets all succeed. Every operation of this module counts.
pub fn fail_at(nth: Option<u64>) {
    FAIL_AT.set(nth);
}

/// Whether a failure that was asked for has not happened yet.
pub fn failure_pending() -> bool {
    FAIL_AT.get().is_some()
}

fn step<T>(
    action: &'static str,
    path: &Path,
    operation: impl FnOnce() -> io::Result<T>,
) -> Result<T, FileError> {
    let error = |source| FileError { action, path: path.to_owned(), source };
    match FAIL_AT.get() {
        Some(1) => {
            FAIL_AT.set(None);
            return Err(error(io::Error::from(io::ErrorKind::StorageFull)));
        }
        Some(left) => FAIL_AT.set(Some(left - 1)),
        None => {}
    }
    operation().map_err(error)
}

/// Replaces a file in one step: readers see the old content or the new, never a part. Returns the
/// bytes written.
///
/// # Errors
///
/// When it cannot be written; the old content then stands, and no temporary file is left.
pub fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<u64, FileError> {
    let folder = parent(path);
    let temporary = step("create a file in", folder, || {
        tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .suffix(TEMPORARY_SUFFIX)
            .tempfile_in(folder)
    })?;
    let mut output = BufWriter::with_capacity(256 * 1024, temporary);
    step("write", path, || write(&mut output).and_then(|()| output.flush()))?;
    let temporary = output.into_inner().map_err(|error| FileError {
        action: "write",
        path: path.to_owned(),
        source: error.into_error(),
    })?;
    step("set the permissions of", path, || share(temporary.as_file()))?;
    step("sync", path, || temporary.as_file().sync_all())?;
    let bytes = step("measure", path, || Ok(temporary.as_file().metadata()?.len()))?;
    step("rename a file to", path, || temporary.persist(path).map_err(|error| error.error))?;
    sync_folder(folder)?;
    Ok(bytes)
}

/// Temporary files are private; what they become is as shared as any file of its folder.
#[cfg(unix)]
fn share(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o660))
}

#[cfg(not(unix))]
fn share(_: &File) -> io::Result<()> {
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes renames and removals in a folder durable.
///
/// # Errors
///
/// When the folder cannot be synced.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    step("sync the folder", folder, || File::open(folder)?.sync_all())
}

/// Makes a folder and those above it, durably.
///
/// # Errors
///
/// When it cannot be made.
pub fn create_folder(folder: &Path) -> Result<(), FileError> {
    if folder.is_dir() {
        return Ok(());
    }
    step("create the folder", folder, || fs::create_dir_all(folder))?;
    sync_folder(parent(folder))
}

/// Moves a file; false when it is not there any more.
///
/// # Errors
///
/// When it cannot be moved.
pub fn move_file(from: &Path, to: &Path) -> Result<bool, FileError> {
    let moved = step("move", from, || match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    })?;
    if moved {
        sync_folder(parent(to))?;
        if parent(from) != parent(to) {
            sync_folder(parent(from))?;
        }
    }
    Ok(moved)
}

/// Removes a file; false when it is not there any more.
///
/// # Errors
///
/// When it cannot be removed.
pub fn remove_file(path: &Path) -> Result<bool, FileError> {
    step("remove", path, || match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    })
}

/// Adds a line to a file and syncs it.
///
/// # Errors
///
/// When it cannot be written.
pub fn append_line(path: &Path, line: &str) -> Result<(), FileError> {
    let new = !path.exists();
    step("append to", path, || {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    })?;
    if new { sync_folder(parent(path)) } else { Ok(()) }
}

/// Removes temporary files that a dead process left, last written before `before`.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn clean_temporaries(folder: &Path, before: std::time::SystemTime) -> Result<u64, FileError> {
    let mut removed = 0;
    for entry in step("read the folder", folder, || fs::read_dir(folder))?.flatten() {
        let name = entry.file_name();
        let old = entry
            .metadata()
            .and_then(|data| data.modified())
            .is_ok_and(|modified| modified < before);
        if is_temporary(&name) && old {
            removed += u64::from(remove_file(&entry.path())?);
        }
    }
    Ok(removed)
}

/// Whether a name is that of a temporary file.
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `failure-stories` §7: whichever operation fails, the old content stands and nothing else is
    /// left; what succeeded is whole.
    #[test]
    fn durable_before_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        replace_file(&path, |output| output.write_all(b"old")).unwrap();
        for nth in 1.. {
            fail_at(Some(nth));
            let outcome = replace_file(&path, |output| output.write_all(b"new"));
            let met = !failure_pending();
            fail_at(None);
            let content = fs::read(&path).unwrap();
            match outcome {
                Ok(bytes) => {
                    assert!(!met && bytes == 3 && content == b"new");
                    assert!(nth > 6, "create, write, permissions, sync, rename, folder: {nth}");
                    break;
                }
                Err(error) => {
                    assert!(error.to_string().contains("space"), "{error}");
                    assert!(content == b"old" || error.action == "sync the folder");
                    replace_file(&path, |output| output.write_all(b"old")).unwrap();
                }
            }
            let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
            assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
        }
    }

    #[test]
    fn temporaries_of_the_dead_are_cleaned_and_others_left() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".dirsync-x.tmp", "a.tmp", ".dirsync-y"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let now = std::time::UNIX_EPOCH;
        assert_eq!(clean_temporaries(folder.path(), now).unwrap(), 0);
        let later = now + std::time::Duration::from_secs(1 << 40);
        assert_eq!(clean_temporaries(folder.path(), later).unwrap(), 1);
    }
}
