//! Steps that fail after they have done something: their report and the log tell what they did.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_agent::step::{
    Interrupted, ProcessReport, StepError, log_lines, process, take_requests,
};
use dirsync_carrier::Carrier;
use dirsync_directory::EntryId;
use dirsync_protocol::context::Level;
use dirsync_protocol::requestor::OwnChanges;
use dirsync_store::{MemoryStore, Store};

use crate::site::{SERVER, World};

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
    world.site(A).import(&rows);
    world.cycle();
    world.cycle();
    world.add(B);
    world.site(SERVER).import(&[("1", "New", "SMTP:new@north.example", "")]);
    let site = world.site(A);
    let mut tables = site.store.begin().unwrap();
    let mut changes = OwnChanges::begin(&mut *tables, site.now).unwrap();
    for n in 0..20 {
        changes.delete(EntryId::derive(&site.name, &n.to_string()), false).unwrap();
    }
    changes.finish().unwrap();
    tables.commit().unwrap();
    for site in [SERVER, A, B] {
        world.send(site);
    }
    world
}

fn process_at(world: &mut World) -> Result<ProcessReport, Interrupted<ProcessReport>> {
    let network = world.network.clone();
    let site = world.site(SERVER);
    let around = site.around();
    let carrier = network.carrier(&site.name);
    let carriers = BTreeMap::from([("net".to_owned(), &carrier as &dyn Carrier)]);
    process(&mut site.store, &carriers, &mut site.decisions, &around, false)
}

/// The log lines of T2 since the last cycle.
fn log(store: &mut MemoryStore, since: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut visit = |line: &dirsync_protocol::tables::LogLine| {
        lines.push(line.text.clone());
        ControlFlow::Continue(())
    };
    store.begin().unwrap().visit_log(since, &mut visit).unwrap();
    lines
}

fn held(store: &mut MemoryStore) -> usize {
    let mut held = 0;
    store
        .begin()
        .unwrap()
        .visit_unsettled(&mut |row| {
            held += usize::from(row.published.as_ref().is_some_and(|row| row.held.is_some()));
            ControlFlow::Continue(())
        })
        .unwrap();
    held
}

fn alarms(report: &ProcessReport) -> usize {
    report.events.iter().filter(|event| event.level == Level::Alarm).count()
}

/// Gives an entry of A a key that no message can carry, or the right one again.
fn set_key(world: &mut World, key: &str) {
    let id = EntryId::derive(&world.site(A).name.clone(), "25");
    let mut tables = world.site(SERVER).store.begin().unwrap();
    let mut row = tables.rows(id).unwrap().remove(0);
    row.key = key.into();
    tables.put_row(&row).unwrap();
    tables.commit().unwrap();
}

#[test]
fn held_deletions_are_told_although_an_answer_cannot_be_written() {
    let mut world = mass_deletion();
    set_key(&mut world, "no\tkey");
    let now = world.site(SERVER).now;
    let before = log(&mut world.site(SERVER).store, now).len();
    let Interrupted { report, cause } = process_at(&mut world).unwrap_err();
    assert!(matches!(cause, StepError::Encode(_)), "{cause}");
    assert_eq!((report.requests, alarms(&report)), (3, 1), "{report:?}");
    let site = world.site(SERVER);
    assert_eq!(held(&mut site.store), 20);
    let lines = log_lines("T2", now, &report.events).into_iter().map(|line| line.text);
    assert_eq!(log(&mut site.store, now)[before..], lines.collect::<Vec<_>>());

    // No answer is lost: all are due until they can be written.
    set_key(&mut world, "25");
    let report = process_at(&mut world).unwrap();
    assert_eq!((report.requests, report.messages), (0, 3));
    for site in [SERVER, A, B] {
        world.apply(site);
    }
    assert_eq!(world.converged().len(), ENTRIES + 1);
}

#[test]
fn held_deletions_are_told_although_the_server_dies_before_it_answers() {
    let mut world = mass_deletion();
    let network = world.network.clone();
    let site = world.site(SERVER);
    let (around, carrier) = (site.around(), network.carrier(&site.name));
    let carriers = BTreeMap::from([("net".to_owned(), &carrier as &dyn Carrier)]);
    let before = log(&mut site.store, site.now).len();
    take_requests(&mut site.store, &carriers, &mut site.decisions, &around).unwrap();
    let lines = log(&mut site.store, site.now);
    let alarm = lines[before..].iter().filter(|line| line.contains("are held")).count();
    assert_eq!((held(&mut site.store), alarm), (20, 1), "{lines:#?}");
}

/// Wherever the store fails: the log and the report tell what is true, no more and no less.
#[test]
fn report_and_log_agree_wherever_a_step_fails() {
    let mut interrupted = 0;
    let world = mass_deletion();
    for nth in 1.. {
        let mut site = world.sites[SERVER].clone();
        let network = world.network.clone();
        let arrived = network.pending(&site.name);
        let letters: Vec<_> = arrived
            .iter()
            .map(|message| (message.clone(), network.copy(&site.name, message).unwrap()))
            .collect();
        let around = site.around();
        let carrier = network.carrier(&site.name);
        let carriers = BTreeMap::from([("net".to_owned(), &carrier as &dyn Carrier)]);
        let before = log(&mut site.store, site.now).len();
        site.store.fail_at(Some(nth));
        let done = process(&mut site.store, &carriers, &mut site.decisions, &around, false);
        site.store.fail_at(None);
        for (message, bytes) in letters {
            network.deliver(&site.name, &message, bytes);
        }
        let (report, failed) = match done {
            Ok(report) => (report, false),
            Err(Interrupted { report, .. }) => (*report, true),
        };
        let lines = log_lines("T2", site.now, &report.events).into_iter().map(|line| line.text);
        assert_eq!(log(&mut site.store, site.now)[before..], lines.collect::<Vec<_>>(), "{nth}");
        assert_eq!(held(&mut site.store), 20 * alarms(&report), "{nth}");
        assert_eq!(report.requests > 0, alarms(&report) > 0, "{nth}");
        interrupted += usize::from(failed && alarms(&report) > 0);
        if !failed {
            break;
        }
    }
    assert!(interrupted > 10, "{interrupted} failures after the deletions were held");
}
