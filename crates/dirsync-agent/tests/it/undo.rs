//! Runs that are undone: by hand, of sources, and of what a person approved.

use dirsync_agent::changes::{
    ReadReport, UndoKind, UndoReport, approve, delete_by_hand, go_on, newest_in_force, undo,
};
use dirsync_directory::EntryId;
use dirsync_message::ReqSeq;
use dirsync_protocol::requestor::{forget_runs, release};
use dirsync_protocol::tables::{Run, RunKind};
use dirsync_store::Store;
use dirsync_testing::rows::{people, postoffice};
use dirsync_testing::{DAY_MS, TestPostoffice, World};

use crate::sources::{SOUTH, by_hand, held, own, read_rows, source};

fn newest(postoffice: &mut TestPostoffice) -> Run {
    let mut tables = postoffice.store.begin().unwrap();
    tables.runs(u64::MAX, 1).unwrap().remove(0)
}

fn in_force(postoffice: &mut TestPostoffice) -> Option<u64> {
    let mut tables = postoffice.store.begin().unwrap();
    newest_in_force(&mut *tables).unwrap().map(|run| run.number)
}

fn undone(postoffice: &mut TestPostoffice, run: u64) -> Result<UndoReport, String> {
    let done = postoffice.transact(|tables, context, _| undo(tables, context.now, run));
    done.map_err(|error| error.to_string())
}

fn counts(report: &UndoReport) -> (u64, u64, u64, u64) {
    (report.returned, report.changed, report.removed, report.left)
}

fn hr(postoffice: &mut TestPostoffice, rows: &[(&str, &str)]) -> ReadReport {
    read_rows(postoffice, &[source("hr", true)], "hr", rows, true)
}

/// A world with a requestor whose source has named three people, and has since changed one, deleted one and
/// added one.
fn changed_by_hr() -> (World, u64) {
    let mut world = World::new(&[SOUTH, "SOUTH/B"]);
    world.cycle();
    let south = world.at(SOUTH);
    hr(south, &[("ana", "1"), ("ben", "1"), ("cara", "1")]);
    assert_eq!((newest(south).added, newest(south).kind), (3, RunKind::Read));
    world.cycle();
    let south = world.at(SOUTH);
    hr(south, &[("ana", "2"), ("ben", "1"), ("dora", "1")]);
    let run = newest(south);
    assert_eq!((run.added, run.changed, run.deleted, &*run.subject), (1, 1, 1, "hr"));
    world.cycle();
    world.cycle();
    (world, run.number)
}

#[test]
fn an_undone_read_is_put_back_under_the_same_ids_everywhere() {
    let (mut world, run) = changed_by_hr();
    let before = world.converged();
    let south = world.at(SOUTH);
    let cara = EntryId::derive(&postoffice(SOUTH), "cara");
    let deletion = south.store.begin().unwrap().own_tombstone(cara).unwrap().unwrap();
    let report = undone(south, run).unwrap();
    assert_eq!(counts(&report), (1, 1, 1, 0));
    assert_eq!(report.examples[&UndoKind::Returned][0].key, "cara");
    assert_eq!(report.held, ["hr"]);
    let people = own(south);
    assert_eq!(people.keys().collect::<Vec<_>>(), ["ana", "ben", "cara"]);
    assert_eq!(people["ana"], ("1".into(), "hr".into()));
    let back = south.store.begin().unwrap().own(cara).unwrap().unwrap();
    assert!(back.stamp > deletion.stamp, "an undo is a change of its own");
    world.cycle();
    world.cycle();
    let after = world.converged();
    assert_ne!(before, after);
    assert!(after.len() == 3 && after.iter().any(|line| line.contains("Person cara")), "{after:?}");

    // What was undone is not undone twice, and the undo can be undone.
    let south = world.at(SOUTH);
    assert!(undone(south, run).unwrap_err().contains("was undone"));
    assert_eq!(in_force(south), Some(run - 1), "the undo is not the one to undo");
    let again = undone(south, report.by.unwrap()).unwrap();
    assert_eq!((counts(&again), again.held.len()), ((1, 1, 1, 0), 0));
    world.cycle();
    world.cycle();
    assert_eq!(world.converged(), before);
    let south = world.at(SOUTH);
    assert_eq!(in_force(south), again.by, "what is done again is");
    assert!(undone(south, run).is_err());
    let third = undone(south, again.by.unwrap()).unwrap();
    assert_eq!((counts(&third), &*third.held), ((1, 1, 1, 0), &["hr".to_owned()] as &[_]));
    assert_eq!(own(south).keys().collect::<Vec<_>>(), ["ana", "ben", "cara"]);
}

