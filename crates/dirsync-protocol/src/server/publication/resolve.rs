//! Who gets a contested address (`protocol.md` §5 (3) and (4)).
//!
//! Assume that every wanted address is granted; while two claim one address, block all but one; a
//! blocked entry that is published stays as it is and claims what it has. The blocked set only
//! grows, so it ends. Only the entries that are connected by an address are looked at.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{EntryId, PostofficeName};

use super::{Content, Publication};
use crate::context::{Context, Level};
use crate::simulation::{Branch, Rule};
use crate::tables::{Published, ServerRow, Stored, Tables};

/// A change may free an address for somebody who was blocked by a claim that was blocked itself;
/// the model needs no more rounds than this.
const ROUNDS_MAX: usize = 4;

/// One id with all origins' rows.
struct Case {
    rows: Vec<ServerRow>,
    /// Which row's submitted part is to be published.
    candidate: Option<usize>,
}

impl Case {
    fn published(&self) -> Option<usize> {
        self.rows.iter().position(|row| row.published.is_some())
    }

    /// Whether what is published stays although nothing asks for it: a held deletion, or a newer
    /// version that cannot be published.
    fn is_pinned(&self) -> bool {
        self.rows.iter().any(|row| {
            let held = row.published.as_ref().is_some_and(|published| published.held.is_some());
            let invalid = row.submitted.as_ref().is_some_and(|s| s.invalid.is_some());
            row.published.is_some() && (held || invalid)
        })
    }

    fn wanted_keys(&self) -> Vec<String> {
        let submitted = self.candidate.and_then(|at| self.rows[at].submitted.as_ref());
        submitted.map_or(Vec::new(), |s| s.record.as_ref().address_keys().collect())
    }

    /// What it claims: what it wants, or when it is blocked or pinned what it has.
    fn claimed_keys(&self, blocked: bool) -> Vec<String> {
        if blocked || (self.candidate.is_none() && self.is_pinned()) {
            self.published_keys()
        } else {
            self.wanted_keys()
        }
    }

    fn claim_number(&self) -> u64 {
        let submitted = self.candidate.and_then(|at| self.rows[at].submitted.as_ref());
        submitted.map_or(0, |submitted| submitted.claim)
    }

    fn published_keys(&self) -> Vec<String> {
        let record = self.published().and_then(|at| self.rows[at].published_record());
        record.map_or(Vec::new(), |record| record.address_keys().collect())
    }
}

/// Whose claim on an address comes first: who keeps what it has, who stays where it is, who belongs
/// to the house that gives it up, who came first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u8, u64, EntryId);

impl Publication {
    /// Decides everything that is contested.
    pub(super) fn resolve(
        &mut self,
        tables: &mut dyn Tables,
        context: &mut Context<'_>,
    ) -> Stored<()> {
        for _ in 0..ROUNDS_MAX {
            let seeds = std::mem::take(&mut self.contested);
            if seeds.is_empty() {
                break;
            }
            let cases = self.connected(tables, seeds)?;
            let blocked = self.blocked(&cases);
            if !blocked.is_empty() {
                let text = format!("{} entries wait for an address or a decision", blocked.len());
                context.say(Level::Notice, "5.3", text);
            }
            let before = self.state.head;
            let ids: Vec<EntryId> = cases.keys().copied().collect();
            for (id, case) in cases {
                self.settle(tables, id, case, blocked.contains(&id))?;
            }
            if self.state.head == before {
                break;
            }
            // `free` has noted who waits for what was given up; they are decided with the others.
            if !self.contested.is_empty() || !blocked.is_empty() {
                self.contested.extend(ids);
            }
        }
        self.contested.clear();
        Ok(())
    }

