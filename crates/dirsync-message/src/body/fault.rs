//! Why a body is refused.

use std::io;

use thiserror::Error;

use super::{LINE_BYTES_MAX, TRANSACTION_BYTES_MAX, TRANSACTIONS_MAX};

/// A body that could not be read, or is refused. Nothing of it may be kept.
#[derive(Debug, Error)]
pub enum BodyError {
    /// Its bytes could not be had; trying again may help.
    #[error("could not read the message body after line {line}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// What the operating system, or the unpacker, said.
        source: io::Error,
    },
    /// It is no whole body; the sender makes it again.
    #[error("the message body is refused at line {line}, column {column}, {text:?}: {fault}")]
    Refused {
        /// The line, from 1.
        line: u64,
        /// The column, from 1, in bytes.
        column: usize,
        /// The beginning of the line.
        text: String,
        /// What is wrong there.
        fault: BodyFault,
    },
}

/// What is wrong with a body as a whole.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BodyFault {
    /// The first line is another.
    #[error("a body begins with the line [DIRSYNC-TRANSACTIONS]")]
    Header,
    /// The text ends before its trailer.
    #[error("the text ends before the line [END]")]
    Truncated,
    /// A CR before the LF: something on the way rewrote the line ends.
    #[error("the line ends with CR LF instead of LF")]
    CarriageReturn,
    /// A line over [`LINE_BYTES_MAX`].
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    LineLength,
    /// A transaction over [`TRANSACTION_BYTES_MAX`].
    #[error("the transaction is longer than {TRANSACTION_BYTES_MAX} bytes")]
    TransactionLength,
    /// More transactions than [`TRANSACTIONS_MAX`].
    #[error("a body has at most {TRANSACTIONS_MAX} transactions")]
    Transactions,
    /// The bytes are not UTF-8.
    #[error("the bytes are not UTF-8")]
    Utf8,
    /// The line begins like none that may stand here.
    #[error("no line that may stand here begins like this")]
    Line,
    /// The number is not written in its one form.
    #[error(
        "a number from 1 and below 2^62 without leading zeros is expected, or none when it is the \
         next one"
    )]
    Number,
    /// The number does not follow the one before it.
    #[error("the numbers do not increase: {previous} stands before")]
    NumberOrder {
        /// The number before.
        previous: u64,
    },
    /// The change stamp is not written in its one form.
    #[error("@+N or @-N is expected, or nothing when the change stamp is one more than the last")]
    Stamp,
    /// The change stamp is below 0 or not below 2^62.
    #[error("the change stamp is below 0 or not below 2^62")]
    StampRange,
    /// No code of a transaction stands there.
    #[error("A, M or D is expected after a blank")]
    Code,
    /// The usual kind is stated, which is left out.
    #[error("the kind mailbox is left out")]
    KindStated,
    /// The key cannot be read.
    #[error("a key needs 1 to 256 bytes without controls, in its one escaped form")]
    Key,
    /// The id cannot be read.
    #[error("an entry id has 32 lower case hexadecimal digits, and nothing follows it")]
    Id,
    /// An address is the empty text.
    #[error("a name or an address between two tabs is expected")]
    EmptyField,
    /// The origin cannot be read.
    #[error("*NETWORK/POSTOFFICE is expected, then a tab and the first origin if it is another")]
    Origin,
    /// The origin stands already, or nothing follows the one before.
    #[error("an origin stands once before its transactions, and no other follows at once")]
    OriginIdle,
    /// No origin stands before the transaction.
    #[error("no line *NETWORK/POSTOFFICE stands before the transaction")]
    NoOrigin,
    /// A line under a deletion.
    #[error("a deletion has no further lines")]
    DeletionLines,
    /// The trailer cannot be read.
    #[error("[END] and the number of transactions are expected")]
    Trailer,
    /// The trailer counts other transactions than stand there.
    #[error("{read} transactions stand before the trailer, not as many as it says")]
    Count {
        /// How many were read.
        read: u64,
    },
    /// Something follows the trailer.
    #[error("nothing may follow the trailer")]
    AfterTrailer,
    /// The body was refused before.
    #[error("an earlier line was refused")]
    Refused,
}
