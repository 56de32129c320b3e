//! The lock that lets only one agent work on a postoffice.
//!
//! The operating system releases the lock when the process ends, so there is never a stale one.
//! Files with process numbers outlive their processes, and cleaning them up lets two agents run
//! (`docs/failure-stories.md` §12).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::access::{Links, open_file, own, require_regular, without_waiting};
use crate::durable::advice;

/// A lock that is held until this value is dropped.
#[derive(Debug)]
pub struct PostofficeLock {
    file: File,
}

impl Drop for PostofficeLock {
    fn drop(&mut self) {
        // Unlocked before it is closed, so that a process that is woken by the closing finds it free.
        let _ = self.file.unlock();
    }
}

/// Why a lock was not acquired.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has the lock.
    #[error("another dirsync works on this postoffice: {holder}")]
    Busy {
        /// The text that the holder wrote about itself.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("could not lock \"{path}\": {source}{advice}", path = .path.display(), advice = advice(.source, &None))]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl PostofficeLock {
    /// Acquires the lock, or fails at once with the name of its holder. `purpose` is for people, such as
    /// `run`.
    ///
    /// # Errors
    ///
    /// See [`LockError`].
    pub fn acquire(path: &Path, purpose: &str) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        own(options.create(true).truncate(false).read(true).write(true));
        let mut file = without_waiting(&mut options, Links::Follow).open(path).map_err(io)?;
        require_regular(&file).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The text is a courtesy, and the lock does not depend on it.
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "it has not said which".to_owned(),
                    text => text.to_owned(),
                };
                return Err(LockError::Busy { holder });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let describe = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}({purpose})", said_by_this_process())
        };
        // A courtesy again: a full disk must not keep anybody out.
        let _ = describe(&mut file);
        Ok(Self { file })
    }

    /// Whether this process was the last that took the lock.
    pub fn was_taken_here(path: &Path) -> bool {
        let mut text = String::new();
        open_file(path, Links::Follow).is_ok_and(|mut file| file.read_to_string(&mut text).is_ok())
            && text.starts_with(&said_by_this_process())
    }
}

fn said_by_this_process() -> String {
    format!("process {} ", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::Barrier;

    use super::*;

    const CHILD: &str = "DIRSYNC_TEST_LOCK";

    /// `docs/failure-stories.md` §12: the text of a dead process does not matter, the lock of a
    /// living one does.
    #[test]
    fn stale_lock_is_not_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, "process 1 (run)").unwrap();
        let lock = PostofficeLock::acquire(&path, "run").expect("the file alone locks nothing");
        let second = PostofficeLock::acquire(&path, "apply").unwrap_err();
        assert!(second.to_string().contains(&std::process::id().to_string()), "{second}");
        drop(lock);

        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lock::tests::another_process_that_holds_it", "--nocapture"])
            .env(CHILD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("locked")), "the child has the lock");
        let busy = PostofficeLock::acquire(&path, "apply").unwrap_err().to_string();
        assert!(busy.contains(&format!("process {} (child)", child.id())), "{busy}");
        child.kill().unwrap();
        child.wait().unwrap();
        PostofficeLock::acquire(&path, "apply").expect("dropped by the system with its process");
    }

    /// Not a test by itself: the child process of the test above runs it.
    #[test]
    fn another_process_that_holds_it() {
        let Some(path) = std::env::var_os(CHILD) else { return };
        let _lock = PostofficeLock::acquire(Path::new(&path), "child").unwrap();
        println!("\nlocked");
        // Wait until this process is killed, or its parent has ended.
        let _ = io::stdin().read(&mut [0]);
    }

    #[test]
    fn of_many_that_start_at_once_exactly_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let all = Barrier::new(8);
        let contend = || {
            all.wait();
            let lock = PostofficeLock::acquire(&path, "run");
            all.wait();
            lock.is_ok()
        };
        let runs = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(contend)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ran| *ran).count()
        });
        assert_eq!(runs, 1);
    }
}
