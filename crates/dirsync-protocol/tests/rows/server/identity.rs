//! S1 to S9: whether this server is the server, and the sender the machine that is known.

use std::collections::BTreeSet;

use dirsync_message::{Challenge, Evidence, RequestKind, RequestNo, ServerEpoch, Side};
use dirsync_protocol::context::ReceiveError;
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::row::Row::*;
use dirsync_protocol::server::Received;
use dirsync_protocol::tables::{Copies, RegistrationState};

use super::*;

// S1 to S3a: whether the server listens at all.

#[test]
fn s1_a_fenced_server_takes_nothing() {
    let mut given = Given::new();
    given.server.fenced = true;
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Fenced, &[S1][..]));
    assert!(!then.sender.answer_due);
    then.assert_untouched();
}

#[test]
fn s1_comes_before_s2_a_fenced_server_does_not_look_who_sends() {
    let mut given = Given::new();
    given.server.fenced = true;
    given.sender = None;
    let then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Fenced, &[S1][..]));
}

#[test]
fn s2_an_unregistered_sender_waits_for_an_administrator() {
    let mut given = Given::new();
    given.sender = None;
    let then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::NotAdmitted, &[S2][..]));
}

#[test]
fn s2_comes_before_s4_an_unregistered_sender_fences_nobody() {
    let mut given = Given::new();
    given.sender = None;
    given.hear(SUCCESSOR);
    let then = given.receive();
    assert_eq!(then.rows, [S2]);
    assert!(!then.server.fenced);
}

#[test]
fn s3_a_removed_sender_is_told_so() {
    let mut given = Given::new();
    given.sender().state = RegistrationState::Removed;
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Repeated, &[S3][..]));
    assert_eq!(then.side(), Some(Side::Removed));
    then.assert_untouched();
}

#[test]
fn s3_comes_before_s4_a_removed_sender_fences_nobody() {
    let mut given = Given::new();
    given.sender().state = RegistrationState::Removed;
    given.hear(SUCCESSOR);
    let then = given.receive();
    assert_eq!(then.rows, [S3]);
    assert!(!then.server.fenced);
}

#[test]
fn s3a_the_request_of_a_suspended_sender_waits() {
    let mut given = Given::new();
    given.sender().state = RegistrationState::Suspended;
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Suspended, &[][..]));
    assert_eq!(then.side(), Some(Side::Suspended));
    assert_eq!(then.sender.state, RegistrationState::Suspended);
    then.assert_untouched();
}

#[test]
fn s3a_comes_before_s4_a_suspended_sender_fences_nobody() {
    let mut given = Given::new();
    given.sender().state = RegistrationState::Suspended;
    given.hear(SUCCESSOR);
    let then = given.receive();
    assert_eq!(then.received(), Received::Suspended);
    assert!(!then.server.fenced);
}

// S4a to S5: whether this server is still the server.

#[test]
fn s4a_a_claim_of_a_newer_epoch_without_evidence_is_ignored() {
    let other = EvidenceKey::new([1; 32]);
    let tie = ServerEpoch { random: EPOCH.random + 1, ..EPOCH };
    for heard in [SUCCESSOR, NEXT_EPOCH, tie] {
        let wrong = [
            None,
            Some(Evidence([0; 16])),
            Some(EVIDENCE.of_epoch(&EPOCH)),
            Some(other.of_epoch(&heard)),
        ];
        for evidence in wrong {
            let mut given = Given::new();
            (given.request.epoch_heard, given.request.epoch_evidence) = (Some(heard), evidence);
            let mut then = given.receive();
            assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S4a, S13d][..]));
            assert_eq!((then.server.epoch, then.server.fenced), (EPOCH, false));
            assert_eq!((then.server.recovering, then.server.overtaken), (false, 0));
            assert_eq!(then.list(), ["ana", "ben", "cleo"]);
        }
    }
}

#[test]
fn s4a_comes_before_s5a_claims_without_evidence_are_not_counted() {
    let mut given = Given::new();
    (given.server.overtaken, given.server.overtaken_at) = (2, NOW - DAY);
    given.request.epoch_heard = Some(NEXT_EPOCH);
    let then = given.receive();
    assert_eq!((&then.rows[..], then.server.fenced), (&[S4a, S13d][..], false));
}

#[test]
fn s4a_an_epoch_that_is_no_news_needs_no_evidence() {
    for heard in [EPOCH, ServerEpoch { generation: 2, ..EPOCH }] {
        let mut given = Given::new();
        (given.request.epoch_heard, given.request.epoch_evidence) = (Some(heard), None);
        assert_eq!(given.receive().rows, [S13d]);
    }
}

