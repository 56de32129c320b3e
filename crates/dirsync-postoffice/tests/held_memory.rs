//! Ten thousand held changes are shown and decided in the memory of a few.

use std::ops::ControlFlow;

use dirsync_directory::{EntryId, Record};
use dirsync_message::Stamp;
use dirsync_postoffice::held::{self, Selection, Selector, Verdict};
use dirsync_postoffice::{Postoffice, init};
use dirsync_protocol::delta::ChangeNumbers;
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::requestor::OwnChanges;
use dirsync_protocol::tables::{HeldChange, OwnRow};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const CASES: u64 = 10_000;
/// The content of one entry. All of them together are forty times the memory that is allowed.
const DETAIL_BYTES: usize = 8 * 1024;
const ALLOWED_BYTES: usize = 6 * 1024 * 1024;

fn record(number: u64, letter: &str) -> Record {
    Record {
        kind: "mailbox".into(),
        name: format!("Sailor No. {number}"),
        addresses: format!("SMTP:sailor{number}@north.example"),
        details: format!("description/{}\n", letter.repeat(DETAIL_BYTES)),
    }
}

fn hold_all(postoffice: &mut Postoffice) {
    let name = postoffice.name.clone();
    let mut tables = postoffice.begin().unwrap();
    let mut changes = OwnChanges::begin(&mut *tables, 1).unwrap();
    for number in 0..CASES {
        let key = number.to_string();
        let id = EntryId::derive(&name, &key);
        let row = OwnRow {
            id,
            first_origin: name.clone(),
            key: key.clone(),
            source: "crew".into(),
            record: record(number, "a"),
            numbers: ChangeNumbers::default(),
            stamp: Stamp(0),
            released_to: None,
        };
        changes.add(row).unwrap();
        let held = HeldChange {
            id,
            source: "crew".into(),
            kind: GuardKind::Settings,
            record: Some(record(number, "b")),
            key,
            since: 1,
            rejected: false,
        };
        changes.tables().put_held_change(&held).unwrap();
    }
    changes.finish().unwrap();
    tables.commit().unwrap();
}

/// Runs some work, and returns its result and the memory that it took beyond what was taken before.
fn measured<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    (result, MEMORY.peak_usage().saturating_sub(before))
}

#[test]
fn many_held_changes_take_the_memory_of_a_few() {
    let folder = tempfile::tempdir().unwrap();
    init::make_server(folder.path(), &"NORTH/HQ".parse().unwrap()).unwrap();
    let mut postoffice = Postoffice::open(folder.path(), "test").unwrap();
    hold_all(&mut postoffice);
    let (groups, bytes) = measured(|| held::groups(&mut postoffice, false).unwrap());
    assert!(bytes < ALLOWED_BYTES, "groups took {bytes} bytes");
    assert_eq!((groups.len(), groups[0].count), (1, CASES));
    assert_eq!(groups[0].examples.len(), held::EXAMPLES);
    let mut count = 0;
    let ((), bytes) = measured(|| {
        held::visit(&mut postoffice, false, None, &mut |case| {
            count += u64::from(case.changes.len() == 1);
            ControlFlow::Continue(())
        })
        .unwrap();
    });
    assert!(bytes < ALLOWED_BYTES, "a visit took {bytes} bytes");
    assert_eq!(count, CASES);
    let group = Selection::Named(vec![Selector::Group(groups[0].group.clone())]);
    let (decided, bytes) =
        measured(|| held::decide(&mut postoffice, &group, Verdict::Rejected).unwrap());
    assert!(bytes < ALLOWED_BYTES, "a decision took {bytes} bytes");
    assert_eq!(decided.count, CASES);
}
