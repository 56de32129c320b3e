//! The steps, each struck everywhere.

use std::path::Path;

use dirsync_agent::decisions::DecisionKind;
use dirsync_carrier::durable;
use dirsync_store::sqlite::SqliteStore;
use dirsync_testing::{Failed, Fault, Faults, SERVER};

use crate::sites::{A, ALL, B, Sites, rows};

/// Most cycles after which all must be as if nothing had happened.
const CYCLES: u32 = 6;

/// What goes wrong at the nth place.
type Kind = fn(u64) -> Fault;
type Step = fn(&mut Sites, &Faults) -> Result<(), Failed>;

fn none() -> Faults {
    Faults::default()
}

/// A folder in memory where there is one: what fails here needs no disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn temporaries(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let count = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => temporaries(&entry.path()),
        false => usize::from(durable::is_temporary(&entry.file_name())),
    };
    entries.map(count).sum()
}

/// Sites that are equal, and then changed: changes, additions and deletions wait at each.
fn changed(sites: &mut Sites) {
    sites.found();
    sites.import(&none(), SERVER, &rows(0..8, "north")).unwrap();
    sites.import(&none(), A, &rows(0..5, "south")).unwrap();
    for _ in 0..3 {
        sites.cycle();
    }
    sites.import(&none(), SERVER, &rows(2..22, "north")).unwrap();
    sites.by_hand(&none(), A, "Before").unwrap();
}

/// The same, and everybody has sent.
fn sent(sites: &mut Sites) {
    changed(sites);
    for site in ALL {
        sites.send(&none(), site).unwrap();
    }
}

/// The same, and the server has answered.
fn answered(sites: &mut Sites) {
    sent(sites);
    sites.process(&none()).unwrap();
}

/// The databases of the server and of A are older than the others, and than the log of decisions.
fn rolled_back(sites: &mut Sites) {
    changed(sites);
    put_back_after(sites, &[SERVER, A], |sites| {
        decided(sites);
        sites.import(&none(), A, &rows(0..7, "south")).unwrap();
        for _ in 0..3 {
            sites.cycle();
        }
    });
}

/// The server's database is older than its log of decisions.
fn outdated(sites: &mut Sites) {
    changed(sites);
    put_back_after(sites, &[SERVER], decided);
}

fn decided(sites: &mut Sites) {
    for site in [A, B] {
        sites.decide(&none(), site, DecisionKind::Suspend).unwrap();
        sites.decide(&none(), site, DecisionKind::Resume).unwrap();
    }
}

/// Copies databases, lets something happen, and puts the copies in their place.
fn put_back_after(sites: &mut Sites, which: &[&str], happen: fn(&mut Sites)) {
    let older = folder();
    let copy = |site: &str| older.path().join(site.replace('/', "-"));
    for site in which {
        SqliteStore::open(sites.database(site)).unwrap().backup_to(copy(site)).unwrap();
    }
    happen(sites);
    for site in which {
        std::fs::copy(copy(site), sites.database(site)).unwrap();
    }
}

fn strike(fault: Fault, file: Option<u64>, sites: &mut Sites, step: Step) -> (bool, bool) {
    let faults = Faults::new(fault);
    durable::fail_at(file);
    let outcome = step(sites, &faults);
    let met = if file.is_some() { !durable::failure_pending() } else { faults.met() };
    durable::fail_at(None);
    (met, outcome.is_ok())
}

/// Strikes at every place of a step, repeats it, and looks whether all is as if nothing had happened.
fn struck_everywhere(prepare: fn(&mut Sites), step: Step) -> u64 {
    let (then, now) = (folder(), folder());
    let mut before = Sites::at(then.path());
    prepare(&mut before);
    let mut expected = Vec::new();
    let every = std::env::var("DIRSYNC_EVERY").is_ok();
    let kinds: [(Kind, bool, u64); 4] = [
        (Fault::BeforeCommit, false, 1),
        (Fault::AfterCommit, false, 1),
        (|_| Fault::None, true, 1),
        (Fault::Operation, false, if every { 1 } else { 5 }),
    ];
    let mut places = 0;
    for (fault, is_file, stride) in kinds {
        let mut nth = u64::from(!expected.is_empty());
        loop {
            // The zeroth is never met: it shows what there has to be.
            let place = now.path().join(format!("{places} {nth}"));
            copy(then.path(), &place);
            let mut sites = before.copied_to(&place);
            let file = is_file.then_some(nth);
            let planned = if nth == 0 { Fault::None } else { fault(nth) };
            let (met, done) = strike(planned, file, &mut sites, step);
            let at = format!("{planned:?}, file operation {file:?}, done {done}");
            assert!(met || done, "{at}");
            sites.decisions_are_kept();
            if met {
                places += 1;
                step(&mut sites, &none()).unwrap_or_else(|error| panic!("{at}: {error}"));
            }
            settle(&mut sites, &mut expected, &at);
            std::fs::remove_dir_all(&place).unwrap();
            if nth > 0 && !met {
                break;
            }
            nth += if nth == 0 { 1 } else { stride };
        }
    }
    eprintln!("struck at {places} places");
    places
}