#[test]
fn s4_a_newer_epoch_of_another_instance_fences_the_server() {
    let mut given = Given::new();
    given.hear(SUCCESSOR);
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Fenced, &[S4][..]));
    assert!(then.server.fenced);
    assert_eq!(then.server.epoch, EPOCH);
    then.assert_untouched();
}

#[test]
fn s4_of_two_instances_with_one_generation_the_greater_one_is_newer() {
    for (instance, rows) in [(Instance(8), &[S4][..]), (Instance(6), &[S13d][..])] {
        let mut given = Given::new();
        given.hear(ServerEpoch { instance, ..EPOCH });
        assert_eq!(given.receive().rows, rows);
    }
}

#[test]
fn s4_is_not_reached_by_an_epoch_too_far_ahead() {
    let mut given = Given::new();
    let generation = EPOCH.generation + (1 << 20) + 1;
    given.hear(ServerEpoch { generation, ..SUCCESSOR });
    let then = given.receive();
    assert!(matches!(then.received, Err(ReceiveError::Bounds(_))));
    assert_eq!(then.rows, []);
    assert!(!then.server.fenced);
}

#[test]
fn s4_comes_before_s5a_another_instance_is_no_copy() {
    let mut given = Given::new();
    (given.server.overtaken, given.server.overtaken_at) = (2, NOW - DAY);
    given.hear(SUCCESSOR);
    assert_eq!(given.receive().rows, [S4]);
}

#[test]
fn s4_comes_before_s6_a_replaced_server_accepts_nobody() {
    let mut given = Given::new();
    given.sender().epoch = None;
    given.hear(SUCCESSOR);
    let then = given.receive();
    assert_eq!(then.rows, [S4]);
    assert_eq!(then.sender.epoch, None);
}

#[test]
fn s5_a_newer_epoch_of_this_instance_begins_a_later_one() {
    let mut given = Given::new();
    given.hear(NEXT_EPOCH);
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S5, A2, S13d][..]));
    assert_eq!(then.server.epoch.generation, NEXT_EPOCH.generation + 1);
    assert_eq!(then.server.epoch.instance, EPOCH.instance);
    assert!(then.server.recovering);
    assert_eq!((then.server.overtaken, then.server.overtaken_at), (1, NOW));
    assert_eq!(then.sender.spoke_in, None);
    assert_eq!(then.list(), ["ana", "ben", "cleo"]);
}

#[test]
fn s5_a_tie_is_a_newer_epoch() {
    let mut given = Given::new();
    given.hear(ServerEpoch { random: EPOCH.random + 1, ..EPOCH });
    assert_eq!(given.receive().rows, [S5, A2, S13d]);
}

#[test]
fn s5_goes_on_to_s7() {
    let mut given = Given::new();
    given.hear(NEXT_EPOCH);
    given.sender().retired.insert(OTHER);
    given.request.epoch = OTHER;
    assert_eq!(given.receive().rows, [S5, A2, S7]);
}

#[test]
fn s5a_the_third_newer_epoch_within_35_days_fences_the_server() {
    let mut given = Given::new();
    (given.server.overtaken, given.server.overtaken_at) = (2, NOW - 35 * DAY);
    given.hear(NEXT_EPOCH);
    let then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Fenced, &[S5a][..]));
    assert!(then.server.fenced);
}

#[test]
fn s5_follows_s5a_the_second_epoch_or_a_later_third_one_is_taken_for_a_restore() {
    for (overtaken, overtaken_at) in [(1, NOW - DAY), (2, NOW - 35 * DAY - 1)] {
        let mut given = Given::new();
        (given.server.overtaken, given.server.overtaken_at) = (overtaken, overtaken_at);
        given.hear(NEXT_EPOCH);
        assert_eq!(given.receive().rows, [S5, A2, S13d]);
    }
}

// S6 to S9: whether the sender is the machine that is known.

#[test]
fn s6_the_first_epoch_is_accepted() {
    let mut given = Given::new();
    given.sender().epoch = None;
    let then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S6, S13d][..]));
    assert_eq!(then.sender.epoch, Some(MINE));
    assert!(then.sender.answer_due);
}

#[test]
fn s6_comes_before_s7_the_lineage_of_a_first_epoch_does_not_matter() {
    let mut given = Given::new();
    given.sender().epoch = None;
    given.request.lineage = vec![THIRD];
    assert_eq!(given.receive().rows, [S6, S13d]);
}

