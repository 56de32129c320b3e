//! Message text: what a request (T1) and an update (T2) say, and how it is written.
//!
//! A message is a *head* (small, per addressee: who, positions, digests) and a *body*
//! (`[DIRSYNC-TRANSACTIONS]`, shared by all addressees that lack the same). The grammar stands in
//! `docs/message-format.md`. Parsing and printing are exact inverses.
//!
//! *Never:* state. What a message means is decided in `dirsync-protocol`.
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
    Challenge, GENERATION_MAX, Instance, ParseTokenError, ReqEpoch, RequestId, ServerEpoch,
};
pub use head::{
    HEAD_BYTES_MAX, Head, HeadError, HeadErrorKind, LINEAGE_MAX, PROGRAM_BYTES_MAX,
    PUBLIC_KEY_BYTES_MAX,
};
pub use number::{Mark, NUMBER_MAX, ReqSeq, RequestNo, SrvSeq, Stamp};
pub use point::{ParsePointError, SyncPoint};
pub use request::{Admission, Health, OwnPart, Request, RequestKind};
pub use transaction::{Change, Transaction};
pub use update::{
    Body, BodyKind, OFFERS_BYTES_MAX, OFFERS_MAX, OUTCOMES_BYTES_MAX, OUTCOMES_MAX, Offer, Outcome,
    OutcomeKind, Own, REASON_BYTES_MAX, Side, Update,
};
pub use version::FormatVersion;
