//! Runs in words.

use dirsync_directory::shown;
use dirsync_postoffice::last_command::{LastCommand, Left};
use dirsync_postoffice::runs::{Change, ChangedEntry, RunSummary, Undone, UndoneEntry};
use dirsync_postoffice::time::{TimeZone, clock};
use dirsync_protocol::tables::RunKind;

use super::held::{difference, person};
use super::plural;
use crate::words::hint::DIRSYNC;

/// The number of examples of each kind.
const SHOWN: usize = 10;

/// "run 12, read of hr, 22:00: 1 added, 2 changed, 37 deleted".
pub fn summary(run: &RunSummary, now: u64, zone: &TimeZone) -> String {
    let subject = shown(&run.subject);
    let decision = run.decision.as_deref().unwrap_or_default();
    let what = match run.kind {
        RunKind::Read => format!("read of {subject}"),
        RunKind::Command => format!("change of {subject} by hand"),
        RunKind::Approval => "approval of held changes".to_owned(),
        RunKind::Decision => match decision {
            "allow" => format!("change of what {subject} may see"),
            "carrier" => format!("change of the folders of {subject}"),
            decision => format!("decision \"{decision}\" about {subject}"),
        },
        RunKind::Undo => match run.undoes {
            Some(undone) => format!("undo of run {undone}"),
            None => "undo".to_owned(),
        },
    };
    let counts = match run.decision {
        Some(_) => String::new(),
        None => {
            format!(": {} added, {} changed, {} deleted", run.added, run.changed, run.deleted)
        }
    };
    let undone = run.undone_by.map_or(String::new(), |by| format!("; undone by run {by}"));
    format!("run {}, {what}, {}{counts}{undone}", run.run, clock(run.at, now, zone))
}

/// "the last command, import people.csv at 10:12, changed nothing; before it is run 12, …".
pub fn last_command(last: &LastCommand, before: &str, now: u64, zone: &TimeZone) -> String {
    let LastCommand { at, command, subject, left } = last;
    let left = match left {
        Left::Nothing => "changed nothing",
        Left::NoRun => "cannot be undone",
    };
    let (blank, subject) = (if subject.is_empty() { "" } else { " " }, shown(subject));
    let at = clock(*at, now, zone);
    format!("the last command, {command}{blank}{subject} at {at}, {left}; before it is {before}")
}

/// An entry that a run changed.
pub fn changed(entry: &ChangedEntry) -> String {
    let word = match entry.change {
        Change::Added => "added",
        Change::Changed => "changed",
        Change::Deleted => "deleted",
    };
    let who = match (&*entry.name, &*entry.address) {
        ("", "") => entry.id.to_string(),
        (name, address) => person(name, address),
    };
    let mut line = format!("{word:7}  {}  {who}", shown(&entry.key));
    if !entry.differences.is_empty() {
        let differences: Vec<String> = entry.differences.iter().map(difference).collect();
        line.push_str(": ");
        line.push_str(&differences.join("; "));
    }
    if entry.changed_since {
        line.push_str(" (changed since)");
    }
    line
}

/// What an undo did or would do, a line each.
pub fn undone(undone: &Undone) -> Vec<String> {
    let dry = undone.dry_run;
    let mut lines = Vec::new();
    if undone.run.decision.is_some() {
        let would = if dry { "would be" } else { "is" };
        lines.push(format!("the decision {would} taken back"));
    }
    let verb = |one: &'static str, many: &'static str, would: &'static str| {
        move |count: u64| match (dry, count) {
            (true, _) => would,
            (false, 1) => one,
            (false, _) => many,
        }
    };
    let returned = verb("comes back", "come back", "would come back");
    let changed = verb("is as before", "are as before", "would be as before");
    let removed = verb("is deleted", "are deleted", "would be deleted");
    let held_again = verb(
        "waits for a decision again",
        "wait for a decision again",
        "would wait for a decision again",
    );
    let left = verb(
        "was changed since and is left",
        "were changed since and are left",
        "changed since would be left",
    );
    lines.extend(counted(undone.returned, &returned, &undone.returned_entries));
    lines.extend(counted(undone.changed, &changed, &undone.changed_entries));
    lines.extend(counted(undone.removed, &removed, &undone.removed_entries));
    lines.extend(counted(undone.held_again, &held_again, &undone.held_again_entries));
    if undone.sent > 0 {
        let were = if undone.sent == 1 { "was" } else { "were" };
        let travel = if dry { "would travel" } else { "travels" };
        lines.push(format!(
            "{} {were} sent already; what takes them back {travel} with the next `{DIRSYNC} send`",
            plural(undone.sent, "approved change", "approved changes")
        ));
    }
    lines.extend(counted(undone.left, &left, &undone.left_entries));
    for source in &undone.held {
        let (source, would) = (shown(source), if dry { "would be" } else { "is" });
        lines.push(format!(
            "the source \"{source}\" {would} held until its file agrees; `{DIRSYNC} undo --go-on {source}` \
             lets it go on"
        ));
    }
    if lines.is_empty() {
        lines.push("nothing is left to put back".to_owned());
    }
    lines
}

fn counted(
    count: u64,
    verb: &dyn Fn(u64) -> &'static str,
    entries: &[UndoneEntry],
) -> Option<String> {
    if count == 0 {
        return None;
    }
    let examples = entries.iter().take(SHOWN);
    let mut names: Vec<String> = examples.map(|entry| shown(&entry.name).into_owned()).collect();
    let more = count.saturating_sub(names.len() as u64);
    if more > 0 {
        names.push(format!("… {more} more"));
    }
    let entries = plural(count, "entry", "entries");
    Some(format!("{entries} {}: {}", verb(count), names.join(", ")))
}
