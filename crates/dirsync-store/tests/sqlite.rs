//! The store in SQLite: the suite of all stores, and the tests for this one alone.

use std::fs;
use std::ops::ControlFlow::Continue;
use std::path::Path;

use dirsync_message::{ReqSeq, SrvSeq, Stamp};
use dirsync_protocol::requestor::OwnChanges;
use dirsync_protocol::tables::{ListPlace, RequestorState, Run, RunKind, StoreErrorKind, Stored};
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{Store, Transaction};
use dirsync_testing::conformance;
use dirsync_testing::rows::{entry_id, list_row, own_row, postoffice, requestor, server_row};

fn commit<T>(
    store: &mut SqliteStore,
    work: impl FnOnce(&mut dyn Transaction) -> Stored<T>,
) -> Stored<T> {
    let mut transaction = store.begin()?;
    let result = work(&mut *transaction)?;
    transaction.commit()?;
    Ok(result)
}

fn note(store: &mut SqliteStore, name: &str) -> Option<String> {
    store.begin().unwrap().note(name).unwrap()
}

#[test]
fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    conformance::store::run(&mut || {
        number += 1;
        Box::new(SqliteStore::create(folder.path().join(format!("{number}.db"))).unwrap())
    });
}

/// The size of a database, and the statements that it took, after so many new own entries were written, as a
/// run that can be undone or not.
fn first_read(entries: u64, is_run: bool) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postoffice.db");
    let mut store = SqliteStore::create(&path).unwrap();
    let (req_seq, req_sync, last_stamp) = (ReqSeq(0), ReqSeq(0), Stamp(0));
    let state = RequestorState { req_seq, req_sync, last_stamp, ..requestor() };
    commit(&mut store, |tx| tx.put_requestor(&state)).unwrap();
    commit(&mut store, |tx| {
        let mut changes = match is_run {
            true => OwnChanges::begin_run(tx, Run::new(5, RunKind::Read, "hr"))?,
            false => OwnChanges::begin(tx, 5)?,
        };
        (0..entries).try_for_each(|n| changes.add(own_row(n, n)))?;
        changes.finish()
    })
    .unwrap();
    store.checkpoint_truncate().unwrap();
    (fs::metadata(&path).unwrap().len(), store.statements())
}

/// A first read is kept for undoing at the price of a few statements and 32 bytes an entry.
#[test]
fn the_undo_of_a_first_read_costs_little() {
    let ((plain, fewer), (kept, more)) = (first_read(10_000, false), first_read(10_000, true));
    assert_eq!(more - fewer, 5, "the run twice, two rows of entries, and the size of all runs");
    assert!(kept - plain < 400_000, "{kept} bytes, not {plain}");
}

/// The place of the database is tested beside `network_filesystem`.
#[test]
fn database_stays_local_and_bounded() {
    const LIMIT: u64 = 256 << 10;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postoffice.db");
    let mut writer = SqliteStore::create(&path).unwrap();
    commit(&mut writer, |tx| tx.put_note("a", Some("before"))).unwrap();
    let mut reader = SqliteStore::open_read_only(&path).unwrap();
    reader.set_log_limit(LIMIT);
    let mut reading = reader.begin().unwrap();
    assert_eq!(reading.note("a").unwrap().as_deref(), Some("before"));
    commit(&mut writer, |tx| tx.put_note("a", Some("after"))).unwrap();
    assert_eq!(reading.note("a").unwrap().as_deref(), Some("before"), "as it began");
    // A whole import happens while the reader is open.
    commit(&mut writer, |tx| {
        tx.begin_bulk(ListPlace::Live)?;
        for n in 0..8_000 {
            tx.append_list_row(ListPlace::Live, &list_row(n, "Ana").as_ref())?;
        }
        tx.end_bulk(ListPlace::Live)
    })
    .unwrap();
    assert!(writer.wal_bytes() > LIMIT, "{}", writer.wal_bytes());
    let error = reading.note("a").unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Busy, "{error}");
    // The reader does not prevent anything any more, although its transaction is still open.
    writer.checkpoint_truncate().unwrap();
    assert_eq!(writer.wal_bytes(), 0);
    assert!(reading.note("a").is_err(), "an ended read stays ended");
    drop(reading);
    assert_eq!(note(&mut reader, "a").as_deref(), Some("after"));
    assert_eq!(writer.integrity_check().unwrap(), [""; 0]);
}

