//! Own entries, their deletions, and what a requestor remembers.

use std::ops::ControlFlow;

use dirsync_directory::own_element;
use dirsync_message::{Offer, Outcome, OutcomeKind, ReqSeq, Stamp};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{HeldChange, Mode, OwnRow, RequestorState, SourceMemory};
use dirsync_store::Store;

use super::{ALL, Check, check_kept, commit, discard, sorted, visited};
use crate::held_changes;
use crate::rows::{
    GREATEST, TEXTS, digest, entry_id, own_row, own_tombstone, postoffice, record, requestor,
};

pub(super) const CHECKS: &[Check] = &[
    the_requestor_row_is_kept,
    own_entries_are_kept,
    own_entries_are_visited_by_number,
    own_elements_are_the_elements_of_the_digest,
    own_tombstones_are_kept_and_visited_by_number,
    adopted_ids_are_kept_by_source_and_key,
    outcomes_are_replaced_as_a_whole,
    offers_are_replaced_as_a_whole,
    held_changes_are_kept_and_ordered_by_source_reason_and_key,
    held_changes_are_visited_beside_the_entries_that_they_would_change,
    guarded_changes_are_kept_by_source_and_purged,
    source_memories_are_kept,
    the_reads_of_all_sources_are_forgotten_at_once,
];

fn the_requestor_row_is_kept(store: &mut dyn Store) {
    assert!(store.begin().expect("begin").requestor().is_err(), "it was never written");
    let full = requestor();
    check_kept(store, |tx| tx.put_requestor(&full), |tx| tx.requestor(), full.clone());
    let names = discard(store, |tx| Ok(tx.requestor()?.name.to_string()));
    assert_eq!(names, full.name.as_str(), "as it was written");
    let bare = RequestorState {
        lineage: Vec::new(),
        former_epochs: Vec::new(),
        sent: Vec::new(),
        epoch_heard: None,
        epoch_evidence: None,
        point_evidence: None,
        point: None,
        filling: None,
        staging: None,
        proof: None,
        epoch_accepted: false,
        list_bad: false,
        send_buckets: true,
        request_due: false,
        mode: Mode::Normal,
        list_digest: digest(0),
        ..full
    };
    check_kept(store, |tx| tx.put_requestor(&bare), |tx| tx.requestor(), bare.clone());
    for mode in [Mode::WantOwn, Mode::Fenced, Mode::Removed] {
        let state = RequestorState { mode, proof: Some(String::new()), ..bare.clone() };
        check_kept(store, |tx| tx.put_requestor(&state), |tx| tx.requestor(), state.clone());
    }
}

fn own_entries_are_kept(store: &mut dyn Store) {
    for (n, text) in (1..).zip(TEXTS) {
        let row = OwnRow {
            key: text.into(),
            source: text.into(),
            record: record(text, text, text),
            ..own_row(n, n)
        };
        let kind = OwnRow {
            record: dirsync_directory::Record { kind: text.into(), ..row.record.clone() },
            ..row
        };
        check_kept(store, |tx| tx.put_own(&kind), |tx| tx.own(kind.id), Some(kind.clone()));
    }
    let row = OwnRow {
        numbers: ChangeNumbers::new(GREATEST),
        stamp: Stamp(GREATEST),
        released_to: Some(postoffice("South/O-Brien &_")),
        ..own_row(1, 1)
    };
    check_kept(store, |tx| tx.put_own(&row), |tx| tx.own(row.id), Some(row.clone()));
    let back = discard(store, |tx| tx.own(row.id)).expect("it was written");
    assert_eq!(back.first_origin.as_str(), row.first_origin.as_str());
    assert_eq!(back.released_to.map(|name| name.to_string()), Some("South/O-Brien &_".into()));
    check_kept(store, |tx| tx.delete_own(row.id), |tx| tx.own(row.id), None);
    check_kept(store, |tx| tx.delete_own(row.id), |tx| tx.own(row.id), None);
}

