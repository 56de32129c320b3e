//! A server and requestors in memory, run through the shipped steps.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_agent::changes::{ReadReport, ReadRow, ReadSettings, SourceRead};
use dirsync_agent::decisions::{Decision, DecisionKind, decide};
use dirsync_agent::founding::{found_requestor, found_server};
use dirsync_agent::step::{
    ApplyReport, ProcessReport, SendReport, Surroundings, apply, process, requests_arrived, send,
};
use dirsync_carrier::Carrier;
use dirsync_directory::{PostofficeName, Record, View};
use dirsync_message::Instance;
use dirsync_protocol::context::{Context, Draws};
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::invitation::{proof, verifier};
use dirsync_protocol::requestor::rejoin;
use dirsync_protocol::tables::ListPlace;
use dirsync_store::{MemoryStore, Store};
use dirsync_testing::MemoryNetwork;

pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// One postoffice with its time and its randomness.
#[derive(Clone)]
pub struct Site {
    pub name: PostofficeName,
    pub store: MemoryStore,
    pub decisions: Vec<Decision>,
    pub now: u64,
    draws: u64,
}

/// All of them, and the network between.
pub struct World {
    pub network: MemoryNetwork,
    pub sites: BTreeMap<&'static str, Site>,
    pub now: u64,
}

pub const SERVER: &str = "NORTH/HQ";

impl Site {
    pub fn around(&mut self) -> Surroundings {
        self.draws += 1;
        let seed = blake3::hash(format!("{} {}", self.name, self.draws).as_bytes());
        Surroundings {
            now: self.now,
            seed: *seed.as_bytes(),
            guard: GuardLimits::default(),
            key: format!("ssh-ed25519 {}", self.name),
            compression: 3,
            settle_ms: 60_000,
        }
    }

    /// A person's word that this is the machine to keep; whether it was fenced.
    pub fn rejoin(&mut self) -> bool {
        let mut draws = Draws::new(&self.around().seed);
        let mut events = Vec::new();
        let guard = GuardLimits::default();
        let mut context = Context { now: self.now, draws: &mut draws, events: &mut events, guard };
        let mut tables = self.store.begin().unwrap();
        let rejoined = rejoin(&mut *tables, &mut context, false).unwrap();
        tables.commit().unwrap();
        rejoined
    }

    /// The list, one line an entry.
    pub fn list(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut tables = self.store.begin().unwrap();
        tables
            .visit_list(ListPlace::Live, &mut |row| {
                let record = row.record;
                lines.push(format!(
                    "{} {} {} {} {} {}",
                    row.id, row.owner, row.key, record.name, record.addresses, record.details
                ));
                ControlFlow::Continue(())
            })
            .unwrap();
        lines.sort();
        lines
    }

    /// Reads rows (key, name, address, phone) as a whole list.
    pub fn import(&mut self, rows: &[(&str, &str, &str, &str)]) -> ReadReport {
        let settings = ReadSettings {
            source: "import".into(),
            whole: true,
            guards: Default::default(),
            fingerprint: String::new(),
            configured: Vec::new(),
            now: self.now,
        };
        let mut tables = self.store.begin().unwrap();
        let mut read = SourceRead::begin(&mut *tables, settings).unwrap();
        for (line, (key, name, address, phone)) in rows.iter().enumerate() {
            let details =
                if phone.is_empty() { String::new() } else { format!("telephoneNumber/{phone}\n") };
            let record = Record {
                kind: "mailbox".into(),
                name: (*name).into(),
                addresses: (*address).into(),
                details,
            };
            let row = ReadRow { origin: None, key, record: record.as_ref(), line: line as u64 + 2 };
            read.row(row).unwrap();
        }
        let report = read.finish(true).unwrap();
        tables.commit().unwrap();
        report
    }
}

