//! R1 to R10: the head of an update.

use dirsync_message::{ServerEpoch, Side};
use dirsync_protocol::context::Context;
use dirsync_protocol::evidence::EvidenceKey;
use dirsync_protocol::guard::GuardLimits;
use dirsync_protocol::requestor::new_epoch;
use dirsync_protocol::row::Row::*;
use dirsync_protocol::tables::Mode;

use super::*;

const EARLIER: ServerEpoch = ServerEpoch { generation: 2, ..EPOCH };

/// An epoch of the database that was put back.
const BEFORE: dirsync_message::ReqEpoch = dirsync_message::ReqEpoch([3; 16]);
/// A request that was not sent from here.
const STRANGE: (RequestNo, u8) = (RequestNo(3), 9);

impl Given {
    fn answers(mut self, (number, id): (RequestNo, u8)) -> Self {
        (self.update.answers, self.update.request_id) = (number, request_id(id));
        self
    }
}

// R1 and R2: the server's epoch.

#[test]
fn r1_an_update_of_an_older_server_epoch_is_not_taken() {
    let mut given = Given::new();
    given.update.server_epoch = EARLIER;
    given.update.epoch_evidence = EVIDENCE.of_epoch(&EARLIER);
    let mut then = given.receive();
    assert_eq!((then.applied(), &then.rows[..]), (Applied::default(), &[R1][..]));
    assert!(then.state.request_due);
    assert_eq!(then.state.epoch_evidence, Some(EVIDENCE.of_epoch(&EPOCH)));
    assert_eq!((then.state.epoch_heard, then.state.last_answer), (Some(EPOCH), RequestNo(1)));
    then.assert_list_untouched();
}

#[test]
fn r1_a_tie_is_an_older_epoch() {
    let mut given = Given::new();
    given.update.server_epoch = ServerEpoch { random: EPOCH.random + 1, ..EPOCH };
    assert_eq!(given.receive().rows, [R1]);
}

#[test]
fn r1_comes_before_r3_to_r7() {
    let spoil: [Spoil; 4] = [
        |given| given.update.epoch = OTHER,
        |given| given.update.side = Some(Side::Fenced),
        |given| given.update.side = Some(Side::Suspended),
        |given| given.state.last_answer = RequestNo(9),
    ];
    for spoil in spoil {
        let mut given = Given::new();
        given.state.request_no = RequestNo(9);
        given.update.server_epoch = EARLIER;
        spoil(&mut given);
        let then = given.receive();
        assert_eq!((then.rows, then.state.mode), (vec![R1], Mode::Normal));
    }
    let mut given = Given::new().with_own();
    given.update.server_epoch = EARLIER;
    assert_eq!(given.receive().rows, [R1]);
}

#[test]
fn r1_is_not_reached_by_another_server_or_an_epoch_too_far_ahead() {
    let mut given = Given::new();
    given.update.from = sales();
    assert!(matches!(given.receive().applied, Err(ReceiveError::Contradiction(_))));
    let mut given = Given::new();
    let generation = EPOCH.generation + (1 << 21) + 1;
    given.update.server_epoch = ServerEpoch { generation, ..EPOCH };
    assert!(matches!(given.receive().applied, Err(ReceiveError::Bounds(_))));
}

#[test]
fn r1_is_not_reached_by_a_postoffice_that_is_fenced_or_removed() {
    for mode in [Mode::Fenced, Mode::Removed] {
        let mut given = Given::new();
        given.state.mode = mode.clone();
        given.update.server_epoch = EARLIER;
        let then = given.receive();
        assert_eq!((then.rows.len(), then.state.mode), (0, mode));
    }
}

#[test]
fn r2_a_newer_server_epoch_is_noted_and_the_update_is_taken() {
    let mut given = Given::new();
    given.update.server_epoch = NEXT_EPOCH;
    given.body().to.epoch = NEXT_EPOCH;
    let then = given.receive();
    assert_eq!(then.rows, [R2, R17]);
    assert_eq!(then.state.epoch_heard, Some(NEXT_EPOCH));
    assert!(then.state.request_due);
}

#[test]
fn r2_the_first_epoch_that_is_heard_is_no_news() {
    let mut given = Given::new();
    given.state.epoch_heard = None;
    let then = given.receive();
    assert_eq!((then.rows, then.state.epoch_heard), (vec![R17], Some(EPOCH)));
    assert!(!then.state.request_due);
}

