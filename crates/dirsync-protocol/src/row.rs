//! The rows of the decision tables, by their names in `docs/protocol.md`.
//!
//! Every log line names the row that was taken, so a reader of a log finds the decision in the page, and a
//! reader of the page finds it in the code.

use std::fmt;

macro_rules! rows {
    ($($name:ident: $text:literal,)+) => {
        /// A row of the decision tables in `docs/protocol.md`, or the step that says something of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Row {
            $(#[doc = $text] $name,)+
        }

        impl Row {
            /// All rows, in the order of the page.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in the page and in the log, e.g. `S13c`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

rows! {
    T0: "A change is made: a source is read, or somebody writes by hand.",
    T1: "A requestor sends.",
    T2: "The server processes requests and answers them.",
    T3: "A requestor applies updates, and targets are written.",
    F3: "First contact without a proof is refused.",
    F5: "First contact with the right proof: the key is pinned.",
    F6: "Another machine has the name.",
    F7: "The invitation has expired.",
    F8: "The sender is not invited.",
    K1: "The sender has changed its key.",
    S1: "This server was replaced.",
    S2: "The sender is not registered.",
    S3: "The sender was removed.",
    S3a: "The sender is suspended.",
    S4a: "The sender claims a newer epoch without evidence.",
    S4: "The sender heard a newer epoch of another instance.",
    S5: "The sender heard a newer epoch of this instance.",
    S5a: "It is the third newer epoch of this instance within five weeks: a copy of this server runs.",
    S6: "No epoch of the sender is known.",
    S7: "The sender's epoch is retired, or does not descend from the accepted one.",
    S8: "A new epoch answers the challenge with a full export.",
    S9: "A new epoch is challenged.",
    S10a: "The request's number was used for another request.",
    S10: "The request was taken before.",
    S11: "The sender asks for its own entries.",
    S12: "A full export of the accepted epoch.",
    S13a: "A delta begins after a change that is not held.",
    S13b: "A change is older than the version held.",
    S13c: "The digest of the own entries would differ.",
    S13d: "A delta is taken.",
    S14a: "The sender claims a point that was never issued, without evidence.",
    S14: "The sender's point was issued in a time that is lost.",
    S15: "The sender has spoken in this epoch.",
    G1: "Too many deletions are held for a person.",
    P12: "Entries wait for an address that another one holds.",
    B1: "The requestor's list holds nothing.",
    B2: "The requestor's list is at a point that can be continued.",
    B3: "The server recovers, and the list stays as it is.",
    B4: "The list is repaired or replaced.",
    R1: "The server's epoch is older than one that was heard.",
    R2: "The server's epoch is new.",
    R3: "The update is for another epoch of this postoffice.",
    R4: "This postoffice is fenced, or was removed.",
    R4a: "The server does not take the requests, and says why.",
    R5: "The update answers an older request.",
    R6: "The update answers a request that was not sent from here.",
    R7: "The update brings the own entries that the server holds.",
    R8: "The server acknowledges a change that was not made here.",
    R9: "The server acknowledges own changes.",
    R10: "The update brings no list.",
    R11: "A replace that does not fit.",
    R12: "A first fill, or a part of one, that does not fit.",
    R13: "A delta from another epoch or view.",
    R14: "A delta that leaves a gap.",
    R15: "A delta across epochs that does not fit exactly.",
    R16: "A delta that the list has already.",
    R17: "The list is updated.",
    R18: "The list would not match its digest.",
    V1: "The list differs from the sums that were kept of it.",
    A1: "A postoffice is removed.",
    A1a: "The removal of a postoffice is taken back.",
    A2: "A new epoch of the server begins.",
    A3: "A person ends the recovery.",
    A4: "A person says that this machine stays.",
    A5: "The log of decisions is carried out.",
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