/// The statements that are executed for 1,000 entries. The cost of a step must not grow with the
/// number of stored entries.
#[test]
fn statements_per_entry_do_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create(folder.path().join("postoffice.db")).unwrap();
    let mut count = |what: &str, most: u64, work: &mut dyn FnMut(&mut dyn Transaction, u64)| {
        for round in 0..3 {
            let before = store.statements();
            let mut transaction = store.begin().unwrap();
            (0..1000).for_each(|n| work(&mut *transaction, round * 1000 + n));
            transaction.commit().unwrap();
            let statements = store.statements() - before;
            assert!(statements <= most, "{what}, round {round}: {statements}");
        }
    };
    // Besides those for the entries: begin, commit, the choice of the live list, names.
    let live = ListPlace::Live;
    count("append", 1_010, &mut |tx, n| {
        tx.append_list_row(live, &list_row(n, "Ana").as_ref()).unwrap();
    });
    count("put in the list", 1_010, &mut |tx, n| {
        tx.put_list_row(live, &list_row(n, "Eva").as_ref()).unwrap();
    });
    count("read from the list", 1_010, &mut |tx, n| {
        assert!(tx.list_row(live, entry_id(n)).unwrap().is_some());
    });
    count("new own entries", 1_010, &mut |tx, n| tx.put_own(&own_row(n, n)).unwrap());
    count("new rows", 3_010, &mut |tx, n| tx.put_row(&server_row(n, "NORTH/HQ", n + 1)).unwrap());
    count("changed rows", 2_010, &mut |tx, n| {
        tx.put_row(&server_row(n, "NORTH/HQ", n + 5000)).unwrap();
    });
    count("claimants", 1_010, &mut |tx, n| {
        assert_eq!(tx.claimants(&format!("smtp:{n}@north.example")).unwrap().len(), 1);
    });
    let before = store.statements();
    let mut seen = 0;
    store
        .begin()
        .unwrap()
        .visit_numbered(SrvSeq(0), SrvSeq(u64::MAX), &mut |_| {
            seen += 1;
            Continue(())
        })
        .unwrap();
    assert_eq!(seen, 3000);
    assert!(store.statements() - before <= 6, "one statement a table, however many rows");
}

#[test]
fn a_backup_holds_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create(folder.path().join("postoffice.db")).unwrap();
    commit(&mut store, |tx| tx.put_note("a", Some("x"))).unwrap();
    let copy = folder.path().join("backup.db");
    let mut writer = SqliteStore::open(store.path()).unwrap();
    let mut open = writer.begin().unwrap();
    open.put_note("a", Some("not committed")).unwrap();
    let left = ["backup.db.part", "backup.db.part-journal"].map(|name| folder.path().join(name));
    left.iter().for_each(|file| std::fs::write(file, "interrupted").unwrap());
    store.backup_to(&copy).unwrap();
    assert!(left.iter().all(|file| !file.exists()), "what an interrupted one left is gone");
    assert!(store.backup_to(&copy).is_err(), "a backup is never overwritten");
    drop(open);
    commit(&mut store, |tx| tx.put_note("a", Some("later"))).unwrap();
    let mut restored = SqliteStore::open(&copy).unwrap();
    assert_eq!(note(&mut restored, "a").as_deref(), Some("x"));
    assert_eq!(restored.integrity_check().unwrap(), [""; 0]);
}

#[test]
fn of_backups_to_one_file_at_once_one_is_made_and_the_others_say_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postoffice.db");
    let mut store = SqliteStore::create(&path).unwrap();
    commit(&mut store, |tx| tx.put_note("a", Some("x"))).unwrap();
    let copy = folder.path().join("backup.db");

    let lock = std::fs::File::create(folder.path().join("backup.db.lock")).unwrap();
    lock.lock().unwrap();
    let refused = store.backup_to(&copy).unwrap_err().to_string();
    assert!(refused.contains("another backup writes to this file"), "{refused}");
    assert!(!copy.exists());
    drop(lock);

    for _ in 0..20 {
        let all = std::sync::Barrier::new(4);
        let back_up = || {
            let store = SqliteStore::open_read_only(&path).unwrap();
            all.wait();
            store.backup_to(&copy).map_err(|error| error.to_string())
        };
        let outcomes: Vec<Result<(), String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(back_up)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        for error in outcomes.into_iter().filter_map(Result::err) {
            let known = ["another backup writes to this file", "already exists"];
            assert!(known.iter().any(|known| error.contains(known)), "{error}");
        }
        let mut restored = SqliteStore::open_read_only(&copy).unwrap();
        assert_eq!(note(&mut restored, "a").as_deref(), Some("x"));
        let left = ["backup.db.part", "backup.db.part-journal", "backup.db.lock"];
        assert!(left.iter().all(|name| !folder.path().join(name).exists()));
        std::fs::remove_file(&copy).unwrap();
    }
}

#[test]
fn handles_see_each_others_commits_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = SqliteStore::create(folder.path().join("postoffice.db")).unwrap();
    let mut two = SqliteStore::open(one.path()).unwrap();
    let live = ListPlace::Live;
    commit(&mut one, |tx| tx.put_list_row(live, &list_row(1, "Ana").as_ref())).unwrap();
    let read =
        |store: &mut SqliteStore, n| store.begin().unwrap().list_row(live, entry_id(n)).unwrap();
    assert_eq!(read(&mut two, 1), Some(list_row(1, "Ana")));
    // The numbers of names that a rollback removed are given to the next names, by any handle.
    let other = |name: &str, n| {
        let owner = postoffice(name);
        dirsync_protocol::tables::OwnedListRow { owner, ..list_row(n, "Eva") }
    };
    let mut dropped = one.begin().unwrap();
    dropped.put_list_row(live, &other("EAST/LOST", 2).as_ref()).unwrap();
    drop(dropped);
    commit(&mut two, |tx| tx.put_list_row(live, &other("EAST/TWO", 2).as_ref())).unwrap();
    commit(&mut one, |tx| {
        tx.savepoint()?;
        tx.put_list_row(live, &other("EAST/UNDONE", 3).as_ref())?;
        tx.rollback_savepoint()?;
        tx.put_list_row(live, &other("EAST/ONE", 3).as_ref())
    })
    .unwrap();
    for store in [&mut one, &mut two] {
        assert_eq!(read(store, 2), Some(other("EAST/TWO", 2)));
        assert_eq!(read(store, 3), Some(other("EAST/ONE", 3)));
    }
}