#[test]
fn what_changed_since_is_left() {
    let (mut world, run) = changed_by_hr();
    let south = world.at(SOUTH);
    hr(south, &[("ana", "3"), ("ben", "1"), ("cara", "4"), ("dora", "5")]);
    let report = undone(south, run).unwrap();
    assert_eq!(counts(&report), (0, 0, 0, 3));
    assert_eq!((report.by, report.held.len()), (None, 0), "nothing was done");
    let left: Vec<_> = report.examples[&UndoKind::Left].iter().map(|left| &*left.key).collect();
    assert_eq!(left, ["ana", "cara", "dora"]);
    hr(south, &[("ana", "3"), ("ben", "1"), ("cara", "4")]);
    assert_eq!(counts(&undone(south, run).unwrap()), (0, 0, 0, 2), "dora is gone");
}

/// The runs of one entry are undone one after the other, the newest first; a deletion that a person made
/// since is not.
#[test]
fn what_an_undo_put_back_is_as_it_was() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let south = world.at(SOUTH);
    by_hand(south, "ana", "1").unwrap();
    let ana = EntryId::derive(&postoffice(SOUTH), "ana");
    let delete = |south: &mut TestPostoffice| {
        south.transact(|tables, context, _| delete_by_hand(tables, context.now, ana)).unwrap();
        newest(south).number
    };
    let first = delete(south);
    by_hand(south, "ana", "2").unwrap();
    let second = newest(south).number;
    undone(south, second).unwrap();
    assert_eq!(counts(&undone(south, first).unwrap()), (1, 0, 0, 0));
    assert_eq!(own(south)["ana"].0, "1");
    let third = delete(south);
    by_hand(south, "ana", "3").unwrap();
    delete(south);
    assert_eq!(counts(&undone(south, third).unwrap()), (0, 0, 0, 1), "deleted again since");
}

/// Nothing of a file that asks again for what was undone is taken, until it agrees.
#[test]
fn a_source_is_held_until_its_file_agrees() {
    let (mut world, run) = changed_by_hr();
    let south = world.at(SOUTH);
    let report = undone(south, run).unwrap();
    let as_undone = own(south);
    // The same file, one with another person besides, and those that ask for a part of it.
    for rows in [
        &[("ana", "2"), ("ben", "1"), ("dora", "1")] as &[_],
        &[("ana", "2"), ("ben", "1"), ("dora", "1"), ("eva", "1")],
        &[("ana", "1"), ("ben", "7"), ("cara", "1"), ("dora", "1")],
        &[("ana", "1"), ("ben", "7")],
        &[("ana", "9"), ("ben", "1"), ("cara", "1")],
    ] {
        let read = hr(south, rows);
        let asked = read.undone.as_ref().unwrap();
        assert_eq!((Some(asked.run), read.has_moved()), (report.by, false), "{rows:?}");
        assert!(asked.entries > 0 && read.needs_a_person() && read.reconciles());
        assert_eq!(own(south), as_undone, "{rows:?}");
    }
    // An incomplete read deletes nobody. Its rows are taken, and the source stays held.
    let partial = [("ana", "1"), ("eva", "1")];
    let read = read_rows(south, &[source("hr", true)], "hr", &partial, false);
    assert_eq!((read.added, read.undone), (1, None));
    assert!(hr(south, &[("ana", "2"), ("ben", "1"), ("eva", "1")]).undone.is_some());
    // It agrees, and the source is free again.
    let read = hr(south, &[("ana", "1"), ("ben", "7"), ("cara", "1"), ("eva", "1")]);
    assert_eq!((read.changed, read.unchanged, read.undone), (1, 3, None));
    let read = hr(south, &[("ana", "2"), ("ben", "7"), ("eva", "1")]);
    assert_eq!((read.changed, read.removed, read.undone), (1, 1, None));
}

