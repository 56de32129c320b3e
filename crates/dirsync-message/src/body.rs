//! The text of bodies: numbered transactions, written and read as a stream. The format is in
//! `docs/message-format.md`, "Body".
//!
//! A body is applied as a whole or refused as a whole. It is known to be whole only after its
//! trailer was read, so [`BodyReader`] has to be read to its end inside one database transaction.

mod fault;
mod line;
mod reader;
mod writer;

use dirsync_directory::{DETAILS_BYTES_MAX, RecordRef, VALUE_BYTES_MAX};

use crate::NUMBER_MAX;
pub use fault::{BodyError, BodyFault};
pub use reader::BodyReader;
pub use writer::BodyWriter;

/// The first line of a body.
const HEADER: &str = "[DIRSYNC-TRANSACTIONS]";
/// The beginning of the last line of a body. The count of transactions follows.
const TRAILER: &str = "[END] ";

/// The kind that an `A` leaves out, because most entries have it.
const USUAL_KIND: &str = "mailbox";

/// The longest line of a body, in bytes without its LF.
pub const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The longest transaction with its detail lines, in bytes.
pub const TRANSACTION_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most transactions of a body.
pub const TRANSACTIONS_MAX: u64 = 1 << 24;

const _: () = assert!(LINE_BYTES_MAX <= TRANSACTION_BYTES_MAX);
const _: () = assert!(VALUE_BYTES_MAX < LINE_BYTES_MAX, "the longest value has a detail line");
const _: () = assert!(2 * DETAILS_BYTES_MAX <= TRANSACTION_BYTES_MAX, "each line grows by a byte");
const _: () = assert!(TRANSACTIONS_MAX < NUMBER_MAX, "each transaction has a number of its own");

/// Whether an entry with this content can be written to a body, whatever its key, numbers and origins
/// are.
///
/// A valid record always fits. An invalid one may not, even if it came in a body: a body leaves out
/// numbers and origins that follow from the line before, and an `M` may have added to what was there.
pub fn fits_a_body(record: RecordRef<'_>) -> bool {
    /// More than the longest key, numbers, origins and release, escaped.
    const BESIDE_BYTES_MAX: usize = 4096;
    // Each detail line gets a `-`, and has at least one byte, so this is the quick answer for most.
    let line = record.kind.len() + record.name.len() + record.addresses.len() + BESIDE_BYTES_MAX;
    if line + 2 * record.details.len() <= LINE_BYTES_MAX {
        return true;
    }
    let mut lines = record.details.split_inclusive('\n');
    let details = record.details.len() + lines.clone().count();
    let fits = line <= LINE_BYTES_MAX
        && line + details <= TRANSACTION_BYTES_MAX
        && lines.all(|line| line.len() <= LINE_BYTES_MAX);
    debug_assert!(fits || record.check().is_err(), "a valid record fits");
    fits
}
