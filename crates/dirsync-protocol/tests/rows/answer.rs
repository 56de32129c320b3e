//! B1 to B4: the server answers a request.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{Bucket, BucketSums, View};
use dirsync_message::{Body, Evidence, Mark, ServerEpoch, SrvSeq, SyncPoint, Update};
use dirsync_protocol::row::Row::{self, *};
use dirsync_protocol::server::{BodyPlan, ListPlan, PlanKind, parts_under_way, prepare};
use dirsync_protocol::tables::{Position, RegistrationState};

use crate::server::Given;
use crate::*;

/// A server that has to answer SOUTH/SALES, whose list stands at the head.
struct Due(Given);

/// The answer.
struct Then {
    plan: BodyPlan,
    head: Update,
    rows: Vec<Row>,
}

impl Due {
    fn new() -> Self {
        let mut given = Given::new();
        given.sender().answer_due = true;
        let (point, digest) = (given.request.point, given.request.list_digest);
        given.sender().position = Position { point, digest, ..Position::default() };
        Self(given)
    }

    /// The list holds `ana`, and `ben` is still missing.
    fn behind() -> Self {
        let mut due = Self::new();
        let point = SyncPoint { srv_seq: SrvSeq(1), ..*due.point() };
        due.stand_at(point, &["ana"]);
        due
    }

    /// The list has failed a digest.
    fn bad() -> Self {
        let mut due = Self::new();
        due.position().bad = true;
        due
    }

    /// The list has failed a digest and is said to have so many entries that buckets are worthwhile.
    fn bad_and_large() -> Self {
        let mut due = Self::bad();
        due.position().digest.count = 512;
        due
    }

    /// The point is one that the server issued.
    fn stand_at(&mut self, point: SyncPoint, list: &[&str]) {
        let digest = point.complete.then(|| list_digest(list));
        run(&mut self.0.store, |tables, _| tables.put_issued_point(&point, digest).unwrap());
        self.position().point = Some(point);
        self.position().digest = list_digest(list);
    }

    fn position(&mut self) -> &mut Position {
        &mut self.0.sender().position
    }

    fn point(&mut self) -> &mut SyncPoint {
        self.position().point.as_mut().unwrap()
    }

    /// The sums of the server's list, with these buckets spoiled.
    fn buckets_but(&mut self, bits: u32, spoiled: &[Bucket]) -> Option<(u32, BucketSums)> {
        let view = View::default().hash();
        let (sums, _) = run(&mut self.0.store, |tables, _| tables.view_sums(view).unwrap());
        let mut sums = sums.folded(bits);
        spoiled.iter().for_each(|bucket| sums.0.entry(*bucket).or_default().sum ^= 1);
        Some((bits, sums))
    }

    fn prepare(mut self) -> Then {
        let (answer, rows) = self.try_prepare();
        let answer = answer.expect("an answer is due");
        Then { plan: answer.plan, head: answer.head, rows }
    }

    fn try_prepare(&mut self) -> (Option<dirsync_protocol::server::Answer>, Vec<Row>) {
        self.0.write();
        run(&mut self.0.store, |tables, context| {
            prepare(tables, context, &sales(), &BTreeMap::new()).unwrap()
        })
    }
}

impl Then {
    fn list(&self) -> &ListPlan {
        match &self.plan {
            BodyPlan::List(plan) => plan,
            other => panic!("the answer brings {other:?}"),
        }
    }

    fn kind(&self) -> &PlanKind {
        &self.list().kind
    }
}

#[test]
fn b1_a_list_that_holds_nothing_is_filled() {
    let mut due = Due::new();
    *due.position() = Position::default();
    let then = due.prepare();
    assert_eq!(then.rows, []);
    let list = then.list();
    assert_eq!((&list.kind, list.from, list.upto), (&PlanKind::Delta, SrvSeq(0), SrvSeq(2)));
    assert_eq!((list.from_epoch, &list.view_from), (None, &None));
}

#[test]
fn b1_comes_before_b3_an_empty_list_is_filled_also_while_the_server_recovers() {
    let mut due = Due::new();
    due.0.server.recovering = true;
    *due.position() = Position { bad: true, ..Position::default() };
    let then = due.prepare();
    assert_eq!((then.rows.len(), then.kind()), (0, &PlanKind::Delta));
}

#[test]
fn b1_is_not_reached_when_its_own_is_sent_or_only_its_key_is_known() {
    let mut due = Due::new();
    due.0.sender().send_own = true;
    due.0.sender().challenge = Some(dirsync_message::Challenge([8; 16]));
    assert_eq!(due.prepare().plan, BodyPlan::Own);
    let mut due = Due::new();
    due.0.sender().state = RegistrationState::Invited;
    *due.position() = Position::default();
    assert_eq!(due.prepare().plan, BodyPlan::None);
    for state in [RegistrationState::Suspended, RegistrationState::Removed] {
        let mut due = Due::new();
        due.0.sender().state = state;
        assert_eq!(due.try_prepare().0, None);
    }
}