fn own_entries_are_visited_by_number(store: &mut dyn Store) {
    let rows = [own_row(1, 30), own_row(2, 10), own_row(3, GREATEST), own_row(4, 20)];
    commit(store, |tx| {
        rows.iter().try_for_each(|row| tx.put_own(row))?;
        // A change moves a row to its new number, and a deletion takes it out.
        tx.put_own(&own_row(2, 40))?;
        tx.put_own(&own_row(5, 50))?;
        tx.delete_own(entry_id(5))
    });
    let all = [own_row(4, 20), own_row(1, 30), own_row(2, 40), own_row(3, GREATEST)];
    let cases =
        [(0, ALL, 0..4), (20, ALL, 1..4), (19, ALL, 0..4), (GREATEST, ALL, 4..4), (0, 2, 0..2)];
    for (after, limit, expected) in cases {
        let after = ReqSeq(after);
        let seen =
            discard(store, |tx| visited!(limit, row => OwnRow::clone(row), tx.visit_own(after)));
        assert_eq!(seen, all[expected], "after {after}, at most {limit}");
    }
}

fn own_elements_are_the_elements_of_the_digest(store: &mut dyn Store) {
    let mut rows = [own_row(1, 1), own_row(2, 2), own_row(3, 3)];
    commit(store, |tx| {
        rows.iter().try_for_each(|row| tx.put_own(row))?;
        rows[1].record.name = "Eva".into();
        rows[1].source = "a\0b".into();
        tx.put_own(&rows[1])
    });
    let expected = rows.each_ref().map(|row| {
        let element = own_element(row.id, row.released_to.as_ref(), row.record.as_ref());
        (row.id, element, row.source.clone())
    });
    let seen = discard(store, |tx| {
        visited!(ALL, (id, element, source) => (id, element, str::to_owned(source)),
            tx.visit_own_elements())
    });
    assert_eq!(sorted(seen), sorted(expected.to_vec()));
    let one = discard(store, |tx| visited!(1, (id, _, _) => id, tx.visit_own_elements()));
    assert_eq!(one.len(), 1);
}

fn own_tombstones_are_kept_and_visited_by_number(store: &mut dyn Store) {
    let row = own_tombstone(1, GREATEST);
    check_kept(
        store,
        |tx| tx.put_own_tombstone(&row),
        |tx| tx.own_tombstone(row.id),
        Some(row.clone()),
    );
    commit(store, |tx| {
        for (n, number) in [(2, 20), (3, 10), (4, 30), (2, 25), (5, 5)] {
            tx.put_own_tombstone(&own_tombstone(n, number))?;
        }
        tx.delete_own_tombstone(entry_id(5))?;
        tx.delete_own_tombstone(entry_id(99))
    });
    let all = [own_tombstone(3, 10), own_tombstone(2, 25), own_tombstone(4, 30), row];
    for (after, limit, expected) in
        [(0, ALL, 0..4), (10, ALL, 1..4), (GREATEST, ALL, 4..4), (9, 2, 0..2)]
    {
        let seen = discard(store, |tx| {
            visited!(limit, row => row,
                tx.visit_own_tombstones(ReqSeq(after)))
        });
        assert_eq!(seen, all[expected], "after {after}, at most {limit}");
    }
    assert_eq!(discard(store, |tx| tx.own_tombstone(entry_id(5))), None);
}

fn adopted_ids_are_kept_by_source_and_key(store: &mut dyn Store) {
    for (n, text) in (1..).zip(TEXTS) {
        let id = Some(entry_id(n));
        check_kept(
            store,
            |tx| tx.put_adopted_id("csv", text, id),
            |tx| Ok((tx.adopted_id("csv", text)?, tx.adopted_id(text, "csv")?)),
            (id, None),
        );
    }
    let other = Some(entry_id(99));
    let read = |tx: &mut super::Tx<'_>| tx.adopted_id("csv", "a\0b");
    check_kept(store, |tx| tx.put_adopted_id("csv", "a\0b", other), read, other);
    check_kept(store, |tx| tx.put_adopted_id("csv", "a\0b", None), read, None);
    check_kept(store, |tx| tx.put_adopted_id("csv", "a\0b", None), read, None);
    assert_eq!(discard(store, |tx| tx.adopted_id("csv", "\0")), Some(entry_id(2)));
}

