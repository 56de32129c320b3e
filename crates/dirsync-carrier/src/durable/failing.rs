//! Makes file operations fail, for tests.

use std::cell::Cell;
use std::io;

thread_local! {
    /// The number of the operation that fails, counted from now, and its error.
    static FAIL_AT: Cell<Option<(u64, io::ErrorKind)>> = const { Cell::new(None) };
}

/// Makes the `nth` file operation of this thread from now fail once, as on a full disk. `None` lets all
/// succeed. Every operation of [`durable`](super) counts.
pub fn fail_at(nth: Option<u64>) {
    FAIL_AT.set(nth.map(|nth| (nth, io::ErrorKind::StorageFull)));
}

/// As [`fail_at`], with another cause than a full disk.
pub fn fail_at_with(nth: u64, kind: io::ErrorKind) {
    FAIL_AT.set(Some((nth, kind)));
}

/// Whether the requested failure has not happened yet.
pub fn failure_pending() -> bool {
    FAIL_AT.get().is_some()
}

/// Called before each operation; fails if it is the one that has to.
pub(super) fn operate() -> io::Result<()> {
    match FAIL_AT.get() {
        Some((0 | 1, kind)) => {
            FAIL_AT.set(None);
            Err(kind.into())
        }
        Some((left, kind)) => {
            FAIL_AT.set(Some((left - 1, kind)));
            Ok(())
        }
        None => Ok(()),
    }
}
