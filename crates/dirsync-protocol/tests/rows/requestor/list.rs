//! R11 to R18: the list of an update.

use dirsync_message::{RequestNo, ServerEpoch};
use dirsync_protocol::row::Row::*;

use super::*;

/// A view that hides everybody here.
fn other_view() -> View {
    View { types: Some(BTreeSet::from(["X400".into()])), ..View::default() }
}

/// The list of the update is refused by a row.
fn assert_refused(given: Given, rows: &[Row]) {
    let before = given.state.point;
    let mut then = given.receive();
    assert_eq!((then.applied(), &then.rows[..]), (ANSWERED, rows));
    assert_eq!(then.state.point, before);
    assert_eq!(then.list(), ["ana", "ben"]);
    assert!(!then.state.list_bad);
}

/// The list of the update is applied, and the list is this one.
fn assert_applied(given: Given, rows: &[Row], list: &[&str]) {
    let to = given.update.body.as_ref().unwrap().to;
    let mut then = given.receive();
    assert_eq!(then.rows, rows);
    assert!(then.applied().answered && then.applied().list_changed);
    assert_eq!(then.list(), list);
    assert_eq!(then.state.point, Some(to));
}

// R11: a replace.

#[test]
fn r11_a_replace_for_another_point_than_the_lists_is_refused() {
    for stated in [None, Some(point(4))] {
        let mut given = Given::new().with_replace();
        given.body().stated = stated;
        assert_refused(given, &[R11]);
    }
}

#[test]
fn r11_a_repair_for_another_point_than_the_lists_is_refused() {
    let mut given = Given::new().with_replace();
    given.body().kind = BodyKind::Repair { bits: 0, buckets: BTreeSet::from([0]) };
    given.body().stated = Some(point(4));
    assert_refused(given, &[R11]);
}

#[test]
fn r11_a_replace_that_is_later_in_nothing_is_refused() {
    let same = || {
        let mut given = Given::new().with_replace();
        given.state.last_answer = RequestNo(2);
        given.body().to = point(5);
        given
    };
    assert_refused(same(), &[R11]);
    let later: [(Spoil, &[Row]); 3] = [
        (|given| given.state.last_answer = RequestNo(1), &[R17]),
        (|given| given.body().to = point(6), &[R17]),
        (
            |given| {
                given.update.server_epoch = NEXT_EPOCH;
                given.body().to.epoch = NEXT_EPOCH;
            },
            &[R2, R17],
        ),
    ];
    for (change, rows) in later {
        let mut given = same();
        change(&mut given);
        assert_applied(given, rows, &["ana", "cleo"]);
    }
}

#[test]
fn r11_the_later_parts_of_a_replace_need_not_be_later_in_anything() {
    let mut first = Given::new().with_replace();
    first.body().to = SyncPoint { complete: false, ..point(4) };
    (first.body().head, first.body().digest) = (SrvSeq(5), None);
    let then = first.receive();
    assert_eq!((then.applied(), &then.rows[..]), (Applied { rows: 2, ..ANSWERED }, &[][..]));
    let mut second = Given { state: then.state, store: then.store, ..Given::new().with_replace() };
    *second.body() =
        Body { part: 2, from: SrvSeq(4), to: point(5), head: SrvSeq(5), ..second.body().clone() };
    second.lines.clear();
    assert_applied(second, &[R17], &["ana", "cleo"]);
}

#[test]
fn r11_comes_before_r18_a_replace_that_does_not_fit_needs_no_right_digest() {
    let mut given = Given::new().with_replace();
    given.body().stated = Some(point(4));
    given.body().digest = Some(list_digest(&[]));
    assert_refused(given, &[R11]);
}

// R12 to R16: a delta.

#[test]
fn r12_a_first_fill_of_a_list_that_is_filled_is_refused() {
    let mut given = Given::new();
    *given.body() =
        Body { from: SrvSeq(0), from_epoch: None, view_from: None, stated: None, ..body() };
    assert_refused(given, &[R12]);
}

#[test]
fn r12_a_later_part_of_another_fill_is_refused() {
    let spoil: [Spoil; 3] = [
        |given| given.state.filling = None,
        |given| given.state.filling = Some(SrvSeq(7)),
        |given| given.body().from = SrvSeq(4),
    ];
    for spoil in spoil {
        let mut given = Given::new().in_the_middle_of_a_fill();
        spoil(&mut given);
        assert_refused(given, &[R12]);
    }
}

#[test]
fn r12_comes_before_r13_to_r16() {
    let spoil: [fn(&mut Body); 4] = [
        |body| body.view_from = Some(other_view().hash()),
        |body| body.from = SrvSeq(6),
        |body| body.from_epoch = Some(NEXT_EPOCH),
        |body| body.to = point(5),
    ];
    for spoil in spoil {
        let mut given = Given::new().in_the_middle_of_a_fill();
        given.state.filling = None;
        spoil(given.body());
        assert_refused(given, &[R12]);
    }
}

#[test]
fn r13_a_delta_from_another_epoch_or_view_is_refused() {
    let mut given = Given::new();
    given.body().from_epoch = Some(ServerEpoch { generation: 2, ..EPOCH });
    assert_refused(given, &[R13]);
    let mut given = Given::new();
    given.body().view_from = Some(other_view().hash());
    assert_refused(given, &[R13]);
}

#[test]
fn r13_comes_before_r14_and_r16() {
    let spoil: [fn(&mut Body); 2] = [|body| body.from = SrvSeq(6), |body| body.to = point(5)];
    for spoil in spoil {
        let mut given = Given::new();
        given.body().view_from = Some(other_view().hash());
        spoil(given.body());
        assert_refused(given, &[R13]);
    }
}

