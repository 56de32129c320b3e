//! The server's state, registrations, rows, stubs, points and views.

use std::collections::BTreeMap;
use std::sync::Arc;

use dirsync_directory::{BucketSums, Record, SetDigest, View};
use dirsync_message::{Mark, ReqSeq, ServerEpoch, Stamp, SyncPoint};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::tables::{
    Agreement, Hold, IssuedPoint, Position, Published, Registration, RegistrationState, SeenIn,
    ServerRow, ServerState, Submitted,
};
use dirsync_store::Store;

use super::{Check, Tx, check_kept, commit, discard, sorted, visited};
use crate::rows::{
    GREATEST, TEXTS, as_submitted, digest, entry_id, point, postoffice, published, record,
    registration, server_epoch, server_row, submitted, tombstone, view, view_hash,
};

pub(super) const CHECKS: &[Check] = &[
    the_server_row_is_kept,
    registrations_are_kept_and_ordered_by_name,
    rows_are_kept_by_id_and_origin,
    every_part_of_a_row_is_kept,
    stubs_are_kept,
    submitted_deletions_are_kept_by_origin,
    transfers_are_kept,
    points_are_found_by_all_but_their_mark,
    views_are_kept_with_their_sums,
    sums_of_views_are_added_to_and_taken_from,
    published_deletions_are_kept_by_origin_and_purged,
];

fn the_server_row_is_kept(store: &mut dyn Store) {
    assert_eq!(discard(store, |tx| tx.server()), None);
    let state = ServerState {
        epoch: server_epoch(GREATEST),
        head: dirsync_message::SrvSeq(GREATEST),
        horizon: dirsync_message::SrvSeq(GREATEST - 1),
        recovering: true,
        fenced: false,
        cycle: GREATEST - 2,
        claims: GREATEST - 3,
        last_run: GREATEST - 4,
        overtaken: 3,
        overtaken_at: GREATEST - 5,
    };
    check_kept(store, |tx| tx.put_server(&state), |tx| tx.server(), Some(state.clone()));
    let next = ServerState { recovering: false, fenced: true, epoch: server_epoch(0), ..state };
    check_kept(store, |tx| tx.put_server(&next), |tx| tx.server(), Some(next.clone()));
}

fn registrations_are_kept_and_ordered_by_name(store: &mut dyn Store) {
    let full = registration("North/O-Brien &_");
    let read = |tx: &mut Tx<'_>| tx.registration(&postoffice("NORTH/o-brien &_"));
    check_kept(store, |tx| tx.put_registration(&full), read, Some(full.clone()));
    for state in [
        RegistrationState::Invited,
        RegistrationState::Active,
        RegistrationState::Suspended,
        RegistrationState::Removed,
    ] {
        let bare = Registration {
            state,
            key: None,
            invitation: None,
            places: Vec::new(),
            epoch: None,
            retired: Default::default(),
            taken: Vec::new(),
            challenge: None,
            side_answers: Vec::new(),
            position: Position::default(),
            agreement: Agreement::default(),
            spoke_in: None,
            answer_due: false,
            send_own: true,
            acknowledged: ReqSeq(0),
            ..full.clone()
        };
        check_kept(store, |tx| tx.put_registration(&bare), read, Some(bare.clone()));
    }
    let unheard = registration("NORTH/X");
    assert_eq!(discard(store, |tx| tx.registration(&unheard.name)), None);
    commit(store, |tx| {
        for name in ["west/a", "EAST/B", "South/C", "NORTH/O-BRIEN &_"] {
            tx.put_registration(&registration(name))?;
        }
        Ok(())
    });
    let names = discard(store, |tx| {
        Ok(tx.registrations()?.iter().map(|row| row.name.to_string()).collect::<Vec<_>>())
    });
    assert_eq!(names, ["EAST/B", "NORTH/O-BRIEN &_", "South/C", "west/a"], "as written last");
}

