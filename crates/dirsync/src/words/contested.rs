//! Entries that wait for addresses which others have, in words.

use dirsync_agent::taken::TakenAddress;
use dirsync_directory::{PostofficeName, shown};
use dirsync_postoffice::contested::{Claimant, Contest, Group};

use super::plural;

/// A group with its examples, a line each.
pub fn group(group: &Group) -> Vec<String> {
    let Group { origin, holder, count, examples } = group;
    let addresses = if *count == 1 { "an address" } else { "addresses" };
    let entries = plural(*count, "entry", "entries");
    let wait = if *count == 1 { "waits" } else { "wait" };
    let mut lines =
        vec![format!("{entries} of {origin} {wait} for {addresses} that {holder} has:")];
    lines.extend(examples.iter().map(|contest| format!("  {}", line(contest))));
    let more = count.saturating_sub(examples.len() as u64);
    if more > 0 {
        lines.push(format!("  … {more} more (--all)"));
    }
    lines
}

/// "p1@x.example: Twin of ALPS/DEPOT waits, Person 1 of SOUTH/SALES has it".
pub fn line(contest: &Contest) -> String {
    let Contest { address, origin, waiting, holder, has_it } = contest;
    format!(
        "{}: {} waits, {} has it",
        shown(address.as_str()),
        claimant(waiting.as_ref(), origin),
        claimant(has_it.as_ref(), holder)
    )
}

fn claimant(claimant: Option<&Claimant>, owner: &PostofficeName) -> String {
    match claimant {
        Some(Claimant { key, name, .. }) => {
            format!("{} (key {}) of {owner}", shown(name), shown(key))
        }
        None => format!("an entry of {owner}"),
    }
}

/// Addresses that entries want and others have: a line for each pair of entries.
pub fn taken(addresses: &[TakenAddress]) -> Vec<String> {
    let is_same_pair = |a: &TakenAddress, b: &TakenAddress| {
        (&a.key, &a.holder, &a.name) == (&b.key, &b.holder, &b.name)
    };
    addresses.chunk_by(is_same_pair).filter_map(taken_from_one).collect()
}

/// "SMTP:ana@north.example and 2 more of 4711 are taken: Ana of NORTH/HQ has them, …".
fn taken_from_one(addresses: &[TakenAddress]) -> Option<String> {
    let TakenAddress { address, key, holder, name, held } = addresses.first()?;
    let (more, are, them) = match addresses.len() - 1 {
        0 => (String::new(), "is", "it"),
        more => (format!(" and {more} more"), "are", "them"),
    };
    let waits =
        if *held { String::new() } else { format!(", and this entry will wait for {them}") };
    Some(format!(
        "{}{more} of {} {are} taken: {} of {holder} has {them}{waits}",
        shown(address.as_str()),
        shown(key),
        shown(name)
    ))
}
