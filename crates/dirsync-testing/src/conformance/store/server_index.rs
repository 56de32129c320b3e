//! The server's indexes: by number, by address, by origin, and what is unsettled.

use std::collections::BTreeSet;
use std::sync::Arc;

use dirsync_directory::{EntryId, PostofficeName};
use dirsync_message::SrvSeq;
use dirsync_protocol::tables::{Numbered, Published, SeenIn, ServerRow, Stored, Submitted};
use dirsync_store::Store;

use super::{ALL, Check, Tx, check_kept, commit, discard, sorted, visited};
use crate::rows::{
    GREATEST, as_submitted, entry_id, postoffice, published, record, server_row, submitted,
    tombstone, view_hash,
};

pub(super) const CHECKS: &[Check] = &[
    rows_and_stubs_are_visited_by_number,
    claimants_follow_both_versions_of_a_row,
    another_claimant_is_seen_among_many,
    addresses_are_compared_as_such,
    submitted_rows_are_visited_by_origin,
    unsettled_rows_are_visited_and_no_others,
    published_entries_are_counted_by_origin,
    a_purge_takes_old_stubs_and_old_sights,
];

/// What is numbered in a range: the number, and the row's origin or nothing for a stub.
fn numbered(
    tx: &mut Tx<'_>,
    (after, upto): (u64, u64),
    limit: usize,
) -> Stored<Vec<(u64, Option<PostofficeName>)>> {
    visited!(
        limit,
        item => match item {
            Numbered::Published(row, _) => {
                let published = row.published.as_ref().expect("it is published");
                (published.numbers.last, Some(row.origin.clone()))
            }
            Numbered::Tombstone(stub) => (stub.srv_seq.0, None),
        },
        tx.visit_numbered(SrvSeq(after), SrvSeq(upto))
    )
}

fn rows_and_stubs_are_visited_by_number(store: &mut dyn Store) {
    commit(store, |tx| {
        for (n, number) in [(1, 60), (2, 10), (3, 30), (4, GREATEST), (9, 5)] {
            tx.put_row(&server_row(n, "NORTH/HQ", number))?;
        }
        for (n, number) in [(11, 50), (12, 20), (13, 25), (19, 6)] {
            tx.put_tombstone(&tombstone(n, number))?;
        }
        // Changes move a row or a stub to a new number; others leave the index.
        tx.put_row(&server_row(3, "NORTH/HQ", 40))?;
        tx.put_tombstone(&tombstone(13, 70))?;
        tx.put_row(&ServerRow { published: None, ..server_row(5, "SOUTH/HQ", 0) })?;
        tx.put_row(&ServerRow { published: None, ..server_row(9, "NORTH/HQ", 0) })?;
        tx.delete_tombstone(entry_id(19))
    });
    let row = |number| (number, Some(postoffice("NORTH/HQ")));
    let stub = |number| (number, None);
    let all = [row(10), stub(20), row(40), stub(50), row(60), stub(70), row(GREATEST)];
    let cases = [
        ((0, GREATEST), ALL, 0..7),
        ((10, 60), ALL, 1..5),
        ((9, 59), ALL, 0..4),
        ((10, 10), ALL, 0..0),
        ((60, 10), ALL, 0..0),
        ((20, GREATEST - 1), ALL, 2..6),
        ((0, GREATEST), 3, 0..3),
        ((GREATEST, GREATEST), ALL, 0..0),
    ];
    for (range, limit, expected) in cases {
        let seen = discard(store, |tx| numbered(tx, range, limit));
        assert_eq!(seen, all[expected], "{range:?}, at most {limit}");
    }
    let rows = discard(store, |tx| {
        visited!(
            ALL,
            item => match item {
                Numbered::Published(row, _) => Ok(row.clone()),
                Numbered::Tombstone(stub) => Err(stub.clone()),
            },
            tx.visit_numbered(SrvSeq(20), SrvSeq(50))
        )
    });
    assert_eq!(rows, [Ok(server_row(3, "NORTH/HQ", 40)), Err(tombstone(11, 50))], "whole rows");
    commit(store, |tx| tx.delete_row(entry_id(3), &postoffice("NORTH/HQ")));
    assert_eq!(discard(store, |tx| numbered(tx, (20, 50), ALL)), [stub(50)]);
}

fn claims(key: &str) -> impl Fn(&mut Tx<'_>) -> Stored<Vec<(EntryId, PostofficeName)>> {
    move |tx| Ok(sorted(tx.claimants(key)?))
}

