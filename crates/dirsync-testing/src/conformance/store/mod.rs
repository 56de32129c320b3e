//! One suite that every store passes unchanged (the habit of restic's `internal/backend/test`).
//!
//! ```text
//! conformance::run(&mut || Box::new(MemoryStore::new()))
//! ```
//!
//! A new implementation is not done until it passes. Promises that the suite holds stores to,
//! beside those that the traits of `dirsync_protocol::tables` state:
//!
//! - Texts may hold anything, NUL too; counters and times go to 2^63 - 1, marks and the random
//!   parts of epochs to 2^64 - 1. Names come back as they were written, and are found by their
//!   comparison key.
//! - Deleting what is not there is no error. Writing replaces what has the same key.
//! - `put_list_row` on an id that the list has leaves the row at its place in the order.
//! - Rows are visible in the transaction that wrote them. One that is dropped leaves nothing.
//! - A claimant is named once, whether it wants an address, has it, or both.
//! - Unsettled are rows that lack a submitted or a published version, are published with content
//!   of their own, or whose submitted version is invalid or released. A published release alone
//!   does not count.
//! - `purge_tombstones` clears `seen_in` of rows published at a number up to the one given.
//! - Numbers of quarantined cases only grow; log lines keep the order in which they were written
//!   as long as the clock does not go back.
//! - A purge `before` a time keeps what has that very time.
//! - Buckets whose digest comes to nothing are left out; sums and counts wrap.

mod common;
mod counts;
mod list;
mod random;
mod requestor;
mod run;
mod server;
mod server_index;

use std::fmt::Debug;

use dirsync_protocol::tables::Stored;
use dirsync_store::{Store, Transaction};

/// Makes an empty store.
pub(crate) type MakeStore<'m> = dyn FnMut() -> Box<dyn Store> + 'm;

type Check = fn(&mut dyn Store);

/// Runs the whole suite, each check on a new store.
///
/// # Panics
///
/// When the store breaks a promise; the message says which.
pub fn run(make: &mut dyn FnMut() -> Box<dyn Store>) {
    let checks: [&[Check]; 7] = [
        requestor::CHECKS,
        run::CHECKS,
        list::CHECKS,
        server::CHECKS,
        server_index::CHECKS,
        common::CHECKS,
        counts::CHECKS,
    ];
    for check in checks.into_iter().flatten() {
        check(&mut *make());
    }
    random::run(make);
}

/// The transaction that a check works in.
type Tx<'t> = dyn Transaction + 't;

/// Does some work in one transaction and commits it.
#[track_caller]
fn commit<T>(store: &mut dyn Store, work: impl FnOnce(&mut Tx<'_>) -> Stored<T>) -> T {
    let mut transaction = store.begin().expect("begin");
    let result = work(&mut *transaction).expect("operations succeed");
    transaction.commit().expect("commit");
    result
}

/// Does some work in one transaction and drops it.
#[track_caller]
fn discard<T>(store: &mut dyn Store, work: impl FnOnce(&mut Tx<'_>) -> Stored<T>) -> T {
    let mut transaction = store.begin().expect("begin");
    work(&mut *transaction).expect("operations succeed")
}

/// Writes in one transaction, and expects to read the same in it and in a later one.
#[track_caller]
fn check_kept<T: Debug + PartialEq>(
    store: &mut dyn Store,
    write: impl FnOnce(&mut Tx<'_>) -> Stored<()>,
    read: impl Fn(&mut Tx<'_>) -> Stored<T>,
    expected: T,
) {
    let at_once = commit(store, |tx| {
        write(tx)?;
        read(tx)
    });
    assert_eq!(at_once, expected, "read in the transaction that wrote");
    let later = discard(store, |tx| read(tx));
    assert_eq!(later, expected, "read in a later transaction");
}

/// Collects what is visited, at most `$limit` items, and checks that a break ends the visit.
macro_rules! visited {
    ($limit:expr, $item:pat => $value:expr, $tx:ident.$method:ident($($argument:expr),*)) => {{
        let limit: usize = $limit;
        let mut items = Vec::new();
        $tx.$method($($argument,)* &mut |$item| {
            assert!(items.len() < limit, "visited after a break");
            items.push($value);
            if items.len() == limit {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        })
        .map(|()| items)
    }};
}
use visited;

/// No limit for [`visited`].
const ALL: usize = usize::MAX;

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}
