//! Entries that cannot be published as they are.

use dirsync_directory::Record;
use dirsync_message::{BodyKind, OutcomeKind};
use dirsync_protocol::tables::ListPlace;

use super::{lists, published_change, told};
use dirsync_sim::naming::own_row;
use dirsync_sim::naming::{entry, record};
use dirsync_sim::world::World;

type Breaking = (&'static str, fn(&mut Record));

/// What can be wrong with a record whose form is right.
const WRONG: [Breaking; 5] = [
    ("kind", |record| record.kind = "robot".into()),
    ("address", |record| record.addresses = "no address".into()),
    ("twice", |record| record.addresses = "SMTP:q@n.example\tSMTP:Q@n.example".into()),
    ("line", |record| record.details = format!("?x\n{}", record.details)),
    ("escape", |record| record.details = record.details.replace("Pilot", "Pil\\ot")),
];

fn put(world: &mut World, key: &str, change_it: impl FnOnce(&mut Record)) {
    let change = world.ghost.next_change("A");
    world.ghost.allow(key, entry(key), "A");
    let mut record = record(&[key], false, change);
    change_it(&mut record);
    world.put("A1", own_row(key, record));
}

fn is_invalid(told: &[OutcomeKind]) -> bool {
    matches!(told, [OutcomeKind::Invalid { reason }] if !reason.is_empty())
}

#[test]
fn one_bad_entry_stops_nothing() {
    for (what, break_it) in WRONG {
        for bad in 0..4 {
            let mut world = World::new("AB");
            for number in 0..4 {
                let key = format!("a{number}");
                put(&mut world, &key, |record| {
                    if number == bad {
                        break_it(record)
                    }
                });
            }
            world.run("go A1; go B1");
            for number in 0..4 {
                let key = format!("a{number}");
                assert_eq!(lists(&mut world, "B1", &key), number != bad, "{what} {bad} {key}");
            }
            let state = world.state("A1");
            assert_eq!(state.req_sync, state.req_seq, "{what}: the numbers advance");
            let key = format!("a{bad}");
            assert!(is_invalid(&told(&mut world, "A1", &key)), "{what}");
            world.settle();
            put(&mut world, &key, |_| {});
            world.run("go A1; go B1");
            assert!(lists(&mut world, "B1", &key) && told(&mut world, "A1", &key).is_empty());
            assert_eq!(world.times("S13c"), 0, "{what}");
            world.settle();
        }
    }
}

/// An entry that was good stays published as it was; the bad version is kept as it came.
#[test]
fn a_bad_version_of_a_good_entry_waits_behind_it() {
    for (what, break_it) in WRONG {
        let mut world = World::new("AB");
        put(&mut world, "a1", |_| {});
        world.run("go A1; go B1");
        let good = world.ghost.change;
        put(&mut world, "a1", break_it);
        world.run("req A1");
        assert!(world.last_letter().text().contains(" M"), "{what}: it travels as an M");
        world.run("t2 A; an A; t3 A1; go B1");
        assert_eq!(world.times("S13c"), 0, "{what}: kept raw, so the digests agree");
        assert_eq!(published_change(&mut world, "a1"), Some(good), "{what}");
        assert!(is_invalid(&told(&mut world, "A1", "a1")), "{what}");
        world.settle();
        put(&mut world, "a1", |_| {});
        world.run("go A1; go B1");
        assert_eq!(published_change(&mut world, "a1"), Some(world.ghost.change), "{what}");
        assert!(told(&mut world, "A1", "a1").is_empty(), "{what}");
        world.settle();
    }
}

/// A line that this version does not know, in an update of a newer server: the row keeps it, or the
/// update is not taken. Nothing in between.
#[test]
fn an_unknown_line_of_an_update_damages_no_row() {
    let mut world = World::new("AB");
    put(&mut world, "a1", |_| {});
    world.run("go A1; go B1");
    put(&mut world, "a1", |_| {});
    world.run("go A1; req B1; t2 B; an B");
    let letter = world.pop_letter();
    assert!(matches!(letter.update().body.unwrap().kind, BodyKind::Delta));
    let text = letter.text().replace("[END]", "?shoe size\n[END]");
    let odd = letter.with_body(text.as_bytes());
    let before = world.site("B1").copy();
    assert!(world.take_update("B1", &odd).unwrap().digest_failed);
    let row = |world: &mut World| {
        world.read("B1", |tables| tables.list_row(ListPlace::Live, entry("a1"))).unwrap()
    };
    assert!(row(&mut world).record.as_ref().check().is_ok(), "the old row stands");
    // The same from a server that has the line in its digest.
    world.sites.insert("B1".into(), before);
    let mut update = letter.update();
    let list = update.body.as_mut().unwrap();
    let mut expected = row(&mut world);
    let change = world.ghost.change;
    let with_line = record(&["a1"], false, change);
    expected.record = Record { details: format!("?shoe size\n{}", with_line.details), ..with_line };
    let element =
        dirsync_directory::list_element(expected.id, &expected.owner, expected.record.as_ref());
    list.digest = Some(dirsync_directory::SetDigest::one(element));
    let newer = odd.with_head(update.to_text());
    assert!(world.take_update("B1", &newer).unwrap().list_changed);
    assert_eq!(row(&mut world).record, expected.record, "kept as it came");
}
