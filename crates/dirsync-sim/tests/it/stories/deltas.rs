//! How much travels.

use super::lists;
use dirsync_sim::naming::own_row;
use dirsync_sim::naming::{entry, postoffice, record};
use dirsync_sim::world::World;

/// The lines of a body between its first and last one.
fn lines(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    lines[1..lines.len() - 1].to_vec()
}

#[test]
fn a_changed_phone_travels_as_a_phone() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; A1 ~a1; req A1");
    let change = world.ghost.change;
    let phone = format!("-telephoneNumber/{change}");
    let text = world.last_letter().text();
    let [origin, head, detail] = lines(&text)[..] else { panic!("{text}") };
    assert_eq!((origin, detail), ("*N/A", phone.as_str()));
    assert!(head.ends_with(" M a1"), "{head}");
    world.run("t2 A; an A; t3 A1; req B1; t2 B; an B");
    let text = world.last_letter().text();
    let [_, head, detail] = lines(&text)[..] else { panic!("{text}") };
    assert!(head.ends_with(" M a1") && detail == phone, "{text}");
    world.run("t3 B1");
    world.settle();
}

#[test]
fn many_changes_of_one_entry_travel_once() {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 +a2; go A1; go B1");
    for _ in 0..20 {
        world.run("A1 ~a1");
    }
    world.run("req A1");
    assert_eq!(world.last_letter().named(), [entry("a1")]);
    world.run("t2 A; an A; t3 A1; req B1; t2 B; an B");
    assert_eq!(world.last_letter().named(), [entry("a1")]);
    world.run("t3 B1; req B1; t2 B; an B");
    assert!(world.last_letter().named().is_empty(), "and nothing when nothing changed");
    world.settle();
}

#[test]
fn an_attribute_that_was_emptied_is_emptied_everywhere() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1");
    let change = world.ghost.next_change("A");
    let mut without_title = record(&["a1"], false, change);
    without_title.details = without_title.details.replace("title/Pilot\n", "");
    world.put("A1", own_row("a1", without_title.clone()));
    world.run("go A1; go B1");
    let row = world.read("B1", |tables| {
        tables.list_row(dirsync_protocol::tables::ListPlace::Live, entry("a1"))
    });
    assert_eq!(row.unwrap().record, without_title);
    assert!(!world.said("B1", "R18") && !world.said("s1", "S13c"));
    world.settle();
}

#[test]
fn rename_keeps_identity() {
    let mut world = World::new("AB");
    world.run("A1 +a1@x; go A1; go B1; req A1; t2 A; an A; t3 A1");
    let change = world.ghost.next_change("A");
    let mut renamed = record(&["new", "x"], false, change);
    renamed.name = "Ana Lima".into();
    world.put("A1", own_row("a1", renamed.clone()));
    world.run("req A1");
    let text = world.last_letter().text();
    assert!(text.contains(" M a1\tAna Lima\tSMTP:new@n.example\tSMTP:x@n.example\n"), "{text}");
    world.run("t2 A; an A; t3 A1; go B1");
    let row = world.read("B1", |tables| {
        tables.list_row(dirsync_protocol::tables::ListPlace::Live, entry("a1"))
    });
    assert_eq!(row.unwrap().record, renamed, "the same id, and the old address as alias");
    world.settle();
}

#[test]
fn a_postoffice_that_was_installed_again_makes_the_same_ids() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; go B1; reinstall A1; A1 +a1; go A1; go A1; go A1; go B1");
    assert!(lists(&mut world, "B1", "a1"));
    world.settle();
}

#[test]
fn a_hidden_attribute_never_travels() {
    let mut world = World::new("AB");
    let seen: dirsync_directory::View = "attributes\tou\ttitle\n".parse().unwrap();
    let allow = |world: &mut World, view: dirsync_directory::View| {
        world.run_at("s1", |tables, _| {
            let mut registration = tables.registration(&postoffice("B")).unwrap().unwrap();
            registration.view_allowed = view;
            tables.put_registration(&registration).unwrap();
        });
    };
    allow(&mut world, seen);
    world.run("B1 view all; A1 +a1; go A1; req B1; t2 B; an B");
    let text = world.last_letter().text();
    assert!(text.contains("-title/Pilot") && !text.contains("telephoneNumber"), "{text}");
    world.run("t3 B1; A1 ~a1; go A1; req B1; t2 B; an B");
    assert!(world.last_letter().named().is_empty(), "nothing that it may see changed");
    world.run("t3 B1");
    allow(&mut world, dirsync_directory::View::default());
    world.run("go B1");
    let change = world.ghost.change;
    let row = world.read("B1", |tables| {
        tables.list_row(dirsync_protocol::tables::ListPlace::Live, entry("a1"))
    });
    assert_eq!(row.unwrap().record, record(&["a1"], false, change), "allowed, it comes by itself");
    assert_eq!(world.times("B4") + world.times("R18"), 0);
    world.settle();
}

/// Publication is a difference: whatever is submitted again, an unchanged entry keeps its number.
#[test]
fn what_is_submitted_again_is_not_published_again() {
    let mut world = World::new("AB");
    world.run("A1 +a1; A1 +a2; go A1; go B1");
    let head = world.server_state("s1").head;
    world.run("reinstall A1");
    world.settle();
    assert!(world.said("s1", "S8"));
    assert_eq!(world.server_state("s1").head, head);
}
