//! A server and two requestors, and what can be asked of a postoffice at any time.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_agent::changes::{ReadRow, ReadSettings, SourceRead};
use dirsync_agent::decisions::{Decision, DecisionKind, decide};
use dirsync_agent::founding::{found_requestor, found_server};
use dirsync_agent::step::Surroundings;
use dirsync_directory::{BucketSums, PostofficeName, RecordRef, SetDigest, View};
use dirsync_directory::{list_element, own_element};
use dirsync_message::{Instance, ReqSeq, SrvSeq};
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::invitation::{proof, verifier};
use dirsync_protocol::tables::{ListPlace, Numbered, Tables};
use dirsync_store::Store;

/// The server's name, and that of everybody.
pub(crate) const NAMES: [&str; 3] = ["NORTH/HQ", "SOUTH/A", "WEST/B"];
/// When everything begins.
const START_MS: u64 = 1_700_000_000_000;

/// One postoffice.
pub(crate) struct Site<S> {
    pub(crate) name: PostofficeName,
    pub(crate) store: S,
    pub(crate) decisions: Vec<Decision>,
    /// Milliseconds since everything began.
    pub(crate) passed: u64,
    steps: u64,
}

impl<S: Store> Site<S> {
    /// One of [`NAMES`] with a store that holds its state already, or nothing yet.
    pub(crate) fn new(name: &str, store: S, decisions: Vec<Decision>) -> Self {
        let name = name.parse().expect("a name");
        Self { name, store, decisions, passed: 0, steps: 0 }
    }

    pub(crate) fn around(&mut self) -> Surroundings {
        self.steps += 1;
        self.passed += 60_000;
        let seed = blake3::hash(format!("{} {} {}", self.name, self.steps, self.passed).as_bytes());
        Surroundings {
            now: START_MS + self.passed,
            seed: *seed.as_bytes(),
            guard: GuardLimits::default(),
            key: format!("ssh-ed25519 {}", self.name),
            compression: 1,
            settle_ms: 60_000,
        }
    }

    pub(crate) fn found_server(&mut self) {
        let mut draws = Draws::new(&self.around().seed);
        let mut tables = self.store.begin().expect("a store");
        let key = format!("ssh-ed25519 {}", self.name);
        found_server(&mut *tables, &mut draws, &self.name, Instance(7), &key, "net")
            .expect("a store");
        tables.commit().expect("a store");
    }

    /// At the server.
    pub(crate) fn invite(&mut self, name: &str, view: View) {
        let decision = Decision {
            at: START_MS,
            postoffice: name.parse().expect("a name"),
            kind: DecisionKind::Invite {
                verifier: verifier(&secret(name)),
                expires: START_MS * 2,
                carrier: "net".into(),
                view,
            },
        };
        let around = self.around();
        let (mut draws, mut events) = (Draws::new(&around.seed), Vec::new());
        let (now, guard) = (around.now, around.guard);
        let mut context = Context { now, draws: &mut draws, events: &mut events, guard };
        let mut tables = self.store.begin().expect("a store");
        let log = &mut self.decisions;
        decide(&mut *tables, &mut context, log, &[decision]).expect("a store");
        tables.commit().expect("a store");
    }

    pub(crate) fn found_requestor(&mut self) {
        let mut draws = Draws::new(&self.around().seed);
        let server = NAMES[0].parse().expect("a name");
        let proof = proof(&secret(self.name.as_str()), &self.around().key);
        let mut tables = self.store.begin().expect("a store");
        found_requestor(&mut *tables, &mut draws, &self.name, &server, Some(proof))
            .expect("a store");
        tables.commit().expect("a store");
    }

    /// Reads entries of the numbers given, with `word` in each, as the whole list.
    pub(crate) fn import(&mut self, numbers: impl IntoIterator<Item = u64>, word: &str) {
        let now = self.around().now;
        let mut tables = self.store.begin().expect("a store");
        let settings = ReadSettings {
            source: "import".into(),
            whole: true,
            guards: Default::default(),
            fingerprint: String::new(),
            configured: Vec::new(),
            now,
        };
        let mut read = SourceRead::begin(&mut *tables, settings).expect("a store");
        for number in numbers {
            let key = number.to_string();
            let (name, addresses) = (format!("Person {number}"), format!("SMTP:p{number}@x"));
            let details = format!("ou/{word}\ntitle/{number}\n");
            let record = RecordRef {
                kind: "mailbox",
                name: &name,
                addresses: &addresses,
                details: &details,
            };
            let row = ReadRow { origin: None, key: &key, record, line: number + 2 };
            read.row(row).expect("a store");
        }
        read.finish(true).expect("a store");
        tables.commit().expect("a store");
    }

