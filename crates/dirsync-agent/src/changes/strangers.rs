//! Entries whose ids another postoffice gave, found again by their keys.

use std::collections::BTreeMap;

use dirsync_directory::{EntryId, PostofficeName};
use dirsync_protocol::tables::{Stored, Tables};

/// Entries that were taken over from other origins and that a merge brought back. Which key of which
/// source stands for them was known to the life that is lost: a source finds them by the key that
/// they have, so that they keep their ids.
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
            // Two origins may have used one key: then it stands for neither.
            by_key.entry(row.key).and_modify(|found| *found = None).or_insert(Some(*id));
        }
        Ok(Self { by_key })
    }

    /// The one with a key, if there is just one.
    pub(super) fn with_key(&self, key: &str) -> Option<EntryId> {
        self.by_key.get(key).copied().flatten()
    }
}