fn outcomes_are_replaced_as_a_whole(store: &mut dyn Store) {
    let address = "SMTP:o'brien@north.example".parse().expect("an address");
    let (holder, by) = (postoffice("South/Hq"), postoffice("WEST/HQ"));
    let kinds = [
        OutcomeKind::Waiting { address, holder },
        OutcomeKind::Contested { address: "X400:/c=BR/".parse().expect("an address"), by },
        OutcomeKind::Held,
        OutcomeKind::Transferred { to: postoffice("SOUTH/HQ") },
        OutcomeKind::ForeignId { owner: postoffice("SOUTH/HQ") },
    ];
    let invalid = TEXTS.map(|text| OutcomeKind::Invalid { reason: text.into() });
    // Two outcomes may concern one entry, and their order is the server's.
    let outcomes: Vec<Outcome> = (0..)
        .zip(kinds.into_iter().chain(invalid))
        .map(|(n, kind)| Outcome { id: entry_id(20 - n / 2), kind })
        .collect();
    assert_eq!(discard(store, |tx| tx.outcomes()), []);
    check_kept(store, |tx| tx.put_outcomes(&outcomes), |tx| tx.outcomes(), outcomes.clone());
    let fewer = &outcomes[3..5];
    check_kept(store, |tx| tx.put_outcomes(fewer), |tx| tx.outcomes(), fewer.to_vec());
    check_kept(store, |tx| tx.put_outcomes(&[]), |tx| tx.outcomes(), Vec::new());
}

fn offers_are_replaced_as_a_whole(store: &mut dyn Store) {
    let offers: Vec<Offer> = (0..)
        .zip(TEXTS)
        .map(|(n, text)| Offer {
            id: entry_id(20 - n),
            stamp: Stamp(GREATEST - n),
            owner: postoffice("South/Hq"),
            first_origin: postoffice("WEST/HQ"),
            key: text.into(),
            record: record("contact", text, "'"),
        })
        .collect();
    assert_eq!(discard(store, |tx| tx.offers()), []);
    check_kept(store, |tx| tx.put_offers(&offers), |tx| tx.offers(), offers.clone());
    let fewer = &offers[1..2];
    check_kept(store, |tx| tx.put_offers(fewer), |tx| tx.offers(), fewer.to_vec());
    check_kept(store, |tx| tx.put_offers(&[]), |tx| tx.offers(), Vec::new());
}

fn held_changes_are_kept_and_ordered_by_source_reason_and_key(store: &mut dyn Store) {
    let held = |n: u64, key: &str| HeldChange {
        id: entry_id(n),
        source: if n % 4 < 2 { "csv\0" } else { "ldif" }.into(),
        kind: if n % 3 < 2 { GuardKind::ShortRead } else { GuardKind::Blank },
        record: (n % 2 == 1).then(|| record("", "a\0b", "'")),
        key: key.into(),
        since: GREATEST - n,
        rejected: n.is_multiple_of(3),
    };
    let mut all: Vec<HeldChange> = (1..).zip(TEXTS).map(|(n, key)| held(n, key)).collect();
    let write = all.clone();
    all.sort_by(|a, b| (&a.source, a.kind, &a.key).cmp(&(&b.source, b.kind, &b.key)));
    let read = |tx: &mut super::Tx<'_>| held_changes(tx);
    check_kept(
        store,
        |tx| write.iter().try_for_each(|row| tx.put_held_change(row)),
        read,
        all.clone(),
    );
    let again = HeldChange { rejected: !all[0].rejected, record: None, ..all[0].clone() };
    all[0] = again.clone();
    check_kept(store, |tx| tx.put_held_change(&again), read, all.clone());
    let one = |tx: &mut super::Tx<'_>| tx.held_change(all[1].id);
    check_kept(store, |_| Ok(()), one, Some(all[1].clone()));
    let first = discard(store, |tx| {
        let mut seen = Vec::new();
        tx.visit_held_changes(&mut |held, _| {
            seen.push(held.clone());
            ControlFlow::Break(())
        })?;
        Ok(seen)
    });
    assert_eq!(first, all[..1], "a break ends the visit");
    let gone = all.remove(3).id;
    check_kept(store, |tx| tx.delete_held_change(gone), read, all.clone());
    check_kept(store, |tx| tx.delete_held_change(gone), read, all);
    check_kept(store, |_| Ok(()), |tx| tx.held_change(gone), None);
}