    /// What a postoffice may never hold, whatever it was sent.
    pub(crate) fn check(&mut self) {
        let mut tables = self.store.begin().expect("a store");
        check_list(&mut *tables);
        check_own(&mut *tables);
        if tables.server().expect("a store").is_some() {
            check_server(&mut *tables);
        }
    }
}

fn secret(name: &str) -> String {
    format!("secret of {name}")
}

fn check_list(tables: &mut dyn Tables) {
    let state = tables.requestor().expect("a store");
    let (mut found, mut ids) = (BucketSums::default(), BTreeSet::new());
    tables
        .visit_list(ListPlace::Live, &mut |row| {
            assert!(ids.insert(row.id), "an entry of the list stands twice");
            found.add(row.id, list_element(row.id, row.owner, row.record));
            ControlFlow::Continue(())
        })
        .expect("a store");
    assert_eq!(found.total(), state.list_digest, "the list is what its digest says");
    let kept = tables.list_buckets(ListPlace::Live).expect("a store");
    assert_eq!(found.folded(6), kept.folded(6), "and its buckets");
}

fn check_own(tables: &mut dyn Tables) {
    let state = tables.requestor().expect("a store");
    let (mut digest, mut highest) = (SetDigest::default(), 0);
    tables
        .visit_own(ReqSeq(0), &mut |row| {
            let element = own_element(row.id, row.released_to.as_ref(), row.record.as_ref());
            digest += SetDigest::one(element);
            highest = highest.max(row.numbers.last);
            assert_eq!(row.record.as_ref().check(), Ok(()), "own entries are right");
            ControlFlow::Continue(())
        })
        .expect("a store");
    assert_eq!(digest, state.own_digest, "the own entries are what their digest says");
    assert!(highest <= state.req_seq.0, "no own number is above the last one");
    assert!(state.req_sync <= state.req_seq, "nothing is acknowledged that was not made");
}

fn check_server(tables: &mut dyn Tables) {
    let server = tables.server().expect("a store").expect("it is the server");
    let views = tables.views().expect("a store");
    let mut sums = vec![BucketSums::default(); views.len()];
    let (mut addresses, mut last) = (BTreeSet::new(), 0);
    tables
        .visit_numbered(SrvSeq(0), SrvSeq(u64::MAX >> 1), &mut |numbered| {
            let Numbered::Published(row) = numbered else { return ControlFlow::Continue(()) };
            let record = row.published_record().expect("it is published");
            assert_eq!(record.check(), Ok(()), "what is published is right");
            last = last.max(row.published.as_ref().map_or(0, |published| published.numbers.last));
            for key in record.address_keys() {
                assert!(addresses.insert(key), "I2: an address belongs to one published entry");
            }
            for ((_, view), sums) in views.iter().zip(&mut sums) {
                if view.shows(&row.origin, record) {
                    let shown = view.disclosed(record);
                    let shown = shown.as_ref().map_or(record, |record| record.as_ref());
                    sums.add(row.id, list_element(row.id, &row.origin, shown));
                }
            }
            ControlFlow::Continue(())
        })
        .expect("a store");
    assert!(last <= server.head.0, "no number is above the last one given");
    for ((hash, view), found) in views.iter().zip(&sums) {
        let kept = tables.view_sums(*hash).expect("a store");
        assert_eq!(kept.total(), found.total(), "the view {view} is what its sums say");
    }
    for registration in tables.registrations().expect("a store") {
        let mut digest = SetDigest::default();
        tables
            .visit_submitted(&registration.name, &mut |row| {
                if let Some(submitted) = &row.submitted {
                    let released = submitted.released_to.as_ref();
                    let element = own_element(row.id, released, submitted.record.as_ref());
                    digest += SetDigest::one(element);
                }
                ControlFlow::Continue(())
            })
            .expect("a store");
        assert_eq!(digest, registration.own_digest, "what {} submitted", registration.name);
    }
}
