//! The words for alarms: what is wrong or waits, and the command that shows it.

use dirsync_agent::alarm::{Alarm, Away, LogTrouble, Never, Refusal, Stopped};
use dirsync_agent::schedule::Step;
use dirsync_directory::PostofficeName;
use dirsync_protocol::guard::GuardKind;

use super::hint::{DIRSYNC, pasteable};
use super::{listed, plural, shown};
use crate::time::Times;

/// An alarm in one line, with the command that shows it.
pub fn line(alarm: &Alarm, times: &Times) -> String {
    let clause = pasteable(&clause(alarm, times));
    match command(alarm) {
        Some(command) => format!("{clause}: `{DIRSYNC} {command}`"),
        None => clause,
    }
}

/// An alarm as a clause that can end a sentence.
pub fn clause(alarm: &Alarm, times: &Times) -> String {
    match alarm {
        Alarm::Held { source, reason, deletes, count, since } => {
            let (changes, waits) = (changes(*count, *deletes), waits(*count));
            let (since, why) = (times.since(*since), held_because(*reason));
            format!("{changes} from {} {waits} {since}: {why}", shown(source))
        }
        Alarm::HeldDeletions { origin, count, since } => {
            let (changes, waits) = (changes(*count, true), waits(*count));
            format!("{changes} by {origin} {waits} {}: too many at once", times.since(*since))
        }
        Alarm::HeldElsewhere { count } => {
            format!("{} {} for the server's administrator", changes(*count, true), waits(*count))
        }
        Alarm::Quarantined { origin, count, since } => {
            let (cases, since) = (plural(*count, "case", "cases"), times.since(*since));
            format!("{cases} from {} {} in quarantine {since}", shown(origin), are(*count))
        }
        Alarm::Waiting { origin, count } => format!(
            "{} of {origin} {} for an address that another site has",
            plural(*count, "entry", "entries"),
            waits(*count)
        ),
        Alarm::Invalid { origin, count } => {
            format!("{} of {origin} cannot be published", plural(*count, "entry", "entries"))
        }
        Alarm::Offered { count } => {
            let entries = plural(*count, "entry", "entries");
            format!("{entries} {} offered to this site", are(*count))
        }
        Alarm::Unregistered { sender } => {
            format!("a request of {} waits, which is not registered", shown(sender))
        }
        Alarm::Overdue { name, since } => format!("{name} is silent {}", times.since(*since)),
        Alarm::Doubled { name } => format!(
            "{name} runs on two machines: stop one; if the fenced one is to be kept, say \
             `rejoin` there, else `{DIRSYNC} requestor resume {name}` here"
        ),
        Alarm::Differs { name, since } => differs(name, *since, times),
        Alarm::Recovering { waits_for } => recovering(waits_for),
        Alarm::Refused { refusal } => format!("this site is not admitted: {}", refused(*refusal)),
        Alarm::NotAdmitted { name, refusal } => not_admitted(name, *refusal),
        Alarm::Suspended => {
            "this site is suspended by the server: its requests wait there until the server's \
             administrator resumes it"
                .into()
        }
        Alarm::Stopped { stopped, away } => self::stopped(*stopped, *away),
        Alarm::Source { name, reason, .. } => {
            failed(reason, &format!("source \"{}\"", shown(name)))
        }
        Alarm::Target { file, reason } => {
            format!("target \"{}\" was not written: {}", shown(file), shown(reason))
        }
        Alarm::Place { reason, since, .. } => {
            format!("{}, first {}", shown(reason), times.ago(*since))
        }
        Alarm::Step { reason } => format!("the agent cannot go on: {}", shown(reason)),
        Alarm::Schedule { never } => self::never(never),
        Alarm::Decisions { trouble } => decisions(*trouble),
        Alarm::AlarmCommand { reason } => shown(reason),
    }
}

fn differs(name: &PostofficeName, since: u64, times: &Times) -> String {
    let since = if since == 0 { String::new() } else { format!(" {}", times.since(since)) };
    format!("the list of {name} differs{since}, and is repaired with the next messages")
}

fn recovering(waits_for: &[PostofficeName]) -> String {
    if waits_for.is_empty() {
        return "the server was restored and recovers".into();
    }
    let names: Vec<String> = waits_for.iter().map(ToString::to_string).collect();
    let have = if names.len() == 1 { "has" } else { "have" };
    format!("the server was restored, and recovers until {} {have} sent again", listed(&names))
}