#[test]
fn r2_a_newer_server_epoch_is_noted_whatever_follows() {
    let spoil: [(Spoil, &[Row]); 4] = [
        (|given| given.update.side = Some(Side::Suspended), &[R2, R4a]),
        (|given| given.update.epoch = OTHER, &[R2, R3]),
        (|given| given.update.side = Some(Side::Fenced), &[R2, R4]),
        (|given| given.state.last_answer = RequestNo(9), &[R2, R5]),
    ];
    for (spoil, rows) in spoil {
        let mut given = Given::new();
        given.state.request_no = RequestNo(9);
        given.update.server_epoch = NEXT_EPOCH;
        given.update.epoch_evidence = EVIDENCE.of_epoch(&NEXT_EPOCH);
        spoil(&mut given);
        let then = given.receive();
        assert_eq!((&then.rows[..], then.state.epoch_heard), (rows, Some(NEXT_EPOCH)));
        assert_eq!(then.state.epoch_evidence, Some(EVIDENCE.of_epoch(&NEXT_EPOCH)));
    }
}

#[test]
fn r2_evidence_of_the_epoch_that_was_heard_is_taken_again() {
    let mut given = Given::new();
    given.state.epoch_evidence = None;
    let then = given.receive();
    assert_eq!(then.state.epoch_evidence, Some(EVIDENCE.of_epoch(&EPOCH)));
}

// R4a, R3 and R4: for whom it is, and whether this postoffice may go on.

#[test]
fn r4a_a_notice_is_shown_and_changes_nothing() {
    for side in [Side::Suspended, Side::Expired, Side::Taken] {
        let mut given = Given::new();
        given.update.side = Some(side);
        let before = given.state.clone();
        let mut then = given.receive();
        let applied = Applied { notice: Some(side), ..Applied::default() };
        assert_eq!((then.applied(), &then.rows[..]), (applied, &[R4a][..]));
        assert_eq!(then.state, before);
        then.assert_list_untouched();
    }
}

#[test]
fn r4a_comes_before_r3_r5_and_r6_a_notice_for_another_request_is_ignored() {
    let spoil: [(Spoil, bool); 3] = [
        (|given| given.update.epoch = OTHER, false),
        (
            |given| {
                (given.update.answers, given.update.request_id) = (RequestNo(1), request_id(1));
            },
            false,
        ),
        (|given| given.update.answers = RequestNo(3), true),
    ];
    for (spoil, for_another) in spoil {
        let mut given = Given::new();
        spoil(&mut given);
        given.update.side = Some(Side::Suspended);
        let before = given.state.clone();
        let then = given.receive();
        assert_eq!(then.applied(), Applied { for_another, ..Applied::default() });
        assert_eq!((then.rows, then.state), (vec![], before));
    }
}

#[test]
fn r3_an_update_for_another_epoch_is_not_taken() {
    let mut given = Given::new();
    given.update.epoch = OTHER;
    let mut then = given.receive();
    assert_eq!((then.applied(), &then.rows[..]), (Applied::default(), &[R3][..]));
    assert_eq!(then.state.last_answer, RequestNo(1));
    then.assert_list_untouched();
}

#[test]
fn r3_an_update_for_another_machine_stays_there_for_it() {
    let mut given = Given::new().answers(STRANGE);
    given.update.epoch = OTHER;
    let then = given.receive();
    assert_eq!(then.rows, [R3]);
    assert!(then.applied().for_another);
}

#[test]
fn r3_comes_before_r4_another_epoch_is_fenced_or_removed() {
    for side in [Side::Fenced, Side::Removed] {
        let mut given = Given::new();
        given.update.epoch = OTHER;
        given.update.side = Some(side);
        let then = given.receive();
        assert_eq!((then.rows, then.state.mode), (vec![R3], Mode::Normal));
    }
}

#[test]
fn r3_comes_before_r5_r6_and_r7() {
    let mut overtaken = Given::new();
    overtaken.state.last_answer = RequestNo(2);
    let cases = [overtaken.answers((RequestNo(1), 1)), Given::new().answers(STRANGE)];
    for mut given in cases.into_iter().chain([Given::new().with_own()]) {
        given.update.epoch = OTHER;
        let then = given.receive();
        assert_eq!((then.rows, then.state.mode), (vec![R3], Mode::Normal));
    }
}