fn held_changes_are_visited_beside_the_entries_that_they_would_change(store: &mut dyn Store) {
    let row = own_row(1, 1);
    let held = |n: u64| HeldChange {
        id: entry_id(n),
        source: "csv".into(),
        kind: GuardKind::Delete,
        record: None,
        key: n.to_string(),
        since: 1,
        rejected: false,
    };
    let read = |tx: &mut super::Tx<'_>| {
        let mut seen = Vec::new();
        tx.visit_held_changes(&mut |held, own| {
            seen.push((held.id, own.cloned()));
            ControlFlow::Continue(())
        })?;
        Ok(seen)
    };
    let write = |tx: &mut super::Tx<'_>| {
        tx.put_own(&row)?;
        tx.put_held_change(&held(1))?;
        tx.put_held_change(&held(2))
    };
    let expected = vec![(entry_id(1), Some(row.record.clone())), (entry_id(2), None)];
    check_kept(store, write, read, expected);
}

fn guarded_changes_are_kept_by_source_and_purged(store: &mut dyn Store) {
    let read =
        |source: &'static str| move |tx: &mut super::Tx<'_>| Ok(sorted(tx.guard_events(source)?));
    check_kept(
        store,
        |tx| {
            tx.put_guard_event("csv", 10, GuardKind::Delete, 3)?;
            tx.put_guard_event("csv", 10, GuardKind::Blank, 2)?;
            tx.put_guard_event("csv", GREATEST, GuardKind::ShortRead, GREATEST)?;
            tx.put_guard_event("csv", 20, GuardKind::Move, 1)?;
            tx.put_guard_event("CSV", 9, GuardKind::Delete, 5)?;
            tx.put_guard_event("", 9, GuardKind::Settings, 1)
        },
        read("csv"),
        vec![
            (10, GuardKind::Blank, 2),
            (10, GuardKind::Delete, 3),
            (20, GuardKind::Move, 1),
            (GREATEST, GuardKind::ShortRead, GREATEST),
        ],
    );
    check_kept(store, |_| Ok(()), read("CSV"), vec![(9, GuardKind::Delete, 5)]);
    check_kept(store, |tx| tx.purge_guard_events(10), read("CSV"), vec![]);
    check_kept(store, |tx| tx.purge_guard_events(10), read(""), vec![]);
    let left = vec![(20, GuardKind::Move, 1), (GREATEST, GuardKind::ShortRead, GREATEST)];
    check_kept(store, |tx| tx.purge_guard_events(20), read("csv"), left);
}

fn source_memories_are_kept(store: &mut dyn Store) {
    for text in TEXTS {
        let memory = SourceMemory {
            rows: GREATEST - 2,
            good_rows: GREATEST,
            read_at: GREATEST - 1,
            settings: text.into(),
            seen: text.into(),
            told_all: true,
        };
        assert_eq!(discard(store, |tx| tx.source_memory(text)), None);
        check_kept(
            store,
            |tx| tx.put_source_memory(text, &memory),
            |tx| tx.source_memory(text),
            Some(memory.clone()),
        );
        let empty = SourceMemory::default();
        check_kept(
            store,
            |tx| tx.put_source_memory(text, &empty),
            |tx| tx.source_memory(text),
            Some(empty.clone()),
        );
    }
}

fn the_reads_of_all_sources_are_forgotten_at_once(store: &mut dyn Store) {
    let memory = |good_rows, seen: &str, told_all| SourceMemory {
        rows: 3,
        good_rows,
        read_at: 7,
        settings: "map".into(),
        seen: seen.into(),
        told_all,
    };
    check_kept(
        store,
        |tx| {
            tx.put_source_memory("a", &memory(1, "file", true))?;
            tx.put_source_memory("b", &memory(2, "other", false))?;
            tx.forget_reads()
        },
        |tx| Ok((tx.source_memory("a")?, tx.source_memory("b")?)),
        (Some(memory(1, "", false)), Some(memory(2, "", false))),
    );
    check_kept(
        store,
        |tx| {
            tx.put_source_memory("a", &memory(1, "file", true))?;
            tx.put_source_memory("b", &memory(2, "other", false))?;
            tx.forget_files()
        },
        |tx| Ok((tx.source_memory("a")?, tx.source_memory("b")?)),
        (Some(memory(1, "", true)), Some(memory(2, "", false))),
    );
}
