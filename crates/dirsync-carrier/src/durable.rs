//! Writes files so that they survive a crash: beside their place, synced, renamed, and the folder
//! synced, too.
//!
//! `docs/failure-stories.md` §7: a rename that was not synced was undone by a power failure after
//! success had been reported. The order is data, rename, folder; only then may anything be
//! acknowledged.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::access::{self, Access, Links, create_own_folder, open_folder, own, without_waiting};

/// The beginning of the names of temporary files, which readers skip.
pub const TEMPORARY_PREFIX: &str = ".dirsync-";
/// The end of the names of temporary files.
pub const TEMPORARY_SUFFIX: &str = ".tmp";
/// The most bytes of a file's name that its temporary file has in its own name. With the rest it stays
/// below the 255 bytes that file systems allow.
const TEMPORARY_NAME_MAX: usize = 200;

/// A file operation that failed, with advice on what to do.
#[derive(Debug, Error)]
#[error("could not {action} \"{path}\": {source}{advice}", path = .path.display(), advice = advice(.source, .bytes))]
pub struct FileError {
    /// The operation, such as `write`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The number of bytes that the file needs at least, if it is known.
    pub bytes: Option<u64>,
    /// The cause.
    pub source: io::Error,
}

impl FileError {
    /// Adds the whole size of the file that could not be written.
    pub(crate) fn with_bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }
}

pub(crate) fn advice(error: &io::Error, bytes: &Option<u64>) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let needed =
                bytes.map_or(String::new(), |n| format!("at least {n} bytes are needed; "));
            format!("; {needed}nothing is lost, and work goes on when there is space")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; it is mounted read-only, mount it for writing".into()
        }
        io::ErrorKind::PermissionDenied => {
            "; give the user that runs dirsync the right to write there".into()
        }
        io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle => {
            "; its folder is gone, bring it back or mount it again".into()
        }
        _ => String::new(),
    }
}

#[cfg(any(test, feature = "testing"))]
mod failing;
#[cfg(any(test, feature = "testing"))]
pub use failing::{fail_at, fail_at_with, failure_pending};

