//! Own changes on their way to the server, and who gets an address.

use super::{addresses, lists, publishes};
use crate::world::{STRICT, World, entry};

#[test]
fn t_range() {
    let mut world = World::new("A");
    world.run("A1 +a1; A1 -a1");
    assert!(world.settle() <= 2, "the number that is missing is no gap");
}

#[test]
fn t_forgotten() {
    let mut world = World::new("AB");
    world.run("B1 +b1@y; B1 +b2@y; go B1");
    assert!(!publishes(&mut world, "s1", "b2"), "it waits");
    world.run("B1 -b1; go B1");
    assert!(publishes(&mut world, "s1", "b2"), "without a resend");
    world.settle();
}

#[test]
fn t_swap() {
    let mut world = World::new("B");
    world.run("B1 +b1@y; B1 +b2@x; go B1; B1 b1>x; B1 b2>y; go B1");
    assert_eq!(addresses(&mut world, "b1"), "SMTP:x@n.example");
    assert_eq!(addresses(&mut world, "b2"), "SMTP:y@n.example");
    world.settle();
}

#[test]
fn t_house() {
    let mut world = World::new("AB");
    world.run("B1 +b1@y; B1 +b2@x; go B1; A1 +a1@y; go A1; B1 b1>x; B1 b2>y; go B1");
    assert_eq!(addresses(&mut world, "b1"), "SMTP:x@n.example");
    assert_eq!(addresses(&mut world, "b2"), "SMTP:y@n.example", "not to the stranger who waits");
    world.settle();
}

#[test]
fn t_held() {
    let mut world = World::new("AB");
    world.guard = STRICT;
    world.run("B1 +b1; B1 +b2; go B1; B1 -b1; B1 -b2; go B1");
    let state = world.state("B1");
    assert_eq!(state.req_sync, state.req_seq, "the batch is acknowledged");
    assert!(publishes(&mut world, "s1", "b1") && publishes(&mut world, "s1", "b2"));
    world.run("B1 +b3; req B1");
    assert_eq!(world.letters.last().unwrap().named(), [entry("b3")], "nothing is sent again");
    world.run("t2 B; an B; t3 B1; go A1");
    assert!(lists(&mut world, "A1", "b3") && lists(&mut world, "A1", "b1"));
    world.run("approve; go A1");
    assert!(!lists(&mut world, "A1", "b1"));
    world.settle();
}

#[test]
fn t_removed() {
    let mut world = World::new("AB");
    world.run("B1 +b1; go B1; go A1; req B1; remove B; t2 B; an B; t3 B1");
    assert!(world.said("s1", "S3") && !world.is_live("B1"));
    world.settle();
    assert!(!lists(&mut world, "A1", "b1"));
}

#[test]
fn t_stub() {
    let mut world = World::new("AB");
    world.run(
        "A1 +a2; A1 release a2 B; req A1; t2 A; go B1; B1 claim a2; req B1; t2 B; B1 -a2; go B1",
    );
    assert!(!publishes(&mut world, "s1", "a2"));
    world.settle();
    assert!(!publishes(&mut world, "s1", "a2"), "not even when its first owner calls");
}

#[test]
fn t_stub_of_an_owner_that_takes_the_release_back() {
    let mut world = World::new("AB");
    world.run(
        "A1 +a2; A1 release a2 B; backup A1; go A1; go B1; B1 claim a2; go B1; B1 -a2; go B1; \
         A1 withdraw a2; go A1",
    );
    assert!(!publishes(&mut world, "s1", "a2"));
    world.settle();
    assert!(!publishes(&mut world, "s1", "a2"));
}
