//! `dirsync run --dry-run`: what the agent would do next.

use std::path::PathBuf;

use dirsync_agent::schedule::Step;
use dirsync_postoffice::forecast::{Forecast, ForecastRead, ForecastStep};
use dirsync_postoffice::next::NextStep;
use dirsync_postoffice::report::Counts;
use dirsync_postoffice::{Postoffice, now_ms};

use crate::document;
use crate::failure::{ExitStatus, Result};
use crate::time::Times;
use crate::words::{self, plural, shown};

/// `dirsync run --dry-run [DIR…]`.
pub fn forecast(folders: &[PathBuf], json: bool) -> Result<ExitStatus> {
    let mut all = Vec::new();
    for folder in folders {
        let mut postoffice = Postoffice::open(folder, "run --dry-run")?;
        let forecast = Forecast::of(&mut postoffice)?;
        let times = Times { zone: postoffice.config.zone(), now: now_ms() };
        if !json {
            lines(&forecast, &times).iter().for_each(|line| println!("{line}"));
        }
        all.push(forecast);
    }
    if json {
        document::print(&all);
    }
    Ok(crate::commands::waiting(!all.iter().all(Forecast::is_well)))
}

fn lines(forecast: &Forecast, times: &Times) -> Vec<String> {
    let mut lines = vec![format!("{} would do next:", forecast.postoffice)];
    for step in &forecast.steps {
        lines.push(match step.at {
            0 => format!("{} as soon as something changes, or now if it is due", step.step),
            at => words::next::first(NextStep { step: step.step, at }, times),
        });
        lines.extend(does(step, &forecast.server).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn does(step: &ForecastStep, server: &str) -> Vec<String> {
    let messages = plural(step.messages, "message", "messages");
    let mut lines: Vec<String> = step.reads.iter().map(read).collect();
    match step.step {
        Step::Send => {
            let changes = plural(step.changes, "own change", "own changes");
            let reads = if step.reads.is_empty() { "" } else { ", and those of the reads" };
            lines.push(format!("send {changes} to {server}{reads}"));
        }
        Step::Process => lines.push(format!("answer all requests; {messages} so far")),
        Step::Apply => {
            lines.push(match step.messages {
                0 => "apply the answers".into(),
                _ => format!("apply the answers; {messages} so far"),
            });
            lines.extend(step.targets.iter().map(|file| format!("write \"{}\"", shown(file))));
        }
    }
    lines
}

fn read(read: &ForecastRead) -> String {
    let ForecastRead { source, file, counts, failed } = read;
    let counts = counts.as_ref().map(words_of).unwrap_or_default();
    let failed = failed.as_ref().map(|why| shown(why)).unwrap_or_default();
    let between = if counts.is_empty() || failed.is_empty() { "" } else { "; " };
    format!("read \"{}\" from \"{}\": {counts}{between}{failed}", shown(source), shown(file))
}

fn words_of(counts: &Counts) -> String {
    let rows = plural(counts.rows, "row", "rows");
    let held = counts.held + counts.held_removals + counts.unclaimed;
    let parts = [
        (counts.unchanged, "unchanged"),
        (counts.added, "to add"),
        (counts.changed, "to change"),
        (counts.removed, "to delete"),
        (held, "to hold for a person"),
        (counts.quarantined, "to quarantine"),
        (counts.foreign, "of other origins"),
        (counts.without_address, "without an address"),
        (counts.left_out, "left out by the map"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() { rows } else { format!("{rows}: {}", parts.join(", ")) }
}