#[test]
fn r13_comes_before_r15() {
    let mut given = Given::new();
    given.update.server_epoch = NEXT_EPOCH;
    (given.body().from, given.body().to.epoch) = (SrvSeq(4), NEXT_EPOCH);
    given.body().view_from = Some(other_view().hash());
    assert_refused(given, &[R2, R13]);
}

#[test]
fn r14_a_delta_from_beyond_the_list_is_a_gap() {
    let mut given = Given::new();
    (given.body().from, given.body().to) = (SrvSeq(6), point(7));
    assert_refused(given, &[R14]);
}

#[test]
fn r14_a_delta_does_not_fit_a_list_that_holds_nothing() {
    assert_refused(Given::new().with_empty_list(), &[R14]);
}

#[test]
fn r14_comes_before_r15_a_gap_across_epochs_is_a_gap() {
    let mut given = Given::new();
    given.update.server_epoch = NEXT_EPOCH;
    (given.body().from, given.body().to.epoch) = (SrvSeq(6), NEXT_EPOCH);
    assert_refused(given, &[R2, R14]);
}

#[test]
fn r14_comes_before_r16() {
    let mut given = Given::new();
    // No server makes a delta that goes back, but the requestor does not rely on it.
    (given.body().from, given.body().to) = (SrvSeq(6), point(5));
    assert_refused(given, &[R14]);
}

#[test]
fn r15_a_delta_across_epochs_has_to_begin_at_the_lists_number() {
    for (from, row) in [(SrvSeq(4), R15), (SrvSeq(5), R17)] {
        let mut given = Given::new();
        given.update.server_epoch = NEXT_EPOCH;
        (given.body().from, given.body().to.epoch) = (from, NEXT_EPOCH);
        assert_eq!(given.receive().rows, [R2, row]);
    }
}

#[test]
fn r16_a_delta_that_the_list_has_already_is_refused() {
    let mut given = Given::new();
    (given.body().from, given.body().to) = (SrvSeq(4), point(5));
    assert_refused(given, &[R16]);
}

#[test]
fn r16_a_complete_delta_at_the_number_of_a_middle_part_was_made_before_it() {
    let mut given = Given::new().in_the_middle_of_a_fill();
    given.body().stated = Some(point(4));
    (given.body().from, given.body().to) = (SrvSeq(4), point(5));
    assert_refused(given, &[R16]);
}

#[test]
fn r16_does_not_hold_for_another_epoch_or_view() {
    let mut given = Given::new();
    given.update.server_epoch = NEXT_EPOCH;
    given.body().to = SyncPoint { epoch: NEXT_EPOCH, ..point(5) };
    assert_applied(given, &[R2, R17], &["ana", "ben", "cleo"]);
    let mut given = Given::new();
    given.body().to = SyncPoint { view: other_view().hash(), ..point(5) };
    assert_applied(given, &[R17], &["ana", "ben", "cleo"]);
}

#[test]
fn r16_comes_before_r18_what_the_list_has_needs_no_right_digest() {
    let mut given = Given::new();
    (given.body().to, given.body().digest) = (point(5), Some(list_digest(&[])));
    assert_refused(given, &[R16]);
}

// R17 and R18: applied, or undone.

#[test]
fn r17_a_delta_that_fits_is_applied() {
    let mut then = Given::new().receive();
    let applied = Applied { list_changed: true, rows: 1, ..ANSWERED };
    assert_eq!((then.applied(), &then.rows[..]), (applied, &[R17][..]));
    assert_eq!((then.state.point, then.state.filling), (Some(point(6)), None));
    assert_eq!(then.state.point_evidence, Some(EVIDENCE.of_point(&point(6))));
    assert_eq!(then.state.list_digest, list_digest(&["ana", "ben", "cleo"]));
    assert_eq!(then.list(), ["ana", "ben", "cleo"]);
}

#[test]
fn r17_a_delta_that_begins_before_the_lists_number_is_applied() {
    let mut given = Given::new();
    given.body().from = SrvSeq(4);
    given.lines.insert(0, whole(5, "ben"));
    assert_applied(given, &[R17], &["ana", "ben", "cleo"]);
}

#[test]
fn r17_the_next_part_of_a_fill_is_applied() {
    assert_applied(Given::new().in_the_middle_of_a_fill(), &[R17], &["ana", "ben", "cleo"]);
}

#[test]
fn r17_a_replace_that_fits_takes_the_lists_place() {
    assert_applied(Given::new().with_replace(), &[R17], &["ana", "cleo"]);
}

#[test]
fn r17_ends_what_r18_began() {
    let mut given = Given::new();
    given.state.list_bad = true;
    assert!(!given.receive().state.list_bad);
}

#[test]
fn r18_comes_before_r17_a_list_with_another_digest_is_undone() {
    for mut given in [Given::new(), Given::new().with_replace()] {
        given.body().digest = Some(list_digest(&["ana"]));
        let mut then = given.receive();
        let applied = Applied { digest_failed: true, ..ANSWERED };
        assert_eq!((then.applied(), &then.rows[..]), (applied, &[R18][..]));
        assert!(then.state.list_bad && then.state.request_due);
        then.assert_list_untouched();
    }
}

#[test]
fn r18_a_change_of_an_entry_that_is_not_held_undoes_the_update() {
    let mut given = Given::new();
    given.lines.push(renamed(6, "dan", "Daniel"));
    let mut then = given.receive();
    assert_eq!(then.rows, [R18]);
    assert!(then.state.list_bad);
    then.assert_list_untouched();
}

#[test]
fn r18_a_middle_part_has_no_digest_to_fail() {
    let mut given = Given::new();
    (given.body().to.complete, given.body().digest) = (false, None);
    assert_eq!(given.receive().rows, [R17]);
}