#[cfg(test)]
thread_local! {
    /// The operations of this thread, in their order.
    static TRACE: std::cell::RefCell<Vec<&'static str>> = const { std::cell::RefCell::new(Vec::new()) };
    /// The number of entries of folders that this thread has read.
    pub(crate) static ENTRIES_READ: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The entries of a folder.
pub(crate) fn read_folder(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    #[cfg(test)]
    ENTRIES_READ.set(ENTRIES_READ.get() + entries.len() as u64);
    Ok(entries)
}

/// One file operation: its error says what and where, and tests can make it fail.
pub(crate) fn step<T>(
    action: &'static str,
    path: &Path,
    operation: impl FnOnce() -> io::Result<T>,
) -> Result<T, FileError> {
    let error = |source| FileError { action, path: path.to_owned(), bytes: None, source };
    #[cfg(test)]
    TRACE.with_borrow_mut(|trace| trace.push(action));
    #[cfg(any(test, feature = "testing"))]
    failing::operate().map_err(error)?;
    operation().map_err(error)
}

/// Counts the bytes that are written, so that an error can say how much space is needed.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer);
        self.bytes += *written.as_ref().unwrap_or(&buffer.len()) as u64;
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Replaces a file in one step. Readers see the old content or the new, never a part of it, and at no
/// time may anybody do more with the file than `access` says. Returns the number of bytes.
///
/// Temporary files of writers that died while they replaced the same file are removed first.
///
/// # Errors
///
/// If writing fails. The old content is then unchanged, and no temporary file is left. Something that is
/// not a file, such as a device, is not replaced.
pub fn replace_file(
    path: &Path,
    access: Access,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<u64, FileError> {
    replace_file_with(path, access, write, |_| Ok(()))
}

/// As [`replace_file`]. `complete` is called with the new file, which is whole and synced under its
/// temporary name, before it takes the place of the old one: to make what belongs beside it.
///
/// # Errors
///
/// As [`replace_file`], and if `complete` fails.
pub fn replace_file_with(
    path: &Path,
    access: Access,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    complete: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<u64, FileError> {
    remove_dead(path);
    replace(path, access, write, complete)
}

/// Replaces a file of a shared folder as [`replace_file`] does, but leaves the temporary files of dead
/// writers to the caller, which reads through the folder anyway.
pub(crate) fn write_shared_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<u64, FileError> {
    replace(path, Access::Shared, write, |_| Ok(()))
}

fn replace(
    path: &Path,
    access: Access,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    complete: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<u64, FileError> {
    let folder = parent(path);
    let temporary = step("create a file in", folder, || make_temporary(path, access))?;
    let inner = BufWriter::with_capacity(256 * 1024, temporary);
    let mut output = Counted { inner, bytes: 0 };
    let written = step("write", path, || write(&mut output).and_then(|()| output.flush()));
    let bytes = output.bytes;
    let needed = |error: FileError| if bytes > 0 { error.with_bytes(bytes) } else { error };
    written.map_err(needed)?;
    let temporary = output.inner.into_inner().map_err(|error| FileError {
        action: "write",
        path: path.to_owned(),
        bytes: Some(bytes),
        source: error.into_error(),
    })?;
    step("set the permissions of", path, || {
        access::set_permissions(temporary.as_file(), path, folder, access)
    })?;
    // Network file systems may report only now that there is no space.
    step("sync", path, || temporary.as_file().sync_all()).map_err(needed)?;
    complete(temporary.path()).map_err(|source| FileError {
        action: "complete",
        path: path.to_owned(),
        bytes: None,
        source,
    })?;
    step("rename a file to", path, || {
        access::require_replaceable(path)?;
        temporary.persist(path).map_err(|error| error.error)
    })?;
    sync_folder(folder)?;
    Ok(bytes)
}

/// The beginning of the names of a file's temporary files. Six letters and the suffix follow.
fn temporary_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kept = name.floor_char_boundary(TEMPORARY_NAME_MAX);
    format!("{TEMPORARY_PREFIX}{}.", &name[..kept])
}

/// Makes the temporary file of `path`, and locks it. The lock shows that its writer is still alive.
fn make_temporary(path: &Path, access: Access) -> io::Result<NamedTempFile> {
    const TRIES: u32 = 10;
    let prefix = temporary_prefix(path);
    for _ in 0..TRIES {
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(TEMPORARY_SUFFIX);
        let temporary = access::make_temporary(&mut builder, parent(path), access)?;
        // Before it is locked, another writer may take it for one of a dead writer and remove it.
        // Without locks on this file system, no writer takes any file for dead.
        let taken = matches!(temporary.as_file().try_lock(), Err(TryLockError::WouldBlock));
        if !taken && temporary.path().exists() {
            return Ok(temporary);
        }
    }
    Err(io::Error::other("its temporary file is taken away again and again"))
}

/// Removes the temporary files of dead writers of a file. A file that cannot be removed now is tried again at the next
/// write.
fn remove_dead(path: &Path) {
    let prefix = temporary_prefix(path);
    remove_dead_of(parent(path), |name| {
        let letters =
            name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(TEMPORARY_SUFFIX));
        letters.is_some_and(|letters| !letters.contains('.'))
    });
}

/// Removes the temporary files of all dead writers in a folder to which only this program writes. A file that cannot be
/// removed now is left for the next call.
pub fn remove_all_dead(folder: &Path) {
    remove_dead_of(folder, |name| is_temporary(name.as_ref()));
}

/// Dead writers are those whose files have no lock.
fn remove_dead_of(folder: &Path, is_meant: impl Fn(&str) -> bool) {
    let Ok(entries) = read_folder(folder) else { return };
    for entry in entries {
        if is_meant(&entry.file_name().to_string_lossy())
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Ok(file) = without_waiting(fs::OpenOptions::new().write(true), Links::Refuse)
                .open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes an empty file, for the user alone, unless there is one. Several programs may do so at once.
///
/// # Errors
///
/// If it cannot be made.
pub fn create_file(path: &Path) -> Result<(), FileError> {
    let made = step("create", path, || {
        match own(fs::OpenOptions::new().write(true).create_new(true)).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|_| true),
        }
    })?;
    if made { sync_folder(parent(path)) } else { Ok(()) }
}

/// Writes bytes at an offset of an existing file, durably. What is between its end and the offset becomes zeros.
///
/// # Errors
///
/// If it cannot be written. A part of the bytes may then have been.
pub fn write_at(path: &Path, at: u64, bytes: &[u8]) -> Result<(), FileError> {
    let needed = |error: FileError| error.with_bytes(bytes.len() as u64);
    let mut file = step("open", path, || {
        without_waiting(fs::OpenOptions::new().write(true), Links::Refuse).open(path)
    })?;
    step("write to", path, || {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    })
    .map_err(needed)?;
    step("sync", path, || file.sync_data()).map_err(needed)
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
/// If the folder cannot be synced.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    step("sync the folder", folder, || open_folder(folder)?.sync_all())
}

/// Makes a folder and those above it, durably. Only the user and the group may look into it.
///
/// # Errors
///
/// If it cannot be made.
pub fn create_folder(folder: &Path) -> Result<(), FileError> {
    create_with_those_above(folder, create_own_folder)
}

/// As [`create_folder`], for a folder to which the user and the group may write.
///
/// # Errors
///
/// If it cannot be made.
pub fn create_shared_folder(folder: &Path) -> Result<(), FileError> {
    create_with_those_above(folder, |folder| access::create_shared_folder(folder, None))
}

fn create_with_those_above(
    folder: &Path,
    create: impl Fn(&Path) -> io::Result<()>,
) -> Result<(), FileError> {
    let missing = folder.ancestors().take_while(|one| **one != *"" && !one.is_dir());
    let missing: Vec<_> = missing.collect();
    missing.into_iter().rev().try_for_each(|one| create_one(one, &create))
}

/// Makes a folder durably in an existing one, with the same permissions for the user and the group.
pub(crate) fn create_subfolder(folder: &Path) -> Result<(), FileError> {
    let above = parent(folder);
    create_one(folder, |folder| access::create_shared_folder(folder, Some(above)))
}

fn create_one(folder: &Path, create: impl Fn(&Path) -> io::Result<()>) -> Result<(), FileError> {
    step("create the folder", folder, || match create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        other => other,
    })?;
    sync_folder(parent(folder)).inspect_err(|_| {
        // The next try would find the folder and take it for a durable one.
        let _ = fs::remove_dir(folder);
    })
}

/// Moves a file durably. Returns false if it does not exist any more.
///
/// # Errors
///
/// If it cannot be moved.
pub fn move_file(from: &Path, to: &Path) -> Result<bool, FileError> {
    let moved = rename(from, to)?;
    if moved {
        sync_move(from, to)?;
    }
    Ok(moved)
}

/// Makes a move durable. The new folder is synced first, so that a power failure in between leaves
/// the file in one of them, or in both.
///
/// # Errors
///
/// If a folder cannot be synced.
pub(crate) fn sync_move(from: &Path, to: &Path) -> Result<(), FileError> {
    sync_folder(parent(to))?;
    if parent(from) != parent(to) {
        sync_folder(parent(from))?;
    }
    Ok(())
}

/// Moves a file without syncing: after a power failure it may be back, or gone. Returns false if it
/// does not exist any more.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<bool, FileError> {
    step("move", from, || match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    })
}

