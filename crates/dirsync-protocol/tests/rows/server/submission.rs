//! S10a to S15: the own part of a request, and the point of its list.

use dirsync_message::{Evidence, Mark, RequestId, ServerEpoch};
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::row::Row::*;
use dirsync_protocol::server::Received;
use dirsync_protocol::tables::{Copies, RegistrationState};

use super::*;

/// The sixteen requests that are remembered at most.
fn sixteen_requests() -> Vec<(RequestNo, RequestId)> {
    (11..=26).map(|number| (RequestNo(number), request_id(number as u8))).collect()
}

// S10a and S10: whether the request is new.

#[test]
fn s10a_a_number_that_was_used_for_another_request_begins_a_contest() {
    let mut given = Given::new();
    given.request.number = RequestNo(1);
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Repeated, &[S10a][..]));
    assert_eq!(then.side(), Some(Side::Own));
    assert_eq!(then.sender.copies, Copies::Contest);
    assert!(then.sender.challenge.is_some());
    then.assert_untouched();
}

#[test]
fn s10a_comes_before_s10_only_another_id_makes_a_second_machine() {
    for (id, row) in [(request_id(2), S10a), (request_id(1), S10)] {
        let mut given = Given::new();
        (given.request.number, given.request.id) = (RequestNo(1), id);
        assert_eq!(given.receive().rows, [row]);
    }
}

#[test]
fn s10a_comes_before_s10_a_number_before_all_remembered_ones_must_not_be_made_later() {
    for (clock, row) in [(NOW + 1, S10a), (NOW, S10)] {
        let mut given = Given::new();
        given.sender().taken = sixteen_requests();
        given.sender().health.clock = NOW;
        given.request.health.clock = clock;
        assert_eq!(given.receive().rows, [row]);
    }
}

#[test]
fn s10_a_number_between_the_remembered_ones_was_merely_overtaken() {
    let mut given = Given::new();
    given.sender().taken = vec![(RequestNo(1), request_id(1)), (RequestNo(3), request_id(3))];
    given.request.health.clock = NOW;
    assert_eq!(given.receive().rows, [S10]);
}

#[test]
fn s10_a_request_that_was_taken_before_is_answered_again() {
    let mut given = Given::new();
    (given.request.number, given.request.id) = (RequestNo(1), request_id(1));
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Repeated, &[S10][..]));
    assert!(then.sender.answer_due);
    then.assert_untouched();
}

#[test]
fn s10_comes_before_s11_a_late_question_is_not_answered_as_one() {
    let mut given = Given::new();
    (given.request.number, given.request.id) = (RequestNo(1), request_id(1));
    given.request.own = want_own();
    let then = given.receive();
    assert_eq!(then.rows, [S10]);
    assert!(!then.sender.send_own);
}

#[test]
fn s10_comes_before_the_contest_of_s10a() {
    let mut given = Given::new();
    given.sender().copies = Copies::Contest;
    (given.request.number, given.request.id) = (RequestNo(1), request_id(1));
    assert_eq!(given.receive().rows, [S10]);
}

#[test]
fn s10a_comes_before_s13d_nothing_is_taken_during_a_contest() {
    let mut given = Given::new();
    given.sender().copies = Copies::Contest;
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S10a][..]));
    assert!(then.sender.send_own && then.sender.challenge.is_some());
    then.assert_untouched();
}

#[test]
fn s10a_comes_before_s11_and_s12_during_a_contest() {
    let mut question = Given::new();
    question.request.own = want_own();
    for mut given in [question, Given::new().with_full_export()] {
        given.sender().copies = Copies::Contest;
        let mut then = given.receive();
        assert_eq!(then.rows, [S10a]);
        then.assert_untouched();
    }
}

// S11 to S12b: questions and full exports.

#[test]
fn s11_a_sender_that_asks_for_its_own_is_sent_them_with_a_challenge() {
    let mut given = Given::new();
    given.request.own = want_own();
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S11][..]));
    assert!(then.sender.send_own && then.sender.challenge.is_some());
    then.assert_untouched();
}

