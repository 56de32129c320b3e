//! Addresses that entries of others have already: an entry that wants one waits for it at the server.
//!
//! Only the list of this postoffice is looked at, so an entry that its view hides is not seen.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;

use dirsync_directory::{Address, EntryId, PostofficeName, RecordRef, unescape};
use dirsync_message::ReqSeq;
use dirsync_protocol::tables::{ListPlace, Stored, Tables};

/// The most addresses that are listed.
pub const TAKEN_MAX: usize = 1000;

/// An address that an entry wants and another one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenAddress {
    /// The address.
    pub address: Address,
    /// The key of the entry that wants it.
    pub key: String,
    /// The owner of the entry that has it.
    pub holder: PostofficeName,
    /// The name of that entry.
    pub name: String,
    /// Whether the entry that wants it is held for a person; else it waits for the address.
    pub held: bool,
}

/// Addresses that are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Their number.
    pub count: u64,
    /// The first of them.
    pub addresses: Vec<TakenAddress>,
}

impl Taken {
    fn add(&mut self, taken: TakenAddress) {
        self.count += 1;
        if self.addresses.len() < TAKEN_MAX {
            self.addresses.push(taken);
        }
    }
}

/// The addresses that entries of other origins have, by this postoffice's list. Of each only a hash is kept: a
/// million take 8 MB.
pub(crate) struct OthersAddresses {
    /// Sorted.
    hashes: Vec<u64>,
}

impl OthersAddresses {
    /// Those of the list of a postoffice, which is called `me`.
    pub(crate) fn of_list(tables: &mut dyn Tables, me: &PostofficeName) -> Stored<Self> {
        let mut hashes = Vec::new();
        tables.visit_list(ListPlace::Live, &mut |row| {
            if row.owner != me {
                hashes.extend(row.record.address_keys().map(|key| hash(&key)));
            }
            ControlFlow::Continue(())
        })?;
        hashes.sort_unstable();
        Ok(Self { hashes })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether an address of an entry is among them.
    pub(crate) fn has_one_of(&self, record: RecordRef<'_>) -> bool {
        record.address_keys().any(|key| self.hashes.binary_search(&hash(&key)).is_ok())
    }
}

/// The addresses of new and changed entries. Of each only a hash is kept, so that a hundred thousand take
/// less than a MB.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    hashes: Vec<u64>,
}

fn hash(address_key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    address_key.hash(&mut hasher);
    hasher.finish()
}

impl Wanted {
    /// Adds the addresses of an entry that it did not have before.
    pub(crate) fn add_new(&mut self, record: RecordRef<'_>, old: Option<RecordRef<'_>>) {
        self.hashes.extend(new_addresses(record, old).iter().map(|key| hash(key)));
    }

    /// Those of them that entries of other origins have. A source feeds the entries that want them.
    pub(crate) fn taken(mut self, tables: &mut dyn Tables, source: &str) -> Stored<Taken> {
        if self.hashes.is_empty() {
            return Ok(Taken::default());
        }
        self.hashes.sort_unstable();
        let me = tables.requestor()?.name;
        // The rows that have them come first, because there are few of them.
        let mut held = Vec::new();
        let mut keys = BTreeSet::new();
        let mut unlisted = Vec::new();
        tables.visit_list(ListPlace::Live, &mut |row| {
            if *row.owner == me {
                return ControlFlow::Continue(());
            }
            for (text, key) in row.record.address_texts().zip(row.record.address_keys()) {
                let hash = hash(&key);
                if self.hashes.binary_search(&hash).is_err() {
                    continue;
                }
                if held.len() == TAKEN_MAX {
                    unlisted.push(hash);
                } else if let Some(taken) = taken_by(text, row.owner, row.record.name) {
                    keys.insert(key.clone());
                    held.push((key, taken));
                }
            }
            ControlFlow::Continue(())
        })?;
        let mut taken = Taken::default();
        if held.is_empty() {
            return Ok(taken);
        }
        held.sort_by(|a, b| a.0.cmp(&b.0));
        unlisted.sort_unstable();
        let mut look = |key: &str, record: RecordRef<'_>, is_held: bool| {
            for address in record.address_keys() {
                if !keys.contains(&address) {
                    taken.count += u64::from(unlisted.binary_search(&hash(&address)).is_ok());
                    continue;
                }
                let first = held.partition_point(|(held, _)| *held < address);
                for (_, by) in held[first..].iter().take_while(|(held, _)| *held == address) {
                    let key = key.to_owned();
                    taken.add(TakenAddress { key, held: is_held, ..by.clone() });
                }
            }
        };
        tables.visit_own(ReqSeq(0), &mut |row| {
            if row.source == source {
                look(&row.key, row.record.as_ref(), false);
            }
            ControlFlow::Continue(())
        })?;
        tables.visit_held_changes(&mut |waiting, own| {
            if let (None, Some(record)) = (own, &waiting.record)
                && waiting.source == source
                && !waiting.rejected
            {
                look(&waiting.key, record.as_ref(), true);
            }
            ControlFlow::Continue(())
        })?;
        Ok(taken)
    }
}

fn taken_by(text: &str, holder: &PostofficeName, name: &str) -> Option<TakenAddress> {
    let address = unescape(text)?.parse().ok()?;
    let name = unescape(name).unwrap_or_default().into_owned();
    Some(TakenAddress { address, key: String::new(), holder: holder.clone(), name, held: false })
}

/// The addresses of an entry that it did not have before. Most changes change none.
fn new_addresses(record: RecordRef<'_>, old: Option<RecordRef<'_>>) -> BTreeSet<String> {
    if old.is_some_and(|old| old.addresses == record.addresses) {
        return BTreeSet::new();
    }
    let had: BTreeSet<String> = old.iter().flat_map(|old| old.address_keys()).collect();
    record.address_keys().filter(|key| !had.contains(key)).collect()
}

/// The addresses that an entry did not have before, and that other entries have: those of the list, and own
/// ones.
///
/// # Errors
///
/// When the store fails.
pub fn of_entry(
    tables: &mut dyn Tables,
    id: EntryId,
    key: &str,
    record: RecordRef<'_>,
    old: Option<RecordRef<'_>>,
) -> Stored<Taken> {
    let wanted = new_addresses(record, old);
    let mut taken = Taken::default();
    if wanted.is_empty() {
        return Ok(taken);
    }
    let me = tables.requestor()?.name;
    let mut look = |other: EntryId, owner: &PostofficeName, record: RecordRef<'_>| {
        if other == id {
            return ControlFlow::Continue(());
        }
        for (text, address) in record.address_texts().zip(record.address_keys()) {
            if wanted.contains(&address)
                && let Some(by) = taken_by(text, owner, record.name)
            {
                taken.add(TakenAddress { key: key.to_owned(), ..by });
            }
        }
        ControlFlow::Continue(())
    };
    tables.visit_own(ReqSeq(0), &mut |row| look(row.id, &me, row.record.as_ref()))?;
    tables.visit_list(ListPlace::Live, &mut |row| match *row.owner == me {
        true => ControlFlow::Continue(()),
        false => look(row.id, row.owner, row.record),
    })?;
    Ok(taken)
}
