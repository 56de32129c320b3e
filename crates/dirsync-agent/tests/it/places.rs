//! Several places: messages go through the first that works, and one that is away stops nobody.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use dirsync_agent::decisions::DecisionKind;
use dirsync_agent::step::{self, PlaceFailure, ProcessReport, SendReport, Sent};
use dirsync_agent::trouble::{self, Troubles, note_places};
use dirsync_carrier::{Arrived, MessageFile, Outgoing, Transit, TransitError};
use dirsync_directory::PostofficeName;
use dirsync_store::Store as _;
use dirsync_testing::{MemoryNetwork, SERVER, TestPostoffice, TestStore, rows::postoffice};

const HOUR_MS: u64 = 60 * 60 * 1000;
/// The place of the server's own postoffice, and two shares.
const PLACES: [&str; 3] = ["net", "first", "second"];
const SITES: [&str; 3] = ["SOUTH/A", "SOUTH/B", "SOUTH/C"];

/// What does not work at a place: `None` for everything, or messages to a postoffice.
type Broken = BTreeSet<(String, Option<PostofficeName>)>;

/// A transit at a place that can be away, or refuse messages to one postoffice.
struct Faulty {
    place: &'static str,
    transit: Box<dyn Transit>,
    broken: Rc<RefCell<Broken>>,
    /// The files of messages that were opened.
    opened: Rc<Cell<u64>>,
}

impl Faulty {
    fn works(&self, to: Option<&PostofficeName>) -> Result<(), TransitError> {
        let broken = self.broken.borrow();
        let is = |to: Option<PostofficeName>| broken.contains(&(self.place.to_owned(), to));
        if is(None) || to.is_some_and(|to| is(Some(to.clone()))) {
            let source = io::Error::other("it is broken");
            return Err(TransitError::Unreachable { place: self.place.into(), source });
        }
        Ok(())
    }
}

impl Transit for Faulty {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        self.works(Some(message.to))?;
        self.transit.send(message)
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        self.works(None)?;
        self.transit.arrived()
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        self.opened.set(self.opened.get() + 1);
        self.transit.open(arrived)
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, TransitError> {
        self.transit.finished(arrived)
    }

    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, TransitError> {
        self.transit.refuse(arrived, reason)
    }

    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        self.transit.keep_waiting(arrived, sender)
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        self.works(None)?;
        self.transit.waiting()
    }

    fn purge(&self, before: u64) -> Result<u64, TransitError> {
        self.transit.purge(before)
    }
}

/// A server and three sites with two shares. A and B prefer the first one, C the second.
struct Shares {
    networks: BTreeMap<&'static str, MemoryNetwork>,
    postoffices: BTreeMap<&'static str, TestPostoffice>,
    broken: Rc<RefCell<Broken>>,
    opened: Rc<Cell<u64>>,
}

impl Shares {
    fn new() -> Self {
        let mut server = TestPostoffice::new(SERVER, TestStore::default(), Vec::new());
        server.found_server();
        let mut postoffices = BTreeMap::new();
        for site in SITES {
            server.invite(site, Default::default()).unwrap();
            let places = places_of(site).into_iter().map(String::from).collect();
            server.decide(site, DecisionKind::Carrier(places)).unwrap();
            let mut requestor = TestPostoffice::new(site, TestStore::default(), Vec::new());
            requestor.found_requestor();
            postoffices.insert(site, requestor);
        }
        postoffices.insert(SERVER, server);
        let networks = PLACES.map(|place| (place, MemoryNetwork::default())).into();
        Self { networks, postoffices, broken: Rc::default(), opened: Rc::default() }
    }

    fn at(&mut self, name: &str) -> &mut TestPostoffice {
        self.postoffices.get_mut(name).unwrap()
    }

    fn transit(&self, place: &'static str, name: &str) -> Faulty {
        let transit = Box::new(self.networks[place].transit(&postoffice(name)));
        let (broken, opened) = (Rc::clone(&self.broken), Rc::clone(&self.opened));
        Faulty { place, transit, broken, opened }
    }

