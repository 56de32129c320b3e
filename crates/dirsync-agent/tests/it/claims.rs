//! Random histories of two whole sources, a partial one and hands at one postoffice, with backups put
//! back and new installations, beside an account of its own of who named which entry.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_agent::changes::{approve, delete_by_hand, reject};
use dirsync_directory::EntryId;
use dirsync_protocol::requestor::rejoin;
use dirsync_testing::{SERVER, TestPostoffice, TestStore, World};
use proptest::prelude::*;

use crate::sources::{SOUTH, by_hand, held, merged, own, read_rows, restore, source};

const SOURCES: [(&str, bool); 3] = [("hr", true), ("guests", true), ("cars", false)];
const HAND: &str = "hand";
const NOBODY: &str = "adopted";
/// Keys that any source and any hand may name.
const SHARED: usize = 6;
/// Rows that each source has of its own in every read, so that none is suspiciously short.
const STEADY: usize = 8;

#[derive(Clone, Debug)]
enum Event {
    /// A source names these of the shared keys, with a phone each; the read ends well or not.
    Read {
        source: usize,
        rows: Vec<(usize, u8)>,
        complete: bool,
    },
    Add {
        key: usize,
        phone: u8,
    },
    Delete {
        key: usize,
    },
    /// A person decides on one of the cases.
    Decide {
        nth: usize,
        approve: bool,
    },
    Cycle,
    Backup,
    /// The backup, or an empty database, takes the place of the present one; sources are read before
    /// the server has answered.
    Restore {
        empty: bool,
        reads: Vec<(usize, Vec<(usize, u8)>)>,
    },
}

fn rows() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::btree_map(0..SHARED, 1u8..3, 0..=SHARED)
        .prop_map(|rows| rows.into_iter().collect())
}

fn event() -> impl Strategy<Value = Event> {
    let complete = prop_oneof![5 => Just(true), 1 => Just(false)];
    let read = (0..SOURCES.len(), rows(), complete);
    let restore = (any::<bool>(), proptest::collection::vec((0..SOURCES.len(), rows()), 0..3));
    prop_oneof![
        8 => read.prop_map(|(source, rows, complete)| Event::Read { source, rows, complete }),
        3 => (0..SHARED, 1u8..3).prop_map(|(key, phone)| Event::Add { key, phone }),
        2 => (0..SHARED).prop_map(|key| Event::Delete { key }),
        3 => (0..SHARED, any::<bool>()).prop_map(|(nth, approve)| Event::Decide { nth, approve }),
        2 => Just(Event::Cycle),
        2 => Just(Event::Backup),
        2 => restore.prop_map(|(empty, reads)| Event::Restore { empty, reads }),
    ]
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    phone: String,
    feeder: String,
    version: u64,
}

/// A database by the second account.
#[derive(Clone, Debug, Default)]
struct Account {
    entries: BTreeMap<String, Entry>,
    deleted: BTreeMap<String, u64>,
    told: BTreeSet<usize>,
    asked: BTreeSet<String>,
}

/// All of it.
#[derive(Default)]
struct Accounts {
    here: Account,
    /// What the server has heard.
    there: Account,
    version: u64,
    /// What the server holds is not known here.
    in_the_dark: bool,
}

fn shared(key: usize) -> String {
    format!("k{key}")
}

fn all_rows(source: usize, rows: &[(usize, u8)]) -> Vec<(String, String)> {
    let steady = (0..STEADY).map(|row| (format!("{}{row}", SOURCES[source].0), "0".to_owned()));
    rows.iter().map(|(key, phone)| (shared(*key), phone.to_string())).chain(steady).collect()
}

impl Accounts {
    fn write(&mut self, key: &str, phone: &str, feeder: &str) {
        let old = self.here.entries.get(key);
        let version = match old {
            Some(old) if old.phone == phone => old.version,
            _ => {
                self.version += 1;
                self.version
            }
        };
        let entry = Entry { phone: phone.into(), feeder: feeder.into(), version };
        self.here.entries.insert(key.into(), entry);
        self.here.deleted.remove(key);
        self.here.asked.remove(key);
    }

