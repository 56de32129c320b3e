//! A server and two requestors in a folder: databases, a shared folder, decisions, an export.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use dirsync_agent::changes::{HandChange, ReadRow, ReadSettings, SourceRead, change_by_hand};
use dirsync_agent::decisions::{self, Decision, DecisionKind, DecisionsLog};
use dirsync_agent::export::{ExportSettings, export_to_file};
use dirsync_agent::founding::{found_requestor, found_server};
use dirsync_agent::restoring;
use dirsync_agent::step::{PlaceFailure, Surroundings, apply, process, send};
use dirsync_carrier::{Carrier, FolderCarrier, durable};
use dirsync_connect::Format;
use dirsync_directory::{EntryId, PostofficeName, Record, RecordRef, View};
use dirsync_message::{Instance, ReqSeq};
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::invitation::{proof, verifier};
use dirsync_protocol::server::forget_before;
use dirsync_protocol::tables::{ListPlace, RegistrationState};
use dirsync_store::Store;
use dirsync_store::sqlite::SqliteStore;

use crate::faulty::{Fault, Faults, FaultyStore};

pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;
pub const SERVER: &str = "NORTH/HQ";
pub const A: &str = "SOUTH/A";
pub const B: &str = "WEST/B";
pub const ALL: [&str; 3] = [SERVER, A, B];
/// So small that an answer has several parts.
const PART_BYTES: u64 = 1;

pub type Failed = Box<dyn std::error::Error>;
pub type Row = (String, String, String, String);

