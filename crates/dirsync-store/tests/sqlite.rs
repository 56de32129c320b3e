//! The store in SQLite: the suite of all stores, and what only it can do.

use dirsync_store::conformance;
use dirsync_store::sqlite::SqliteStore;

#[test]
fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    conformance::run(&mut || {
        number += 1;
        Box::new(SqliteStore::create(folder.path().join(format!("{number}.db"))).unwrap())
    });
}
