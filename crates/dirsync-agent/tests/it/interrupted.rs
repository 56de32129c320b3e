//! A step fails after a part of its work. Its report and the log list that part.

use std::collections::BTreeMap;

use dirsync_agent::step::{Interrupted, ProcessReport, StepError, log_lines, take_requests};
use dirsync_carrier::Transit;
use dirsync_directory::EntryId;
use dirsync_protocol::context::Level;
use dirsync_protocol::requestor::OwnChanges;
use dirsync_testing::rows::postoffice;
use dirsync_testing::{Fault, SERVER, TestStore, World};

const A: &str = "SOUTH/A";
const B: &str = "WEST/B";

/// Entries of A. Twenty of them are deleted at once, which is too many.
const ENTRIES: usize = 30;

/// A server that has to hold twenty deletions of A, has a new entry for all, and has to fill B's list.
fn mass_deletion() -> World {
    let mut world = World::new(&[A]);
    let rows: Vec<[String; 3]> = (0..ENTRIES)
        .map(|n| [n.to_string(), format!("Entry {n}"), format!("SMTP:{n}@south.example")])
        .collect();
    let rows: Vec<_> =
        rows.iter().map(|[key, name, address]| (&**key, &**name, &**address, "")).collect();
    world.at(A).import(&rows);
    world.cycle();
    world.cycle();
    world.add(B);
    world.at(SERVER).import(&[("1", "New", "SMTP:new@north.example", "")]);
    let postoffice = world.at(A);
    let name = postoffice.name.clone();
    postoffice
        .transact(|tables, context, _| {
            let mut changes = OwnChanges::begin(tables, context.now)?;
            for n in 0..20 {
                changes.delete(EntryId::derive(&name, &n.to_string()), false)?;
            }
            changes.finish()
        })
        .unwrap();
    for postoffice in [SERVER, A, B] {
        world.send(postoffice);
    }
    world
}

fn process_at(world: &mut World) -> Result<ProcessReport, Interrupted<ProcessReport>> {
    let transit = world.network.transit(&postoffice(SERVER));
    world.at(SERVER).process(&transit, false)
}

/// The log lines of T2 since the last cycle.
fn log(store: &mut TestStore, since: u64) -> Vec<String> {
    store.gather(|tables, visit| tables.visit_log(since, &mut |line| visit(line.text.clone())))
}

fn held(store: &mut TestStore) -> usize {
    let held: Vec<bool> = store.gather(|tables, visit| {
        tables.visit_unsettled(&mut |row| {
            visit(row.published.as_ref().is_some_and(|row| row.held.is_some()))
        })
    });
    held.into_iter().filter(|held| *held).count()
}

fn alarms(report: &ProcessReport) -> usize {
    report.events.iter().filter(|event| event.level == Level::Alarm).count()
}

/// Gives an entry of A a key that no message can carry, or the right one again.
fn set_key(world: &mut World, key: &str) {
    let id = EntryId::derive(&world.at(A).name.clone(), "25");
    world.at(SERVER).store.write(|tables| {
        let mut row = tables.rows(id).unwrap().remove(0);
        row.key = key.into();
        tables.put_row(&row).unwrap();
    });
}

#[test]
fn held_deletions_are_told_although_an_answer_cannot_be_written() {
    let mut world = mass_deletion();
    set_key(&mut world, "no\tkey");
    let now = world.at(SERVER).now;
    let before = log(&mut world.at(SERVER).store, now).len();
    let Interrupted { report, cause } = process_at(&mut world).unwrap_err();
    assert!(matches!(cause, StepError::Encode(_)), "{cause}");
    assert_eq!((report.requests, alarms(&report)), (3, 1), "{report:?}");
    let postoffice = world.at(SERVER);
    assert_eq!(held(&mut postoffice.store), 20);
    let lines = log_lines("T2", now, &report.events).into_iter().map(|line| line.text);
    assert_eq!(log(&mut postoffice.store, now)[before..], lines.collect::<Vec<_>>());

    // No answer is lost: all are due until they can be written.
    set_key(&mut world, "25");
    let report = process_at(&mut world).unwrap();
    assert_eq!((report.requests, report.messages), (0, 3));
    for postoffice in [SERVER, A, B] {
        world.apply(postoffice);
    }
    assert_eq!(world.converged().len(), ENTRIES + 1);
}

#[test]
fn held_deletions_are_told_although_the_server_dies_before_it_answers() {
    let mut world = mass_deletion();
    let network = world.network.clone();
    let postoffice = world.at(SERVER);
    let (around, transit) = (postoffice.around(), network.transit(&postoffice.name));
    let places = BTreeMap::from([("net".to_owned(), &transit as &dyn Transit)]);
    let before = log(&mut postoffice.store, postoffice.now).len();
    take_requests(&mut postoffice.store, &places, &mut postoffice.decisions, &around).unwrap();
    let lines = log(&mut postoffice.store, postoffice.now);
    let alarm = lines[before..].iter().filter(|line| line.contains("are held")).count();
    assert_eq!((held(&mut postoffice.store), alarm), (20, 1), "{lines:#?}");
}

/// Wherever the store fails: the log and the report tell what is true, no more and no less.
#[test]
fn report_and_log_agree_wherever_a_step_fails() {
    let mut interrupted = 0;
    let mut world = mass_deletion();
    for nth in 1.. {
        let mut postoffice = world.at(SERVER).copy();
        let network = world.network.clone();
        let arrived = network.pending(&postoffice.name);
        let letters: Vec<_> = arrived
            .iter()
            .map(|message| (message.clone(), network.copy(&postoffice.name, message).unwrap()))
            .collect();
        let before = log(&mut postoffice.store, postoffice.now).len();
        postoffice.store.faults.plan(Fault::Operation(nth));
        let done = postoffice.process(&network.transit(&postoffice.name), false);
        postoffice.store.faults.plan(Fault::None);
        for (message, bytes) in letters {
            network.deliver(&postoffice.name, &message, bytes);
        }
        let (report, failed) = match done {
            Ok(report) => (report, false),
            Err(Interrupted { report, .. }) => (*report, true),
        };
        let lines =
            log_lines("T2", postoffice.now, &report.events).into_iter().map(|line| line.text);
        assert_eq!(
            log(&mut postoffice.store, postoffice.now)[before..],
            lines.collect::<Vec<_>>(),
            "{nth}"
        );
        assert_eq!(held(&mut postoffice.store), 20 * alarms(&report), "{nth}");
        assert_eq!(report.requests > 0, alarms(&report) > 0, "{nth}");
        interrupted += usize::from(failed && alarms(&report) > 0);
        if !failed {
            break;
        }
    }
    assert!(interrupted > 10, "{interrupted} failures after the deletions were held");
}
