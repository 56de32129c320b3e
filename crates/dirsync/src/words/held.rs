//! Held changes in words.

use dirsync_directory::shown;
use dirsync_postoffice::difference::Difference;
use dirsync_postoffice::held::{
    Case, Decided, DecidedGroup, Follows, Group, GroupId, TakenBy, Verdict,
};
use dirsync_postoffice::time::{TimeZone, clock};
use dirsync_protocol::guard::GuardKind;

use super::plural;
use crate::words::hint::DIRSYNC;

/// "37 deletions from north.csv".
pub fn sum(group: &Group) -> String {
    let file = group.file.as_ref().and_then(|file| file.file_name());
    let from = file.map_or_else(|| group.asked_by.clone().into(), |file| file.to_string_lossy());
    let from = shown(&from);
    match &group.group {
        GroupId::Origin(_) => format!("{} by {from}", deletions(group.count)),
        GroupId::Source(reason, _) => match reason {
            GuardKind::Delete | GuardKind::ShortRead => {
                format!("{} from {from}", deletions(group.count))
            }
            GuardKind::Blank => format!("{} from {from} would lose a field", entries(group.count)),
            GuardKind::Move => {
                format!("{} from {from} would change kind or primary address", entries(group.count))
            }
            GuardKind::Settings => {
                format!("{} from {from} would change with its settings", entries(group.count))
            }
            GuardKind::Taken => {
                let have = if group.count == 1 { "has an address" } else { "have addresses" };
                format!("{} from {from} {have} of others", additions(group.count))
            }
            GuardKind::Unclaimed => {
                format!("{} of {from} that no source names", entries(group.count))
            }
        },
    }
}

/// "37 deletions from north.csv since 06:00 (3 rows, the last good read had 40)".
pub fn heading(group: &Group, now: u64, zone: &TimeZone) -> String {
    let since = clock(group.since, now, zone);
    let rows = match (group.rows, group.good_rows) {
        (Some(rows), Some(good)) if group.is_deletion() && rows < good => {
            format!(" ({}, the last good read had {good})", plural(rows, "row", "rows"))
        }
        _ => String::new(),
    };
    // "… would lose a field since 06:00" would say that of the entries.
    let held = if group.is_deletion() { "" } else { ", held" };
    format!("{}{held} since {since}{rows}", sum(group))
}

/// The examples of a group and the number of the others, after the heading's colon: deletions on its line,
/// changes on lines of their own.
pub fn examples(group: &Group) -> String {
    let all_fit =
        group.examples.iter().all(|case| case.changes.is_empty() && case.taken.is_empty());
    let between = if all_fit { ", " } else { "\n  " };
    let mut examples: Vec<String> = group.examples.iter().map(case).collect();
    let more = group.count.saturating_sub(examples.len() as u64);
    if more > 0 {
        examples.push(format!("… {more} more (--all)"));
    }
    let start = if all_fit { " " } else { "\n  " };
    format!("{start}{}", examples.join(between))
}

/// A case with its id and key.
pub fn line(one: &Case) -> String {
    format!("{}  {}  {}", one.id, shown(&one.key), case(one))
}

/// "Ana Souza <ana@north.example>", for a change the values before and after, and for an addition those who
/// have its addresses.
fn case(case: &Case) -> String {
    let who = person(&case.name, &case.address);
    let is_same_entry = |a: &TakenBy, b: &TakenBy| (&a.holder, &a.name) == (&b.holder, &b.name);
    let holders = case.taken.chunk_by(is_same_entry).filter_map(holder);
    let more: Vec<String> = case.changes.iter().map(difference).chain(holders).collect();
    if more.is_empty() { who } else { format!("{who}: {}", more.join("; ")) }
}

/// "Ana of NORTH/HQ has SMTP:ana@north.example and 2 more".
fn holder(taken: &[TakenBy]) -> Option<String> {
    let TakenBy { address, holder, name } = taken.first()?;
    let more = match taken.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{} of {holder} has {}{more}", shown(name), shown(address)))
}

/// "Ana Souza <ana@north.example>".
pub fn person(name: &str, address: &str) -> String {
    let value = address.strip_prefix("SMTP:").unwrap_or(address);
    match (name, value) {
        ("", value) => shown(value).into_owned(),
        (name, "") => shown(name).into_owned(),
        (name, value) => format!("{} <{}>", shown(name), shown(value)),
    }
}

/// "title Pilot → Captain".
pub fn difference(difference: &Difference) -> String {
    let values = |values: &[String]| match values {
        [] => "nothing".to_owned(),
        values => shown(&values.join(", ")).into_owned(),
    };
    let Difference { part, before, after } = difference;
    format!("{part} {} → {}", values(before), values(after))
}

/// What was decided, a line for each group.
pub fn decided(decided: &Decided) -> Vec<String> {
    if decided.groups.is_empty() {
        return vec!["nothing was held".to_owned()];
    }
    let word = match decided.verdict {
        Verdict::Approved => "approved",
        Verdict::Rejected => "rejected",
    };
    decided.groups.iter().map(|group| decided_group(group, word)).collect()
}

fn decided_group(group: &DecidedGroup, word: &str) -> String {
    let DecidedGroup { group: id, reason, count, follows } = group;
    let changes = match reason {
        GuardKind::Delete | GuardKind::ShortRead | GuardKind::Unclaimed => deletions(*count),
        GuardKind::Blank | GuardKind::Move | GuardKind::Settings => {
            plural(*count, "change", "changes")
        }
        GuardKind::Taken => additions(*count),
    };
    let (they, stay) =
        if *count == 1 { ("it", "the entry stays") } else { ("they", "the entries stay") };
    let travel = if *count == 1 { "travels" } else { "travel" };
    let from = shown(id.asked_by());
    let follows = match follows {
        Follows::TravelsWithNextRequest => {
            format!("{they} {travel} with the next `{DIRSYNC} send`")
        }
        Follows::LeavesAllLists if *count == 1 => {
            "the entry leaves all lists with the next answers".to_owned()
        }
        Follows::LeavesAllLists => "the entries leave all lists with the next answers".to_owned(),
        Follows::StaysUntilSourceAsks => {
            format!("{stay} until \"{from}\" asks for another change")
        }
        Follows::StaysOutUntilSourceAsks if *count == 1 => {
            format!("it stays out of the list until \"{from}\" has other content for it")
        }
        Follows::StaysOutUntilSourceAsks => {
            format!("they stay out of the list until \"{from}\" has other content for them")
        }
        Follows::StaysUntilOriginSpeaks => format!("{stay} listed until {from} changes them"),
        Follows::KeptByHand => format!("{stay}, kept by hand from now on"),
    };
    format!("{changes} of {from} {word}: {follows}")
}

/// A word of a command line, in quotes if a shell would split it.
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
    if word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", shown(&word.replace('\'', "'\\''")))
}

fn additions(count: u64) -> String {
    plural(count, "new entry", "new entries")
}

fn deletions(count: u64) -> String {
    plural(count, "deletion", "deletions")
}

fn entries(count: u64) -> String {
    plural(count, "entry", "entries")
}