fn claimants_follow_both_versions_of_a_row(store: &mut dyn Store) {
    let row = |wanted: Option<&str>, has: Option<Option<&str>>| {
        let other = |addresses| Arc::new(record("Ana", addresses, ""));
        let row = ServerRow {
            submitted: wanted.map(submitted),
            published: has.map(|addresses| Published {
                record: other(addresses.unwrap_or_default()),
                ..published(1)
            }),
            ..server_row(1, "North/Hq", 0)
        };
        if has == Some(None) { as_submitted(row) } else { row }
    };
    let me = || vec![(entry_id(1), postoffice("NORTH/HQ"))];
    let (new, old) = ("SMTP:new@b", "SMTP:old@b\tX400:/c=b");
    // Each row, and whether the new and the old address have a claimant then.
    let cases = [
        (row(Some(old), Some(None)), false, true),
        (row(Some(new), Some(Some(old))), true, true),
        (row(Some(new), Some(Some(new))), true, false),
        (row(Some(old), None), false, true),
        (row(None, Some(Some(new))), true, false),
        (row(None, None), false, false),
        (row(Some("SMTP:new@b\tSMTP:old@b\tX400:/c=b"), Some(None)), true, true),
    ];
    for (case, (row, has_new, has_old)) in cases.into_iter().enumerate() {
        commit(store, |tx| tx.put_row(&row));
        for (key, has) in [("smtp:new@b", has_new), ("smtp:old@b", has_old), ("x400:/c=b", has_old)]
        {
            let expected = if has { me() } else { vec![] };
            assert_eq!(discard(store, claims(key)), expected, "case {case}: {key}");
        }
    }
    let other = ServerRow { submitted: Some(submitted(new)), ..row(None, None) };
    let other = ServerRow { origin: postoffice("SOUTH/HQ"), ..other };
    let both = vec![me()[0].clone(), (entry_id(1), postoffice("South/Hq"))];
    check_kept(store, |tx| tx.put_row(&other), claims("smtp:new@b"), both);
    let left = vec![(entry_id(1), postoffice("SOUTH/HQ"))];
    let origin = postoffice("NORTH/HQ");
    check_kept(store, |tx| tx.delete_row(entry_id(1), &origin), claims("smtp:new@b"), left);
    check_kept(store, |_| Ok(()), claims("x400:/c=b"), vec![]);
}

fn another_claimant_is_seen_among_many(store: &mut dyn Store) {
    let row =
        |n| ServerRow { submitted: Some(submitted("SMTP:one@b")), ..server_row(n, "NORTH/HQ", 0) };
    let row = |n| ServerRow { published: None, ..row(n) };
    let seen = |store: &mut dyn Store| {
        discard(store, |tx| {
            let me = tx.is_claimed_by_other("smtp:one@b", entry_id(2))?;
            Ok((me, tx.is_claimed_by_other("smtp:none@b", entry_id(2))?))
        })
    };
    assert_eq!(seen(store), (false, false));
    // Two origins have one id: that is no other one.
    let twin = ServerRow { origin: postoffice("SOUTH/HQ"), ..row(2) };
    for (added, expected) in [(row(2), false), (twin, false), (row(3), true), (row(1), true)] {
        commit(store, |tx| tx.put_row(&added));
        assert_eq!(seen(store), (expected, false), "{}", added.id);
    }
}

fn addresses_are_compared_as_such(store: &mut dyn Store) {
    let row = ServerRow {
        submitted: Some(submitted("SMTP:Jos\u{c9}@B.Example\tX400:/o=a%_'b")),
        published: None,
        ..server_row(7, "NORTH/HQ", 0)
    };
    let keys: Vec<String> =
        row.submitted.iter().flat_map(|submitted| submitted.content().address_keys()).collect();
    commit(store, |tx| tx.put_row(&row));
    for key in &keys {
        let found = discard(store, claims(key));
        assert_eq!(found, [(entry_id(7), postoffice("NORTH/HQ"))], "{key}");
    }
    for key in ["", "%", "x400:/o=a%", "X400:/o=a%_'b", "x400:/o=a__'b"] {
        assert_eq!(discard(store, claims(key)), [], "{key}");
    }
}

fn submitted_rows_are_visited_by_origin(store: &mut dyn Store) {
    let held = ServerRow {
        submitted: None,
        published: Some(published(5)),
        ..server_row(4, "NORTH/HQ", 0)
    };
    commit(store, |tx| {
        for n in 1..=3 {
            tx.put_row(&server_row(n, "NORTH/HQ", n))?;
        }
        tx.put_row(&server_row(9, "SOUTH/HQ", 9))?;
        tx.put_row(&held)
    });
    let visit = |limit: usize| {
        move |tx: &mut Tx<'_>| {
            let origin = postoffice("north/hq");
            visited!(limit, row => ServerRow::clone(row),
                tx.visit_submitted(&origin))
        }
    };
    let mut rows = discard(store, visit(ALL));
    rows.sort_by_key(|row| row.key.clone());
    assert_eq!(rows, [1, 2, 3].map(|n| server_row(n, "NORTH/HQ", n)));
    assert_eq!(discard(store, visit(2)).len(), 2);
}

