//! Measures the store in SQLite:
//! `cargo run --release --example store_speed [FOLDER] [ROWS] [list|server|own]`.
//!
//! Rows have about 200 bytes. Every figure includes the commit, if there is one.

use std::ops::ControlFlow::Continue;
use std::path::Path;
use std::time::{Duration, Instant};

use dirsync_directory::{EntryId, PostofficeName, Record};
use dirsync_message::{ReqSeq, SrvSeq, Stamp};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::tables::{
    ListPlace, OwnRow, OwnedListRow, Published, SeenIn, ServerRow, Stored, Submitted,
};
use dirsync_store::sqlite::SqliteStore;
use dirsync_store::{Store, Transaction};
use dirsync_testing::Random;
use dirsync_testing::rows::postoffice;

fn record(n: u64) -> Record {
    Record {
        kind: "mailbox".into(),
        name: format!("Ana Maria O'Brien {n}"),
        addresses: format!("SMTP:ana.maria.{n}@north.example"),
        details: format!(
            "department/Department {}\nemployeeNumber/{n}\ntelephoneNumber/+55 11 5555 {n}\n\
             title/Pilot of the second class\n",
            n % 97
        ),
    }
}

fn list_rows(rows: u64, names: &[PostofficeName]) -> Vec<OwnedListRow> {
    (0..rows)
        .map(|n| {
            let owner = &names[n as usize * names.len() / rows as usize];
            OwnedListRow {
                id: EntryId::derive(owner, &n.to_string()),
                owner: owner.clone(),
                first_origin: owner.clone(),
                key: n.to_string(),
                srv_seq: SrvSeq(n + 1),
                stamp: Stamp(1_700_000_000_000 + n),
                released_to: None,
                record: record(n),
            }
        })
        .collect()
}

fn server_row(row: &OwnedListRow) -> ServerRow {
    ServerRow {
        id: row.id,
        origin: row.owner.clone(),
        first_origin: row.first_origin.clone(),
        key: row.key.clone(),
        submitted: Some(Submitted {
            record: row.record.clone().into(),
            stamp: row.stamp,
            released_to: None,
            claim: row.srv_seq.0,
            invalid: None,
        }),
        published: Some(Published {
            record: row.record.clone().into(),
            released_to: None,
            stamp: row.stamp,
            numbers: ChangeNumbers::new(row.srv_seq.0),
            seen_in: SeenIn::default(),
            held: None,
        }),
    }
}

fn own_row(row: &OwnedListRow) -> OwnRow {
    OwnRow {
        id: row.id,
        first_origin: row.first_origin.clone(),
        key: row.key.clone(),
        source: "import".into(),
        record: row.record.clone(),
        numbers: ChangeNumbers::new(row.srv_seq.0),
        stamp: row.stamp,
        released_to: None,
    }
}

/// The processor time of this process, the only figure that can be compared on a busy machine. `None` if
/// the operating system does not report it.
fn computed() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn report(what: &str, count: u64, took: Duration, cpu: Duration, statements: u64) {
    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    let per_thousand = statements as f64 * 1000.0 / count as f64;
    println!(
        "{what:<32} {count:>7} {took:>9.1?} {:>9.0}/s; computing {cpu:>9.1?} {:>9.0}/s; \
         {per_thousand:>6.1} statements/1000",
        rate(took),
        rate(cpu)
    );
}

/// Does work in one transaction, and commits it.
fn measured(
    store: &mut SqliteStore,
    what: &str,
    count: u64,
    work: impl FnOnce(&mut dyn Transaction) -> Stored<()>,
) {
    let (began, cpu, before) = (Instant::now(), computed(), store.statements());
    let mut transaction = store.begin().expect("begin");
    work(&mut *transaction).expect("operations succeed");
    let (worked, worked_cpu) = (began.elapsed(), computed() - cpu);
    transaction.commit().expect("commit");
    let took = began.elapsed();
    report(what, count, took, computed() - cpu, store.statements() - before);
    if took > worked * 11 / 10 {
        println!(
            "{:<40} {worked:>9.1?} {:>11}; computing {worked_cpu:>9.1?}",
            "  without its commit", ""
        );
    }
}

