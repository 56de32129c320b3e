//! Runs, and what is kept for undoing them.

use dirsync_message::Stamp;
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{ClosedCase, EntryBefore, Run, RunKind, Stored};
use dirsync_store::Store;

use super::{ALL, Check, Tx, check_kept, commit, discard};
use crate::rows::{GREATEST, TEXTS, entry_id, postoffice, record};

pub(super) const CHECKS: &[Check] = &[
    run_numbers_are_never_used_again,
    runs_are_kept_and_read_newest_first,
    entries_are_kept_as_they_were,
    added_entries_are_kept_in_their_order,
    closed_cases_are_kept,
    a_run_is_forgotten_with_all_that_it_kept,
    holds_of_sources_are_kept,
];

/// A run with every part set.
fn run(number: u64, subject: &str) -> Run {
    Run {
        number,
        at: GREATEST,
        kind: RunKind::Undo,
        subject: subject.into(),
        added: GREATEST - 1,
        changed: 2,
        deleted: 3,
        bytes: 100 + number,
        stamps: (Stamp(GREATEST - 4), Stamp(GREATEST)),
        undoes: Some(GREATEST - 5),
        undone_by: Some(GREATEST - 6),
        decision: Some((subject.into(), "a\0b\t".into())),
    }
}

fn before(n: u64, text: &str) -> EntryBefore {
    EntryBefore {
        id: entry_id(n),
        left: (n % 2 == 1).then_some(u128::MAX - u128::from(n)),
        stamp: Stamp(GREATEST - n),
        source: text.into(),
        first_origin: postoffice("North/O-Brien"),
        key: text.into(),
        record: record(text, text, text),
        released_to: n.is_multiple_of(3).then(|| postoffice("South/Hq")),
    }
}

/// A new run, numbered by the store.
fn new_run(tx: &mut Tx<'_>) -> Stored<u64> {
    tx.put_run(&Run::new(5, RunKind::Read, "csv"))
}

fn run_numbers_are_never_used_again(store: &mut dyn Store) {
    let given =
        commit(store, |tx| [(); 3].map(|()| new_run(tx)).into_iter().collect::<Stored<Vec<_>>>());
    assert!(given[0] > 0 && given.is_sorted_by(|a, b| a < b), "{given:?}");
    commit(store, |tx| given.iter().try_for_each(|number| tx.delete_run(*number)));
    let next = commit(store, new_run);
    assert!(next > given[2], "{next} after {}", given[2]);
    // Writing an older run again does not turn the numbers back.
    assert_eq!(commit(store, |tx| tx.put_run(&run(given[0], "old"))), given[0]);
    assert!(commit(store, new_run) > next);
}

fn runs_are_kept_and_read_newest_first(store: &mut dyn Store) {
    let mut runs: Vec<Run> = (1..).zip(TEXTS).map(|(n, text)| run(n, text)).collect();
    for (run, kind) in runs.iter_mut().zip(RunKind::ALL) {
        run.kind = kind;
    }
    runs[2] = Run { undoes: None, undone_by: None, decision: None, ..runs[2].clone() };
    let newest_first: Vec<Run> = runs.iter().rev().cloned().collect();
    let write = |tx: &mut Tx<'_>| {
        runs.iter().try_for_each(|run| {
            assert_eq!(tx.put_run(run)?, run.number);
            Ok(())
        })
    };
    check_kept(store, write, |tx| tx.runs(u64::MAX, ALL), newest_first.clone());
    check_kept(store, |_| Ok(()), |tx| tx.runs(4, 2), newest_first[9..11].to_vec());
    check_kept(store, |_| Ok(()), |tx| tx.runs(1, ALL), Vec::new());
    check_kept(store, |_| Ok(()), |tx| tx.run(3), Some(runs[2].clone()));
    check_kept(store, |_| Ok(()), |tx| tx.run(99), None);
    let bytes = runs.iter().map(|run| run.bytes).sum();
    check_kept(store, |_| Ok(()), |tx| tx.run_bytes(), bytes);
    let changed = Run { undone_by: None, bytes: 0, ..runs[5].clone() };
    let write = |tx: &mut Tx<'_>| tx.put_run(&changed).map(drop);
    check_kept(store, write, |tx| tx.run(6), Some(changed.clone()));
    check_kept(store, |_| Ok(()), |tx| tx.run_bytes(), bytes - runs[5].bytes);
}

/// All that is kept of a run, read so many at once.
fn befores(tx: &mut Tx<'_>, run: u64, most: usize) -> Stored<Vec<EntryBefore>> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let read = tx.befores(run, after, most)?;
        assert!(read.len() <= most);
        let Some((last, _)) = read.last() else { return Ok(all) };
        assert!(*last > after);
        after = *last;
        all.extend(read.into_iter().map(|(_, before)| before));
    }
}

