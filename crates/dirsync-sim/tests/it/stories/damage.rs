//! Lists and messages that were damaged.

use dirsync_message::BodyKind;
use dirsync_protocol::requestor::verify_list;
use dirsync_protocol::tables::ListPlace;

use super::lists;
use dirsync_sim::check::list_of;
use dirsync_sim::naming::own_row;
use dirsync_sim::naming::{entry, record};
use dirsync_sim::network::{Letter, Listed, Parts};
use dirsync_sim::step::Trouble;
use dirsync_sim::world::World;

/// Changes a row of a machine's list behind the protocol's back.
fn flip(world: &mut World, machine: &str, key: &str) {
    world.run_at(machine, |tables, _| {
        let mut row = tables.list_row(ListPlace::Live, entry(key)).unwrap().unwrap();
        row.record.details = row.record.details.replace("Pilot", "Pilou");
        tables.put_list_row(ListPlace::Live, &row.as_ref()).unwrap();
    });
    world.ghost.faulty = true;
}

fn verify(world: &mut World, machine: &str) -> bool {
    world.run_at(machine, |tables, context| verify_list(tables, context).unwrap())
}

#[test]
fn equal_numbers_are_not_equal_lists() {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 +a2; go A1; go B1");
    assert!(verify(&mut world, "B1"));
    flip(&mut world, "B1", "a1");
    assert!(!verify(&mut world, "B1"), "a flipped byte is found");
    world.run("go B1");
    assert!(verify(&mut world, "B1"));
    assert_eq!(world.times("B4"), 1);
    world.run("req B1; t2 B; an B");
    assert!(world.last_letter().update().body.is_none(), "one repair, no more");
    world.settle();
}

/// Changes a row, and lets its machine not say so.
pub(super) fn differs_unnoticed(world: &mut World, machine: &str, key: &str) {
    flip(world, machine, key);
    assert!(!verify(world, machine));
    world.run_at(machine, |tables, _| {
        let mut state = tables.requestor().unwrap();
        state.list_bad = false;
        tables.put_requestor(&state).unwrap();
    });
}

/// The server compares what a requestor holds with what it issued there, and needs no hint.
#[test]
fn a_list_that_differs_is_found_by_its_digest_alone() {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 +a2; go A1; go B1");
    differs_unnoticed(&mut world, "B1", "a1");
    world.run("go B1");
    assert!(verify(&mut world, "B1"));
    assert_eq!(world.times("B4"), 1);
    world.settle();
}

/// The letter with its body cut at every byte, each with a hash that is right, and with its file cut.
fn every_cut(letter: &Letter) -> Vec<Letter> {
    let text = letter.text();
    let bodies = (0..text.len()).map(|length| letter.with_body(&text.as_bytes()[..length]));
    let files = (0..letter.file.len()).map(|length| {
        let mut cut = letter.clone();
        cut.file.truncate(length);
        cut
    });
    bodies.chain(files).collect()
}

/// A list of so many entries that its buckets are worth asking for.
pub(super) fn large(count: usize) -> World {
    let mut world = World::new("AB");
    for number in 0..count {
        let key = format!("a{number}");
        let change = world.ghost.next_change("A");
        world.ghost.allow(&key, entry(&key), "A");
        let row = own_row(&key, record(&[&key], false, change));
        world.change("A1", |changes| changes.put(row).unwrap());
    }
    world.run("go A1; go B1");
    world
}

#[test]
fn a_large_list_is_repaired_by_buckets() {
    for parts in [Parts::One, Parts::Each] {
        let mut world = large(600);
        flip(&mut world, "B1", "a77");
        assert!(!verify(&mut world, "B1"));
        world.run("req B1; t2 B");
        world.answer("s1", &["B".into()], parts, Trouble::None).unwrap();
        let repair = world.network.letters()[0].update();
        assert!(matches!(repair.body.unwrap().kind, BodyKind::Repair { .. }));
        assert!(world.network.letters()[0].named().len() < 400, "only some buckets are sent");
        let old = list_of(world.site("B1"));
        while !world.network.letters().is_empty() {
            world.run("t3 B1");
            let list = list_of(world.site("B1"));
            assert_eq!(list.len(), old.len(), "{parts:?}: nobody is missing in between");
        }
        assert!(verify(&mut world, "B1"));
        world.settle();
    }
}

/// The parts of a replace of B1's list of six entries, and the list that it replaces.
fn replace_in_parts() -> (World, Vec<Letter>, Listed) {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 +a2; A1 +a3; A1 +a4; A1 +a5; A1 +a6; go A1; go B1");
    flip(&mut world, "B1", "a3");
    assert!(!verify(&mut world, "B1"));
    let old = list_of(world.site("B1"));
    world.run("req B1; t2 B; an B each");
    let parts = world.network.take_all(false);
    assert_eq!(parts.len(), 6);
    (world, parts, old)
}