    fn transits(&self, name: &str) -> Vec<Faulty> {
        places_of(name).into_iter().map(|place| self.transit(place, name)).collect()
    }

    fn breaks(&self, place: &str, to: Option<&str>) {
        self.broken.borrow_mut().insert((place.into(), to.map(postoffice)));
    }

    fn works_again(&self) {
        self.broken.borrow_mut().clear();
    }

    fn pass(&mut self, ms: u64) {
        self.postoffices.values_mut().for_each(|postoffice| postoffice.now += ms);
    }

    /// What the program writes down after a step.
    fn note(&mut self, name: &str, step: &str, failed: &[PlaceFailure], sent: &BTreeSet<Sent>) {
        let now = self.at(name).now;
        let mut tables = self.at(name).store.begin().unwrap();
        note_places(&mut *tables, step, failed, sent, now).unwrap();
        tables.commit().unwrap();
    }

    fn send(&mut self, name: &str) -> SendReport {
        let (transits, around) = (self.transits(name), self.at(name).around());
        let ways: Vec<_> = transits.iter().map(|one| (one.place, one as &dyn Transit)).collect();
        let report = step::send(&mut self.at(name).store, &ways, &around, true).unwrap();
        self.note(name, "T1", &report.failed, &report.sent);
        report
    }

    fn process(&mut self) -> ProcessReport {
        let transits = PLACES.map(|place| self.transit(place, SERVER));
        let around = self.at(SERVER).around();
        let places =
            transits.iter().map(|one| (one.place.to_owned(), one as &dyn Transit)).collect();
        let TestPostoffice { store, decisions, .. } = self.at(SERVER);
        let report = step::process(store, &places, decisions, &around, false).unwrap();
        self.note(SERVER, "T2", &report.failed, &report.sent);
        report
    }

    fn apply(&mut self, name: &str) -> u64 {
        let (transits, around) = (self.transits(name), self.at(name).around());
        let ways: Vec<_> = transits.iter().map(|one| (one.place, one as &dyn Transit)).collect();
        let report = step::apply(&mut self.at(name).store, &ways, &around).unwrap();
        self.note(name, "T3", &report.failed, &BTreeSet::new());
        report.updates
    }

    /// One cycle of all: the places through which requests and answers went, by their site.
    fn cycle(&mut self) -> BTreeMap<String, (String, String)> {
        let mut sent: BTreeMap<String, (String, String)> = BTreeMap::new();
        let through = |sent: &BTreeSet<Sent>, to: &str| {
            let places = sent.iter().filter(|sent| sent.to == postoffice(to));
            places.map(|sent| sent.place.clone()).collect::<Vec<_>>().join(" ")
        };
        for site in SITES {
            let report = self.send(site);
            sent.insert(site.into(), (through(&report.sent, SERVER), String::new()));
        }
        self.send(SERVER);
        let report = self.process();
        for site in SITES {
            sent.get_mut(site).unwrap().1 = through(&report.sent, site);
            self.apply(site);
        }
        self.apply(SERVER);
        sent
    }

    fn lists_are_equal(&mut self) -> bool {
        let list = self.at(SERVER).list();
        assert!(!list.is_empty());
        self.postoffices.values_mut().all(|postoffice| postoffice.list() == list)
    }

    fn import(&mut self, name: &str, people: &[&str]) {
        let rows: Vec<_> = people
            .iter()
            .map(|who| (who.to_string(), who.to_string(), format!("SMTP:{who}@x"), String::new()))
            .collect();
        self.at(name).import(&rows);
    }

    /// The places that do not work, as a postoffice has noted it.
    fn troubles(&mut self, name: &str) -> Vec<String> {
        let mut tables = self.at(name).store.begin().unwrap();
        trouble::places(&mut *tables).unwrap().into_iter().map(|one| one.place).collect()
    }
}

fn places_of(name: &str) -> Vec<&'static str> {
    match name {
        SERVER => vec!["net"],
        "SOUTH/C" => vec!["second", "first"],
        _ => vec!["first", "second"],
    }
}

