//! The steps of a postoffice: T0 to T3 around the protocol, generic over store, carrier and clock,
//! and Dispatch around the steps.
//!
//! *Never:* message syntax (`dirsync-message`), or a decision of the protocol.
#![deny(missing_docs)]

pub mod alarm;
pub mod changes;
pub mod decisions;
pub mod dispatch;
pub mod exchange;
pub mod export;
pub mod founding;
pub mod intake;
pub mod json;
pub mod known_peers;
pub mod notes;
pub mod peers;
pub mod probes;
pub mod restoring;
pub mod route;
mod rows_ahead;
pub mod schedule;
pub mod sealing;
pub mod step;
pub mod taken;
pub mod trouble;
pub mod waiting;
