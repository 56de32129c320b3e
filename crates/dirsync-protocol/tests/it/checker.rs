//! What the checks remember and look at: a model of its own beside the shipped steps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, SetDigest, View, list_element};
use dirsync_message::{ReqSeq, SrvSeq, Stamp};
use dirsync_protocol::tables::{ListPlace, Numbered, OwnRow, OwnTombstone, Submitted};
use dirsync_store::MemoryStore;

use crate::letters::Listed;
use crate::world::{look, postoffice};

/// What the checker remembers beside the world.
#[derive(Clone, Debug, Default)]
pub struct Ghost {
    /// The last change made anywhere; each has a number of its own.
    pub change: u64,
    /// Who made a change.
    pub authors: BTreeMap<u64, String>,
    pub keys: BTreeMap<EntryId, String>,
    /// Who may ever own an entry: its first origin, and whom it was released to.
    pub allowed: BTreeMap<EntryId, BTreeSet<String>>,
    /// The newest change that deleted an entry or hid it.
    pub deleted: BTreeMap<EntryId, u64>,
    /// The changes that deletions stand for.
    pub deletions: BTreeMap<(EntryId, Stamp), u64>,
    /// The newest change that its owner saw acknowledged, and whether the entry is there after it.
    pub acked: BTreeMap<EntryId, (u64, bool)>,
    /// Some state was lost or doubled.
    pub faulty: bool,
    /// Two machines of one name, or a machine that was restored: checks that stamps decide are off.
    pub doubled: bool,
    /// Deletions were forgotten.
    pub purged: bool,
    /// The open finding is looked at: I6 is not checked.
    pub vanishing_is_known: bool,
    /// Postoffices that were removed.
    pub gone: BTreeSet<String>,
    /// What the decisions log says of registrations.
    pub registered: BTreeSet<String>,
}

impl Ghost {
    pub fn allow(&mut self, key: &str, id: EntryId, name: &str) {
        self.keys.insert(id, key.into());
        self.allowed.entry(id).or_default().insert(name.into());
    }

    pub fn next_change(&mut self, author: &str) -> u64 {
        self.change += 1;
        self.authors.insert(self.change, author.into());
        self.change
    }

    pub fn key(&self, id: EntryId) -> &str {
        self.keys.get(&id).map_or("an unknown entry", String::as_str)
    }

    pub fn deleted_by(&self, id: EntryId) -> u64 {
        self.deleted.get(&id).copied().unwrap_or(0)
    }
}

/// What a server publishes.
pub fn published(store: &mut MemoryStore) -> Listed {
    look(store, |tables| {
        let mut listed = Listed::new();
        tables.visit_numbered(SrvSeq(0), SrvSeq(u64::MAX), &mut |numbered| {
            if let Numbered::Published(row) = numbered {
                let record = row.published_record().unwrap().to_record();
                let twice = listed.insert(row.id, (row.origin.clone(), record));
                assert!(twice.is_none(), "an id is published once");
            }
            ControlFlow::Continue(())
        })?;
        Ok(listed)
    })
}

/// What a view shows of it, computed apart from the shipped sums.
pub fn listed(published: Listed, view: &View) -> Listed {
    let shown =
        published.into_iter().filter(|(_, (owner, record))| view.shows(owner, record.as_ref()));
    shown
        .map(|(id, (owner, record))| {
            let disclosed = view.disclosed(record.as_ref()).unwrap_or(record);
            (id, (owner, disclosed))
        })
        .collect()
}

/// A machine's list.
pub fn list_of(store: &mut MemoryStore) -> Listed {
    look(store, |tables| {
        let mut list = Listed::new();
        tables.visit_list(ListPlace::Live, &mut |row| {
            list.insert(row.id, (row.owner.clone(), row.record.to_record()));
            ControlFlow::Continue(())
        })?;
        Ok(list)
    })
}

/// A machine's own entries.
pub fn own_of(store: &mut MemoryStore) -> BTreeMap<EntryId, OwnRow> {
    look(store, |tables| {
        let mut own = BTreeMap::new();
        tables.visit_own(ReqSeq(0), &mut |row| {
            own.insert(row.id, row.clone());
            ControlFlow::Continue(())
        })?;
        Ok(own)
    })
}

/// A machine's own deletions.
pub fn tombstones_of(store: &mut MemoryStore) -> BTreeMap<EntryId, OwnTombstone> {
    look(store, |tables| {
        let mut tombstones = BTreeMap::new();
        tables.visit_own_tombstones(ReqSeq(0), &mut |tombstone| {
            tombstones.insert(tombstone.id, tombstone);
            ControlFlow::Continue(())
        })?;
        Ok(tombstones)
    })
}

/// What a postoffice has submitted.
pub fn submitted(store: &mut MemoryStore, name: &str) -> BTreeMap<EntryId, Submitted> {
    look(store, |tables| {
        let mut rows = BTreeMap::new();
        tables.visit_submitted(&postoffice(name), &mut |row| {
            rows.insert(row.id, row.submitted.clone().unwrap());
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    })
}

/// What a postoffice has deleted.
pub fn submitted_deletions(store: &mut MemoryStore, name: &str) -> BTreeMap<EntryId, Stamp> {
    look(store, |tables| {
        let mut deletions = BTreeMap::new();
        tables.visit_submitted_tombstones(&postoffice(name), &mut |(id, stamp)| {
            deletions.insert(id, stamp);
            ControlFlow::Continue(())
        })?;
        Ok(deletions)
    })
}

/// The digest of a list, computed apart from the shipped sums.
pub fn list_digest(list: &Listed) -> SetDigest {
    let mut digest = SetDigest::default();
    for (id, (owner, record)) in list {
        digest += SetDigest::one(list_element(*id, owner, record.as_ref()));
    }
    digest
}
