//! Sequences of messages, good ones and damaged ones, given to the shipped steps.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use dirsync_agent::step::{ApplyReport, ProcessReport, apply, process, send};
use dirsync_carrier::{Arrived, BodyEncoder, Carrier, Outgoing, open_message};
use dirsync_directory::{PostofficeName, View};
use dirsync_message::Head;
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{MemoryStore, Store};
use dirsync_testing::MemoryNetwork;
use tempfile::TempDir;

use crate::bytes::Bytes;
use crate::scratch::file_of;
use crate::site::{NAMES, Site};

/// Most that is done for one input.
const DEEDS_MAX: usize = 12;
/// Values with a reputation, for any field of a head and any line of a body.
const VALUES: [&str; 24] = [
    "0",
    "1",
    "2",
    "4611686018427387903",
    "9223372036854775807",
    "18446744073709551615",
    "delta",
    "full",
    "want-own",
    "replace",
    "repair",
    "own",
    "fenced",
    "removed",
    "yes",
    "12:0,1,4095",
    "0:0",
    "0-00000000000000000000000000000000",
    "1-ffffffffffffffffffffffffffffffff",
    "NORTH/HQ",
    "SOUTH/A",
    "WEST/B",
    "types\\tSMTP\\nkinds\\tlist\\n",
    "",
];
/// Lines that begin transactions, and what belongs to them.
const LINES: [&str; 16] = [
    "*SOUTH/A",
    "*WEST/B",
    "*NORTH/HQ\tSOUTH/A",
    " A 10\tName\tSMTP:p10@x",
    " A 11\tName\tSMTP:p10@x\tSMTP:p0@x",
    " A.list 77\tName\tX:1",
    "@-1 M 10\t\tSMTP:p1@x",
    " M.robot 11\tName",
    "4611686018427387902@+4611686018427387900 A 5\tName\tX:5",
    "18446744073709551615@+18446744073709551614 A 6\tName\tX:6",
    " D 00000000000000000000000000000000",
    " D.approved 0123456789abcdef0123456789abcdef",
    ">SOUTH/A",
    ">",
    "-title/x",
    "-title",
];

/// A message of the story.
#[derive(Clone)]
struct Letter {
    /// Which of [`NAMES`] it is for.
    to: usize,
    from: PostofficeName,
    head: String,
    body: String,
}

/// What all inputs begin with.
struct Start<S> {
    stores: Vec<S>,
    letters: Vec<Letter>,
    decisions: Vec<dirsync_agent::decisions::Decision>,
}

/// A store whose content can be compared, if that costs nothing.
trait Kept: Store {
    fn copy(&self) -> Option<Self>
    where
        Self: Sized;
    fn is(&self, other: &Self) -> bool;
}

impl Kept for MemoryStore {
    fn copy(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is(&self, other: &Self) -> bool {
        self.same_content(other)
    }
}

impl Kept for SqliteStore {
    fn copy(&self) -> Option<Self> {
        None
    }

    fn is(&self, _: &Self) -> bool {
        true
    }
}

/// A server, two requestors and the network between.
struct World<S> {
    network: MemoryNetwork,
    sites: Vec<Site<S>>,
}

impl<S: Kept> World<S> {
    fn send(&mut self, at: usize) {
        let site = &mut self.sites[at];
        let around = site.around();
        let carrier = self.network.carrier(&site.name);
        send(&mut site.store, &carrier, &around, true).expect("no message makes T1 fail");
    }

    fn process(&mut self) -> ProcessReport {
        let site = &mut self.sites[0];
        let around = site.around();
        let carrier = self.network.carrier(&site.name);
        let carriers = BTreeMap::from([("net".to_owned(), &carrier as &dyn Carrier)]);
        process(&mut site.store, &carriers, &mut site.decisions, &around, true)
            .expect("no message makes T2 fail")
    }

    fn apply(&mut self, at: usize) -> ApplyReport {
        let site = &mut self.sites[at];
        let around = site.around();
        let carrier = self.network.carrier(&site.name);
        apply(&mut site.store, &carrier, &around).expect("no message makes T3 fail")
    }

