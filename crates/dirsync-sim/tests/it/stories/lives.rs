//! Restores, clones, moves, and clocks.

use super::{lists, owns, published_change};
use dirsync_sim::check::published;
use dirsync_sim::naming::{change_of, entry};
use dirsync_sim::world::{LENIENT, World};

#[test]
fn server_restored_and_overtaken() {
    let mut world = World::new("ABC");
    world.run("go A1; go B1; go C1; backup s1; B1 +b1; go B1; go A1; restore s1");
    world.run("C1 +c1; C1 +c2; go C1");
    let lost = world.state("A1").point.unwrap().srv_seq;
    assert!(world.server_state("s1").head > lost, "it has issued more than was lost");
    world.run("go A1");
    assert!(world.said("s1", "S14"));
    assert!(lists(&mut world, "A1", "b1"), "A keeps what the server lost");
    world.settle();
    assert!(published_change(&mut world, "b1").is_some());
}

#[test]
fn requestor_restored_reuses_numbers() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; backup A1; A1 +a2; go A1; restore A1; A1 ~a1");
    let change = world.ghost.change;
    assert_eq!(world.state("A1").req_seq, world.registration("s1", "A").acknowledged, "used twice");
    world.settle();
    assert_eq!(published_change(&mut world, "a1"), Some(change), "the change is not skipped");
    assert!(owns(&mut world, "A1", "a2"), "and what a lost life made is adopted");
}

#[test]
fn hub_restored_without_begging() {
    let mut world = World::new("ABC");
    world.run("A1 +a1; B1 +b1; go A1; go B1; go C1; backup s1");
    world.run("A1 +a2; B1 +b2; A1 ~a1; B1 -b1; C1 +c1; go A1; go B1; go C1; go A1; go B1; go C1");
    world.run("restore s1");
    world.settle();
    for key in ["a1", "a2", "b2", "c1"] {
        for machine in ["A1", "B1", "C1"] {
            assert!(lists(&mut world, machine, key), "{key} at {machine}");
        }
    }
    assert!(!lists(&mut world, "C1", "b1"));
}

#[test]
fn cloned_machine_is_detected() {
    let mut world = World::new("AB");
    world.run("A1 +a1; go A1; clone A1; A1 +a2; A2 ~a1; A2 +a3");
    world.settle();
    let live = world.live_machines("A");
    let fenced = if live == ["A1"] { "A2" } else { "A1" };
    let unsent = if fenced == "A1" { "a2" } else { "a3" };
    assert!(owns(&mut world, fenced, unsent), "it keeps its changes");
    assert!(world.said(fenced, "R4"), "and says so");
    world.rejoin(fenced);
    world.settle();
    assert_eq!(world.live_machines("A"), [fenced], "the other one is fenced now");
    for key in ["a1", "a2", "a3"] {
        assert!(owns(&mut world, fenced, key) && published_change(&mut world, key).is_some());
    }
}

/// A twin changes an entry and changes it back: the content that the other twin merged with is there
/// again, with later stamps.
#[test]
fn a_twin_that_changed_back_does_not_stop_the_other() {
    let mut world = World::new("A");
    world.run("A1 +a1; go A1; clone A1; A2 ~a1");
    let first = world.read("A1", |tables| tables.own(dirsync_sim::naming::entry("a1"))).unwrap();
    world.run("req A1; req A2; t2 A; t2 A; an A; t3 A2; req A2; t2 A; an A; t3 A2");
    assert!(matches!(world.state("A2").mode, dirsync_protocol::tables::Mode::Resubmitting { .. }));
    world.run("A1 ~a1; req A1; t2 A");
    world.change("A1", |changes| changes.put(first).unwrap());
    world.run("req A1; t2 A");
    world.settle();
}

#[test]
fn wrong_clock_does_no_harm() {
    const TEN_YEARS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;
    let outcome = |skews: &[(&str, i64)]| {
        let mut world = World::new("ABC");
        skews.iter().for_each(|(at, skew)| world.site(at).skew = *skew);
        world.run(
            "A1 +a1@x; go A1; B1 +b1@x; B1 +b2; go B1; C1 +c1; go C1; A1 ~a1; go A1; B1 -b2; go B1; \
             backup s1; C1 ~c1; go C1; A1 release a1 B; go A1; restore s1; go B1; go A1; go B1",
        );
        world.settle();
        world.run("B1 claim a1; go B1; go A1; go A1; B1 ~a1; go B1");
        world.settle();
        published(world.site("s1"))
            .into_iter()
            .map(|(id, (owner, record))| (id, owner, change_of(&record)))
            .collect::<Vec<_>>()
    };
    let right = outcome(&[]);
    for at in ["A1", "B1", "C1", "s1"] {
        for skew in [TEN_YEARS, -TEN_YEARS] {
            assert_eq!(outcome(&[(at, skew)]), right, "{at} {skew}");
        }
    }
    let both = [("A1", TEN_YEARS), ("B1", -TEN_YEARS), ("s1", TEN_YEARS), ("C1", -TEN_YEARS)];
    assert_eq!(outcome(&both), right);
}

/// A clock that goes back does not make later changes older.
#[test]
fn a_clock_that_goes_back_loses_no_change() {
    let mut world = World::new("A");
    world.run("A1 +a1; go A1");
    world.site("A1").skew = -1_000_000_000;
    world.run("A1 ~a1; go A1");
    let change = world.ghost.change;
    assert_eq!(published_change(&mut world, "a1"), Some(change));
    assert!(!world.said("s1", "S13b"));
    world.settle();
}

#[test]
fn a_move_that_loses_nothing_costs_requestors_nothing() {
    let mut world = World::new("AB");
    world.setup.guard = LENIENT;
    world.run("A1 +a1; go A1; go B1; move; A1 ~a1; req A1; t2 A s2; an A s2; t3 A1");
    world.run("req B1; t2 B s2; an B s2");
    let update = world.last_letter();
    assert!(update.text().contains(" M a1"), "a delta across the epochs: {}", update.text());
    world.run("t3 B1");
    assert_eq!(world.times("B4"), 0);
    world.settle();
}

/// A failover while the old server runs on, which then admits a postoffice that the new one has never
/// heard of: who was told of its entries by the old one does not wait for it. The old server has to be
/// stopped before the promotion.
#[test]
fn open_finding_first_contact_with_a_server_that_was_replaced() {
    let trace = "req A1; req A1; t2 A 1; standby; an A; promote; t2 A; B1 +b2; req B1; t2 B; \
                 an A; t3 A1 1; an A s2; t3 A1 1; an B; t3 B1";
    let run = |known: bool| {
        let mut world = World::new("AB");
        world.run(trace);
        assert!(world.ghost.split.contains(&entry("b2")));
        if !known {
            world.ghost.split.clear();
        }
        (world.try_settle(true), world)
    };
    let (found, _) = run(false);
    let found = found.expect_err("the finding is closed: make it a conversation");
    assert!(found.starts_with("I6: b2 vanished"), "{found}");
    let (settled, mut world) = run(true);
    settled.expect("it comes back");
    assert!(published(world.site("s2")).contains_key(&entry("b2")), "nothing is lost");
}
