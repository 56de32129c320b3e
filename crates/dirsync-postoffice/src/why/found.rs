//! The entries that a text stands for.

use std::collections::BTreeMap;

use dirsync_directory::{EntryId, PostofficeName, Record, RecordRef, composed, escape, fold};
use schemars::JsonSchema;
use serde::Serialize;

use super::stage::Stage;
use crate::difference::value;
use crate::json;

/// The most entries that are shown.
const FOUND_MAX: usize = 20;

/// A text that stands for entries: an address, whole or without its type, a name, an id or a key.
pub(crate) struct Wanted {
    id: Option<EntryId>,
    key: String,
    /// As names and addresses of records are compared.
    folded: String,
}

impl Wanted {
    pub(crate) fn of(text: &str) -> Self {
        Self {
            id: text.parse().ok(),
            key: composed(text).into_owned(),
            folded: fold(&escape(text)).into_owned(),
        }
    }

    /// Whether it stands for an entry.
    pub(crate) fn is(&self, id: EntryId, key: &str, record: RecordRef<'_>) -> bool {
        self.id == Some(id) || self.is_row(key, record)
    }

    /// Whether it stands for a row, which has no id.
    pub(super) fn is_row(&self, key: &str, record: RecordRef<'_>) -> bool {
        key == self.key || fold(record.name) == self.folded || has_address(record, &self.folded)
    }

    /// Whether it is this value of a row that was left out: an address, whole or without its type, or any
    /// other.
    pub(super) fn is_value(&self, value: &str) -> bool {
        let folded = fold(&escape(value)).into_owned();
        let without_type = folded.split_once(':').map(|(_, value)| value);
        value == self.key || folded == self.folded || without_type == Some(&self.folded)
    }

    /// Whether a row that cannot be read contains it.
    pub(super) fn is_within(&self, text: &str) -> bool {
        fold(text).contains(&self.folded)
    }
}

/// Whether a record has an address, given whole or without its type; folded.
fn has_address(record: RecordRef<'_>, wanted: &str) -> bool {
    record
        .address_keys()
        .any(|key| key == wanted || key.split_once(':').is_some_and(|(_, value)| value == wanted))
}

/// An entry, or a row that is no entry, with its stages.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Found {
    /// The entry; null for a row that is no entry.
    #[serde(serialize_with = "json::text_or_null")]
    #[schemars(with = "Option<String>")]
    pub id: Option<EntryId>,
    /// The postoffice that owns it, or says that it does.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub origin: PostofficeName,
    /// Its key; empty if it has none.
    pub key: String,
    /// Its name; empty if none is known.
    pub name: String,
    /// Its primary address; empty if none is known.
    pub address: String,
    /// Where it is on its way, in the order from the source to the lists.
    pub stages: Vec<Stage>,
    /// The source that feeds it, if it is an own entry.
    #[serde(skip)]
    pub(super) source: Option<String>,
    /// Its content.
    #[serde(skip)]
    pub(super) record: Record,
}

impl Found {
    pub(super) fn new(
        id: Option<EntryId>,
        origin: &PostofficeName,
        key: &str,
        record: RecordRef<'_>,
    ) -> Self {
        Self {
            id,
            origin: origin.clone(),
            key: key.to_owned(),
            name: value(record.name),
            address: record.address_texts().next().map(value).unwrap_or_default(),
            stages: Vec::new(),
            source: None,
            record: record.to_record(),
        }
    }
}

/// All that was found: entries by id and owner, then rows.
#[derive(Default)]
pub(super) struct All {
    pub(super) entries: BTreeMap<(EntryId, PostofficeName), Found>,
    pub(super) rows: Vec<Found>,
    more: u64,
}

impl All {
    /// The entry of an owner; `None` if enough were found before it.
    pub(super) fn entry(
        &mut self,
        id: EntryId,
        owner: &PostofficeName,
        key: &str,
        record: RecordRef<'_>,
    ) -> Option<&mut Found> {
        let place = (id, owner.clone());
        if !self.entries.contains_key(&place) && self.entries.len() >= FOUND_MAX {
            self.more += 1;
            return None;
        }
        let new = || Found::new(Some(id), owner, key, record);
        Some(self.entries.entry(place).or_insert_with(new))
    }

    /// Adds a row that is no entry.
    pub(super) fn add_row(&mut self, row: Found) {
        match self.rows.len() < FOUND_MAX {
            true => self.rows.push(row),
            false => self.more += 1,
        }
    }

    pub(super) fn into_parts(self) -> (Vec<Found>, u64) {
        (self.entries.into_values().chain(self.rows).collect(), self.more)
    }
}