    fn delete(&mut self, key: &str) {
        self.version += 1;
        self.here.entries.remove(key);
        self.here.deleted.insert(key.into(), self.version);
        self.here.asked.remove(key);
    }

    fn read(&mut self, source: usize, rows: &[(String, String)], complete: bool) {
        let (name, whole) = SOURCES[source];
        for (key, phone) in rows {
            let feeder = self.here.entries.get(key).map(|entry| entry.feeder.as_str());
            if feeder.is_none_or(|feeder| feeder == name || feeder == NOBODY) {
                self.write(key, phone, name);
            }
        }
        if !whole || !complete || self.in_the_dark {
            return;
        }
        let absent: Vec<String> = self
            .here
            .entries
            .iter()
            .filter(|(key, entry)| entry.feeder == name && rows.iter().all(|row| row.0 != **key))
            .map(|(key, _)| key.clone())
            .collect();
        absent.iter().for_each(|key| self.delete(key));
        self.here.told.insert(source);
        if SOURCES.iter().enumerate().all(|(at, (_, whole))| !whole || self.here.told.contains(&at))
        {
            let nobodys = self.here.entries.iter().filter(|(_, entry)| entry.feeder == NOBODY);
            self.here.asked.extend(nobodys.map(|(key, _)| key.clone()));
        }
    }

    fn heard(&mut self) {
        self.there.entries = self.here.entries.clone();
        // The server also remembers deletions of lives that are lost here.
        self.there.deleted.extend(self.here.deleted.clone());
        self.there.deleted.retain(|key, _| !self.here.entries.contains_key(key));
    }

    /// The later version of each entry, whoever has it; a source keeps what it made last.
    fn merge(&mut self) {
        for (key, theirs) in &self.there.entries {
            let ours = self.here.entries.get(key);
            let newest_here =
                ours.map(|entry| entry.version).max(self.here.deleted.get(key).copied());
            if newest_here.is_some_and(|version| version >= theirs.version) {
                continue;
            }
            let by_hand = ours.is_some_and(|ours| ours.feeder == HAND);
            let feeder = if by_hand { HAND } else { NOBODY }.to_owned();
            if ours.is_some() {
                self.here.asked.remove(key);
            }
            self.here.entries.insert(key.clone(), Entry { feeder, ..theirs.clone() });
            self.here.deleted.remove(key);
        }
        for (key, version) in &self.there.deleted {
            if self.here.entries.get(key).is_some_and(|ours| ours.version <= *version) {
                self.here.entries.remove(key);
                self.here.deleted.insert(key.clone(), *version);
                self.here.asked.remove(key);
            }
        }
        self.here.told.clear();
        self.in_the_dark = false;
        self.heard();
    }
}

/// Merges, where it has to be with a person's word.
fn settled(world: &mut World) {
    merged(world);
    if world.at(SOUTH).transact(|tables, context, _| rejoin(tables, context, false)).unwrap() {
        merged(world);
    }
}

fn id_of(postoffice: &mut TestPostoffice, key: &str) -> EntryId {
    EntryId::derive(&postoffice.name, key)
}

fn real_read(
    postoffice: &mut TestPostoffice,
    source_at: usize,
    rows: &[(String, String)],
    complete: bool,
) {
    let configured = SOURCES.map(|(name, whole)| source(name, whole));
    let rows: Vec<(&str, &str)> =
        rows.iter().map(|(key, phone)| (key.as_str(), phone.as_str())).collect();
    read_rows(postoffice, &configured, SOURCES[source_at].0, &rows, complete);
}

fn decide(postoffice: &mut TestPostoffice, accounts: &mut Accounts, nth: usize, approves: bool) {
    let cases = held(postoffice);
    if cases.is_empty() {
        return;
    }
    let (_, key, id) = cases[nth % cases.len()].clone();
    let decided = postoffice.transact(|tables, context, _| {
        if approves {
            accounts.delete(&key);
            approve(tables, context.now, Some(&[id]))
        } else {
            let phone = accounts.here.entries[&key].phone.clone();
            accounts.write(&key, &phone, HAND);
            reject(tables, Some(&[id]))
        }
    });
    assert_eq!(decided.unwrap(), 1);
}

