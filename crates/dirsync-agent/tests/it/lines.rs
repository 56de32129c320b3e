//! Lines that are up now and then: messages and bodies arrive all the same, and each byte travels once.

use std::cell::RefCell;
use std::collections::BTreeSet;

use dirsync_agent::changes::ReadSettings;
use dirsync_agent::decisions::DecisionKind;
use dirsync_agent::peers::Peer;
use dirsync_agent::step::{Places, process};
use dirsync_carrier::Carrier as _;
use dirsync_directory::Record;
use dirsync_seal::{Content, work};
use dirsync_testing::rows::{postoffice, record};
use dirsync_testing::{
    DAY_MS, Line, LinePlace, MemoryNetwork, Random, SERVER, SlowMessages, TestPostoffice, World,
    exchange, peer_keys,
};
use dirsync_transit::{DiskBodies, Outbox, Piece};
use tempfile::TempDir;

const SOUTH: &str = "SOUTH/SALES";
/// The place of its registration.
const LINE: &str = "line";
/// The size of an entry, nearly, in bytes. Most of it is noise, which no compression makes much smaller.
const ENTRY_BYTES: u64 = 3_000;
/// How many entries the server changes each day.
const CHANGED: usize = 100;

/// A server, a requestor and the line between them.
struct Nights {
    world: World,
    place: LinePlace,
    /// At the server and at the requestor.
    messages: [SlowMessages; 2],
    random: Random,
    /// The bodies of both.
    folders: [TempDir; 2],
    day: u64,
    /// The place loses one of this number of pieces. 0 means that it loses none.
    loses_one_in: u64,
    /// The pieces that lie there.
    not_lost: BTreeSet<String>,
    /// The bytes of all files that the requestor's line has taken.
    bytes_up: u64,
    continues: bool,
    file_bytes_max: Option<u64>,
    /// Whether some entries change each day.
    changes: bool,
    bytes_a_night: u64,
    entries: usize,
    /// Who has the entries.
    source: &'static str,
}

/// What a night passes of a directory.
const SHARE_OF_A_NIGHT: u64 = 10;
/// In how many pieces it is cut, at any byte.
const SESSIONS: u64 = 10;

impl Nights {
    /// The directory of `source` has this number of bytes. A night passes a tenth of them.
    fn new(source: &'static str, bytes: u64) -> Self {
        Self::in_world(World::new(&[SOUTH]), source, bytes)
    }

    fn in_world(mut world: World, source: &'static str, bytes: u64) -> Self {
        world.decide(SOUTH, DecisionKind::Carrier(vec![LINE.into()]));
        for office in world.postoffices.values_mut() {
            office.part_bytes_max = bytes / 3 + 10_000;
        }
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (place, messages) = (LinePlace::default(), <[SlowMessages; 2]>::default());
        Self {
            world,
            place,
            messages,
            random: Random::new(7),
            folders,
            day: 0,
            loses_one_in: 0,
            not_lost: BTreeSet::new(),
            bytes_up: 0,
            continues: true,
            file_bytes_max: None,
            changes: true,
            bytes_a_night: bytes / SHARE_OF_A_NIGHT,
            entries: (bytes / ENTRY_BYTES) as usize,
            source,
        }
    }

    fn office(&mut self, name: &str) -> (&mut TestPostoffice, SlowMessages, MemoryNetwork) {
        let messages = self.messages[usize::from(name == SOUTH)].clone();
        let network = self.world.network.clone();
        (self.world.at(name), messages, network)
    }

    /// All steps of a postoffice.
    fn work(&mut self, name: &str) {
        self.work_as(name, false);
    }

    /// The same; with `push` the server also answers unasked.
    fn work_as(&mut self, name: &str, push: bool) {
        let (office, messages, network) = self.office(name);
        let transit = messages.transit(&network, &office.name.clone());
        if name == SERVER {
            let own = network.transit(&office.name.clone());
            office.send(&own).unwrap();
            let places = Places::from([("net".into(), &own as _), (LINE.into(), &transit as _)]);
            let around = office.around();
            let decisions = &mut office.decisions;
            process(&mut office.store, &places, decisions, &around, push).unwrap();
            office.apply(&own).unwrap();
        } else {
            office.apply(&transit).unwrap();
            office.send(&transit).unwrap();
        }
    }