fn rows_are_kept_by_id_and_origin(store: &mut dyn Store) {
    let unpublished = |origin| ServerRow { published: None, ..server_row(1, origin, 0) };
    let rows = vec![unpublished("east/a"), server_row(1, "North/B", 7), unpublished("WEST/A")];
    let read = |tx: &mut Tx<'_>| tx.rows(entry_id(1));
    check_kept(
        store,
        |tx| {
            tx.put_row(&server_row(2, "NORTH/B", 8))?;
            rows.iter().rev().try_for_each(|row| tx.put_row(row))
        },
        read,
        rows.clone(),
    );
    let names = discard(store, |tx| {
        Ok(tx.rows(entry_id(1))?.iter().map(|row| row.origin.to_string()).collect::<Vec<_>>())
    });
    assert_eq!(names, ["east/a", "North/B", "WEST/A"], "as written");
    // One of the same origin is replaced, however its name is written.
    check_kept(store, |tx| tx.put_row(&unpublished("EAST/A")), read, rows.clone());
    let gone = postoffice("NORTH/b");
    let left = vec![rows[0].clone(), rows[2].clone()];
    check_kept(store, |tx| tx.delete_row(entry_id(1), &gone), read, left.clone());
    check_kept(store, |tx| tx.delete_row(entry_id(1), &gone), read, left);
    let other = discard(store, |tx| tx.rows(entry_id(2)));
    assert_eq!(other, [server_row(2, "NORTH/B", 8)]);
    assert_eq!(discard(store, |tx| tx.rows(entry_id(3))), []);
}

fn every_part_of_a_row_is_kept(store: &mut dyn Store) {
    let base = server_row(1, "NORTH/HQ", 5);
    let shown = |published: Published| ServerRow { published: Some(published), ..base.clone() };
    let wanted = |submitted: Submitted| ServerRow { submitted: Some(submitted), ..base.clone() };
    let held = Some(Hold { since: GREATEST, rejected: true });
    let mut rows = vec![
        base.clone(),
        ServerRow { submitted: None, published: None, ..base.clone() },
        ServerRow {
            submitted: None,
            published: Some(Published { held, ..published(1) }),
            ..base.clone()
        },
        shown(Published { held: Some(Hold { since: 0, rejected: false }), ..published(2) }),
        shown(Published { seen_in: SeenIn::All, stamp: Stamp(GREATEST), ..published(3) }),
        shown(Published { seen_in: SeenIn::default(), ..published(4) }),
        shown(Published { numbers: ChangeNumbers::new(GREATEST), ..published(5) }),
        shown(Published { released_to: Some(postoffice("WEST/HQ")), ..published(6) }),
        wanted(Submitted { released_to: Some(postoffice("WEST/HQ")), ..submitted("SMTP:a@b") }),
        wanted(Submitted { invalid: Some(String::new()), ..submitted("") }),
        wanted(Submitted { stamp: Stamp(0), claim: 0, ..submitted("\t\t") }),
    ];
    for text in TEXTS {
        let record = Record { kind: text.into(), ..record(text, text, text) };
        let record = Arc::new(record);
        let other = Record { name: format!("{text}!"), ..Record::clone(&record) };
        let submitted = Submitted { record, invalid: Some(text.into()), ..submitted("") };
        let published = Published { record: Arc::new(other), ..published(9) };
        rows.push(ServerRow {
            key: text.into(),
            submitted: Some(submitted),
            published: Some(published),
            ..base.clone()
        });
    }
    let alike: Vec<ServerRow> = rows.iter().cloned().map(as_submitted).collect();
    for row in rows.into_iter().chain(alike) {
        check_kept(store, |tx| tx.put_row(&row), |tx| tx.rows(row.id), vec![row.clone()]);
    }
}