    /// One cycle of everybody; keeps the messages that travel.
    fn cycle(&mut self, letters: &mut Vec<Letter>) {
        for at in 0..NAMES.len() {
            self.send(at);
        }
        self.keep(letters);
        self.process();
        self.keep(letters);
        for at in 0..NAMES.len() {
            self.apply(at);
        }
    }

    fn keep(&self, letters: &mut Vec<Letter>) {
        for (to, site) in self.sites.iter().enumerate() {
            for arrived in self.network.pending(&site.name) {
                let bytes = self.network.copy(&site.name, &arrived).expect("it is pending");
                let mut message = open_message(file_of(&bytes)).expect("it was just sent");
                let (from, head) = (message.envelope.from.clone(), message.head.clone());
                let mut body = String::new();
                message.body.read_to_string(&mut body).expect("it was just sent");
                letters.push(Letter { to, from, head, body });
            }
        }
    }

    fn lose_all(&self) {
        for site in &self.sites {
            for arrived in self.network.pending(&site.name) {
                self.network.lose(&site.name, &arrived);
            }
        }
    }

    /// What everything begins with: two cycles, a contested address, and requests that were lost.
    fn story(stores: Vec<S>) -> (Self, Vec<Letter>) {
        let names = NAMES.into_iter().zip(stores);
        let sites = names.map(|(name, store)| Site::new(name, store, Vec::new())).collect();
        let mut world = Self { network: MemoryNetwork::default(), sites };
        let mut letters = Vec::new();
        world.sites[0].found_server();
        world.sites[0].invite(NAMES[1], View::default());
        let narrow = "types\tSMTP\nattributes\tou\nfilter\t(ou=*)\n";
        world.sites[0].invite(NAMES[2], narrow.parse().expect("a view"));
        world.sites[1].found_requestor();
        world.sites[2].found_requestor();
        world.sites[0].import(0..6, "a");
        world.sites[1].import(10..14, "a");
        world.cycle(&mut letters);
        world.sites[0].import(0..5, "b");
        world.sites[1].import(10..15, "b");
        world.sites[2].import(10..12, "b");
        world.cycle(&mut letters);
        world.cycle(&mut letters);
        world.sites[0].import(1..6, "c");
        world.sites[1].import(9..15, "c");
        for at in 0..NAMES.len() {
            world.send(at);
        }
        world.keep(&mut letters);
        world.lose_all();
        (world, letters)
    }
}

/// The story in memory, and more letters of a requestor that is restored from an older copy.
fn start_in_memory() -> Start<MemoryStore> {
    let empty = || vec![MemoryStore::new(); NAMES.len()];
    let (world, mut letters) = World::story(empty());
    let stores: Vec<MemoryStore> = world.sites.iter().map(|site| site.store.clone()).collect();
    let decisions = world.sites[0].decisions.clone();
    let (mut later, _) = World::story(empty());
    later.sites[1].import(9..16, "d");
    for _ in 0..2 {
        later.cycle(&mut letters);
    }
    later.sites[1].store = stores[1].clone();
    for _ in 0..3 {
        later.cycle(&mut letters);
    }
    Start { stores, letters, decisions }
}

thread_local! {
    static MEMORY: Start<MemoryStore> = start_in_memory();
    static SQLITE: TempDir = start_on_disk();
}

/// The story in databases, one for each of [`NAMES`].
fn start_on_disk() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let create = |at: usize| SqliteStore::create(database(&folder, at)).expect("a database");
    let (world, _) = World::story((0..NAMES.len()).map(create).collect());
    for site in world.sites {
        let mut store = site.store;
        store.checkpoint_truncate().expect("a database");
    }
    folder
}

fn database(folder: &TempDir, at: usize) -> std::path::PathBuf {
    folder.path().join(format!("{at}.db"))
}

/// Messages for a server and two requestors in memory: nothing panics, no step fails, what is refused
/// changes nothing, and afterwards every postoffice agrees with itself.
pub fn steps(data: &[u8]) {
    MEMORY.with(|start| run(data, start.stores.clone(), start));
}

