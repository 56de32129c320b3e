//! Everything a change must pass, in one run with a time for each stage.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::programs::Program;
use crate::{tidy, workspace};

pub const NOTES: &str = "\
All stages run, also after one that fails; the table at the end says which passed and how long
each took. Licences and sources of dependencies are checked where cargo-deny is installed.

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
        stage("dependencies", dependencies),
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

fn dependencies() -> Verdict {
    if workspace::output(workspace::cargo().args(["deny", "--version"])).is_err() {
        return Verdict::Skipped("cargo-deny is not installed");
    }
    // Advisories need a database from the network and are no part of this (see deny.toml).
    cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"])
}

fn print_table(stages: &[Stage]) {
    println!();
    for Stage { name, verdict, took } in stages {
        let words = match verdict {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Failed(reason) => format!("FAILED: {reason}"),
            Verdict::Skipped(reason) => format!("skipped: {reason}"),
        };
        println!("{name:<14} {:>7.1} s  {words}", took.as_secs_f64());
    }
}
