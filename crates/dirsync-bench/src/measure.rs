//! The release binary measured as a whole process, by the command line that people use.
//!
//! Three postoffices share a folder: the server, the site that owns all entries, and a site that
//! receives them. Every step is a process of its own: its wall time, the peak of its memory, and
//! the bytes of the message files it leaves in the shared folder.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::Failure;
use crate::generator::{Directory, MAP_OF_FUNCTIONS, Options};
use crate::number;
use crate::peers::{self, Peers};
use crate::process::Measurement;
use crate::report::{self, Report, Row, step};
use crate::system::{Site, System};
use crate::{interrupt, machine, many, sites, wants, whole};

/// The options of `bench`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Entries of the directory
    #[arg(long, value_name = "N", default_value = "100000", value_parser = number::<u32>)]
    entries: u32,
    /// Entries that change [default: a hundredth, at most 1000]
    #[arg(long, value_name = "K", value_parser = number::<u32>)]
    changes: Option<u32>,
    /// Requestors that one run of the server answers; 0 leaves this part out
    #[arg(long, value_name = "R", default_value = "1000", value_parser = number::<u32>)]
    requestors: u32,
    /// Sites that a change must reach while agents run; 0 leaves this part out
    #[arg(long, value_name = "S", default_value = "10", value_parser = number::<u32>)]
    sites: u32,
    /// Put the same directory through PostgreSQL's logical replication and OpenLDAP's syncrepl too,
    /// on servers of this run's own, and print the ratios; a peer that is not installed is named
    /// with its packages
    #[arg(long)]
    peers: bool,
    /// Measure ten times the entries too, with the growth between the two; the many requestors, the
    /// sites and the peers are measured at the first size alone
    #[arg(long)]
    full: bool,
    /// Seed of the generated people
    #[arg(long, value_name = "S", default_value = "1", value_parser = number::<u64>)]
    seed: u64,
    /// Measure FILE instead of building
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Work below DIR instead of the folder for temporary files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave the postoffices behind, as a run that fails does (and an interrupted one does not)
    #[arg(long)]
    keep: bool,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

pub const EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench --full > table.md
  cargo xtask bench --peers
  cargo xtask bench --entries 5000 --requestors 0 --sites 3
  cargo xtask bench --json | jq '.sizes[0].steps[] | {step, processor_seconds}'";

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

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let &Arguments { entries, changes, requestors, sites, seed, .. } = arguments;
    if entries == 0 || changes.is_some_and(|changes| changes > entries) {
        return Err(Failure::usage("\"--entries\" needs at least one, and \"--changes\" no more"));
    }
    let binary = match &arguments.binary {
        Some(path) => absolute(path)?,
        None => build()?,
    };
    let parent = arguments.dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = absolute(&parent)?.join(format!("dirsync-bench-{}", std::process::id()));
    let mut plan = Plan { entries, changes, requestors, sites, seed, binary, folder };

    interrupt::listen()?;
    let (reports, peers) = measure_all(&mut plan, arguments).inspect_err(|_| {
        if interrupt::check().is_err() {
            // What is left of a run that was not wanted is of no use.
            let _ = remove(&plan.folder);
        } else {
            eprintln!("the postoffices are left in {}", plan.folder.display());
        }
    })?;
    if arguments.json {
        println!("{}", json(&reports, peers.as_ref()));
    } else {
        print!("{}", machine::heading());
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
    for size in sizes(plan, arguments.full)? {
        plan.entries = size;
        let report = measure(plan)?;
        if arguments.peers && peers.is_none() {
            peers = Some(peers::measure(&plan.folder, &plan.people(), report.changes)?);
        }
        reports.push(report);
        if !arguments.keep {
            remove(&plan.folder)?;
        }
        (plan.requestors, plan.sites) = (0, 0);
    }
    Ok((reports, peers))
}

fn json(reports: &[Report], peers: Option<&Peers>) -> serde_json::Value {
    let sizes: Vec<serde_json::Value> = reports.iter().map(Report::json).collect();
    serde_json::json!({
        "run": machine::heading().trim(),
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
    system.settle()?;
    whole::restored(&system, plan.entries, &mut rows)?;
    system.settle()?;
    system.check_equal(plan.entries, &[])?;
    let one = people(&system, "one.csv", &Options { entries: 1, ..options })?;
    whole::emptied(&system, plan.entries, &one, &mut rows)?;
    system.settle()?;
    system.check_equal(1, &[])?;
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
    let map = system.folder().join("functions.toml");
    std::fs::write(&map, MAP_OF_FUNCTIONS).map_err(|e| Failure::file("write", &map, &e))?;
    let map = map.to_string_lossy();
    let words = ["import", &file, "--format", "csv", "--map", &map, "--whole"];
    // The first read by another map is not the one to measure: it notes the map.
    system.run(Site::Origin, &words)?;
    let measurement = system.measure(Site::Origin, &words)?;
    rows.push(row(step::UNCHANGED_BY_FUNCTIONS, options.entries, measurement));
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
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "dirsync"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::failed(format!("could not run cargo: {error}")))?;
    if !status.success() {
        return Err(Failure::failed("could not build dirsync in release mode"));
    }
    // This program is in the folder of another profile of the same target folder.
    let this = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("could not find the target folder: {error}")))?;
    let target = this.ancestors().nth(2).unwrap_or(Path::new("target"));
    Ok(target.join("release").join("dirsync"))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}

fn remove(folder: &Path) -> Result<(), Failure> {
    std::fs::remove_dir_all(folder).map_err(|error| Failure::file("remove", folder, &error))
}