    /// The programs are killed, and begin with what is on disk.
    fn dawn(&mut self) {
        for (nth, name) in [SERVER, SOUTH].into_iter().enumerate() {
            let bodies = DiskBodies::open(self.folders[nth].path()).unwrap();
            self.world.at(name).outbox = Outbox::new(bodies);
        }
    }

    /// A day with changes and one request, and a night in which the requestor's line is up.
    fn pass(&mut self) {
        self.day += 1;
        self.world.pass(DAY_MS);
        self.dawn();
        let (entries, day, source) = (self.entries, self.day, self.source);
        if self.changes {
            import(self.world.at(source), entries, day);
        }
        self.work(SERVER);
        self.work(SOUTH);
        for _ in 0..SESSIONS {
            let bytes = self.random.below(2 * self.bytes_a_night / SESSIONS);
            self.lose_pieces();
            self.session(bytes);
            self.lose_pieces();
            self.server_exchanges();
            self.work(SERVER);
            self.server_exchanges();
        }
    }

    /// The place loses some of the pieces that lie there.
    fn lose_pieces(&mut self) {
        if self.loses_one_in > 0 {
            let (random, lost) = (RefCell::new(&mut self.random), self.loses_one_in);
            let known = &self.not_lost;
            let is_new = |name: &str| name.ends_with(".piece") && !known.contains(name);
            self.place.lose(|name| is_new(name) && random.borrow_mut().one_in(lost));
            self.not_lost = self.place.names().into_iter().collect();
        }
    }

    /// The line of the requestor is up until this number of bytes has passed.
    fn session(&mut self, bytes: u64) {
        let (place, continues) = (self.place.clone(), self.continues);
        let file_bytes_max = self.file_bytes_max;
        let (office, messages, network) = self.office(SOUTH);
        let mut line = Line::new(&place, &office.name.clone(), bytes);
        line.continues = continues;
        line.file_bytes_max = file_bytes_max;
        // It is cut off.
        let (done, _) = exchange(office, &messages, &network, &line, &[SERVER]);
        self.bytes_up += done.bytes_sent;
    }

    /// The server has the place on its own disk.
    fn server_exchanges(&mut self) {
        let (place, file_bytes_max) = (self.place.clone(), self.file_bytes_max);
        let (office, messages, network) = self.office(SERVER);
        let mut line = Line::local(&place, &office.name.clone());
        line.file_bytes_max = file_bytes_max;
        exchange(office, &messages, &network, &line, &[SOUTH]).1.unwrap();
    }

    /// Whether the directory is in a list.
    fn is_filled(&mut self, name: &str) -> bool {
        self.world.at(name).list().len() == self.entries
    }

    /// Days pass until a list has everything. Returns their number.
    fn fill(&mut self, name: &str, days_max: u64) -> u64 {
        while !self.is_filled(name) {
            assert!(self.day < days_max, "not filled: {} bytes", self.place.bytes_passed());
            self.pass();
        }
        self.day
    }

    fn assert_passed_once(&self, bytes: u64) {
        let passed = self.place.bytes_passed();
        println!("{bytes} bytes, {passed} of them passed, in {} nights", self.day);
        assert!(passed * 100 <= bytes * 105, "{passed} bytes passed");
    }

    /// Then the lists follow the changes.
    fn follow(&mut self) {
        let before = self.place.bytes_passed();
        for day in 0..8 {
            self.changes = day < 5;
            self.pass();
        }
        let lists = [SERVER, SOUTH].map(|name| self.world.at(name).list());
        assert!(lists[0] == lists[1], "the lists are equal");
        let passed = self.place.bytes_passed() - before;
        assert!(passed < 2 * self.bytes_a_night, "the directory does not travel again: {passed}");
    }
}

/// A directory of large entries. Some of them have another phone each day.
fn import(office: &mut TestPostoffice, entries: usize, day: u64) {
    let entry = |number: usize| {
        let mut noise = vec![0; ENTRY_BYTES as usize * 4 / 3];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut noise);
        let noise: String = noise.iter().map(|byte| char::from(b'#' + byte % 64)).collect();
        let noise = noise.replace(['\\', '/'], "x");
        let day = if number < CHANGED { day } else { 0 };
        let details = format!("description/{noise}\ntelephoneNumber/{day}\n");
        let (name, address) = (format!("Person {number}"), format!("SMTP:p{number}@example.org"));
        (number.to_string(), record(&name, &address, &details))
    };
    let rows: Vec<(String, Record)> = (0..entries).map(entry).collect();
    let settings = ReadSettings { source: "import".into(), whole: true, ..Default::default() };
    office.read(settings, rows, true).unwrap();
}

