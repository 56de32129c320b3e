//! The list on its way to requestors: views, parts, the horizon.

use super::lists;
use crate::world::{World, postoffice};

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
    let mut world = World::new("AC");
    world.run_at("s1", |tables, _| {
        let mut registration = tables.registration(&postoffice("C")).unwrap().unwrap();
        registration.view_allowed = "origins\tN/C\n".parse().unwrap();
        tables.put_registration(&registration).unwrap();
    });
    world.run("C1 view; go C1; A1 +a1; go A1; A1 cls a1; req A1; t2 A; A1 ~a1; go A1");
    assert!(!lists(&mut world, "A1", "a1"));
    assert!(!world.said("A1", "R18"));
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

/// As T-COMPLETE, where the full answer has something to bring.
#[test]
fn t_complete_of_an_answer_with_content() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; B1 +b1; go B1; B1 ~b1; req B1; t2 B keep; an B");
    world.run("A1 +a2; A1 +a3; A1 +a4; A1 +a5; go A1; t2 B; an B half; t3 B1 1; t3 B1");
    assert!(world.said("B1", "R16") && !world.said("B1", "R18"));
    assert!(lists(&mut world, "B1", "a2"), "the later part stands");
    world.settle();
}

#[test]
fn an_older_answer_to_the_same_request_is_passed_over() {
    for filled in [false, true] {
        let mut world = World::new("AB");
        world.run("A1 +a1; go A1");
        if filled {
            world.run("go B1; A1 ~a1; go A1");
        }
        world.run("req B1; t2 B keep; an B; A1 ~a1; A1 +a2; go A1; t2 B; an B; t3 B1 1; t3 B1");
        assert!(!world.said("B1", "R18") && lists(&mut world, "B1", "a2"));
        assert!(world.said("B1", if filled { "R16" } else { "R12" }));
        world.settle();
    }
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
