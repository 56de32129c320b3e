//! Entries that change hands.

use dirsync_sim::naming::{entry, letter_of};
use dirsync_sim::world::World;

/// a1 as B1 got it from A by release and claim, seen by both; A's stub is still there.
fn handed_over() -> World {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 release a1 B; go A1; go B1; B1 claim a1; go B1");
    world
}

fn owner(world: &mut World, key: &str) -> Option<String> {
    let rows = world.read("s1", |tables| tables.rows(entry(key)));
    rows.iter().find(|row| row.published.is_some()).map(|row| letter_of(&row.origin).to_owned())
}

#[test]
fn an_entry_handed_back_outlives_the_stub_of_its_first_owner() {
    let mut world = handed_over();
    world.run("B1 release a1 A; go B1; go A1; go A1");
    assert_eq!(owner(&mut world, "a1").as_deref(), Some("B"), "offered to A, and B's until then");
    world.run("A1 claim a1; go A1; go B1; go B1");
    assert_eq!(owner(&mut world, "a1").as_deref(), Some("A"));
    world.settle();
}

#[test]
fn clocks_decide_nothing_about_an_entry_that_changes_hands() {
    const TEN_YEARS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;
    for (a, b) in [(TEN_YEARS, -TEN_YEARS), (-TEN_YEARS, TEN_YEARS)] {
        let mut world = World::new("AB");
        world.site("A1").skew = a;
        world.site("B1").skew = b;
        world.run("A1 +a1; A1 release a1 B; go A1; go B1; B1 claim a1; go B1; go A1; go A1");
        world.run("B1 release a1 A; go B1; go A1");
        assert_eq!(owner(&mut world, "a1").as_deref(), Some("B"), "{a} {b}");
        world.run("A1 claim a1; go A1; go B1; go B1; A1 ~a1; go A1");
        assert_eq!(owner(&mut world, "a1").as_deref(), Some("A"), "{a} {b}");
        world.run("A1 -a1; go A1");
        assert_eq!(owner(&mut world, "a1"), None, "{a} {b}");
        world.settle();
    }
}

#[test]
fn a_deletion_before_the_claim_was_heard_deletes() {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 release a1 B; go A1; go B1; B1 claim a1; B1 -a1; go B1");
    assert_eq!(owner(&mut world, "a1"), None);
    world.settle();
}

#[test]
fn a_doubled_message_does_not_delete_what_was_claimed_back() {
    let mut world = handed_over();
    world.run("B1 release a1 A; go B1; req A1; t2 A; an A; t3 A1 keep; A1 claim a1");
    world.run("t3 A1");
    assert!(world.read("A1", |tables| tables.own(entry("a1"))).is_some(), "A claimed it");
    world.settle();
    assert_eq!(owner(&mut world, "a1").as_deref(), Some("A"));
}

/// The server learns of the deletion before it learns (again) of the offer.
#[test]
fn an_offer_after_the_claim_was_deleted_brings_nothing_back() {
    let mut world = World::new("AB");
    world.run("A1 +a2; go A1; backup s1; A1 release a2 B; go A1; go B1; B1 claim a2; B1 -a2");
    world.run("restore s1; go B1; go A1; go A1");
    assert_eq!(owner(&mut world, "a2"), None);
    world.settle();
    assert_eq!(owner(&mut world, "a2"), None);
}