#[test]
fn b2_a_list_that_is_behind_gets_the_changes_since_its_point() {
    let then = Due::behind().prepare();
    assert_eq!(then.rows, []);
    let list = then.list();
    assert_eq!((&list.kind, list.from, list.upto), (&PlanKind::Delta, SrvSeq(1), SrvSeq(2)));
    assert_eq!((list.from_epoch, list.whole), (Some(EPOCH), false));
}

#[test]
fn b2_a_list_at_the_head_gets_no_body() {
    let then = Due::new().prepare();
    assert_eq!((then.plan, then.rows), (BodyPlan::None, vec![]));
}

#[test]
fn b2_a_list_at_the_number_of_the_head_in_another_epoch_or_view_gets_a_body() {
    let mut due = Due::new();
    due.0.server.epoch = NEXT_EPOCH;
    assert_eq!(due.prepare().list().from_epoch, Some(EPOCH));

    let mut due = Due::new();
    due.0.sender().view_wanted.types = Some(BTreeSet::from(["X400".into()]));
    let then = due.prepare();
    assert_eq!(then.rows, []);
    assert_ne!(then.list().view_from.as_ref(), Some(&then.list().view));
}

#[test]
fn b2_after_a_middle_part_entries_travel_whole() {
    let mut due = Due::new();
    let part = SyncPoint { srv_seq: SrvSeq(1), complete: false, ..*due.point() };
    due.stand_at(part, &["ana"]);
    // A part has no digest: whatever the list holds, it is continued.
    due.position().digest = SetDigest::default();
    let then = due.prepare();
    assert_eq!((then.rows.len(), then.list().whole), (0, true));
}

#[test]
fn b2_a_middle_part_at_the_number_of_the_head_is_completed() {
    let mut due = Due::new();
    let part = SyncPoint { complete: false, ..*due.point() };
    due.stand_at(part, &["ana", "ben"]);
    let then = due.prepare();
    assert_eq!((then.rows.len(), then.list().from), (0, SrvSeq(2)));
}

#[test]
fn b2_comes_before_b3_a_list_that_can_continue_does_so_while_the_server_recovers() {
    let mut due = Due::behind();
    due.0.server.recovering = true;
    due.0.sender().spoke_in = None;
    let then = due.prepare();
    assert_eq!((then.rows.len(), then.list().from), (0, SrvSeq(1)));
}

#[test]
fn b3_follows_b2_when_one_of_its_conditions_fails() {
    let spoil: [fn(&mut Due); 5] = [
        |due| due.position().bad = true,
        |due| due.point().mark = Mark(0),
        |due| due.0.server.horizon = SrvSeq(2),
        |due| due.position().digest = list_digest(&["ben"]),
        |due| {
            let view = dirsync_directory::ViewHash::from_bytes([9; 16]);
            let point = SyncPoint { view, ..*due.point() };
            due.stand_at(point, &["ana"]);
        },
    ];
    for spoil in spoil {
        let mut due = Due::behind();
        spoil(&mut due);
        due.0.server.recovering = true;
        let then = due.prepare();
        assert_eq!((then.plan, then.rows), (BodyPlan::None, vec![B3]));
    }
}

#[test]
fn b3_a_list_at_the_horizon_continues() {
    let mut due = Due::behind();
    due.0.server.horizon = SrvSeq(1);
    assert_eq!(due.prepare().rows, []);
}

#[test]
fn b3_a_requestor_that_has_not_spoken_in_this_epoch_keeps_its_list() {
    for spoke_in in [None, Some(ServerEpoch { generation: 2, ..EPOCH })] {
        let mut due = Due::bad();
        due.0.sender().spoke_in = spoke_in;
        let then = due.prepare();
        assert_eq!((then.plan, then.rows), (BodyPlan::None, vec![B3]));
    }
}

#[test]
fn b3_comes_before_b4_no_buckets_are_asked_for_while_the_server_recovers() {
    let mut due = Due::bad_and_large();
    due.0.server.recovering = true;
    let then = due.prepare();
    assert_eq!((then.rows, then.head.want_buckets), (vec![B3], false));
}

#[test]
fn b4a_the_buckets_of_a_large_list_are_asked_for() {
    let then = Due::bad_and_large().prepare();
    assert_eq!((then.plan, then.rows), (BodyPlan::None, vec![B4]));
    assert!(then.head.want_buckets);
}

#[test]
fn b4a_comes_before_b4_only_for_a_list_of_512_entries() {
    let mut due = Due::bad_and_large();
    due.position().digest.count = 511;
    let then = due.prepare();
    assert_eq!((then.kind(), &then.rows[..]), (&PlanKind::Replace, &[B4][..]));
    assert!(!then.head.want_buckets);
}

