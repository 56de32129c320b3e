//! New entries whose addresses entries of others have: a few wait at the server, many wait for a person.

use std::ops::Range;

use dirsync_agent::changes::{ReadReport, ReadSettings, approve, reject, undo};
use dirsync_directory::EntryId;
use dirsync_store::Store;
use dirsync_testing::rows::{postoffice, record};
use dirsync_testing::{SERVER, TestPostoffice, World};

use crate::sources::{SOUTH, by_hand, held, own};

const NORTH: &str = "NORTH/A";
const EAST: &str = "EAST/A";

/// SOUTH and EAST know thirty people of NORTH, and have nobody themselves.
fn world() -> World {
    let mut world = World::new(&[NORTH, SOUTH, EAST]);
    assert_eq!(feed(world.at(NORTH), "north", 0..30, "1").added, 30);
    world.cycle();
    world.cycle();
    assert_eq!(world.at(SOUTH).list().len(), 30);
    world
}

/// Reads a whole source with a person of each number; the keys and the phones are those of the postoffice,
/// the addresses are the same everywhere.
fn feed(postoffice: &mut TestPostoffice, key: &str, people: Range<u32>, phone: &str) -> ReadReport {
    let rows = people.map(|number| {
        let address = format!("SMTP:person{number}@x.example");
        let details = format!("telephoneNumber/{phone}\n");
        (format!("{key}{number:03}"), record(&format!("Person {number}"), &address, &details))
    });
    let rows: Vec<_> = rows.collect();
    let settings = ReadSettings { source: "hr".into(), whole: true, ..ReadSettings::default() };
    postoffice.read(settings, rows, true).unwrap()
}

fn kinds(postoffice: &mut TestPostoffice) -> Vec<String> {
    held(postoffice).into_iter().map(|(kind, ..)| kind).collect()
}

fn decide(postoffice: &mut TestPostoffice, approved: bool) -> u64 {
    postoffice
        .transact(|tables, context, _| match approved {
            true => approve(tables, context.now, None),
            false => reject(tables, None),
        })
        .unwrap()
}

#[test]
fn people_of_others_in_a_file_wait_for_a_person() {
    let mut world = world();
    let report = feed(world.at(SOUTH), "s", 18..60, "1");
    assert_eq!((report.added, report.held), (30, 12));
    assert!(report.warnings[0].starts_with("12 of 42 new entries have addresses"), "{report:?}");
    assert_eq!(kinds(world.at(SOUTH)), ["taken"; 12]);
    assert_eq!(own(world.at(SOUTH)).len(), 30, "the others are not delayed");
    world.cycle();
    world.cycle();
    assert_eq!(world.at(NORTH).list().len(), 60);
    // The same file again, and another site that was not asked: nothing changes.
    let report = feed(world.at(SOUTH), "s", 18..60, "1");
    assert_eq!((report.added, report.held, report.unchanged), (0, 12, 30));
    assert_eq!(feed(world.at(EAST), "e", 60..90, "1").held, 0);
    assert_eq!(decide(world.at(SOUTH), true), 12);
    assert_eq!(own(world.at(SOUTH)).len(), 42);
    let report = feed(world.at(SOUTH), "s", 18..60, "1");
    assert_eq!((report.unchanged, report.held), (42, 0), "they are entries like the others");
}

/// A deletion that was not sent yet is sent, also if the entry came back meanwhile and is held.
#[test]
fn an_addition_that_is_taken_back_leaves_the_deletion_before_it() {
    let mut world = world();
    let south = world.at(SOUTH);
    feed(south, "s", 18..60, "1");
    decide(south, true);
    world.cycle();
    world.cycle();
    let south = world.at(SOUTH);
    assert_eq!(feed(south, "s", 30..60, "1").held_removals, 12);
    decide(south, true);
    assert_eq!(feed(south, "s", 18..60, "1").held, 12);
    let id = EntryId::derive(&postoffice(SOUTH), "s018");
    assert!(south.store.begin().unwrap().own_tombstone(id).unwrap().is_some());
    world.cycle();
    let waiting = world.at(SERVER).store.begin().unwrap().unsettled_counts().unwrap();
    assert!(waiting.iter().all(|counts| counts.waiting == 0), "{waiting:?}");
}

#[test]
fn an_approved_addition_waits_again_if_it_is_undone_before_it_is_sent() {
    let mut world = world();
    let south = world.at(SOUTH);
    assert_eq!(feed(south, "s", 18..60, "1").held, 12);
    let waiting = held(south);
    assert_eq!(decide(south, true), 12);
    let newest = |south: &mut TestPostoffice| {
        south.store.begin().unwrap().runs(u64::MAX, 1).unwrap()[0].number
    };
    let run = newest(south);
    let report = south.transact(|tables, context, _| undo(tables, context.now, run)).unwrap();
    assert_eq!((report.held_again, report.removed, report.sent), (12, 0, 0));
    assert!(report.held.is_empty(), "the guard holds the source's rows");
    assert_eq!((held(south), own(south).len()), (waiting.clone(), 30));
    let report = feed(south, "s", 18..60, "1");
    assert_eq!((report.held, report.added, report.undone), (12, 0, None));
    assert_eq!(held(south), waiting);
    // Once they are sent, they are deleted, and the source is held.
    assert_eq!(decide(south, true), 12);
    world.cycle();
    let south = world.at(SOUTH);
    let run = newest(south);
    let report = south.transact(|tables, context, _| undo(tables, context.now, run)).unwrap();
    assert_eq!((report.held_again, report.removed, report.sent), (0, 12, 12));
    assert_eq!(report.held, ["hr"]);
}

