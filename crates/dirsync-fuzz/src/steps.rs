//! Sequences of messages, good ones and damaged ones, given to the shipped steps.

use std::ops::Range;

use dirsync_agent::changes::ReadSettings;
use dirsync_agent::decisions::Decision;
use dirsync_carrier::{Arrived, Body, Outgoing, Transit};
use dirsync_directory::View;
use dirsync_message::Head;
use dirsync_store::Store;
use dirsync_testing::rows::{postoffice, record};
use dirsync_testing::{
    DAY_MS, Letter, MemoryNetwork, Readable, SERVER, TestPostoffice, TestStore, World,
};

use crate::bytes::Bytes;
use crate::check::check;

const A: &str = "SOUTH/A";
const B: &str = "WEST/B";
const NAMES: [&str; 3] = [SERVER, A, B];
/// The time that each step takes.
const STEP_MS: u64 = 60_000;
/// The most actions for one input.
const DEEDS_MAX: usize = 12;
/// Values that often cause trouble, for any field of a head and any line of a body.
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
/// Lines that begin transactions, and lines that belong to them.
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

/// A message of the story and its addressee, one of [`NAMES`].
type Sent = (&'static str, Letter);

/// The state with which all inputs begin.
struct Start {
    stores: Vec<TestStore>,
    letters: Vec<Sent>,
    decisions: Vec<Decision>,
}

/// Runs one cycle of all postoffices, and keeps the messages that travel.
fn cycle(world: &mut World, letters: &mut Vec<Sent>) {
    for name in NAMES {
        send(world, name);
    }
    keep(world, letters);
    process(world);
    keep(world, letters);
    for name in NAMES {
        apply(world, name);
    }
}

fn send(world: &mut World, name: &str) {
    world.at(name).now += STEP_MS;
    world.send(name);
}

fn process(world: &mut World) -> u64 {
    world.at(SERVER).now += STEP_MS;
    world.process_unasked().refused
}

fn apply(world: &mut World, name: &str) -> u64 {
    world.at(name).now += STEP_MS;
    world.apply(name).refused
}

fn keep(world: &World, letters: &mut Vec<Sent>) {
    for name in NAMES {
        letters.extend(world.network.letters(name).into_iter().map(|letter| (name, letter)));
    }
}

fn lose_all(world: &World) {
    for name in NAMES.map(postoffice) {
        for arrived in world.network.pending(&name) {
            world.network.lose(&name, &arrived);
        }
    }
}

/// Imports entries with these numbers, and `word` in each, as a whole source.
fn import(world: &mut World, name: &str, numbers: Range<u64>, word: &str) {
    world.at(name).now += STEP_MS;
    let settings = ReadSettings { source: "import".into(), whole: true, ..Default::default() };
    let rows = numbers.map(|number| {
        let (name, address) = (format!("Person {number}"), format!("SMTP:p{number}@x"));
        let details = format!("ou/{word}\ntitle/{number}\n");
        (number.to_string(), record(&name, &address, &details))
    });
    world.at(name).read(settings, rows, true).expect("a store");
}

/// The story with which all inputs begin: two cycles, a contested address, and lost requests.
fn story(store: fn() -> TestStore) -> (World, Vec<Sent>) {
    let (mut world, mut letters) = (World::default(), Vec::new());
    world.found(SERVER, store());
    world.invite(A, View::default());
    let narrow = "types\tSMTP\nattributes\tou\nfilter\t(ou=*)\n";
    world.invite(B, narrow.parse().expect("a view"));
    world.found(A, store());
    world.found(B, store());
    import(&mut world, SERVER, 0..6, "a");
    import(&mut world, A, 10..14, "a");
    cycle(&mut world, &mut letters);
    import(&mut world, SERVER, 0..5, "b");
    import(&mut world, A, 10..15, "b");
    import(&mut world, B, 10..12, "b");
    cycle(&mut world, &mut letters);
    cycle(&mut world, &mut letters);
    import(&mut world, SERVER, 1..6, "c");
    import(&mut world, A, 9..15, "c");
    for name in NAMES {
        send(&mut world, name);
    }
    keep(&world, &mut letters);
    lose_all(&world);
    (world, letters)
}

/// The story, with further letters of a requestor that is restored from an older copy.
fn start(store: fn() -> TestStore) -> Start {
    let (mut world, mut letters) = story(store);
    let stores = NAMES.map(|name| world.at(name).store.copy()).into();
    let decisions = world.at(SERVER).decisions.clone();
    let older = world.at(A).store.copy();
    import(&mut world, A, 9..16, "d");
    for _ in 0..2 {
        cycle(&mut world, &mut letters);
    }
    world.at(A).store = older;
    for _ in 0..3 {
        cycle(&mut world, &mut letters);
    }
    Start { stores, letters, decisions }
}

thread_local! {
    static MEMORY: Start = start(TestStore::default);
    static SQLITE: Start = start(TestStore::in_file);
}

/// Messages for a server and two requestors in memory. Nothing panics, no step fails, a refused message
/// changes nothing, and the tables of every postoffice stay consistent.
pub fn steps(data: &[u8]) {
    MEMORY.with(|start| run(data, start));
}

/// As [`steps`], with databases, in which a number can be too large to be stored.
pub fn steps_sqlite(data: &[u8]) {
    SQLITE.with(|start| run(data, start));
}

fn run(data: &[u8], start: &Start) {
    let mut world = World::default();
    for (name, store) in NAMES.into_iter().zip(&start.stores) {
        let decisions = if name == SERVER { start.decisions.clone() } else { Vec::new() };
        let mut postoffice = TestPostoffice::new(name, store.copy(), decisions);
        postoffice.now += DAY_MS;
        // It draws other tokens than it did in the story.
        postoffice.draws = 1000;
        world.postoffices.insert(name, postoffice);
    }
    let mut bytes = Bytes(data);
    for deed in 0..DEEDS_MAX {
        if bytes.is_empty() {
            break;
        }
        match bytes.byte() % 8 {
            0..=3 => deliver(&mut world, &start.letters, deed as u64, &mut bytes),
            4 => send(&mut world, NAMES[bytes.below(NAMES.len())]),
            5 => cycle(&mut world, &mut Vec::new()),
            6 => {
                let at = NAMES[bytes.below(NAMES.len())];
                let first = u64::from(bytes.byte() % 16);
                import(&mut world, at, first..first + u64::from(bytes.byte() % 8), "e");
            }
            _ => {
                let at = NAMES[bytes.below(NAMES.len())];
                world.at(at).now += u64::from(bytes.byte()) * DAY_MS;
            }
        }
        world.postoffices.values_mut().for_each(check);
    }
    lose_all(&world);
    for _ in 0..2 {
        cycle(&mut world, &mut Vec::new());
        world.postoffices.values_mut().for_each(check);
    }
}

/// Delivers a letter as it is or edited, and runs its addressee.
fn deliver(world: &mut World, letters: &[Sent], deed: u64, bytes: &mut Bytes<'_>) {
    let (to, mut letter) = letters[bytes.below(letters.len())].clone();
    let (_, other) = &letters[bytes.below(letters.len())];
    let edits = bytes.byte();
    if edits & 1 != 0 {
        // In a newer minor version the order of the fields does not matter.
        letter.message.head = letter.message.head.replacen("format=1.0", "format=1.1", 1);
    }
    for _ in 0..(edits >> 1) % 4 {
        letter.message.head = edit_head(&letter.message.head, &other.message.head, bytes);
    }
    for _ in 0..(edits >> 3) % 4 {
        letter.message.body = edit_body(&letter.message.body, &other.message.body, bytes);
    }
    if edits & 32 != 0 {
        letter.message.body = counted(&letter.message.body);
    }
    let me = postoffice(to);
    // Waiting messages are taken first, so that every change after it comes from this letter.
    settle(world, to);
    let (arrived, mut content) = posted(to, &letter, deed);
    if edits & 64 != 0 && !content.is_empty() {
        let at = bytes.below(content.len());
        content[at] ^= bytes.byte() | 1;
    }
    let site = world.at(to);
    let before = site.store.is_in_memory().then(|| site.store.copy());
    let decisions = site.decisions.len();
    let noted = notes_of_messages(&mut site.store);
    world.network.deliver(&me, &arrived, content);
    let refused = settle(world, to);
    let left = world.network.pending(&me).contains(&arrived);
    // A message that is left for another machine of this name is noted until it is gone, and a postoffice
    // that is not admitted until it is.
    let is_noted = notes_of_messages(&mut world.at(to).store) != noted;
    if let Some(before) = before.filter(|_| (refused > 0 || left) && !is_noted) {
        let site = world.at(to);
        // Admitting a first contact pins its key, before its message is read.
        let unchanged = site.store.same_content(&before) || site.decisions.len() > decisions;
        assert!(
            unchanged,
            "what is refused changes nothing:\n{}\n{}",
            letter.message.head, letter.message.body
        );
    }
    world.network.lose(&me, &arrived);
}

fn notes_of_messages(store: &mut impl Store) -> Vec<(String, String)> {
    let notes = store.begin().and_then(|mut tables| {
        let left = tables.notes("left:")?;
        Ok(left.into_iter().chain(tables.notes("refused:")?).collect())
    });
    notes.expect("the store is whole")
}

/// Lets a postoffice take all messages that wait for it. Returns the number that it refused.
fn settle(world: &mut World, name: &str) -> u64 {
    let refused = if name == SERVER { process(world) } else { 0 };
    refused + apply(world, name)
}

/// The file of a letter, as its sender would have written it, whatever its content.
fn posted(to: &str, letter: &Letter, number: u64) -> (Arrived, Vec<u8>) {
    let to = postoffice(to);
    let (from, said_to) = match Head::parse(&letter.message.head) {
        Ok(Head::Request(request)) => (request.from, request.to),
        Ok(Head::Update(update)) => (update.from, update.to),
        Err(_) => (letter.message.from.clone(), to),
    };
    let message = Readable { from: from.clone(), to: said_to.clone(), ..letter.message.clone() };
    let post = MemoryNetwork::default();
    let outgoing = Outgoing {
        from: &from,
        to: &said_to,
        epoch: "e",
        number,
        part: 1,
        front: &message.file(),
        body: &Body::default(),
    };
    post.transit(&from).send(&outgoing).expect("memory takes everything");
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

/// A body whose trailer states the number of lines that look like transactions.
fn counted(body: &str) -> String {
    let starts = |line: &&str| {
        line.starts_with([' ', '@']) || line.starts_with(|c: char| c.is_ascii_digit())
    };
    let count = body.lines().filter(starts).count();
    let kept: String =
        body.split_inclusive('\n').filter(|line| !line.starts_with("[END]")).collect();
    format!("{kept}[END] {count}\n")
}
