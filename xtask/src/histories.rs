//! Random histories of the real program: whole commands, agents, restores, and what happens to
//! messages and shared folders, beside an independent model of what every postoffice must hold.
//!
//! Processes and files only: nothing of the program is linked, so nothing of it checks itself.

mod check;
mod copies;
mod draw;
mod entry;
mod faults;
mod feeding;
mod lives;
mod model;
mod place;
mod settle;
mod step;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::workspace;
use place::{Checked, Place};
use step::{Kind, Step};
use world::World;

pub const HELP: &str = "\
Random histories of whole commands on the real program, beside an independent model

Usage: cargo xtask histories [OPTIONS]

Each history makes a directory server and three requestors on two shared folders and does random
steps: entries by hand, imports and sources, steps and agents, backups put back, machines lost,
copies promoted, views, transfers, kills, messages and folders that get lost. Then the faults stop,
and everything must come to rest as the model says. What fails is shortened and printed with the
line that shows it again.

Options:
  --count N      So many histories [default: 30]
  --from S       Their seeds begin here [default: 0]
  --seed S       This one alone, with all that was done
  --steps N      Steps of a history [default: 40]
  --play STEPS   These steps instead, separated by semicolons, or a file with one a line
  --without K,…  Without kinds of events; an unknown one lists them
  --only K,…     With these kinds alone, beside changes, steps and backups
  --jobs J       So many at a time [default: as many as the machine has processors]
  --binary FILE  Drive FILE instead of building a release
  --keep         Leave the folders behind
  --whole        Do not shorten what fails

Examples:
  cargo xtask histories
  cargo xtask histories --count 2000 --jobs 2
  cargo xtask histories --play \"a add 1; a cycle; hq cycle; all rest\"
";

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

pub fn run(words: &[String]) -> Result<(), Failure> {
    let arguments = Arguments::parse(
        words,
        &["--keep", "--whole"],
        &[
            "--count",
            "--from",
            "--seed",
            "--steps",
            "--play",
            "--without",
            "--only",
            "--jobs",
            "--binary",
        ],
    )?;
    let plan = plan(&arguments)?;
    let failures = match (arguments.text("--play"), arguments.text("--seed")) {
        (Some(text), _) => one(&plan, None, &played(text)?),
        (None, Some(_)) => {
            let seed = arguments.number("--seed", 0)?;
            one(&plan, Some(seed), &draw::history(seed, plan.length, &plan.without))
        }
        (None, None) => {
            let (from, count) = (arguments.number("--from", 0)?, arguments.number("--count", 30)?);
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            many(&plan, from, count, arguments.number("--jobs", processors)?)
        }
    };
    if !plan.keep {
        let _ = std::fs::remove_dir_all(&plan.folder);
    }
    if failures.is_empty() {
        return Ok(());
    }
    failures.iter().for_each(|broken| broken.print(words));
    Err(Failure::failed(format!("{} histories do not end as they should", failures.len())))
}

fn plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let kinds = |name: &str| -> Result<Option<BTreeSet<Kind>>, Failure> {
        let Some(text) = arguments.text(name) else { return Ok(None) };
        let kinds: Result<BTreeSet<Kind>, String> = text.split(',').map(str::parse).collect();
        kinds.map(Some).map_err(Failure::usage)
    };
    let mut without = kinds("--without")?.unwrap_or_default();
    if let Some(only) = kinds("--only")? {
        let others = Kind::ALL.into_iter().map(|(kind, _)| kind);
        without.extend(others.filter(|kind| !only.contains(kind) && !kind.is_needed()));
    }
    let binary = match arguments.text("--binary") {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    let binary = binary.canonicalize().map_err(|error| Failure::file("find", &binary, &error))?;
    let memory = Path::new(MEMORY);
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    Ok(Plan {
        binary,
        folder: parent.join(format!("dirsync-histories-{}", std::process::id())),
        length: arguments.number("--steps", 40)?,
        without,
        keep: arguments.has("--keep"),
        whole: arguments.has("--whole"),
    })
}

fn build() -> Result<PathBuf, Failure> {
    let status = workspace::cargo().args(["build", "--release", "--package", "dirsync"]).status();
    match status {
        Ok(status) if status.success() => Ok(workspace::root().join("target/release/dirsync")),
        _ => Err(Failure::failed("the program could not be built")),
    }
}

fn played(text: &str) -> Result<Vec<Step>, Failure> {
    let path = Path::new(text);
    let text = match path.is_file() {
        true => std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?,
        false => text.to_owned(),
    };
    step::parse(&text).map_err(Failure::usage)
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
    fn print(&self, words: &[String]) {
        const LINES: usize = 60;
        println!("\nbroken: {}", self.why);
        if let Some(seed) = self.seed {
            println!("seed {seed}");
        }
        let from = self.told.len().saturating_sub(LINES);
        self.told[from..].iter().for_each(|line| println!("  {line}"));
        let binary = words.iter().skip_while(|word| *word != "--binary").take(2);
        let binary: Vec<&str> = binary.map(String::as_str).collect();
        let space = if binary.is_empty() { "" } else { " " };
        let (binary, steps) = (binary.join(" "), step::shown(&self.steps));
        println!("cargo xtask histories --play \"{steps}\"{space}{binary}");
    }
}