#[test]
fn s7_a_retired_epoch_is_fenced() {
    let mut given = Given::new();
    given.sender().retired.insert(OTHER);
    given.request.epoch = OTHER;
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Repeated, &[S7][..]));
    assert_eq!(then.side(), Some(Side::Fenced));
    assert_eq!((then.sender.epoch, then.sender.copies), (Some(MINE), Copies::Fenced));
    then.assert_untouched();
}

#[test]
fn s7_an_epoch_that_descends_from_strangers_is_fenced() {
    let mut given = Given::new();
    (given.request.epoch, given.request.lineage) = (OTHER, vec![THIRD]);
    assert_eq!(given.receive().rows, [S7]);
}

#[test]
fn s7_comes_before_s8_a_retired_epoch_does_not_return_by_a_full_export() {
    let mut given = Given::new().with_new_epoch();
    given.sender().retired.insert(OTHER);
    let then = given.receive();
    assert_eq!(then.rows, [S7]);
    assert_eq!(then.sender.epoch, Some(MINE));
}

#[test]
fn s8_a_full_export_that_answers_the_challenge_renews_the_epoch() {
    let mut then = Given::new().with_new_epoch().receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Taken, &[S8][..]));
    assert_eq!(then.sender.epoch, Some(OTHER));
    assert_eq!(then.sender.retired, BTreeSet::from([MINE]));
    assert_eq!((then.sender.acknowledged, then.sender.challenge), (ReqSeq(9), None));
    assert_eq!(then.list(), ["ana", "cleo"]);
}

#[test]
fn s8_ends_a_contest_of_two_machines() {
    let mut given = Given::new().with_new_epoch();
    given.sender().copies = Copies::Contest;
    let then = given.receive();
    assert_eq!((then.rows, then.sender.copies), (vec![S8], Copies::One));
}

#[test]
fn s8_comes_before_s10a_requests_of_a_new_epoch_are_numbered_anew() {
    let mut given = Given::new().with_new_epoch();
    given.request.number = RequestNo(1);
    let then = given.receive();
    assert_eq!(then.rows, [S8]);
    assert_eq!(then.sender.taken, [(RequestNo(1), request_id(2))]);
}

#[test]
fn s9_a_new_epoch_is_challenged() {
    let mut given = Given::new();
    (given.request.epoch, given.request.lineage) = (OTHER, vec![MINE]);
    let mut then = given.receive();
    assert_eq!((then.received(), &then.rows[..]), (Received::Repeated, &[S9][..]));
    assert_eq!(then.side(), Some(Side::Own));
    assert!(then.sender.challenge.is_some());
    assert_eq!(then.sender.epoch, Some(MINE));
    then.assert_untouched();
}

#[test]
fn s9_follows_s8_when_challenge_base_or_kind_does_not_fit() {
    let spoil: [Spoil; 4] = [
        |given| given.request.own.challenge = Some(Challenge([9; 16])),
        |given| given.request.own.base = Some(own_digest(&["ana"])),
        |given| given.request.own.kind = RequestKind::Delta,
        |given| given.sender().challenge = None,
    ];
    for spoil in spoil {
        let mut given = Given::new().with_new_epoch();
        spoil(&mut given);
        let then = given.receive();
        assert_eq!((then.rows, then.sender.epoch), (vec![S9], Some(MINE)));
    }
}

#[test]
fn s9_an_open_challenge_stays_open() {
    let mut given = Given::new();
    given.sender().challenge = Some(CHALLENGE);
    (given.request.epoch, given.request.lineage) = (OTHER, vec![MINE]);
    assert_eq!(given.receive().sender.challenge, Some(CHALLENGE));
}

#[test]
fn s9_the_first_word_of_an_epoch_that_descends_from_nobody_gets_a_new_challenge() {
    let mut given = Given::new();
    given.sender().challenge = Some(CHALLENGE);
    given.sender().copies = Copies::Fenced;
    given.request.epoch = OTHER;
    let then = given.receive();
    assert_eq!(then.rows, [S9]);
    assert!(then.sender.challenge.is_some_and(|challenge| challenge != CHALLENGE));
    assert_eq!((then.sender.challenged, then.sender.copies), (Some(OTHER), Copies::One));
}

#[test]
fn s9_follows_s7_for_a_descendant_of_the_epoch_that_was_challenged() {
    let mut given = Given::new();
    given.sender().challenged = Some(THIRD);
    (given.request.epoch, given.request.lineage) = (OTHER, vec![THIRD]);
    assert_eq!(given.receive().rows, [S9]);
}
