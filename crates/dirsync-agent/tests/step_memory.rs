//! Memory of the steps does not grow with the entries that they carry, but for 35 bytes of each.

use std::path::Path;

use dirsync_agent::changes::{Guards, ReadSettings};
use dirsync_carrier::{FolderTransit, Spool};
use dirsync_directory::{Record, View};
use dirsync_protocol::guard::GuardLimits;
use dirsync_testing::rows::{postoffice, record};
use dirsync_testing::{SERVER, TestPostoffice, TestStore};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const ORIGIN: &str = "SOUTH/A";
const OTHER: &str = "WEST/B";
const FEW: u32 = 3000;
const MANY: u32 = 15_000;
/// What a step may keep of an entry: its id, its stamp, and the room of a growing vector. Its content, which does
/// not compress, has three times as many bytes.
const ENTRY_BYTES_MAX: usize = 35;
/// The difference between two sizes that is no growth, in bytes.
const ALLOWED_BYTES: usize = 50_000;
/// So few that both sizes go beyond it, in bytes.
const MEMORY_BYTES_MAX: usize = 64 * 1024;

const ANY: GuardLimits = GuardLimits { entries: u64::MAX, percent: 100 };

struct Postoffices {
    folder: tempfile::TempDir,
    server: TestPostoffice,
    origin: TestPostoffice,
    other: TestPostoffice,
    /// The peak of each step, by its name, in bytes.
    peaks: Vec<(&'static str, usize)>,
}

fn at_work(name: &str, folder: &Path) -> TestPostoffice {
    let mut new = TestPostoffice::new(name, TestStore::in_file(), Vec::new());
    new.sealed = true;
    new.guard = ANY;
    new.spool = Spool::in_folder(folder.join("bodies")).with_memory_bytes_max(MEMORY_BYTES_MAX);
    new.part_bytes_max = 64 * 1024;
    new
}

/// Content that does not compress.
fn noise(number: u32) -> Record {
    let mut bytes = [0; 100];
    let hash = blake3::hash(&number.to_be_bytes());
    blake3::Hasher::new_keyed(hash.as_bytes()).finalize_xof().fill(&mut bytes);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    record(&format!("Person {number}"), &format!("SMTP:p{number}@x"), &format!("ou/{text}\n"))
}

impl Postoffices {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("share")).unwrap();
        let [mut server, mut origin, mut other] =
            [SERVER, ORIGIN, OTHER].map(|name| at_work(name, folder.path()));
        server.found_server();
        for requestor in [&mut origin, &mut other] {
            requestor.found_requestor();
            server.invite(requestor.name.as_str(), View::default()).unwrap();
        }
        Self { folder, server, origin, other, peaks: Vec::new() }
    }

    /// Runs a step, and notes how much memory it took beside what was there before.
    fn step(&mut self, name: &'static str, run: fn(&mut TestPostoffice, &FolderTransit)) {
        let postoffice_of = |step: &str| match step.split(':').next() {
            Some("server") => SERVER,
            Some("origin") => ORIGIN,
            _ => OTHER,
        };
        let me = postoffice_of(name);
        let transit = FolderTransit::new(self.folder.path().join("share"), postoffice(me));
        let one = match me {
            SERVER => &mut self.server,
            ORIGIN => &mut self.origin,
            _ => &mut self.other,
        };
        one.now += 1000;
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        run(one, &transit);
        self.peaks.push((name, MEMORY.peak_usage().saturating_sub(before)));
    }

    fn import(&mut self, count: u32) {
        let guards = Guards { delete: ANY, ..Guards::default() };
        let settings =
            ReadSettings { source: "import".into(), whole: true, guards, ..Default::default() };
        let rows = (0..count).map(|number| (number.to_string(), noise(number)));
        let report = self.origin.read(settings, rows, true).unwrap();
        assert_eq!(report.held + report.held_removals, 0);
    }

    fn send(&mut self, name: &'static str) {
        self.step(name, |one, transit| {
            assert!(one.send(transit).unwrap().request.is_some());
        });
    }

    fn process(&mut self, name: &'static str) {
        self.step(name, |one, transit| {
            let report = one.process(transit, false).unwrap();
            assert!(report.requests > 0 && report.refused == 0 && report.failed.is_empty());
        });
    }

    fn apply(&mut self, name: &'static str) {
        self.step(name, |one, transit| {
            let report = one.apply(transit).unwrap();
            assert!(report.updates > 0 && report.refused == 0 && report.failed.is_empty());
        });
    }

    /// All entries travel from the origin to the server, and to the other requestor.
    fn travel(&mut self, steps: [&'static str; 4]) {
        let [sends, processes, answered, applies] = steps;
        self.send(sends);
        self.send("other: asks");
        self.process(processes);
        self.apply(answered);
        self.apply(applies);
    }
}

/// The peak memory of each step, for this number of entries.
fn peaks(count: u32) -> Vec<(&'static str, usize)> {
    let mut all = Postoffices::new();
    all.import(count);
    all.travel(["origin: sends", "server: takes", "origin: applies", "other: applies"]);
    assert_eq!(all.other.list().len(), count as usize);

    all.origin.begin_anew().unwrap();
    all.send("origin: wants its own");
    all.process("server: sends them");
    all.apply("origin: merges");
    all.send("origin: sends all");
    all.process("server: takes all");
    all.apply("origin: is admitted");

    // The first read after a merge deletes nothing, and none deletes half of its source without a person.
    let mut left = count;
    while left > 1 {
        all.import(left);
        left = left * 2 / 3;
    }
    all.import(left);
    all.travel(["origin: deletes", "server: deletes", "origin: is told", "other: deletes"]);
    assert_eq!(all.other.list().len(), 1);
    all.peaks
}

#[test]
fn a_step_keeps_no_more_than_an_id_of_each_entry() {
    let (few, many) = (peaks(FEW), peaks(MANY));
    assert_eq!(few.len(), many.len());
    let allowed = (MANY - FEW) as usize * ENTRY_BYTES_MAX + ALLOWED_BYTES;
    for ((step, few), (_, many)) in few.into_iter().zip(many) {
        assert!(many < few + allowed, "{step}: {few} bytes with {FEW} entries, {many} with {MANY}");
    }
}
