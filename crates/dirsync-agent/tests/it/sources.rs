//! Several sources, and entries by hand, at one postoffice.

use std::collections::BTreeMap;

use dirsync_agent::changes::{
    ConfiguredSource, Guards, HandChange, ReadReport, ReadSettings, approve, change_by_hand, reject,
};
use dirsync_directory::{EntryId, Record};
use dirsync_message::ReqSeq;
use dirsync_store::Store;

use dirsync_testing::rows::record;
use dirsync_testing::{TestPostoffice, TestStore, World, held_changes};

pub const SOUTH: &str = "SOUTH/A";

pub fn source(name: &str, whole: bool) -> ConfiguredSource {
    ConfiguredSource { name: name.into(), whole }
}

fn person(key: &str, phone: &str) -> Record {
    let (name, address) = (format!("Person {key}"), format!("SMTP:{key}@x.example"));
    record(&name, &address, &format!("telephoneNumber/{phone}\n"))
}

/// Reads a source of the settings whose rows are (key, phone).
fn read(
    postoffice: &mut TestPostoffice,
    configured: &[ConfiguredSource],
    name: &str,
    rows: &[(&str, &str)],
) -> ReadReport {
    read_rows(postoffice, configured, name, rows, true)
}

/// The same, where the read may break off at its end.
pub fn read_rows(
    postoffice: &mut TestPostoffice,
    configured: &[ConfiguredSource],
    name: &str,
    rows: &[(&str, &str)],
    complete: bool,
) -> ReadReport {
    let settings = ReadSettings {
        source: name.into(),
        whole: configured.iter().any(|source| source.name == name && source.whole),
        fingerprint: "map".into(),
        configured: configured.to_vec(),
        guards: Guards { delete: postoffice.guard, ..Default::default() },
        ..ReadSettings::default()
    };
    let rows = rows.iter().map(|(key, phone)| (key, person(key, phone)));
    postoffice.read(settings, rows, complete).unwrap()
}

pub fn by_hand(postoffice: &mut TestPostoffice, key: &str, phone: &str) -> Result<(), String> {
    hand(postoffice, key, phone, true)
}

fn hand(postoffice: &mut TestPostoffice, key: &str, phone: &str, add: bool) -> Result<(), String> {
    let change = HandChange { key: key.into(), record: person(key, phone), add };
    let changed =
        postoffice.transact(|tables, context, _| change_by_hand(tables, context.now, change));
    changed.map(drop).map_err(|error| error.to_string())
}