/// Removes a file durably. Returns false if it does not exist any more.
///
/// # Errors
///
/// If it cannot be removed.
pub fn remove_file(path: &Path) -> Result<bool, FileError> {
    let removed = unlink(path)?;
    if removed {
        sync_folder(parent(path))?;
    }
    Ok(removed)
}

/// Removes a file without syncing: after a power failure it may be back. Returns false if it does
/// not exist any more.
pub(crate) fn unlink(path: &Path) -> Result<bool, FileError> {
    step("remove", path, || match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    })
}

/// Appends a line durably to a file that only the user may read.
///
/// A line that a crash cut off is ended first, and a line that cannot be written in full is removed
/// again, so that no two lines ever run into each other.
///
/// # Errors
///
/// If it cannot be written.
pub fn append_line(path: &Path, line: &str) -> Result<(), FileError> {
    let new = !path.exists();
    let text = format!("{line}\n");
    let (mut file, length, cut) = step("open", path, || {
        let mut options = fs::OpenOptions::new();
        own(options.create(true).read(true).append(true));
        let mut file = without_waiting(&mut options, Links::Follow).open(path)?;
        access::require_regular(&file)?;
        let length = file.metadata()?.len();
        let cut = if ends_a_line(&mut file, length)? { "" } else { "\n" };
        Ok((file, length, cut))
    })?;
    step("append to", path, || file.write_all(format!("{cut}{text}").as_bytes()))
        .and_then(|()| step("sync", path, || file.sync_all()))
        .map_err(|error| {
            // The first error is the one to report.
            let _ = file.set_len(length);
            error.with_bytes(text.len() as u64)
        })?;
    if new { sync_folder(parent(path)) } else { Ok(()) }
}

