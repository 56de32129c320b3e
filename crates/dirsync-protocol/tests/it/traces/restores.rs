//! Requestors that were restored or installed again.

use super::publishes;
use crate::checker::own_of;
use crate::world::{World, entry};

#[test]
fn t_rollback() {
    let mut world = World::new("A");
    world.run("backup A1; A1 +a1; req A1; restore A1; req A1; A1 +a2; req A1; t2 A; t2 A; t2 A");
    assert!(world.said("s1", "S13c"), "the number is acknowledged, the change is another");
    world.settle();
    assert!(publishes(&mut world, "s1", "a1") && publishes(&mut world, "s1", "a2"));
}

#[test]
fn t_ownerwins() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; reinstall A1");
    world.settle();
    assert!(publishes(&mut world, "s1", "a1"));
    assert!(own_of(world.machines.get_mut("A1").unwrap()).contains_key(&entry("a1")));
}

#[test]
fn t_ackzero() {
    let mut world = World::new("AB");
    world.run("backup B1; req B1; restore B1; t2 B; an B; t3 B1");
    world.settle();
}

#[test]
fn t_staleinstall() {
    let mut world = World::new("A");
    world.run("req A1; reinstall A1; req A1; t2 A 1; t2 A");
    world.settle();
    assert!(world.is_live("A1"));
}

/// The digests agree, as the lost life deleted what it had added.
#[test]
fn an_acknowledgement_of_more_than_was_issued_is_noticed() {
    let mut world = World::new("A");
    world.run(
        "backup A1; A1 +a1; A1 -a1; go A1; restore A1; req A1; req A1; t2 A; t2 A; an A; t3 A1",
    );
    assert!(world.said("A1", "R8"));
    world.run("A1 +a2");
    world.settle();
    assert!(publishes(&mut world, "s1", "a2"));
}

/// The merge of a restored machine that has deleted an entry since.
#[test]
fn a_deletion_after_a_restore_stands() {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 +a2; go A1; backup A1; A1 ~a2; go A1; restore A1; A1 -a1");
    world.settle();
    assert!(world.said("A1", "R7") && !publishes(&mut world, "s1", "a1"));
    assert!(publishes(&mut world, "s1", "a2"));
}

/// An installation that was given up is refused, not asked to merge.
#[test]
fn a_late_message_of_an_abandoned_installation_is_refused() {
    let mut world = World::new("A");
    world.run("A1 +a1; go A1; req A1");
    let late = world.letters.pop().unwrap();
    world.run("reinstall A1");
    world.settle();
    world.deliver_request("s1", &late).unwrap();
    assert!(world.said("s1", "S7"));
    assert!(world.settle() <= 1 && world.is_live("A1"));
}
