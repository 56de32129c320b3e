//! Contested entries: all that are connected by addresses are decided together.
//!
//! P2 to P6 choose the record of an id; [`super::grant`] decides which entries have to wait; here they are
//! found, and published, kept or removed.

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{EntryId, PostofficeName, plural};

use super::contender::Contender;
use super::grant::blocked;
use super::{Listed, Publication};
use crate::context::Level;
use crate::row::Row;
use crate::simulation::{Branch, CHECKED, Rule};
use crate::tables::{ServerRow, StoreError, Stored, Tables};

/// Rounds of decisions. A change may free an address for an entry that was blocked by a claim which was
/// blocked itself; the model of the protocol needed no more rounds than this.
const ROUNDS_MAX: usize = 4;

impl Publication<'_, '_> {
    /// Decides everything that is contested.
    pub(super) fn resolve(&mut self) -> Stored<()> {
        for _ in 0..ROUNDS_MAX {
            let seeds = std::mem::take(&mut self.contested);
            if seeds.is_empty() {
                break;
            }
            let contenders = self.connected(seeds)?;
            let blocked = blocked(&contenders, &self.house);
            if !blocked.is_empty() {
                let text = format!(
                    "{} for an address or a decision",
                    plural(blocked.len() as u64, "entry waits", "entries wait")
                );
                self.say(Level::Notice, Row::P12, text);
            }
            let before = self.case.server.head;
            let ids: Vec<EntryId> = contenders.keys().copied().collect();
            for (id, contender) in contenders {
                self.settle(id, contender, blocked.contains(&id))?;
            }
            if CHECKED {
                self.assert_one_holder(&ids)?;
            }
            if self.case.server.head == before {
                break;
            }
            // `free` has noted the entries that wait for an address given up; they are decided with the
            // others.
            if !self.contested.is_empty() || !blocked.is_empty() {
                self.contested.extend(ids);
            }
        }
        self.contested.clear();
        Ok(())
    }

    /// The contested entries and all that are connected with them by an address.
    fn connected(&mut self, seeds: BTreeSet<EntryId>) -> Stored<BTreeMap<EntryId, Contender>> {
        let mut contenders = BTreeMap::new();
        // Thousands may want one address: its claimants are asked for once.
        let mut followed = BTreeSet::new();
        let mut queue: Vec<EntryId> = seeds.into_iter().collect();
        while let Some(id) = queue.pop() {
            if contenders.contains_key(&id) {
                continue;
            }
            let rows = self.case.tables.rows(id)?;
            if rows.iter().filter(|row| row.published.is_some()).count() > 1 {
                let why = format!("entry {id} is published for two origins");
                return Err(StoreError::corrupt("read the rows of an entry", why));
            }
            let candidate = choose(self.case.tables, id, &rows)?;
            let contender = Contender { rows, candidate };
            for key in contender.wanted_keys().into_iter().chain(contender.published_keys()) {
                if followed.contains(&key) {
                    continue;
                }
                let claimants = self.case.tables.claimants(&key)?.into_iter().map(|(id, _)| id);
                queue.extend(claimants.filter(|other| !contenders.contains_key(other)));
                followed.insert(key);
            }
            contenders.insert(id, contender);
        }
        Ok(contenders)
    }

    /// Publishes, keeps or removes one id (P6, P12).
    fn settle(&mut self, id: EntryId, contender: Contender, blocked: bool) -> Stored<()> {
        let freed = contender.published_keys();
        let kept = contender.wanted_keys();
        let is_pinned = contender.is_pinned();
        let Contender { mut rows, candidate } = contender;
        let Some(winner) = candidate else {
            let published = rows.into_iter().find(|row| row.published.is_some());
            return match published.filter(|_| !is_pinned) {
                Some(row) => self.unpublish(row),
                None => Ok(()),
            };
        };
        if let Some(heir) = release_honoured(&rows, winner)
            && self.case.tables.transferred(id)?.as_ref() != Some(&heir)
        {
            self.case.tables.put_transferred(id, &heir)?;
        }
        if blocked {
            return Ok(());
        }
        let mut row = rows.swap_remove(winner);
        let Some(new) = &row.submitted else { return Ok(()) };
        let former_owner = rows.into_iter().find(|other| other.published.is_some());
        let before = former_owner.as_ref().map_or_else(|| Listed::of(&row), Listed::of);
        row.published = Some(self.publish(id, before, &row.origin, new)?);
        if let Some(mut former_owner) = former_owner {
            former_owner.published = None;
            self.put_or_delete(&former_owner)?;
        }
        self.case.tables.put_row(&row)?;
        for key in freed.iter().filter(|key| !kept.contains(key)) {
            self.free(id, &row.origin, key)?;
        }
        Ok(())
    }

    /// The purpose of it all: no address has two holders.
    fn assert_one_holder(&mut self, ids: &[EntryId]) -> Stored<()> {
        for id in ids {
            for row in self.case.tables.rows(*id)? {
                let Some(published) = &row.published else { continue };
                for key in published.content().address_keys() {
                    let mut holders = BTreeSet::new();
                    for (claimant, _) in self.case.tables.claimants(&key)? {
                        let holds = |row: &ServerRow| {
                            let published = row.published.as_ref().map(|p| p.content());
                            published.is_some_and(|p| p.address_keys().any(|held| held == key))
                        };
                        if self.case.tables.rows(claimant)?.iter().any(holds) {
                            holders.insert(claimant);
                        }
                    }
                    assert_eq!(holders, BTreeSet::from([*id]), "{key:?} has one holder");
                }
            }
        }
        Ok(())
    }
}

/// P2 to P5: the row of an id that is to be published: not a stub, not invalid, and of two without a
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
    // An origin that releases the entry to another candidate yields to it.
    let yields = |at: &usize| {
        candidates.iter().any(|other| other != at && released_to(*at) == Some(&rows[*other].origin))
    };
    let staying: Vec<usize> = candidates.iter().copied().filter(|at| !yields(at)).collect();
    let staying = if staying.is_empty() { candidates.clone() } else { staying };
    let present = staying.iter().copied().find(|at| rows[*at].published.is_some());
    Ok(present.or_else(|| staying.into_iter().min_by_key(|at| rows[*at].origin.folded())))
}

/// P3 and P19: whether a record is only the stub of a release that was honoured, and cannot be withdrawn.
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
    let is_claimed = deleted.is_some_and(|stamp| stamp >= submitted.stamp);
    if is_claimed {
        // The heir's deletion arrived before the offer; remembered, so that the origin is told.
        Branch::EarlyHeir.take();
        tables.put_transferred(row.id, heir)?;
    }
    Ok(is_claimed)
}

/// P18: the winner's origin, when another origin released the entry to it.
fn release_honoured(rows: &[ServerRow], winner: usize) -> Option<PostofficeName> {
    let origin = &rows[winner].origin;
    let released_on = rows[winner].submitted.as_ref()?.released_to.as_ref();
    if released_on.is_some_and(|to| to != origin) {
        return None;
    }
    let is_offered = rows.iter().enumerate().any(|(at, row)| {
        let released_to = row.submitted.as_ref().and_then(|s| s.released_to.as_ref());
        at != winner && released_to == Some(origin)
    });
    is_offered.then(|| origin.clone())
}
