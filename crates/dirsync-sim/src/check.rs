//! What the checks remember and look at: a model of its own beside the shipped steps.

mod after_step;
mod end;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_agent::decisions::DecisionKind;
use dirsync_directory::{EntryId, Record, SetDigest, list_element};
use dirsync_message::{ReqSeq, SrvSeq, Stamp};
use dirsync_protocol::tables::{ListPlace, Numbered, OwnRow, OwnTombstone, Submitted};

use crate::act::nights::Nights;
use crate::naming::{Sight, change_of, postoffice};
use crate::network::Listed;
use crate::site::Site;

/// What a world finds out about the protocol: a broken invariant, in words.
pub type Checked<T> = Result<T, String>;

/// What the checker remembers beside the world.
#[derive(Clone, Debug, Default)]
pub struct Ghost {
    /// The last change made anywhere; each has a number of its own.
    pub change: u64,
    /// Who made a change.
    pub authors: BTreeMap<u64, String>,
    /// What an entry was after a change that its owner wrote.
    pub written: BTreeMap<u64, Record>,
    /// The keys of entries.
    pub keys: BTreeMap<EntryId, String>,
    /// Who may ever own an entry: its first origin, and whom it was released to.
    pub allowed: BTreeMap<EntryId, BTreeSet<String>>,
    /// Who offered an entry to whom.
    pub releases: BTreeMap<(EntryId, String, String), u64>,
    /// As whose an entry was published last.
    pub last_owner: BTreeMap<EntryId, String>,
    /// The newest change that deleted an entry or hid it.
    pub deleted: BTreeMap<EntryId, u64>,
    /// The last change that was made of an entry, and whether it is there after it.
    pub latest: BTreeMap<EntryId, (u64, bool)>,
    /// The changes that deletions stand for.
    pub deletions: BTreeMap<(EntryId, Stamp), u64>,
    /// The last change before somebody who had deleted an entry claimed or offered it.
    pub revived: BTreeMap<EntryId, u64>,
    /// The newest change that its owner saw acknowledged, and whether the entry is there after it.
    pub acked: BTreeMap<EntryId, (u64, bool)>,
    /// Entries of which a run was undone: they have earlier contents again, so the numbers of their changes say
    /// nothing of their order any more.
    pub undone: BTreeSet<EntryId>,
    /// Some state was lost or doubled.
    pub faulty: bool,
    /// Two machines of one name, or a machine that was restored: checks that stamps decide are off.
    pub doubled: bool,
    /// Postoffices of which a person restored an older copy by hand: it may be fenced.
    pub put_back: BTreeSet<String>,
    /// The server was restored: with a postoffice that was restored too, a late message of a life that
    /// both have lost may win, and a person decides.
    pub server_restored: bool,
    /// Postoffices whose folder was copied: all machines but one are to be fenced.
    pub copied: BTreeSet<String>,
    /// Deletions were forgotten.
    pub purged: bool,
    /// The open finding is looked at, or a person gave up what silent origins have: I6 is not checked.
    pub vanishing_is_known: bool,
    /// Entries that a server took while another one ran. The other may not have heard of them yet: I6
    /// is not checked for them (an open finding of `docs/reliability.md`).
    pub split: BTreeSet<EntryId>,
    /// Machines whose list changed on disk, until they look at it.
    pub damaged: BTreeSet<String>,
    /// Postoffices that were removed.
    pub gone: BTreeSet<String>,
    /// By server and postoffice, the decision that takes its removal back.
    pub removals: BTreeMap<(String, String), DecisionKind>,
    /// Postoffices whose removal was taken back: their entries left lists for a while.
    pub reinstated: BTreeSet<String>,
    /// By site and sender, the last of the sender's keys by which a letter was taken, from 0.
    pub keys_heard: BTreeMap<(String, String), usize>,
    /// Sites that may have forgotten keys of others.
    pub keys_lost: BTreeSet<String>,
    /// Sites that lost the bodies on their way: a message waits there until its body has come again.
    pub wiped: BTreeSet<String>,
    /// By machine, what nights brought over its line.
    pub nights: BTreeMap<String, Nights>,
    /// Something happened beside changes and nights: bytes may pass a line in vain.
    pub disturbed: bool,
}

impl Ghost {
    /// Somebody may own an entry.
    pub fn allow(&mut self, key: &str, id: EntryId, name: &str) {
        self.keys.insert(id, key.into());
        self.allowed.entry(id).or_default().insert(name.into());
    }

    /// A site is a copy of another one, and has heard the same keys.
    pub fn copy_keys_heard(&mut self, from: &str, to: &str) {
        let of_from = self.keys_heard.iter().filter(|((site, _), _)| site == from);
        let heard: Vec<_> =
            of_from.map(|((_, sender), key)| ((to.to_owned(), sender.clone()), *key)).collect();
        self.keys_heard.extend(heard);
    }