/// The command that shows more of an alarm, without the program.
fn command(alarm: &Alarm) -> Option<String> {
    Some(match alarm {
        Alarm::Held { .. } | Alarm::HeldDeletions { .. } => "held list".into(),
        Alarm::HeldElsewhere { .. } | Alarm::Invalid { .. } => "why WHO".into(),
        Alarm::Waiting { .. } => "waiting".into(),
        Alarm::Quarantined { .. } => "quarantine list".into(),
        Alarm::Offered { .. } => "entry claim".into(),
        Alarm::Unregistered { sender } => {
            format!("requestor add {} --folder DIR", shown(sender))
        }
        Alarm::Overdue { .. } | Alarm::Step { .. } | Alarm::AlarmCommand { .. } => "log".into(),
        Alarm::Doubled { name } | Alarm::NotAdmitted { name, .. } => {
            format!("requestor show {name}")
        }
        Alarm::Differs { .. } => "check".into(),
        Alarm::Recovering { .. } => "server recover --finish --dry-run".into(),
        // Its clause says what to do.
        Alarm::Source { held: true, .. } => return None,
        Alarm::Source { .. } | Alarm::Target { .. } | Alarm::Place { .. } => "log".into(),
        Alarm::Schedule { .. } => "config check".into(),
        Alarm::Decisions { trouble: LogTrouble::Lost { .. } } => "server renew-log".into(),
        Alarm::Refused { .. }
        | Alarm::Suspended
        | Alarm::Stopped { .. }
        | Alarm::Decisions { .. } => return None,
    })
}

pub(super) fn changes(count: u64, deletes: bool) -> String {
    if deletes {
        plural(count, "deletion", "deletions")
    } else {
        plural(count, "change", "changes")
    }
}

pub(super) fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

pub(super) fn waits(count: u64) -> &'static str {
    if count == 1 { "waits" } else { "wait" }
}

pub(super) fn held_because(reason: GuardKind) -> &'static str {
    match reason {
        GuardKind::Blank => "too many would lose a field",
        GuardKind::Delete => "too many at once",
        GuardKind::Move => "too many would change kind or address",
        GuardKind::Settings => "the source's settings changed",
        GuardKind::ShortRead => "the source has too few rows",
        GuardKind::Taken => "too many would have addresses of others",
        GuardKind::Unclaimed => "no source names the entries",
    }
}

fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Expired => {
            "its invitation has expired; the server's administrator can give it another one"
        }
        Refusal::Taken => {
            "another machine has this name; the server's administrator has to find out which one is \
             the right one, and stop the other"
        }
        Refusal::Uninvited => {
            "its invitation is not the one in force; the server's administrator can give it the newest \
             one"
        }
    }
}

fn not_admitted(name: &PostofficeName, refusal: Refusal) -> String {
    let why = match refusal {
        Refusal::Expired => "its invitation has expired",
        Refusal::Taken => "another machine has this name",
        Refusal::Uninvited => "its invitation is not the one in force",
    };
    format!(
        "a machine that calls itself {name} was not admitted, because {why}: if it is the right one, \
         `{DIRSYNC} requestor add {name} --folder DIR --again` invites it; if not, stop it and say \
         `{DIRSYNC} requestor resume {name}`"
    )
}

fn stopped(stopped: Stopped, away: Option<Away>) -> String {
    match (stopped, away) {
        (_, Some(away)) => format!("{away}: nothing is read or sent here"),
        (Stopped::Removed, None) => "this site was removed by the server: nothing is sent".into(),
        (Stopped::Fenced | Stopped::Away, None) => {
            "this site is fenced, because another machine goes on under its name: nothing is sent"
                .into()
        }
    }
}

/// The text of a failed read names its source already.
fn failed(reason: &str, source: &str) -> String {
    let reason = shown(reason);
    if reason.starts_with(source) { reason } else { format!("{source}: {reason}") }
}

/// What never happens on a schedule.
pub fn never(never: &Never) -> String {
    match never {
        Never::NoTime { step } => {
            let without = match step {
                Step::Send => "nothing of its own leaves, and no updates are asked for",
                Step::Process => "no request is ever taken or answered",
                Step::Apply => "no update is ever applied",
            };
            format!("\"schedule.times\" has no line for {step}: {without}")
        }
        Never::OnlyAtServer { step } => {
            format!("{step} in \"schedule.times\" never runs: only the server does it")
        }
        Never::ShortWindow { window_seconds, poll_seconds } => format!(
            "\"schedule.window\" ({window_seconds} s) is shorter than \"schedule.poll\" \
             ({poll_seconds} s): the agent may look only when a window is over, and the step does not run"
        ),
    }
}

fn decisions(trouble: LogTrouble) -> String {
    match trouble {
        LogTrouble::Lost { carried_out } => format!(
            "decisions.log is not the one of this database, which has carried out {} that it lacks: \
             nothing is undone, but after a restore they would be forgotten; put the newest \
             decisions.log back, or write it anew",
            plural(carried_out, "line", "lines")
        ),
        LogTrouble::Unreadable { lines } => format!(
            "{} of decisions.log cannot be read, and {} not carried out",
            plural(lines, "line", "lines"),
            are(lines)
        ),
        LogTrouble::Behind { lines } => format!(
            "{} of decisions.log {} not carried out yet",
            plural(lines, "line", "lines"),
            are(lines)
        ),
    }
}