    /// The contested entries and all that are connected with them by an address.
    fn connected(
        &mut self,
        tables: &mut dyn Tables,
        seeds: BTreeSet<EntryId>,
    ) -> Stored<BTreeMap<EntryId, Case>> {
        let mut cases = BTreeMap::new();
        let mut queue: Vec<EntryId> = seeds.into_iter().collect();
        while let Some(id) = queue.pop() {
            if cases.contains_key(&id) {
                continue;
            }
            let rows = tables.rows(id)?;
            let candidate = choose(tables, id, &rows)?;
            let case = Case { rows, candidate };
            for key in case.wanted_keys().into_iter().chain(case.published_keys()) {
                for (other, _) in tables.claimants(&key)? {
                    if !cases.contains_key(&other) {
                        queue.push(other);
                    }
                }
            }
            cases.insert(id, case);
        }
        Ok(cases)
    }

    fn blocked(&self, cases: &BTreeMap<EntryId, Case>) -> BTreeSet<EntryId> {
        let mut houses: BTreeMap<String, &PostofficeName> =
            self.house.iter().map(|(key, origin)| (key.clone(), origin)).collect();
        for case in cases.values() {
            if let Some(at) = case.published() {
                for key in case.published_keys() {
                    houses.insert(key, &case.rows[at].origin);
                }
            }
        }
        if !Rule::House.holds() {
            houses.clear();
        }
        let mut blocked = BTreeSet::new();
        loop {
            let mut claims: BTreeMap<String, Vec<Rank>> = BTreeMap::new();
            for (id, case) in cases {
                claim(*id, case, blocked.contains(id), &houses, &mut claims);
            }
            let losers: Vec<EntryId> = claims
                .into_values()
                .flat_map(|mut ranks| {
                    ranks.sort_unstable();
                    ranks.into_iter().skip(1).map(|rank| rank.2)
                })
                .filter(|id| !blocked.contains(id) && cases[id].candidate.is_some())
                .collect();
            if losers.is_empty() {
                grant_after_all(cases, &mut blocked);
                return blocked;
            }
            blocked.extend(losers);
        }
    }

    /// Publishes, keeps or removes one id.
    fn settle(
        &mut self,
        tables: &mut dyn Tables,
        id: EntryId,
        mut case: Case,
        blocked: bool,
    ) -> Stored<()> {
        let published = case.published();
        let Some(winner) = case.candidate else {
            if let Some(at) = published
                && !case.is_pinned()
            {
                let mut row = case.rows.swap_remove(at);
                if row.submitted.is_some() {
                    self.withdraw(tables, id, &mut row)?;
                } else {
                    self.unpublish(tables, row)?;
                }
            }
            return Ok(());
        };
        if let Some(heir) = release_honoured(&case.rows, winner)
            && tables.transferred(id)?.as_ref() != Some(&heir)
        {
            tables.put_transferred(id, &heir)?;
        }
        if blocked {
            return Ok(());
        }
        match published {
            Some(at) if at != winner => {
                let freed = case.published_keys();
                let old = case.rows.swap_remove(at);
                // `swap_remove` may have moved the winner into the gap.
                let winner = if winner == case.rows.len() { at } else { winner };
                let row = &mut case.rows[winner];
                self.change_owner(tables, id, old, row)?;
                tables.put_row(row)?;
                let kept = case.wanted_keys_of(winner);
                let origin = case.rows[winner].origin.clone();
                for key in freed.iter().filter(|key| !kept.contains(key)) {
                    self.free(tables, id, &origin, key)?;
                }
            }
            _ => {
                let freed = case.published_keys();
                let kept = case.wanted_keys();
                let row = &mut case.rows[winner];
                self.publish_submitted(tables, row)?;
                tables.put_row(row)?;
                let origin = row.origin.clone();
                for key in freed.iter().filter(|key| !kept.contains(key)) {
                    self.free(tables, id, &origin, key)?;
                }
            }
        }
        Ok(())
    }

