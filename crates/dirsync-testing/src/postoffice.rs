//! One postoffice of a test: a database, a clock, randomness from its name, and the shipped steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use dirsync_agent::changes::{ReadReport, ReadRow, ReadSettings, SourceRead};
use dirsync_agent::decisions::{Decision, DecisionKind, DecisionsLog, decide};
use dirsync_agent::known_peers::KnownPeers;
use dirsync_agent::restoring::begin_anew;
use dirsync_agent::route::FallBack;
use dirsync_agent::sealing::Sealing;
use dirsync_agent::step::{
    ApplyReport, Interrupted, ProcessReport, SendReport, Surroundings, UnderWayLimits, apply,
    process, send,
};
use dirsync_agent::{founding, step};
use dirsync_carrier::{Spool, Transit};
use dirsync_directory::{PostofficeName, Record, View};
use dirsync_message::Instance;
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::invitation::{proof, verifier};
use dirsync_protocol::tables::ListPlace;
use dirsync_seal::OwnKeys;
use dirsync_store::{Store, Transaction};
use dirsync_transit::Outbox;

use crate::keys::{key_of, sealing_of};
use crate::rows::{postoffice, record};
use crate::store::TestStore;

/// The name of the directory server's postoffice.
pub const SERVER: &str = "NORTH/HQ";
/// When the clock of a postoffice begins.
pub const START_MS: u64 = 1_700_000_000_000;
/// A day, in milliseconds.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The secret of every server's evidence: of copies, too, as in their folders.
pub const EVIDENCE: EvidenceKey = EvidenceKey::new([0xe5; EvidenceKey::BYTES]);
/// What the server calls its one transit.
const PLACE: &str = "net";

/// Why something failed.
pub type Failed = Box<dyn std::error::Error>;

/// One postoffice. `D` keeps what administrators decided at a server.
#[derive(Debug)]
pub struct TestPostoffice<D = Vec<Decision>> {
    /// Its name.
    pub name: PostofficeName,
    /// Its database.
    pub store: TestStore,
    /// What administrators decided here, if it is the server.
    pub decisions: D,
    /// Its clock, in milliseconds since 1970.
    pub now: u64,
    /// How often it drew random tokens.
    pub draws: u64,
    /// How many deletions a server lets go unseen.
    pub guard: GuardLimits,
    /// Whether its messages are sealed with keys.
    pub sealed: bool,
    /// The keys with which it seals. `None` for the first one of its name.
    pub keys: Option<Arc<OwnKeys>>,
    /// How many threads seal and open its messages.
    pub threads: usize,
    /// The bodies that travel apart from its messages.
    pub outbox: Outbox,
    /// How many compressed bytes a part has at most.
    pub part_bytes_max: u64,
    /// Where its bodies are kept until they are sent.
    pub spool: Spool,
}

fn secret(name: &PostofficeName) -> String {
    format!("secret of {name}")
}

impl TestPostoffice {
    /// Another machine with a copy of the database.
    pub fn copy(&self) -> Self {
        let (name, decisions) = (self.name.clone(), self.decisions.clone());
        let (store, keys, spool) = (self.store.copy(), self.keys.clone(), self.spool.clone());
        let Self { now, draws, guard, sealed, threads, part_bytes_max, .. } = *self;
        Self {
            name,
            store,
            decisions,
            now,
            draws,
            guard,
            sealed,
            keys,
            threads,
            outbox: Outbox::default(),
            part_bytes_max,
            spool,
        }
    }
}

impl<D: DecisionsLog> TestPostoffice<D> {
    /// A postoffice with a database that holds its state already, or nothing yet.
    pub fn new(name: &str, store: TestStore, decisions: D) -> Self {
        Self {
            name: postoffice(name),
            store,
            decisions,
            now: START_MS,
            draws: 0,
            guard: GuardLimits::default(),
            sealed: false,
            keys: None,
            threads: 1,
            part_bytes_max: u64::MAX,
            outbox: Outbox::default(),
            spool: Spool::in_memory(),
        }
    }

    /// What a step is given.
    pub fn around(&mut self) -> Surroundings {
        self.draws += 1;
        let seed = blake3::hash(format!("{} {}", self.name, self.draws).as_bytes());
        Surroundings {
            now: self.now,
            seed: *seed.as_bytes(),
            guard: self.guard,
            evidence: EVIDENCE,
            sealing: match &self.keys {
                Some(keys) => Arc::clone(keys) as Arc<dyn Sealing>,
                None => sealing_of(&self.name, self.sealed),
            },
            threads: self.threads,
            part_bytes_max: self.part_bytes_max,
            compression: 3,
            slow_compression: 3,
            outbox: self.outbox.clone(),
            fall_back: FallBack::default(),
            under_way: UnderWayLimits::default(),
            settle_ms: 60_000,
            spool: self.spool.clone(),
        }
    }

