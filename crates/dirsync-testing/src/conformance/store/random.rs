//! Random operations on the store under test and on the model, a store in memory.
//!
//! A failure names its seed and round; the same seed gives the same operations.

use std::sync::Arc;

use crate::MemoryStore;
use dirsync_directory::{BucketSums, EntryId, PostofficeName, SetDigest};
use dirsync_message::{Mark, SrvSeq, Stamp, SyncPoint};
use dirsync_protocol::context::Level;
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{
    Hold, ListPlace, LogLine, Published, Quarantined, SeenIn, ServerRow, Stored, Submitted,
};
use dirsync_store::Store;

use super::{ALL, MakeStore, Tx, visited};
use crate::Random;
use crate::rows::{
    TEXTS, as_submitted, digest, entry_id, list_row, own_row, own_tombstone, point, postoffice,
    published, record, registration, submitted, tombstone, view, view_hash,
};

const SEEDS: u64 = 8;
const ROUNDS: u64 = 25;
/// Operations in one transaction at most.
const OPERATIONS: u64 = 40;
/// Different entries; few, so that they meet.
const ENTRIES: u64 = 12;

const ORIGINS: [&str; 4] = ["NORTH/HQ", "north/hq", "SOUTH/HQ", "West/Hq"];
const ADDRESSES: [&str; 6] =
    ["SMTP:a@b", "SMTP:A@B", "X400:/c=b", "SMTP:a@b\tX400:/c=b", "", "SMTP:c@d\tSMTP:a@b"];

pub(super) fn run(make: &mut MakeStore<'_>) {
    for seed in 1..=SEEDS {
        let mut tested = make();
        let mut model = MemoryStore::new();
        let mut world = World { random: Random::new(seed), number: 0, depth: 0 };
        for round in 0..ROUNDS {
            world.round(&mut *tested, &mut model, &format!("seed {seed}, round {round}"));
        }
    }
}

/// What the operations are drawn from. Cloned, it draws the same once more.
#[derive(Clone)]
struct World {
    random: Random,
    /// The last number given; no two rows have the same.
    number: u64,
    /// How many savepoints are open.
    depth: u64,
}