fn stubs_are_kept(store: &mut dyn Store) {
    for n in 0..6 {
        let stub = tombstone(n, GREATEST - n);
        let kept = Some(stub.clone());
        check_kept(store, |tx| tx.put_tombstone(&stub), |tx| tx.tombstone(stub.id), kept);
    }
    let again = tombstone(5, 3);
    let id = again.id;
    check_kept(store, |tx| tx.put_tombstone(&again), |tx| tx.tombstone(id), Some(again.clone()));
    check_kept(store, |tx| tx.delete_tombstone(id), |tx| tx.tombstone(id), None);
    check_kept(store, |tx| tx.delete_tombstone(id), |tx| tx.tombstone(id), None);
}

fn submitted_deletions_are_kept_by_origin(store: &mut dyn Store) {
    let (north, south) = (postoffice("North/Hq"), postoffice("SOUTH/HQ"));
    let again = postoffice("NORTH/HQ");
    commit(store, |tx| {
        for n in 1..=4 {
            tx.put_submitted_tombstone(&north, entry_id(n), Some(Stamp(n)))?;
            tx.put_submitted_tombstone(&south, entry_id(n), Some(Stamp(n * 10)))?;
        }
        tx.put_submitted_tombstone(&again, entry_id(2), Some(Stamp(GREATEST)))?;
        tx.put_submitted_tombstone(&north, entry_id(3), None)?;
        tx.put_submitted_tombstone(&north, entry_id(99), None)
    });
    let one = |origin, n| move |tx: &mut Tx<'_>| tx.submitted_tombstone(origin, entry_id(n));
    assert_eq!(discard(store, one(&north, 1)), Some(Stamp(1)));
    assert_eq!(discard(store, one(&north, 2)), Some(Stamp(GREATEST)));
    assert_eq!(discard(store, one(&again, 3)), None);
    assert_eq!(discard(store, one(&south, 3)), Some(Stamp(30)));
    let visit = |origin, limit: usize| {
        move |tx: &mut Tx<'_>| {
            visited!(limit, item => item,
                tx.visit_submitted_tombstones(origin))
        }
    };
    let expected = [(1, 1), (2, GREATEST), (4, 4)].map(|(n, stamp)| (entry_id(n), Stamp(stamp)));
    assert_eq!(sorted(discard(store, visit(&again, 10))), sorted(expected.to_vec()));
    assert_eq!(discard(store, visit(&south, 2)).len(), 2);
}

fn transfers_are_kept(store: &mut dyn Store) {
    let id = entry_id(1);
    let read = |tx: &mut Tx<'_>| Ok(tx.transferred(id)?.map(|name| name.to_string()));
    assert_eq!(discard(store, read), None);
    for name in ["North/O-Brien", "SOUTH/HQ"] {
        let owner = postoffice(name);
        check_kept(store, |tx| tx.put_transferred(id, &owner), read, Some(name.into()));
    }
}

fn points_are_found_by_all_but_their_mark(store: &mut dyn Store) {
    let full = point(GREATEST);
    let others = [
        SyncPoint { complete: false, ..full },
        SyncPoint { view: view_hash(1), ..full },
        point(GREATEST - 1),
        SyncPoint { epoch: ServerEpoch { random: 0, ..full.epoch }, ..full },
        SyncPoint { epoch: server_epoch(4), ..full },
    ];
    let read = |point: SyncPoint| move |tx: &mut Tx<'_>| tx.issued_point(&point);
    let issued = |mark, digest| Some(IssuedPoint { mark: Mark(mark), digest });
    let with_digest = Some(digest(GREATEST));
    check_kept(
        store,
        |tx| tx.put_issued_point(&full, with_digest),
        read(SyncPoint { mark: Mark(0), ..full }),
        issued(u64::MAX, with_digest),
    );
    for (mark, other) in (0..).zip(others) {
        assert_eq!(discard(store, read(other)), None);
        let other = SyncPoint { mark: Mark(mark), ..other };
        check_kept(store, |tx| tx.put_issued_point(&other, None), read(other), issued(mark, None));
    }
    check_kept(store, |_| Ok(()), read(full), issued(u64::MAX, with_digest));
    let again = SyncPoint { mark: Mark(1 << 63), ..full };
    check_kept(store, |tx| tx.put_issued_point(&again, None), read(full), issued(1 << 63, None));
}