fn both(place: &str) -> (String, String) {
    (place.into(), place.into())
}

#[test]
fn a_share_that_is_away_for_six_hours_is_gone_round_until_it_is_back() {
    let mut shares = Shares::new();
    shares.import("SOUTH/A", &["ana"]);
    let sent = shares.cycle();
    assert_eq!(
        SITES.map(|site| sent[site].clone()),
        [both("first"), both("first"), both("second")]
    );
    shares.cycle();
    assert!(shares.lists_are_equal());

    shares.breaks("first", None);
    shares.import("SOUTH/A", &["ana", "ben"]);
    shares.import("SOUTH/C", &["cleo"]);
    let sent = shares.cycle();
    assert_eq!(SITES.map(|site| sent[site].clone()), [both(""), both(""), both("second")]);
    assert_eq!(shares.at("SOUTH/C").list(), shares.at(SERVER).list(), "it stops nobody else");
    shares.pass(6 * HOUR_MS - 1);
    assert_eq!(shares.cycle()["SOUTH/A"], both(""), "it may come back");

    shares.pass(1);
    let sent = shares.cycle();
    assert_eq!(SITES.map(|site| sent[site].clone()), SITES.map(|_| both("second")));
    shares.cycle();
    assert!(shares.lists_are_equal(), "one place is enough");
    assert_eq!(shares.troubles("SOUTH/A"), ["first"], "and a person is told of the other");
    assert_eq!(shares.troubles(SERVER), ["first"]);
    shares.pass(100 * HOUR_MS);
    assert_eq!(shares.cycle()["SOUTH/B"], both("second"));

    shares.works_again();
    shares.import("SOUTH/B", &["dora"]);
    let sent = shares.cycle();
    assert_eq!(
        SITES.map(|site| sent[site].clone()),
        [both("first"), both("first"), both("second")]
    );
    shares.cycle();
    assert!(shares.lists_are_equal());
    for name in [SERVER, "SOUTH/A", "SOUTH/B", "SOUTH/C"] {
        assert!(shares.troubles(name).is_empty(), "{name}: {:?}", shares.troubles(name));
    }
}

/// A full share can be listed all the time: that it can be is no sign that it takes messages.
#[test]
fn a_share_that_takes_no_messages_stays_gone_round_while_there_is_nothing_to_send() {
    let mut shares = Shares::new();
    shares.import("SOUTH/A", &["ana"]);
    shares.cycle();
    shares.breaks("first", Some("SOUTH/A"));
    shares.import("SOUTH/B", &["ben"]);
    assert_eq!(shares.cycle()["SOUTH/A"], ("first".into(), String::new()));
    shares.pass(6 * HOUR_MS);
    assert_eq!(shares.cycle()["SOUTH/A"], ("first".into(), "second".into()));
    assert_eq!(shares.process().messages, 0, "nothing is due");
    assert_eq!(shares.troubles(SERVER), ["first"], "it is not known to work");
    shares.import("SOUTH/B", &["ben", "dora"]);
    let sent = shares.cycle();
    assert_eq!(sent["SOUTH/A"], ("first".into(), "second".into()), "no six hours once more");
    assert_eq!(sent["SOUTH/B"], both("first"), "it takes messages to others");

    shares.works_again();
    assert_eq!(shares.cycle()["SOUTH/A"], both("first"));
    assert!(shares.troubles(SERVER).is_empty());
}

#[test]
fn a_message_that_comes_through_two_places_is_applied_once() {
    let mut shares = Shares::new();
    shares.import("SOUTH/A", &["ana"]);
    shares.cycle();
    shares.import("SOUTH/A", &["ana", "ben"]);
    shares.send("SOUTH/A");
    doubled(&shares, SERVER);
    assert_eq!(shares.process().requests, 2, "both leave the inboxes");
    doubled(&shares, "SOUTH/A");
    assert_eq!(shares.apply("SOUTH/A"), 2);
    shares.cycle();
    shares.cycle();
    assert!(shares.lists_are_equal());
    assert_eq!(shares.at(SERVER).list().len(), 2);
}