#[test]
fn r4_a_postoffice_that_is_fenced_or_removed_goes_on_no_more() {
    for (side, mode) in [(Side::Fenced, Mode::Fenced), (Side::Removed, Mode::Removed)] {
        let mut given = Given::new();
        given.update.side = Some(side);
        let mut then = given.receive();
        assert_eq!((then.applied(), &then.rows[..]), (Applied::default(), &[R4][..]));
        assert_eq!(then.state.mode, mode);
        then.assert_list_untouched();
    }
}

#[test]
fn r4_comes_before_r5_and_r6_a_late_or_strange_word_fences_all_the_same() {
    let mut overtaken = Given::new();
    overtaken.state.last_answer = RequestNo(2);
    for mut given in [overtaken.answers((RequestNo(1), 1)), Given::new().answers(STRANGE)] {
        given.update.side = Some(Side::Fenced);
        assert_eq!(given.receive().rows, [R4]);
    }
}

// R5 and R6: which request it answers.

#[test]
fn r5_an_answer_that_was_overtaken_is_not_taken() {
    let mut given = Given::new().answers((RequestNo(1), 1));
    given.state.last_answer = RequestNo(2);
    let mut then = given.receive();
    assert_eq!((then.applied(), &then.rows[..]), (Applied::default(), &[R5][..]));
    then.assert_list_untouched();
}

#[test]
fn r5_comes_before_r6_a_late_answer_to_a_strange_request_is_no_alarm() {
    let mut given = Given::new().answers((RequestNo(1), 9));
    given.state.last_answer = RequestNo(2);
    let then = given.receive();
    assert_eq!((then.rows, then.state.mode), (vec![R5], Mode::Normal));
}

#[test]
fn r5_comes_before_r7_a_late_submitted_set_is_not_merged() {
    let mut given = Given::new().with_own().answers((RequestNo(1), 1));
    given.state.last_answer = RequestNo(2);
    assert_eq!(given.receive().rows, [R5]);
}

#[test]
fn r5_the_last_answer_may_come_again() {
    let mut given = Given::new();
    given.state.last_answer = RequestNo(2);
    assert_eq!(given.receive().rows, [R17]);
}

#[test]
fn r6_an_answer_to_a_request_that_was_not_sent_from_here_asks_for_the_own_entries() {
    let cases = [(STRANGE, 4), ((RequestNo(2), 9), 3), ((RequestNo(1), 9), 3)];
    for (strange, next) in cases {
        let mut then = Given::new().answers(strange).receive();
        let applied = Applied { for_another: true, ..Applied::default() };
        assert_eq!((then.applied(), &then.rows[..]), (applied, &[R6][..]));
        assert_eq!((then.state.request_no.0, then.state.mode.clone()), (next, Mode::WantOwn));
        assert!(then.state.request_due);
        then.assert_list_untouched();
    }
}

#[test]
fn r6_an_answer_too_far_ahead_begins_a_new_epoch() {
    for (ahead, renews) in [(1 << 32, false), ((1 << 32) + 1, true)] {
        let then = Given::new().answers((RequestNo(2 + ahead), 9)).receive();
        assert_eq!((then.rows, then.state.mode), (vec![R6], Mode::WantOwn));
        assert_eq!(then.state.epoch != MINE, renews);
        assert_eq!(then.state.lineage.contains(&MINE), renews);
    }
}

#[test]
fn r6_an_older_request_that_is_forgotten_says_nothing() {
    let mut given = Given::new().answers((RequestNo(1), 1));
    given.state.sent.remove(0);
    let then = given.receive();
    assert_eq!((then.applied().answered, then.rows), (false, vec![]));
    assert_eq!(then.state.mode, Mode::Normal);
}

#[test]
fn r6_comes_before_r7_what_a_strange_request_asked_for_is_not_merged() {
    let then = Given::new().with_own().answers(STRANGE).receive();
    assert_eq!((then.rows, then.state.mode), (vec![R6], Mode::WantOwn));
}

// R7 to R10: own entries, and the acknowledgement.

#[test]
fn r7_each_epoch_that_a_person_began_stays_an_ancestor() {
    let mut given = Given::new().with_own();
    given.state.lineage = vec![BEFORE];
    let (mut draws, mut events) = (Draws::new(&[7; 32]), Vec::new());
    let guard = GuardLimits::default();
    let evidence = &EvidenceKey::NONE;
    let mut context = Context { now: 1, draws: &mut draws, events: &mut events, guard, evidence };
    new_epoch(&mut given.state, &mut context, false);
    let between = given.state.epoch;
    new_epoch(&mut given.state, &mut context, false);
    assert_eq!(given.state.lineage, []);
    assert_eq!(given.state.former_epochs, [BEFORE, MINE, between]);
}

