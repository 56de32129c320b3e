//! The stages of an entry's way, in words.

use std::path::Path;

use dirsync_directory::shown;
use dirsync_postoffice::difference::Difference;
use dirsync_postoffice::time::{TimeZone, clock};
use dirsync_postoffice::view::{Hidden, LimitOf};
use dirsync_postoffice::why::{Found, LeftOut, Reach, Stage};
use dirsync_protocol::guard::GuardKind;

use super::alarm::held_because;
use super::held::{difference, person};
use super::plural;
use crate::words::hint::DIRSYNC;

/// "Ana Souza <ana@north.example> of NORTH/HQ, key 4711, id …".
pub fn heading(found: &Found) -> String {
    let who = match person(&found.name, &found.address) {
        who if who.is_empty() => "a row that is no entry".to_owned(),
        who => format!("{who} of {}", found.origin),
    };
    let key = match found.key.as_str() {
        "" => String::new(),
        key => format!(", key {}", shown(key)),
    };
    let id = found.id.map_or_else(String::new, |id| format!(", id {id}"));
    format!("{who}{key}{id}")
}

/// A stage, on one line.
pub fn stage(stage: &Stage, now: u64, zone: &TimeZone) -> String {
    match stage {
        Stage::InSource { .. }
        | Stage::NotInSource { .. }
        | Stage::LeftOut { .. }
        | Stage::Unusable { .. }
        | Stage::Unreadable { .. }
        | Stage::Quarantined { .. } => of_source(stage, now, zone),
        Stage::Held { group, reason, since, rejected, changes } => {
            let since = clock(*since, now, zone);
            let what = held_words(*reason, changes);
            match rejected {
                true => {
                    format!("{what} was rejected; it opens again when something else is asked for")
                }
                false => format!(
                    "{what} is held here since {since}, group {}: {}: `{DIRSYNC} held list`",
                    shown(group),
                    held_because(*reason)
                ),
            }
        }
        Stage::NotSent { change } => {
            format!(
                "own change {change} is not sent yet: it travels with the next `{DIRSYNC} send`"
            )
        }
        Stage::Sent { change, request, at } => {
            let at =
                if *at == 0 { String::new() } else { format!(" at {}", clock(*at, now, zone)) };
            format!("own change {change} was sent{at} with request {request}; no answer yet")
        }
        Stage::Acknowledged { change } => {
            format!("own change {change} is acknowledged by the server")
        }
        Stage::Listed { number } => format!("listed here, number {number}"),
        Stage::NotListed { hidden: None } => "not in the list here".to_owned(),
        Stage::NotListed { hidden: Some(hidden) } => {
            format!("not in the list here: {}", hidden_words(hidden))
        }
        Stage::At { postoffice, reach } => {
            format!("at {postoffice}: {}", reach_words(reach, now, zone))
        }
        _ => at_the_server(stage),
    }
}

fn of_source(stage: &Stage, now: u64, zone: &TimeZone) -> String {
    match stage {
        Stage::InSource { source, file, line, taken, changes } => {
            let place = place(source, file, Some(*line));
            match (taken, changes.as_slice()) {
                (false, _) => format!("{place}: a row that is not an own entry (yet)"),
                (true, []) => format!("{place}: the row is as the entry"),
                (true, changes) => format!("{place}: the row differs: {}", differences(changes)),
            }
        }
        Stage::NotInSource { source, file, rows } => {
            let rows = plural(*rows, "row", "rows");
            format!("{}: not among its {rows}", place(source, file, None))
        }
        Stage::LeftOut { source, file, line, left_out } => {
            let rule = match left_out {
                LeftOut::NoAddress => "the row has no address".to_owned(),
                LeftOut::Map { reason } => format!("the map says so ({})", shown(reason)),
                LeftOut::OtherOrigin { origin } => format!("the row is one of {origin}"),
            };
            format!("{}: left out, because {rule}", place(source, file, Some(*line)))
        }
        Stage::Unusable { source, file, line, reason, row } => {
            format!("{}: {}: {}", place(source, file, Some(*line)), shown(reason), shown(row))
        }
        Stage::Unreadable { source, file, error } => {
            format!("{}: it cannot be read: {}", place(source, file, None), shown(error))
        }
        Stage::Quarantined { number, origin, since, line, reason, row } => format!(
            "in quarantine since {}, case {number} of {}: {}{}: {}",
            clock(*since, now, zone),
            shown(origin),
            line.map(|line| format!("line {line}: ")).unwrap_or_default(),
            shown(reason),
            shown(row)
        ),
        _ => String::new(),
    }
}

