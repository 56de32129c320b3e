//! Many worlds at once: each on one thread, no two with anything in common.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use dirsync_protocol::simulation::Rule;
use dirsync_sim::conversation::{Conversation, playable};
use dirsync_sim::exhaustive;
use dirsync_sim::plan::{PROFILES, Plan};
use dirsync_sim::random::{Run, run, shrink};
use dirsync_sim::step::Step;
use dirsync_testing::Random;

use crate::arguments::Arguments;
use crate::report::{Failure, Seen};

/// So many failures are shown.
const SHOWN_MAX: usize = 5;
/// The most conversations that a row of the table of rules names.
const NAMED_MAX: usize = 3;

impl Arguments {
    /// The plan of a seed.
    fn plan(&self, seed: u64) -> (Plan, Random) {
        let (mut plan, random) = match self.profile {
            Some(at) => Plan::with(PROFILES[at], seed, false),
            None => Plan::of(seed),
        };
        if let Some(in_files) = self.in_files() {
            plan.setup.in_files = in_files;
        }
        (plan, random)
    }
}

/// Runs the worlds of a range; `until` ends it early.
pub fn seeds(arguments: &Arguments, seeds: Range<u64>, until: Option<Instant>) -> bool {
    let start = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let enough = AtomicBool::new(false);
    let seen = Mutex::new(Seen::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let late = until.is_some_and(|until| Instant::now() >= until);
                    if seed >= seeds.end || late || enough.load(Ordering::Relaxed) {
                        return;
                    }
                    let (plan, random) = arguments.plan(seed);
                    let done = run(&plan, random);
                    let mut seen = seen.lock().expect("no thread panics");
                    seen.count(&plan, &done);
                    if let Err(why) = done.result {
                        note_failure(&mut seen, arguments, seed, &plan, done.trace, &why);
                        let most = if arguments.first { 1 } else { SHOWN_MAX };
                        enough.store(seen.failures.len() >= most, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let seen = seen.into_inner().expect("no thread panics");
    seen.print(start.elapsed());
    seen.failures.is_empty()
}

fn note_failure(
    seen: &mut Seen,
    arguments: &Arguments,
    seed: u64,
    plan: &Plan,
    trace: Vec<Step>,
    why: &str,
) {
    let (trace, why) = shrink(plan, trace, why);
    let mut command = format!("cargo xtask sim --seed {seed}");
    if let Some(at) = arguments.profile {
        command += &format!(" --profile \"{}\"", PROFILES[at].0);
    }
    if let Some(in_files) = arguments.in_files() {
        command += if in_files { " --files" } else { " --memory" };
    }
    for rule in &arguments.without {
        command += &format!(" --without {}", rule.name());
    }
    seen.failures.push(Failure { command, profile: plan.profile, why, trace });
}

/// Runs worlds for so many minutes.
pub fn minutes(arguments: &Arguments, minutes: u64) -> bool {
    seeds(arguments, 0..u64::MAX, Some(Instant::now() + Duration::from_secs(minutes * 60)))
}

/// One world, with all that its steps say.
pub fn one(arguments: &Arguments, seed: u64) -> bool {
    let (plan, random) = arguments.plan(seed);
    println!("seed {seed}, profile {}, {:?}", plan.profile, plan.setup);
    let done = run(&plan, random);
    match &done.result {
        Ok(cycles) => {
            tell(&done);
            println!("settled after {cycles} cycles");
            true
        }
        Err(why) => {
            let (trace, why) = shrink(&plan, done.trace, why);
            let again = dirsync_sim::random::replay(&plan.setup, plan.approving, &trace);
            tell(&again);
            println!("\nbroken: {why}");
            false
        }
    }
}

fn tell(done: &Run) {
    for step in &done.trace {
        println!("{step}");
    }
    println!();
    for (at, event) in &done.world.events {
        println!("{at} {:<7} {:<5} {}", event.level, event.row, event.text);
    }
}

/// For each rule the first seed that breaks without it, and the conversations that do. Rules are
/// switched off for a whole process, so each has processes of its own; `threads` rules are tried at a
/// time.
pub fn rules(most: u64, threads: u64) -> bool {
    println!("| rule | without it | seed that breaks | what breaks | conversations that break |");
    println!("| --- | --- | ---: | --- | --- |");
    let next = AtomicUsize::new(0);
    let (rows, tried) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (rows, next) = (rows.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(named) = Rule::ALL.get(at) else { return };
                    let row = (at, try_without(named, most));
                    rows.send(row).expect("the receiver waits for all rows");
                }
            });
        }
        drop(rows);
        let mut early = BTreeMap::new();
        let mut printed = 0;
        let mut sound = true;
        for (at, row) in tried {
            early.insert(at, row);
            while let Some((noticed, row)) = early.remove(&printed) {
                println!("{row}");
                printed += 1;
                sound &= noticed;
            }
        }
        sound
    })
}

