//! Who gets a contested address (P8 to P11): which contenders have to wait.
//!
//! Assume that every wanted address is granted. While two entries claim one address, all but one of them
//! are blocked; a blocked entry that is published stays as it is and claims the addresses that it has. The
//! blocked set only grows, so this ends.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{EntryId, PostofficeName};

use super::contender::Contender;
use crate::simulation::{Branch, Rule};

/// P10: how good a claim on an address is; the least one wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It keeps the address that it has, because it is blocked or pinned.
    Keeps,
    /// It has the address and goes on wanting it.
    Stays,
    /// It belongs to the origin that gives the address up (rule `house`).
    OfTheHouse,
    /// It comes from elsewhere.
    Comes,
}

/// A claim on an address. Of equal standing the earlier claim wins, then the smaller id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    standing: Standing,
    number: u64,
    id: EntryId,
}

type Contenders = BTreeMap<EntryId, Contender>;

/// The contenders that cannot be published as they want. `freed` names the origins that gave addresses up
/// in this batch.
pub(super) fn blocked(
    contenders: &Contenders,
    freed: &BTreeMap<String, PostofficeName>,
) -> BTreeSet<EntryId> {
    let houses = houses(contenders, freed);
    let mut blocked = BTreeSet::new();
    loop {
        let mut claims: BTreeMap<String, Vec<Claim>> = BTreeMap::new();
        for (id, contender) in contenders {
            contender.claim(*id, blocked.contains(id), &houses, &mut claims);
        }
        let losers: Vec<EntryId> = claims
            .into_values()
            .flat_map(|mut claims| {
                claims.sort_unstable();
                claims.into_iter().skip(1).map(|claim| claim.id)
            })
            .filter(|id| !blocked.contains(id) && contenders[id].candidate.is_some())
            .collect();
        if losers.is_empty() {
            grant_after_all(contenders, &mut blocked);
            assert!(
                blocked.iter().all(|id| contenders[id].candidate.is_some()),
                "only wishes wait"
            );
            return blocked;
        }
        blocked.extend(losers);
    }
}

/// The origin that has each address, or gave it up in this batch.
fn houses<'a>(
    contenders: &'a Contenders,
    freed: &'a BTreeMap<String, PostofficeName>,
) -> BTreeMap<String, &'a PostofficeName> {
    let mut houses = BTreeMap::new();
    if !Rule::House.holds() {
        return houses;
    }
    houses.extend(freed.iter().map(|(key, origin)| (key.clone(), origin)));
    for contender in contenders.values() {
        if let Some(row) = contender.published() {
            houses.extend(contender.published_keys().into_iter().map(|key| (key, &row.origin)));
        }
    }
    houses
}

impl Contender {
    /// The addresses that it claims: those that it wants, or has if it is blocked or pinned.
    fn claimed_keys(&self, blocked: bool) -> Vec<String> {
        if blocked || (self.candidate.is_none() && self.is_pinned()) {
            self.published_keys()
        } else {
            self.wanted_keys()
        }
    }

    fn claim_number(&self) -> u64 {
        self.wanted().map_or(0, |wanted| wanted.claim)
    }

    fn claim(
        &self,
        id: EntryId,
        blocked: bool,
        houses: &BTreeMap<String, &PostofficeName>,
        claims: &mut BTreeMap<String, Vec<Claim>>,
    ) {
        let published = self.published_keys();
        let origin = self.candidate.filter(|_| !blocked).map(|at| &self.rows[at].origin);
        for key in self.claimed_keys(blocked) {
            let claim = match origin {
                None => Claim { standing: Standing::Keeps, number: 0, id },
                Some(origin) => {
                    let standing = if published.contains(&key) {
                        Standing::Stays
                    } else if houses.get(&key) == Some(&origin) {
                        Standing::OfTheHouse
                    } else {
                        Standing::Comes
                    };
                    Claim { standing, number: self.claim_number(), id }
                }
            };
            claims.entry(key).or_default().push(claim);
        }
    }
}

/// P11. An entry with several addresses may have lost one to an entry that was blocked for another, and
/// entries may wait for each other's addresses while a stranger wants one of them too. In the order of
/// their claims those are granted after all whose addresses nobody has now, or only entries that would give
/// them up if they were granted as well. Otherwise an address would be left to nobody, or to an entry that
/// gives it up.
fn grant_after_all(contenders: &Contenders, blocked: &mut BTreeSet<EntryId>) {
    let mut claimed: BTreeMap<String, BTreeSet<EntryId>> = BTreeMap::new();
    for (id, contender) in contenders {
        for key in contender.claimed_keys(blocked.contains(id)) {
            claimed.entry(key).or_default().insert(*id);
        }
    }
    let mut waiting: Vec<(u64, EntryId)> =
        blocked.iter().map(|id| (contenders[id].claim_number(), *id)).collect();
    waiting.sort_unstable();
    while let Some(granted) =
        waiting.iter().find_map(|(_, id)| granted_together(contenders, blocked, &claimed, *id))
    {
        Branch::GrantedAfterAll.take();
        for id in &granted {
            for key in contenders[id].published_keys() {
                claimed.entry(key).or_default().remove(id);
            }
        }
        for id in &granted {
            for key in contenders[id].wanted_keys() {
                claimed.entry(key).or_default().insert(*id);
            }
        }
        blocked.retain(|id| !granted.contains(id));
        waiting.retain(|(_, id)| !granted.contains(id));
    }
}

/// The blocked entries that would have to be granted together with one, so that each address has one
/// holder; `None` if an entry wants to keep one of the addresses.
fn granted_together(
    contenders: &Contenders,
    blocked: &BTreeSet<EntryId>,
    claimed: &BTreeMap<String, BTreeSet<EntryId>>,
    first: EntryId,
) -> Option<BTreeSet<EntryId>> {
    let mut granted = BTreeSet::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut queue = vec![first];
    while let Some(id) = queue.pop() {
        if !granted.insert(id) {
            continue;
        }
        for key in contenders[&id].wanted_keys() {
            for holder in claimed.get(&key).into_iter().flatten().filter(|holder| **holder != id) {
                let gives_up = Rule::Exchange.holds()
                    && blocked.contains(holder)
                    && !contenders[holder].wanted_keys().contains(&key);
                if !gives_up {
                    return None;
                }
                queue.push(*holder);
            }
            if !taken.insert(key) {
                return None;
            }
        }
    }
    Some(granted)
}
