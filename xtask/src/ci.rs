//! Everything a change must pass, in one run with a time for each stage.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::programs::Program;
use crate::{tidy, workspace};

pub const NOTES: &str = "\
All stages run, also after one that fails; the table at the end says which passed and how long
each took. Dependencies are checked by cargo-deny, which .ci/run installs. Without a network a part of
that is left out, and the table says so.

Examples:
  cargo xtask ci
  CI=true cargo xtask ci </dev/null";

/// How one stage ended.
enum Verdict {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

struct Stage {
    name: &'static str,
    verdict: Verdict,
    took: Duration,
}

pub fn run() -> Result<()> {
    let stages = [
        stage("format", || cargo(&["fmt", "--all", "--check"])),
        stage("lints", || {
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
        }),
        stage("lints of the simulator", || {
            let words = ["clippy", "-p", "dirsync-sim", "--features", "simulation"];
            cargo(&[&words[..], &["--all-targets", "--", "-D", "warnings"]].concat())
        }),
        stage("tests", || cargo(&["test", "--workspace"])),
        stage("worlds", || program(Program::simulator(["--seeds", "10000"]))),
        stage("small histories", || program(Program::simulator(["--exhaustive", "3"]))),
        stage("histories", histories),
        stage("house rules", house_rules),
        stage("licences", licences),
        stage("advisories", advisories),
    ];
    print_table(&stages);
    let failed: Vec<&str> = stages
        .iter()
        .filter(|stage| matches!(stage.verdict, Verdict::Failed(_)))
        .map(|stage| stage.name)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("these stages failed: {}", failed.join(", "))
}

fn stage(name: &'static str, action: impl FnOnce() -> Verdict) -> Stage {
    eprintln!("== {name}");
    let start = Instant::now();
    let verdict = action();
    Stage { name, verdict, took: start.elapsed() }
}

/// With the program that the tests were built with: another profile takes minutes.
#[cfg(unix)]
fn histories() -> Verdict {
    let binary = workspace::root().join("target/debug/dirsync");
    program(Program::histories(["--count", "30", "--binary", &binary.to_string_lossy()]))
}

#[cfg(not(unix))]
fn histories() -> Verdict {
    Verdict::Skipped("they need Unix")
}

fn cargo(words: &[&str]) -> Verdict {
    verdict(workspace::cargo().args(words), words[0])
}

fn program(program: Program) -> Verdict {
    verdict(&mut program.command(), "run")
}

fn verdict(command: &mut Command, name: &str) -> Verdict {
    match command.status() {
        Ok(status) if status.success() => Verdict::Passed,
        Ok(status) => Verdict::Failed(format!("cargo {name} ended with {status}")),
        Err(error) => Verdict::Failed(format!("could not run cargo {name}: {error}")),
    }
}

fn house_rules() -> Verdict {
    match tidy::run(&tidy::Arguments::default()) {
        Ok(()) => Verdict::Passed,
        Err(error) => Verdict::Failed(error.to_string()),
    }
}

/// Licences, banned crates and sources of all dependencies; without the registry of those that this
/// system needs, which the build has already.
fn licences() -> Verdict {
    const CHECK: [&str; 5] = ["check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    if !is_deny_installed() {
        return Verdict::Skipped(NO_DENY);
    }
    if is_done(&["fetch", "--locked"]) {
        return cargo(&[&["deny"], &CHECK[..]].concat());
    }
    eprintln!("the registry is out of reach: only the dependencies of this system are checked");
    match workspace::output(Command::new("rustc").args(["--print", "host-tuple"])) {
        Ok(host) => cargo(&[&["deny", "--offline", "--target", host.trim()], &CHECK[..]].concat()),
        Err(error) => Verdict::Failed(error.to_string()),
    }
}

/// What is known to be wrong with the dependencies today: the database has to be fetched.
fn advisories() -> Verdict {
    if !is_deny_installed() {
        return Verdict::Skipped(NO_DENY);
    }
    if !is_done(&["deny", "fetch", "db"]) {
        return Verdict::Skipped("the database of advisories is out of reach");
    }
    cargo(&["deny", "check", "--hide-inclusion-graph", "advisories"])
}

const NO_DENY: &str = "cargo-deny is not installed";

fn is_deny_installed() -> bool {
    is_done(&["deny", "--version"])
}

fn is_done(words: &[&str]) -> bool {
    workspace::output(workspace::cargo().args(words)).is_ok()
}

fn print_table(stages: &[Stage]) {
    println!();
    for Stage { name, verdict, took } in stages {
        let words = match verdict {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Failed(reason) => format!("FAILED: {reason}"),
            Verdict::Skipped(reason) => format!("skipped: {reason}"),
        };
        println!("{name:<22} {:>7.1} s  {words}", took.as_secs_f64());
    }
}
