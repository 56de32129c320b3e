//! The release binary measured as a whole process, by the command line that people use.
//!
//! Three postoffices share a folder: the server, the site that owns all entries, and a site that
//! receives them. Every step is a process of its own: its wall time, the peak of its memory, and
//! the bytes of the message files it leaves in the shared folder.

mod interrupt;
mod machine;
mod many;
mod peers;
mod process;
mod report;
mod service;
mod sites;
mod system;
mod wants;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::generator::{Directory, Options};
use crate::workspace;
use peers::Peers;
use process::Measurement;
use report::{Report, Row, step};
use system::{Site, System};

pub const HELP: &str = "\
Measure the release binary as a whole process

Usage: cargo xtask bench [OPTIONS]

Builds dirsync in release mode, makes a directory server and two requestors in a fresh folder, runs
every step of a first fill, of a changed directory and of an unchanged one; lets one server answer
many requestors; and lets agents run at many sites while entries change. Prints a table in Markdown
(wall time, processor time, peak memory, bytes written to files, bytes of messages), and a second one
of what is wanted. A run whose lists are not equal at the end fails.

Options:
  --entries N     Entries of the directory [default: 100000]
  --changes K     Entries that change [default: a hundredth, at most 1000]
  --requestors R  Requestors that one run of the server answers; 0 leaves it out [default: 1000]
  --sites S       Sites that a change must reach while agents run; 0 leaves it out [default: 10]
  --peers         Put the same directory through PostgreSQL's logical replication and OpenLDAP's
                  syncrepl too, on servers of this run's own, and print the ratios; a peer that is
                  not installed is named with its packages
  --full          Measure ten times the entries too, with the growth between the two; the many
                  requestors, the sites and the peers are measured at the first size alone
  --seed S        Seed of the generated people [default: 1]
  --binary FILE   Measure FILE instead of building
  --dir DIR       Work below DIR instead of the folder for temporary files
  --keep          Leave the postoffices behind, as a run that fails does (and one that is interrupted
                  does not)
  --json          Print one JSON document instead of tables

Examples:
  cargo xtask bench
  cargo xtask bench --full > table.md
  cargo xtask bench --peers
  cargo xtask bench --entries 5000 --requestors 0 --sites 3
  cargo xtask bench --json | jq '.sizes[0].steps[] | {step, processor_seconds}'
";

struct Plan {
    entries: u32,
    changes: Option<u32>,
    requestors: u32,
    sites: u32,
    seed: u64,
    binary: PathBuf,
    folder: PathBuf,
}

impl Plan {
    /// The people before any change.
    fn people(&self) -> Options {
        Options {
            entries: self.entries,
            seed: self.seed,
            origin_prefix: "north".to_owned(),
            change: 0,
            shuffle: false,
        }
    }
}

