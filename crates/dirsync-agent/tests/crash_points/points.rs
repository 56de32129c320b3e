//! The steps, each struck everywhere.

use std::path::Path;

use dirsync_agent::decisions::DecisionKind;
use dirsync_carrier::durable;
use dirsync_store::sqlite::SqliteStore;
use dirsync_testing::{Failed, Fault, Faults, SERVER};

use crate::postoffices::{A, ALL, B, Postoffices, rows};

/// Most cycles after which all must be as if nothing had happened.
const CYCLES: u32 = 6;

/// What goes wrong at the nth place.
type Kind = fn(u64) -> Fault;
type Step = fn(&mut Postoffices, &Faults) -> Result<(), Failed>;

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

/// Postoffices that are equal, and then changed: changes, additions and deletions wait at each.
fn changed(postoffices: &mut Postoffices) {
    postoffices.found();
    postoffices.import(&none(), SERVER, &rows(0..8, "north")).unwrap();
    postoffices.import(&none(), A, &rows(0..5, "south")).unwrap();
    for _ in 0..3 {
        postoffices.cycle();
    }
    postoffices.import(&none(), SERVER, &rows(2..22, "north")).unwrap();
    postoffices.by_hand(&none(), A, "Before").unwrap();
}

/// The same, and everybody has sent.
fn sent(postoffices: &mut Postoffices) {
    changed(postoffices);
    for postoffice in ALL {
        postoffices.send(&none(), postoffice).unwrap();
    }
}

/// The same, and the server has answered.
fn answered(postoffices: &mut Postoffices) {
    sent(postoffices);
    postoffices.process(&none()).unwrap();
}

/// The databases of the server and of A are older than the others, and than the log of decisions.
fn rolled_back(postoffices: &mut Postoffices) {
    changed(postoffices);
    put_back_after(postoffices, &[SERVER, A], |postoffices| {
        decided(postoffices);
        postoffices.import(&none(), A, &rows(0..7, "south")).unwrap();
        for _ in 0..3 {
            postoffices.cycle();
        }
    });
}

/// The server's database is older than its log of decisions.
fn outdated(postoffices: &mut Postoffices) {
    changed(postoffices);
    put_back_after(postoffices, &[SERVER], decided);
}

fn decided(postoffices: &mut Postoffices) {
    for postoffice in [A, B] {
        postoffices.decide(&none(), postoffice, DecisionKind::Suspend).unwrap();
        postoffices.decide(&none(), postoffice, DecisionKind::Resume).unwrap();
    }
}

/// Copies databases, lets something happen, and puts the copies in their place.
fn put_back_after(postoffices: &mut Postoffices, which: &[&str], happen: fn(&mut Postoffices)) {
    let older = folder();
    let copy = |postoffice: &str| older.path().join(postoffice.replace('/', "-"));
    for postoffice in which {
        SqliteStore::open(postoffices.database(postoffice))
            .unwrap()
            .backup_to(copy(postoffice))
            .unwrap();
    }
    happen(postoffices);
    for postoffice in which {
        std::fs::copy(copy(postoffice), postoffices.database(postoffice)).unwrap();
    }
}

fn strike(
    fault: Fault,
    file: Option<u64>,
    postoffices: &mut Postoffices,
    step: Step,
) -> (bool, bool) {
    let faults = Faults::new(fault);
    durable::fail_at(file);
    let outcome = step(postoffices, &faults);
    let met = if file.is_some() { !durable::failure_pending() } else { faults.met() };
    durable::fail_at(None);
    (met, outcome.is_ok())
}

