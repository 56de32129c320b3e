//! The consistency of a postoffice, which no message may break.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::{BucketSums, SetDigest, list_element, own_element};
use dirsync_message::{ReqSeq, SrvSeq};
use dirsync_protocol::tables::{ListPlace, Numbered, Tables};
use dirsync_store::Store;
use dirsync_testing::TestPostoffice;

/// Panics if the tables of the postoffice contradict each other.
pub(crate) fn check(postoffice: &mut TestPostoffice) {
    let mut tables = postoffice.store.begin().expect("a store");
    check_list(&mut *tables);
    check_own(&mut *tables);
    if tables.server().expect("a store").is_some() {
        check_server(&mut *tables);
    }
}

fn check_list(tables: &mut dyn Tables) {
    let state = tables.requestor().expect("a store");
    let (mut found, mut ids) = (BucketSums::default(), BTreeSet::new());
    tables
        .visit_list(ListPlace::Live, &mut |row| {
            assert!(ids.insert(row.id), "an entry of the list stands twice");
            found.add(row.id, list_element(row.id, row.owner, row.record));
            ControlFlow::Continue(())
        })
        .expect("a store");
    assert_eq!(found.total(), state.list_digest, "the list is what its digest says");
    let kept = tables.list_buckets(ListPlace::Live).expect("a store");
    assert_eq!(found.folded(6), kept.folded(6), "and its buckets");
}

fn check_own(tables: &mut dyn Tables) {
    let state = tables.requestor().expect("a store");
    let (mut digest, mut highest) = (SetDigest::default(), 0);
    tables
        .visit_own(ReqSeq(0), &mut |row| {
            let element = own_element(row.id, row.released_to.as_ref(), row.record.as_ref());
            digest += SetDigest::one(element);
            highest = highest.max(row.numbers.last);
            assert_eq!(row.record.as_ref().check(), Ok(()), "own entries are right");
            ControlFlow::Continue(())
        })
        .expect("a store");
    assert_eq!(digest, state.own_digest, "the own entries are what their digest says");
    assert!(highest <= state.req_seq.0, "no own number is above the last one");
    assert!(state.req_sync <= state.req_seq, "nothing is acknowledged that was not made");
}

fn check_server(tables: &mut dyn Tables) {
    let server = tables.server().expect("a store").expect("it is the server");
    let views = tables.views().expect("a store");
    let mut sums = vec![BucketSums::default(); views.len()];
    let (mut addresses, mut last) = (BTreeSet::new(), 0);
    tables
        .visit_numbered(SrvSeq(0), SrvSeq(u64::MAX >> 1), &mut |numbered| {
            let Numbered::Published(row, published) = numbered else {
                return ControlFlow::Continue(());
            };
            let record = published.content();
            assert_eq!(record.check(), Ok(()), "what is published is right");
            last = last.max(published.numbers.last);
            for key in record.address_keys() {
                assert!(addresses.insert(key), "I2: an address belongs to one published entry");
            }
            for ((_, view), sums) in views.iter().zip(&mut sums) {
                if view.shows(&row.origin, record) {
                    let shown = view.disclosed(record);
                    let shown = shown.as_ref().map_or(record, |record| record.as_ref());
                    sums.add(row.id, list_element(row.id, &row.origin, shown));
                }
            }
            ControlFlow::Continue(())
        })
        .expect("a store");
    assert!(last <= server.head.0, "no number is above the last one given");
    for ((hash, view), found) in views.iter().zip(&sums) {
        let kept = tables.view_sums(*hash).expect("a store");
        assert_eq!(kept.total(), found.total(), "the view {view} is what its sums say");
    }
    for registration in tables.registrations().expect("a store") {
        let mut digest = SetDigest::default();
        tables
            .visit_submitted(&registration.name, &mut |row| {
                if let Some(submitted) = &row.submitted {
                    let released = submitted.released_to.as_ref();
                    let element = own_element(row.id, released, submitted.content());
                    digest += SetDigest::one(element);
                }
                ControlFlow::Continue(())
            })
            .expect("a store");
        assert_eq!(digest, registration.own_digest, "what {} submitted", registration.name);
    }
}