/// The sites in a folder. Nothing else is kept: a copy of the folder is a copy of the sites.
pub struct Sites {
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

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
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

impl Sites {
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), now: 1_700_000_000_000, draws: 0 }
    }

    /// The same sites a second later, in a copy of their folder.
    pub fn copied_to(&self, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), now: self.now + 1000, draws: self.draws }
    }

    pub fn database(&self, site: &str) -> PathBuf {
        self.folder.join(format!("{}.db", site.replace('/', "-")))
    }

    fn decisions(&self) -> FileDecisions {
        FileDecisions(self.folder.join("decisions.log"))
    }

    pub fn around(&mut self, site: &str) -> Surroundings {
        self.draws += 1;
        let seed = blake3::hash(format!("{site} {}", self.draws).as_bytes());
        Surroundings {
            now: self.now,
            seed: *seed.as_bytes(),
            guard: GuardLimits::default(),
            key: format!("ssh-ed25519 {site}"),
            compression: 3,
            settle_ms: 60_000,
        }
    }

    pub fn open(&self, site: &str, faults: &Faults) -> FaultyStore {
        let store = SqliteStore::open(self.database(site)).unwrap();
        FaultyStore { store, faults: faults.clone() }
    }

    fn carrier(&self, site: &str) -> FolderCarrier {
        FolderCarrier::new(self.folder.join("share"), name(site), PART_BYTES)
    }

    /// The server and both requestors, empty.
    pub fn found(&mut self) {
        std::fs::create_dir(self.folder.join("share")).unwrap();
        let mut store = SqliteStore::create(self.database(SERVER)).unwrap();
        let around = self.around(SERVER);
        let mut tables = store.begin().unwrap();
        let mut draws = Draws::new(&around.seed);
        let (server, key) = (name(SERVER), &around.key);
        found_server(&mut *tables, &mut draws, &server, Instance(7), key, "share").unwrap();
        tables.commit().unwrap();
        drop(store);
        for site in [A, B] {
            self.decide(&Faults::new(Fault::None), site, self.invite(site)).unwrap();
            let mut store = SqliteStore::create(self.database(site)).unwrap();
            let around = self.around(site);
            let mut draws = Draws::new(&around.seed);
            let mut tables = store.begin().unwrap();
            let proof = Some(proof(&format!("secret of {site}"), &around.key));
            found_requestor(&mut *tables, &mut draws, &name(site), &name(SERVER), proof).unwrap();
            tables.commit().unwrap();
        }
    }

    fn invite(&self, site: &str) -> DecisionKind {
        DecisionKind::Invite {
            verifier: verifier(&format!("secret of {site}")),
            expires: self.now + DAY_MS,
            carrier: "share".into(),
            view: View::default(),
        }
    }

    /// As the commands do it: the log is on disk before the database says so.
    pub fn decide(&mut self, faults: &Faults, of: &str, kind: DecisionKind) -> Result<(), Failed> {
        let decision = Decision { at: self.now, postoffice: name(of), kind };
        let mut draws = Draws::new(&self.around(SERVER).seed);
        let mut events = Vec::new();
        let guard = GuardLimits::default();
        let mut store = self.open(SERVER, faults);
        let mut tables = store.begin()?;
        let mut context =
            Context { now: decision.at, draws: &mut draws, events: &mut events, guard };
        let mut log = self.decisions();
        decisions::decide(&mut *tables, &mut context, &mut log, &[decision])?;
        Ok(tables.commit()?)
    }

    pub fn import(&mut self, faults: &Faults, site: &str, rows: &[Row]) -> Result<(), Failed> {
        let settings = ReadSettings {
            source: "import".into(),
            whole: true,
            guards: Default::default(),
            fingerprint: String::new(),
            configured: Vec::new(),
            now: self.now,
        };
        let mut store = self.open(site, faults);
        let mut tables = store.begin()?;
        let mut read = SourceRead::begin(&mut *tables, settings)?;
        for (key, name, address, noise) in rows {
            let record = Record {
                kind: "mailbox".into(),
                name: name.clone(),
                addresses: address.clone(),
                details: format!("description/{noise}\n"),
            };
            read.row(ReadRow { origin: None, key, record: record.as_ref(), line: 2 })?;
        }
        read.finish(true)?;
        Ok(tables.commit()?)
    }

    pub fn by_hand(&mut self, faults: &Faults, site: &str, called: &str) -> Result<(), Failed> {
        let record = Record {
            kind: "mailbox".into(),
            name: called.into(),
            addresses: "SMTP:hand@x".into(),
            details: String::new(),
        };
        let mut store = self.open(site, faults);
        let mut tables = store.begin()?;
        let known = tables.own(EntryId::derive(&name(site), "hand"))?.is_some();
        let change = HandChange { key: "hand".into(), record, add: !known };
        change_by_hand(&mut *tables, self.now, change)?;
        Ok(tables.commit()?)
    }

    pub fn send(&mut self, faults: &Faults, site: &str) -> Result<u64, Failed> {
        let around = self.around(site);
        let report = send(&mut self.open(site, faults), &self.carrier(site), &around, true)?;
        none_failed(&report.failed)?;
        Ok(report.transactions)
    }

    pub fn process(&mut self, faults: &Faults) -> Result<u64, Failed> {
        let around = self.around(SERVER);
        let carrier = self.carrier(SERVER);
        let carriers = BTreeMap::from([("share".to_owned(), &carrier as &dyn Carrier)]);
        let mut store = self.open(SERVER, faults);
        let mut decisions = self.decisions();
        let report = process(&mut store, &carriers, &mut decisions, &around, false)?;
        none_failed(&report.failed)?;
        Ok(report.messages)
    }

    pub fn apply(&mut self, faults: &Faults, site: &str) -> Result<u64, Failed> {
        let around = self.around(site);
        let report = apply(&mut self.open(site, faults), &self.carrier(site), &around)?;
        none_failed(&report.failed)?;
        Ok(report.rows)
    }

    pub fn export(&mut self, faults: &Faults, site: &str) -> Result<(), Failed> {
        let settings = ExportSettings { format: Format::Csv, own: false, for_people: false };
        let mut store = self.open(site, faults);
        let mut tables = store.begin()?;
        export_to_file(&mut *tables, &self.folder.join("list.csv"), settings)?;
        Ok(())
    }

    /// The new life of a copy, as after a restore.
    pub fn begin_anew(&mut self, faults: &Faults, site: &str) -> Result<(), Failed> {
        let mut draws = Draws::new(&self.around(site).seed);
        let mut events = Vec::new();
        let guard = GuardLimits::default();
        let mut log = self.decisions();
        let mut store = self.open(site, faults);
        let mut tables = store.begin()?;
        let mut context = Context { now: self.now, draws: &mut draws, events: &mut events, guard };
        restoring::begin_anew(&mut *tables, &mut context, &mut log)?;
        Ok(tables.commit()?)
    }

    pub fn promote(&mut self, faults: &Faults) -> Result<(), Failed> {
        let mut draws = Draws::new(&self.around(SERVER).seed);
        let mut events = Vec::new();
        let guard = GuardLimits::default();
        let mut log = self.decisions();
        let mut store = self.open(SERVER, faults);
        let mut tables = store.begin()?;
        let mut context = Context { now: self.now, draws: &mut draws, events: &mut events, guard };
        let epoch = restoring::promote(&mut *tables, &mut context, Instance(self.draws), &mut log)?;
        assert!(epoch.is_some());
        Ok(tables.commit()?)
    }

    /// What the agent does once a day.
    pub fn purge(&mut self, faults: &Faults, site: &str) -> Result<(), Failed> {
        let before = self.now + DAY_MS;
        self.carrier(site).purge(before)?;
        let mut store = self.open(site, faults);
        let mut tables = store.begin()?;
        tables.purge_log(before)?;
        forget_before(&mut *tables, before, before)?;
        Ok(tables.commit()?)
    }

    pub fn known_decisions(&self) -> Vec<Decision> {
        let text = std::fs::read_to_string(self.folder.join("decisions.log")).unwrap();
        text.lines().map(|line| line.parse().expect("each line is whole")).collect()
    }

    /// One cycle of everybody. Returns how many transactions and entries moved.
    pub fn cycle(&mut self) -> u64 {
        let faults = Faults::new(Fault::None);
        self.now += 60_000;
        let mut moved = 0;
        for site in ALL {
            moved += self.send(&faults, site).unwrap();
        }
        self.process(&faults).unwrap();
        for site in ALL {
            moved += self.apply(&faults, site).unwrap();
        }
        moved
    }

    /// Lists and own entries, a line each, and who takes part.
    pub fn content(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for site in ALL {
            let mut store = SqliteStore::open(self.database(site)).unwrap();
            let mut tables = store.begin().unwrap();
            let mut line =
                |place: &str, id: EntryId, owner: &str, key: &str, record: RecordRef<'_>| {
                    let hash = blake3::hash(format!("{record:?}").as_bytes()).to_hex();
                    lines.push(format!("{site} {place} {id} {owner} {key} {}", &hash[..16]));
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
                lines.push(format!("{site} {name} {:?} {view}", registration.state));
            }
        }
        lines.sort();
        lines
    }

    /// Every registration is one that the log tells of.
    pub fn decisions_are_kept(&self) {
        let known = self.known_decisions();
        let mut store = SqliteStore::open(self.database(SERVER)).unwrap();
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
