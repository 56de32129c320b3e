//! Deletions that arrive everywhere, and those that must not happen.

use dirsync_message::{BodyWriter, RequestKind};

use super::{lists, owns, published_change};
use dirsync_sim::naming::entry;
use dirsync_sim::world::{STRICT, World};

#[test]
fn deletion_reaches_every_requestor() {
    let mut world = World::new("ABC");
    world.run("A1 +a1; A1 +a2; go A1; go B1; go C1; A1 -a1; go A1; go B1");
    assert!(!lists(&mut world, "A1", "a1") && !lists(&mut world, "B1", "a1"));
    world.run("A1 ~a2; go A1; go B1; A1 ~a2; go A1; go B1; go C1");
    assert!(!lists(&mut world, "C1", "a1"), "C missed the cycles between");
    assert!(lists(&mut world, "C1", "a2"));
    world.settle();
}

#[test]
fn leaving_the_view_is_a_delete() {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 +a2; A1 cls a2; go A1; go B1");
    assert!(lists(&mut world, "B1", "a1") && !lists(&mut world, "B1", "a2"));
    world.run("A1 cls a1; go A1; go B1");
    assert!(!lists(&mut world, "B1", "a1"), "the entry left");
    world.run("A1 cls a2; go A1; go B1");
    assert!(lists(&mut world, "B1", "a2"), "another entered");
    world.run("B1 view all; go B1");
    assert!(lists(&mut world, "B1", "a1"), "older than where B stands, and new to its wider view");
    world.run("B1 view narrow; go B1");
    assert!(!lists(&mut world, "B1", "a1") && lists(&mut world, "B1", "a2"));
    assert_eq!(world.times("B4"), 0);
    world.settle();
}

#[test]
fn absence_longer_than_the_horizon() {
    let mut world = World::new("AC");
    world.run("A1 +a1; A1 +a2; C1 +c1; go A1; go C1; go A1");
    world.run("C1 ~c1; A1 -a1; go A1; purge s1; A1 ~a2; go A1");
    let change = world.ghost.change;
    world.run("go C1");
    assert!(world.said("s1", "B4"), "a replace, no partial delta");
    assert!(!lists(&mut world, "C1", "a1") && lists(&mut world, "C1", "a2"));
    assert_eq!(published_change(&mut world, "c1"), Some(change - 2), "and C's own change arrived");
    assert_eq!(published_change(&mut world, "a1"), None, "nothing comes back");
    world.settle();
}

#[test]
fn dead_postoffice_has_an_end() {
    let mut world = World::new("AB");
    world.setup.guard = STRICT;
    world.run("B1 +b1; B1 +b2; B1 +b3; go B1; B1 -b1; B1 -b2; go B1; go A1");
    assert!(lists(&mut world, "A1", "b1"), "a mass deletion is held");
    world.run("remove B; go A1");
    for key in ["b1", "b2", "b3"] {
        assert!(!lists(&mut world, "A1", key), "{key}: removal is a person's word");
    }
    world.run("req B1; t2 B; an B; t3 B1");
    assert!(owns(&mut world, "B1", "b3"), "B keeps what is its own");
    world.settle();
}

#[test]
fn deletions_that_drip_are_counted_together() {
    let mut world = World::new("AB");
    world.setup.guard = STRICT;
    world.run("B1 +b1; B1 +b2; go B1; B1 -b1; go B1; B1 -b2; go B1");
    assert_eq!(published_change(&mut world, "b1"), None);
    assert!(published_change(&mut world, "b2").is_some(), "the second within a day waits");
    world.settle();
}

#[test]
fn an_entry_that_its_owner_adds_again_is_not_held_any_more() {
    let mut world = World::new("AB");
    world.setup.guard = STRICT;
    world.run("B1 +b1; B1 +b2; go B1; B1 -b1; B1 -b2; go B1; B1 +b1; go B1");
    let change = world.ghost.change;
    assert_eq!(published_change(&mut world, "b1"), Some(change));
    world.run("approve");
    assert_eq!(published_change(&mut world, "b1"), Some(change), "only the other is gone");
    assert_eq!(published_change(&mut world, "b2"), None);
    world.settle();
}

/// A full export that leaves entries out without a deletion is not to be believed at once.
#[test]
fn a_full_export_that_lacks_entries_is_held() {
    let mut world = World::new("AB");
    world.setup.guard = STRICT;
    world.run("B1 +b1; B1 +b2; go B1; reinstall B1; go B1; req B1");
    let full = world.pop_letter();
    let mut request = full.request();
    assert_eq!(request.own.kind, RequestKind::Full);
    request.own.digest = Default::default();
    let empty = BodyWriter::new(Vec::new()).finish().unwrap();
    let letter = full.with_head(request.to_text()).with_body(&empty);
    assert!(!world.take_request("s1", &letter).unwrap().refused);
    assert!(published_change(&mut world, "b1").is_some() && world.said("s1", "G1"));
}

/// The own part of a request in which a person approved the deletions is not held.
#[test]
fn approved_deletions_are_not_held_again() {
    let mut world = World::new("AB");
    world.setup.guard = STRICT;
    world.run("B1 +b1; B1 +b2; B1 +b3; go B1; B1 -b3");
    world.change("B1", |changes| {
        changes.delete(entry("b1"), true).unwrap();
        changes.delete(entry("b2"), true).unwrap();
    });
    world.ghost.faulty = true;
    world.run("req B1; t2 B");
    assert_eq!(published_change(&mut world, "b1"), None);
    assert_eq!(published_change(&mut world, "b2"), None);
    assert_eq!(published_change(&mut world, "b3"), None, "nor do they count against another");
}