/// A new site that reads the wrong file before it has a list.
#[test]
fn a_first_read_is_compared_with_the_first_list() {
    let mut world = World::new(&[NORTH, SOUTH, EAST]);
    feed(world.at(NORTH), "north", 0..30, "1");
    world.send(NORTH);
    world.process();
    for (site, key, people) in [(SOUTH, "s", 18..60), (EAST, "e", 100..130)] {
        let report = feed(world.at(site), key, people.clone(), "1");
        assert_eq!((report.added as usize, report.held), (people.len(), 0), "nobody knows yet");
    }
    world.cycle();
    assert_eq!(kinds(world.at(SOUTH)), ["taken"; 12]);
    assert_eq!(kinds(world.at(EAST)), [""; 0], "nobody has addresses of others");
    // The same file, before and after the server has heard of it.
    for _ in 0..2 {
        let report = feed(world.at(SOUTH), "s", 18..60, "1");
        assert_eq!((report.added, report.held, report.unchanged), (0, 12, 30));
        world.cycle();
        world.cycle();
    }
    let waiting = world.at(SERVER).store.begin().unwrap().unsettled_counts().unwrap();
    assert!(waiting.iter().all(|counts| counts.waiting == 0), "{waiting:?}");
    assert_eq!(world.converged().len(), 90);
    assert_eq!(decide(world.at(SOUTH), true), 12);
    assert_eq!(own(world.at(SOUTH)).len(), 42);
    world.cycle();
    world.cycle();
    assert_eq!((kinds(world.at(SOUTH)).len(), own(world.at(SOUTH)).len()), (0, 42), "once");
}

#[test]
fn a_few_addresses_of_others_hold_nobody() {
    let mut world = world();
    let report = feed(world.at(SOUTH), "s", 20..60, "1");
    assert_eq!((report.added, report.held), (40, 0), "ten are not more than ten");
    let report = feed(world.at(EAST), "e", 19..200, "1");
    assert_eq!((report.added, report.held), (181, 0), "eleven of 181 are not more than 10 %");
}

#[test]
fn half_of_a_small_file_is_too_many() {
    let mut world = world();
    assert_eq!(feed(world.at(SOUTH), "s", 27..33, "1").held, 3);
    assert_eq!(feed(world.at(EAST), "e", 28..32, "1").held, 0, "two are never too many");
}

#[test]
fn rejected_people_stay_out_until_the_file_says_something_else_of_them() {
    let mut world = world();
    let south = world.at(SOUTH);
    assert_eq!(feed(south, "s", 18..60, "1").held, 12);
    assert_eq!(decide(south, false), 12);
    let report = feed(south, "s", 18..60, "1");
    assert_eq!((report.unchanged, report.added, report.held), (42, 0, 0));
    // So few that they would not be held.
    let report = feed(south, "s", 25..60, "1");
    assert_eq!((report.unchanged, report.added, report.held), (35, 0, 0));
    let report = feed(south, "s", 25..60, "2");
    assert_eq!((report.changed, report.added, report.held), (30, 5, 0));
}

#[test]
fn a_case_ends_when_the_address_is_given_up() {
    let mut world = world();
    assert_eq!(feed(world.at(SOUTH), "s", 18..60, "1").held, 12);
    let report = feed(world.at(NORTH), "north", 0..18, "1");
    assert_eq!(report.held_removals, 12);
    decide(world.at(NORTH), true);
    world.cycle();
    world.cycle();
    let report = feed(world.at(SOUTH), "s", 18..60, "1");
    assert_eq!((report.added, report.held), (12, 0));
    assert_eq!(kinds(world.at(SOUTH)), [""; 0]);
}

/// The key of a held row may be used by a person meanwhile: the case is closed with that.
#[test]
fn an_entry_by_hand_ends_the_case_of_its_key() {
    let mut world = world();
    let south = world.at(SOUTH);
    assert_eq!(feed(south, "s", 18..60, "1").held, 12);
    by_hand(south, "s018", "7").unwrap();
    assert_eq!(kinds(south).len(), 11);
    assert_eq!(decide(south, true), 11);
    assert_eq!(own(south)["s018"], ("7".into(), "hand".into()));
}

#[test]
fn a_row_twice_is_not_held_as_an_addition() {
    let mut world = world();
    let south = world.at(SOUTH);
    let row = |number: u32| {
        let address = format!("SMTP:person{number}@x.example");
        (format!("s{number}"), record("Person", &address, ""))
    };
    let settings = ReadSettings { source: "hr".into(), whole: true, ..ReadSettings::default() };
    let rows = (0..5).map(row).chain([row(0), row(1)]);
    let report = south.read(settings, rows.collect::<Vec<_>>(), true).unwrap();
    assert_eq!((report.quarantined, report.held, report.added), (4, 3, 0));
}