#[test]
fn a_person_lets_a_held_source_go_on() {
    let (mut world, run) = changed_by_hr();
    let south = world.at(SOUTH);
    undone(south, run).unwrap();
    assert!(hr(south, &[("ana", "2"), ("ben", "1"), ("dora", "1")]).undone.is_some());
    let mut go = |name: &str| world.at(SOUTH).transact(|tables, _, _| go_on(tables, name)).unwrap();
    assert_eq!((go("other"), go("hr"), go("hr")), (false, true, false));
    let read = hr(world.at(SOUTH), &[("ana", "2"), ("ben", "1"), ("dora", "1")]);
    assert_eq!((read.added, read.changed, read.removed, read.undone), (1, 1, 1, None));
}

/// A source that names only some is held until it has named each of those that were put back.
#[test]
fn a_source_that_names_only_some_is_held_too() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let south = world.at(SOUTH);
    let part = |south: &mut TestPostoffice, rows: &[(&str, &str)]| {
        read_rows(south, &[source("part", false)], "part", rows, true)
    };
    part(south, &[("ana", "1"), ("ben", "1")]);
    part(south, &[("ana", "2"), ("ben", "2"), ("cara", "2")]);
    let run = newest(south).number;
    undone(south, run).unwrap();
    assert!(part(south, &[("cara", "2")]).undone.is_some());
    assert_eq!(part(south, &[("ana", "1"), ("dora", "1")]).undone, None);
    assert!(part(south, &[("ben", "2")]).undone.is_some(), "it has not named ben since");
    assert_eq!(part(south, &[("ana", "1"), ("ben", "1")]).undone, None);
    assert_eq!(part(south, &[("ben", "2")]).changed, 1);
}

/// A cut-off file, whose deletions a person approved. The guard would hold them again; so does the undo.
#[test]
fn an_approval_that_was_a_mistake_is_undone() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    world.at(SOUTH).import(&people(0..40));
    world.cycle();
    let before = world.converged();
    let south = world.at(SOUTH);
    assert_eq!(south.import(&people(0..3)).held_removals, 37);
    let approved = south.transact(|tables, context, _| approve(tables, context.now, None)).unwrap();
    let run = newest(south);
    assert_eq!((approved, run.deleted, run.kind), (37, 37, RunKind::Approval));
    world.cycle();
    world.cycle();
    assert_eq!(world.converged().len(), 3);
    let report = undone(world.at(SOUTH), run.number).unwrap();
    assert_eq!((counts(&report), report.held.len()), ((37, 0, 0, 0), 1));
    world.cycle();
    world.cycle();
    assert_eq!(world.converged(), before, "the same ids, keys and contents");
    let south = world.at(SOUTH);
    let read = south.import(&people(0..3));
    assert_eq!(read.undone.map(|again| again.entries), Some(37));
    assert!(held(south).is_empty());
    assert_eq!(south.import(&people(0..40)).undone, None);
}

#[test]
fn a_release_by_hand_is_taken_back() {
    let mut world = World::new(&[SOUTH, "SOUTH/B"]);
    world.cycle();
    let south = world.at(SOUTH);
    by_hand(south, "ana", "1").unwrap();
    let added = newest(south);
    assert_eq!((added.kind, &*added.subject, added.added), (RunKind::Command, "ana", 1));
    let ana = EntryId::derive(&postoffice(SOUTH), "ana");
    let to = Some(postoffice("SOUTH/B"));
    south.transact(|tables, context, _| release(tables, context.now, ana, to)).unwrap();
    let released = newest(south).number;
    // Her addition is no longer as it was made, until the release is taken back.
    assert_eq!(counts(&undone(south, added.number).unwrap()), (0, 0, 0, 1));
    assert_eq!(counts(&undone(south, released).unwrap()), (0, 1, 0, 0));
    let row = south.store.begin().unwrap().own(ana).unwrap().unwrap();
    assert_eq!(row.released_to, None);
    world.cycle();
    assert_eq!(world.converged().len(), 1);
    assert_eq!(counts(&undone(world.at(SOUTH), added.number).unwrap()), (0, 0, 1, 0));
}

