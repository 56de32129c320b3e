//! The columns of a map that no row had, where columns are not known before the rows are read.

use std::collections::BTreeSet;

use super::nearest;

/// The most names of other columns that are remembered.
const OTHERS_MAX: usize = 200;

/// The columns of a map, and whether a row had them.
pub(crate) struct Unseen {
    names: Vec<String>,
    seen: Vec<bool>,
    /// Columns of the rows, among which a mistyped one may be found.
    others: BTreeSet<String>,
    lenient: bool,
}

impl Unseen {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>, lenient: bool) -> Self {
        let names: Vec<String> = names.map(str::to_owned).collect();
        Self { seen: vec![false; names.len()], names, others: BTreeSet::new(), lenient }
    }

    /// Notes that a row has the column with this number.
    pub(crate) fn see(&mut self, number: usize) {
        if let Some(seen) = self.seen.get_mut(number) {
            *seen = true;
        }
    }

    /// Remembers a column of a row.
    pub(crate) fn remember(&mut self, name: &str) {
        if self.others.len() < OTHERS_MAX && !self.others.contains(name) {
            self.others.insert(name.to_owned());
        }
    }

    /// Adds a note for each column that no row had. It is a warning if a similar one occurred, because then
    /// it is most likely mistyped.
    pub(crate) fn summarize(&self, what: &str, notes: &mut Vec<String>) {
        let unseen = self.names.iter().zip(&self.seen).filter(|(_, seen)| !**seen);
        for (name, _) in unseen.filter(|_| !self.lenient) {
            let base = name.split([';', '.']).next().unwrap_or(name);
            let others = self.others.iter().map(String::as_str);
            notes.push(
                match nearest(base, others).filter(|near| !near.eq_ignore_ascii_case(base)) {
                    Some(near) => format!(
                        "warning: {what} \"{name}\", which the map names; did you mean \"{near}\"?"
                    ),
                    None => format!("{what} \"{name}\", which the map names"),
                },
            );
        }
    }
}