/// Strikes at every place of a step, repeats it, and looks whether all is as if nothing had happened.
fn struck_everywhere(prepare: fn(&mut Postoffices), step: Step) -> u64 {
    let (then, now) = (folder(), folder());
    let mut before = Postoffices::at(then.path());
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
            let mut postoffices = before.copied_to(&place);
            let file = is_file.then_some(nth);
            let planned = if nth == 0 { Fault::None } else { fault(nth) };
            let (met, done) = strike(planned, file, &mut postoffices, step);
            let at = format!("{planned:?}, file operation {file:?}, done {done}");
            assert!(met || done, "{at}");
            postoffices.decisions_are_kept();
            if met {
                places += 1;
                step(&mut postoffices, &none()).unwrap_or_else(|error| panic!("{at}: {error}"));
            }
            settle(&mut postoffices, &mut expected, &at);
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

fn settle(postoffices: &mut Postoffices, expected: &mut Vec<String>, at: &str) {
    for _ in 0..CYCLES {
        postoffices.cycle();
        if postoffices.content() == *expected {
            break;
        }
    }
    if expected.is_empty() {
        *expected = postoffices.content();
    }
    let content = postoffices.content();
    let more: Vec<_> = content.iter().filter(|line| !expected.contains(line)).collect();
    let less: Vec<_> = expected.iter().filter(|line| !content.contains(line)).collect();
    assert!(content == *expected, "{at}\ntoo much: {more:#?}\ntoo little: {less:#?}");
    postoffices.cycle();
    assert_eq!(postoffices.cycle(), 0, "{at}: nothing moves any more");
    assert_eq!(temporaries(&postoffices.folder), 0, "{at}");
    postoffices.decisions_are_kept();
}

#[test]
fn a_read_of_a_source() {
    let step: Step = |postoffices, faults| postoffices.import(faults, A, &rows(1..7, "south"));
    assert!(struck_everywhere(changed, step) > 5);
}

#[test]
fn a_change_by_hand() {
    let step: Step = |postoffices, faults| postoffices.by_hand(faults, A, "After");
    assert!(struck_everywhere(changed, step) > 3);
}

/// T1, commit point C2.
#[test]
fn sending() {
    let step: Step = |postoffices, faults| postoffices.send(faults, A).map(drop);
    assert!(struck_everywhere(changed, step) > 5);
}

/// T2, commit points C3 and C4, with answers in several parts.
#[test]
fn processing() {
    let probe = folder();
    let mut postoffices = Postoffices::at(probe.path());
    sent(&mut postoffices);
    assert!(postoffices.process(&none()).unwrap() > 4, "answers have several parts");
    let step: Step = |postoffices, faults| postoffices.process(faults).map(drop);
    assert!(struck_everywhere(sent, step) > 50);
}

/// T3, commit point C5.
#[test]
fn applying() {
    let step: Step = |postoffices, faults| postoffices.apply(faults, A).map(drop);
    assert!(struck_everywhere(answered, step) > 20);
}

/// The target, commit point C6.
#[test]
fn exporting() {
    let step: Step = |postoffices, faults| {
        let path = postoffices.folder.join("list.csv");
        let before = std::fs::read(&path).ok();
        let outcome = postoffices.export(faults, A);
        let after = std::fs::read(&path).ok();
        let whole = after.as_ref().is_some_and(|text| text.ends_with(b"\n"));
        assert!(after == before || whole, "the old list or the new one");
        outcome
    };
    let prepared: fn(&mut Postoffices) = |postoffices| {
        changed(postoffices);
        postoffices.export(&none(), A).unwrap();
        postoffices.cycle();
    };
    assert!(struck_everywhere(prepared, step) > 6);
}

/// A decision is in the log before it is in force; given again it changes nothing more.
#[test]
fn decisions() {
    let steps: [Step; 3] = [
        |postoffices, faults| postoffices.decide(faults, B, DecisionKind::Remove),
        |postoffices, faults| postoffices.decide(faults, B, DecisionKind::Suspend),
        |postoffices, faults| {
            let view = "types\tX400\n".parse().unwrap();
            postoffices.decide(faults, B, DecisionKind::Allow(view))
        },
    ];
    for step in steps {
        assert!(struck_everywhere(changed, step) > 5);
    }
}

#[test]
fn older_copies_that_begin_anew() {
    let prepared: fn(&mut Postoffices) = |postoffices| {
        rolled_back(postoffices);
        // One of them at a time is struck.
        postoffices.begin_anew(&none(), A).unwrap();
    };
    let step: Step = |postoffices, faults| postoffices.begin_anew(faults, SERVER);
    assert!(struck_everywhere(prepared, step) > 5);
    let prepared: fn(&mut Postoffices) = |postoffices| {
        rolled_back(postoffices);
        postoffices.begin_anew(&none(), SERVER).unwrap();
    };
    let step: Step = |postoffices, faults| postoffices.begin_anew(faults, A);
    assert!(struck_everywhere(prepared, step) > 2);
}

#[test]
fn a_promotion() {
    let step: Step = |postoffices, faults| postoffices.promote(faults);
    assert!(struck_everywhere(outdated, step) > 5);
}

#[test]
fn purging() {
    let step: Step = |postoffices, faults| postoffices.purge(faults, SERVER);
    assert!(struck_everywhere(changed, step) > 5);
}