#[test]
fn s12a_a_full_export_of_what_is_held_is_acknowledged() {
    let mut given = Given::new();
    given.request.own = OwnPart { kind: RequestKind::Full, ..delta(0, 2, &["ana", "ben"]) };
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[][..]));
    assert!(!then.sender.send_own);
    then.assert_untouched();
}

#[test]
fn s12a_comes_before_s12_only_if_number_and_digest_are_those_held() {
    let own = OwnPart { challenge: Some(CHALLENGE), ..delta(0, 2, &["ana", "ben"]) };
    let cases = [
        (own.clone(), &[][..]),
        (OwnPart { to: ReqSeq(3), ..own.clone() }, &[S12][..]),
        (OwnPart { digest: own_digest(&["ana"]), ..own }, &[S12][..]),
    ];
    for (own, rows) in cases {
        let mut given = Given::new();
        given.request.own = OwnPart { kind: RequestKind::Full, ..own };
        assert_eq!(given.receive().rows, rows);
    }
}

#[test]
fn s12_a_full_export_that_answers_another_challenge_is_not_taken() {
    let mut given = Given::new().with_full_export();
    given.request.own.challenge = Some(Challenge([9; 16]));
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S12][..]));
    assert_eq!((then.sender.send_own, then.sender.challenge), (true, Some(CHALLENGE)));
    then.assert_untouched();
}

#[test]
fn s12_a_full_export_of_another_base_is_not_taken() {
    let mut given = Given::new().with_full_export();
    given.request.own.base = Some(own_digest(&["ana"]));
    let mut then = given.receive();
    assert_eq!(then.rows, [S12]);
    then.assert_untouched();
}

#[test]
fn s12_comes_before_s12b_an_export_with_an_older_change_is_undone_and_challenged_anew() {
    let mut given = Given::new().with_full_export();
    given.body[0].stamp = 9;
    let mut then = given.receive();
    assert_eq!(then.rows, [S12]);
    assert!(then.sender.send_own);
    assert!(then.sender.challenge.is_some_and(|challenge| challenge != CHALLENGE));
    then.assert_untouched();
}

#[test]
fn s12b_a_full_export_that_fits_replaces_the_submitted_set() {
    let mut then = Given::new().with_full_export().receive();
    // The line names S8, as after a new epoch.
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S8][..]));
    assert_eq!((then.sender.acknowledged, then.sender.challenge), (ReqSeq(9), None));
    assert_eq!(then.sender.own_digest, own_digest(&["ana", "cleo"]));
    assert_eq!(then.list(), ["ana", "cleo"]);
}

// S13a to S13d: changes.

#[test]
fn s13a_a_delta_after_a_change_that_is_not_held_is_not_taken() {
    let mut given = Given::new();
    given.request.own.from = ReqSeq(3);
    given.request.own.to = ReqSeq(4);
    given.body = vec![whole(4, "cleo")];
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S13a][..]));
    assert!(!then.sender.send_own && then.sender.answer_due);
    then.assert_untouched();
}

#[test]
fn s13a_comes_before_s13c_a_gap_explains_another_digest() {
    let mut given = Given::new();
    given.request.own = delta(3, 4, &["ana", "ben", "cleo", "dan"]);
    given.body = vec![whole(4, "dan")];
    let then = given.receive();
    assert_eq!((then.rows, then.sender.send_own), (vec![S13a], false));
}

#[test]
fn s13b_a_change_that_is_older_than_the_one_held_is_undone_with_all_before_it() {
    let mut given = Given::new();
    given.body.push(Line { stamp: 19, ..renamed(4, "ben", "Benjamin") });
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S13b][..]));
    assert!(then.sender.send_own && then.sender.challenge.is_some());
    then.assert_untouched();
}

#[test]
fn s13b_comes_before_s13c_an_older_change_whose_digest_differs() {
    let mut given = Given::new();
    given.request.own = delta(2, 3, &["ana"]);
    given.body = vec![Line { stamp: 9, ..renamed(3, "ana", "Anna") }];
    assert_eq!(given.receive().rows, [S13b]);
}

