//! Finds entries of other first origins by their keys.

use std::collections::BTreeMap;

use dirsync_directory::{EntryId, PostofficeName};
use dirsync_protocol::tables::{Stored, Tables};

/// Entries that were taken over from other origins and that a merge brought back. The epoch that is lost
/// knew which key of which source stands for each. A source now finds them by the keys that they have, so
/// that they keep their ids.
#[derive(Default)]
pub(super) struct AdoptedStrangers {
    by_key: BTreeMap<String, Option<EntryId>>,
}

impl AdoptedStrangers {
    /// Finds them among the adopted entries.
    pub(super) fn find(
        tables: &mut dyn Tables,
        me: &PostofficeName,
        adopted: &[EntryId],
    ) -> Stored<Self> {
        let mut by_key = BTreeMap::new();
        for id in adopted {
            let Some(row) = tables.own(*id)?.filter(|row| row.first_origin != *me) else {
                continue;
            };
            // If two origins have used one key, it stands for neither entry.
            by_key.entry(row.key).and_modify(|found| *found = None).or_insert(Some(*id));
        }
        Ok(Self { by_key })
    }

    /// The entry with a key, if there is exactly one.
    pub(super) fn with_key(&self, key: &str) -> Option<EntryId> {
        self.by_key.get(key).copied().flatten()
    }
}