    /// The number of a new change.
    pub fn next_change(&mut self, author: &str) -> u64 {
        self.change += 1;
        self.authors.insert(self.change, author.into());
        self.change
    }

    /// Somebody who deleted an entry claims or offers it, and so has it again with its former content. The
    /// deletion holds no longer, even if it is acknowledged later.
    pub fn revive(&mut self, id: EntryId) {
        if self.acked.get(&id).is_some_and(|(_, there)| !there) {
            self.acked.remove(&id);
        }
        self.revived.insert(id, self.change);
    }

    /// Whether a record is exactly what its owner wrote in the change that it tells of.
    pub fn is_as_written(&self, record: &Record) -> bool {
        self.written.get(&change_of(record)) == Some(record)
    }

    /// The key of an entry.
    pub fn key(&self, id: EntryId) -> &str {
        self.keys.get(&id).map_or("an unknown entry", String::as_str)
    }

    /// The newest change that deleted an entry or hid it.
    pub fn deleted_by(&self, id: EntryId) -> u64 {
        self.deleted.get(&id).copied().unwrap_or(0)
    }
}

/// What a server publishes.
///
/// # Panics
///
/// When an id is published twice.
pub fn published(site: &mut Site) -> Listed {
    let mut listed = Listed::new();
    site.look(|tables| {
        tables.visit_numbered(SrvSeq(0), SrvSeq(u64::MAX), &mut |numbered| {
            if let Numbered::Published(row, published) = numbered {
                let record = published.content().to_record();
                let twice = listed.insert(row.id, (row.origin.clone(), record));
                assert!(twice.is_none(), "an id is published once");
            }
            ControlFlow::Continue(())
        })
    });
    listed
}

/// What somebody sees of it, by a second opinion.
pub fn seen(published: &Listed, sight: Sight) -> Listed {
    let seen = published.iter().filter_map(|(id, (owner, record))| {
        sight.shown(owner, record).map(|shown| (*id, (owner.clone(), shown)))
    });
    seen.collect()
}

/// A machine's list.
pub fn list_of(site: &mut Site) -> Listed {
    site.gather(|tables, visit| {
        tables.visit_list(ListPlace::Live, &mut |row| {
            visit((row.id, (row.owner.clone(), row.record.to_record())))
        })
    })
}

/// What is released to a postoffice, as far as its machine knows.
pub fn claimable(site: &mut Site, name: &str) -> BTreeSet<EntryId> {
    let me = postoffice(name);
    let mut claimable: BTreeSet<EntryId> = site.gather(|tables, visit| {
        tables.visit_list(ListPlace::Live, &mut |row| {
            if row.released_to == Some(&me) { visit(row.id) } else { ControlFlow::Continue(()) }
        })
    });
    claimable.extend(site.look(|tables| tables.offers()).into_iter().map(|offer| offer.id));
    claimable
}

/// A machine's own entries.
pub fn own_of(site: &mut Site) -> BTreeMap<EntryId, OwnRow> {
    site.gather(|tables, visit| {
        tables.visit_own(ReqSeq(0), &mut |row| visit((row.id, row.clone())))
    })
}

/// A machine's own deletions.
pub fn tombstones_of(site: &mut Site) -> BTreeMap<EntryId, OwnTombstone> {
    site.gather(|tables, visit| {
        tables.visit_own_tombstones(ReqSeq(0), &mut |tombstone| visit((tombstone.id, tombstone)))
    })
}

/// What a postoffice has submitted.
pub fn submitted(site: &mut Site, name: &str) -> BTreeMap<EntryId, Submitted> {
    site.gather(|tables, visit| {
        tables.visit_submitted(&postoffice(name), &mut |row| {
            let submitted = row.submitted.clone().expect("only submitted rows are visited");
            visit((row.id, submitted))
        })
    })
}

/// What a postoffice has deleted.
pub fn submitted_deletions(site: &mut Site, name: &str) -> BTreeMap<EntryId, Stamp> {
    site.gather(|tables, visit| {
        tables.visit_submitted_tombstones(&postoffice(name), &mut |deletion| visit(deletion))
    })
}

/// The digest of a list from its content. The hash of one element is a fact of the format; what is
/// compared with this are the sums that the shipped code keeps.
pub fn list_digest(list: &Listed) -> SetDigest {
    let mut digest = SetDigest::default();
    for (id, (owner, record)) in list {
        digest += SetDigest::one(list_element(*id, owner, record.as_ref()));
    }
    digest
}
