//! What is tried with bytes from outside: one plain function for each parser, each a claim that
//! holds for every input.
//!
//! `fuzz/` gives these functions to libFuzzer; `tests/corpus.rs` runs them in seconds over the
//! corpus and mutations of it. A function returns when the claim holds and panics when it does not.
#![deny(missing_docs)]

mod bytes;
mod check;
mod envelopes;
mod messages;
mod scratch;
mod settings;
mod sources;
mod steps;
mod texts;

pub use envelopes::{envelope, file_name};
pub use messages::{body, head};
pub use settings::{config, decision, invitation, map, schedule};
pub use sources::{cell, csv, dn, guid, ldif, vcard};
pub use steps::{steps, steps_sqlite};
pub use texts::{filter, names, record, tokens, view};

/// One function to be given bytes, and its name: that of its folder in `fuzz/corpus`.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The claim.
    pub run: fn(&[u8]),
}

/// Every target; `tests/corpus.rs` compares the names with what lies in `fuzz/`.
pub const TARGETS: [Target; 22] = [
    Target { name: "body", run: body },
    Target { name: "cell", run: cell },
    Target { name: "config", run: config },
    Target { name: "csv", run: csv },
    Target { name: "decision", run: decision },
    Target { name: "dn", run: dn },
    Target { name: "envelope", run: envelope },
    Target { name: "file_name", run: file_name },
    Target { name: "filter", run: filter },
    Target { name: "guid", run: guid },
    Target { name: "head", run: head },
    Target { name: "invitation", run: invitation },
    Target { name: "ldif", run: ldif },
    Target { name: "map", run: map },
    Target { name: "names", run: names },
    Target { name: "record", run: record },
    Target { name: "schedule", run: schedule },
    Target { name: "steps", run: steps },
    Target { name: "steps_sqlite", run: steps_sqlite },
    Target { name: "tokens", run: tokens },
    Target { name: "vcard", run: vcard },
    Target { name: "view", run: view },
];
