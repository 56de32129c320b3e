//! A change at one site, until it is in the lists of others, while every site's agent runs.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::interrupt;
use super::process::Measurement;
use super::report::{Row, step};
use super::service::{Line, Service};
use super::system::{Site, System};
use crate::failure::Failure;

const KEY: &str = "by-hand";
const CHANGES: usize = 10;
/// Longer than any step here takes: after so long without a word nobody is at work.
const QUIET: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(100);
/// What an agent says when it has asked for what is new.
const ASKED: &str = " T1 info: request";
/// What an agent says when a change is committed to its list.
const APPLIED: &str = "applied; the list is at";

/// Ten changes of one entry each, one after another. A change is made by `dirsync entry modify`, from
/// whose start the time runs, until the agents of all `count` sites have said that it is in their
/// list; an agent says so after its commit.
pub fn measure(system: &System, count: u32, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let receivers = receivers(count);
    let mut all = vec![Site::Server, Site::Origin];
    all.extend(&receivers);
    // An entry that no source feeds, for only such a one is changed by hand.
    let words =
        ["entry", "add", "--key", KEY, "--name", "By hand", "--address", "SMTP:h@h.example"];
    system.run(Site::Origin, &words)?;
    for (site, step) in [(Site::Origin, "send"), (Site::Server, "process"), (Site::Origin, "apply")]
    {
        system.run(site, &[step])?;
    }
    fill(system, &receivers)?;
    eprintln!("-- {count} sites whose agents run");
    let (sender, lines) = channel();
    let mut agents = Vec::new();
    let begin = Instant::now();
    for (at, site) in all.iter().enumerate() {
        let mut command = system.command(*site, &["run"]);
        agents.push(Service::start(&mut command, Signal::SIGTERM, at, sender.clone())?);
    }
    // A start takes long with a long list, without a word: the list is verified from its content.
    wait_for_all(&lines, &all, &all, ASKED, begin)?;
    wait_for_quiet(&lines)?;
    let mut times = Vec::new();
    let mut commands = Vec::new();
    let mut value = String::new();
    for turn in 1..=CHANGES {
        value = format!("Change {turn}");
        let detail = format!("title={value}");
        let start = Instant::now();
        let words = ["entry", "modify", KEY, "--detail", &detail];
        commands.push(system.measure(Site::Origin, &words)?.took);
        times.push(wait_for_all(&lines, &all, &receivers, APPLIED, start)?);
        wait_for_quiet(&lines)?;
    }
    for site in &receivers {
        let shown = system.run(*site, &["entry", "show", "SMTP:h@h.example"])?;
        if !shown.contains(&value) {
            let name = site.postoffice();
            return Err(Failure::failed(format!("{name} has not \"{value}\" but {shown}")));
        }
    }
    let peak = agents.iter().filter_map(Service::peak_bytes).max();
    drop(agents);
    system.run(Site::Origin, &["entry", "delete", KEY])?;
    let mut add = |name, took| {
        let measurement = Measurement { took, peak_bytes: peak, ..Measurement::default() };
        rows.push(Row { name, units: 0, measurement });
    };
    times.sort();
    commands.sort();
    add(step::SITES_MEDIAN, times[times.len() / 2]);
    add(step::SITES_SLOWEST, times[times.len() - 1]);
    add(step::SITES_COMMAND, commands[commands.len() / 2]);
    Ok(())
}

/// The sites that receive: the one that is there already, and new ones.
pub fn receivers(count: u32) -> Vec<Site> {
    (0..count).map(|at| if at == 0 { Site::Receiver } else { Site::Other(at) }).collect()
}

/// Registers the new ones, and lets them have the list and confirm it.
fn fill(system: &System, receivers: &[Site]) -> Result<(), Failure> {
    let new = || receivers.iter().filter(|site| matches!(site, Site::Other(_)));
    for site in new() {
        system.add(*site)?;
    }
    for _ in 0..2 {
        for site in new() {
            system.run(*site, &["send"])?;
        }
        system.run(Site::Server, &["process"])?;
        for site in new() {
            system.run(*site, &["apply"])?;
        }
    }
    Ok(())
}

fn wait_for_quiet(lines: &Receiver<Line>) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    let mut last = Instant::now();
    while last.elapsed() < QUIET {
        interrupt::check()?;
        match lines.recv_timeout(TICK) {
            Ok(line) => last = line.at,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::failed("all agents ended")),
        }
        if Instant::now() > end {
            return Err(Failure::failed("the agents do not come to rest"));
        }
    }
    Ok(())
}

/// The time from `start` until the last of `sites` has said `words`.
fn wait_for_all(
    lines: &Receiver<Line>,
    all: &[Site],
    sites: &[Site],
    words: &str,
    start: Instant,
) -> Result<Duration, Failure> {
    let mut missing: BTreeSet<usize> =
        (0..all.len()).filter(|at| sites.contains(&all[*at])).collect();
    loop {
        interrupt::check()?;
        let Some(left) = PATIENCE.checked_sub(start.elapsed()) else {
            let names: Vec<String> = missing.iter().map(|at| all[*at].postoffice()).collect();
            let names = names.join(", ");
            return Err(Failure::failed(format!("waited for \"{words}\" of {names} in vain")));
        };
        let Ok(line) = lines.recv_timeout(left.min(TICK)) else { continue };
        if line.text.contains(" error: ") {
            return Err(Failure::failed(format!("an agent says: {}", line.text)));
        }
        if line.at > start && line.text.contains(words) {
            missing.remove(&line.from);
        }
        if missing.is_empty() {
            return Ok(line.at.saturating_duration_since(start));
        }
    }
}