    /// Takes an entry out of the list while its origin's row stays as a stub.
    fn withdraw(
        &mut self,
        tables: &mut dyn Tables,
        id: EntryId,
        row: &mut ServerRow,
    ) -> Stored<()> {
        for key in row.published_record().expect("it is published").address_keys() {
            self.free(tables, id, &row.origin, &key)?;
        }
        let published = row.published.take().expect("it is published");
        let record = published.record.clone();
        let submitted = row.submitted.as_ref().expect("it stays as a stub");
        let content =
            content_of(&row.origin, &published, record.as_ref().unwrap_or(&submitted.record));
        self.change(tables, id, Some((content, &published)), None)?;
        tables.put_row(row)
    }

    /// Publishes the row of another origin in the place of the present owner's.
    fn change_owner(
        &mut self,
        tables: &mut dyn Tables,
        id: EntryId,
        mut old: ServerRow,
        new: &mut ServerRow,
    ) -> Stored<()> {
        let published = old.published.take().expect("it is published");
        let kept = published.record.clone();
        let record = kept.as_ref().or(old.submitted.as_ref().map(|s| &s.record));
        let before = content_of(&old.origin, &published, record.expect("published content"));
        let submitted = new.submitted.as_ref().expect("the candidate is submitted");
        let after = Content {
            owner: &new.origin,
            record: submitted.record.as_ref(),
            released_to: submitted.released_to.as_ref(),
            stamp: submitted.stamp,
        };
        new.published = self.change(tables, id, Some((before, &published)), Some(after))?;
        if old.submitted.is_some() {
            tables.put_row(&old)
        } else {
            tables.delete_row(id, &old.origin)
        }
    }
}

impl Case {
    fn wanted_keys_of(&self, at: usize) -> Vec<String> {
        let submitted = self.rows[at].submitted.as_ref();
        submitted.map_or(Vec::new(), |s| s.record.as_ref().address_keys().collect())
    }
}

fn content_of<'a>(
    owner: &'a PostofficeName,
    published: &'a Published,
    record: &'a dirsync_directory::Record,
) -> Content<'a> {
    Content {
        owner,
        record: record.as_ref(),
        released_to: published.released_to.as_ref(),
        stamp: published.stamp,
    }
}

fn claim(
    id: EntryId,
    case: &Case,
    blocked: bool,
    houses: &BTreeMap<String, &PostofficeName>,
    claims: &mut BTreeMap<String, Vec<Rank>>,
) {
    let published = case.published_keys();
    let claim = case.claim_number();
    for key in case.claimed_keys(blocked) {
        let Some(at) = case.candidate.filter(|_| !blocked) else {
            claims.entry(key).or_default().push(Rank(0, 0, id));
            continue;
        };
        let row = &case.rows[at];
        let rank = if published.contains(&key) {
            1
        } else if houses.get(&key).is_some_and(|house| **house == row.origin) {
            2
        } else {
            3
        };
        claims.entry(key).or_default().push(Rank(rank, claim, id));
    }
}

/// An entry with several addresses may have lost one to somebody who was blocked for another, and
/// entries may wait for each other's addresses while a stranger wants one of them too. In the order of
/// their claims those are granted after all whose addresses nobody has now, or only such as would give
/// them up if they were granted as well; else an address would be left to nobody, or to who gives it up.
fn grant_after_all(cases: &BTreeMap<EntryId, Case>, blocked: &mut BTreeSet<EntryId>) {
    let mut claimed: BTreeMap<String, BTreeSet<EntryId>> = BTreeMap::new();
    for (id, case) in cases {
        for key in case.claimed_keys(blocked.contains(id)) {
            claimed.entry(key).or_default().insert(*id);
        }
    }
    let mut waiting: Vec<(u64, EntryId)> =
        blocked.iter().map(|id| (cases[id].claim_number(), *id)).collect();
    waiting.sort_unstable();
    while let Some(granted) =
        waiting.iter().find_map(|(_, id)| granted_together(cases, blocked, &claimed, *id))
    {
        Branch::GrantedAfterAll.take();
        for id in &granted {
            for key in cases[id].published_keys() {
                claimed.entry(key).or_default().remove(id);
            }
        }
        for id in &granted {
            for key in cases[id].wanted_keys() {
                claimed.entry(key).or_default().insert(*id);
            }
        }
        blocked.retain(|id| !granted.contains(id));
        waiting.retain(|(_, id)| !granted.contains(id));
    }
}

