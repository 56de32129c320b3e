//! A requestor's two lists and their buckets.

use dirsync_directory::SetDigest;
use dirsync_message::{SrvSeq, Stamp};
use dirsync_protocol::tables::{ListPlace, OwnedListRow, Stored};
use dirsync_store::Store;

use super::{ALL, Check, Tx, check_kept, commit, discard, sorted, visited};
use crate::rows::{GREATEST, TEXTS, digest, entry_id, list_row, record};

pub(super) const CHECKS: &[Check] = &[
    list_rows_are_kept,
    a_list_is_visited_in_the_order_of_first_writing,
    a_list_is_visited_by_name_then_id,
    buckets_are_added_to_and_taken_from,
    lists_are_swapped_with_their_buckets,
    a_cleared_list_has_no_rows_and_no_buckets,
    bulk_rows_are_kept_in_order,
    two_bulk_rows_with_one_id_are_found,
];

const PLACES: [ListPlace; 2] = [ListPlace::Live, ListPlace::Staged];

fn all_rows(tx: &mut Tx<'_>, place: ListPlace) -> Stored<Vec<OwnedListRow>> {
    visited!(ALL, row => row.to_owned(), tx.visit_list(place))
}

fn list_rows_are_kept(store: &mut dyn Store) {
    for place in PLACES {
        for (n, text) in (1..).zip(TEXTS) {
            let row = OwnedListRow {
                key: text.into(),
                srv_seq: SrvSeq(GREATEST),
                stamp: Stamp(GREATEST),
                record: record(text, text, text),
                ..list_row(n, "")
            };
            let kept = Some(row.clone());
            check_kept(
                store,
                |tx| tx.put_list_row(place, &row.as_ref()),
                |tx| tx.list_row(place, row.id),
                kept.clone(),
            );
            let back = discard(store, |tx| tx.list_row(place, row.id)).expect("it was written");
            let names = |row: OwnedListRow| {
                let released_to = row.released_to.map(|name| name.to_string());
                (row.owner.to_string(), row.first_origin.to_string(), released_to)
            };
            assert_eq!(names(back), names(row.clone()), "names come back as they were written");
            let changed = OwnedListRow { released_to: None, ..list_row(n, "other") };
            check_kept(
                store,
                |tx| tx.put_list_row(place, &changed.as_ref()),
                |tx| tx.list_row(place, row.id),
                Some(changed.clone()),
            );
        }
        let id = entry_id(2);
        check_kept(store, |tx| tx.delete_list_row(place, id), |tx| tx.list_row(place, id), None);
        check_kept(store, |tx| tx.delete_list_row(place, id), |tx| tx.list_row(place, id), None);
    }
    let counts = discard(store, |tx| {
        Ok(PLACES.map(|place| all_rows(tx, place).expect("the list is read").len()))
    });
    assert_eq!(counts, [TEXTS.len() - 1; 2], "the lists do not touch each other");
}

fn a_list_is_visited_in_the_order_of_first_writing(store: &mut dyn Store) {
    for place in PLACES {
        commit(store, |tx| {
            for n in [5, 3, 9, 1] {
                tx.put_list_row(place, &list_row(n, "first").as_ref())?;
            }
            tx.append_list_row(place, &list_row(4, "first").as_ref())
        });
        commit(store, |tx| {
            tx.put_list_row(place, &list_row(3, "again").as_ref())?;
            tx.delete_list_row(place, entry_id(4))?;
            tx.delete_list_row(place, entry_id(1))?;
            tx.put_list_row(place, &list_row(1, "again").as_ref())
        });
        let row = list_row;
        let expected = [row(5, "first"), row(3, "again"), row(9, "first"), row(1, "again")];
        let seen = discard(store, |tx| all_rows(tx, place));
        assert_eq!(seen, expected, "a row written again stays where it is");
        let two = discard(store, |tx| visited!(2, row => row.to_owned(), tx.visit_list(place)));
        assert_eq!(two, expected[..2]);
    }
}

fn a_list_is_visited_by_name_then_id(store: &mut dyn Store) {
    let names = ["b", "B", "a", "\u{e4}", "", "z", "Z", "a\0", "a\0b", "ab"];
    let mut expected = Vec::new();
    commit(store, |tx| {
        for (n, name) in (0..40).zip(names.iter().cycle()) {
            expected.push(((*name).to_owned(), entry_id(n)));
            tx.put_list_row(ListPlace::Live, &list_row(n, name).as_ref())?;
        }
        tx.put_list_row(ListPlace::Staged, &list_row(99, "staged").as_ref())
    });
    let expected = sorted(expected);
    for limit in [ALL, 7] {
        let seen = discard(store, |tx| {
            visited!(limit, row => (row.record.name.to_owned(), row.id),
                tx.visit_list_by_name())
        });
        assert_eq!(seen, expected[..limit.min(40)], "by bytes, then by id");
    }
}

fn buckets_are_added_to_and_taken_from(store: &mut dyn Store) {
    let none = SetDigest::default();
    let one = |sum| SetDigest { count: 1, sum };
    for place in PLACES {
        let read = |tx: &mut Tx<'_>| Ok(tx.list_buckets(place)?.0.into_iter().collect::<Vec<_>>());
        check_kept(
            store,
            |tx| {
                tx.change_list_buckets(
                    place,
                    &[(4095, one(u128::MAX), none), (0, digest(5), none)],
                )?;
                // More can be taken than is there until the rest is added: digests wrap.
                tx.change_list_buckets(place, &[(7, none, one(8)), (4095, one(2), none)])?;
                tx.change_list_buckets(place, &[(7, one(9), none), (7, one(4), none)])
            },
            read,
            vec![(0, digest(5)), (7, one(5)), (4095, SetDigest { count: 2, sum: 1 })],
        );
        check_kept(
            store,
            |tx| tx.change_list_buckets(place, &[(0, none, digest(5)), (7, one(6), one(5))]),
            read,
            vec![(7, one(6)), (4095, SetDigest { count: 2, sum: 1 })],
        );
        check_kept(store, |tx| tx.change_list_buckets(place, &[]), |tx| Ok(read(tx)?.len()), 2);
    }
}