/// Own entries: key to (phone, source).
pub fn own(postoffice: &mut TestPostoffice) -> BTreeMap<String, (String, String)> {
    let mut own = BTreeMap::new();
    let mut tables = postoffice.store.begin().unwrap();
    tables
        .visit_own(ReqSeq(0), &mut |row| {
            let phone = row.record.details.trim_end().split_once('/').unwrap().1.to_owned();
            own.insert(row.key.clone(), (phone, row.source.clone()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    own
}

fn fed(own: &BTreeMap<String, (String, String)>, source: &str) -> Vec<String> {
    own.iter().filter(|(_, (_, feeder))| feeder == source).map(|(key, _)| key.clone()).collect()
}

/// What is held, by key: (kind, key, id).
pub fn held(postoffice: &mut TestPostoffice) -> Vec<(String, String, EntryId)> {
    let held = held_changes(&mut *postoffice.store.begin().unwrap()).unwrap();
    let held = held.into_iter().map(|held| (held.kind.to_string(), held.key, held.id));
    let mut held: Vec<_> = held.collect();
    held.sort_by(|a, b| a.1.cmp(&b.1));
    held
}

fn kinds(postoffice: &mut TestPostoffice) -> Vec<(String, String)> {
    held(postoffice).into_iter().map(|(kind, key, _)| (kind, key)).collect()
}

fn case(kind: &str, key: &str) -> (String, String) {
    (kind.into(), key.into())
}

pub fn restore(postoffice: &mut TestPostoffice, backup: &TestStore) {
    postoffice.store = backup.copy();
    postoffice.begin_anew().unwrap();
}

pub fn merged(world: &mut World) {
    for _ in 0..4 {
        world.cycle();
    }
}

/// The backup says that the source feeds the entry, which a person has taken over since: the later
/// version came from nobody knows where, and the source's silence deletes it no more.
#[test]
fn an_entry_that_changed_hands_is_not_the_sources_after_a_restore() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let hr = [source("hr", true)];
    let postoffice = world.at(SOUTH);
    read(postoffice, &hr, "hr", &[("ana", "1"), ("ben", "1"), ("cara", "1"), ("dora", "1")]);
    by_hand(postoffice, "greta", "1").unwrap();
    world.cycle();
    let backup = world.at(SOUTH).store.copy();
    let rest = [("ben", "1"), ("cara", "2"), ("dora", "1")];
    assert_eq!(read(world.at(SOUTH), &hr, "hr", &rest).removed, 1);
    by_hand(world.at(SOUTH), "ana", "7").unwrap();
    hand(world.at(SOUTH), "greta", "2", false).unwrap();
    world.cycle();
    let postoffice = world.at(SOUTH);
    restore(postoffice, &backup);
    // What the server holds is not known yet: nobody is deleted.
    let report = read(postoffice, &hr, "hr", &rest);
    assert_eq!((report.removed, report.absent_kept), (0, 1));
    merged(&mut world);
    let report = read(world.at(SOUTH), &hr, "hr", &rest);
    assert_eq!((report.removed, report.unclaimed), (0, 1));
    let postoffice = world.at(SOUTH);
    let all = own(postoffice);
    assert_eq!(all["ana"], ("7".into(), "adopted".into()), "the person's version");
    assert_eq!(fed(&all, "hr"), ["ben", "cara", "dora"], "what it names is its own");
    assert_eq!(all["greta"], ("2".into(), "hand".into()), "what a hand keeps stays with it");
    assert_eq!(kinds(postoffice), [case("unclaimed", "ana")]);
    merged(&mut world);
    assert_eq!(world.converged().len(), 5, "published meanwhile");
}

/// Who is asked about depends on all whole sources, and each names its own.
#[test]
fn adopted_entries_wait_for_every_whole_source_and_go_to_whom_names_them() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let sources = [source("hr", true), source("guests", true), source("cars", false)];
    let empty = world.at(SOUTH).store.copy();
    let postoffice = world.at(SOUTH);
    read(postoffice, &sources, "hr", &[("ana", "1"), ("ben", "1")]);
    read(postoffice, &sources, "guests", &[("gil", "1"), ("gus", "1")]);
    read(postoffice, &sources, "cars", &[("van", "1"), ("bus", "1")]);
    by_hand(postoffice, "greta", "1").unwrap();
    world.cycle();
    let before = world.converged();
    restore(world.at(SOUTH), &empty);
    merged(&mut world);

    let postoffice = world.at(SOUTH);
    let report = read(postoffice, &sources, "hr", &[("ana", "1"), ("ben", "2")]);
    assert_eq!((report.unchanged, report.changed, report.unclaimed), (1, 1, 0));
    assert!(kinds(postoffice).is_empty(), "guests has not been read yet");
    let report = read(postoffice, &sources, "guests", &[("gil", "1")]);
    assert_eq!((report.removed, report.unclaimed), (0, 4));
    let asked = ["bus", "greta", "gus", "van"].map(|key| case("unclaimed", key));
    assert_eq!(kinds(postoffice), asked);
    assert_eq!(read(postoffice, &sources, "guests", &[("gil", "1")]).unclaimed, 0, "once");
    // A partial source closes the cases of the entries that it names.
    read(postoffice, &sources, "cars", &[("van", "1")]);
    by_hand(postoffice, "greta", "5").unwrap_err();
    assert_eq!(kinds(postoffice), ["bus", "greta", "gus"].map(|key| case("unclaimed", key)));
    let ids: Vec<EntryId> = held(postoffice).into_iter().map(|(.., id)| id).collect();
    let rejected = postoffice.transact(|tables, _, _| reject(tables, Some(&ids[..2])));
    assert_eq!(rejected.unwrap(), 2);
    let approved =
        postoffice.transact(|tables, context, _| approve(tables, context.now, Some(&ids[2..])));
    assert_eq!(approved.unwrap(), 1);
    for name in ["hr", "guests"] {
        let rows: &[(&str, &str)] =
            if name == "hr" { &[("ana", "1"), ("ben", "2")] } else { &[("gil", "1")] };
        assert_eq!(read(postoffice, &sources, name, rows).unclaimed, 0, "it was decided");
    }
    let all = own(postoffice);
    assert_eq!(fed(&all, "hand"), ["bus", "greta"]);
    assert_eq!(fed(&all, "cars"), ["van"]);
    assert_eq!(all.len(), 6);
    merged(&mut world);
    let after = world.converged();
    let ids = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert!(ids(&after).iter().all(|id| ids(&before).contains(id)), "ids are kept");
    assert_eq!(after.len(), 6);
}

/// What sources told before a merge says nothing of what the merge brought: each is heard again.
#[test]
fn after_a_merge_every_whole_source_has_to_tell_again() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let sources = [source("hr", true), source("guests", true)];
    let postoffice = world.at(SOUTH);
    read(postoffice, &sources, "hr", &[("ana", "1")]);
    read(postoffice, &sources, "guests", &[("gil", "1")]);
    world.cycle();
    read(world.at(SOUTH), &sources, "hr", &[("ana", "1")]);
    read(world.at(SOUTH), &sources, "guests", &[("gil", "1")]);
    let backup = world.at(SOUTH).store.copy();
    read(world.at(SOUTH), &sources, "guests", &[("gil", "1"), ("gus", "1")]);
    world.cycle();
    restore(world.at(SOUTH), &backup);
    merged(&mut world);
    let postoffice = world.at(SOUTH);
    assert_eq!(read(postoffice, &sources, "hr", &[("ana", "1")]).unclaimed, 0);
    assert!(kinds(postoffice).is_empty(), "guests may name gus, and has not been read yet");
    let report = read(postoffice, &sources, "guests", &[("gil", "1"), ("gus", "1")]);
    assert_eq!((report.unchanged, report.unclaimed), (2, 0));
    assert_eq!(fed(&own(postoffice), "guests"), ["gil", "gus"]);
}

/// An import becomes the source of the entries that it names, like a source of the settings.
#[test]
fn an_import_takes_over_what_a_merge_brought_back() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let empty = world.at(SOUTH).store.copy();
    let rows = [("1", "Ana", "SMTP:ana@a.example", "1"), ("2", "Ben", "SMTP:ben@a.example", "1")];
    world.at(SOUTH).import(&rows);
    world.cycle();
    restore(world.at(SOUTH), &empty);
    merged(&mut world);
    let postoffice = world.at(SOUTH);
    assert_eq!(fed(&own(postoffice), "adopted"), ["1", "2"]);
    let report = postoffice.import(&rows[..1]);
    assert_eq!((report.unchanged, report.quarantined, report.removed), (1, 0, 0));
    assert_eq!(fed(&own(postoffice), "import"), ["1"]);
}