fn check(world: &mut World, accounts: &Accounts) -> Result<(), TestCaseError> {
    let postoffice = world.at(SOUTH);
    let expected: BTreeMap<String, (String, String)> = accounts
        .here
        .entries
        .iter()
        .map(|(key, entry)| (key.clone(), (entry.phone.clone(), entry.feeder.clone())))
        .collect();
    prop_assert_eq!(own(postoffice), expected);
    let asked: BTreeSet<String> = held(postoffice).into_iter().map(|(_, key, _)| key).collect();
    prop_assert_eq!(&asked, &accounts.here.asked);
    Ok(())
}

/// A database with the account of it.
type Copy = (TestStore, Account);

struct Copies {
    empty: Copy,
    backup: Copy,
}

fn go(world: &mut World, accounts: &mut Accounts, event: &Event, copies: &mut Copies) {
    match event {
        Event::Read { source, rows, complete } => {
            let rows = all_rows(*source, rows);
            real_read(world.at(SOUTH), *source, &rows, *complete);
            accounts.read(*source, &rows, *complete);
        }
        Event::Add { key, phone } => {
            let key = shared(*key);
            let is_new = !accounts.here.entries.contains_key(&key);
            let added = by_hand(world.at(SOUTH), &key, &phone.to_string());
            assert_eq!(added.is_ok(), is_new, "{key}: {added:?}");
            if is_new {
                accounts.write(&key, &phone.to_string(), HAND);
            }
        }
        Event::Delete { key } => {
            let key = shared(*key);
            let feeder = accounts.here.entries.get(&key).map(|entry| entry.feeder.clone());
            let postoffice = world.at(SOUTH);
            let id = id_of(postoffice, &key);
            let deleted =
                postoffice.transact(|tables, context, _| delete_by_hand(tables, context.now, id));
            let may = feeder.is_some_and(|feeder| feeder == HAND || feeder == NOBODY);
            assert_eq!(deleted.is_ok(), may, "{key}: {deleted:?}");
            if may {
                accounts.delete(&key);
            }
        }
        Event::Decide { nth, approve } => decide(world.at(SOUTH), accounts, *nth, *approve),
        Event::Cycle => {
            settled(world);
            accounts.heard();
        }
        Event::Backup => {
            copies.backup = (world.at(SOUTH).store.copy(), accounts.here.clone());
        }
        Event::Restore { empty, reads } => {
            settled(world);
            accounts.heard();
            let copy = if *empty { &copies.empty } else { &copies.backup };
            restore(world.at(SOUTH), &copy.0);
            accounts.here = copy.1.clone();
            accounts.in_the_dark = true;
            world.pass(1_000_000);
            for (source, rows) in reads {
                let rows = all_rows(*source, rows);
                real_read(world.at(SOUTH), *source, &rows, true);
                accounts.read(*source, &rows, true);
            }
            settled(world);
            accounts.merge();
        }
    }
}

fn live(events: &[Event]) -> Result<(), TestCaseError> {
    let mut world = World::new(&[SOUTH]);
    // Few of few entries are never too many here.
    world.at(SERVER).guard.percent = 100;
    world.at(SOUTH).guard.percent = 100;
    world.cycle();
    let mut accounts = Accounts::default();
    let mut copy = || (world.at(SOUTH).store.copy(), Account::default());
    let mut copies = Copies { empty: copy(), backup: copy() };
    for event in events {
        go(&mut world, &mut accounts, event, &mut copies);
        check(&mut world, &accounts)?;
    }
    settled(&mut world);
    let listed: BTreeSet<String> = world
        .at(SERVER)
        .list()
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap().to_owned())
        .collect();
    let expected: BTreeSet<String> = accounts.here.entries.into_keys().collect();
    prop_assert_eq!(listed, expected);
    world.converged();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each one's absence touches its own entries alone, whatever was put back meanwhile.
    #[test]
    fn sources_and_hands_keep_to_themselves(events in proptest::collection::vec(event(), 1..24)) {
        live(&events)?;
    }
}
