//! What a requestor may see, as the command line says it and as people read it.

use std::ops::ControlFlow;

use dirsync_directory::View;
use dirsync_message::SrvSeq;
use dirsync_protocol::tables::{Numbered, Stored, Tables};
use serde_json::{Value, json};

use crate::cli::{LiftArgs, ViewArgs};
use crate::failure::{Failure, Result};
use crate::words::shown;

/// The view of which only the named parts are limited.
pub fn named(arguments: &ViewArgs) -> Result<View> {
    let mut text = String::new();
    let mut line = |word: &str, values: Vec<String>| {
        if !values.is_empty() {
            text.push_str(&format!("{word}\t{}\n", values.join("\t")));
        }
    };
    line("types", arguments.types.clone());
    line("origins", arguments.origins.iter().map(ToString::to_string).collect());
    line("kinds", arguments.kinds.iter().map(ToString::to_string).collect());
    line("attributes", arguments.attributes.clone());
    line("filter", arguments.filter.iter().map(|f| dirsync_directory::escape(f).into()).collect());
    let view = text.parse().map_err(Failure::usage)?;
    within_limits(view)
}

/// The view, unless it is larger than one that may be allowed.
pub fn within_limits(view: View) -> Result<View> {
    view.check_size().map_err(Failure::usage)?;
    Ok(view)
}

/// The parts that are named take the place of those before; all others stay.
pub fn changed(before: &View, named: View) -> View {
    let before = before.clone();
    View {
        types: named.types.or(before.types),
        origins: named.origins.or(before.origins),
        kinds: named.kinds.or(before.kinds),
        filter: named.filter.or(before.filter),
        attributes: named.attributes.or(before.attributes),
    }
}

/// Takes away the limits for which a word was said.
pub fn lifted(mut view: View, lift: &LiftArgs) -> View {
    let LiftArgs { all_types, all_origins, all_kinds, all_attributes, no_filter, everything } =
        *lift;
    if all_types || everything {
        view.types = None;
    }
    if all_origins || everything {
        view.origins = None;
    }
    if all_kinds || everything {
        view.kinds = None;
    }
    if all_attributes || everything {
        view.attributes = None;
    }
    if no_filter || everything {
        view.filter = None;
    }
    view
}

/// A view, and how many published entries it shows now.
pub struct Seen {
    view: View,
    entries: u64,
}

impl Seen {
    /// Counts the entries that a view shows.
    pub fn of(tables: &mut dyn Tables, view: View) -> Stored<Self> {
        let mut entries = 0;
        let head = tables.server()?.map_or(SrvSeq(0), |server| server.head);
        tables.visit_numbered(SrvSeq(0), head, &mut |numbered| {
            if let Numbered::Published(row) = numbered {
                let record = row.published_record();
                let seen = record.is_some_and(|record| view.shows(&row.origin, record));
                entries += u64::from(seen);
            }
            ControlFlow::Continue(())
        })?;
        Ok(Self { view, entries })
    }

    /// For people, on one line.
    pub fn words(&self) -> String {
        let lines: Vec<String> = self.view.to_string().lines().map(words_of).collect();
        let view = if lines.is_empty() { "everything".to_owned() } else { lines.join("; ") };
        format!("{view} ({} entries)", self.entries)
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        json!({ "view": self.view.to_string(), "entries": self.entries })
    }
}

fn words_of(line: &str) -> String {
    let words = line.split('\t').map(|word| dirsync_directory::unescape(word).unwrap_or_default());
    shown(&words.collect::<Vec<_>>().join(" "))
}
