//! Views in words.

use dirsync_directory::shown;
use dirsync_postoffice::view::Unmatched;

/// A value of a view that no entry has.
pub fn unmatched(unmatched: &Unmatched) -> String {
    let Unmatched { part, value, nearest } = unmatched;
    let value = shown(value);
    let meant = match nearest {
        Some(name) => format!("; did you mean \"{}\"?", shown(name)),
        None => String::new(),
    };
    match *part {
        "filter" => format!("the filter {value} matches no entry now"),
        part => format!("the view's {part}: no entry has \"{value}\" now{meant}"),
    }
}
