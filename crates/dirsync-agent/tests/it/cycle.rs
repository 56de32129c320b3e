//! What a cycle does.

use dirsync_store::Store;

use dirsync_testing::{SERVER, World};

const ANA: (&str, &str, &str, &str) = ("1", "Ana Souza", "SMTP:ana@north.example", "100");
const BEN: (&str, &str, &str, &str) = ("2", "Ben Okoye", "SMTP:ben@north.example", "200");

#[test]
fn lists_become_equal_and_changes_travel() {
    let mut world = World::new(&["SOUTH/A", "WEST/B"]);
    world.at(SERVER).import(&[ANA, BEN]);
    world.at("SOUTH/A").import(&[("1", "Cara Li", "SMTP:cara@south.example", "300")]);
    world.cycle();
    assert_eq!(world.converged().len(), 3);
    let changed = [ANA, ("2", "Ben Okoye", "SMTP:ben@north.example", "201")];
    let report = world.at(SERVER).import(&changed);
    assert_eq!((report.unchanged, report.changed), (1, 1));
    world.cycle();
    let list = world.converged();
    assert!(list.iter().any(|line| line.contains("telephoneNumber/201")), "{list:?}");
    assert_eq!(world.send("WEST/B").transactions, 0);
}

/// I13: when all is equal nothing more travels but requests and empty answers.
#[test]
fn a_quiet_system_stays_quiet() {
    let mut world = World::new(&["SOUTH/A"]);
    world.at(SERVER).import(&[ANA]);
    world.cycle();
    world.cycle();
    for _ in 0..3 {
        assert_eq!(world.send("SOUTH/A").transactions, 0);
        let report = world.process();
        assert_eq!((report.requests, report.messages), (1, 1));
        assert_eq!(world.apply("SOUTH/A").rows, 0);
    }
}

#[test]
fn a_lost_message_is_healed_by_the_next() {
    let mut world = World::new(&["SOUTH/A"]);
    world.at(SERVER).import(&[ANA, BEN]);
    world.send(SERVER);
    world.send("SOUTH/A");
    world.process();
    let south = world.at("SOUTH/A").name.clone();
    for message in world.network.pending(&south) {
        world.network.lose(&south, &message);
    }
    world.apply("SOUTH/A");
    assert!(world.at("SOUTH/A").list().is_empty());
    world.cycle();
    assert_eq!(world.converged().len(), 2);
}

/// In continuous mode each move of the list is told once to whoever can go on from its point. A whole
/// list travels when it is asked for, not again with every change.
#[test]
fn what_is_told_unasked_are_changes_and_each_once() {
    let mut world = World::new(&["SOUTH/A", "WEST/B"]);
    world.at(SERVER).import(&[ANA]);
    world.send(SERVER);
    world.send("SOUTH/A");
    world.process_unasked();
    world.apply("SOUTH/A");
    // The server has not heard what was applied: all that it knows of this list is that it was empty.
    let changes = [ANA, BEN, ("3", "Eve Roe", "SMTP:eve@north.example", "1")];
    world.at(SERVER).import(&changes[..2]);
    world.send(SERVER);
    assert_eq!(world.process_unasked().messages, 1, "the answer to the server's own request");
    world.send("SOUTH/A");
    world.process_unasked();
    world.apply("SOUTH/A");
    world.send("SOUTH/A");
    world.process_unasked();
    world.apply("SOUTH/A");
    world.at(SERVER).import(&changes);
    world.send(SERVER);
    assert_eq!(world.process_unasked().messages, 2, "that answer, and who can go on is told");
    assert_eq!(world.process_unasked().messages, 0, "each move once");
    world.apply("SOUTH/A");
    assert_eq!(world.at("SOUTH/A").list().len(), 3, "without being asked for");
}

/// In continuous mode nobody asks without need: a new life of the server, and the end of its recovery,
/// are told to everybody, and each once.
#[test]
fn a_new_life_and_the_end_of_its_recovery_are_announced_once() {
    let postoffices = [SERVER, "SOUTH/A", "WEST/B"];
    let mut world = World::new(&postoffices[1..]);
    world.at(SERVER).import(&[ANA]);
    for _ in 0..3 {
        world.cycle();
    }
    assert_eq!(world.process_unasked().messages, 0, "there is nothing to tell");

    world.at(SERVER).begin_anew().unwrap();

    assert_eq!(world.process_unasked().messages, 3, "the new life");
    assert_eq!(world.process_unasked().messages, 0, "once");
    for name in postoffices {
        world.apply(name);
        let state = world.at(name).store.begin().unwrap().requestor().unwrap();
        assert!(state.request_due, "{name} speaks in it");
        world.send(name);
    }
    world.process_unasked();
    let recovers = |world: &mut World| {
        world.at(SERVER).store.begin().unwrap().server().unwrap().unwrap().recovering
    };
    assert!(recovers(&mut world), "its own postoffice has to merge first");
    for name in postoffices {
        world.apply(name);
    }
    world.send(SERVER);
    assert_eq!(world.process_unasked().messages, 3, "an answer, and the end of the recovery");
    assert!(!recovers(&mut world));
    assert_eq!(world.process_unasked().messages, 0, "once");
}