/// The same for databases, where a number can be too large to be kept.
pub fn steps_sqlite(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = |at: usize| {
        SQLITE
            .with(|start| std::fs::copy(database(start, at), database(&folder, at)))
            .expect("a copy of the database");
        SqliteStore::open(database(&folder, at)).expect("a database")
    };
    let stores: Vec<SqliteStore> = (0..NAMES.len()).map(open).collect();
    MEMORY.with(|start| run(data, stores, start));
}

fn run<S: Kept, T>(data: &[u8], stores: Vec<S>, start: &Start<T>) {
    let names = NAMES.into_iter().zip(stores);
    let sites = names.map(|(name, store)| {
        let decisions = if name == NAMES[0] { start.decisions.clone() } else { Vec::new() };
        let mut site = Site::new(name, store, decisions);
        site.passed = 24 * 60 * 60 * 1000;
        site
    });
    let mut world = World { network: MemoryNetwork::default(), sites: sites.collect() };
    let mut bytes = Bytes(data);
    for deed in 0..DEEDS_MAX {
        if bytes.is_empty() {
            break;
        }
        match bytes.byte() % 8 {
            0..=3 => deliver(&mut world, &start.letters, deed as u64, &mut bytes),
            4 => world.send(bytes.below(NAMES.len())),
            5 => world.cycle(&mut Vec::new()),
            6 => {
                let at = bytes.below(NAMES.len());
                let first = u64::from(bytes.byte() % 16);
                world.sites[at].import(first..first + u64::from(bytes.byte() % 8), "e");
            }
            _ => {
                let at = bytes.below(NAMES.len());
                world.sites[at].passed += u64::from(bytes.byte()) * 24 * 60 * 60 * 1000;
            }
        }
        world.sites.iter_mut().for_each(Site::check);
    }
    world.lose_all();
    for _ in 0..2 {
        world.cycle(&mut Vec::new());
        world.sites.iter_mut().for_each(Site::check);
    }
}

/// Delivers a letter as it is or edited, and runs its addressee.
fn deliver<S: Kept>(world: &mut World<S>, letters: &[Letter], deed: u64, bytes: &mut Bytes<'_>) {
    let mut letter = letters[bytes.below(letters.len())].clone();
    let other = &letters[bytes.below(letters.len())];
    let edits = bytes.byte();
    if edits & 1 != 0 {
        // A newer minor version is read without regard to the order of fields.
        letter.head = letter.head.replacen("format=1.0", "format=1.1", 1);
    }
    for _ in 0..(edits >> 1) % 4 {
        letter.head = edit_head(&letter.head, &other.head, bytes);
    }
    for _ in 0..(edits >> 3) % 4 {
        letter.body = edit_body(&letter.body, &other.body, bytes);
    }
    if edits & 32 != 0 {
        letter.body = counted(&letter.body);
    }
    let to = letter.to;
    let me = world.sites[to].name.clone();
    // What waits is taken first, so that whatever changes then is this letter's.
    settle(world, to);
    let (arrived, mut content) = posted(&letter, deed);
    if edits & 64 != 0 && !content.is_empty() {
        let at = bytes.below(content.len());
        content[at] ^= bytes.byte() | 1;
    }
    let before = world.sites[to].store.copy();
    let decisions = world.sites[to].decisions.len();
    let noted = notes_of_left(&mut world.sites[to].store);
    world.network.deliver(&me, &arrived, content);
    let refused = settle(world, to);
    let left = world.network.pending(&me).contains(&arrived);
    // What is left for another machine of this name is noted, and forgotten when it is gone.
    let for_another = notes_of_left(&mut world.sites[to].store) != noted;
    if let Some(before) = before.filter(|_| (refused > 0 || left) && !for_another) {
        let site = &world.sites[to];
        // A first contact that is admitted pins a key before its message is read.
        let unchanged = site.store.is(&before) || site.decisions.len() > decisions;
        assert!(unchanged, "what is refused changes nothing:\n{}\n{}", letter.head, letter.body);
    }
    world.network.lose(&me, &arrived);
}

fn notes_of_left(store: &mut impl Store) -> usize {
    let notes = store.begin().and_then(|mut tables| tables.notes("left:"));
    notes.expect("the store is whole").len()
}

/// Runs a postoffice until nothing waits that it takes; how many messages it refused.
fn settle<S: Kept>(world: &mut World<S>, at: usize) -> u64 {
    let refused = if at == 0 { world.process().refused } else { 0 };
    refused + world.apply(at).refused
}