/// Puts what arrived at the first place into the second one, too.
fn doubled(shares: &Shares, to: &str) {
    let (first, second) = (&shares.networks["first"], &shares.networks["second"]);
    let to = postoffice(to);
    let arrived = first.pending(&to);
    assert!(!arrived.is_empty());
    for message in arrived {
        second.deliver(&to, &message, first.copy(&to, &message).unwrap());
    }
}

#[test]
fn a_place_that_is_used_no_more_is_no_trouble() {
    let mut shares = Shares::new();
    shares.cycle();
    shares.breaks("first", Some("SOUTH/A"));
    shares.send("SOUTH/A");
    shares.process();
    assert_eq!(shares.troubles(SERVER), ["first"]);
    let elsewhere = DecisionKind::Carrier(vec!["second".into()]);
    shares.at(SERVER).decide("SOUTH/A", elsewhere).unwrap();
    shares.process();
    assert!(shares.troubles(SERVER).is_empty());

    shares.breaks("first", None);
    shares.apply("SOUTH/A");
    let mut tables = shares.at("SOUTH/A").store.begin().unwrap();
    let known = Troubles::load(&mut *tables).unwrap();
    assert!(known.of("first", &postoffice(SERVER)).is_some_and(|one| one.unreachable));
    assert_eq!(known.of("second", &postoffice(SERVER)), None);
    trouble::forget_places(&mut *tables, &["second".into()]).unwrap();
    assert_eq!(trouble::places(&mut *tables).unwrap(), []);
}

/// A mount may be missing at one site alone, whose answers would lie there unread.
#[test]
fn the_server_answers_where_the_newest_request_came() {
    let mut shares = Shares::new();
    shares.import("SOUTH/A", &["ana"]);
    shares.cycle();
    // Neither A nor B can send through the first place, and the server can.
    shares.breaks("first", Some(SERVER));
    shares.cycle();
    shares.pass(6 * HOUR_MS);
    shares.import("SOUTH/A", &["ana", "ben"]);
    let sent = shares.cycle();
    assert_eq!([&sent["SOUTH/A"], &sent["SOUTH/B"]], [&both("second"), &both("second")]);
    shares.breaks("second", Some("SOUTH/A"));
    assert_eq!(
        shares.cycle()["SOUTH/A"],
        ("second".into(), String::new()),
        "it waits for that one"
    );
    assert_eq!(shares.cycle()["SOUTH/B"], both("second"));
    shares.works_again();
    shares.cycle();
    let sent = shares.cycle();
    assert_eq!(
        SITES.map(|site| sent[site].clone()),
        [both("first"), both("first"), both("second")]
    );
    assert!(shares.lists_are_equal());
}

#[test]
fn an_old_request_changes_no_way() {
    let mut shares = Shares::new();
    shares.cycle();
    let (first, server) = (shares.networks["first"].clone(), postoffice(SERVER));
    shares.send("SOUTH/A");
    let old = first.pending(&server).into_iter().next().unwrap();
    let bytes = first.copy(&server, &old).unwrap();
    first.lose(&server, &old);
    shares.cycle();
    shares.networks["second"].deliver(&server, &old, bytes);
    let report = shares.process();
    assert_eq!(report.requests, 1);
    assert!(report.sent.iter().all(|sent| sent.place != "second"), "{:?}", report.sent);
    assert_eq!(shares.cycle()["SOUTH/A"], both("first"));
}

/// Requests of one sender are taken one after the other, since the first may change its keys. Their names say already
/// that they are of one sender.
#[test]
fn each_request_is_opened_once() {
    let mut shares = Shares::new();
    shares.cycle();
    for _ in 0..3 {
        SITES.iter().for_each(|site| drop(shares.send(site)));
    }
    shares.opened.set(0);
    assert_eq!(shares.process().requests, 9);
    assert_eq!(shares.opened.get(), 9);
}
