//! The JSON documents that commands print. `docs/json.md` is made from their types.

use dirsync_postoffice::server::{Recovery, RenewedLog};
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::{
    check, demo, init, listing, log, message, quarantine, requestor, restore, server, steps,
};
use crate::failure::FailureDocument;
use crate::output::{visible_json, visible_json_line};

#[cfg(test)]
mod reference;

/// A document of `docs/json.md`.
pub trait Document: Serialize + JsonSchema {}

/// Prints a document in place of words for people.
pub fn print(document: &impl Document) {
    let value = serde_json::to_value(document).expect("the keys of documents are texts");
    println!("{}", visible_json(&value));
}

/// A document on one line.
pub fn line(document: &impl Serialize) -> String {
    let value = serde_json::to_value(document).expect("the keys of documents are texts");
    visible_json_line(&value)
}

/// Names the commands that print each type.
macro_rules! documents {
    ($($commands:expr => $document:ty,)*) => {
        $(impl Document for $document {})*

        /// All documents, with the commands that print them.
        #[cfg(test)]
        fn all() -> Vec<(&'static [&'static str], schemars::Schema)> {
            vec![$((&$commands as &[&str], schemars::schema_for!($document))),*]
        }
    };
}

documents! {
    ["every command that fails"] => FailureDocument,
    ["init"] => init::Founded,
    ["config check"] => init::Checked,
    ["requestor add"] => requestor::Invited,
    ["requestor set"] => requestor::ViewChanged,
    ["requestor suspend", "requestor resume"] => requestor::Decided,
    ["requestor remove"] => requestor::Removed,
    ["rejoin"] => server::Rejoined,
    ["moved"] => server::Moved,
    ["server promote"] => server::Promoted,
    ["server recover"] => Recovery,
    ["server renew-log"] => RenewedLog,
    ["send", "process", "apply", "cycle"] => steps::Steps,
    ["export"] => listing::Exported,
    ["log"] => Vec<log::Line>,
    ["quarantine list"] => Vec<quarantine::Case>,
    ["quarantine show"] => quarantine::Case,
    ["quarantine retry", "quarantine drop"] => quarantine::Closed,
    ["check"] => check::Findings,
    ["message show"] => message::Message,
    ["backup"] => restore::BackedUp,
    ["restore"] => restore::Restored,
    ["demo"] => demo::Proof,
}