fn ends_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Removes the temporary files of dead processes that were last written before `before`. Returns their
/// number.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn clean_temporaries(folder: &Path, before: std::time::SystemTime) -> Result<u64, FileError> {
    let mut removed = 0;
    for entry in step("read the folder", folder, || read_folder(folder))? {
        let name = entry.file_name();
        let old = entry
            .metadata()
            .and_then(|data| data.modified())
            .is_ok_and(|modified| modified < before);
        if is_temporary(&name) && old {
            removed += u64::from(unlink(&entry.path())?);
        }
    }
    Ok(removed)
}

/// Whether a file with this name is a temporary one.
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/failure-stories.md` §7: whichever operation fails, the old content is unchanged and
    /// nothing else is left. If all succeed, the new content is whole.
    #[test]
    fn durable_before_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        replace_file(&path, Access::Export, |output| output.write_all(b"old")).unwrap();
        TRACE.take();
        replace_file(&path, Access::Export, |output| output.write_all(b"old")).unwrap();
        let order = [
            "create a file in",
            "write",
            "set the permissions of",
            "sync",
            "rename a file to",
            "sync the folder",
        ];
        assert_eq!(TRACE.take(), order, "data, rename, folder, and only then success");
        for nth in 1..=order.len() {
            fail_at(Some(nth as u64));
            let error =
                replace_file(&path, Access::Export, |output| output.write_all(b"new")).unwrap_err();
            assert!(!failure_pending());
            assert_eq!(error.action, order[nth - 1]);
            assert!(error.to_string().contains("space"), "{error}");
            // The new content may be there, although it was not acknowledged, but only if it is whole.
            let expected = if nth == order.len() { "new" } else { "old" };
            assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{nth}");
            let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
            assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
        }
        assert_eq!(
            replace_file(&path, Access::Export, |output| output.write_all(b"newest")).unwrap(),
            6
        );
    }

    /// Only the temporary file of a dead writer, which has no lock, is removed. That of a living
    /// writer stays, and so does that of another file.
    #[test]
    fn what_the_dead_left_goes_with_the_next_writing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let names = [".dirsync-list.aBcDeF.tmp", ".dirsync-list.csv.aBcDeF.tmp", ".dirsync-x.tmp"];
        names.iter().for_each(|name| fs::write(folder.path().join(name), "half").unwrap());
        let living = make_temporary(&path, Access::Own).unwrap();
        for round in 0..2 {
            if round == 0 {
                replace_file(&path, Access::Export, |output| output.write_all(b"new")).unwrap();
            } else {
                fs::write(folder.path().join(names[0]), "half").unwrap();
                replace_file(&path, Access::Own, |output| output.write_all(b"new")).unwrap();
            }
            let left = names.map(|name| folder.path().join(name).exists());
            assert_eq!(left, [false, true, true]);
            assert!(living.path().exists());
        }
        let long = folder.path().join("ü".repeat(127));
        replace_file(&long, Access::Own, |output| output.write_all(b"new")).unwrap();
    }

    #[test]
    fn moves_and_removals_are_synced_in_every_folder_they_touch() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("deep/a"), folder.path().join("b"));
        TRACE.take();
        create_folder(&one).unwrap();
        create_folder(&two).unwrap();
        let made = ["create the folder", "sync the folder"];
        assert_eq!(TRACE.take(), [made, made, made].concat());
        let three = folder.path().join("c");
        fail_at(Some(2));
        create_folder(&three).unwrap_err();
        assert!(!three.exists(), "a folder that is not synced does not pass for one that is");
        TRACE.take();
        fs::write(one.join("x"), "x").unwrap();
        assert!(move_file(&one.join("x"), &two.join("x")).unwrap());
        assert_eq!(TRACE.take(), ["move", "sync the folder", "sync the folder"]);
        assert!(remove_file(&two.join("x")).unwrap());
        assert_eq!(TRACE.take(), ["remove", "sync the folder"]);
        assert!(!remove_file(&two.join("x")).unwrap(), "gone is not an error");
        assert!(!move_file(&one.join("x"), &two.join("x")).unwrap(), "gone is not an error");
    }

    #[test]
    fn a_full_disk_names_the_bytes_that_are_needed() {
        let folder = tempfile::tempdir().unwrap();
        let error = replace_file(&folder.path().join("list"), Access::Own, |output| {
            output.write_all(&[0; 5000])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let text = error.unwrap_err().to_string();
        assert!(text.contains("at least 5000 bytes are needed"), "{text}");
        for (kind, advice) in [
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
            (io::ErrorKind::PermissionDenied, "the user that runs dirsync"),
            (io::ErrorKind::StaleNetworkFileHandle, "mount it again"),
        ] {
            fail_at_with(1, kind);
            let text = replace_file(&folder.path().join("list"), Access::Own, |_| Ok(()))
                .unwrap_err()
                .to_string();
            assert!(text.contains(advice), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_permissions_of_what_it_is_for() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for above in [0o700, 0o750, 0o770, 0o777] {
            set(folder.path(), above);
            for (access, new, over_0604) in [
                (Access::Own, 0o600, 0o600),
                (Access::Settings, 0o640, 0o604),
                (Access::Export, 0o644, 0o604),
                (Access::Shared, 0o600 | above & 0o060, 0o600 | above & 0o060),
            ] {
                let path = folder.path().join("list");
                replace_file(&path, access, |_| Ok(())).unwrap();
                // An umask may reduce the permissions of exports, and of nothing else.
                let taken = if access == Access::Export { new & !mode(&path) } else { 0 };
                assert_eq!(mode(&path), new & !taken, "{access:?} in {above:o}");
                set(&path, 0o604);
                replace_file(&path, access, |_| Ok(())).unwrap();
                assert_eq!(mode(&path), over_0604, "{access:?} in {above:o}");
                fs::remove_file(&path).unwrap();
            }
        }
        let log = folder.path().join("log");
        append_line(&log, "line").unwrap();
        assert_eq!(mode(&log), 0o600);
        create_folder(&folder.path().join("own")).unwrap();
        assert_eq!(mode(&folder.path().join("own")) & 0o027, 0);
    }

    /// The path may be anything, such as a pipe. It is not waited for, and not replaced.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_neither_replaced_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let named = |error: FileError| {
            let text = error.to_string();
            assert!(text.contains("named pipe") && text.contains("pipe\""), "{text}");
        };
        named(replace_file(&pipe, Access::Export, |_| Ok(())).unwrap_err());
        named(append_line(&pipe, "line").unwrap_err());
        let dead = folder.path().join(".dirsync-list.aBcDeF.tmp");
        fs::rename(&pipe, &dead).unwrap();
        replace_file(&folder.path().join("list"), Access::Export, |_| Ok(())).unwrap();
        assert!(sync_folder(&dead).is_err(), "a folder that was exchanged for a pipe");
    }

    #[test]
    fn a_line_never_runs_into_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append_line(&path, "one").unwrap();
        fs::write(&path, "one\ncut o").unwrap();
        append_line(&path, "two").unwrap();
        for nth in 1..=3 {
            fail_at(Some(nth));
            append_line(&path, "not acknowledged").unwrap_err();
        }
        append_line(&path, "three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ncut o\ntwo\nthree\n");
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
