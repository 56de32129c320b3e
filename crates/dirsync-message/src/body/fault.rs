//! Errors of bodies.

use std::io;

use thiserror::Error;

use super::{LINE_BYTES_MAX, TRANSACTION_BYTES_MAX, TRANSACTIONS_MAX};

/// A body that could not be read, or was refused. Nothing of it may be kept.
#[derive(Debug, Error)]
pub enum BodyError {
    /// Reading the bytes failed. Trying again may help.
    #[error("could not read the message body after line {line}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// The error of the operating system or the decompressor.
        source: io::Error,
    },
    /// The text is not a whole body. The sender's next message brings its content again.
    #[error("the message body is refused at line {line}, column {column}, {text:?}: {fault}")]
    Refused {
        /// The line, from 1.
        line: u64,
        /// The column, from 1, in bytes.
        column: usize,
        /// The beginning of the line.
        text: String,
        /// The problem at this place.
        fault: BodyFault,
    },
}

/// Why a body is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BodyFault {
    /// The first line is not that of a body.
    #[error("a body begins with the line [DIRSYNC-TRANSACTIONS]")]
    Header,
    /// The text ends before its trailer.
    #[error("the text ends before the line [END]")]
    Truncated,
    /// A line ends with CR LF: a program on the way has converted the line ends.
    #[error("the line ends with CR LF instead of LF")]
    CarriageReturn,
    /// A line is longer than [`LINE_BYTES_MAX`].
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    LineLength,
    /// A transaction is longer than [`TRANSACTION_BYTES_MAX`].
    #[error("the transaction is longer than {TRANSACTION_BYTES_MAX} bytes")]
    TransactionLength,
    /// There are more transactions than [`TRANSACTIONS_MAX`].
    #[error("a body has at most {TRANSACTIONS_MAX} transactions")]
    Transactions,
    /// The bytes are not UTF-8.
    #[error("the bytes are not UTF-8")]
    Utf8,
    /// The line begins with a character with which no line may begin here.
    #[error("no line of a body may begin like this here")]
    Line,
    /// The number is not in its one form.
    #[error(
        "a number from 1 and below 2^62 without leading zeros is expected, or no number if it is the \
         next one"
    )]
    Number,
    /// The number does not follow the one before it.
    #[error("the number is not larger than {previous}, the one before it")]
    NumberOrder {
        /// The number before.
        previous: u64,
    },
    /// The change stamp is not in its one form.
    #[error("@+N or @-N is expected, or nothing if the change stamp is one more than the last")]
    Stamp,
    /// The change stamp is below 0 or not below 2^62.
    #[error("the change stamp is below 0 or not below 2^62")]
    StampRange,
    /// There is no code of a transaction.
    #[error("A, M or D is expected after a blank")]
    Code,
    /// The usual kind is stated, but has to be left out.
    #[error("the kind mailbox has to be left out")]
    KindStated,
    /// The key cannot be read.
    #[error("a key has 1 to 256 bytes, no control characters, and one escaped form")]
    Key,
    /// The id cannot be read.
    #[error("an entry id has 32 lower case hexadecimal digits, and nothing follows it")]
    Id,
    /// A name or an address is empty.
    #[error("a name or an address between two tabs is expected")]
    EmptyField,
    /// The origin cannot be read.
    #[error(
        "*NETWORK/POSTOFFICE is expected, then a tab and the first origin if it is another postoffice"
    )]
    Origin,
    /// The origin is the same as before, or the one before it had no transactions.
    #[error("an origin line has to change the origin, and a transaction has to follow it")]
    OriginIdle,
    /// There is no origin before the transaction.
    #[error("there is no line *NETWORK/POSTOFFICE before the transaction")]
    NoOrigin,
    /// A detail or release line follows a deletion.
    #[error("a deletion has no further lines")]
    DeletionLines,
    /// The trailer cannot be read.
    #[error("[END] and the number of transactions are expected")]
    Trailer,
    /// The count in the trailer is wrong.
    #[error("{read} transactions come before the trailer, which states another number")]
    Count {
        /// The number of transactions that were read.
        read: u64,
    },
    /// Something follows the trailer.
    #[error("nothing may follow the trailer")]
    AfterTrailer,
    /// The body was refused already, and is read on all the same.
    #[error("an earlier line was refused")]
    Refused,
}