fn entries_are_kept_as_they_were(store: &mut dyn Store) {
    assert_eq!(discard(store, |tx| tx.run_bytes()), 0);
    let rows: Vec<EntryBefore> = (0..).zip(TEXTS).map(|(n, text)| before(20 - n, text)).collect();
    let write = |tx: &mut Tx<'_>| {
        rows.iter().try_for_each(|row| {
            tx.put_before(1, row)?;
            tx.put_before(2, &before(7, "of another run"))
        })
    };
    check_kept(store, write, |tx| befores(tx, 1, 5), rows.clone());
    check_kept(store, |_| Ok(()), |tx| befores(tx, 1, 100), rows.clone());
    assert_eq!(discard(store, |tx| befores(tx, 2, 100)).len(), rows.len());
    assert_eq!(discard(store, |tx| befores(tx, 3, 100)), []);
    let first = discard(store, |tx| befores(tx, 1, 1)).remove(0);
    assert_eq!(first.first_origin.as_str(), "North/O-Brien", "as it was written");
}

fn added_entries_are_kept_in_their_order(store: &mut dyn Store) {
    let ids: Vec<_> = (0..30).rev().map(|n| (entry_id(n), u128::MAX - u128::from(n))).collect();
    let write = |tx: &mut Tx<'_>| {
        tx.put_added(1, &ids[..20])?;
        tx.put_added(2, &ids[3..4])?;
        tx.put_added(1, &[])?;
        tx.put_added(1, &ids[20..])
    };
    check_kept(store, write, |tx| tx.added(1), ids.clone());
    check_kept(store, |_| Ok(()), |tx| tx.added(2), ids[3..4].to_vec());
    check_kept(store, |_| Ok(()), |tx| tx.added(3), Vec::new());
    check_kept(store, |tx| tx.delete_added(1), |tx| tx.added(1), Vec::new());
    check_kept(store, |_| Ok(()), |tx| tx.added(2), ids[3..4].to_vec());
}

fn closed_case(n: u64, text: &str) -> ClosedCase {
    let (id, source, key) = (entry_id(n), text.into(), text.into());
    ClosedCase { id, source, kind: GuardKind::Taken, key, since: GREATEST - n }
}

fn closed_cases_are_kept(store: &mut dyn Store) {
    let cases: Vec<ClosedCase> = (0..).zip(TEXTS).map(|(n, text)| closed_case(n, text)).collect();
    let write = |tx: &mut Tx<'_>| {
        tx.put_closed_case(1, &closed_case(0, "of before"))?;
        tx.put_closed_case(2, &closed_case(0, "of another run"))?;
        cases.iter().try_for_each(|case| tx.put_closed_case(1, case))
    };
    let read = |tx: &mut Tx<'_>, run| {
        let read = cases.iter().map(|case| tx.closed_case(run, case.id));
        read.collect::<Stored<Vec<_>>>()
    };
    check_kept(store, write, |tx| read(tx, 1), cases.iter().cloned().map(Some).collect());
    let others = discard(store, |tx| read(tx, 2));
    assert_eq!(others[0], Some(closed_case(0, "of another run")));
    assert!(others[1..].iter().all(Option::is_none));
}

fn a_run_is_forgotten_with_all_that_it_kept(store: &mut dyn Store) {
    let (one, other) = commit(store, |tx| Ok((new_run(tx)?, new_run(tx)?)));
    commit(store, |tx| {
        for run in [one, other] {
            tx.put_before(run, &before(1, "x"))?;
            tx.put_added(run, &[(entry_id(2), 7)])?;
            tx.put_closed_case(run, &closed_case(3, "x"))?;
            tx.put_source_hold("csv", run)?;
        }
        tx.delete_run(one)?;
        tx.delete_run(one + 50)
    });
    let kept = |tx: &mut Tx<'_>, run| {
        let has_case = tx.closed_case(run, entry_id(3))?.is_some();
        Ok((tx.run(run)?.is_some(), befores(tx, run, 9)?.len(), tx.added(run)?.len(), has_case))
    };
    assert_eq!(discard(store, |tx| kept(tx, one)), (false, 0, 0, false));
    assert_eq!(discard(store, |tx| kept(tx, other)), (true, 1, 1, true));
    assert_eq!(discard(store, |tx| tx.source_holds()), [("csv".to_owned(), other)]);
    discard(store, |tx| tx.delete_run(other));
    assert_eq!(discard(store, |tx| kept(tx, other)), (true, 1, 1, true), "that was dropped");
}

fn holds_of_sources_are_kept(store: &mut dyn Store) {
    let mut holds: Vec<(String, u64)> = TEXTS.map(|text| (text.to_owned(), 3)).into();
    holds.push(("csv".into(), 9));
    holds.push(("csv".into(), 10));
    let write = holds.clone();
    holds.sort();
    let read = |tx: &mut Tx<'_>| tx.source_holds();
    let write = |tx: &mut Tx<'_>| {
        write.iter().chain(&write).try_for_each(|(source, run)| tx.put_source_hold(source, *run))
    };
    check_kept(store, write, read, holds.clone());
    holds.retain(|hold| *hold != ("csv".into(), 9));
    check_kept(store, |tx| tx.delete_source_hold("csv", 9), read, holds.clone());
    check_kept(store, |tx| tx.delete_source_hold("csv", 9), read, holds);
}