#[test]
fn b4b_follows_b4a_when_the_buckets_were_sent() {
    let mut due = Due::bad_and_large();
    due.position().buckets = due.buckets_but(2, &[3]);
    let then = due.prepare();
    let repair = PlanKind::Repair(2, BTreeSet::from([3]));
    assert_eq!((then.kind(), &then.rows[..]), (&repair, &[B4][..]));
    assert!(!then.head.want_buckets);
}

#[test]
fn b4b_comes_before_b4_if_at_most_half_of_the_buckets_differ() {
    let repair = PlanKind::Repair(2, BTreeSet::from([1, 3]));
    for (spoiled, kind) in [(&[1, 3][..], &repair), (&[0, 1, 3], &PlanKind::Replace)] {
        let mut due = Due::bad();
        due.position().buckets = due.buckets_but(2, spoiled);
        let then = due.prepare();
        assert_eq!((then.kind(), &then.rows[..]), (kind, &[B4][..]));
    }
}

#[test]
fn b4_a_list_that_cannot_continue_is_replaced() {
    let then = Due::bad().prepare();
    assert_eq!(then.rows, [B4]);
    let list = then.list();
    assert_eq!((&list.kind, list.from, list.upto), (&PlanKind::Replace, SrvSeq(0), SrvSeq(2)));
}

#[test]
fn b4_follows_b4a_and_b4b_when_the_view_has_changed() {
    for with_buckets in [false, true] {
        let mut due = Due::bad_and_large();
        if with_buckets {
            due.position().buckets = due.buckets_but(2, &[3]);
        }
        due.0.sender().view_wanted.types = Some(BTreeSet::from(["X400".into()]));
        let then = due.prepare();
        assert_eq!((then.kind(), &then.rows[..]), (&PlanKind::Replace, &[B4][..]));
        assert!(!then.head.want_buckets);
    }
}

/// Two parts that were made for a list which holds nothing, and the plan for such a list now.
fn parts_of_a_fill() -> (Vec<Body>, ListPlan, SyncPoint) {
    let mut due = Due::new();
    let head = *due.point();
    *due.position() = Position::default();
    let plan = due.prepare().list().clone();
    let middle = SyncPoint { srv_seq: SrvSeq(1), complete: false, mark: Mark(7), ..head };
    let part = |part, from, to| Body {
        kind: plan.kind.to_body_kind(),
        from,
        from_epoch: (part > 1).then_some(head.epoch),
        view_from: (part > 1).then_some(head.view),
        stated: None,
        to,
        to_evidence: Evidence([0; 16]),
        head: plan.upto,
        view: View::default(),
        digest: None,
        part,
    };
    let parts = vec![part(1, SrvSeq(0), middle), part(2, SrvSeq(1), head)];
    (parts, plan, middle)
}

#[test]
fn b5_parts_under_way_are_named_again_from_the_point_that_is_stated() {
    let (parts, plan, middle) = parts_of_a_fill();
    let epoch = middle.epoch;
    assert_eq!(parts_under_way(&parts, epoch, None, &plan), parts);
    let delta = ListPlan { from: SrvSeq(1), from_epoch: Some(epoch), ..plan.clone() };
    assert_eq!(parts_under_way(&parts, epoch, Some(&middle), &delta), &parts[1..]);
    let end = &parts[1].to;
    assert!(parts_under_way(&parts, epoch, Some(end), &delta).is_empty(), "all of it has come");
    assert!(parts_under_way(&[], epoch, None, &plan).is_empty());
}

#[test]
fn b5_parts_that_do_not_fit_are_made_anew() {
    let (parts, plan, middle) = parts_of_a_fill();
    let epoch = middle.epoch;
    let none = |parts: &[Body], epoch, stated: Option<&SyncPoint>, plan: &ListPlan| {
        assert!(parts_under_way(parts, epoch, stated, plan).is_empty(), "{stated:?} {plan:?}");
    };
    let later = ServerEpoch { generation: epoch.generation + 1, ..epoch };
    none(&parts, later, None, &plan);
    none(&parts, epoch, Some(&SyncPoint { mark: Mark(8), ..middle }), &plan);
    let replace = ListPlan { kind: PlanKind::Replace, ..plan.clone() };
    none(&parts, epoch, None, &replace);
    none(&parts, epoch, Some(&middle), &replace);
    let other = View { attributes: Some(Default::default()), ..View::default() };
    let other_view = ListPlan { view: (other.hash(), other), ..plan.clone() };
    none(&parts, epoch, None, &other_view);
    let gap = [parts[0].clone(), Body { from: SrvSeq(2), ..parts[1].clone() }];
    none(&gap, epoch, None, &plan);
    none(&parts[1..], epoch, None, &plan);
}
