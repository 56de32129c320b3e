//! `dirsync check`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use dirsync_directory::{BucketSums, SetDigest, list_element, own_element};
use dirsync_message::{ReqSeq, SrvSeq};
use dirsync_postoffice::Postoffice;
use dirsync_postoffice::inbox::Inbox;
use dirsync_protocol::tables::{ListPlace, Numbered, Tables};
use serde_json::json;

use crate::cli::CheckArgs;
use crate::commands::{inbox, print_json};
use crate::failure::{ExitStatus, Result};

/// `dirsync check`: reads everything and says what contradicts itself.
pub fn check(folder: &Path, arguments: &CheckArgs, json: bool) -> Result<ExitStatus> {
    let mut wrong = Vec::new();
    if arguments.repair {
        let mut postoffice = Postoffice::open(folder, "check")?;
        let around = postoffice.around()?;
        let mut draws = dirsync_protocol::context::Draws::new(&around.seed);
        let mut events = Vec::new();
        let mut tables = postoffice.begin()?;
        let mut context = dirsync_protocol::context::Context {
            now: around.now,
            draws: &mut draws,
            events: &mut events,
            guard: around.guard,
        };
        dirsync_protocol::requestor::verify_list(&mut *tables, &mut context)?;
        tables.commit()?;
        wrong.extend(events.into_iter().map(|event| event.text));
    }
    let mut postoffice = super::read(folder)?;
    wrong.extend(postoffice.store.integrity_check()?);
    let inbox = Inbox::of(&mut postoffice)?;
    let is_server = postoffice.is_server;
    let mut tables = postoffice.begin()?;
    check_list(&mut *tables, &mut wrong)?;
    check_own(&mut *tables, &mut wrong)?;
    if is_server {
        check_server(&mut *tables, &mut wrong)?;
    }
    if json {
        print_json(&json!({ "wrong": wrong, "inbox": inbox::json(&inbox) }));
        return Ok(outcome(&wrong));
    }
    inbox::lines(&inbox).iter().for_each(|(word, text)| println!("{word}: {text}"));
    if wrong.is_empty() {
        println!("everything agrees");
    } else {
        wrong.iter().for_each(|line| println!("{line}"));
        if !arguments.repair {
            println!(
                "a damaged list is repaired with the next `dirsync send`, or by --repair and a cycle"
            );
        }
    }
    Ok(outcome(&wrong))
}

fn outcome(wrong: &[String]) -> ExitStatus {
    if wrong.is_empty() { ExitStatus::Done } else { ExitStatus::Failed }
}

fn check_list(tables: &mut dyn Tables, wrong: &mut Vec<String>) -> Result<()> {
    let state = tables.requestor()?;
    let mut found = BucketSums::default();
    let mut ids = BTreeSet::new();
    let mut twice = 0;
    tables.visit_list(ListPlace::Live, &mut |row| {
        twice += u64::from(!ids.insert(row.id));
        found.add(row.id, list_element(row.id, row.owner, row.record));
        ControlFlow::Continue(())
    })?;
    if twice > 0 {
        wrong.push(format!("{twice} entries of the list stand twice"));
    }
    let kept = tables.list_buckets(ListPlace::Live)?;
    if found.folded(0) != kept.folded(0) || found.total() != state.list_digest {
        wrong.push(format!(
            "the list has digest {}, {} was noted: its content was changed from outside",
            found.total(),
            state.list_digest
        ));
    }
    Ok(())
}

fn check_own(tables: &mut dyn Tables, wrong: &mut Vec<String>) -> Result<()> {
    let state = tables.requestor()?;
    let mut digest = SetDigest::default();
    let mut highest = 0;
    tables.visit_own(ReqSeq(0), &mut |row| {
        let element = own_element(row.id, row.released_to.as_ref(), row.record.as_ref());
        digest += SetDigest::one(element);
        highest = highest.max(row.numbers.last);
        ControlFlow::Continue(())
    })?;
    if digest != state.own_digest {
        let noted = state.own_digest;
        wrong.push(format!("the own entries have digest {digest}, {noted} was noted"));
    }
    if highest > state.req_seq.0 || state.req_sync > state.req_seq {
        wrong.push(format!(
            "numbers contradict: last own change {}, acknowledged {}, highest in use {highest}",
            state.req_seq, state.req_sync
        ));
    }
    Ok(())
}

fn check_server(tables: &mut dyn Tables, wrong: &mut Vec<String>) -> Result<()> {
    let Some(server) = tables.server()? else { return Ok(()) };
    let views = tables.views()?;
    let mut sums = vec![BucketSums::default(); views.len()];
    let mut addresses = BTreeSet::new();
    let mut last = 0;
    let mut shared = 0u64;
    tables.visit_numbered(SrvSeq(0), SrvSeq(u64::MAX >> 1), &mut |numbered| {
        let Numbered::Published(row) = numbered else { return ControlFlow::Continue(()) };
        let record = row.published_record().expect("it is published");
        last = last.max(row.published.as_ref().map_or(0, |published| published.numbers.last));
        for key in record.address_keys() {
            shared += u64::from(!addresses.insert(key));
        }
        for ((_, view), sums) in views.iter().zip(&mut sums) {
            if view.shows(&row.origin, record) {
                let shown = view.disclosed(record);
                let shown = shown.as_ref().map_or(record, dirsync_directory::Record::as_ref);
                sums.add(row.id, list_element(row.id, &row.origin, shown));
            }
        }
        ControlFlow::Continue(())
    })?;
    if shared > 0 {
        wrong.push(format!("I2: {shared} published addresses belong to two entries"));
    }
    if last > server.head.0 {
        wrong.push(format!("number {last} is in use, the last one given is {}", server.head));
    }
    for ((hash, _), found) in views.iter().zip(&sums) {
        let kept = tables.view_sums(*hash)?;
        if kept.total() != found.total() {
            wrong.push(format!(
                "view {hash} has digest {}, {} was noted",
                found.total(),
                kept.total()
            ));
        }
    }
    for registration in tables.registrations()? {
        let mut digest = SetDigest::default();
        tables.visit_submitted(&registration.name, &mut |row| {
            if let Some(submitted) = &row.submitted {
                let released = submitted.released_to.as_ref();
                digest += SetDigest::one(own_element(row.id, released, submitted.record.as_ref()));
            }
            ControlFlow::Continue(())
        })?;
        if digest != registration.own_digest {
            wrong.push(format!(
                "what {} submitted has digest {digest}, {} was noted",
                registration.name, registration.own_digest
            ));
        }
    }
    Ok(())
}