type Operation = fn(&mut World, &mut Tx<'_>) -> Stored<String>;

const OPERATIONS_OF: [Operation; 6] = [
    World::change_own,
    World::change_list,
    World::change_rows,
    World::change_server,
    World::change_common,
    World::change_savepoints,
];

impl World {
    /// One transaction on both stores, and then everything they hold.
    fn round(&mut self, tested: &mut dyn Store, model: &mut dyn Store, place: &str) {
        let mut left = tested.begin().expect("begin");
        let mut right = model.begin().expect("begin");
        self.depth = 0;
        for step in 0..1 + self.random.below(OPERATIONS) {
            let operation = self.random.pick(&OPERATIONS_OF);
            let mut twin = self.clone();
            let seen = operation(self, &mut *left).expect("operations succeed");
            let expected = operation(&mut twin, &mut *right).expect("operations succeed");
            assert_eq!(seen, expected, "{place}, step {step}");
        }
        assert_equal_dumps(
            dump(&mut *left),
            dump(&mut *right),
            &format!("{place}, before its end"),
        );
        if !self.random.one_in(4) {
            left.commit().expect("commit");
            right.commit().expect("commit");
        } else {
            drop((left, right));
        }
        let mut left = tested.begin().expect("begin");
        let mut right = model.begin().expect("begin");
        assert_equal_dumps(dump(&mut *left), dump(&mut *right), &format!("{place}, afterwards"));
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1 + self.random.below(3);
        self.number
    }

    fn entry(&mut self) -> u64 {
        self.random.below(ENTRIES)
    }

    fn text(&mut self) -> &'static str {
        self.random.pick(&TEXTS)
    }

    fn origin(&mut self) -> PostofficeName {
        postoffice(self.random.pick(&ORIGINS))
    }

    fn address(&mut self) -> &'static str {
        self.random.pick(&ADDRESSES)
    }

    fn digests(&mut self) -> Vec<(u16, SetDigest, SetDigest)> {
        let count = self.random.below(4);
        let draw = |random: &mut Random| {
            if random.one_in(3) { SetDigest::default() } else { digest(random.below(3)) }
        };
        (0..count)
            .map(|_| {
                let bucket = self.random.below(3) as u16 * 2047;
                (bucket, draw(&mut self.random), draw(&mut self.random))
            })
            .collect()
    }

    fn change_own(&mut self, tx: &mut Tx<'_>) -> Stored<String> {
        let (n, number) = (self.entry(), self.next_number());
        let text = self.text();
        match self.random.below(6) {
            0 | 1 => {
                let mut row = own_row(n, number);
                row.record.name = text.into();
                row.source = self.text().into();
                tx.put_own(&row)?;
            }
            2 => tx.delete_own(entry_id(n))?,
            3 => tx.put_own_tombstone(&own_tombstone(n, number))?,
            4 => tx.delete_own_tombstone(entry_id(n))?,
            _ => {
                let id = (!self.random.one_in(3)).then(|| entry_id(n));
                tx.put_adopted_id(text, "key", id)?;
            }
        }
        Ok(format!("{:?} {:?}", tx.own(entry_id(n))?, tx.own_tombstone(entry_id(n))?))
    }

    fn change_list(&mut self, tx: &mut Tx<'_>) -> Stored<String> {
        let places = [ListPlace::Live, ListPlace::Staged];
        let (n, place) = (self.entry(), self.random.pick(&places));
        let row = list_row(n, self.text());
        match self.random.below(12) {
            0..=3 => tx.put_list_row(place, &row.as_ref())?,
            4 | 5 if tx.list_row(place, row.id)?.is_none() => {
                tx.append_list_row(place, &row.as_ref())?;
            }
            6 | 7 => tx.delete_list_row(place, row.id)?,
            8 => tx.swap_lists()?,
            9 if self.random.one_in(3) => tx.clear_list(place)?,
            _ => {
                let changes = self.digests();
                tx.change_list_buckets(place, &changes)?;
            }
        }
        Ok(format!("{:?} {:?}", tx.list_row(place, row.id)?, tx.list_buckets(place)?))
    }

    fn change_rows(&mut self, tx: &mut Tx<'_>) -> Stored<String> {
        let (id, origin) = (entry_id(self.entry()), self.origin());
        match self.random.below(8) {
            0 => tx.delete_row(id, &origin)?,
            1 => tx.put_tombstone(&dirsync_protocol::tables::Tombstone {
                id,
                ..tombstone(self.random.below(3), self.next_number())
            })?,
            2 => tx.delete_tombstone(id)?,
            3 => return Ok(tx.purge_tombstones(SrvSeq(self.number / 2))?.to_string()),
            _ => {
                let row = self.row(id, origin);
                if row.published.is_some() {
                    withdraw_others(tx, &row)?;
                }
                tx.put_row(&row)?;
            }
        }
        Ok(format!("{:?}", tx.rows(id)?))
    }

    fn row(&mut self, id: EntryId, origin: PostofficeName) -> ServerRow {
        let wanted = (!self.random.one_in(4)).then(|| {
            let address = self.address();
            Submitted {
                released_to: self.random.one_in(4).then(|| self.origin()),
                invalid: self.random.one_in(4).then(|| self.text().to_owned()),
                ..submitted(address)
            }
        });
        let shown = (!self.random.one_in(3)).then(|| Published {
            record: Arc::new(record(self.text(), self.address(), "")),
            released_to: self.random.one_in(4).then(|| self.origin()),
            seen_in: if self.random.one_in(2) { SeenIn::All } else { SeenIn::default() },
            held: wanted.is_none().then_some(Hold { since: 5, rejected: false }),
            ..published(self.next_number())
        });
        let row = ServerRow {
            id,
            origin,
            first_origin: self.origin(),
            key: self.text().into(),
            submitted: wanted,
            published: shown,
        };
        if self.random.one_in(3) { row } else { as_submitted(row) }
    }

    fn change_server(&mut self, tx: &mut Tx<'_>) -> Stored<String> {
        let (id, origin) = (entry_id(self.entry()), self.origin());
        let hash = view_hash(self.random.below(3) as u8);
        match self.random.below(8) {
            0 => tx.put_registration(&registration(origin.as_str()))?,
            1 => {
                let stamp = (!self.random.one_in(3)).then(|| Stamp(self.next_number()));
                tx.put_submitted_tombstone(&origin, id, stamp)?;
            }
            2 => tx.put_transferred(id, &origin)?,
            3 => {
                let point = SyncPoint {
                    mark: Mark(self.random.bits()),
                    complete: self.random.one_in(2),
                    ..point(self.random.below(3))
                };
                let digest = self.random.one_in(2).then(|| digest(4));
                tx.put_issued_point(&point, digest)?;
            }
            4 => tx.put_view(hash, &view(), &BucketSums([(7, digest(1))].into()))?,
            5 => tx.delete_view(hash)?,
            6 if tx.views()?.iter().any(|(known, _)| *known == hash) => {
                let changes = self.digests();
                tx.change_view_sums(hash, &changes)?;
            }
            _ => {
                let at = self.next_number();
                tx.put_deletion_event(&origin, at, 1 + self.random.below(5))?;
                if self.random.one_in(3) {
                    tx.purge_deletion_events(at - self.random.below(at))?;
                }
            }
        }
        Ok(format!("{:?} {:?}", tx.view_sums(hash)?, tx.transferred(id)?))
    }

    fn change_common(&mut self, tx: &mut Tx<'_>) -> Stored<String> {
        let (text, at) = (self.text().to_owned(), self.next_number());
        match self.random.below(6) {
            0 => {
                let (step, level) = (self.text().to_owned(), Level::Info);
                tx.put_log(&LogLine { at, step, level, text, run: Some(at) })?;
            }
            1 => tx.purge_log(self.random.below(at))?,
            2 => {
                let (origin, subject) = (text.clone(), self.text().to_owned());
                let reason = String::new();
                let line = (at % 2 == 0).then_some(at);
                let case =
                    Quarantined { number: 0, since: at, origin, subject, line, reason, text };
                // Which numbers a store gives after a rollback is its own affair.
                tx.put_quarantined(&case)?;
            }
            3 => {
                let cases = tx.quarantined()?;
                if !cases.is_empty() {
                    let place = self.random.below(cases.len() as u64) as usize;
                    tx.delete_quarantined(cases[place].number)?;
                }
            }
            4 => tx.put_note(&text, (!self.random.one_in(3)).then_some("note"))?,
            _ => {
                tx.put_guard_event(&text, at, GuardKind::Delete, 1 + self.random.below(5))?;
                tx.purge_guard_events(self.random.below(at))?;
            }
        }
        Ok(format!("{:?}", tx.notes("")?))
    }

    fn change_savepoints(&mut self, tx: &mut Tx<'_>) -> Stored<String> {
        match self.random.below(4) {
            0 if self.depth > 0 => {
                self.depth -= 1;
                tx.rollback_savepoint()?;
            }
            1 if self.depth > 0 => {
                self.depth -= 1;
                tx.release_savepoint()?;
            }
            _ => {
                self.depth += 1;
                tx.savepoint()?;
            }
        }
        Ok(self.depth.to_string())
    }
}