/// The file of a letter, with the right hash whatever it says.
fn posted(letter: &Letter, number: u64) -> (Arrived, Vec<u8>) {
    let mut encoder = BodyEncoder::new(1).expect("a level of zstd");
    encoder.write_all(letter.body.as_bytes()).expect("memory takes everything");
    let body = encoder.finish().expect("memory takes everything");
    let to: PostofficeName = NAMES[letter.to].parse().expect("a name");
    let (from, said_to) = match Head::parse(&letter.head) {
        Ok(Head::Request(request)) => (request.from, request.to),
        Ok(Head::Update(update)) => (update.from, update.to),
        Err(_) => (letter.from.clone(), to),
    };
    let post = MemoryNetwork::default();
    let outgoing = Outgoing {
        from: &from,
        to: &said_to,
        epoch: "e",
        number,
        part: 1,
        head: &letter.head,
        body: &body,
    };
    post.carrier(&from).send(&outgoing).expect("memory takes everything");
    let arrived = post.pending(&said_to).pop().expect("it was just sent");
    let content = post.copy(&said_to, &arrived).expect("it was just sent");
    (arrived, content)
}

fn edit_head(head: &str, other: &str, bytes: &mut Bytes<'_>) -> String {
    let mut lines: Vec<&str> = head.split_inclusive('\n').collect();
    let at = bytes.below(lines.len());
    let others: Vec<&str> = other.split_inclusive('\n').collect();
    let name = lines[at].split_inclusive('=').next().unwrap_or_default();
    let value = |text: &str| format!("{name}{text}\n");
    let line = match bytes.byte() % 6 {
        0 => value(bytes.of(&VALUES).copied().unwrap_or_default()),
        1 => value(&String::from_utf8_lossy(bytes.short())),
        2 => others.iter().find(|line| line.starts_with(name)).copied().unwrap_or("").to_owned(),
        3 => String::new(),
        4 => [lines[at], bytes.of(&others).copied().unwrap_or_default()].concat(),
        _ => {
            let (start, end) = (bytes.byte(), bytes.byte());
            value(&spliced(&lines[at][name.len()..], start, end, bytes.short()))
        }
    };
    lines[at] = &line;
    lines.concat()
}

fn edit_body(body: &str, other: &str, bytes: &mut Bytes<'_>) -> String {
    let mut lines: Vec<&str> = body.split_inclusive('\n').collect();
    if lines.is_empty() {
        return String::from_utf8_lossy(bytes.rest()).into_owned();
    }
    let at = bytes.below(lines.len());
    let others: Vec<&str> = other.split_inclusive('\n').collect();
    let line = match bytes.byte() % 6 {
        0 => format!("{}\n{}", bytes.of(&LINES).copied().unwrap_or_default(), lines[at]),
        1 => format!("{}\n", String::from_utf8_lossy(bytes.short())),
        2 => [bytes.of(&others).copied().unwrap_or_default(), lines[at]].concat(),
        3 => String::new(),
        4 => [lines[at], lines[at]].concat(),
        _ => {
            let (start, end) = (bytes.byte(), bytes.byte());
            spliced(lines[at].trim_end_matches('\n'), start, end, bytes.short()) + "\n"
        }
    };
    lines[at] = &line;
    lines.concat()
}

/// A text with some of it replaced.
fn spliced(text: &str, start: u8, end: u8, with: &[u8]) -> String {
    let start = text.floor_char_boundary(usize::from(start) % (text.len() + 1));
    let end = text.floor_char_boundary(usize::from(end) % (text.len() + 1)).max(start);
    [&text[..start], &String::from_utf8_lossy(with), &text[end..]].concat()
}

/// A body whose trailer tells how many lines look like transactions.
fn counted(body: &str) -> String {
    let starts = |line: &&str| {
        line.starts_with([' ', '@']) || line.starts_with(|c: char| c.is_ascii_digit())
    };
    let count = body.lines().filter(starts).count();
    let kept: String =
        body.split_inclusive('\n').filter(|line| !line.starts_with("[END]")).collect();
    format!("{kept}[END] {count}\n")
}
