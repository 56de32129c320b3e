//! The list on its way to requestors: views, parts, the horizon.

use super::lists;
use crate::world::World;

#[test]
fn t_leave() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; A1 cls a1; go A1; go B1");
    assert!(!lists(&mut world, "A1", "a1") && !lists(&mut world, "B1", "a1"));
    assert!(!world.said("B1", "R18") && world.times("B4") == 0, "and no digest had to say so");
    world.settle();
}

#[test]
fn t_histany() {
    let mut world = World::new("A");
    world.run("go A1; A1 +a1; req A1; t2 A; an A; A1 cls a1; req A1; t2 A; an A; t3 A1; t3 A1");
    assert!(!lists(&mut world, "A1", "a1"));
    assert!(!world.said("A1", "R18"));
    world.settle();
}

/// The classes of all earlier versions count, not only that of the last one.
#[test]
fn t_histany_of_an_entry_that_changed_after_it_left() {
    let mut world = World::new("A");
    world.run("A1 +a1; go A1; A1 cls a1; req A1; t2 A; A1 ~a1; req A1; t2 A; an A; t3 A1");
    assert!(!lists(&mut world, "A1", "a1"));
    assert!(!world.said("A1", "R18"));
    world.settle();
}

#[test]
fn t_horizon() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; A1 -a1; req A1; t2 A; purge s1; go B1");
    assert!(world.said("s1", "B4") && !world.said("B1", "R18"), "replaced, not a delta undone");
    assert!(!lists(&mut world, "B1", "a1"));
    world.settle();
}

#[test]
fn t_complete() {
    let mut world = World::new("AB");
    world.run(
        "req B1; A1 +a2; t2 B; A1 +a1; an B; t3 B1; req B1; req B1; req A1; req A1; \
         t2 B 1 keep; an B; t2 A 1 keep; t2 B 1; an B half; t3 B1 1",
    );
    world.settle();
}

#[test]
fn t_viewbind() {
    let mut world = World::new("AB");
    world.run(
        "B1 +b1; A1 view; req B1; req B1; B1 cls b1; req A1; req A1; t2 A 1; t2 B 1; an A half; \
         A1 view; t2 A; t3 A1; req B1; req A1; t2 B 1; t2 A; an A; A1 view",
    );
    world.settle();
}