/// A change that waits for a person does not leave the entry to nobody.
#[test]
fn a_named_entry_is_the_sources_also_while_its_change_is_held() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let sources = [source("hr", true), source("guests", true)];
    let empty = world.at(SOUTH).store.copy();
    let keys: Vec<String> = (0..30).map(|number| format!("p{number}")).collect();
    let rows: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "1")).collect();
    read(world.at(SOUTH), &sources, "hr", &rows);
    world.cycle();
    restore(world.at(SOUTH), &empty);
    merged(&mut world);
    let postoffice = world.at(SOUTH);
    let settings = ReadSettings {
        source: "hr".into(),
        whole: true,
        configured: sources.to_vec(),
        ..ReadSettings::default()
    };
    let blank = |key: &String| (key.clone(), Record { details: String::new(), ..person(key, "") });
    let report = postoffice.read(settings, keys.iter().map(blank), true).unwrap();
    assert_eq!(report.held, 30, "all lose their number");
    let report = read(postoffice, &sources, "guests", &[("gil", "1")]);
    assert_eq!(report.unclaimed, 0);
    assert_eq!(kinds(postoffice).len(), 30);
    assert!(kinds(postoffice).iter().all(|(kind, _)| kind == "blank"));
    assert_eq!(read(postoffice, &sources, "hr", &rows).unchanged, 30);
    assert!(kinds(postoffice).is_empty(), "named as they are, nothing waits");
}