#[test]
fn r7_a_merged_set_descends_also_from_the_epochs_before_a_restore() {
    let mut given = Given::new().with_own();
    given.state.former_epochs = vec![BEFORE, MINE];
    let then = given.receive();
    assert_eq!(then.state.lineage, [BEFORE, MINE]);
    assert!(then.state.former_epochs.is_empty());
}

#[test]
fn r7_the_submitted_set_is_merged_and_exported_in_a_new_epoch() {
    let mut then = Given::new().with_own().receive();
    assert_eq!((then.applied(), &then.rows[..]), (Applied::default(), &[R7][..]));
    let (base, challenge) = (own_digest(&["ana", "dan"]), Challenge([8; 16]));
    assert_eq!(then.state.mode, Mode::Resubmitting { base, challenge });
    assert_eq!((then.state.own_digest.count, then.state.req_sync), (3, ReqSeq(0)));
    assert_eq!(then.state.lineage, [MINE]);
    assert_eq!(then.state.last_answer, RequestNo(2));
    assert!(then.state.request_due);
    then.assert_list_untouched();
}

#[test]
fn r7_a_challenge_that_is_answered_already_is_not_merged_again() {
    let mut given = Given::new().with_own();
    let own = given.update.own.as_ref().unwrap();
    let mode = Mode::Resubmitting { base: own.digest, challenge: own.challenge };
    given.state.mode = mode.clone();
    let then = given.receive();
    assert_eq!((then.rows, then.state.mode, then.state.epoch), (vec![], mode, MINE));
}

#[test]
fn r7_comes_before_r8_and_r9() {
    for ack in [0, 9] {
        let mut given = Given::new().with_own();
        given.update.ack = ReqSeq(ack);
        let then = given.receive();
        assert_eq!(then.rows, [R7]);
        assert!(matches!(then.state.mode, Mode::Resubmitting { .. }));
    }
}

#[test]
fn r8_an_acknowledgement_of_more_than_was_made_asks_for_the_own_entries() {
    let mut given = Given::new();
    given.update.ack = ReqSeq(3);
    let mut then = given.receive();
    assert_eq!(then.rows, [R8, R17]);
    assert_eq!((then.state.mode.clone(), then.state.req_sync), (Mode::WantOwn, ReqSeq(1)));
    assert!(then.state.request_due);
    assert_eq!(then.list(), ["ana", "ben", "cleo"]);
}

#[test]
fn r8_comes_before_r9_a_full_export_is_not_taken_for_accepted() {
    let mut given = Given::new();
    given.update.ack = ReqSeq(3);
    given.state.epoch_accepted = false;
    let then = given.receive();
    assert!(!then.state.epoch_accepted);
}

#[test]
fn r9_an_acknowledgement_is_noted() {
    let mut given = Given::new();
    (given.state.req_sync, given.state.epoch_accepted) = (ReqSeq(0), false);
    given.state.mode = Mode::Resubmitting { base: own_digest(&[]), challenge: Challenge([8; 16]) };
    given.update.ack = ReqSeq(2);
    let then = given.receive();
    assert_eq!(then.rows, [R17]);
    assert_eq!((then.state.req_sync, then.state.mode), (ReqSeq(2), Mode::Normal));
    assert!(then.state.epoch_accepted && !then.state.request_due);
}

#[test]
fn r9_an_acknowledgement_that_goes_down_is_followed() {
    let mut given = Given::new();
    given.update.ack = ReqSeq(0);
    let then = given.receive();
    assert_eq!(then.rows, [R9, R17]);
    assert_eq!(then.state.req_sync, ReqSeq(0));
    assert!(then.state.request_due);
}

#[test]
fn r10_an_answer_without_a_body_leaves_the_list_as_it_is() {
    let mut given = Given::new();
    given.update.body = None;
    let mut then = given.receive();
    assert_eq!((then.applied(), &then.rows[..]), (ANSWERED, &[][..]));
    assert_eq!(then.state.last_answer, RequestNo(2));
    then.assert_list_untouched();
}
