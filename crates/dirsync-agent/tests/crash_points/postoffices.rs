//! A server and two requestors in a folder: databases, a shared folder, decisions, an export.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use dirsync_agent::changes::{HandChange, ReadSettings, change_by_hand};
use dirsync_agent::decisions::{Decision, DecisionKind, DecisionsLog};
use dirsync_agent::export::{ExportSettings, export_to_file};
use dirsync_agent::restoring;
use dirsync_agent::step::PlaceFailure;
use dirsync_carrier::{FolderTransit, Spool, Transit, durable};
use dirsync_connect::{TargetFormat, TargetOptions};
use dirsync_directory::{EntryId, RecordRef, View};
use dirsync_message::{Instance, ReqSeq};
use dirsync_protocol::server::forget_before;
use dirsync_protocol::tables::{ListPlace, RegistrationState};
use dirsync_store::Store;
use dirsync_testing::rows::{postoffice as name, record};
use dirsync_testing::{DAY_MS, Failed, Faults, SERVER, START_MS, TestPostoffice, TestStore};

pub const A: &str = "SOUTH/A";
pub const B: &str = "WEST/B";
pub const ALL: [&str; 3] = [SERVER, A, B];
/// So small that an answer has several parts.
const PART_BYTES: u64 = 1;
/// So small that bodies with rows are in files, whose operations fail like all others.
const BODY_BYTES: usize = 1024;

pub type Row = (String, String, String, String);

/// The postoffices in a folder. Nothing else is kept: a copy of the folder is a copy of the postoffices.
pub struct Postoffices {
    pub folder: PathBuf,
    pub now: u64,
    draws: u64,
}

/// The decisions log as the program keeps it.
struct FileDecisions(PathBuf);

impl DecisionsLog for FileDecisions {
    fn append(&mut self, decision: &Decision) -> io::Result<()> {
        durable::append_line(&self.0, &decision.to_string()).map_err(io::Error::other)
    }

