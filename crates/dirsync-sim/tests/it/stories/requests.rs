//! What needs another request is a fact of the requestor's state, which an agent that rests goes by:
//! `docs/protocol.md` §3, "A request is due". One test for each place that says so.

use dirsync_protocol::bounds::REQUEST_STEP_MAX;
use dirsync_sim::step::Trouble;
use dirsync_sim::world::World;

use super::damage::{differs_unnoticed, large};

/// Whether a machine needs another request.
fn needs_one(world: &mut World, machine: &str) -> bool {
    world.state(machine).request_due
}

/// Takes the one update under way with a field of its head replaced.
fn take_with(world: &mut World, machine: &str, field: &str, value: &str) {
    let letter = world.pop_letter();
    let head = letter.update().to_text();
    let prefix = format!("{field}=");
    let line = head.lines().find(|line| line.starts_with(&prefix)).unwrap();
    let altered = letter.with_head(head.replace(line, &format!("{prefix}{value}")));
    assert_ne!(altered.update(), letter.update());
    let taken = world.take_update(machine, &altered).unwrap();
    assert!(!taken.refused);
    world.ghost.faulty = true;
}

#[test]
fn an_older_server_epoch_needs_a_request() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; backup s1; req B1; t2 B; an B; restore s1 told");
    world.run("req B1; t2 B; an B; t3 B1 1; req B1");
    assert!(world.said("B1", "R2"));
    assert!(!needs_one(&mut world, "B1"), "the new epoch was answered");
    world.run("t3 B1");
    assert!(world.said("B1", "R1"));
    assert!(needs_one(&mut world, "B1"), "the old server learns of the newer epoch from it");
    world.settle();
}

#[test]
fn a_newer_server_epoch_needs_a_request() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; backup s1; restore s1 told; req B1; t2 B; an B");
    assert!(!needs_one(&mut world, "B1"), "nothing was heard yet");
    world.run("t3 B1");
    assert!(world.said("B1", "R2"));
    assert!(needs_one(&mut world, "B1"));
    world.run("go B1");
    assert!(!needs_one(&mut world, "B1"), "the request ends it");
}

#[test]
fn an_answer_to_an_unknown_request_needs_a_request() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; clone A1; req A1; req A2; t2 A; an A");
    assert!(!needs_one(&mut world, "A2"));
    world.run("t3 A2");
    assert!(world.said("A2", "R6"));
    assert!(needs_one(&mut world, "A2"));
    world.settle();
}

/// The number is counted on from as far as counting leads; otherwise under a new epoch.
#[test]
fn an_answer_far_ahead_needs_a_request_under_a_new_epoch() {
    for (ahead, in_reach) in [(REQUEST_STEP_MAX, true), (REQUEST_STEP_MAX + 1, false)] {
        let mut world = World::new("AB");
        world.run("A1 +a1; go A1; req A1; t2 A; an A");
        let before = world.state("A1");
        let answers = before.request_no.0 + ahead;
        take_with(&mut world, "A1", "answers", &answers.to_string());
        assert!(world.said("A1", "R6"));
        let after = world.state("A1");
        assert!(after.request_due);
        assert_eq!(after.epoch == before.epoch, in_reach, "{ahead}");
        let counted = if in_reach { answers + 1 } else { before.request_no.0 };
        assert_eq!(after.request_no.0, counted);
        world.settle();
    }
}

#[test]
fn a_merge_needs_a_request() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; reinstall A1; req A1; t2 A; an A");
    assert!(!needs_one(&mut world, "A1"));
    world.run("t3 A1");
    assert!(world.said("A1", "R7"));
    assert!(needs_one(&mut world, "A1"));
    world.settle();
}

#[test]
fn an_acknowledgement_of_more_than_was_made_needs_a_request() {
    let mut world = World::new("A");
    world.run("backup A1; A1 +a1; A1 -a1; go A1; restore A1");
    world.run("req A1; drop q A; req A1; t2 A; an A");
    assert!(!needs_one(&mut world, "A1"));
    world.run("t3 A1");
    assert!(world.said("A1", "R8"));
    assert!(needs_one(&mut world, "A1"));
    world.settle();
}

#[test]
fn an_acknowledgement_that_goes_down_needs_a_request() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; A1 +a2; go A1; req A1; t2 A; an A");
    assert!(!needs_one(&mut world, "A1"));
    take_with(&mut world, "A1", "ack", "1");
    assert!(world.said("A1", "R9"));
    assert!(needs_one(&mut world, "A1"));
    world.settle();
}

#[test]
fn a_list_that_does_not_match_needs_a_request() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; A1 ~a1; go A1; req B1; t2 B; an B");
    let letter = world.pop_letter();
    let text = letter.text().replace("telephoneNumber/", "telephoneNumber/9");
    assert!(!needs_one(&mut world, "B1"));
    assert!(world.take_update("B1", &letter.with_body(text.as_bytes())).unwrap().digest_failed);
    assert!(world.said("B1", "R18"));
    assert!(needs_one(&mut world, "B1"));
    world.ghost.faulty = true;
    world.settle();
}

#[test]
fn buckets_that_are_asked_for_need_a_request() {
    let mut world = large(600);
    differs_unnoticed(&mut world, "B1", "a77");
    world.run("req B1; t2 B; an B");
    assert!(world.last_letter().update().want_buckets);
    assert!(!needs_one(&mut world, "B1"));
    world.run("t3 B1");
    assert!(needs_one(&mut world, "B1"));
    world.run("go B1");
    assert!(!needs_one(&mut world, "B1"));
    world.settle();
}

#[test]
fn a_restore_and_a_rejoin_need_a_request() {
    let mut world = World::new("AB");
    world.run("backup B1; go B1; restore B1 told");
    assert!(needs_one(&mut world, "B1"), "also with no entries of its own");
    world.run("go B1; go B1; go B1");
    assert!(!needs_one(&mut world, "B1"));

    world.run("clone B1; turn B1; turn s1; turn B2; turn s1");
    for _ in 0..4 {
        for turn in ["turn B1", "turn s1", "turn B2", "turn s1"] {
            let fenced = turn.starts_with("turn B") && !world.is_live(&turn[5..]);
            if !fenced {
                world.run(turn);
            }
        }
    }
    let fenced = ["B1", "B2"].into_iter().find(|machine| !world.is_live(machine)).unwrap();
    assert!(!needs_one(&mut world, fenced));
    world.rejoin(fenced);
    assert!(needs_one(&mut world, fenced));
}

#[test]
fn a_request_that_could_not_be_written_needs_another() {
    let mut world = World::new("AB");
    world.run("go A1");
    assert!(!needs_one(&mut world, "A1"));
    world.send("A1", Trouble::Breaks(0)).unwrap();
    assert!(world.network.letters().is_empty());
    assert!(needs_one(&mut world, "A1"));
    world.run("go A1");
    assert!(!needs_one(&mut world, "A1"));
}
