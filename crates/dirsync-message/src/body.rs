//! The text of bodies: numbered transactions, written and read as a stream.
//!
//! Format: `docs/message-format.md`, "Body". A body is accepted whole or refused whole, and only
//! its trailer proves it whole; see [`BodyReader`].

mod fault;
mod line;
mod reader;
mod writer;

use dirsync_directory::RecordRef;

pub use fault::{BodyError, BodyFault};
pub use reader::BodyReader;
pub use writer::BodyWriter;

/// The first line of a body.
const HEADER: &str = "[DIRSYNC-TRANSACTIONS]";
/// What the last line of a body begins with; the count of transactions follows.
const TRAILER: &str = "[END] ";

/// The kind that an `A` leaves out.
const USUAL_KIND: &str = "mailbox";

/// Longest line of a body, in bytes without its LF.
pub const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest transaction with its detail lines, in bytes.
pub const TRANSACTION_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most transactions of a body.
pub const TRANSACTIONS_MAX: u64 = 1 << 24;

/// Whether an entry of this content can be written to a body, whatever its key, numbers and origins
/// are. What a body brought may be more, as a body repeats neither a number that follows nor an origin.
pub fn fits_a_body(record: RecordRef<'_>) -> bool {
    const BESIDE_BYTES_MAX: usize = 4096;
    let line = record.kind.len() + record.name.len() + record.addresses.len() + BESIDE_BYTES_MAX;
    if line + 2 * record.details.len() <= LINE_BYTES_MAX {
        return true;
    }
    let mut lines = record.details.split_inclusive('\n');
    let details = record.details.len() + lines.clone().count();
    line <= LINE_BYTES_MAX
        && line + details <= TRANSACTION_BYTES_MAX
        && lines.all(|line| line.len() <= LINE_BYTES_MAX)
}