fn lists_are_swapped_with_their_buckets(store: &mut dyn Store) {
    let none = SetDigest::default();
    commit(store, |tx| {
        for n in [3, 1] {
            tx.put_list_row(ListPlace::Live, &list_row(n, "old").as_ref())?;
            tx.change_list_buckets(ListPlace::Live, &[(n as u16, digest(n), none)])?;
        }
        for n in [9, 2, 3] {
            tx.put_list_row(ListPlace::Staged, &list_row(n, "new").as_ref())?;
            tx.change_list_buckets(ListPlace::Staged, &[(n as u16, digest(n), none)])?;
        }
        Ok(())
    });
    let new = || [9, 2, 3].map(|n| list_row(n, "new")).to_vec();
    let read = |tx: &mut Tx<'_>| {
        let mut buckets = Vec::new();
        for place in PLACES {
            buckets.push(tx.list_buckets(place)?.0.into_iter().collect::<Vec<_>>());
        }
        Ok((all_rows(tx, ListPlace::Live)?, all_rows(tx, ListPlace::Staged)?, buckets))
    };
    let sums = vec![(2, digest(2)), (3, digest(3)), (9, digest(9))];
    check_kept(store, |tx| tx.swap_lists(), read, (new(), vec![], vec![sums, vec![]]));
    // Both places go on as before.
    let added = list_row(1, "later");
    let mut live = new();
    live.push(added.clone());
    check_kept(
        store,
        |tx| {
            tx.put_list_row(ListPlace::Live, &added.as_ref())?;
            tx.append_list_row(ListPlace::Staged, &list_row(1, "staged").as_ref())
        },
        |tx| Ok((all_rows(tx, ListPlace::Live)?, all_rows(tx, ListPlace::Staged)?)),
        (live, vec![list_row(1, "staged")]),
    );
    let named = discard(store, |tx| visited!(ALL, row => row.id, tx.visit_list_by_name()));
    assert_eq!(named.len(), 4, "the list by name is the live one");
    let row = |tx: &mut Tx<'_>| tx.list_row(ListPlace::Live, entry_id(9));
    check_kept(store, |_| Ok(()), row, Some(list_row(9, "new")));
}

fn a_cleared_list_has_no_rows_and_no_buckets(store: &mut dyn Store) {
    let none = SetDigest::default();
    commit(store, |tx| {
        for place in PLACES {
            tx.put_list_row(place, &list_row(1, "").as_ref())?;
            tx.change_list_buckets(place, &[(1, digest(1), none)])?;
        }
        Ok(())
    });
    let read = |tx: &mut Tx<'_>| {
        let mut left = Vec::new();
        for place in PLACES {
            left.push((all_rows(tx, place)?.len(), tx.list_buckets(place)?.0.len()));
        }
        Ok(left)
    };
    check_kept(store, |tx| tx.clear_list(ListPlace::Staged), read, vec![(1, 1), (0, 0)]);
    check_kept(store, |tx| tx.clear_list(ListPlace::Live), read, vec![(0, 0), (0, 0)]);
}

fn bulk_rows_are_kept_in_order(store: &mut dyn Store) {
    for place in PLACES {
        let order: Vec<u64> = (0..500).map(|n| n * 7919 % 500).collect();
        let fill = |tx: &mut Tx<'_>| {
            tx.begin_bulk(place)?;
            for n in &order {
                tx.append_list_row(place, &list_row(*n, "bulk").as_ref())?;
            }
            tx.end_bulk(place)
        };
        let ids: Vec<_> = order.iter().map(|n| entry_id(*n)).collect();
        let read = |tx: &mut Tx<'_>| {
            Ok(all_rows(tx, place)?.into_iter().map(|row| row.id).collect::<Vec<_>>())
        };
        discard(store, fill);
        assert_eq!(discard(store, read), [], "a bulk that is not committed leaves nothing");
        check_kept(store, fill, read, ids);
        let row = Some(list_row(17, "bulk"));
        check_kept(store, |_| Ok(()), |tx| tx.list_row(place, entry_id(17)), row);
        let replaced = Some(list_row(17, "after"));
        check_kept(
            store,
            |tx| tx.put_list_row(place, &list_row(17, "after").as_ref()),
            |tx| tx.list_row(place, entry_id(17)),
            replaced,
        );
    }
}

fn two_bulk_rows_with_one_id_are_found(store: &mut dyn Store) {
    for place in PLACES {
        let mut transaction = store.begin().expect("begin");
        let mut fill = || {
            transaction.begin_bulk(place)?;
            for n in [1, 2, 3, 2, 4] {
                transaction.append_list_row(place, &list_row(n, "").as_ref())?;
            }
            transaction.end_bulk(place)
        };
        assert!(fill().is_err(), "found while appending, or at the end");
        drop(transaction);
        assert_eq!(discard(store, |tx| all_rows(tx, place)), []);
        let expected = vec![list_row(2, "")];
        check_kept(
            store,
            |tx| {
                tx.begin_bulk(place)?;
                tx.append_list_row(place, &expected[0].as_ref())?;
                tx.end_bulk(place)
            },
            |tx| all_rows(tx, place),
            expected.clone(),
        );
    }
}
