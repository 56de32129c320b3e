//! The counts of what waits.

use std::sync::Arc;

use dirsync_message::{Offer, Stamp};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{
    HeldChange, HeldCount, Hold, ListPlace, OwnRow, OwnedListRow, Published, QuarantineCount,
    Quarantined, ServerRow, Submitted, UnsettledCount,
};
use dirsync_store::Store;

use super::{Check, Tx, check_kept, discard};
use crate::rows::{
    entry_id, list_row, own_row, postoffice, published, record, server_row, submitted,
};

pub(super) const CHECKS: &[Check] = &[
    held_changes_are_counted_by_source_and_reason,
    quarantined_cases_are_counted_by_origin,
    unsettled_rows_are_counted_by_origin,
    offers_are_counted_until_they_are_claimed,
];

fn held_changes_are_counted_by_source_and_reason(store: &mut dyn Store) {
    assert_eq!(discard(store, |tx| tx.held_counts()), []);
    let held = |n: u64, source: &str, kind, deletes: bool, since| HeldChange {
        id: entry_id(n),
        source: source.into(),
        kind,
        record: (!deletes).then(|| record("Ana", "SMTP:a@b", "")),
        key: n.to_string(),
        since,
        rejected: false,
    };
    let rows = [
        held(1, "south.csv", GuardKind::ShortRead, true, 7),
        held(2, "north.csv", GuardKind::Settings, true, 30),
        held(3, "north.csv", GuardKind::Settings, false, 5),
        held(4, "north.csv", GuardKind::Settings, true, 20),
        HeldChange { rejected: true, ..held(5, "north.csv", GuardKind::Settings, true, 1) },
        HeldChange { rejected: true, ..held(6, "west.csv", GuardKind::Blank, false, 1) },
        held(7, "north.csv", GuardKind::Blank, false, 40),
    ];
    let count = |source: &str, kind, deletes, count, since| HeldCount {
        source: source.into(),
        kind,
        deletes,
        count,
        since,
    };
    check_kept(
        store,
        |tx| rows.iter().try_for_each(|row| tx.put_held_change(row)),
        |tx| tx.held_counts(),
        vec![
            count("north.csv", GuardKind::Blank, false, 1, 40),
            count("north.csv", GuardKind::Settings, false, 1, 5),
            count("north.csv", GuardKind::Settings, true, 2, 20),
            count("south.csv", GuardKind::ShortRead, true, 1, 7),
        ],
    );
}

fn quarantined_cases_are_counted_by_origin(store: &mut dyn Store) {
    let case = |origin: &str, since| Quarantined {
        number: 0,
        since,
        origin: origin.into(),
        subject: String::new(),
        line: Some(3),
        reason: "it has no key".into(),
        text: String::new(),
    };
    let count =
        |origin: &str, count, since| QuarantineCount { origin: origin.into(), count, since };
    check_kept(
        store,
        |tx| {
            for (origin, since) in [("south.csv", 9), ("north.csv", 8), ("south.csv", 3)] {
                tx.put_quarantined(&case(origin, since))?;
            }
            Ok(())
        },
        |tx: &mut Tx<'_>| tx.quarantine_counts(),
        vec![count("north.csv", 1, 8), count("south.csv", 2, 3)],
    );
}

fn unsettled_rows_are_counted_by_origin(store: &mut dyn Store) {
    let held = |n, origin, since, rejected| ServerRow {
        submitted: None,
        published: Some(Published { held: Some(Hold { since, rejected }), ..published(n) }),
        ..server_row(n, origin, n)
    };
    let waits = |n, origin| ServerRow { published: None, ..server_row(n, origin, n) };
    let waits_to_change = |n, origin| ServerRow {
        published: Some(Published {
            record: Arc::new(record("Bo", "SMTP:before@b", "")),
            ..published(n)
        }),
        ..server_row(n, origin, n)
    };
    let invalid = |n, origin| ServerRow {
        submitted: Some(Submitted { invalid: Some("no".into()), ..submitted("SMTP:a@b") }),
        ..waits(n, origin)
    };
    let released = {
        let row = server_row(8, "NORTH/HQ", 8);
        let to = Some(postoffice("SOUTH/HQ"));
        let submitted = row.submitted.clone().map(|own| Submitted { released_to: to, ..own });
        ServerRow { submitted, ..row }
    };
    let rows = [
        server_row(1, "NORTH/HQ", 1),
        held(2, "NORTH/HQ", 70, false),
        held(3, "NORTH/HQ", 60, false),
        held(4, "NORTH/HQ", 5, true),
        waits(5, "NORTH/HQ"),
        waits_to_change(6, "NORTH/HQ"),
        invalid(7, "SOUTH/HQ"),
        released,
    ];
    let north = UnsettledCount {
        origin: postoffice("NORTH/HQ"),
        held: 2,
        held_since: Some(60),
        waiting: 2,
        invalid: 0,
    };
    let south = UnsettledCount {
        origin: postoffice("SOUTH/HQ"),
        held: 0,
        held_since: None,
        waiting: 0,
        invalid: 1,
    };
    check_kept(
        store,
        |tx| rows.iter().try_for_each(|row| tx.put_row(row)),
        |tx| tx.unsettled_counts(),
        vec![north, south],
    );
}

fn offers_are_counted_until_they_are_claimed(store: &mut dyn Store) {
    let row = |n, to: Option<&str>| OwnedListRow {
        released_to: to.map(postoffice),
        ..list_row(n, "Ana")
    };
    let rows =
        [row(1, None), row(2, Some("SOUTH/Hq")), row(3, Some("south/HQ")), row(4, Some("W/X"))];
    check_kept(
        store,
        |tx| rows.iter().try_for_each(|row| tx.put_list_row(ListPlace::Live, &row.as_ref())),
        |tx| tx.offered_count(&postoffice("SOUTH/HQ")),
        2,
    );
    let nobody = discard(store, |tx| tx.offered_count(&postoffice("NORTH/NOBODY")));
    assert_eq!(nobody, 0);
    // One that the server brought whole as well is one entry.
    let offer = |n| Offer {
        id: entry_id(n),
        stamp: Stamp(7),
        owner: postoffice("WEST/X"),
        first_origin: postoffice("WEST/X"),
        key: "7".into(),
        record: record("Ana", "SMTP:a@b", ""),
    };
    let offers = [offer(2), offer(8)];
    let count = |tx: &mut Tx<'_>| tx.offered_count(&postoffice("SOUTH/HQ"));
    check_kept(store, |tx| tx.put_offers(&offers), count, 3);
    let nobody = discard(store, |tx| tx.offered_count(&postoffice("NORTH/NOBODY")));
    assert_eq!(nobody, 2);
    let own = |n, released_to| OwnRow { released_to, ..own_row(n, n) };
    let claim = |tx: &mut Tx<'_>| {
        tx.put_own(&own(3, None))?;
        tx.put_own(&own(8, None))?;
        // It was an own entry before, and is not claimed again yet.
        tx.put_own(&own(2, Some(postoffice("WEST/X"))))
    };
    check_kept(store, claim, count, 1);
}
