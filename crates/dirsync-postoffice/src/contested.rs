//! Entries that wait for addresses which other entries have.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_directory::{Address, EntryId, PostofficeName, fold};
use dirsync_message::OutcomeKind;
use dirsync_protocol::server::{Holders, Standing, standing};
use dirsync_protocol::tables::{ListPlace, ServerRow, Tables};
use schemars::JsonSchema;
use serde::Serialize;

use crate::difference::value;
use crate::failure::Result;
use crate::json;
use crate::postoffice::Postoffice;

/// The number of examples of a group.
pub const EXAMPLES: usize = 3;

/// An entry that wants or has a contested address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Claimant {
    /// The entry.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub id: EntryId,
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
}

/// An address that one entry has and another one waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Contest {
    /// The address.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub address: Address,
    /// The owner of the entry that waits.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub origin: PostofficeName,
    /// The entry that waits; null if it is not known here.
    pub waiting: Option<Claimant>,
    /// The owner of the entry that has the address.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub holder: PostofficeName,
    /// The entry that has it; null if it is not known here.
    pub has_it: Option<Claimant>,
}

/// The entries of one origin that wait for addresses of one other.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Group {
    /// The owner of the entries that wait.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub origin: PostofficeName,
    /// The owner of the entries that have the addresses.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub holder: PostofficeName,
    /// The number of addresses.
    pub count: u64,
    /// The first of them.
    #[serde(skip)]
    pub examples: Vec<Contest>,
}

/// The contested addresses by origin and holder.
pub fn groups(postoffice: &mut Postoffice) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<(PostofficeName, PostofficeName), Group> = BTreeMap::new();
    visit(postoffice, &mut |contest| {
        let place = (contest.origin.clone(), contest.holder.clone());
        let group = groups.entry(place).or_insert_with(|| Group {
            origin: contest.origin.clone(),
            holder: contest.holder.clone(),
            count: 0,
            examples: Vec::new(),
        });
        group.count += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(contest);
        }
    })?;
    Ok(groups.into_values().collect())
}

/// Visits the contested addresses: all of them at the server, and at a requestor those of its own entries,
/// as the server told them last.
pub fn visit(postoffice: &mut Postoffice, visit: &mut dyn FnMut(Contest)) -> Result<()> {
    let is_server = postoffice.is_server;
    let mut tables = postoffice.begin()?;
    match is_server {
        true => visit_all(&mut *tables, visit),
        false => visit_told(&mut *tables, visit),
    }
}

/// Only the keys of the rows that may wait are kept in memory.
fn visit_all(tables: &mut dyn Tables, visit: &mut dyn FnMut(Contest)) -> Result<()> {
    let mut waiting: Vec<(PostofficeName, String, EntryId)> = Vec::new();
    tables.visit_unsettled(&mut |row| {
        let is_valid = row.submitted.as_ref().is_some_and(|submitted| submitted.invalid.is_none());
        if is_valid && (row.published.is_none() || row.diverging_record().is_some()) {
            waiting.push((row.origin.clone(), row.key.clone(), row.id));
        }
        ControlFlow::Continue(())
    })?;
    waiting.sort_unstable();
    let mut holders = Holders::default();
    for (origin, _, id) in waiting {
        let row = tables.rows(id)?.into_iter().find(|row| row.origin == origin);
        let Some(row) = row else { continue };
        let Standing::Waits(waits) = standing(tables, &row, &mut holders)? else { continue };
        for waits in waits {
            let holder = tables.rows(waits.id)?.into_iter().find(|row| row.origin == waits.holder);
            visit(Contest {
                address: waits.address,
                origin: origin.clone(),
                waiting: claimant(&row),
                holder: waits.holder,
                has_it: holder.as_ref().and_then(claimant),
            });
        }
    }
    Ok(())
}

fn claimant(row: &ServerRow) -> Option<Claimant> {
    let submitted = row.submitted.as_ref().map(|submitted| submitted.content());
    let record =
        submitted.or_else(|| row.published.as_ref().map(|published| published.content()))?;
    Some(Claimant { id: row.id, key: row.key.clone(), name: value(record.name) })
}

/// The server tells a requestor of a limited number.
fn visit_told(tables: &mut dyn Tables, visit: &mut dyn FnMut(Contest)) -> Result<()> {
    let me = tables.requestor()?.name;
    let mut contests = Vec::new();
    for outcome in tables.outcomes()? {
        let own = tables.own(outcome.id)?;
        let own =
            own.map(|row| Claimant { id: row.id, key: row.key, name: value(&row.record.name) });
        match outcome.kind {
            OutcomeKind::Waiting { address, holder } => contests.push(Contest {
                address,
                origin: me.clone(),
                waiting: own,
                holder,
                has_it: None,
            }),
            OutcomeKind::Contested { address, by } => contests.push(Contest {
                address,
                origin: by,
                waiting: None,
                holder: me.clone(),
                has_it: own,
            }),
            _ => {}
        }
    }
    find_holders(tables, &mut contests)?;
    contests.into_iter().for_each(visit);
    Ok(())
}

/// Names the entries of the list that have the addresses.
fn find_holders(tables: &mut dyn Tables, contests: &mut [Contest]) -> Result<()> {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, contest) in contests.iter().enumerate().filter(|(_, one)| one.has_it.is_none()) {
        places.entry(fold(contest.address.as_str()).into_owned()).or_default().push(at);
    }
    if places.is_empty() {
        return Ok(());
    }
    tables.visit_list(ListPlace::Live, &mut |row| {
        for at in row.record.address_keys().filter_map(|key| places.get(&*key)).flatten() {
            let (id, key, name) = (row.id, row.key.to_owned(), value(row.record.name));
            contests[*at].has_it = Some(Claimant { id, key, name });
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}
