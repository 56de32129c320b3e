//! Transactions, savepoints, the quarantine, the log and notes.

use dirsync_message::ReqSeq;
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::{ListPlace, LogLine, Quarantined, Stored};
use dirsync_store::Store;

use super::{ALL, Check, Tx, check_kept, commit, discard, visited};
use crate::rows::{GREATEST, TEXTS, entry_id, list_row, own_row, postoffice, server_row};

pub(super) const CHECKS: &[Check] = &[
    what_is_dropped_leaves_nothing,
    savepoints_nest,
    a_savepoint_left_open_is_kept_by_the_commit,
    quarantine_numbers_are_never_used_again,
    quarantined_texts_are_kept,
    the_log_is_kept_in_order_and_purged,
    notes_are_kept_and_found_by_prefix,
];

fn what_is_dropped_leaves_nothing(store: &mut dyn Store) {
    let read = |tx: &mut Tx<'_>| {
        let own = visited!(ALL, row => row.id, tx.visit_own(ReqSeq(0)))?;
        let list = visited!(ALL, row => row.id, tx.visit_list(ListPlace::Live))?;
        Ok((own, list, tx.claimants("smtp:1@north.example")?, tx.notes("")?, tx.quarantined()?))
    };
    let write = |tx: &mut Tx<'_>, first: u64| {
        for n in first..first + 3 {
            tx.put_own(&own_row(n, n))?;
            tx.put_row(&server_row(n, "NORTH/HQ", n))?;
            tx.put_list_row(ListPlace::Live, &list_row(n, "Ana").as_ref())?;
            tx.put_note(&n.to_string(), Some("text"))?;
        }
        Ok(())
    };
    let before = commit(store, |tx| {
        write(tx, 1)?;
        read(tx)
    });
    discard(store, |tx| {
        write(tx, 2)?;
        tx.delete_own(entry_id(1))?;
        tx.delete_row(entry_id(1), &postoffice("NORTH/HQ"))?;
        tx.clear_list(ListPlace::Live)?;
        tx.put_quarantined(&case(0, "x"))?;
        tx.savepoint()
    });
    assert_eq!(discard(store, read), before);
    discard(store, |tx| {
        tx.swap_lists()?;
        tx.put_note("1", None)
    });
    assert_eq!(discard(store, read), before);
}

fn notes(tx: &mut Tx<'_>) -> Stored<Vec<String>> {
    Ok(tx.notes("")?.into_iter().map(|(name, _)| name).collect())
}

fn savepoints_nest(store: &mut dyn Store) {
    let note = |tx: &mut Tx<'_>, name: &str| tx.put_note(name, Some(""));
    let seen = commit(store, |tx| {
        note(tx, "a")?;
        tx.savepoint()?;
        note(tx, "b")?;
        tx.savepoint()?;
        note(tx, "c")?;
        tx.rollback_savepoint()?;
        note(tx, "d")?;
        tx.savepoint()?;
        note(tx, "e")?;
        tx.release_savepoint()?;
        let inner = notes(tx)?;
        tx.rollback_savepoint()?;
        let outer = notes(tx)?;
        note(tx, "f")?;
        tx.savepoint()?;
        tx.put_note("a", None)?;
        tx.savepoint()?;
        note(tx, "g")?;
        tx.release_savepoint()?;
        tx.release_savepoint()?;
        Ok((inner, outer))
    });
    assert_eq!(seen.0, ["a", "b", "d", "e"], "a rollback takes what follows its savepoint");
    assert_eq!(seen.1, ["a"], "an outer rollback takes what an inner release kept");
    assert_eq!(discard(store, notes), ["f", "g"]);
}

fn a_savepoint_left_open_is_kept_by_the_commit(store: &mut dyn Store) {
    commit(store, |tx| {
        tx.savepoint()?;
        tx.put_note("a", Some(""))?;
        tx.savepoint()?;
        tx.put_note("b", Some(""))
    });
    assert_eq!(discard(store, notes), ["a", "b"]);
    let again = commit(store, |tx| {
        tx.savepoint()?;
        tx.put_note("c", Some(""))?;
        tx.rollback_savepoint()?;
        notes(tx)
    });
    assert_eq!(again, ["a", "b"], "the next transaction begins without savepoints");
}

fn case(number: u64, text: &str) -> Quarantined {
    Quarantined {
        number,
        since: GREATEST,
        origin: text.into(),
        subject: text.into(),
        line: (text.len() > 1).then_some(GREATEST),
        reason: text.into(),
        text: text.into(),
    }
}

