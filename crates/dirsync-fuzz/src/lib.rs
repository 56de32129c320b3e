//! Fuzz targets: a function for each parser of bytes from outside.
//!
//! Each function makes a claim that holds for every input. It returns if the claim holds, and
//! panics if it does not. `fuzz/` passes these functions to libFuzzer, and `tests/corpus.rs` runs
//! them in seconds over the corpus and mutations of it.
//!
//! Nothing of this crate is shipped. Begin with [`TARGETS`], the list of all functions.
#![deny(missing_docs)]

mod bytes;
mod check;
mod file_names;
mod link;
mod mail;
mod messages;
mod scratch;
mod sealed;
mod settings;
mod sources;
mod steps;
mod texts;

pub use file_names::file_name;
pub use link::link;
pub use mail::{bounce, mail, tnef};
pub use messages::{body, head};
pub use sealed::{fragment, key_statement, sealed_message, signal};
pub use settings::{config, decision, invitation, map, schedule};
pub use sources::{cell, csv, dn, guid, ldif, vcard};
pub use steps::{steps, steps_sqlite};
pub use texts::{filter, names, record, tokens, view};

/// A fuzz target.
pub struct Target {
    /// The name, which is that of its folder in `fuzz/corpus`, too.
    pub name: &'static str,
    /// The function that makes the claim.
    pub run: fn(&[u8]),
}

/// All targets. `tests/corpus.rs` compares their names with the files in `fuzz/`.
pub const TARGETS: [Target; 29] = [
    Target { name: "body", run: body },
    Target { name: "bounce", run: bounce },
    Target { name: "cell", run: cell },
    Target { name: "config", run: config },
    Target { name: "csv", run: csv },
    Target { name: "decision", run: decision },
    Target { name: "dn", run: dn },
    Target { name: "file_name", run: file_name },
    Target { name: "filter", run: filter },
    Target { name: "fragment", run: fragment },
    Target { name: "guid", run: guid },
    Target { name: "head", run: head },
    Target { name: "invitation", run: invitation },
    Target { name: "key_statement", run: key_statement },
    Target { name: "ldif", run: ldif },
    Target { name: "mail", run: mail },
    Target { name: "link", run: link },
    Target { name: "map", run: map },
    Target { name: "names", run: names },
    Target { name: "record", run: record },
    Target { name: "schedule", run: schedule },
    Target { name: "sealed_message", run: sealed_message },
    Target { name: "signal", run: signal },
    Target { name: "steps", run: steps },
    Target { name: "steps_sqlite", run: steps_sqlite },
    Target { name: "tnef", run: tnef },
    Target { name: "tokens", run: tokens },
    Target { name: "vcard", run: vcard },
    Target { name: "view", run: view },
];
