//! S1 to S15: the server takes a request.

mod identity;
mod submission;

use std::ops::ControlFlow;

use dirsync_agent::decisions::empty_registration;
use dirsync_agent::founding::found_server;
use dirsync_directory::{BucketSums, View};
use dirsync_message::{
    Challenge, Health, OwnPart, ReqSeq, Request, RequestKind, RequestNo, Side, SrvSeq, SyncPoint,
};
use dirsync_protocol::context::{Draws, ReceiveError};
use dirsync_protocol::row::Row;
use dirsync_protocol::server::{Received, issue_point, receive};
use dirsync_protocol::tables::{Agreement, Numbered, Registration, ServerState};
use dirsync_store::Store;
use dirsync_testing::MemoryStore;

use crate::*;

const CHALLENGE: Challenge = Challenge([8; 16]);

/// A server, its requestor SOUTH/SALES, and the next request of that.
///
/// The server holds the entries `ana` and `ben` of SOUTH/SALES and has issued a point at them. The request
/// stands there and adds `cleo`: nothing is wrong with it. A test changes what it is about.
pub struct Given {
    pub server: ServerState,
    /// `None` if it is not registered.
    pub sender: Option<Registration>,
    /// The server's own postoffice, which has spoken in this epoch.
    pub other: Registration,
    pub request: Request,
    pub body: Vec<Line>,
    pub store: MemoryStore,
}

/// A change of the default state and message.
type Spoil = fn(&mut Given);

/// What a request led to.
struct Then {
    received: Result<Received, ReceiveError>,
    rows: Vec<Row>,
    server: ServerState,
    sender: Registration,
    store: MemoryStore,
}

impl Given {
    pub fn new() -> Self {
        let mut store = MemoryStore::new();
        let draws = &mut Draws::new(&[1; 32]);
        let first = Request {
            number: RequestNo(1),
            id: request_id(1),
            own: delta(0, 2, &["ana", "ben"]),
            ..request()
        };
        let lines = [whole(1, "ana"), whole(2, "ben")];
        let (point, _) = run(&mut store, |tables, context| {
            found_server(
                tables,
                draws,
                &hq(),
                EPOCH.instance,
                &dirsync_testing::key_of(&hq()),
                "folder:/hq",
            )
            .unwrap();
            let server = tables.server().unwrap().unwrap();
            tables.put_server(&ServerState { epoch: EPOCH, ..server }).unwrap();
            let own = tables.registration(&hq()).unwrap().unwrap();
            tables.put_registration(&Registration { spoke_in: Some(EPOCH), ..own }).unwrap();
            tables.put_registration(&empty_registration(&sales())).unwrap();
            let everything = View::default();
            tables.put_view(everything.hash(), &everything, &BucketSums::default()).unwrap();
            assert_eq!(
                receive(tables, context, &first, &mut Lines::new(&lines)).unwrap(),
                Received::Taken
            );
            let (head, view) = (SrvSeq(2), everything.hash());
            issue_point(tables, draws, EPOCH, view, head, true).unwrap().0
        });
        let mut tables = store.begin().unwrap();
        let server = tables.server().unwrap().unwrap();
        let sender = tables.registration(&sales()).unwrap().unwrap();
        let other = tables.registration(&hq()).unwrap().unwrap();
        drop(tables);
        Self {
            server,
            sender: Some(Registration { answer_due: false, ..sender }),
            other,
            request: Request {
                point: Some(point),
                point_evidence: Some(EVIDENCE.of_point(&point)),
                list_digest: list_digest(&["ana", "ben"]),
                ..request()
            },
            body: vec![whole(3, "cleo")],
            store,
        }
    }

    pub fn sender(&mut self) -> &mut Registration {
        self.sender.as_mut().unwrap()
    }

    fn point(&mut self) -> &mut SyncPoint {
        self.request.point.as_mut().unwrap()
    }

    /// The sender heard a server epoch, with its evidence.
    fn hear(&mut self, epoch: ServerEpoch) {
        self.request.epoch_heard = Some(epoch);
        self.request.epoch_evidence = Some(EVIDENCE.of_epoch(&epoch));
    }

    /// The sender has evidence of the point that it states.
    fn with_evidence_of_point(mut self) -> Self {
        self.request.point_evidence = self.request.point.map(|point| EVIDENCE.of_point(&point));
        self
    }

    /// The sender began a new epoch that descends from the one known, and exports everything in answer
    /// to the open challenge.
    fn with_new_epoch(mut self) -> Self {
        self = self.with_full_export();
        self.request.epoch = OTHER;
        self.request.lineage = vec![MINE];
        self
    }

