//! Counts of the expensive operations of a thread, by which tests show that a refused message costs none of
//! them. Counting costs a nanosecond, so it is always on.

use std::cell::Cell;

/// The operations of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Verifications of a signature.
    pub signatures_verified: u64,
    /// Decryptions of heads and bodies that were begun.
    pub decryptions: u64,
    /// Decompressions of bodies that were begun.
    pub decompressions: u64,
}

thread_local! {
    static WORK: Cell<Work> = const {
        Cell::new(Work { signatures_verified: 0, decryptions: 0, decompressions: 0 })
    };
}

/// The operations of this thread so far.
pub fn so_far() -> Work {
    WORK.get()
}

pub(crate) fn count(change: impl FnOnce(&mut Work)) {
    let mut work = WORK.get();
    change(&mut work);
    WORK.set(work);
}
