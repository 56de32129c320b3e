//! A read that changes every entry keeps little more of them than their content.

use dirsync_agent::changes::{Guards, ReadReport, ReadRow, ReadSettings, SourceRead};
use dirsync_directory::Record;
use dirsync_postoffice::{Postoffice, init};
use dirsync_protocol::guard::GuardLimits;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const ENTRIES: u64 = 10_000;
/// What an entry may take while its change waits for the end of the read, with 110 bytes of content.
const ALLOWED_BYTES: u64 = 320;

fn read(postoffice: &mut Postoffice, phone: &str) -> ReadReport {
    let limits = GuardLimits { entries: ENTRIES, percent: 100 };
    let guards = Guards { blank: limits, moved: limits, ..Guards::default() };
    let settings =
        ReadSettings { source: "crew".into(), now: 1, guards, ..ReadSettings::default() };
    let mut tables = postoffice.begin().unwrap();
    let mut read = SourceRead::begin(&mut *tables, settings).unwrap();
    for number in 0..ENTRIES {
        let record = Record {
            kind: "mailbox".into(),
            name: format!("Sailor No. {number}"),
            addresses: format!("SMTP:sailor{number}@north.example"),
            details: format!("ou/Deck\ntelephoneNumber/{phone} {number}\ntitle/Sailor\n"),
        };
        let (key, line) = (number.to_string(), number + 2);
        let record = record.as_ref();
        read.row(ReadRow { origin: None, key: &key, record, line, derived_key: false }).unwrap();
    }
    let report = read.finish(true).unwrap();
    tables.commit().unwrap();
    report
}

#[test]
fn a_change_of_everything_takes_the_memory_of_its_content() {
    let folder = tempfile::tempdir().unwrap();
    init::make_server(folder.path(), &"NORTH/HQ".parse().unwrap()).unwrap();
    let mut postoffice = Postoffice::open(folder.path(), "test").unwrap();
    assert_eq!(read(&mut postoffice, "+1").added, ENTRIES);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    assert_eq!(read(&mut postoffice, "+2").changed, ENTRIES);
    let bytes = MEMORY.peak_usage().saturating_sub(before) as u64;
    assert!(bytes < ENTRIES * ALLOWED_BYTES, "{} bytes an entry", bytes / ENTRIES);
}