pub fn run(words: &[String]) -> Result<(), Failure> {
    let arguments = Arguments::parse(
        words,
        &["--full", "--keep", "--json", "--peers"],
        &["--entries", "--changes", "--requestors", "--sites", "--seed", "--binary", "--dir"],
    )?;
    let entries: u32 = arguments.number("--entries", 100_000)?;
    let changes =
        arguments.text("--changes").map(|_| arguments.number("--changes", 0)).transpose()?;
    if entries == 0 || changes.is_some_and(|changes| changes > entries) {
        return Err(Failure::usage("\"--entries\" needs at least one, and \"--changes\" no more"));
    }
    let (requestors, sites) =
        (arguments.number("--requestors", 1000)?, arguments.number("--sites", 10)?);
    let seed = arguments.number("--seed", 1)?;
    let binary = match arguments.text("--binary") {
        Some(path) => absolute(Path::new(path))?,
        None => build()?,
    };
    let parent = arguments.text("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = absolute(&parent)?.join(format!("dirsync-bench-{}", std::process::id()));
    let mut plan = Plan { entries, changes, requestors, sites, seed, binary, folder };

    interrupt::listen()?;
    let (reports, peers) = measure_all(&mut plan, &arguments).inspect_err(|_| {
        if interrupt::check().is_err() {
            // What is left of a run that was not wanted is of no use.
            let _ = remove(&plan.folder);
        } else {
            eprintln!("the postoffices are left in {}", plan.folder.display());
        }
    })?;
    if arguments.has("--json") {
        println!("{}", json(words, &reports, peers.as_ref()));
    } else {
        print!("{}", machine::heading(words));
        print!("{}\n{}", report::table(&reports), wants::table(&reports));
        if let (Some(report), Some(peers)) = (reports.first(), &peers) {
            print!("\n{}", peers::table(report, peers));
        }
    }
    peers.and_then(Peers::failure).map_or(Ok(()), Err)
}

/// Every size, and the peers at the first.
fn measure_all(
    plan: &mut Plan,
    arguments: &Arguments,
) -> Result<(Vec<Report>, Option<Peers>), Failure> {
    let mut reports = Vec::new();
    let mut peers = None;
    for size in sizes(plan, arguments.has("--full"))? {
        plan.entries = size;
        let report = measure(plan)?;
        if arguments.has("--peers") && peers.is_none() {
            peers = Some(peers::measure(&plan.folder, &plan.people(), report.changes)?);
        }
        reports.push(report);
        if !arguments.has("--keep") {
            remove(&plan.folder)?;
        }
        (plan.requestors, plan.sites) = (0, 0);
    }
    Ok((reports, peers))
}

fn json(words: &[String], reports: &[Report], peers: Option<&Peers>) -> serde_json::Value {
    let sizes: Vec<serde_json::Value> = reports.iter().map(Report::json).collect();
    serde_json::json!({
        "run": machine::heading(words).trim(),
        "sizes": sizes,
        "peers": peers.map(Peers::json),
    })
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
    let options = plan.people();
    let mut rows = Vec::new();
    first_fill(&system, &options, &mut rows)?;
    system.settle()?;
    some_changes(&system, &Options { change: changes, ..options.clone() }, &mut rows)?;
    system.settle()?;
    // The rows that are there already, in another order.
    no_change(&system, &Options { change: changes, shuffle: true, ..options.clone() }, &mut rows)?;
    system.settle()?;
    if plan.sites > 0 {
        sites::measure(&system, plan.sites, &mut rows)?;
        system.settle()?;
    }
    if plan.requestors > 0 {
        many_requestors(&system, plan.requestors, &options, &mut rows)?;
    }
    system.check_equal(plan.entries, &[])?;
    Ok(Report { entries: plan.entries, changes, rows })
}

/// The changes that were made before are undone, which is as many changes again.
fn many_requestors(
    system: &System,
    requestors: u32,
    options: &Options,
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    let file = people(system, "undone.csv", options)?;
    let change = |system: &System| {
        system.run(Site::Origin, &system.import_words(&file))?;
        system.run(Site::Origin, &["send"])?;
        Ok(())
    };
    many::measure(system, requestors, change, rows)
}

fn first_fill(system: &System, options: &Options, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let file = people(system, "people.csv", options)?;
    let mut measured = |name, site: Site, words: &[&str]| -> Result<(), Failure> {
        rows.push(row(name, options.entries, system.measure(site, words)?));
        Ok(())
    };
    measured(step::FIRST_IMPORT, Site::Origin, &system.import_words(&file))?;
    measured("new origin: send", Site::Origin, &["send"])?;
    measured("new origin: process at the server", Site::Server, &["process"])?;
    measured("new origin: apply the answer", Site::Origin, &["apply"])?;

    system.add(Site::Receiver)?;
    measured(step::FILL_SEND, Site::Receiver, &["send"])?;
    measured(step::FILL_PROCESS, Site::Server, &["process"])?;
    measured(step::FILL_APPLY, Site::Receiver, &["apply"])
}

fn some_changes(system: &System, options: &Options, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let file = people(system, "changed.csv", options)?;
    let mut measured = |name, site: Site, words: &[&str]| -> Result<(), Failure> {
        rows.push(row(name, options.change, system.measure(site, words)?));
        Ok(())
    };
    measured(step::CHANGES_IMPORT, Site::Origin, &system.import_words(&file))?;
    measured(step::CHANGES_SEND, Site::Origin, &["send"])?;
    // The receiver asks too, so that the server answers it in the same run.
    system.run(Site::Receiver, &["send"])?;
    measured(step::CHANGES_PROCESS, Site::Server, &["process"])?;
    measured(step::CHANGES_APPLY, Site::Receiver, &["apply"])
}

fn no_change(system: &System, options: &Options, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let file = people(system, "shuffled.csv", options)?;
    let reading = reading(Path::new(&file))?;
    rows.push(row(step::READING, options.entries, reading));
    let measurement = system.measure(Site::Origin, &system.import_words(&file))?;
    rows.push(row(step::UNCHANGED, options.entries, measurement));
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
    Ok(Measurement { took, ..Measurement::default() })
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