/// A merge is no run. An undo does not take an entry that a merge brought back for one that the run left.
#[test]
fn a_merge_is_no_run() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let south = world.at(SOUTH);
    by_hand(south, "ana", "1").unwrap();
    let backup = south.store.copy();
    by_hand(south, "ben", "1").unwrap();
    world.cycle();
    crate::sources::restore(world.at(SOUTH), &backup);
    crate::sources::merged(&mut world);
    let south = world.at(SOUTH);
    assert_eq!(own(south).len(), 2, "ben came back");
    let run = newest(south);
    assert_eq!((run.number, &*run.subject), (1, "ana"));
    assert_eq!(counts(&undone(south, 1).unwrap()), (0, 0, 1, 0), "ana is as she was added");
    assert!(undone(south, 7).unwrap_err().contains("nothing is kept of run 7"));
}

#[test]
fn old_runs_are_forgotten_unless_a_source_is_held_by_them() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let south = world.at(SOUTH);
    hr(south, &[("ana", "1"), ("ben", "1")]);
    hr(south, &[("ana", "2"), ("ben", "2")]);
    let run = newest(south);
    assert!(run.bytes > 200, "{run:?}");
    let undo = undone(south, run.number).unwrap().by.unwrap();
    by_hand(south, "cara", "1").unwrap();
    let last = newest(south).number;
    let left = |south: &mut TestPostoffice, before, most| {
        south.transact(|tables, _, _| forget_runs(tables, before, most)).unwrap();
        let runs = south.store.begin().unwrap().runs(u64::MAX, 10).unwrap();
        runs.iter().map(|run| run.number).collect::<Vec<_>>()
    };
    assert_eq!(left(south, 0, u64::MAX), [last, undo, run.number, run.number - 1]);
    assert_eq!(left(south, 0, 1), [last, undo], "the newest, and the one that holds a source");
    assert!(hr(south, &[("ana", "2"), ("ben", "2"), ("cara", "1")]).undone.is_some());
    assert_eq!(left(south, run.at + 40 * DAY_MS, u64::MAX), [undo]);
    let mut count = 0;
    let mut tables = south.store.begin().unwrap();
    tables
        .visit_own(ReqSeq(0), &mut |_| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(count, 3);
}

/// What a read adds is written as it comes. An entry of which a later row shows that it is in doubt is taken
/// out again.
#[test]
fn an_entry_that_is_taken_back_is_not_among_those_that_its_run_added() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let south = world.at(SOUTH);
    let names: Vec<String> = (0..10_000).map(|number| format!("k{number}")).collect();
    let mut rows: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "1")).collect();
    rows.extend([("k0", "2"), ("k9999", "2")]);
    let report = hr(south, &rows);
    assert_eq!((report.added, report.quarantined), (9_998, 4));
    let run = newest(south);
    assert_eq!(run.added, 9_998);
    let mut tables = south.store.begin().unwrap();
    let added = tables.added(run.number).unwrap();
    drop(tables);
    let kept: Vec<EntryId> = added.iter().map(|(id, _)| *id).collect();
    let id = |key: &str| EntryId::derive(&postoffice(SOUTH), key);
    assert_eq!((kept.len(), kept[0], kept[9_997]), (9_998, id("k1"), id("k9998")));
    let report = undone(south, run.number).unwrap();
    assert_eq!(counts(&report), (0, 0, 9_998, 0));
}

#[test]
fn a_read_all_of_whose_entries_are_taken_back_is_no_run() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let south = world.at(SOUTH);
    let names: Vec<String> = (0..9_000).map(|number| format!("k{number}")).collect();
    let rows: Vec<(&str, &str)> = names.iter().chain(&names).map(|name| (&**name, "1")).collect();
    let report = hr(south, &rows);
    assert_eq!((report.added, report.quarantined), (0, 18_000));
    let mut tables = south.store.begin().unwrap();
    assert_eq!(tables.runs(u64::MAX, 9).unwrap(), []);
}