fn unsettled_rows_are_visited_and_no_others(store: &mut dyn Store) {
    let settled = |n| server_row(n, "NORTH/HQ", n);
    let wants = |n, submitted| as_submitted(ServerRow { submitted: Some(submitted), ..settled(n) });
    let released = Some(postoffice("SOUTH/HQ"));
    let unsettled = [
        ServerRow { published: None, ..settled(1) },
        ServerRow { submitted: None, published: None, ..settled(2) },
        ServerRow { submitted: None, published: Some(published(3)), ..settled(3) },
        ServerRow { published: Some(published(4)), ..settled(4) },
        wants(5, Submitted { invalid: Some(String::new()), ..submitted("") }),
        wants(6, Submitted { released_to: released.clone(), ..submitted("") }),
    ];
    let of_origin = ServerRow { origin: postoffice("WEST/HQ"), published: None, ..settled(7) };
    let published_release = Published { released_to: released, ..published(8) };
    commit(store, |tx| {
        unsettled.iter().chain([&of_origin]).try_for_each(|row| tx.put_row(row))?;
        tx.put_row(&settled(7))?;
        tx.put_row(&as_submitted(ServerRow { published: Some(published_release), ..settled(8) }))?;
        // What was unsettled once is not for ever.
        tx.put_row(&ServerRow { published: None, ..settled(9) })?;
        tx.put_row(&settled(9))?;
        tx.put_row(&ServerRow { published: None, ..settled(10) })?;
        tx.delete_row(entry_id(10), &postoffice("NORTH/HQ"))
    });
    let key = |row: &ServerRow| (row.id, row.origin.clone());
    let seen = discard(store, |tx| visited!(ALL, row => key(row), tx.visit_unsettled()));
    let expected = unsettled.iter().chain([&of_origin]).map(key).collect();
    assert_eq!(sorted(seen), sorted(expected));
    let two = discard(store, |tx| visited!(2, row => key(row), tx.visit_unsettled()));
    assert_eq!(two.len(), 2);
}

fn published_entries_are_counted_by_origin(store: &mut dyn Store) {
    let counts = |tx: &mut Tx<'_>| {
        let names = ["north/hq", "SOUTH/HQ", "WEST/HQ"];
        names.map(postoffice).iter().map(|name| tx.published_count(name)).collect()
    };
    let held = published(4);
    check_kept(
        store,
        |tx| {
            for n in 1..=3 {
                tx.put_row(&server_row(n, "NORTH/HQ", n))?;
            }
            tx.put_row(&ServerRow {
                submitted: None,
                published: Some(held),
                ..server_row(4, "North/Hq", 0)
            })?;
            tx.put_row(&ServerRow { published: None, ..server_row(2, "NORTH/HQ", 0) })?;
            tx.put_row(&server_row(9, "SOUTH/HQ", 9))
        },
        counts,
        vec![3, 1, 0],
    );
}

fn a_purge_takes_old_stubs_and_old_sights(store: &mut dyn Store) {
    let sight = || SeenIn::Some(BTreeSet::from([view_hash(3)]));
    let row = |n, number, seen_in| {
        as_submitted(ServerRow {
            published: Some(Published { seen_in, ..published(number) }),
            ..server_row(n, "NORTH/HQ", 0)
        })
    };
    let purged = commit(store, |tx| {
        for (n, number) in [(11, 10), (12, 20), (13, 21)] {
            tx.put_tombstone(&tombstone(n, number))?;
        }
        tx.put_row(&row(1, 15, sight()))?;
        tx.put_row(&row(2, 19, SeenIn::All))?;
        tx.put_row(&row(3, 30, SeenIn::All))?;
        tx.put_row(&row(4, 31, sight()))?;
        tx.purge_tombstones(SrvSeq(20))
    });
    assert_eq!(purged, 2, "stubs");
    let stubs = |tx: &mut Tx<'_>| {
        [11, 12, 13].into_iter().map(|n| tx.tombstone(entry_id(n))).collect::<Stored<Vec<_>>>()
    };
    assert_eq!(discard(store, stubs), [None, None, Some(tombstone(13, 21))]);
    let rows = |tx: &mut Tx<'_>| (1..=4).map(|n| tx.rows(entry_id(n))).collect::<Stored<Vec<_>>>();
    let none = SeenIn::default;
    let expected =
        [row(1, 15, none()), row(2, 19, none()), row(3, 30, SeenIn::All), row(4, 31, sight())];
    assert_eq!(discard(store, rows).concat(), expected, "rows numbered above keep their sights");
    let left = discard(store, |tx| numbered(tx, (0, GREATEST), ALL));
    assert_eq!(left.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [15, 19, 21, 30, 31]);
    assert_eq!(commit(store, |tx| tx.purge_tombstones(SrvSeq(20))), 0);
}