fn lists(store: &mut SqliteStore, rows: &[OwnedListRow]) {
    let count = rows.len() as u64;
    measured(store, "append_list_row, bulk", count, |tx| {
        tx.begin_bulk(ListPlace::Live)?;
        for row in rows {
            tx.append_list_row(ListPlace::Live, &row.as_ref())?;
        }
        tx.end_bulk(ListPlace::Live)
    });
    for what in ["visit_list, first", "visit_list"] {
        measured(store, what, count, |tx| {
            let mut bytes = 0;
            tx.visit_list(ListPlace::Live, &mut |row| {
                bytes += row.record.details.len();
                Continue(())
            })?;
            assert!(bytes > 0);
            Ok(())
        });
    }
    measured(store, "visit_list_by_name", count, |tx| tx.visit_list_by_name(&mut |_| Continue(())));
    store.checkpoint_truncate().expect("a checkpoint");
    let mut random = Random::new(7);
    measured(store, "put_list_row, random", 1000, |tx| {
        for _ in 0..1000 {
            let row = &rows[random.below(count) as usize];
            tx.put_list_row(ListPlace::Live, &row.as_ref())?;
        }
        Ok(())
    });
    measured(store, "list_row, random", 1000, |tx| {
        for _ in 0..1000 {
            assert!(tx.list_row(ListPlace::Live, rows[random.below(count) as usize].id)?.is_some());
        }
        Ok(())
    });
}

fn server(store: &mut SqliteStore, rows: &[OwnedListRow]) {
    let count = rows.len() as u64;
    let rows: Vec<ServerRow> = rows.iter().map(server_row).collect();
    measured(store, "put_row, new", count, |tx| rows.iter().try_for_each(|row| tx.put_row(row)));
    measured(store, "visit_numbered", count, |tx| {
        tx.visit_numbered(SrvSeq(0), SrvSeq(u64::MAX), &mut |_| Continue(()))
    });
    store.checkpoint_truncate().expect("a checkpoint");
    let mut random = Random::new(9);
    measured(store, "put_row, random changes", 1000, |tx| {
        for n in 1..=1000 {
            let mut row = rows[random.below(count) as usize].clone();
            if let Some(published) = &mut row.published {
                published.numbers.changed(count + n, ["title".into()]);
            }
            tx.put_row(&row)?;
        }
        Ok(())
    });
    measured(store, "rows, random", 1000, |tx| {
        for _ in 0..1000 {
            assert_eq!(tx.rows(rows[random.below(count) as usize].id)?.len(), 1);
        }
        Ok(())
    });
    measured(store, "claimants, random", 1000, |tx| {
        for _ in 0..1000 {
            let key = format!("smtp:ana.maria.{}@north.example", random.below(count));
            assert_eq!(tx.claimants(&key)?.len(), 1);
        }
        Ok(())
    });
    let origin = rows[0].origin.clone();
    let mut published = 0;
    measured(store, "published_count", 1, |tx| {
        published = tx.published_count(&origin)?;
        Ok(())
    });
    measured(store, "visit_submitted", published, |tx| {
        tx.visit_submitted(&origin, &mut |_| Continue(()))
    });
    measured(store, "visit_unsettled", 1, |tx| tx.visit_unsettled(&mut |_| Continue(())));
}

fn own(store: &mut SqliteStore, rows: &[OwnedListRow]) {
    let count = rows.len() as u64;
    let rows: Vec<OwnRow> = rows.iter().map(own_row).collect();
    measured(store, "put_own, new", count, |tx| rows.iter().try_for_each(|row| tx.put_own(row)));
    measured(store, "visit_own_elements", count, |tx| tx.visit_own_elements(&mut |_| Continue(())));
    measured(store, "visit_own", count, |tx| tx.visit_own(ReqSeq(0), &mut |_| Continue(())));
}

type Part = fn(&mut SqliteStore, &[OwnedListRow]);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".into());
    let rows = arguments.next().map_or(100_000, |rows| rows.parse().expect("a number of rows"));
    let only = arguments.next();
    let names: Vec<PostofficeName> = (0..20).map(|n| postoffice(&format!("NORTH/P{n}"))).collect();
    let rows = list_rows(rows, &names);
    let bytes: usize = rows.iter().map(|row| row.record.details.len()).sum();
    println!("{} rows, details of {} bytes each", rows.len(), bytes / rows.len());
    let parts: [(&str, Part); 3] = [("list", lists), ("server", server), ("own", own)];
    for (name, part) in parts {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let path = Path::new(&folder).join(format!("store_speed_{name}_{}.db", std::process::id()));
        let mut store = SqliteStore::create(&path).expect("a new database");
        part(&mut store, &rows);
        let log = store.wal_bytes();
        store.checkpoint_truncate().expect("a checkpoint");
        let size = std::fs::metadata(&path).expect("the database").len();
        println!("{name}: database {size} bytes, its log before the checkpoint {log} bytes\n");
        drop(store);
        std::fs::remove_file(&path).expect("the database is removed");
    }
}