#[test]
fn s13b_the_end_of_a_stub_whose_entry_was_handed_back_is_undone() {
    let mut given = Given::new();
    run(&mut given.store, |tables, _| tables.put_transferred(id("ben"), &sales()).unwrap());
    given.request.own = delta(2, 3, &["ana"]);
    given.body = vec![Line { stamp: Stamp::OF_STUB_END.0, ..deleted(3, "ben") }];
    let mut then = given.receive();
    assert_eq!(then.rows, [S13b]);
    then.assert_untouched();
}

#[test]
fn s13c_a_delta_that_leads_to_another_digest_is_undone() {
    let mut given = Given::new();
    given.request.own.digest = own_digest(&["ana", "cleo"]);
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S13c][..]));
    assert!(then.sender.send_own && then.sender.challenge.is_some());
    then.assert_untouched();
}

#[test]
fn s13c_a_change_of_an_entry_that_is_not_held_is_undone() {
    let mut given = Given::new();
    given.body.push(renamed(4, "dan", "Daniel"));
    let mut then = given.receive();
    assert_eq!(then.rows, [S13c]);
    then.assert_untouched();
}

#[test]
fn s13d_a_delta_that_fits_is_taken_and_published() {
    let mut then = Given::new().receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S13d][..]));
    assert_eq!(then.sender.acknowledged, ReqSeq(3));
    assert_eq!(then.sender.own_digest, own_digest(&["ana", "ben", "cleo"]));
    assert_eq!(then.sender.newest_request(), Some((RequestNo(2), request_id(2))));
    assert!(then.sender.answer_due && !then.sender.send_own);
    assert_eq!(then.list(), ["ana", "ben", "cleo"]);
}

#[test]
fn s13d_a_delta_that_fits_is_answered_with_the_list_again() {
    let mut given = Given::new();
    (given.sender().send_own, given.sender().challenge) = (true, Some(CHALLENGE));
    let then = given.receive();
    assert_eq!((then.rows, then.sender.send_own), (vec![S13d], false));
}

#[test]
fn s13d_changes_up_to_the_acknowledged_number_are_skipped() {
    let mut given = Given::new();
    given.request.own.from = ReqSeq(1);
    // It is older than the version held, and is not compared.
    given.body.insert(0, Line { stamp: 1, ..whole(2, "ben") });
    assert_eq!(given.receive().rows, [S13d]);
}

#[test]
fn s13d_a_delta_without_changes_logs_nothing() {
    let mut given = Given::new();
    given.request.own = delta(2, 2, &["ana", "ben"]);
    given.body.clear();
    let then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[][..]));
    assert!(then.sender.answer_due);
}

// S14a to S15: the point, and who has spoken.

#[test]
fn s14a_a_point_that_was_never_issued_is_only_unknown_without_evidence() {
    let other = EvidenceKey::new([1; 32]);
    let spoil: [fn(&mut SyncPoint); 2] =
        [|point| point.mark = Mark(point.mark.0 + 1), |point| point.srv_seq = SrvSeq(9)];
    for spoil in spoil {
        let mut given = Given::new();
        let issued = *given.point();
        spoil(given.point());
        let claimed = *given.point();
        let wrong = [
            None,
            Some(Evidence([0; 16])),
            Some(EVIDENCE.of_point(&issued)),
            Some(EVIDENCE.of_epoch(&EPOCH)),
            Some(other.of_point(&claimed)),
        ];
        for evidence in wrong {
            let mut given = Given::new();
            spoil(given.point());
            given.request.point_evidence = evidence;
            let mut then = given.receive();
            assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S13d, S14a][..]));
            assert_eq!((then.server.epoch, then.server.recovering), (EPOCH, false));
            assert_eq!(
                (then.sender.spoke_in, then.sender.agreement.equal),
                (Some(EPOCH), Some(false))
            );
            assert_eq!(then.list(), ["ana", "ben", "cleo"]);
        }
    }
}

#[test]
fn s14a_a_point_that_was_issued_needs_no_evidence() {
    let mut given = Given::new();
    given.request.point_evidence = None;
    let then = given.receive();
    assert_eq!((then.rows, then.sender.agreement.equal), (vec![S13d], Some(true)));
}