fn at_the_server(stage: &Stage) -> String {
    match stage {
        Stage::WaitsForAddress { address, holder } => {
            format!("at the server: it waits for {}, which {holder} has", shown(address.as_str()))
        }
        Stage::Contested { address, by } => {
            format!("at the server: {by} waits for its address {}", shown(address.as_str()))
        }
        Stage::DeletionHeld { rejected: Some(true) } => {
            "at the server: its deletion was rejected".to_owned()
        }
        Stage::DeletionHeld { .. } => {
            "at the server: its deletion waits for a person (`held list`, there)".to_owned()
        }
        Stage::Transferred { to } => format!("at the server: it belongs to {to} now"),
        Stage::ForeignId { owner } => {
            format!("at the server: {owner} owns an entry with this id")
        }
        Stage::Invalid { reason } => {
            format!("at the server: kept and not published: {}", shown(reason))
        }
        Stage::Offered { to } => format!("on offer to {to}, which may claim it"),
        Stage::Published { number } => format!("at the server: published, number {number}"),
        _ => String::new(),
    }
}

fn reach_words(reach: &Reach, now: u64, zone: &TimeZone) -> String {
    match reach {
        Reach::OutsideView { hidden } => hidden_words(hidden),
        Reach::Invited => "invited, and never heard".to_owned(),
        Reach::Suspended => "suspended: its requests wait".to_owned(),
        Reach::Removed => "removed".to_owned(),
        Reach::NotSent { confirmed } => {
            format!("not sent yet; it has confirmed the list up to {confirmed}")
        }
        Reach::Sent { cycle, confirmed } => format!(
            "sent in cycle {cycle} and not confirmed; it has confirmed the list up to {confirmed}"
        ),
        Reach::Differs { since } => {
            format!("its list differs since {}; it is being repaired", clock(*since, now, zone))
        }
        Reach::Confirmed => "confirmed".to_owned(),
    }
}

/// "outside its view: of kinds the server allows mailbox, list, and this is a resource".
fn hidden_words(hidden: &Hidden) -> String {
    let party = match hidden.limit_of {
        LimitOf::Server => "the server allows",
        LimitOf::Requestor => "its own settings want",
    };
    let list = |values: &[String]| match values {
        [] => "none".to_owned(),
        values => shown(&values.join(", ")).into_owned(),
    };
    let Hidden { condition, limit, values, .. } = hidden;
    match *condition {
        "filter" => {
            format!("outside the view: it does not meet the filter that {party}: {}", list(limit))
        }
        condition => format!(
            "outside the view: of {condition} {party} {}, and this has {}",
            list(limit),
            list(values)
        ),
    }
}

fn held_words(reason: GuardKind, changes: &[Difference]) -> String {
    match reason {
        GuardKind::Delete | GuardKind::ShortRead | GuardKind::Unclaimed => {
            "its deletion".to_owned()
        }
        GuardKind::Taken => "its addition".to_owned(),
        GuardKind::Blank | GuardKind::Move | GuardKind::Settings => {
            format!("a change ({})", differences(changes))
        }
    }
}

fn differences(changes: &[Difference]) -> String {
    changes.iter().map(difference).collect::<Vec<_>>().join("; ")
}

/// "north.csv (source personnel), line 7".
fn place(source: &str, file: &Path, line: Option<u64>) -> String {
    let name =
        file.file_name().map_or_else(|| file.to_string_lossy(), |name| name.to_string_lossy());
    let line = line.map_or_else(String::new, |line| format!(", line {line}"));
    format!("{} (source {}){line}", shown(&name), shown(source))
}
