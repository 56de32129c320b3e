//! Two machines with one name.

use super::publishes;
use crate::world::World;

/// Two machines that go on after a clone; one is left in the end.
fn twins() -> World {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; clone A1");
    world
}

#[test]
fn t_twin_requests_have_numbers() {
    let mut world = twins();
    world.run("A1 ~a1; A2 ~a1; req A1; req A2; t2 A; t2 A");
    assert!(world.said("s1", "S10"), "the second is answered, and changes nothing");
    world.settle();
}

#[test]
fn t_twin_updates_say_what_they_answer() {
    let mut world = twins();
    world.run("req A1; t2 A; an A; req A1; t2 A; an A; t3 A1 1; t3 A1");
    assert!(world.said("A1", "R5"));
    world.settle();
}

#[test]
fn t_twin_updates_repeat_the_id() {
    let mut world = twins();
    world.run("req A1; req A2; t2 A; t2 A; an A; t3 A2");
    assert!(world.said("A2", "R6"), "the number is its own, the request is not");
    world.settle();
}

#[test]
fn t_pingpong() {
    let mut world = twins();
    world.settle();
    assert_eq!(world.live_machines("A").len(), 1);
    assert!(world.times("S8") <= 2, "they do not retire each other for ever");
}

#[test]
fn t_chalkeep() {
    let mut world = World::new("A");
    world.run("req A1; reinstall A1; clone A1; t2 A");
    world.settle();
}

#[test]
fn t_twinold() {
    let mut world = World::new("A");
    world.run("A1 +a1; clone A1; A1 ~a1; A1 ~a1; A2 ~a1; req A2; t2 A; req A1; req A1; t2 A; t2 A");
    assert!(world.said("s1", "S13b"));
    world.settle();
}

#[test]
fn t_dots() {
    let mut world = World::new("AB");
    world.run(
        "clone B1; standby; B1 +b1@y; B2 +b2@x; promote; B1 -b1; req B1; t2 B; an B half; t3 B1; \
         req B2; req B2",
    );
    world.settle();
    assert!(publishes(&mut world, "s2", "b2"));
}

#[test]
fn t_dots_of_a_clone_under_way() {
    let mut world = World::new("ABC");
    world.run(
        "req C1; standby; t2 C; clone C1; req C1; an C; t2 C; an C half; t3 C2 1; t3 C1; C1 +c1@x; \
         req C2; t2 C; an C; t3 C2; promote",
    );
    world.settle();
    assert!(publishes(&mut world, "s2", "c1"));
}

#[test]
fn t_dots_of_an_epoch_not_accepted() {
    let mut world = World::new("AB");
    world.run(
        "clone B1; req B1; B1 +b2; t2 B; an B; t3 B2; req B2; t2 B; an B; t3 B2; req B1; req B1",
    );
    world.settle();
    assert!(publishes(&mut world, "s1", "b2"));
}

#[test]
fn t_deaddel() {
    let mut world = World::new("AB");
    world.run("B1 +b1; clone B1; B2 -b1; req B2; t2 B; an B; t3 B2; req B1; t2 B; an B; t3 B1");
    world.settle();
    assert!(!publishes(&mut world, "s1", "b1"), "the twin's merge does not bring it back");
}
