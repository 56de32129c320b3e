//! A copy of the database, made while others read and write on.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use dirsync_protocol::tables::{StoreErrorKind, Stored};
use rusqlite::OpenFlags;
use rusqlite::backup::{Backup, StepResult};

use super::failure::{failed, file_failed, refused};
use super::{SqliteStore, connect, make_file, sync_folder};

const ACTION: &str = "back up the database";

impl SqliteStore {
    pub(super) fn back_up_at(&self, path: &Path) -> Stored<()> {
        let lock = CopyLock::acquire(path)?;
        // Only now: the copy that had the lock before may just have ended.
        if path.try_exists().map_err(file_failed(ACTION))? {
            return Err(file_failed(ACTION)(std::io::ErrorKind::AlreadyExists.into()));
        }
        let part = beside(path, ".part");
        // An interrupted copy leaves its part.
        remove_copy(&part).map_err(file_failed(ACTION))?;
        let copied = self.copy_to(&part).and_then(|()| {
            std::fs::rename(&part, path).map_err(file_failed(ACTION))?;
            sync_folder(ACTION, path)
        });
        if copied.is_err() {
            // The error of the copy is the one to report, even if its rest cannot be removed either.
            let _ = remove_copy(&part);
        }
        drop(lock);
        copied
    }

    fn copy_to(&self, path: &Path) -> Stored<()> {
        make_file(path).map_err(file_failed(ACTION))?;
        let mut copy = connect(ACTION, path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let backup = Backup::new(&self.connection, &mut copy).map_err(failed(ACTION))?;
        // All pages are copied in one step, as one snapshot. With several steps, each write by others in
        // between would restart the copy.
        match backup.step(-1).map_err(failed(ACTION))? {
            StepResult::Done => {}
            _ => {
                let why = "the database is locked";
                return Err(refused(ACTION, StoreErrorKind::Busy, why));
            }
        }
        drop(backup);
        // The copy has no log of its own, so who reads it leaves no files beside it.
        copy.pragma_update(None, "journal_mode", "DELETE").map_err(failed(ACTION))?;
        drop(copy);
        let file = File::open(path).map_err(file_failed(ACTION))?;
        file.sync_all().map_err(file_failed(ACTION))
    }
}

/// Lets one process or thread at a time make the copy of a name.
///
/// The lock has a file of its own, because on some systems SQLite could not write to a locked one. The
/// operating system drops the lock of a process that ends, so the file alone locks nothing.
struct CopyLock {
    path: PathBuf,
    _file: File,
}

impl CopyLock {
    fn acquire(copy: &Path) -> Stored<Self> {
        let path = beside(copy, ".lock");
        const TRIES: u32 = 100;
        for _ in 0..TRIES {
            let mut options = OpenOptions::new();
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt;
                options.mode(0o600);
            }
            let file = options.create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(file_failed(ACTION))?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    let why = "another backup writes to this file; wait until it has ended, or name another file";
                    return Err(refused(ACTION, StoreErrorKind::Other, why));
                }
                // A file system without locks keeps nobody from a backup.
                Err(TryLockError::Error(_)) | Ok(()) => {}
            }
            // Its last holder may have removed the file between the opening and the locking.
            if is_still_at(&file, &path) {
                return Ok(Self { path, _file: file });
            }
        }
        Err(refused(ACTION, StoreErrorKind::Other, "its lock file is taken away again and again"))
    }
}

impl Drop for CopyLock {
    fn drop(&mut self) {
        // Removed while it is locked. A file that stays is used by the next copy.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether a path leads to this open file.
fn is_still_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        match (file.metadata(), std::fs::metadata(path)) {
            (Ok(open), Ok(named)) => identity(open) == identity(named),
            _ => false,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes an unfinished copy and its journal.
fn remove_copy(path: &Path) -> std::io::Result<()> {
    for file in [beside(path, "-journal"), path.to_owned()] {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