/// At most one origin's row of an id is published.
fn withdraw_others(tx: &mut Tx<'_>, row: &ServerRow) -> Stored<()> {
    for other in tx.rows(row.id)? {
        if other.origin != row.origin && other.published.is_some() {
            tx.put_row(&ServerRow { published: None, ..other })?;
        }
    }
    Ok(())
}

#[track_caller]
fn assert_equal_dumps(seen: Stored<Vec<String>>, expected: Stored<Vec<String>>, place: &str) {
    let seen = seen.expect("everything can be read");
    let expected = expected.expect("everything can be read");
    for (part, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
        assert_eq!(seen, expected, "{place}, part {part} of the dump");
    }
    assert_eq!(seen.len(), expected.len(), "{place}");
}

/// The lines of what comes in any order.
fn unordered<T: std::fmt::Debug>(items: impl IntoIterator<Item = T>) -> String {
    let mut lines: Vec<String> = items.into_iter().map(|item| format!("{item:?}")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Everything that a store says of itself.
fn dump(tx: &mut Tx<'_>) -> Stored<Vec<String>> {
    let mut parts = dump_requestor(tx)?;
    parts.extend(dump_server(tx)?);
    // Numbers of quarantined cases are compared by their order only.
    let cases = tx.quarantined()?.into_iter().map(|case| Quarantined { number: 0, ..case });
    parts.push(format!("{:?}", cases.collect::<Vec<_>>()));
    let log = visited!(ALL, line => format!("{line:?}"), tx.visit_log(3))?;
    parts.push(log.join("\n"));
    parts.push(format!("{:?} {:?}", tx.notes("")?, tx.notes("a")?));
    Ok(parts)
}

fn dump_requestor(tx: &mut Tx<'_>) -> Stored<Vec<String>> {
    let after = dirsync_message::ReqSeq(3);
    let own = visited!(ALL, row => format!("{row:?}"), tx.visit_own(after))?;
    let elements = visited!(ALL, (id, element, source) => (id, element, str::to_owned(source)),
        tx.visit_own_elements())?;
    let tombstones = visited!(ALL, row => row, tx.visit_own_tombstones(after))?;
    let mut parts = vec![own.join("\n"), unordered(elements), format!("{tombstones:?}")];
    for place in [ListPlace::Live, ListPlace::Staged] {
        let rows = visited!(ALL, row => format!("{row:?}"),
            tx.visit_list(place))?;
        parts.push(rows.join("\n"));
        parts.push(format!("{:?}", tx.list_buckets(place)?));
    }
    let named = visited!(ALL, row => row.id, tx.visit_list_by_name())?;
    parts.push(format!("{named:?}"));
    for text in TEXTS {
        parts.push(format!("{:?}", tx.adopted_id(text, "key")?));
        parts.push(unordered(tx.guard_events(text)?));
    }
    Ok(parts)
}

fn dump_server(tx: &mut Tx<'_>) -> Stored<Vec<String>> {
    let mut parts = vec![format!("{:?}", tx.registrations()?)];
    for n in 0..ENTRIES {
        let id = entry_id(n);
        parts.push(format!("{:?} {:?} {:?}", tx.rows(id)?, tx.tombstone(id)?, tx.transferred(id)?));
    }
    for text in ORIGINS {
        let origin = postoffice(text);
        let rows = visited!(ALL, row => format!("{row:?}"),
            tx.visit_submitted(&origin))?;
        let deletions = visited!(ALL, item => item,
            tx.visit_submitted_tombstones(&origin))?;
        parts.push(unordered(rows));
        parts.push(unordered(deletions));
        parts.push(tx.published_count(&origin)?.to_string());
        parts.push(unordered(tx.deletion_events(&origin)?));
    }
    for key in ["smtp:a@b", "smtp:c@d", "x400:/c=b", ""] {
        parts.push(unordered(tx.claimants(key)?));
    }
    let unsettled = visited!(ALL, row => format!("{row:?}"),
        tx.visit_unsettled())?;
    parts.push(unordered(unsettled));
    let numbered = visited!(ALL, item => format!("{item:?}"),
        tx.visit_numbered(SrvSeq(3), SrvSeq(u64::MAX >> 1)))?;
    parts.push(numbered.join("\n"));
    parts.push(unordered(tx.views()?));
    for n in 0..3 {
        parts.push(format!("{:?}", tx.view_sums(view_hash(n))?));
        for complete in [false, true] {
            let point = SyncPoint { complete, ..point(n.into()) };
            parts.push(format!("{:?}", tx.issued_point(&point)?));
        }
    }
    Ok(parts)
}
