//! Random histories of the real program: whole commands, agents, restores, and what happens to
//! messages and shared folders, beside an independent model of what every postoffice must hold.
//!
//! Processes and files only: nothing of the program is linked, so nothing of it checks itself.
//! `cargo xtask histories` runs [`main`].

#![cfg(unix)]
#![deny(missing_docs)]

mod check;
mod copies;
mod draw;
mod entry;
mod faults;
mod feeding;
mod lives;
mod model;
mod place;
mod random;
mod settle;
mod step;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;

use place::{Checked, Place};
use step::{Kind, Step};
use world::World;

/// Random histories of whole commands on the real program, beside an independent model
///
/// Each history makes a directory server and three requestors on two shared folders and does random
/// steps: entries by hand, imports and sources, steps and agents, backups put back, machines lost,
/// copies promoted, views, transfers, kills, messages and folders that get lost. Then the faults
/// stop, and everything must come to rest as the model says. A failing history is shortened and
/// printed with the command that repeats it.
#[derive(Parser)]
#[command(bin_name = "cargo xtask histories", max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    /// How many histories to run
    #[arg(long, value_name = "N", default_value_t = 30)]
    count: u64,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    from: u64,
    /// Run this seed alone, and print every command of it
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Steps of a history
    #[arg(long, value_name = "N", default_value_t = 40)]
    steps: usize,
    /// Play these steps instead, separated by semicolons, or a file with one a line
    #[arg(long, value_name = "STEPS")]
    play: Option<String>,
    /// Leave out these kinds of events; an unknown kind lists all
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    without: Vec<Kind>,
    /// Use these kinds alone, beside changes, steps and backups
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    only: Vec<Kind>,
    /// How many histories to run at a time [default: the number of processors]
    #[arg(long, value_name = "J")]
    jobs: Option<usize>,
    /// Drive FILE instead of building a release
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Leave the folders behind
    #[arg(long)]
    keep: bool,
    /// Do not shorten a failing history
    #[arg(long)]
    whole: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask histories
  cargo xtask histories --count 2000 --jobs 2
  cargo xtask histories --play \"a add 1; a cycle; hq cycle; all rest\"";

/// Where files cost nothing, if there is such a place.
const MEMORY: &str = "/dev/shm";
/// How long what fails is shortened.
const SHORTEN_FOR: Duration = Duration::from_secs(60);
/// After so many failures no further history begins.
const FAILURES_MAX: usize = 12;

/// How histories are run.
struct Plan {
    binary: PathBuf,
    folder: PathBuf,
    length: usize,
    without: BTreeSet<Kind>,
    keep: bool,
    whole: bool,
}

/// How often each command succeeded.
type Counts = BTreeMap<String, usize>;

/// What came of a history.
struct Played {
    outcome: Checked<()>,
    told: Vec<String>,
    counts: Counts,
}

/// A history that does not end as the model says.
struct Broken {
    seed: Option<u64>,
    why: String,
    steps: Vec<Step>,
    told: Vec<String>,
}

/// Runs the histories that the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            failures.iter().for_each(|broken| broken.print(arguments.binary.as_deref()));
            eprintln!("error: {} histories do not end as they should", failures.len());
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// Runs histories, and returns those that failed.
fn run(arguments: &Arguments) -> Result<Vec<Broken>, String> {
    let plan = plan(arguments)?;
    let failures = match (&arguments.play, arguments.seed) {
        (Some(text), _) => one(&plan, None, &played(text)?),
        (None, Some(seed)) => {
            one(&plan, Some(seed), &draw::history(seed, plan.length, &plan.without))
        }
        (None, None) => {
            let processors = || std::thread::available_parallelism().map_or(1, usize::from);
            let jobs = arguments.jobs.unwrap_or_else(processors);
            many(&plan, arguments.from, arguments.count, jobs)
        }
    };
    if !plan.keep {
        let _ = std::fs::remove_dir_all(&plan.folder);
    }
    Ok(failures)
}

fn plan(arguments: &Arguments) -> Result<Plan, String> {
    let mut without: BTreeSet<Kind> = arguments.without.iter().copied().collect();
    if !arguments.only.is_empty() {
        let others = Kind::ALL.into_iter().map(|(kind, _)| kind);
        without.extend(others.filter(|kind| !arguments.only.contains(kind) && !kind.is_needed()));
    }
    let binary = match &arguments.binary {
        Some(path) => path.clone(),
        None => build()?,
    };
    let binary = binary
        .canonicalize()
        .map_err(|error| format!("could not find {}: {error}", binary.display()))?;
    let memory = Path::new(MEMORY);
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    Ok(Plan {
        binary,
        folder: parent.join(format!("dirsync-histories-{}", std::process::id())),
        length: arguments.steps,
        without,
        keep: arguments.keep,
        whole: arguments.whole,
    })
}