#[test]
fn short_replace_list_deletes_nothing() {
    let (mut world, parts, old) = replace_in_parts();
    let before = world.site("B1").copy();
    for lost in 0..parts.len() {
        world.sites.insert("B1".into(), before.copy());
        for (at, part) in parts.iter().enumerate().filter(|(at, _)| *at != lost) {
            world.deliver_update("B1", part, Trouble::None).unwrap();
            let list = list_of(world.site("B1"));
            assert!(list == old, "part {lost} is lost: the old list stands after part {at}");
        }
        assert!(!world.said("B1", "R18"), "what does not follow is not put together");
    }
    world.sites.insert("B1".into(), before.copy());
    for part in &parts {
        world.deliver_update("B1", part, Trouble::None).unwrap();
    }
    assert!(verify(&mut world, "B1"), "all parts make the list right");
    world.sites.insert("B1".into(), before);
    world.settle();
}

#[test]
fn a_message_cut_at_any_byte_changes_nothing() {
    let (mut world, _, old) = replace_in_parts();
    world.run("req B1; t2 B; an B");
    let whole = world.pop_letter();
    let before = world.site("B1").copy();
    for cut in every_cut(&whole) {
        assert!(world.take_update("B1", &cut).unwrap().refused, "cut at {}", cut.file.len());
        let same = world.site("B1").store.same_content(&before.store);
        assert!(same, "cut at {}", cut.file.len());
    }
    // A transaction is missing, and the trailer counts what is left.
    let text = whole.text();
    let mut groups: Vec<&str> = text.split_inclusive("-title/Pilot\n").collect();
    groups.remove(2);
    let short = groups.concat().replace("[END] 6", "[END] 5");
    let short = whole.with_body(short.as_bytes());
    assert_eq!(short.named().len(), 5);
    assert!(world.take_update("B1", &short).unwrap().digest_failed);
    assert!(list_of(world.site("B1")) == old);
    world.settle();
}

/// The list is as it was, with its old point: that alone would bring the same delta again.
#[test]
fn a_delta_that_did_not_match_is_followed_by_a_repair() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; A1 ~a1; go A1; req B1; t2 B; an B");
    let letter = world.pop_letter();
    let text = letter.text().replace("telephoneNumber/", "telephoneNumber/9");
    assert!(world.take_update("B1", &letter.with_body(text.as_bytes())).unwrap().digest_failed);
    world.ghost.faulty = true;
    world.run("go B1");
    assert_eq!(world.times("B4"), 1);
    world.settle();
}

#[test]
fn parts_in_any_order_lose_nothing() {
    let (mut world, mut parts, old) = replace_in_parts();
    parts.reverse();
    for part in &parts {
        world.deliver_update("B1", part, Trouble::None).unwrap();
        assert!(list_of(world.site("B1")) == old);
    }
    world.settle();
    let list = list_of(world.site("B1"));
    assert!(list.keys().eq(old.keys()));
}

/// A delta in parts is taken as it comes; what is there after a middle part is no view of the server.
#[test]
fn a_delta_in_parts_arrives() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; A1 +a2; A1 +a3; A1 -a1; go A1; req B1; t2 B; an B each");
    world.run("t3 B1; t3 B1; t3 B1");
    assert!(lists(&mut world, "B1", "a3") && !lists(&mut world, "B1", "a1"));
    world.settle();
}

#[test]
fn a_request_cut_at_any_byte_changes_nothing() {
    let mut world = World::new("A");
    world.run("A1 +a1; A1 +a2; go A1; A1 -a1; A1 ~a2; A1 +a3; req A1");
    let delta = world.pop_letter();
    let store = world.site("s1").copy();
    let mut again = World::new("A");
    again.run("A1 +a1; go A1; reinstall A1; A1 +a2; go A1; req A1");
    let full = again.pop_letter();
    for (world, letter) in [(&mut world, delta), (&mut again, full)] {
        let before = world.site("s1").copy();
        for cut in every_cut(&letter) {
            assert!(world.take_request("s1", &cut).unwrap().refused, "cut at {}", cut.file.len());
            let same = world.site("s1").store.same_content(&before.store);
            assert!(same, "cut at {}", cut.file.len());
        }
        world.deliver_request("s1", &letter, Trouble::None).unwrap();
        assert!(!world.said("s1", "S10"), "the whole message is not a repeated one");
    }
    assert!(!world.site("s1").store.same_content(&store.store));
    again.settle();
}

#[test]
fn a_delta_in_parts_out_of_order_is_a_gap_and_no_damage() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; A1 +a2; A1 +a3; A1 +a4; go A1; req B1; t2 B; an B each");
    world.run("t3 B1 2; t3 B1 1; t3 B1");
    assert!(world.said("B1", "R14") && !world.said("B1", "R18"));
    assert!(lists(&mut world, "B1", "a2") && !lists(&mut world, "B1", "a4"));
    world.settle();
}