    /// Does some work in one transaction and commits it.
    ///
    /// # Errors
    ///
    /// When the work or the store fails.
    pub fn transact<R, E: Into<Failed>>(
        &mut self,
        work: impl FnOnce(&mut (dyn Transaction + '_), &mut Context<'_>, &mut D) -> Result<R, E>,
    ) -> Result<R, Failed> {
        let Surroundings { now, seed, guard, evidence, .. } = self.around();
        let (mut draws, mut events) = (Draws::new(&seed), Vec::new());
        let mut context =
            Context { now, draws: &mut draws, events: &mut events, guard, evidence: &evidence };
        let mut tables = self.store.begin()?;
        let done = work(&mut *tables, &mut context, &mut self.decisions).map_err(Into::into)?;
        tables.commit()?;
        Ok(done)
    }

    /// Becomes the directory server.
    pub fn found_server(&mut self) {
        let (name, key) = (self.name.clone(), key_of(&self.name));
        self.transact(|tables, context, _| {
            founding::found_server(tables, context.draws, &name, Instance(7), &key, PLACE)
        })
        .expect("a fresh store");
    }

    /// Becomes a requestor with the secret of [`Self::invite`].
    pub fn found_requestor(&mut self) {
        let name = self.name.clone();
        let proof = proof(&secret(&name), &key_of(&name).to_string());
        self.transact(|tables, context, _| {
            let server = postoffice(SERVER);
            let key = key_of(&server);
            founding::found_requestor(tables, context.draws, &name, &server, &key, Some(proof))
        })
        .expect("a fresh store");
    }

    /// An administrator of the server invites a postoffice.
    ///
    /// # Errors
    ///
    /// When the log of decisions or the store fails.
    pub fn invite(&mut self, name: &str, view: View) -> Result<(), Failed> {
        let verifier = verifier(&secret(&postoffice(name)));
        let expires = self.now + 365 * DAY_MS;
        let places = vec![PLACE.to_owned()];
        self.decide(name, DecisionKind::Invite { verifier, expires, places, view })
    }

    /// An administrator of the server decides about a postoffice.
    ///
    /// # Errors
    ///
    /// When the log of decisions or the store fails.
    pub fn decide(&mut self, of: &str, kind: DecisionKind) -> Result<(), Failed> {
        let decision = Decision { at: self.now, postoffice: postoffice(of), kind };
        self.transact(|tables, context, log| decide(tables, context, log, &[decision]))
    }

    /// Begins a new epoch, as after a restore.
    ///
    /// # Errors
    ///
    /// When the log of decisions or the store fails.
    pub fn begin_anew(&mut self) -> Result<(), Failed> {
        self.transact(|tables, context, log| begin_anew(tables, context, log))
    }

    /// Reads a source with these keys and records; its time is this postoffice's.
    ///
    /// # Errors
    ///
    /// When the read or the store fails.
    pub fn read<K: AsRef<str>>(
        &mut self,
        settings: ReadSettings,
        rows: impl IntoIterator<Item = (K, Record)>,
        complete: bool,
    ) -> Result<ReadReport, Failed> {
        let settings = ReadSettings { now: self.now, ..settings };
        self.transact(|tables, _, _| {
            let mut read = SourceRead::begin(tables, settings)?;
            for (line, (key, record)) in (2..).zip(rows) {
                let (key, record) = (key.as_ref(), record.as_ref());
                read.row(ReadRow { origin: None, key, record, line, derived_key: false })?;
            }
            Ok::<_, Failed>(read.finish(complete)?)
        })
    }

    /// Imports people (key, name, address, phone) as the whole list.
    pub fn import<T: AsRef<str>>(&mut self, people: &[(T, T, T, T)]) -> ReadReport {
        let settings = ReadSettings { source: "import".into(), whole: true, ..Default::default() };
        let rows = people.iter().map(|(key, name, address, phone)| {
            let phone = phone.as_ref();
            let details =
                if phone.is_empty() { String::new() } else { format!("telephoneNumber/{phone}\n") };
            (key, record(name.as_ref(), address.as_ref(), &details))
        });
        self.read(settings, rows, true).expect("the store works")
    }

    /// T1.
    ///
    /// # Errors
    ///
    /// When the step fails.
    pub fn send(&mut self, transit: &dyn Transit) -> Result<SendReport, Interrupted<SendReport>> {
        let around = self.around();
        send(&mut self.store, &[(PLACE, transit)], &around, true)
    }

    /// T2; with `push`, as in continuous mode, the server also answers unasked.
    ///
    /// # Errors
    ///
    /// When the step fails.
    pub fn process(
        &mut self,
        transit: &dyn Transit,
        push: bool,
    ) -> Result<ProcessReport, Interrupted<ProcessReport>> {
        let around = self.around();
        let places = BTreeMap::from([(PLACE.to_owned(), transit)]);
        process(&mut self.store, &places, &mut self.decisions, &around, push)
    }

    /// Whether the server has anything to do.
    pub fn requests_arrived(&mut self, transit: &dyn Transit) -> bool {
        let places = BTreeMap::from([(PLACE.to_owned(), transit)]);
        step::requests_arrived(&mut self.store, &places).expect("the store works")
    }

    /// T3.
    ///
    /// # Errors
    ///
    /// When the step fails.
    pub fn apply(
        &mut self,
        transit: &dyn Transit,
    ) -> Result<ApplyReport, Interrupted<ApplyReport>> {
        let around = self.around();
        apply(&mut self.store, &[(PLACE, transit)], &around)
    }

    /// Those with whom it exchanges messages.
    pub fn peers(&mut self) -> KnownPeers {
        let sealing = self.around().sealing;
        let mut tables = self.store.begin().expect("the store works");
        KnownPeers::read(&mut *tables, &*sealing).expect("the store works")
    }

    /// The list, one line an entry, sorted.
    pub fn list(&mut self) -> Vec<String> {
        let mut lines: Vec<String> = self.store.gather(|tables, visit| {
            tables.visit_list(ListPlace::Live, &mut |row| {
                let record = row.record;
                visit(format!(
                    "{} {} {} {} {} {}",
                    row.id, row.owner, row.key, record.name, record.addresses, record.details
                ))
            })
        });
        lines.sort();
        lines
    }
}