/// A source that was renamed feeds on; one that left the settings leaves questions, not deletions; one
/// that comes back has its entries again.
#[test]
fn a_source_may_be_renamed_leave_and_return() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let postoffice = world.at(SOUTH);
    let import = |postoffice: &mut TestPostoffice, rows: &[(&str, &str)]| {
        let settings = ReadSettings { source: "import".into(), ..ReadSettings::default() };
        let rows = rows.iter().map(|(key, phone)| (key, person(key, phone)));
        postoffice.read(settings, rows, true).unwrap()
    };
    import(postoffice, &[("ana", "1"), ("zoe", "1")]);
    world.cycle();
    let postoffice = world.at(SOUTH);
    let old = [source("hr", true), source("guests", true)];
    read(postoffice, &old, "hr", &[("ana", "1"), ("ben", "1"), ("cara", "1")]);
    read(postoffice, &old, "guests", &[("gil", "1"), ("gus", "1")]);
    assert_eq!(fed(&own(postoffice), "hr"), ["ana", "ben", "cara"], "taken over from the import");
    assert_eq!(fed(&own(postoffice), "import"), ["zoe"]);
    assert_eq!(import(postoffice, &[("ben", "9")]).quarantined, 1, "but not the other way round");

    let renamed = [source("people", true), source("guests", true)];
    let report = read(postoffice, &renamed, "people", &[("ana", "1"), ("ben", "2")]);
    assert_eq!((report.changed, report.quarantined, report.removed), (1, 0, 0));
    assert_eq!(fed(&own(postoffice), "people"), ["ana", "ben"]);
    assert_eq!(kinds(postoffice), [case("unclaimed", "cara")], "named by hr alone, which is gone");
    let back = [source("people", true), source("guests", true), source("hr", false)];
    read(postoffice, &back, "hr", &[("cara", "1")]);
    assert!(kinds(postoffice).is_empty(), "who names the entry closes the case");

    let fewer = [source("people", true)];
    read(postoffice, &fewer, "people", &[("ana", "1"), ("ben", "2")]);
    assert_eq!(kinds(postoffice), ["cara", "gil", "gus"].map(|key| case("unclaimed", key)));
    let all = [source("people", true), source("guests", true), source("hr", false)];
    let report = read(postoffice, &all, "guests", &[("gil", "1")]);
    assert_eq!((report.removed, report.unchanged), (1, 1), "its own again: gus was deleted there");
    assert_eq!(kinds(postoffice), [case("unclaimed", "cara")]);
    world.cycle();
    assert_eq!(world.converged().len(), 5);
}

/// Whatever was asked about an entry, its source closes the case by naming the entry as it is: for a
/// deletion, a short read, and a change of address; and it closes none of another source.
#[test]
fn a_case_is_closed_when_its_source_names_the_entry_again() {
    let mut world = World::new(&[SOUTH]);
    world.cycle();
    let sources = [source("hr", true), source("guests", true)];
    let keys: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
    let rows: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "1")).collect();
    let guests: Vec<(String, &str)> = (0..40).map(|number| (format!("g{number}"), "1")).collect();
    let guests: Vec<(&str, &str)> = guests.iter().map(|(key, phone)| (&**key, *phone)).collect();
    read(world.at(SOUTH), &sources, "hr", &rows);
    read(world.at(SOUTH), &sources, "guests", &guests);
    world.cycle();
    let postoffice = world.at(SOUTH);
    assert_eq!(read(postoffice, &sources, "guests", &guests[..25]).held_removals, 15);
    for (left, kind) in [(25, "delete"), (10, "short-read")] {
        let report = read(postoffice, &sources, "hr", &rows[..left]);
        assert_eq!((report.removed, report.held_removals), (0, 40 - left as u64));
        let cases = kinds(postoffice);
        assert_eq!(cases.iter().filter(|case| case.1.starts_with('p')).count(), 40 - left);
        assert!(cases.iter().any(|case| case.0 == kind), "{cases:?}");
        // One of them is named again, then all.
        let mut one_more = rows[..left].to_vec();
        one_more.push(rows[39]);
        read(postoffice, &sources, "hr", &one_more);
        assert_eq!(kinds(postoffice).len(), 15 + 39 - left);
        assert_eq!(read(postoffice, &sources, "hr", &rows).unchanged, 40);
        assert_eq!(kinds(postoffice).len(), 15, "those of the guests stay");
    }
    assert!(kinds(postoffice).iter().all(|(kind, key)| kind == "delete" && key.starts_with('g')));
    read(postoffice, &sources, "guests", &guests);
    assert!(kinds(postoffice).is_empty());
    world.cycle();
    assert_eq!(world.converged().len(), 80);
}
