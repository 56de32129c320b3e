//! The words for how a postoffice is.

use std::collections::BTreeMap;

use dirsync_agent::alarm::{Alarm, AlarmKind, Never, Stopped};
use dirsync_directory::PostofficeName;
use dirsync_postoffice::line_status::LineStatus;
use dirsync_postoffice::places::PlaceStatus;
use dirsync_postoffice::probe::{ProbeStatus, ProbeTimes};
use dirsync_postoffice::registrations::Standing;
use dirsync_postoffice::status::{RequestorStatus, Role, Status, Verdict};

use super::alarm::{are, changes, waits};
use super::{next, plural, shown};
use crate::time::{Times, length};
use crate::words::hint::DIRSYNC;

/// So many reasons stand in the headline; the others are plural.
const REASONS: usize = 3;
/// Postoffices that are well are listed up to so many.
const WELL_SHOWN: usize = 20;

/// A status in a sentence or two.
pub fn headline(status: &Status, times: &Times) -> String {
    let names = Names::of(status);
    let mut sentences = vec![postoffices(status, &names, times)];
    let waiting = status.alarms.iter().filter(|alarm| alarm.kind().waits());
    sentences.extend(reasons(waiting, &names, times).map(|waits| capitalized(&waits) + "."));
    let is_under_way = |alarm: &&Alarm| !alarm.kind().waits() && !needs_you(status, alarm);
    let under_way = status.alarms.iter().filter(is_under_way);
    sentences.extend(reasons(under_way, &names, times).map(|why| capitalized(&why) + "."));
    if sentences.len() == 1 && status.headline.need_you == 0 {
        sentences.push(match status.headline.next {
            Some(step) => format!("Next: {}.", next::first(step, times)),
            None => "Next: as soon as something changes.".into(),
        });
    }
    sentences.extend(suspended(status, &names));
    sentences.join(" ")
}

/// The postoffices that an administrator suspended. None of them needs a person, and their requests wait.
fn suspended(status: &Status, names: &Names) -> Option<String> {
    let is_suspended = |one: &&RequestorStatus| one.state == Standing::Suspended;
    let suspended = status.requestors.iter().filter(is_suspended);
    let suspended: Vec<String> = suspended.map(|one| names.short(&one.name)).collect();
    let are = are(suspended.len() as u64);
    (status.role == Role::Server && !suspended.is_empty())
        .then(|| format!("{} {are} suspended.", super::listed(&suspended)))
}

fn postoffices(status: &Status, names: &Names, times: &Times) -> String {
    let headline = status.headline;
    let (postoffices, people) =
        (headline.postoffices, plural(headline.entries, "person", "people"));
    let is_alone = status.role == Role::Requestor || postoffices == 1;
    if headline.need_you > 0 {
        let needs = status.alarms.iter().filter(|alarm| needs_you(status, alarm));
        let why = reasons(needs, names, times).unwrap_or_default();
        let needs = if headline.need_you == 1 { "needs" } else { "need" };
        return match is_alone {
            true => format!("{} needs you: {why}.", names.short(&status.postoffice)),
            false => format!("{} of {postoffices} sites {needs} you: {why}.", headline.need_you),
        };
    }
    let name = names.short(&status.postoffice);
    match status.role {
        Role::Server if postoffices == 1 => format!("{name} is the only site so far; {people}."),
        Role::Server if headline.agree == postoffices => {
            format!("All {postoffices} sites agree; {people}.")
        }
        Role::Server => {
            let agree = if headline.agree == 1 { "agrees" } else { "agree" };
            format!("{} of {postoffices} sites {agree}; {people}.", headline.agree)
        }
        Role::Requestor if headline.agree == 1 => {
            format!("{name} agrees with {}; {people}.", names.short(&status.server))
        }
        Role::Requestor => format!("{name} {}; {people}.", under_way(status)),
    }
}

/// What a requestor that does not agree yet waits for.
fn under_way(status: &Status) -> &'static str {
    match status.requestors.first().and_then(|own| own.digest_matches) {
        None => "has no whole list yet",
        Some(false) => "waits for the repair of its list",
        Some(true) => "has changes that the server has not acknowledged",
    }
}