#[test]
fn a_reader_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::create(folder.path().join("postoffice.db")).unwrap();
    let mut reader = SqliteStore::open_read_only(store.path()).unwrap();
    let error = commit(&mut reader, |tx| tx.put_note("a", Some("x"))).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::ReadOnly, "{error}");
}

#[test]
fn rows_can_be_found_and_undone_in_the_middle_of_a_bulk() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create(folder.path().join("postoffice.db")).unwrap();
    let live = ListPlace::Live;
    let rows = |tx: &mut dyn Transaction| {
        let mut rows = 0;
        tx.visit_list(live, &mut |_| {
            rows += 1;
            Continue(())
        })
        .map(|()| rows)
    };
    let append = |tx: &mut dyn Transaction, n| tx.append_list_row(live, &list_row(n, "").as_ref());
    commit(&mut store, |tx| {
        tx.begin_bulk(live)?;
        append(tx, 1)?;
        tx.savepoint()?;
        append(tx, 2)?;
        // Looking for a row by its id makes the index at once, so the table is not searched row by row.
        assert!(tx.list_row(live, entry_id(1))?.is_some());
        tx.put_list_row(live, &list_row(1, "again").as_ref())?;
        assert!(append(tx, 1).is_err(), "the index is there");
        tx.rollback_savepoint()?;
        assert_eq!(rows(tx)?, 1);
        append(tx, 3)?;
        append(tx, 4)
    })
    .unwrap();
    // A bulk that was not ended ends with the commit.
    commit(&mut store, |tx| {
        assert_eq!(rows(tx)?, 3);
        assert!(append(tx, 4).is_err(), "the index is there");
        tx.clear_list(live)?;
        tx.begin_bulk(live)
    })
    .unwrap();
    let twice = commit(&mut store, |tx| {
        assert_eq!(rows(tx)?, 0);
        tx.begin_bulk(live)?;
        append(tx, 7)?;
        append(tx, 7)
    });
    assert!(twice.is_err(), "found by the commit at the latest");
    assert_eq!(rows(&mut *store.begin().unwrap()).unwrap(), 0);
}

fn refusal(path: &Path) -> (StoreErrorKind, String) {
    let error = SqliteStore::open(path).unwrap_err();
    (error.kind, error.to_string())
}

#[test]
fn files_that_are_no_postoffice_database_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(SqliteStore::open(at("none.db")).is_err());
    assert!(!at("none.db").exists(), "opening makes nothing");
    fs::write(at("text.db"), "not a database".repeat(100)).unwrap();
    assert_eq!(refusal(&at("text.db")).0, StoreErrorKind::Corrupt);
    assert!(SqliteStore::create(at("text.db")).is_err());
    assert_eq!(fs::read(at("text.db")).unwrap(), "not a database".repeat(100).as_bytes());
    let other = rusqlite::Connection::open(at("other.db")).unwrap();
    other.execute_batch("CREATE TABLE somebody (elses TEXT)").unwrap();
    drop(other);
    let (kind, text) = refusal(&at("other.db"));
    assert_eq!(kind, StoreErrorKind::Other);
    assert!(text.contains("not a postoffice database"), "{text}");
    // An interrupted creation leaves an empty file, and can be repeated.
    fs::write(at("empty.db"), "").unwrap();
    drop(SqliteStore::create(at("empty.db")).unwrap());
    SqliteStore::open(at("empty.db")).unwrap();
}

#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postoffice.db");
    let mut store = SqliteStore::create(&path).unwrap();
    commit(&mut store, |tx| (0..500).try_for_each(|n| tx.put_own(&own_row(n, n)))).unwrap();
    store.checkpoint_truncate().unwrap();
    assert_eq!(store.integrity_check().unwrap(), [""; 0]);
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    // The last pages of the file were written last. They belong to the rows and their indexes.
    let end = bytes.len() - (64 << 10);
    bytes[end..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let mut store = SqliteStore::open(&path).unwrap();
    let faults = store.integrity_check();
    assert!(faults.as_ref().map_or(true, |faults| !faults.is_empty()), "{faults:?}");
    let read =
        commit(&mut store, |tx| tx.visit_own(dirsync_message::ReqSeq(0), &mut |_| Continue(())));
    assert_eq!(read.unwrap_err().kind, StoreErrorKind::Corrupt);
}