/// Whether a world or a conversation notices that a rule is missing, and the rule's row of the table.
fn try_without((rule, name, about): &(Rule, &str, &str), most: u64) -> (bool, String) {
    let seeds = ["--seeds", &most.to_string(), "--memory", "--first"].map(str::to_owned);
    let lines = without(*rule, &seeds);
    let broken = lines.iter().find_map(|line| line.strip_prefix("broken (")?.split_once("): "));
    let seed = lines.iter().find_map(|line| line.trim().strip_prefix("cargo xtask sim --seed "));
    let seed = seed.and_then(|rest| rest.split(' ').next());
    let told: Vec<String> = without(*rule, &["--worlds".to_owned()])
        .iter()
        .filter(|line| !line.ends_with(": as it says"))
        .filter_map(|line| line.split_once(": ").map(|(name, _)| format!("`{name}`")))
        .collect();
    let mut conversations = told[..told.len().min(NAMED_MAX)].join(", ");
    if told.len() > NAMED_MAX {
        conversations += &format!(" and {} more", told.len() - NAMED_MAX);
    }
    let row = format!(
        "| `{name}` |{about} | {} | {} | {conversations} |",
        seed.unwrap_or(&format!("none of {most}")),
        broken.map_or("", |(_, why)| why),
    );
    (seed.is_some() || !told.is_empty(), row)
}

/// What this program says with other words and without a rule, by lines. One thread, so that the first
/// seed is the lowest.
fn without(rule: Rule, words: &[String]) -> Vec<String> {
    let Ok(program) = std::env::current_exe() else { return Vec::new() };
    let output = std::process::Command::new(program)
        .args(words)
        .args(["--without", rule.name(), "--threads", "1"])
        .stderr(std::process::Stdio::null())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Every conversation that comes with the simulator.
pub fn conversations() -> bool {
    let mut sound = true;
    for (name, text) in playable() {
        let played = std::panic::catch_unwind(|| {
            Conversation::parse(text).and_then(|told| told.play()).map(|_| ())
        });
        match played.unwrap_or_else(|_| Err("it panics".into())) {
            Ok(()) => println!("{name}: as it says"),
            Err(why) => {
                println!("{name}: {why}");
                sound = false;
            }
        }
    }
    sound
}

/// A conversation from a file.
pub fn conversation(path: &Path) -> bool {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("error: could not read \"{}\": {error}", path.display());
            return false;
        }
    };
    match Conversation::parse(&text).and_then(|conversation| conversation.play()) {
        Ok(world) => {
            for (at, event) in &world.events {
                println!("{at} {:<7} {:<5} {}", event.level, event.row, event.text);
            }
            println!("{}: as it says", path.display());
            true
        }
        Err(why) => {
            println!("{}: {why}", path.display());
            false
        }
    }
}

/// Every history of so many events, without lines and with lines.
pub fn exhaustive(arguments: &Arguments, depth: usize) -> bool {
    let requestors = usize::from(arguments.requestors);
    let mut sound = true;
    for (slow, where_) in [(false, ""), (true, " behind lines")] {
        let start = Instant::now();
        let counted = exhaustive::explore(requestors, slow, depth, arguments.threads);
        println!(
            "{requestors} requestors{where_}, {depth} events deep: {} histories settled, {} events not \
             possible, {:.0} s",
            counted.histories,
            counted.impossible,
            start.elapsed().as_secs_f64()
        );
        for failure in &counted.failures {
            println!("broken: {failure}");
        }
        sound &= counted.failures.is_empty();
    }
    sound
}