/// Whether an alarm is a reason for which a postoffice needs a person; else something is under way, or waits.
fn needs_you(status: &Status, alarm: &Alarm) -> bool {
    let lasts = |name: &PostofficeName| {
        let mut known = status.requestors.iter();
        known.any(|one| one.name == *name && one.verdict == Verdict::NeedsYou)
    };
    match alarm {
        Alarm::Differs { name, .. } => lasts(name),
        alarm => !alarm.kind().waits() && alarm.kind() != AlarmKind::Recovering,
    }
}

fn reasons<'a>(
    alarms: impl Iterator<Item = &'a Alarm>,
    names: &Names,
    times: &Times,
) -> Option<String> {
    let mut reasons: Vec<String> = alarms.map(|alarm| reason(alarm, names, times)).collect();
    let more = reasons.len().saturating_sub(REASONS);
    reasons.truncate(REASONS);
    if more > 0 {
        reasons.push(format!("{more} more below"));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// An alarm as briefly as can be.
fn reason(alarm: &Alarm, names: &Names, times: &Times) -> String {
    let name = |name: &PostofficeName| names.short(name);
    match alarm {
        Alarm::Held { source, deletes, count, .. } => {
            format!("{} from {} {}", changes(*count, *deletes), shown(source), waits(*count))
        }
        Alarm::HeldDeletions { origin, count, .. } => {
            format!("{} by {} {}", changes(*count, true), name(origin), waits(*count))
        }
        Alarm::HeldElsewhere { count } => {
            format!("{} {} at the server", changes(*count, true), waits(*count))
        }
        Alarm::Quarantined { origin, count, .. } => {
            let cases = plural(*count, "case", "cases");
            format!("{cases} from {} {} in quarantine", shown(origin), are(*count))
        }
        Alarm::Waiting { origin, count } => {
            let entries = plural(*count, "entry", "entries");
            format!("{entries} of {} {} for an address", name(origin), waits(*count))
        }
        Alarm::Invalid { origin, count } => {
            let entries = plural(*count, "entry", "entries");
            format!("{entries} of {} cannot be published", name(origin))
        }
        Alarm::Offered { count } => {
            let entries = plural(*count, "entry", "entries");
            format!("{entries} {} offered to this site", are(*count))
        }
        Alarm::Unregistered { sender } => format!("{} sends and is not registered", shown(sender)),
        Alarm::Overdue { name: of, since } => {
            format!("{} is silent {}", name(of), times.since(*since))
        }
        Alarm::Doubled { name: of } => format!("{} runs on two machines", name(of)),
        Alarm::Differs { name: of, since } => {
            format!("the list of {} differs {}", name(of), times.since(*since))
        }
        Alarm::Recovering { waits_for } => {
            let silent: Vec<String> = waits_for.iter().map(name).collect();
            let have = if silent.len() == 1 { "has" } else { "have" };
            format!("the server recovers until {} {have} sent", super::listed(&silent))
        }
        Alarm::Refused { .. } => "the server does not admit it".into(),
        Alarm::NotAdmitted { name: of, .. } => {
            format!("a machine that calls itself {} was not admitted", name(of))
        }
        Alarm::Suspended => "the server has suspended it".into(),
        Alarm::Stopped { stopped: Stopped::Away, .. } => "its folder was copied or moved".into(),
        Alarm::Stopped { stopped: Stopped::Fenced, .. } => "it is fenced".into(),
        Alarm::Stopped { stopped: Stopped::Removed, .. } => "the server removed it".into(),
        Alarm::Source { name, held: true, .. } => format!("source \"{}\" is held", shown(name)),
        Alarm::Source { name, .. } => format!("source \"{}\" cannot be read", shown(name)),
        Alarm::Target { file, .. } => format!("target \"{}\" cannot be written", shown(file)),
        Alarm::Place { place, .. } => format!("{} cannot be used", shown(place)),
        Alarm::Step { .. } => "the agent cannot go on".into(),
        Alarm::Schedule { never: Never::ShortWindow { .. } } => {
            "its run window is too short".into()
        }
        Alarm::Schedule { never: Never::NoTime { step } | Never::OnlyAtServer { step } } => {
            format!("{step} never runs on its schedule")
        }
        Alarm::Decisions { .. } => "its log of decisions does not fit".into(),
        Alarm::AlarmCommand { .. } => "its alarm command fails".into(),
    }
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}

/// The names of postoffices without their network, where that is clear.
struct Names {
    /// How many postoffices have a name without its network.
    counts: BTreeMap<String, usize>,
}

impl Names {
    fn of(status: &Status) -> Self {
        let mut counts = BTreeMap::new();
        let postoffices = status.requestors.iter().map(|postoffice| &postoffice.name);
        let server = (status.role == Role::Requestor).then_some(&status.server);
        for name in postoffices.chain(server) {
            *counts.entry(short_name(name).to_lowercase()).or_insert(0) += 1;
        }
        Self { counts }
    }

    fn short(&self, name: &PostofficeName) -> String {
        let postoffice = short_name(name);
        match self.counts.get(&postoffice.to_lowercase()) {
            Some(0 | 1) => postoffice.to_owned(),
            _ => name.to_string(),
        }
    }
}

fn short_name(name: &PostofficeName) -> &str {
    name.as_str().rsplit_once('/').map_or(name.as_str(), |(_, postoffice)| postoffice)
}

/// A verdict: a mark and a word.
fn verdict(verdict: Verdict) -> (char, &'static str) {
    match verdict {
        Verdict::NeedsYou => ('!', "needs you"),
        Verdict::Late => ('?', "late"),
        Verdict::Stopped => ('-', "stopped"),
        Verdict::Waiting => ('~', "waiting"),
        Verdict::Well => ('+', "well"),
    }
}

/// A place, whether it is used, and since when it does not work.
pub fn place(place: &PlaceStatus, times: &Times) -> String {
    let mut text = shown(&place.place);
    if place.in_use {
        text.push_str(", in use");
    }
    if let Some(why) = &place.error {
        let since = times.since(place.fails_since);
        text.push_str(&format!(", fails {since}: {}", shown(why)));
    }
    if let Some(status) = &place.line {
        line_of(status, times).iter().for_each(|part| text.push_str(&format!(", {part}")));
    }
    if let Some(probe) = &place.probe {
        text.push_str(&format!(", {}", probe_of(probe, times)));
    }
    text
}

/// The options by which a command names these places, without the paths that differ from one place to the other.
pub fn options(places: &[PlaceStatus]) -> String {
    let option = |status: &PlaceStatus| match status.place.split_once(':') {
        Some(("link", url)) => format!("--link {}", shown(url)),
        Some(("mail", _)) => "--mail ADDRESS".to_owned(),
        _ => "--folder DIR".to_owned(),
    };
    let mut options: Vec<String> = places.iter().map(option).collect();
    options.dedup();
    options.join(" ")
}

/// The last probe over a place.
fn probe_of(probe: &ProbeStatus, times: &Times) -> String {
    match &probe.answer {
        _ if probe.sent == 0 => "a probe waits for it".into(),
        None => format!("the probe of {} is not answered yet", times.day(probe.sent)),
        Some(answer) => {
            format!("the probe of {} went {}", times.day(probe.sent), probe_times(answer))
        }
    }
}

/// How long a probe and its answer were on their way.
pub fn probe_times(answer: &ProbeTimes) -> String {
    let ProbeTimes { there_and_back, there, back } = *answer;
    let whole = format!("there and back in {}", short_length(there_and_back));
    match there.min(back) {
        ahead @ ..0 => {
            let apart = short_length(ahead.unsigned_abs());
            format!(
                "{whole}; how long each way took is not known: the clocks are at least {apart} apart"
            )
        }
        _ => {
            let (there, back) =
                (short_length(there.unsigned_abs()), short_length(back.unsigned_abs()));
            format!("{whole}: {there} there, {back} back by the two clocks")
        }
    }
}

/// The same as [`length`], with milliseconds below ten seconds.
fn short_length(ms: u64) -> String {
    if ms < 10_000 { format!("{ms} ms") } else { length(ms) }
}

/// What waits for a line, and how far it has come.
fn line_of(line: &LineStatus, times: &Times) -> Vec<String> {
    let mut parts = Vec::new();
    if line.opens > 0 {
        parts.push(format!("opens {}", times.until(line.opens)));
    }
    if line.messages > 0 {
        let messages = plural(line.messages, "message", "messages");
        parts.push(format!("{messages} of {} bytes to send", line.bytes));
    }
    let left = |sent: u64, all: u64| format!("{sent} of {all} bytes");
    if line.body_bytes_sent < line.body_bytes {
        let sent = left(line.body_bytes_sent, line.body_bytes);
        parts.push(format!("{sent} have left"));
    }
    if line.coming_bytes > 0 {
        parts.push(format!("{} have come", left(line.coming_bytes_here, line.coming_bytes)));
    }
    parts
}

/// The places of postoffices: `all`, or of those that have several, one of which fails.
pub fn places(status: &Status, times: &Times, all: bool) -> Vec<String> {
    let fails = |one: &&RequestorStatus| {
        one.places.len() > 1 && one.places.iter().any(|place| place.error.is_some())
    };
    let own = |one: &&RequestorStatus| status.role == Role::Server && one.name == status.postoffice;
    let takes_part = |one: &&RequestorStatus| one.state != Standing::Removed;
    let shown = status.requestors.iter().filter(takes_part).filter(|one| !own(one));
    let line = |one: &RequestorStatus| {
        let places: Vec<String> = one.places.iter().map(|one| place(one, times)).collect();
        format!("{}: {}", one.name, places.join("; "))
    };
    shown.filter(|one| all || fails(one)).map(line).collect()
}

/// A row for each postoffice, the worst first. Of many that are well only the first ones, unless `all`.
pub fn rows(status: &Status, times: &Times, all: bool) -> Vec<String> {
    let behind = if status.role == Role::Server { "behind" } else { "to send" };
    let head = ["", "", "site", "heard", "people", behind, "list", "due"].map(String::from);
    let takes_part = |postoffice: &&RequestorStatus| all || postoffice.state != Standing::Removed;
    let postoffices: Vec<&RequestorStatus> = status.requestors.iter().filter(takes_part).collect();
    let well = postoffices.iter().filter(|postoffice| postoffice.verdict == Verdict::Well).count();
    let left_out = if all { 0 } else { well.saturating_sub(WELL_SHOWN) };
    let shown = postoffices.iter().take(postoffices.len() - left_out);
    let rows: Vec<[String; 8]> =
        [head].into_iter().chain(shown.map(|postoffice| row(postoffice, times))).collect();
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let numbers = [4, 5];
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| {
            if numbers.contains(&at) { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        let cells: Vec<String> = cells.collect();
        format!("{} {}", cells[0], cells[1..].join("  ")).trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if left_out > 0 {
        lines.push(format!("+ {left_out} more are well: `{DIRSYNC} status -v`"));
    }
    lines
}

fn row(postoffice: &RequestorStatus, times: &Times) -> [String; 8] {
    let (mark, word) = verdict(postoffice.verdict);
    let list = match postoffice.digest_matches {
        Some(true) => format!("equal {}", times.since(postoffice.digest_since)),
        Some(false) if postoffice.digest_since == 0 => "DIFFERS".into(),
        Some(false) => format!("DIFFERS {}", times.since(postoffice.digest_since)),
        None => "none yet".into(),
    };
    let due = if postoffice.expected == 0 { String::new() } else { times.day(postoffice.expected) };
    [
        mark.into(),
        word.into(),
        postoffice.name.to_string(),
        times.ago(postoffice.last_contact),
        postoffice.entries.to_string(),
        postoffice.behind.to_string(),
        list,
        due,
    ]
}