fn views_are_kept_with_their_sums(store: &mut dyn Store) {
    let sums = |first| BucketSums(BTreeMap::from([(first, digest(1)), (4095, digest(GREATEST))]));
    let read = |tx: &mut Tx<'_>| {
        let mut views = tx.views()?;
        views.sort_by_key(|(hash, _)| *hash);
        let sums = views.iter().map(|(hash, _)| tx.view_sums(*hash));
        let sums = sums.collect::<Result<Vec<_>, _>>()?;
        Ok((views, sums))
    };
    let (a, b) = (view_hash(0), view_hash(0xff));
    check_kept(
        store,
        |tx| {
            tx.put_view(b, &view(), &sums(3))?;
            tx.put_view(a, &View::default(), &sums(0))
        },
        read,
        (vec![(a, View::default()), (b, view())], vec![sums(0), sums(3)]),
    );
    check_kept(
        store,
        |tx| tx.put_view(a, &view(), &sums(7)),
        read,
        (vec![(a, view()), (b, view())], vec![sums(7), sums(3)]),
    );
    check_kept(store, |tx| tx.delete_view(a), read, (vec![(b, view())], vec![sums(3)]));
    check_kept(store, |_| Ok(()), |tx| tx.view_sums(a), BucketSums::default());
    check_kept(store, |tx| tx.delete_view(a), read, (vec![(b, view())], vec![sums(3)]));
    let empty = BucketSums::default();
    check_kept(
        store,
        |tx| tx.put_view(a, &View::default(), &empty),
        |tx| tx.view_sums(a),
        empty.clone(),
    );
}

fn sums_of_views_are_added_to_and_taken_from(store: &mut dyn Store) {
    let none = SetDigest::default();
    let one = |sum| SetDigest { count: 1, sum };
    let (a, b) = (view_hash(1), view_hash(2));
    let start = BucketSums(BTreeMap::from([(0, one(u128::MAX)), (9, digest(3))]));
    let read = |tx: &mut Tx<'_>| Ok([tx.view_sums(a)?, tx.view_sums(b)?]);
    check_kept(
        store,
        |tx| {
            tx.put_view(a, &View::default(), &start)?;
            tx.put_view(b, &view(), &start)?;
            // More can be taken than is there until the rest is added: digests wrap.
            tx.change_view_sums(a, &[(0, one(2), none), (4095, none, one(8))])?;
            tx.change_view_sums(a, &[(4095, one(9), none), (4095, one(4), none)])?;
            tx.change_view_sums(a, &[(9, none, digest(3))])
        },
        read,
        [
            BucketSums(BTreeMap::from([(0, SetDigest { count: 2, sum: 1 }), (4095, one(5))])),
            start.clone(),
        ],
    );
}

fn published_deletions_are_kept_by_origin_and_purged(store: &mut dyn Store) {
    let (north, south) = (postoffice("North/Hq"), postoffice("SOUTH/HQ"));
    let again = postoffice("NORTH/HQ");
    let read = |tx: &mut Tx<'_>| {
        Ok([sorted(tx.deletion_events(&again)?), sorted(tx.deletion_events(&south)?)])
    };
    check_kept(
        store,
        |tx| {
            tx.put_deletion_event(&north, 20, 3)?;
            tx.put_deletion_event(&north, 10, GREATEST)?;
            tx.put_deletion_event(&north, GREATEST, 1)?;
            tx.put_deletion_event(&south, 9, 2)
        },
        read,
        [vec![(10, GREATEST), (20, 3), (GREATEST, 1)], vec![(9, 2)]],
    );
    let left = [vec![(20, 3), (GREATEST, 1)], vec![]];
    check_kept(store, |tx| tx.purge_deletion_events(20), read, left);
}
