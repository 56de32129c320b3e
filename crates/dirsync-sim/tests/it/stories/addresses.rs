//! Who gets an address, and who is told.

use dirsync_message::OutcomeKind;

use super::{lists, published_change, told};
use dirsync_sim::naming::postoffice;
use dirsync_sim::world::World;

#[test]
fn address_reuse_in_one_cycle() {
    for (first, second) in [("A1", "B1"), ("B1", "A1")] {
        let mut world = World::new("ABC");
        world.run("A1 +a1@x; go A1; go C1; A1 -a1; B1 +b1@x");
        world.run(&format!("go {first}; go {second}; go C1"));
        assert!(lists(&mut world, "C1", "b1") && !lists(&mut world, "C1", "a1"), "{first} first");
        world.settle();
    }
}

#[test]
fn collision_told_to_both() {
    let mut world = World::new("ABC");
    world.run("A1 +a1@x; go A1; B1 +b1@x; go B1; go A1; go C1");
    let address: dirsync_directory::Address = "SMTP:x@n.example".parse().unwrap();
    let waiting = OutcomeKind::Waiting { address: address.clone(), holder: postoffice("A") };
    let contested = OutcomeKind::Contested { address, by: postoffice("B") };
    assert_eq!(told(&mut world, "B1", "b1"), [waiting]);
    assert_eq!(told(&mut world, "A1", "a1"), [contested]);
    assert!(lists(&mut world, "C1", "a1") && !lists(&mut world, "C1", "b1"));
    world.run("A1 -a1; go A1; go B1; go C1");
    assert!(lists(&mut world, "C1", "b1"), "it is retried by itself");
    assert!(told(&mut world, "B1", "b1").is_empty());
    world.settle();
}

#[test]
fn an_address_that_a_blocked_entry_wants_is_left_to_nobody() {
    for trace in [
        "B1 +b2@x,y; go B1; A1 +a2@y; go A1; A1 +a1@x; go A1; B1 b2>y; go B1",
        "B1 +b1@x; go B1; A1 +a2@x,y; go A1; B1 b1>x,y; go B1",
        "A1 +a2@x; go A1; B1 +b1@x,y; go B1; A1 a2>y; go A1",
        "A1 +a1@x; go A1; B1 +b1@x,y; B1 +b2@y; go B1",
    ] {
        let mut world = World::new("AB");
        world.run(trace);
        world.settle();
    }
    let mut world = World::new("AB");
    world.run("A1 +a1@x; go A1; B1 +b1@x,y; B1 +b2@y; go B1");
    assert!(published_change(&mut world, "b2").is_some(), "b1 waits for x, so y is free");
}
