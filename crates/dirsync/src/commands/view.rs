//! What a requestor may see, as the command line says it and as people read it.

use dirsync_directory::{View, ViewError};
use dirsync_postoffice::view::{Lifted, Seen, Unmatched, ViewChange, within_limits};

use crate::cli::{LiftArgs, ViewArgs};
use crate::failure::{Failure, Result};
use crate::words::view::unmatched as unmatched_words;
use crate::words::{plural, shown};

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
    let view = text.parse().map_err(|error| match error {
        // The lines are made here; only the values are the person's.
        ViewError::Line { reason, .. } => Failure::usage(reason),
        error => Failure::usage(error),
    })?;
    within_limits(view)
}

/// The change that is named.
pub fn change(view: &ViewArgs, lift: LiftArgs) -> Result<ViewChange> {
    let LiftArgs { all_types, all_origins, all_kinds, all_attributes, no_filter, everything } =
        lift;
    let lifted = Lifted {
        types: all_types || everything,
        origins: all_origins || everything,
        kinds: all_kinds || everything,
        attributes: all_attributes || everything,
        filter: no_filter || everything,
    };
    Ok(ViewChange { named: named(view)?, lifted })
}

/// What a requestor may see, for people, on one line.
pub fn words(seen: &Seen) -> String {
    format!("{} ({} of {})", limits(&seen.view), seen.entries, plural(seen.of, "entry", "entries"))
}

/// The limits of a view, on one line.
pub fn limits(view: &View) -> String {
    let lines: Vec<String> = view.to_string().lines().map(words_of).collect();
    if lines.is_empty() { "everything".to_owned() } else { lines.join("; ") }
}

fn words_of(line: &str) -> String {
    let words = line.split('\t').map(|word| dirsync_directory::unescape(word).unwrap_or_default());
    shown(&words.collect::<Vec<_>>().join(" "))
}

/// Warns of the values that no entry has.
pub fn warn(unmatched: &[Unmatched]) {
    unmatched.iter().for_each(|one| eprintln!("warning: {}", unmatched_words(one)));
}