impl World {
    pub fn new(requestors: &[&'static str]) -> Self {
        let network = MemoryNetwork::default();
        let now = 1_700_000_000_000;
        let mut world = Self { network, sites: BTreeMap::new(), now };
        let name: PostofficeName = SERVER.parse().unwrap();
        let mut server =
            Site { name, store: MemoryStore::new(), decisions: Vec::new(), now, draws: 0 };
        let mut draws = Draws::new(&server.around().seed);
        let mut tables = server.store.begin().unwrap();
        let key = format!("ssh-ed25519 {SERVER}");
        found_server(&mut *tables, &mut draws, &server.name, Instance(7), &key, "net").unwrap();
        tables.commit().unwrap();
        world.sites.insert(SERVER, server);
        for name in requestors {
            world.add(name);
        }
        world
    }

    pub fn add(&mut self, name: &'static str) {
        self.invite(name);
        self.uninvited(name);
    }

    /// Registers a postoffice at the server.
    pub fn invite(&mut self, name: &'static str) {
        let secret = format!("secret of {name}");
        self.decide(
            name,
            DecisionKind::Invite {
                verifier: verifier(&secret),
                expires: self.now + DAY_MS,
                carrier: "net".into(),
                view: View::default(),
            },
        );
    }

    /// What an administrator decides at the server.
    pub fn decide(&mut self, name: &str, kind: DecisionKind) {
        let decision = Decision { at: self.now, postoffice: name.parse().unwrap(), kind };
        let server = self.sites.get_mut(SERVER).unwrap();
        let mut draws = Draws::new(&server.around().seed);
        let mut events = Vec::new();
        let guard = GuardLimits::default();
        let mut context = Context { now: self.now, draws: &mut draws, events: &mut events, guard };
        let mut tables = server.store.begin().unwrap();
        let postoffice = decision.postoffice.clone();
        decide(&mut *tables, &mut context, &mut server.decisions, &[decision]).unwrap();
        assert!(tables.registration(&postoffice).unwrap().is_some());
        tables.commit().unwrap();
    }

    /// A postoffice with an invitation, of which the server need not know anything.
    pub fn uninvited(&mut self, name: &'static str) {
        let postoffice: PostofficeName = name.parse().unwrap();
        let secret = format!("secret of {name}");
        let mut site = Site {
            name: postoffice,
            store: MemoryStore::new(),
            decisions: Vec::new(),
            now: self.now,
            draws: 0,
        };
        let around = site.around();
        let mut draws = Draws::new(&around.seed);
        let proof = Some(proof(&secret, &around.key));
        let mut tables = site.store.begin().unwrap();
        let server: PostofficeName = SERVER.parse().unwrap();
        found_requestor(&mut *tables, &mut draws, &site.name, &server, proof).unwrap();
        tables.commit().unwrap();
        self.sites.insert(name, site);
    }

    /// Whether the server has anything to do.
    pub fn requests_arrived(&mut self) -> bool {
        let network = self.network.clone();
        let site = self.site(SERVER);
        let carrier = network.carrier(&site.name);
        let carriers = BTreeMap::from([("net".to_owned(), &carrier as &dyn Carrier)]);
        requests_arrived(&mut site.store, &carriers).unwrap()
    }

    pub fn site(&mut self, name: &str) -> &mut Site {
        self.sites.get_mut(name).unwrap()
    }

    pub fn send(&mut self, name: &str) -> SendReport {
        let network = self.network.clone();
        let site = self.site(name);
        let around = site.around();
        let carrier = network.carrier(&site.name);
        send(&mut site.store, &carrier, &around, true).unwrap()
    }

    pub fn process(&mut self) -> ProcessReport {
        self.process_with(false)
    }

    /// As in continuous mode, where the server also answers unasked.
    pub fn process_unasked(&mut self) -> ProcessReport {
        self.process_with(true)
    }

    fn process_with(&mut self, push: bool) -> ProcessReport {
        let network = self.network.clone();
        let site = self.site(SERVER);
        let around = site.around();
        let carrier = network.carrier(&site.name);
        let carriers = BTreeMap::from([("net".to_owned(), &carrier as &dyn Carrier)]);
        let mut decisions = std::mem::take(&mut site.decisions);
        let report = process(&mut site.store, &carriers, &mut decisions, &around, push).unwrap();
        site.decisions = decisions;
        report
    }

    pub fn apply(&mut self, name: &str) -> ApplyReport {
        let network = self.network.clone();
        let site = self.site(name);
        let around = site.around();
        let carrier = network.carrier(&site.name);
        apply(&mut site.store, &carrier, &around).unwrap()
    }

    /// One cycle of everybody.
    pub fn cycle(&mut self) {
        self.now += 60_000;
        let now = self.now;
        let names: Vec<&'static str> = self.sites.keys().copied().collect();
        for name in &names {
            self.site(name).now = now;
            self.send(name);
        }
        self.process();
        for name in &names {
            self.apply(name);
        }
    }

    /// Asserts that all lists are equal and returns them.
    pub fn converged(&mut self) -> Vec<String> {
        let names: Vec<&'static str> = self.sites.keys().copied().collect();
        let list = self.site(SERVER).list();
        for name in names {
            assert_eq!(self.site(name).list(), list, "the list of {name}");
        }
        list
    }
}
