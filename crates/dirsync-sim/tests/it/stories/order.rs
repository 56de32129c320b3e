//! Messages that are lost, doubled, late or out of order.

use super::lists;
use dirsync_protocol::tables::{RequestorState, ServerState};
use dirsync_sim::step::Trouble;
use dirsync_sim::world::World;

#[test]
fn late_message_of_an_old_epoch() {
    let mut world = World::new("AB");
    world.run("A1 +a1; B1 +b1; backup s1");
    let mut old = Vec::new();
    for step in ["A1 ~a1", "B1 ~b1", "A1 +a2", "B1 -b1"] {
        world.run(step);
        for machine in ["A1", "B1"] {
            world.run(&format!("req {machine}"));
            old.push(world.last_letter());
            let name = &machine[..1];
            world.run(&format!("t2 {name}; an {name}"));
            old.push(world.last_letter());
            world.run(&format!("t3 {machine}"));
        }
    }
    world.run("restore s1");
    world.settle();
    assert_eq!(world.server_state("s1").epoch.generation, 2);
    world.run("A1 ~a2");
    world.settle();
    let events = world.events.len();
    let states = ["A1", "B1"].map(|machine| world.state(machine));
    let server = world.server_state("s1");
    for letter in &old {
        if letter.is_request {
            world.deliver_request("s1", letter, Trouble::None).unwrap();
        } else {
            world.deliver_update(&format!("{}1", letter.name), letter, Trouble::None).unwrap();
        }
    }
    // The next request is due (R1); nothing else has changed.
    let states = states.map(|state| RequestorState { request_due: true, ..state });
    assert_eq!(["A1", "B1"].map(|machine| world.state(machine)), states, "dropped");
    let cycle = world.server_state("s1").cycle;
    assert_eq!(world.server_state("s1"), ServerState { cycle, ..server });
    let said: Vec<&str> =
        world.events[events..].iter().map(|(_, event)| event.row.name()).collect();
    assert_eq!(said.iter().filter(|rule| **rule == "R1").count(), old.len() / 2, "and logged");
    assert_eq!(said.iter().filter(|rule| **rule == "S10").count(), old.len() / 2);
    assert_eq!(world.settle(), 0, "and the cause of nothing");
    assert!(lists(&mut world, "B1", "a2"));
}

/// An entry that changes while a list arrives in parts is not in an early part any more; its part
/// may be lost. A later delta has to bring all of it, not only what changed after the early part.
#[test]
fn a_lost_part_of_an_entry_that_changed_needs_no_repair() {
    let mut world = World::new("AB");
    world.run("B1 +b1; req B1; B1 ~b1; t2 B; A1 +a1; req B1; go A1; t2 B; an B first; t3 B1");
    assert!(lists(&mut world, "B1", "a1") && !lists(&mut world, "B1", "b1"), "one part came");
    world.run("go B1");
    assert!(lists(&mut world, "B1", "b1") && !world.said("B1", "R18"));
    world.settle();
}