fn build() -> Result<PathBuf, String> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "dirsync"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status();
    // This program is in the folder of another profile of the same target folder.
    let this = std::env::current_exe().unwrap_or_default();
    match (status, this.ancestors().nth(2)) {
        (Ok(status), Some(target)) if status.success() => Ok(target.join("release/dirsync")),
        _ => Err("the program could not be built".to_owned()),
    }
}

fn played(text: &str) -> Result<Vec<Step>, String> {
    let path = Path::new(text);
    let text = match path.is_file() {
        true => std::fs::read_to_string(path)
            .map_err(|error| format!("could not read {text}: {error}"))?,
        false => text.to_owned(),
    };
    step::parse(&text)
}

impl Plan {
    /// Does the steps in a folder of their own.
    fn play(&self, name: &str, steps: &[Step]) -> Played {
        let nothing = |why| Played { outcome: Err(why), told: Vec::new(), counts: Counts::new() };
        let place = match Place::new(&self.binary, self.folder.join(name), self.keep) {
            Ok(place) => place,
            Err(why) => return nothing(why),
        };
        let mut world = match World::new(place) {
            Ok(world) => world,
            Err(why) => return nothing(format!("beginning: {why}")),
        };
        let outcome = steps.iter().try_for_each(|step| world.step(step));
        let place = &mut world.place;
        let (told, counts) = (std::mem::take(&mut place.told), std::mem::take(&mut place.counts));
        Played { outcome, told, counts }
    }

    /// The shortest history found that fails in the same way. Kills fall at other moments each time,
    /// so a step is given a second chance to be of no account.
    fn shorten(&self, name: &str, broken: Broken) -> Broken {
        let kind = |why: &str| why.split(':').next().unwrap_or_default().to_owned();
        let wanted = kind(&broken.why);
        let end = Instant::now() + SHORTEN_FOR;
        let mut shortest = broken;
        let mut size = shortest.steps.len().div_ceil(2).max(1);
        while size > 0 && Instant::now() < end {
            let (mut at, mut changed) = (0, false);
            while at < shortest.steps.len() && Instant::now() < end {
                let mut steps = shortest.steps.clone();
                steps.drain(at..(at + size).min(steps.len()));
                let Played { outcome, told, .. } = self.play(name, &steps);
                match outcome {
                    Err(why) if kind(&why) == wanted => {
                        changed = true;
                        shortest = Broken { why, steps, told, ..shortest };
                    }
                    _ => at += size,
                }
            }
            size = if size == 1 && changed { 1 } else { size / 2 };
        }
        shortest
    }
}

fn one(plan: &Plan, seed: Option<u64>, steps: &[Step]) -> Vec<Broken> {
    let Played { outcome, told, .. } = plan.play("one", steps);
    told.iter().for_each(|line| println!("{line}"));
    let Err(why) = outcome else {
        println!("everything is as it should be");
        return Vec::new();
    };
    let broken = Broken { seed, why, steps: steps.to_vec(), told };
    vec![if plan.whole { broken } else { plan.shorten("shorter", broken) }]
}

fn many(plan: &Plan, from: u64, count: u64, jobs: usize) -> Vec<Broken> {
    let start = Instant::now();
    let next = AtomicU64::new(from);
    let failures = Mutex::new(Vec::new());
    let all = Mutex::new(Counts::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, failures, all) = (&next, &failures, &all);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough = || locked(failures).len() >= FAILURES_MAX;
                    if seed >= from + count || enough() {
                        return;
                    }
                    let steps = draw::history(seed, plan.length, &plan.without);
                    let Played { outcome, told, counts } = plan.play(&seed.to_string(), &steps);
                    for (command, count) in counts {
                        *locked(all).entry(command).or_default() += count;
                    }
                    let Err(why) = outcome else { continue };
                    println!("seed {seed}: {why}");
                    let broken = Broken { seed: Some(seed), why, steps, told };
                    let broken = match plan.whole {
                        true => broken,
                        false => plan.shorten(&format!("{seed}-shorter"), broken),
                    };
                    locked(failures).push(broken);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    let done = next.load(Ordering::Relaxed).min(from + count) - from;
    let seconds = start.elapsed().as_secs_f64();
    let counts = all.into_inner().unwrap_or_default();
    let counts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    println!("commands that succeeded: {}", counts.join(", "));
    println!("seeds {from}..{}: {} failed, {seconds:.0} s", from + done, failures.len());
    failures
}

fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Broken {
    fn print(&self, binary: Option<&Path>) {
        const LINES: usize = 60;
        println!("\nbroken: {}", self.why);
        if let Some(seed) = self.seed {
            println!("seed {seed}");
        }
        let from = self.told.len().saturating_sub(LINES);
        self.told[from..].iter().for_each(|line| println!("  {line}"));
        let binary = binary.map(|path| format!(" --binary {}", path.display()));
        let (binary, steps) = (binary.unwrap_or_default(), step::shown(&self.steps));
        println!("cargo xtask histories --play \"{steps}\"{binary}");
    }
}
