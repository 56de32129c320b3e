//! The JSON documents that commands print. `docs/json.md` is made from their types.

use dirsync_postoffice::entries::ShownEntry;
use dirsync_postoffice::forecast::Forecast;
use dirsync_postoffice::held::Decided;
use dirsync_postoffice::maps;
use dirsync_postoffice::places::PlaceStatus;
use dirsync_postoffice::runs::{Undone, WentOn};
use dirsync_postoffice::server::{Recovery, RenewedLog};
use dirsync_postoffice::status::Status;
use dirsync_postoffice::transfers::Offered;
use dirsync_postoffice::why::Why;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::{
    check, demo, entry, glossary, held, import, init, key, listing, log, message, probe,
    quarantine, requestor, restore, server, steps, waiting,
};
use crate::failure::FailureDocument;
use crate::output::{visible_json, visible_json_line};

#[cfg(test)]
mod reference;

/// A document of `docs/json.md`.
pub trait Document: Serialize + JsonSchema {}

/// Prints a document in place of words for people.
pub fn print(document: &impl Document) {
    println!("{}", text_of(document));
}

/// A long list in a document. Its items are printed one by one, so that they are never all in memory.
pub struct Items {
    end: String,
    before: Option<String>,
}

impl Items {
    /// Prints a document up to a list, which is empty in it, and begins the list.
    pub fn of(document: &impl Document, list: &str) -> Self {
        let text = text_of(document);
        let opening = format!("\"{list}\": [");
        let (start, end) = text.split_once(&opening).unwrap_or((&text, ""));
        println!("{start}{opening}");
        Self { end: end.to_owned(), before: None }
    }

    /// Begins a document that is a list.
    pub fn list() -> Self {
        println!("[");
        Self { end: "]".to_owned(), before: None }
    }

    /// Prints an item.
    pub fn print(&mut self, item: &impl Serialize) {
        if let Some(before) = self.before.replace(text_of(item)) {
            println!("{before},");
        }
    }

    /// Ends the list, and prints the rest of the document.
    pub fn end(self) {
        println!("{}{}", self.before.unwrap_or_default(), self.end);
    }
}

fn text_of(value: &impl Serialize) -> String {
    visible_json(&serde_json::to_value(value).expect("the keys of documents are texts"))
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
    ["import"] => import::Imported,
    ["requestor list"] => Vec<requestor::Registration>,
    ["requestor show"] => requestor::Registration,
    ["requestor add"] => requestor::Invited,
    ["requestor set"] => requestor::ViewChanged,
    ["requestor suspend", "requestor resume"] => requestor::Decided,
    ["requestor remove"] => requestor::Removed,
    ["carrier test", "requestor test"] => probe::Tested,
    ["carrier list", "carrier set"] => Vec<PlaceStatus>,
    ["rejoin"] => server::Rejoined,
    ["moved"] => server::Moved,
    ["server promote"] => server::Promoted,
    ["server recover"] => Recovery,
    ["server renew-log"] => RenewedLog,
    ["send", "process", "apply", "cycle"] => steps::Steps,
    ["export"] => listing::Exported,
    ["log"] => Vec<log::Line>,
    ["log RUN"] => log::RunChanges,
    ["undo"] => Undone,
    ["undo --go-on"] => WentOn,
    ["map list"] => Vec<maps::BuiltInMap>,
    ["map show"] => maps::MapText,
    ["map test"] => maps::MapTest,
    ["held list"] => held::List,
    ["held approve", "held reject"] => Decided,
    ["entry add", "entry modify", "entry delete", "entry release", "entry claim WHO"] => entry::Changed,
    ["entry claim"] => Vec<Offered>,
    ["entry list"] => Vec<ShownEntry>,
    ["entry show"] => ShownEntry,
    ["waiting"] => waiting::List,
    ["why"] => Why,
    ["quarantine list"] => Vec<quarantine::Case>,
    ["quarantine show"] => quarantine::Case,
    ["quarantine retry", "quarantine drop"] => quarantine::Closed,
    ["status"] => Status,
    ["run --dry-run"] => Vec<Forecast>,
    ["words"] => Vec<glossary::Word>,
    ["check"] => check::Findings,
    ["key show", "key rotate"] => key::Keys,
    ["message show"] => message::Message,
    ["backup"] => restore::BackedUp,
    ["restore"] => restore::Restored,
    ["demo"] => demo::Proof,
}
