//! Requests (T1) and updates (T2): their content, and the text in which they travel.
//!
//! A message consists of a *head* and a *body*. The head is small and has one addressee: it states
//! who writes, where both sides stand, and the digests. The body is a stream of numbered
//! transactions, and is shared by all addressees that need the same ones. The grammar of both is in
//! `docs/message-format.md`. Printing and parsing are exact inverses: a message has one text, and
//! any other is refused.
//!
//! This crate keeps no state and does not decide what a message means; `dirsync-protocol` does. It
//! opens no files either: `dirsync-carrier` puts a message into an envelope and delivers it.
//!
//! Begin with [`Head`], which is a [`Request`] or an [`Update`]. [`BodyReader`] reads the transactions
//! after it, and [`BodyWriter`] writes them.
//!
//! ```
//! use dirsync_message::{BodyReader, Change};
//!
//! # fn main() -> Result<(), dirsync_message::BodyError> {
//! let text = "[DIRSYNC-TRANSACTIONS]\n*NORTH/HQ\n\
//!             41@+1767225600000 A 4711\tAna Souza\tSMTP:ana@north.example\n\
//!             [END] 1\n";
//! let mut body = BodyReader::new(text.as_bytes());
//! let mut names = Vec::new();
//! while let Some(transaction) = body.next()? {
//!     if let Change::Whole(record) = transaction.change {
//!         names.push(format!("{}: {}", transaction.number, record.name));
//!     }
//! }
//! // Only after `None` is the body known to be whole.
//! assert_eq!(names, ["41: Ana Souza"]);
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

mod body;
mod epoch;
mod head;
mod number;
mod point;
mod request;
mod text;
mod transaction;
mod update;
mod version;

pub use body::{
    BodyError, BodyFault, BodyReader, BodyWriter, LINE_BYTES_MAX, TRANSACTION_BYTES_MAX,
    TRANSACTIONS_MAX, fits_a_body,
};
pub use epoch::{
    Challenge, Evidence, GENERATION_MAX, Instance, ParseTokenError, ReqEpoch, RequestId,
    ServerEpoch,
};
pub use head::{HEAD_BYTES_MAX, Head, HeadError, HeadErrorKind, LINEAGE_MAX, PROGRAM_BYTES_MAX};
pub use number::{Mark, NUMBER_MAX, ReqSeq, RequestNo, SrvSeq, Stamp};
pub use point::{ParsePointError, SyncPoint};
pub use request::{Health, OwnPart, Request, RequestKind};
pub use transaction::{Change, Transaction};
pub use update::{
    Body, BodyKind, OFFERS_BYTES_MAX, OFFERS_MAX, OUTCOMES_BYTES_MAX, OUTCOMES_MAX, Offer, Outcome,
    OutcomeKind, Own, REASON_BYTES_MAX, Side, Update,
};
pub use version::FormatVersion;