    /// The sender answers the open challenge with its entries `ana` and `cleo`.
    fn with_full_export(mut self) -> Self {
        self.sender().challenge = Some(CHALLENGE);
        self.request.own = OwnPart {
            kind: RequestKind::Full,
            challenge: Some(CHALLENGE),
            base: Some(own_digest(&["ana", "ben"])),
            ..delta(0, 9, &["ana", "cleo"])
        };
        self.body = vec![whole(8, "ana"), whole(9, "cleo")];
        self
    }

    /// The request is taken, with the state as the test has changed it.
    fn receive(mut self) -> Then {
        self.write();
        let (received, rows) = run(&mut self.store, |tables, context| {
            receive(tables, context, &self.request, &mut Lines::new(&self.body))
        });
        let mut tables = self.store.begin().unwrap();
        let server = tables.server().unwrap().unwrap();
        let sender = tables.registration(&sales()).unwrap();
        drop(tables);
        let sender = sender.unwrap_or_else(|| empty_registration(&sales()));
        Then { received, rows, server, sender, store: self.store }
    }

    /// Writes the state as the test has changed it.
    pub fn write(&mut self) {
        // There is no way to forget a registration: that of a stranger is in a fresh database.
        if self.sender.is_none() {
            self.store = MemoryStore::new();
        }
        run(&mut self.store, |tables, _| {
            tables.put_server(&self.server).unwrap();
            tables.put_registration(&self.other).unwrap();
            if let Some(sender) = &self.sender {
                tables.put_registration(sender).unwrap();
            }
        });
    }
}

impl Then {
    fn received(&self) -> Received {
        *self.received.as_ref().unwrap()
    }

    /// The side answer that is due to the request.
    fn side(&self) -> Option<Side> {
        self.sender.side_answers.last().map(|answer| answer.side)
    }

    /// The names of the published entries.
    fn list(&mut self) -> Vec<String> {
        let mut tables = self.store.begin().unwrap();
        let mut names = Vec::new();
        tables
            .visit_numbered(SrvSeq(0), self.server.head, &mut |numbered| {
                if let Numbered::Published(_, published) = numbered {
                    names.push(published.record.name.clone());
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        names.sort();
        names
    }

    /// Nothing of the own part was taken.
    fn assert_untouched(&mut self) {
        assert_eq!(self.sender.acknowledged, ReqSeq(2));
        assert_eq!(self.sender.own_digest, own_digest(&["ana", "ben"]));
        assert_eq!(self.list(), ["ana", "ben"]);
    }
}

/// Own changes after one number up to another, which lead to these entries.
fn delta(from: u64, to: u64, entries: &[&str]) -> OwnPart {
    OwnPart {
        kind: RequestKind::Delta,
        from: ReqSeq(from),
        to: ReqSeq(to),
        digest: own_digest(entries),
        challenge: None,
        base: None,
    }
}

fn want_own() -> OwnPart {
    OwnPart { kind: RequestKind::WantOwn, ..delta(2, 2, &["ana", "ben"]) }
}

fn request() -> Request {
    Request {
        from: sales(),
        to: hq(),
        epoch: MINE,
        lineage: Vec::new(),
        number: RequestNo(2),
        id: request_id(2),
        own: delta(2, 3, &["ana", "ben", "cleo"]),
        epoch_heard: Some(EPOCH),
        epoch_evidence: Some(EVIDENCE.of_epoch(&EPOCH)),
        point: None,
        point_evidence: None,
        list_digest: SetDigest::default(),
        list_bad: false,
        list_buckets: None,
        view_wanted: View::default(),
        health: Health::default(),
    }
}

/// So that a glance at a thousand requestors compares nothing.
#[test]
fn whether_a_list_is_as_issued_is_kept_with_the_time_since_when() {
    let agreement = |equal, since| Agreement { equal, since };
    let before = agreement(Some(true), 5);
    let spoil: [(Spoil, Agreement); 4] = [
        (|_| {}, before),
        (|given| given.request.list_digest = list_digest(&["ana"]), agreement(Some(false), NOW)),
        (|given| given.point().mark.0 ^= 1, agreement(Some(false), NOW)),
        (|given| given.request.point = None, agreement(None, NOW)),
    ];
    for (spoil, expected) in spoil {
        let mut given = Given::new();
        given.sender().agreement = before;
        spoil(&mut given);
        assert_eq!(given.receive().sender.agreement, expected);
    }
}