/// 3.1 MB; with `DIRSYNC_NIGHTS=10` ten times as much.
fn week_of_bytes() -> u64 {
    let times = std::env::var("DIRSYNC_NIGHTS").ok().and_then(|times| times.parse().ok());
    3_100_000 * times.unwrap_or(1_u64)
}

/// `docs/failure-stories.md` §7: a first fill that takes a week arrives although the directory changes every day and
/// the programs are killed at each dawn.
#[test]
fn a_first_fill_of_many_nights_arrives_while_the_directory_changes() {
    let bytes = week_of_bytes();
    let mut nights = Nights::new(SERVER, bytes);
    nights.fill(SOUTH, 12);
    nights.assert_passed_once(bytes);
    nights.follow();
}

/// The same upwards: the first request of a site with a large directory. Then its list comes back.
#[test]
fn a_request_of_many_nights_arrives_while_its_directory_changes() {
    let bytes = week_of_bytes();
    let mut nights = Nights::new(SOUTH, bytes);
    nights.fill(SERVER, 12);
    nights.assert_passed_once(bytes);
    nights.fill(SOUTH, 26);
    nights.assert_passed_once(2 * bytes);
    nights.follow();
}

/// The smallest directory whose bodies are worth naming again.
const SMALL: u64 = 400_000;

#[test]
fn sealed_bodies_travel_as_far() {
    for source in [SERVER, SOUTH] {
        let mut nights = Nights::in_world(World::sealed(&[SOUTH]), source, SMALL);
        nights.fill(SERVER, 14);
        nights.fill(SOUTH, 28);
        nights.follow();
    }
}

#[test]
fn what_a_place_loses_is_sent_again() {
    for source in [SERVER, SOUTH] {
        let mut nights = Nights::new(source, SMALL);
        nights.loses_one_in = 100;
        nights.file_bytes_max = Some(40_000);
        nights.fill(SERVER, 30);
        nights.fill(SOUTH, 60);
        let passed = nights.place.bytes_passed();
        assert!(passed < 3 * SMALL, "{source}: {passed}");
    }
}

/// A requestor that reports none of a body may have a part of its first piece, which it goes on to fetch.
#[test]
fn a_body_of_which_nothing_was_reported_stays_the_same() {
    let mut nights = Nights::new(SERVER, SMALL);
    let peer = postoffice(SOUTH);
    let hashes = |nights: &mut Nights| -> Vec<_> {
        let (bodies, _) = nights.world.at(SERVER).outbox.frozen(&peer).unwrap();
        bodies.iter().map(|body| body.content.hash).collect()
    };
    nights.loses_one_in = 1;
    nights.pass();
    let first = hashes(&mut nights);
    assert!(!first.is_empty());
    for _ in 0..5 {
        nights.pass();
        assert_eq!(hashes(&mut nights), first, "on day {}", nights.day);
    }
}

/// A server tells which pieces of a request it has, so that the others alone are sent again.
#[test]
fn lost_pieces_of_a_request_travel_again_and_no_others() {
    let mut nights = Nights::new(SOUTH, 4 * SMALL);
    nights.bytes_a_night = 4 * SMALL;
    nights.loses_one_in = 5;
    nights.file_bytes_max = Some(40_000);
    nights.fill(SERVER, 3);
    let up = nights.bytes_up;
    assert!(up < 4 * SMALL * 3 / 2, "{up}");
}

/// Where nothing that was cut off can be continued, pieces become small.
#[test]
fn a_line_that_continues_nothing_passes_small_pieces() {
    let mut nights = Nights::new(SOUTH, SMALL);
    nights.continues = false;
    nights.bytes_a_night = SMALL;
    let nights_needed = nights.fill(SERVER, 6);
    assert!(nights_needed > 1, "it was cut off");
}

