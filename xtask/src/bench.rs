//! The release binary measured as a whole process, by the command line that people use.
//!
//! Three postoffices share a folder: the server, the site that owns all entries, and a site that
//! receives them. Every step is a process of its own: its wall time, the peak of its memory, and
//! the bytes of the message files it leaves in the shared folder.

mod machine;
mod process;
mod report;
mod system;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::generator::{Directory, Options};
use crate::workspace;
use process::Measurement;
use report::{Report, Row};
use system::{Site, System};

pub const HELP: &str = "\
Measure the release binary as a whole process

Usage: cargo xtask bench [OPTIONS]

Builds dirsync in release mode, makes a directory server and two requestors in a fresh folder, runs
every step of a first fill, of a changed directory and of an unchanged one, and prints a table in
Markdown. A run whose lists are not equal at the end fails.

Options:
  --entries N    Entries of the directory [default: 100000]
  --changes K    Entries that change [default: a hundredth, at most 1000]
  --full         Measure ten times the entries too, with the growth between the two
  --seed S       Seed of the generated people [default: 1]
  --binary FILE  Measure FILE instead of building
  --dir DIR      Work below DIR instead of the folder for temporary files
  --keep         Leave the postoffices behind, as a run that fails does

Examples:
  cargo xtask bench
  cargo xtask bench --full > table.md
";

struct Plan {
    entries: u32,
    changes: Option<u32>,
    seed: u64,
    binary: PathBuf,
    folder: PathBuf,
}

pub fn run(words: &[String]) -> Result<(), Failure> {
    let arguments = Arguments::parse(
        words,
        &["--full", "--keep"],
        &["--entries", "--changes", "--seed", "--binary", "--dir"],
    )?;
    let entries: u32 = arguments.number("--entries", 100_000)?;
    let changes =
        arguments.text("--changes").map(|_| arguments.number("--changes", 0)).transpose()?;
    if entries == 0 || changes.is_some_and(|changes| changes > entries) {
        return Err(Failure::usage("\"--entries\" needs at least one, and \"--changes\" no more"));
    }
    let binary = match arguments.text("--binary") {
        Some(path) => absolute(Path::new(path))?,
        None => build()?,
    };
    let parent = arguments.text("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = absolute(&parent)?.join(format!("dirsync-bench-{}", std::process::id()));
    let seed = arguments.number("--seed", 1)?;
    let mut plan = Plan { entries, changes, seed, binary, folder };

    let sizes = sizes(&plan, arguments.has("--full"))?;
    let mut reports = Vec::new();
    for size in sizes {
        plan.entries = size;
        let report = measure(&plan).inspect_err(|_| {
            eprintln!("the postoffices are left in {}", plan.folder.display());
        })?;
        reports.push(report);
        if !arguments.has("--keep") {
            remove(&plan.folder)?;
        }
    }
    print!("{}", machine::heading(words));
    print!("{}", report::table(&reports));
    Ok(())
}

fn sizes(plan: &Plan, is_full: bool) -> Result<Vec<u32>, Failure> {
    if !is_full {
        return Ok(vec![plan.entries]);
    }
    let tenfold = plan
        .entries
        .checked_mul(10)
        .ok_or_else(|| Failure::usage("\"--entries\" is too big to be taken tenfold"))?;
    Ok(vec![plan.entries, tenfold])
}

/// All jobs at one size, in the order of the table.
fn measure(plan: &Plan) -> Result<Report, Failure> {
    let changes = plan.changes.unwrap_or_else(|| (plan.entries / 100).clamp(1, 1000));
    let folder = plan.folder.join(plan.entries.to_string());
    eprintln!("== {} entries, {changes} changes", plan.entries);
    let system = System::new(&plan.binary, &folder)?;
    let options = Options {
        entries: plan.entries,
        seed: plan.seed,
        origin_prefix: "north".to_owned(),
        change: 0,
        shuffle: false,
    };
    let mut rows = Vec::new();
    first_fill(&system, &options, &mut rows)?;
    system.settle()?;
    some_changes(&system, &Options { change: changes, ..options.clone() }, &mut rows)?;
    system.settle()?;
    // The rows that are there already, in another order.
    no_change(&system, &Options { change: changes, shuffle: true, ..options }, &mut rows)?;
    system.check_equal(plan.entries)?;
    Ok(Report { entries: plan.entries, rows })
}

fn first_fill(system: &System, options: &Options, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let file = people(system, "people.csv", options)?;
    let mut step = |name, site: Site, words: &[&str]| -> Result<(), Failure> {
        rows.push(row(name, options.entries, system.measure(site, words)?));
        Ok(())
    };
    step("new origin: import --whole", Site::Origin, &system.import_words(&file))?;
    step("new origin: send", Site::Origin, &["send"])?;
    step("new origin: process at the server", Site::Server, &["process"])?;
    step("new origin: apply the answer", Site::Origin, &["apply"])?;

    system.add_receiver()?;
    step("new requestor: send", Site::Receiver, &["send"])?;
    step("new requestor: process at the server", Site::Server, &["process"])?;
    step("new requestor: apply the first fill", Site::Receiver, &["apply"])
}

fn some_changes(system: &System, options: &Options, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let file = people(system, "changed.csv", options)?;
    let mut step = |name, site: Site, words: &[&str]| -> Result<(), Failure> {
        rows.push(row(name, options.change, system.measure(site, words)?));
        Ok(())
    };
    step("changes: import --whole", Site::Origin, &system.import_words(&file))?;
    step("changes: send", Site::Origin, &["send"])?;
    // The receiver asks too, so that the server answers it in the same run.
    system.run(Site::Receiver, &["send"])?;
    step("changes: process at the server", Site::Server, &["process"])?;
    step("changes: apply", Site::Receiver, &["apply"])
}

fn no_change(system: &System, options: &Options, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let file = people(system, "shuffled.csv", options)?;
    let reading = reading(Path::new(&file))?;
    rows.push(row("unchanged: reading the file alone", options.entries, reading));
    let measurement = system.measure(Site::Origin, &system.import_words(&file))?;
    rows.push(row("unchanged: import --whole, rows shuffled", options.entries, measurement));
    Ok(())
}

fn row(name: &'static str, units: u32, measurement: Measurement) -> Row {
    Row { name, units, measurement }
}

fn people(system: &System, name: &str, options: &Options) -> Result<String, Failure> {
    let path = system.folder().join(name);
    Directory::generate(options).write_csv_file(&path)?;
    Ok(path.to_string_lossy().into_owned())
}

/// What an import cannot do without: every byte read, every field found.
fn reading(path: &Path) -> Result<Measurement, Failure> {
    let start = Instant::now();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?;
    let fields: usize = text.lines().map(|line| line.split(',').count()).sum();
    let took = start.elapsed();
    // The count is used, so that the pass over the fields is not optimised away.
    assert!(fields > 0, "a generated file has a header");
    Ok(Measurement { took, peak_bytes: None, message_bytes: 0 })
}

fn build() -> Result<PathBuf, Failure> {
    let status = workspace::cargo()
        .args(["build", "--release", "--package", "dirsync"])
        .status()
        .map_err(|error| Failure::failed(format!("could not run cargo: {error}")))?;
    if !status.success() {
        return Err(Failure::failed("could not build dirsync in release mode"));
    }
    let metadata = workspace::metadata()?;
    let target = metadata["target_directory"].as_str().unwrap_or("target");
    Ok(Path::new(target).join("release").join("dirsync"))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}

fn remove(folder: &Path) -> Result<(), Failure> {
    std::fs::remove_dir_all(folder).map_err(|error| Failure::file("remove", folder, &error))
}