#[test]
fn s14_a_point_that_was_never_issued_begins_a_new_epoch() {
    let spoil: [fn(&mut SyncPoint); 2] =
        [|point| point.mark = Mark(point.mark.0 + 1), |point| point.srv_seq = SrvSeq(9)];
    for spoil in spoil {
        let mut given = Given::new();
        spoil(given.point());
        let mut then = given.with_evidence_of_point().receive();
        assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S13d, S14, A2][..]));
        assert_eq!(then.server.epoch.generation, EPOCH.generation + 1);
        assert!(then.server.recovering);
        assert_eq!(then.list(), ["ana", "ben", "cleo"]);
    }
}

#[test]
fn s14_a_point_of_another_generation_or_instance_says_nothing() {
    for epoch in [ServerEpoch { generation: 2, ..EPOCH }, ServerEpoch { ..SUCCESSOR }] {
        let mut given = Given::new();
        given.point().epoch = epoch;
        assert_eq!(given.with_evidence_of_point().receive().rows, [S13d]);
    }
}

#[test]
fn s14_follows_s11_and_s13a_to_s13c_too() {
    let spoil: [(Spoil, _); 3] = [
        (|given| given.request.own = want_own(), S11),
        (|given| given.request.own.from = ReqSeq(3), S13a),
        (|given| given.request.own.digest = own_digest(&[]), S13c),
    ];
    for (spoil, row) in spoil {
        let mut given = Given::new();
        given.point().mark = Mark(0);
        spoil(&mut given);
        assert_eq!(given.with_evidence_of_point().receive().rows, [row, S14, A2]);
    }
}

#[test]
fn s14_comes_before_s15_nobody_has_spoken_in_the_epoch_that_it_begins() {
    let mut given = Given::new();
    given.point().mark = Mark(0);
    let then = given.with_evidence_of_point().receive();
    assert_eq!(then.sender.spoke_in, None);
}

#[test]
fn s15_the_recovery_is_over_when_the_last_one_has_spoken() {
    let mut given = Given::new();
    given.server.recovering = true;
    given.sender().spoke_in = None;
    let then = given.receive();
    assert_eq!(then.rows, [S13d, S15]);
    assert_eq!(then.sender.spoke_in, Some(EPOCH));
    assert!(!then.server.recovering);
}

#[test]
fn s15_who_heard_another_epoch_has_not_spoken() {
    let earlier = ServerEpoch { generation: 2, ..EPOCH };
    for heard in [None, Some(earlier)] {
        let mut given = Given::new();
        given.server.recovering = true;
        given.sender().spoke_in = None;
        given.request.epoch_heard = heard;
        let then = given.receive();
        assert_eq!((then.rows, then.sender.spoke_in), (vec![S13d], None));
        assert!(then.server.recovering);
    }
}

#[test]
fn s15_who_is_not_taken_has_not_spoken() {
    let spoil: [(Spoil, _); 3] = [
        (|given| given.request.own = want_own(), S11),
        (|given| given.request.own.from = ReqSeq(3), S13a),
        (|given| given.request.own.digest = own_digest(&[]), S13c),
    ];
    for (spoil, row) in spoil {
        let mut given = Given::new();
        given.server.recovering = true;
        given.sender().spoke_in = None;
        spoil(&mut given);
        let then = given.receive();
        assert_eq!((then.rows, then.sender.spoke_in), (vec![row], None));
    }
}

#[test]
fn s15_removed_postoffices_and_invited_ones_without_a_key_owe_nothing() {
    use RegistrationState::*;
    let cases = [
        (Active, None, true),
        (Suspended, None, true),
        (Invited, Some("key"), true),
        (Invited, None, false),
        (Removed, Some("key"), false),
    ];
    for (state, key, owes) in cases {
        let mut given = Given::new();
        given.server.recovering = true;
        (given.other.state, given.other.key) = (state, key.map(str::to_owned));
        given.other.spoke_in = None;
        let then = given.receive();
        assert_eq!(then.server.recovering, owes, "{state:?} with the key {key:?}");
        assert_eq!(then.rows.contains(&S15), !owes);
    }
}