fn quarantine_numbers_are_never_used_again(store: &mut dyn Store) {
    let numbers =
        |tx: &mut Tx<'_>| Ok(tx.quarantined()?.iter().map(|case| case.number).collect::<Vec<_>>());
    let given = commit(store, |tx| {
        let given = [(); 3].map(|()| tx.put_quarantined(&case(0, "x")));
        given.into_iter().collect::<Stored<Vec<_>>>()
    });
    assert!(given[0] > 0 && given.is_sorted_by(|a, b| a < b), "{given:?}");
    assert_eq!(discard(store, numbers), given);
    let last = given[2];
    let next = commit(store, |tx| {
        given.iter().try_for_each(|number| tx.delete_quarantined(*number))?;
        tx.delete_quarantined(last + 50)?;
        tx.put_quarantined(&case(0, "y"))
    });
    assert!(next > last, "{next} after {last}");
    commit(store, |tx| tx.delete_quarantined(next));
    let after = commit(store, |tx| tx.put_quarantined(&case(0, "z")));
    assert!(after > next, "{after} after {next}, in another transaction");
    let changed = case(after, "changed");
    let read = |tx: &mut Tx<'_>| tx.quarantined();
    let write = |tx: &mut Tx<'_>| {
        assert_eq!(tx.put_quarantined(&changed)?, after);
        Ok(())
    };
    check_kept(store, write, read, vec![changed.clone()]);
    // Writing an older case again does not turn the numbers back.
    let later = commit(store, |tx| {
        let later = [(); 3].map(|()| tx.put_quarantined(&case(0, "w")));
        tx.put_quarantined(&changed)?;
        tx.delete_quarantined(later.into_iter().last().expect("three of them")?)?;
        tx.put_quarantined(&case(0, "v"))
    });
    assert!(later > after + 3, "{later} after {}", after + 3);
}

fn quarantined_texts_are_kept(store: &mut dyn Store) {
    let long = "x\0\n".repeat(30_000);
    for text in TEXTS.into_iter().chain([&*long]) {
        let number = commit(store, |tx| tx.put_quarantined(&case(0, text)));
        let kept = discard(store, |tx| tx.quarantined());
        assert_eq!(kept.last(), Some(&case(number, text)));
    }
}

fn the_log_is_kept_in_order_and_purged(store: &mut dyn Store) {
    let line = |at, text: &str| LogLine {
        at,
        step: text.into(),
        level: Level::Notice,
        text: text.into(),
        run: (at % 2 == 1).then_some(at),
    };
    let mut lines: Vec<LogLine> = (10..).zip(TEXTS).map(|(at, text)| line(at, text)).collect();
    // Several lines of one moment, equal ones too.
    lines.extend([line(40, "b"), line(40, "a"), line(40, "a"), line(GREATEST, "")]);
    let read = |since, limit: usize| {
        move |tx: &mut Tx<'_>| {
            visited!(limit, line => LogLine::clone(line),
                tx.visit_log(since))
        }
    };
    let (early, late) = lines.split_at(5);
    commit(store, |tx| early.iter().try_for_each(|line| tx.put_log(line)));
    let write = |tx: &mut Tx<'_>| late.iter().try_for_each(|line| tx.put_log(line));
    check_kept(store, write, read(0, ALL), lines.clone());
    check_kept(store, |_| Ok(()), read(40, ALL), lines[12..].to_vec());
    check_kept(store, |_| Ok(()), read(12, 3), lines[2..5].to_vec());
    check_kept(store, |tx| tx.purge_log(12), read(0, ALL), lines[2..].to_vec());
    check_kept(store, |tx| tx.purge_log(40), read(0, ALL), lines[12..].to_vec());
    check_kept(store, |_| Ok(()), read(41, ALL), lines[15..].to_vec());
}

fn notes_are_kept_and_found_by_prefix(store: &mut dyn Store) {
    for text in TEXTS {
        let kept = Some(text.to_owned());
        check_kept(store, |tx| tx.put_note(text, Some(text)), |tx| tx.note(text), kept);
        let other = Some("other".to_owned());
        check_kept(
            store,
            |tx| tx.put_note(text, other.as_deref()),
            |tx| tx.note(text),
            other.clone(),
        );
        check_kept(store, |tx| tx.put_note(text, None), |tx| tx.note(text), None);
        check_kept(store, |tx| tx.put_note(text, None), |tx| tx.note(text), None);
    }
    let mut names = [
        "",
        "a",
        "A",
        "aa",
        "a%",
        "a%b",
        "axb",
        "a_",
        "a_b",
        "a\0",
        "a\0b",
        "a*",
        "ax*",
        "b",
        "B",
        "\u{e9}",
        "\u{e9}t\u{e9}",
        "\u{10ffff}",
        "\u{10ffff}x",
    ];
    commit(store, |tx| names.iter().rev().try_for_each(|name| tx.put_note(name, Some(name))));
    names.sort_unstable();
    for prefix in names {
        let expected: Vec<(String, String)> = names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .map(|name| ((*name).to_owned(), (*name).to_owned()))
            .collect();
        assert_eq!(discard(store, |tx| tx.notes(prefix)), expected, "{prefix:?}");
    }
}