    fn lines(&mut self) -> io::Result<Vec<String>> {
        let text = match std::fs::read_to_string(&self.0) {
            // Nothing was decided yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        Ok(text.lines().map(str::to_owned).collect())
    }
}

/// A place that failed is to these tests what a step that failed is.
fn none_failed(failed: &[PlaceFailure]) -> Result<(), Failed> {
    failed.first().map_or(Ok(()), |failure| Err(failure.text.clone().into()))
}

/// Rows with details that do not compress, so that few of them fill a part.
pub fn rows(numbers: std::ops::Range<u32>, word: &str) -> Vec<Row> {
    let row = |number: u32| {
        let hash = blake3::hash(format!("{word} {number}").as_bytes());
        let mut noise = vec![0; 24_000];
        blake3::Hasher::new_keyed(hash.as_bytes()).finalize_xof().fill(&mut noise);
        let noise: String = noise.iter().map(|byte| char::from(b'!' + byte % 90)).collect();
        let noise = noise.replace('\\', "/");
        (number.to_string(), format!("{word} {number}"), format!("SMTP:{word}{number}@x"), noise)
    };
    numbers.map(row).collect()
}

impl Postoffices {
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), now: START_MS, draws: 0 }
    }

    /// The same postoffices a second later, in a copy of their folder.
    pub fn copied_to(&self, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), now: self.now + 1000, draws: self.draws }
    }

    pub fn database(&self, postoffice: &str) -> PathBuf {
        self.folder.join(format!("{}.db", postoffice.replace('/', "-")))
    }

    /// A postoffice whose store fails as planned.
    fn open(&mut self, postoffice: &str, faults: &Faults) -> TestPostoffice<FileDecisions> {
        let mut store = TestStore::open(&self.database(postoffice));
        store.faults = faults.clone();
        self.at_work(postoffice, store)
    }

    fn at_work(&mut self, postoffice: &str, store: TestStore) -> TestPostoffice<FileDecisions> {
        self.draws += 1;
        let decisions = FileDecisions(self.folder.join("decisions.log"));
        let mut postoffice = TestPostoffice::new(postoffice, store, decisions);
        // Each step draws other tokens than all before it.
        (postoffice.now, postoffice.draws) = (self.now, 1000 * self.draws);
        postoffice.part_bytes_max = PART_BYTES;
        let bodies = Spool::in_folder(self.folder.join("bodies"));
        postoffice.spool = bodies.with_memory_bytes_max(BODY_BYTES);
        postoffice
    }

    fn transit(&self, postoffice: &str) -> FolderTransit {
        FolderTransit::new(self.folder.join("share"), name(postoffice))
    }

    /// The server and both requestors, empty.
    pub fn found(&mut self) {
        std::fs::create_dir(self.folder.join("share")).unwrap();
        for postoffice in ALL {
            let store = TestStore::create(&self.database(postoffice));
            let mut new = self.at_work(postoffice, store);
            if postoffice == SERVER {
                new.found_server();
            } else {
                new.found_requestor();
                self.open(SERVER, &Faults::default()).invite(postoffice, View::default()).unwrap();
            }
        }
    }

    /// As the commands do it: the log is on disk before the database says so.
    pub fn decide(&mut self, faults: &Faults, of: &str, kind: DecisionKind) -> Result<(), Failed> {
        self.open(SERVER, faults).decide(of, kind)
    }

    pub fn import(
        &mut self,
        faults: &Faults,
        postoffice: &str,
        rows: &[Row],
    ) -> Result<(), Failed> {
        let settings = ReadSettings { source: "import".into(), whole: true, ..Default::default() };
        let rows = rows.iter().map(|(key, name, address, noise)| {
            (key, record(name, address, &format!("description/{noise}\n")))
        });
        self.open(postoffice, faults).read(settings, rows, true).map(drop)
    }

    pub fn by_hand(
        &mut self,
        faults: &Faults,
        postoffice: &str,
        called: &str,
    ) -> Result<(), Failed> {
        let id = EntryId::derive(&name(postoffice), "hand");
        self.open(postoffice, faults).transact(|tables, context, _| {
            let (key, record) = ("hand".into(), record(called, "SMTP:hand@x", ""));
            let change = HandChange { key, record, add: tables.own(id)?.is_none() };
            Ok::<_, Failed>(change_by_hand(tables, context.now, change).map(drop)?)
        })
    }

    pub fn send(&mut self, faults: &Faults, postoffice: &str) -> Result<u64, Failed> {
        let report = self.open(postoffice, faults).send(&self.transit(postoffice))?;
        none_failed(&report.failed)?;
        Ok(report.transactions)
    }

    pub fn process(&mut self, faults: &Faults) -> Result<u64, Failed> {
        let report = self.open(SERVER, faults).process(&self.transit(SERVER), false)?;
        none_failed(&report.failed)?;
        Ok(report.messages)
    }

    pub fn apply(&mut self, faults: &Faults, postoffice: &str) -> Result<u64, Failed> {
        let report = self.open(postoffice, faults).apply(&self.transit(postoffice))?;
        none_failed(&report.failed)?;
        Ok(report.rows)
    }

    pub fn export(&mut self, faults: &Faults, postoffice: &str) -> Result<(), Failed> {
        let target = TargetOptions::new(TargetFormat::Csv);
        let settings = ExportSettings { target, own: false };
        let mut store = self.open(postoffice, faults).store;
        let mut tables = store.begin()?;
        export_to_file(&mut *tables, &self.folder.join("list.csv"), &settings)?;
        Ok(())
    }

    /// The new epoch of a copy, as after a restore.
    pub fn begin_anew(&mut self, faults: &Faults, postoffice: &str) -> Result<(), Failed> {
        self.open(postoffice, faults).begin_anew()
    }

    pub fn promote(&mut self, faults: &Faults) -> Result<(), Failed> {
        let instance = Instance(self.draws);
        self.open(SERVER, faults).transact(|tables, context, log| {
            let epoch = restoring::promote(tables, context, instance, log)?;
            assert!(epoch.is_some());
            Ok::<_, Failed>(())
        })
    }

    /// What the agent does once a day.
    pub fn purge(&mut self, faults: &Faults, postoffice: &str) -> Result<(), Failed> {
        let before = self.now + DAY_MS;
        self.transit(postoffice).purge(before)?;
        self.open(postoffice, faults).transact(|tables, _, _| {
            tables.purge_log(before)?;
            forget_before(tables, before, before).map(drop)
        })
    }

    pub fn known_decisions(&self) -> Vec<Decision> {
        let text = std::fs::read_to_string(self.folder.join("decisions.log")).unwrap();
        text.lines().map(|line| line.parse().expect("each line is whole")).collect()
    }

    /// One cycle of everybody. Returns how many transactions and entries moved.
    pub fn cycle(&mut self) -> u64 {
        let faults = Faults::default();
        self.now += 60_000;
        let mut moved = 0;
        for postoffice in ALL {
            moved += self.send(&faults, postoffice).unwrap();
        }
        self.process(&faults).unwrap();
        for postoffice in ALL {
            moved += self.apply(&faults, postoffice).unwrap();
        }
        moved
    }

    /// Lists and own entries, a line each, and who takes part.
    pub fn content(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for postoffice in ALL {
            let mut store = TestStore::open(&self.database(postoffice));
            let mut tables = store.begin().unwrap();
            let mut line =
                |place: &str, id: EntryId, owner: &str, key: &str, record: RecordRef<'_>| {
                    let hash = blake3::hash(format!("{record:?}").as_bytes()).to_hex();
                    lines.push(format!("{postoffice} {place} {id} {owner} {key} {}", &hash[..16]));
                };
            tables
                .visit_list(ListPlace::Live, &mut |row| {
                    line("list", row.id, row.owner.as_str(), row.key, row.record);
                    ControlFlow::Continue(())
                })
                .unwrap();
            tables
                .visit_own(ReqSeq(0), &mut |row| {
                    line("own", row.id, "", &row.key, row.record.as_ref());
                    ControlFlow::Continue(())
                })
                .unwrap();
            for registration in tables.registrations().unwrap() {
                let (name, view) = (&registration.name, &registration.view_allowed);
                lines.push(format!("{postoffice} {name} {:?} {view}", registration.state));
            }
        }
        lines.sort();
        lines
    }

    /// Every registration is one that the log tells of.
    pub fn decisions_are_kept(&self) {
        let known = self.known_decisions();
        let mut store = TestStore::open(&self.database(SERVER));
        for registration in store.begin().unwrap().registrations().unwrap() {
            let of: Vec<_> = known.iter().filter(|it| it.postoffice == registration.name).collect();
            let told = |kind: &DecisionKind| of.iter().any(|decision| decision.kind == *kind);
            let own = registration.name.as_str() == SERVER;
            assert!(own || !of.is_empty(), "{}", registration.name);
            let removed = registration.state == RegistrationState::Removed;
            assert!(!removed || told(&DecisionKind::Remove));
            let suspended = registration.state == RegistrationState::Suspended;
            assert!(!suspended || told(&DecisionKind::Suspend));
            let key = registration.key.map(DecisionKind::Key);
            assert!(own || key.is_none_or(|key| told(&key)), "a pinned key is told of");
        }
    }
}