/// Losing all of it at any moment costs bytes, and nothing else.
#[test]
fn bodies_may_be_lost_at_any_moment() {
    for (source, loser) in [(SERVER, SERVER), (SERVER, SOUTH), (SOUTH, SERVER), (SOUTH, SOUTH)] {
        let mut nights = Nights::new(source, SMALL);
        while !(nights.is_filled(SERVER) && nights.is_filled(SOUTH)) {
            assert!(nights.day < 60, "{loser} loses what {source} sends");
            if [4, 9].contains(&nights.day) {
                let nth = usize::from(loser == SOUTH);
                nights.folders[nth] = tempfile::tempdir().unwrap();
                nights.messages[nth].clear();
            }
            nights.pass();
        }
    }
}

/// A peer that is away for a month costs one message and one body, whatever changes meanwhile.
#[test]
fn a_silent_peer_costs_one_front_and_one_body() {
    let mut nights = Nights::new(SERVER, SMALL);
    nights.bytes_a_night = 10 * SMALL;
    nights.fill(SOUTH, 6);
    nights.pass();
    nights.pass();
    let mut most = (0, 0);
    for day in 100..130 {
        nights.world.pass(DAY_MS);
        nights.dawn();
        import(nights.world.at(SERVER), nights.entries, day);
        // Once for its own changes, and once for the peer.
        nights.work_as(SERVER, true);
        nights.work_as(SERVER, true);
        let outbox = nights.world.at(SERVER).outbox.clone();
        outbox.tidy_up(0).unwrap();
        let bodies = std::fs::read_dir(nights.folders[0].path().join("bodies")).unwrap().count();
        most = (most.0.max(nights.messages[0].bytes_waiting()), most.1.max(bodies));
    }
    assert!((1..8_000).contains(&most.0), "{} bytes of messages wait", most.0);
    assert!(most.1 <= 1, "{} bodies", most.1);
    nights.follow();
}

/// Pieces of somebody whose key is not known stay at the place: they cost no space, and no decryption.
#[test]
fn pieces_of_strangers_are_left_alone() {
    let mut nights = Nights::in_world(World::sealed(&[SOUTH, "EAST/HQ"]), SERVER, SMALL);
    let north = SERVER.parse().unwrap();
    let mut stranger = TestPostoffice::new("WEST/NOBODY", Default::default(), Vec::new());
    stranger.sealed = true;
    let sealing = stranger.around().sealing;
    let body = b"a body of nobody".as_slice();
    let to = Peer::pinned(peer_keys(&north));
    let place = nights.place.clone();
    let line = Line::local(&place, &stranger.name.clone());
    for nth in 0..16 {
        let piece = Piece { body: Content::of(body), at: nth, bytes: 1 };
        let file = sealing.piece(&to, None, &piece, &body[nth as usize..][..1]).unwrap();
        line.put(&north, &format!("{nth}.piece"), &file).unwrap();
    }
    nights.dawn();
    let before = work::so_far();
    let (office, messages, network) = nights.office(SERVER);
    let line = Line::local(&place, &north);
    let (done, result) = exchange(office, &messages, &network, &line, &[SOUTH]);
    result.unwrap();
    assert_eq!((done.left, done.pieces, done.refused.len()), (16, 0, 0));
    assert_eq!(work::so_far(), before, "no key was used");
    assert_eq!(std::fs::read_dir(nights.folders[0].path().join("bodies")).unwrap().count(), 0);
    assert_eq!(place.names().len(), 16);
}

/// Anybody who may write to a place can leave a file there that is larger than any of ours.
#[test]
fn a_file_that_is_too_large_holds_up_nothing() {
    let mut nights = Nights::new(SERVER, 0);
    let place = nights.place.clone();
    let (office, messages, network) = nights.office(SOUTH);
    let south = office.name.clone();
    let server = Line::local(&place, &SERVER.parse().unwrap());
    server.put(&south, "0.piece", &vec![7; 9 * 1024 * 1024]).unwrap();
    server.put(&south, "server+hq-e-1-1.dirsync", b"a message").unwrap();
    let request = messages.transit(&network, &south);
    office.send(&request).unwrap();
    let line = Line::local(&place, &south);
    let (done, outcome) = exchange(office, &messages, &network, &line, &[SERVER]);
    outcome.unwrap();
    assert_eq!((done.messages, done.sent), (1, 1), "the others are fetched, and left");
    assert_eq!(done.refused.len(), 1, "it is told of");
    assert!(!place.names().contains(&"0.piece".into()), "it goes");
}
