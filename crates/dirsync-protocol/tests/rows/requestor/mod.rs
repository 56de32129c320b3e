//! R1 to R18: the requestor takes an update.

mod head;
mod list;
mod own;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_agent::founding::found_requestor;
use dirsync_directory::View;
use dirsync_message::{
    Body, BodyKind, Challenge, Mark, Own, ReqSeq, RequestNo, SrvSeq, SyncPoint, Update,
};
use dirsync_protocol::context::{Draws, ReceiveError};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::requestor::{Applied, OwnChanges, receive};
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{ListPlace, ListRow, OwnRow, RequestorState};
use dirsync_store::Store;
use dirsync_testing::MemoryStore;

use crate::*;

const ANSWERED: Applied = Applied {
    answered: true,
    list_changed: false,
    rows: 0,
    digest_failed: false,
    for_another: false,
    notice: None,
};

/// The requestor SOUTH/SALES, and an update that answers its last request.
///
/// It has the own entries `ana` and `ben`, and its list of the same entries is at number 5. It has sent the
/// requests 1 and 2, and its first own change is acknowledged. The update answers request 2 and adds `cleo`: nothing is wrong with it. A test changes
/// what it is about.
struct Given {
    state: RequestorState,
    update: Update,
    lines: Vec<Line>,
    store: MemoryStore,
}

/// A change of the default state and message.
type Spoil = fn(&mut Given);

/// What an update led to.
struct Then {
    applied: Result<Applied, ReceiveError>,
    rows: Vec<Row>,
    state: RequestorState,
    store: MemoryStore,
}

impl Given {
    fn new() -> Self {
        let mut store = MemoryStore::new();
        let draws = &mut Draws::new(&[1; 32]);
        run(&mut store, |tables, _| {
            found_requestor(tables, draws, &sales(), &hq(), &dirsync_testing::key_of(&hq()), None)
                .unwrap();
            let mut changes = OwnChanges::begin(tables, NOW).unwrap();
            changes.put(own_row("ana")).unwrap();
            changes.put(own_row("ben")).unwrap();
            changes.finish().unwrap();
            let state = tables.requestor().unwrap();
            tables
                .put_requestor(&RequestorState {
                    epoch: MINE,
                    request_no: RequestNo(1),
                    sent: vec![(RequestNo(1), request_id(1))],
                    ..state
                })
                .unwrap();
        });
        let mut given = Self {
            state: look(&mut store),
            update: Update { answers: RequestNo(1), request_id: request_id(1), ..update() },
            lines: vec![whole(4, "ana"), whole(5, "ben")],
            store,
        };
        given.update.body = Some(Body {
            from: SrvSeq(0),
            from_epoch: None,
            view_from: None,
            stated: None,
            to: point(5),
            to_evidence: EVIDENCE.of_point(&point(5)),
            digest: Some(list_digest(&["ana", "ben"])),
            ..body()
        });
        let then = given.receive();
        assert_eq!(then.rows, [Row::R17]);
        Self {
            state: RequestorState {
                request_no: RequestNo(2),
                sent: vec![(RequestNo(1), request_id(1)), (RequestNo(2), request_id(2))],
                ..then.state
            },
            update: update(),
            lines: vec![whole(6, "cleo")],
            store: then.store,
        }
    }

    /// The list of the update.
    fn body(&mut self) -> &mut Body {
        self.update.body.as_mut().unwrap()
    }

    /// The update brings the submitted set that the server holds, and a challenge.
    fn with_own(mut self) -> Self {
        self.update.body = None;
        self.update.own = Some(Own {
            challenge: Challenge([8; 16]),
            digest: own_digest(&["ana", "dan"]),
            in_force: MINE,
            retired: BTreeSet::new(),
        });
        self.lines = vec![whole(1, "ana"), whole(2, "dan")];
        self
    }

    /// The update brings the whole list: `ana` and `cleo`.
    fn with_replace(mut self) -> Self {
        let (stated, from) = (self.state.point, SrvSeq(0));
        let digest = Some(list_digest(&["ana", "cleo"]));
        *self.body() = Body { kind: BodyKind::Replace, stated, from, digest, ..body() };
        self.lines = vec![whole(4, "ana"), whole(6, "cleo")];
        self
    }

    /// The list holds nothing.
    fn with_empty_list(mut self) -> Self {
        self.state.point = None;
        self
    }

    /// The list stands at number 5 in the middle of a fill that reaches number 6.
    fn in_the_middle_of_a_fill(mut self) -> Self {
        self.state.point = Some(SyncPoint { complete: false, ..point(5) });
        self.state.filling = Some(SrvSeq(6));
        self.body().stated = None;
        self
    }

    /// The update is taken, with the state as the test has changed it.
    fn receive(mut self) -> Then {
        let (applied, rows) = run(&mut self.store, |tables, context| {
            tables.put_requestor(&self.state).unwrap();
            receive(tables, context, &self.update, &mut Lines::new(&self.lines))
        });
        let state = look(&mut self.store);
        Then { applied, rows, state, store: self.store }
    }
}

impl Then {
    fn applied(&self) -> Applied {
        *self.applied.as_ref().unwrap()
    }

    /// The names of the list's entries.
    fn list(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        let mut visit = |row: ListRow<'_>| {
            names.push(row.record.name.to_owned());
            ControlFlow::Continue(())
        };
        self.store.begin().unwrap().visit_list(ListPlace::Live, &mut visit).unwrap();
        names.sort();
        names
    }

    /// The list is as it was.
    fn assert_list_untouched(&mut self) {
        assert_eq!(self.list(), ["ana", "ben"]);
        assert_eq!(self.state.point, Some(point(5)));
        assert_eq!(self.state.point_evidence, Some(EVIDENCE.of_point(&point(5))));
        assert_eq!(self.state.list_digest, list_digest(&["ana", "ben"]));
    }
}

fn look(store: &mut MemoryStore) -> RequestorState {
    store.begin().unwrap().requestor().unwrap()
}

fn own_row(key: &str) -> OwnRow {
    OwnRow {
        id: id(key),
        first_origin: sales(),
        key: key.into(),
        source: "hand".into(),
        record: record(key),
        numbers: ChangeNumbers::default(),
        stamp: Stamp(0),
        released_to: None,
    }
}

/// A complete point of the view of everything.
fn point(number: u64) -> SyncPoint {
    SyncPoint {
        epoch: EPOCH,
        srv_seq: SrvSeq(number),
        mark: Mark(number),
        view: View::default().hash(),
        complete: true,
    }
}

/// The changes from number 5 to 6.
fn body() -> Body {
    Body {
        kind: BodyKind::Delta,
        from: SrvSeq(5),
        from_epoch: Some(EPOCH),
        view_from: Some(View::default().hash()),
        stated: Some(point(5)),
        to: point(6),
        to_evidence: EVIDENCE.of_point(&point(6)),
        head: SrvSeq(6),
        view: View::default(),
        digest: Some(list_digest(&["ana", "ben", "cleo"])),
        part: 1,
    }
}

fn update() -> Update {
    Update {
        from: hq(),
        to: sales(),
        epoch: MINE,
        answers: RequestNo(2),
        request_id: request_id(2),
        server_epoch: EPOCH,
        epoch_evidence: EVIDENCE.of_epoch(&EPOCH),
        ack: ReqSeq(1),
        side: None,
        own: None,
        outcomes: Vec::new(),
        offers: Vec::new(),
        body: Some(body()),
        want_buckets: false,
    }
}
