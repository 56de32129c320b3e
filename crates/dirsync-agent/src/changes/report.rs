//! The result of reading a source: counts, and examples of them.

use std::collections::BTreeMap;

/// The most examples of each kind in a report.
const EXAMPLES_MAX: usize = 1000;

/// A count of a read that has examples. The order is that of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExampleKind {
    /// [`ReadReport::added`].
    Added,
    /// [`ReadReport::changed`].
    Changed,
    /// [`ReadReport::held`] and [`ReadReport::held_removals`].
    Held,
    /// [`ReadReport::removed`].
    Removed,
    /// [`ReadReport::unclaimed`].
    Unclaimed,
    /// [`ReadReport::without_address`].
    WithoutAddress,
}

impl ExampleKind {
    /// The word by which scripts know it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Held => "held",
            Self::Removed => "removed",
            Self::Unclaimed => "unclaimed",
            Self::WithoutAddress => "without_address",
        }
    }
}

/// An entry that a count has counted, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The key.
    pub key: String,
    /// The display name.
    pub name: String,
}

/// Adds an example, unless there are enough of its kind.
pub(super) fn add_example<K: Ord>(
    examples: &mut BTreeMap<K, Vec<Example>>,
    kind: K,
    key: &str,
    name: &str,
) {
    let examples = examples.entry(kind).or_default();
    if examples.len() < EXAMPLES_MAX {
        examples.push(Example { key: key.to_owned(), name: name.to_owned() });
    }
}

/// A row that is quarantined, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its line in the file.
    pub line: u64,
    /// The key; empty if none could be read.
    pub subject: String,
    /// The reason.
    pub reason: String,
}

/// Changes that were undone, and that a read asks for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedAgain {
    /// The run that undid them, the newest if there are several.
    pub run: u64,
    /// Number of entries.
    pub entries: u64,
}

/// The result of a read: rows = unchanged + added + changed + foreign + without_address + quarantined + held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// Rows read.
    pub rows: u64,
    /// Rows that equal their entry.
    pub unchanged: u64,
    /// Rows that made a new entry.
    pub added: u64,
    /// Rows that changed their entry.
    pub changed: u64,
    /// Of the rows that made or changed an entry, those that took over an entry on offer.
    pub claimed: u64,
    /// Rows of other origins, skipped.
    pub foreign: u64,
    /// Rows without any address. They stand for no entry, and nobody has to look at them.
    pub without_address: u64,
    /// Rows that the map left out. They are not among the rows.
    pub left_out: u64,
    /// Rows that could not be used.
    pub quarantined: u64,
    /// The first of these rows.
    pub bad_rows: Vec<BadRow>,
    /// Rows whose change waits for a person.
    pub held: u64,
    /// Entries deleted.
    pub removed: u64,
    /// Deletions that wait for a person.
    pub held_removals: u64,
    /// Absent entries that were not deleted, because the read cannot tell which are absent.
    pub absent_kept: u64,
    /// Entries that no source names, because a merge brought them back or their source left the settings.
    /// They wait for a person.
    pub unclaimed: u64,
    /// The source is held, because the read asks again for what was undone. Nothing of the read was taken: its
    /// changes count as held.
    pub undone: Option<AskedAgain>,
    /// Warnings for the administrator.
    pub warnings: Vec<String>,
    /// Examples by kind.
    pub examples: BTreeMap<ExampleKind, Vec<Example>>,
}

impl ReadReport {
    pub(super) fn example(&mut self, kind: ExampleKind, key: &str, name: &str) {
        add_example(&mut self.examples, kind, key, name);
    }

    pub(super) fn forget_example(&mut self, kind: ExampleKind, key: &str) {
        if let Some(examples) = self.examples.get_mut(&kind) {
            examples.retain(|example| example.key != key);
        }
    }

    pub(super) fn quarantine(&mut self, line: u64, subject: &str, reason: &str) {
        self.quarantined += 1;
        if self.bad_rows.len() < EXAMPLES_MAX {
            let (subject, reason) = (subject.to_owned(), reason.to_owned());
            self.bad_rows.push(BadRow { line, subject, reason });
        }
    }

    /// Rows that stand for entries of this postoffice.
    pub(super) fn entry_rows(&self) -> u64 {
        self.rows - self.foreign - self.without_address
    }

    /// Whether it changed own entries.
    pub fn has_moved(&self) -> bool {
        self.added + self.changed + self.removed > 0
    }

    /// Whether something of it waits for a person.
    pub fn needs_a_person(&self) -> bool {
        self.held + self.held_removals + self.unclaimed + self.quarantined > 0
            || self.undone.is_some()
    }

    /// Whether the counts add up. They always must.
    pub fn reconciles(&self) -> bool {
        self.rows
            == self.unchanged
                + self.added
                + self.changed
                + self.foreign
                + self.without_address
                + self.quarantined
                + self.held
    }
}
