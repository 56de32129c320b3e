//! The store in memory: the suite of all stores, and the tests for this one alone.

use dirsync_protocol::tables::{ListPlace, StoreErrorKind, Stored};
use dirsync_store::{Store, Transaction};
use dirsync_testing::rows::{entry_id, list_row, own_row, server_row, tombstone};
use dirsync_testing::{Fault, MemoryStore, TestStore, conformance};

#[test]
fn memory_conforms() {
    conformance::store::run(&mut || Box::new(MemoryStore::new()));
}

fn fill(tx: &mut dyn Transaction, first: u64) -> Stored<()> {
    for n in first..first + 5 {
        tx.put_own(&own_row(n, n))?;
        tx.append_list_row(ListPlace::Staged, &list_row(n, "Ana").as_ref())?;
        tx.put_row(&server_row(n, "NORTH/HQ", n))?;
        tx.put_tombstone(&tombstone(n, n + 100))?;
        tx.put_note(&n.to_string(), Some("text"))?;
    }
    Ok(())
}

/// Changes of every kind: rows, whole tables, counters, lists that are swapped.
fn change(store: &mut TestStore) -> Stored<()> {
    let mut transaction = store.begin()?;
    let tx = &mut *transaction;
    tx.swap_lists()?;
    tx.savepoint()?;
    fill(tx, 20)?;
    tx.clear_list(ListPlace::Live)?;
    tx.rollback_savepoint()?;
    tx.put_list_row(ListPlace::Live, &list_row(2, "Eva").as_ref())?;
    tx.delete_own(entry_id(1))?;
    tx.savepoint()?;
    tx.purge_tombstones(dirsync_message::SrvSeq(102))?;
    tx.release_savepoint()?;
    transaction.commit()
}

fn filled() -> TestStore {
    let mut store = TestStore::default();
    let mut transaction = store.begin().unwrap();
    fill(&mut *transaction, 0).unwrap();
    transaction.commit().unwrap();
    store
}

#[test]
fn a_failure_at_any_operation_leaves_nothing_and_a_retry_succeeds() {
    let before = filled();
    let mut after = before.copy();
    change(&mut after).unwrap();
    assert!(!after.same_content(&before));
    let operations = after.faults.operations();
    assert!(operations > 30, "{operations}");
    for n in 1..=operations {
        let mut store = before.copy();
        store.faults.plan(Fault::Operation(n));
        let error = change(&mut store).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Full, "operation {n}");
        assert!(store.same_content(&before), "operation {n}");
        assert!(store.faults.met());
        change(&mut store).unwrap();
        assert!(store.same_content(&after), "operation {n}");
    }
    let mut store = before.copy();
    store.faults.plan(Fault::Operation(operations + 1));
    change(&mut store).unwrap();
    assert!(!store.faults.met(), "it comes with the next operation");
    assert!(store.begin().is_err());
    assert!(store.begin().is_ok());
}

#[test]
fn a_clone_is_a_backup() {
    let mut store = filled();
    let backup = store.copy();
    change(&mut store).unwrap();
    assert!(backup.same_content(&filled()));
    assert!(!backup.same_content(&store));
}

#[test]
fn a_panic_inside_a_transaction_rolls_back() {
    let mut store = filled();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut transaction = store.begin().unwrap();
        fill(&mut *transaction, 50).unwrap();
        panic!("a mistake in a step");
    }));
    assert!(result.is_err());
    assert!(store.same_content(&filled()));
}