/// The blocked entries that would have to be granted together with one, so that each address has one
/// holder; none when somebody wants to keep what is wanted.
fn granted_together(
    cases: &BTreeMap<EntryId, Case>,
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
        for key in cases[&id].wanted_keys() {
            for holder in claimed.get(&key).into_iter().flatten().filter(|holder| **holder != id) {
                let gives_up = Rule::Exchange.holds()
                    && blocked.contains(holder)
                    && !cases[holder].wanted_keys().contains(&key);
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

/// Which origin's record of an id is to be published: not a stub, not invalid, and of two without a
/// release between them that of the present owner.
fn choose(tables: &mut dyn Tables, id: EntryId, rows: &[ServerRow]) -> Stored<Option<usize>> {
    let owner = tables.transferred(id)?;
    let mut candidates = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(submitted) = &row.submitted else { continue };
        if submitted.invalid.is_none() && !is_stub(tables, row, owner.as_ref(), rows)? {
            candidates.push(at);
        }
    }
    let released_to = |at: usize| rows[at].submitted.as_ref().and_then(|s| s.released_to.as_ref());
    // Whoever is released to one of the other candidates yields.
    let yields = |at: &usize| {
        candidates.iter().any(|other| other != at && released_to(*at) == Some(&rows[*other].origin))
    };
    let staying: Vec<usize> = candidates.iter().copied().filter(|at| !yields(at)).collect();
    let staying = if staying.is_empty() { candidates.clone() } else { staying };
    let present = staying.iter().copied().find(|at| rows[*at].published.is_some());
    Ok(present.or_else(|| staying.into_iter().min_by_key(|at| rows[*at].origin.folded())))
}

/// Whether a record is only the stub of a release that was honoured, and cannot be withdrawn.
fn is_stub(
    tables: &mut dyn Tables,
    row: &ServerRow,
    owner: Option<&PostofficeName>,
    rows: &[ServerRow],
) -> Stored<bool> {
    if let Some(owner) = owner
        && *owner != row.origin
        && Rule::Moved.holds()
    {
        let back = rows.iter().find(|other| other.origin == *owner).and_then(|other| {
            other.submitted.as_ref().and_then(|submitted| submitted.released_to.as_ref())
        });
        return Ok(back != Some(&row.origin));
    }
    let Some(submitted) = &row.submitted else { return Ok(false) };
    let Some(heir) = submitted.released_to.as_ref().filter(|heir| **heir != row.origin) else {
        return Ok(false);
    };
    let deleted = tables.submitted_tombstone(heir, row.id)?;
    let claimed = deleted.is_some_and(|stamp| stamp >= submitted.stamp);
    if claimed {
        // The heir's deletion arrived before the offer; remembered, so that the origin is told.
        Branch::EarlyHeir.take();
        tables.put_transferred(row.id, heir)?;
    }
    Ok(claimed)
}

/// The winner's origin, when another origin released the entry to it.
fn release_honoured(rows: &[ServerRow], winner: usize) -> Option<PostofficeName> {
    let origin = &rows[winner].origin;
    let released_on = rows[winner].submitted.as_ref()?.released_to.as_ref();
    if released_on.is_some_and(|to| to != origin) {
        return None;
    }
    let offered = rows.iter().enumerate().any(|(at, row)| {
        let released_to = row.submitted.as_ref().and_then(|s| s.released_to.as_ref());
        at != winner && released_to == Some(origin)
    });
    offered.then(|| origin.clone())
}
