//! A server, requestors, and the network between them, in one process.

use std::collections::BTreeMap;

use dirsync_agent::decisions::DecisionKind;
use dirsync_agent::step::{ApplyReport, ProcessReport, SendReport};
use dirsync_carrier::Transit;
use dirsync_directory::View;

use crate::network::MemoryNetwork;
use crate::postoffice::{SERVER, TestPostoffice};
use crate::rows::postoffice;
use crate::store::TestStore;

/// Postoffices by name. No step of them may fail.
#[derive(Default)]
pub struct World {
    /// What is under way.
    pub network: MemoryNetwork,
    /// The server's postoffice is [`SERVER`].
    pub postoffices: BTreeMap<&'static str, TestPostoffice>,
    /// Whether messages are sealed with keys.
    pub sealed: bool,
}

impl World {
    /// A server, and requestors that are invited, in memory.
    pub fn new(requestors: &[&'static str]) -> Self {
        Self::default().with(requestors)
    }

    /// The same with messages that are sealed with keys.
    pub fn sealed(requestors: &[&'static str]) -> Self {
        Self { sealed: true, ..Self::default() }.with(requestors)
    }

    fn with(mut self, requestors: &[&'static str]) -> Self {
        self.found(SERVER, TestStore::default());
        requestors.iter().for_each(|name| self.add(name));
        self
    }

    /// One more requestor that is invited.
    pub fn add(&mut self, name: &'static str) {
        self.invite(name, View::default());
        self.found(name, TestStore::default());
    }

    /// A postoffice with an empty database: [`SERVER`], or a requestor, of which the server need not know.
    pub fn found(&mut self, name: &'static str, store: TestStore) {
        let mut postoffice = TestPostoffice::new(name, store, Vec::new());
        postoffice.sealed = self.sealed;
        if name == SERVER {
            postoffice.found_server();
        } else {
            postoffice.now = self.at(SERVER).now;
            postoffice.found_requestor();
        }
        self.postoffices.insert(name, postoffice);
    }

    /// The postoffice of a name.
    pub fn at(&mut self, name: &str) -> &mut TestPostoffice {
        self.postoffices.get_mut(name).expect("it was founded")
    }

    /// Registers a postoffice at the server.
    pub fn invite(&mut self, name: &str, view: View) {
        self.at(SERVER).invite(name, view).expect("the store works");
    }

    /// What an administrator decides at the server.
    pub fn decide(&mut self, name: &str, kind: DecisionKind) {
        self.at(SERVER).decide(name, kind).expect("the store works");
    }

    /// Time passes everywhere.
    pub fn pass(&mut self, ms: u64) {
        self.postoffices.values_mut().for_each(|postoffice| postoffice.now += ms);
    }

    fn transit(&self, name: &str) -> impl Transit + use<> {
        self.network.transit(&postoffice(name))
    }

    /// T1 of a postoffice.
    pub fn send(&mut self, name: &str) -> SendReport {
        let transit = self.transit(name);
        self.at(name).send(&transit).expect("T1 does not fail")
    }

    /// T2.
    pub fn process(&mut self) -> ProcessReport {
        self.process_with(false)
    }

    /// T2 as in continuous mode, where the server also answers unasked.
    pub fn process_unasked(&mut self) -> ProcessReport {
        self.process_with(true)
    }

    fn process_with(&mut self, push: bool) -> ProcessReport {
        let transit = self.transit(SERVER);
        self.at(SERVER).process(&transit, push).expect("T2 does not fail")
    }

    /// Whether the server has anything to do.
    pub fn requests_arrived(&mut self) -> bool {
        let transit = self.transit(SERVER);
        self.at(SERVER).requests_arrived(&transit)
    }

    /// T3 of a postoffice.
    pub fn apply(&mut self, name: &str) -> ApplyReport {
        let transit = self.transit(name);
        self.at(name).apply(&transit).expect("T3 does not fail")
    }

    /// A minute later, one cycle of all postoffices.
    pub fn cycle(&mut self) {
        self.pass(60_000);
        let names: Vec<&'static str> = self.postoffices.keys().copied().collect();
        for name in &names {
            self.send(name);
        }
        self.process();
        for name in &names {
            self.apply(name);
        }
    }

    /// Asserts that all lists are equal, and returns their lines.
    pub fn converged(&mut self) -> Vec<String> {
        let list = self.at(SERVER).list();
        for (name, postoffice) in &mut self.postoffices {
            assert_eq!(postoffice.list(), list, "the list of {name}");
        }
        list
    }
}
