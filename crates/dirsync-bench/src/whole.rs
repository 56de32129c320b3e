//! Messages with all entries at once, beside the first fill: the merge after a restore, and the deletion of
//! everything. They have no aim but memory.

use crate::failure::Failure;
use crate::process::Measurement;
use crate::report::Row;
use crate::system::{Site, System};

fn row(name: &'static str, units: u32, measurement: Measurement) -> Row {
    Row { name, units, measurement }
}

/// The origin's database is put back from a copy: the server sends the entries that it holds, the origin merges them
/// with its own, and sends everything again.
pub fn restored(system: &System, entries: u32, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let copy = system.folder().join("north.backup");
    let copy = copy.to_string_lossy();
    system.run(Site::Origin, &["backup", &copy])?;
    system.run(Site::Origin, &["restore", &copy])?;
    system.run(Site::Origin, &["send"])?;
    let mut measured = |name, site, words: &[&str]| -> Result<(), Failure> {
        rows.push(row(name, entries, system.measure(site, words)?));
        Ok(())
    };
    measured("restored origin: process, and send its entries", Site::Server, &["process"])?;
    measured("restored origin: apply, and merge them", Site::Origin, &["apply"])?;
    measured("restored origin: send everything", Site::Origin, &["send"])?;
    measured("restored origin: process everything", Site::Server, &["process"])
}

/// The source names one entry alone, `file`, and a person approves that all others are deleted.
pub fn emptied(
    system: &System,
    entries: u32,
    file: &str,
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    system.hold(Site::Origin, &system.import_words(file))?;
    system.run(Site::Origin, &["held", "approve", "--all"])?;
    let mut measured = |name, site, words: &[&str]| -> Result<(), Failure> {
        rows.push(row(name, entries, system.measure(site, words)?));
        Ok(())
    };
    measured("everything deleted: send", Site::Origin, &["send"])?;
    system.run(Site::Receiver, &["send"])?;
    measured("everything deleted: process at the server", Site::Server, &["process"])?;
    measured("everything deleted: apply", Site::Receiver, &["apply"])
}
