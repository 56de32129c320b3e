//! The decision tables of `docs/protocol.md` (S, B and R), row by row: a state and a message lead to the
//! row that decides.
//!
//! The name of a test begins with the row that wins. Each table has at least one case for each row, and
//! one for each pair of rows that can both fit: the upper one decides.

mod answer;
mod requestor;
mod server;

use dirsync_directory::{EntryId, PostofficeName, Record, SetDigest, list_element, own_element};
use dirsync_message::{
    BodyError, Change, Instance, ReqEpoch, RequestId, ServerEpoch, Stamp, Transaction,
};
use dirsync_protocol::context::{Context, Draws, Event, TransactionSource};
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::Tables;
use dirsync_store::Store;
use dirsync_testing::{EVIDENCE, MemoryStore};

/// The time of every test, in milliseconds since 1970.
const NOW: u64 = 1_767_225_600_000;
const DAY: u64 = 24 * 60 * 60 * 1000;
/// The epoch of the server that both sides know.
const EPOCH: ServerEpoch = ServerEpoch { generation: 3, instance: Instance(7), random: 1 };
/// The next epoch of the same instance.
const NEXT_EPOCH: ServerEpoch = ServerEpoch { generation: 4, ..EPOCH };
/// A later epoch, of the server that takes this one's place.
const SUCCESSOR: ServerEpoch = ServerEpoch { generation: 4, instance: Instance(9), random: 1 };
/// The epoch of the requestor that both sides know.
const MINE: ReqEpoch = ReqEpoch([1; 16]);
/// Other epochs of the requestor.
const OTHER: ReqEpoch = ReqEpoch([2; 16]);
const THIRD: ReqEpoch = ReqEpoch([3; 16]);

fn hq() -> PostofficeName {
    "NORTH/HQ".parse().unwrap()
}

fn sales() -> PostofficeName {
    "SOUTH/SALES".parse().unwrap()
}

fn request_id(n: u8) -> RequestId {
    RequestId([n; 16])
}

/// The id of an entry of SOUTH/SALES.
fn id(key: &str) -> EntryId {
    EntryId::derive(&sales(), key)
}

/// An entry of SOUTH/SALES: the key is its name and its mailbox.
fn record(key: &str) -> Record {
    Record {
        kind: "mailbox".into(),
        name: key.into(),
        addresses: format!("SMTP:{key}@south.example"),
        details: String::new(),
    }
}

/// The digest of own entries of SOUTH/SALES.
fn own_digest(keys: &[&str]) -> SetDigest {
    sum(keys.iter().map(|key| own_element(id(key), None, record(key).as_ref())))
}

/// The digest of a list of these entries of SOUTH/SALES.
fn list_digest(keys: &[&str]) -> SetDigest {
    sum(keys.iter().map(|key| list_element(id(key), &sales(), record(key).as_ref())))
}

fn sum(elements: impl Iterator<Item = u128>) -> SetDigest {
    let mut sum = SetDigest::default();
    elements.for_each(|element| sum += SetDigest::one(element));
    sum
}

/// One transaction of a body, about an entry of SOUTH/SALES.
#[derive(Clone)]
struct Line {
    number: u64,
    stamp: u64,
    key: &'static str,
    says: Says,
}

#[derive(Clone)]
enum Says {
    Whole(Record),
    Renamed(&'static str),
    Deleted,
}

/// The whole entry. The stamp of a change is ten times its number, unless a test says otherwise.
fn whole(number: u64, key: &'static str) -> Line {
    Line { number, stamp: 10 * number, key, says: Says::Whole(record(key)) }
}

fn renamed(number: u64, key: &'static str, name: &'static str) -> Line {
    Line { says: Says::Renamed(name), ..whole(number, key) }
}

fn deleted(number: u64, key: &'static str) -> Line {
    Line { says: Says::Deleted, ..whole(number, key) }
}

/// A body that is read from the front.
struct Lines<'a> {
    owner: PostofficeName,
    rest: std::slice::Iter<'a, Line>,
}

impl<'a> Lines<'a> {
    fn new(lines: &'a [Line]) -> Self {
        Self { owner: sales(), rest: lines.iter() }
    }
}

impl TransactionSource for Lines<'_> {
    fn next(&mut self) -> Result<Option<Transaction<'_>>, BodyError> {
        let Some(line) = self.rest.next() else { return Ok(None) };
        let mut transaction = Transaction {
            number: line.number,
            stamp: Stamp(line.stamp),
            id: id(line.key),
            owner: None,
            first_origin: None,
            key: "",
            released_to: None,
            change: Change::Delete { approved: false },
            line: 0,
        };
        match &line.says {
            Says::Whole(record) => {
                transaction.owner = Some(&self.owner);
                transaction.first_origin = Some(&self.owner);
                transaction.key = line.key;
                transaction.released_to = Some(None);
                transaction.change = Change::Whole(record.as_ref());
            }
            Says::Renamed(name) => {
                let (kind, addresses, details) = (None, None, "");
                transaction.change = Change::Delta { kind, name: Some(name), addresses, details };
            }
            Says::Deleted => {}
        }
        Ok(Some(transaction))
    }
}

/// Runs a step in a transaction, and commits it. Returns the rows that it logged, too.
fn run<T>(
    store: &mut MemoryStore,
    step: impl FnOnce(&mut dyn Tables, &mut Context<'_>) -> T,
) -> (T, Vec<Row>) {
    let mut events: Vec<Event> = Vec::new();
    let mut draws = Draws::new(&[5; 32]);
    let mut context = Context {
        now: NOW,
        draws: &mut draws,
        events: &mut events,
        guard: GuardLimits::default(),
        evidence: &EVIDENCE,
    };
    let mut transaction = store.begin().unwrap();
    let result = step(&mut *transaction, &mut context);
    transaction.commit().unwrap();
    (result, events.into_iter().map(|event| event.row).collect())
}

/// The texts of the tests.
const SOURCES: [&str; 5] = [
    include_str!("server/identity.rs"),
    include_str!("server/submission.rs"),
    include_str!("answer.rs"),
    include_str!("requestor/head.rs"),
    include_str!("requestor/list.rs"),
];

/// The rows of the sections 5, 7.1 and 8, as `docs/protocol.md` names them.
fn rows_of_the_page() -> Vec<String> {
    let page = include_str!("../../../../docs/protocol.md");
    let is_name = |word: &&str| {
        let number = word.strip_prefix(['S', 'B', 'R']).unwrap_or_default();
        number.starts_with(|first: char| first.is_ascii_digit())
    };
    let names = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    names.filter(is_name).map(str::to_lowercase).collect()
}

#[test]
fn every_row_has_a_case() {
    let mut rows = rows_of_the_page();
    assert!(rows.len() > 45, "the tables of the page were found");
    let logged = Row::ALL.iter().map(|row| row.name().to_lowercase());
    rows.extend(logged.filter(|name| name.starts_with(['s', 'b', 'r'])));
    rows.retain(|row| !SOURCES.iter().any(|source| source.contains(&format!("\nfn {row}_"))));
    assert_eq!(rows, [""; 0], "rows without a case");
}

#[test]
fn every_case_names_a_row() {
    let rows = rows_of_the_page();
    for test in SOURCES.iter().flat_map(|source| source.split("#[test]\nfn ").skip(1)) {
        let row = test.split('_').next().unwrap_or_default();
        assert!(rows.iter().any(|known| known == row), "no row is named {row}");
    }
}