fn settle(sites: &mut Sites, expected: &mut Vec<String>, at: &str) {
    for _ in 0..CYCLES {
        sites.cycle();
        if sites.content() == *expected {
            break;
        }
    }
    if expected.is_empty() {
        *expected = sites.content();
    }
    let content = sites.content();
    let more: Vec<_> = content.iter().filter(|line| !expected.contains(line)).collect();
    let less: Vec<_> = expected.iter().filter(|line| !content.contains(line)).collect();
    assert!(content == *expected, "{at}\ntoo much: {more:#?}\ntoo little: {less:#?}");
    sites.cycle();
    assert_eq!(sites.cycle(), 0, "{at}: nothing moves any more");
    assert_eq!(temporaries(&sites.folder), 0, "{at}");
    sites.decisions_are_kept();
}

#[test]
fn a_read_of_a_source() {
    let step: Step = |sites, faults| sites.import(faults, A, &rows(1..7, "south"));
    assert!(struck_everywhere(changed, step) > 5);
}

#[test]
fn a_change_by_hand() {
    let step: Step = |sites, faults| sites.by_hand(faults, A, "After");
    assert!(struck_everywhere(changed, step) > 3);
}

/// T1, commit point C2.
#[test]
fn sending() {
    let step: Step = |sites, faults| sites.send(faults, A).map(drop);
    assert!(struck_everywhere(changed, step) > 5);
}

/// T2, commit points C3 and C4, with answers in several parts.
#[test]
fn processing() {
    let probe = folder();
    let mut sites = Sites::at(probe.path());
    sent(&mut sites);
    assert!(sites.process(&none()).unwrap() > 4, "answers have several parts");
    let step: Step = |sites, faults| sites.process(faults).map(drop);
    assert!(struck_everywhere(sent, step) > 50);
}

/// T3, commit point C5.
#[test]
fn applying() {
    let step: Step = |sites, faults| sites.apply(faults, A).map(drop);
    assert!(struck_everywhere(answered, step) > 20);
}

/// The target, commit point C6.
#[test]
fn exporting() {
    let step: Step = |sites, faults| {
        let path = sites.folder.join("list.csv");
        let before = std::fs::read(&path).ok();
        let outcome = sites.export(faults, A);
        let after = std::fs::read(&path).ok();
        let whole = after.as_ref().is_some_and(|text| text.ends_with(b"\n"));
        assert!(after == before || whole, "the old list or the new one");
        outcome
    };
    let prepared: fn(&mut Sites) = |sites| {
        changed(sites);
        sites.export(&none(), A).unwrap();
        sites.cycle();
    };
    assert!(struck_everywhere(prepared, step) > 6);
}

/// A decision is in the log before it is in force; given again it changes nothing more.
#[test]
fn decisions() {
    let steps: [Step; 3] = [
        |sites, faults| sites.decide(faults, B, DecisionKind::Remove),
        |sites, faults| sites.decide(faults, B, DecisionKind::Suspend),
        |sites, faults| {
            let view = "types\tX400\n".parse().unwrap();
            sites.decide(faults, B, DecisionKind::Allow(view))
        },
    ];
    for step in steps {
        assert!(struck_everywhere(changed, step) > 5);
    }
}

#[test]
fn older_copies_that_begin_anew() {
    let prepared: fn(&mut Sites) = |sites| {
        rolled_back(sites);
        // One of them at a time is struck.
        sites.begin_anew(&none(), A).unwrap();
    };
    let step: Step = |sites, faults| sites.begin_anew(faults, SERVER);
    assert!(struck_everywhere(prepared, step) > 5);
    let prepared: fn(&mut Sites) = |sites| {
        rolled_back(sites);
        sites.begin_anew(&none(), SERVER).unwrap();
    };
    let step: Step = |sites, faults| sites.begin_anew(faults, A);
    assert!(struck_everywhere(prepared, step) > 2);
}

#[test]
fn a_promotion() {
    let step: Step = |sites, faults| sites.promote(faults);
    assert!(struck_everywhere(outdated, step) > 5);
}

#[test]
fn purging() {
    let step: Step = |sites, faults| sites.purge(faults, SERVER);
    assert!(struck_everywhere(changed, step) > 5);
}
