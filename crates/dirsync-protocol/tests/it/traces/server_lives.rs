//! Servers that were restored or replaced.

use dirsync_protocol::server::Received;

use super::{lists, publishes};
use crate::world::World;

#[test]
fn t_outbox() {
    let mut world = World::new("AB");
    world.run("standby; B1 +b1; go B1; promote");
    world.settle();
    assert!(publishes(&mut world, "s2", "b1"));
}

#[test]
fn t_epochorder() {
    let mut world = World::new("AB");
    world.run("standby; promote");
    world.settle();
    assert_eq!(world.live_servers(), ["s2"]);
}

#[test]
fn t_duel() {
    let mut world = World::new("AB");
    world.run("standby; promote; req A1; t2 A s2; an A s2; t3 A1; req A1; t2 A s1");
    assert!(world.said("s1", "S4") && world.server_state("s1").fenced);
    world.run("req B1");
    let letter = world.letters.pop().unwrap();
    let before = world.servers["s1"].clone();
    assert_eq!(world.take_request("s1", &letter).unwrap(), Received::Fenced);
    assert!(world.servers["s1"].same_content(&before), "and answers nobody any more");
    world.settle();
    assert_eq!(world.server_state("s2").epoch.generation, 2, "nobody outbids it");
}

#[test]
fn t_reuse() {
    let mut world = World::new("AB");
    world.run("A1 +a1; backup s1; B1 +b1; go B1; restore s1; go A1; go B1");
    assert!(world.said("s1", "S14"), "the number is the same, the mark is not");
    assert!(lists(&mut world, "B1", "b1"));
    world.settle();
}

#[test]
fn t_content() {
    let mut world = World::new("AB");
    world.run("backup s1; B1 +b1; go B1; go A1; B1 ~b1; restore s1");
    world.settle();
}

#[test]
fn t_partmark() {
    let mut world = World::new("AB");
    world.run(
        "B1 +b1; B1 +b2; backup s1; req B1; t2 B; an B half; t3 B1; req A1; t2 A; an A half; \
         t3 A1; restore s1; go A1",
    );
    assert!(world.said("s1", "S14"));
    world.settle();
}

/// The restored server has issued a part up to the same number again, with another mark.
#[test]
fn t_partmark_of_a_part_that_was_issued_twice() {
    let mut world = World::new("ABC");
    world.run(
        "B1 +b1; B1 +b2; backup s1; req B1; t2 B; an B half; req A1; t2 A; an A half; t3 A1; \
         restore s1; C1 +c1; C1 +c2; req C1; t2 C; an C half; go A1",
    );
    assert!(world.said("s1", "S14"));
    world.settle();
}

#[test]
fn t_points() {
    let mut world = World::new("AB");
    world.run(
        "B1 +b1; A1 +a1; backup s1; go B1; restore s1; req A1; A1 -a1; req A1; t2 A; t2 A; purge s1",
    );
    world.settle();
    assert!(publishes(&mut world, "s1", "b1"));
}

#[test]
fn t_replace() {
    let mut world = World::new("AB");
    world.run(
        "A1 +a1; req A1; A1 -a1; t2 A; an A; t3 A1 keep; backup s1; B1 +b1; req B1; req A1; \
         t2 B; t2 A; req A1; an A; restore s1; t2 A; purge s1; an A",
    );
    world.settle();
}

/// Numbers of two lives are not compared: across epochs an update fits exactly or not at all.
#[test]
fn an_update_across_lives_fits_exactly() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; backup s1; A1 +a2; go A1; req B1; t2 B; an B; req B1");
    world
        .run("restore s1; go A1; A1 +a3; go A1; go A1; t2 B keep; an B; A1 +a4; go A1; t2 B; an B");
    world.run("t3 B1; t3 B1");
    assert!(world.said("B1", "R15"), "it has moved on in the lost life");
    world.run("t3 B1; go B1; req B1; t2 B keep; an B; A1 +a5; go A1; t2 B; an B; t3 B1; t3 B1");
    world.settle();
    assert!(!world.said("B1", "R18"));
}

#[test]
fn two_answers_from_a_lost_life_are_taken_once() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; req B1; backup s1; A1 +a2; go A1; restore s1; go A1; go A1");
    world.run("A1 +a3; go A1; t2 B keep; an B; A1 +a4; go A1; t2 B; an B; t3 B1");
    assert_eq!(world.state("B1").point.unwrap().epoch.generation, 2);
    world.run("t3 B1");
    assert!(world.said("B1", "R13") && !world.said("B1", "R18"));
    world.settle();
}

#[test]
fn t_vanish() {
    let mut world = World::new("AB");
    world.run("backup s1; A1 +a1; go A1; go B1; restore s1; go B1; go B1");
    assert!(world.said("s1", "B3") && lists(&mut world, "B1", "a1"));
    world.settle();
}

#[test]
fn t_spoken() {
    let mut world = World::new("AB");
    world.run("req B1; standby; promote; t2 B s2; B1 +b1; go B1");
    world.settle();
    assert!(publishes(&mut world, "s2", "b1"));
}

#[test]
fn t_tie() {
    let mut world = World::new("AB");
    world.run("backup s1; go B1; restore s1; req B1; t2 B keep; an B; t3 B1");
    assert_eq!(world.server_state("s1").epoch.generation, 2);
    world.run("restore s1; t2 B; an B; t3 B1");
    assert_eq!(world.server_state("s1").epoch.generation, 2, "a second one of this number");
    assert!(world.said("B1", "R1"));
    world.run("go B1");
    assert_eq!(world.server_state("s1").epoch.generation, 3);
    world.settle();
}

#[test]
fn t_neworigin() {
    let mut world = World::new("AB");
    world
        .run("backup s1; register C; C1 +c1; go C1; go B1; restore s1; go A1; go B1; go B1; go A1");
    assert!(world.server_state("s1").recovering, "it waits for C, whom its backup does not know");
    assert!(lists(&mut world, "B1", "c1"));
    world.settle();
}

/// A failover while the old server runs on, and a requestor restored from before it heard the new
/// one: the old server acknowledges and lists a new entry, the new one has counted the requestor as
/// having spoken. The old server has to be stopped before the promotion.
#[test]
fn open_finding_an_entry_leaves_lists_for_a_cycle_when_the_old_server_runs_on() {
    let trace = "standby; backup B1; req B1; promote; t2 B s2; an B half s2; t3 B1; req B1; \
                 restore B1; B1 +b2@y; t2 B s2";
    let mut world = World::new("ABC");
    world.run(trace);
    let found = world.try_settle().expect_err("the finding is closed: make this an ordinary trace");
    assert!(found.starts_with("I6: b2 vanished"), "{found}");
    let mut world = World::new("ABC");
    world.run(trace);
    world.ghost.vanishing_is_known = true;
    world.settle();
    assert!(publishes(&mut world, "s2", "b2"), "it is back: nothing is lost");
}
