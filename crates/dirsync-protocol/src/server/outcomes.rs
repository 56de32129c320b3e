//! What each origin is told beside the list: outcomes of its entries, and offers to it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;

use dirsync_directory::{Address, EntryId, PostofficeName, fold, unescape};
use dirsync_message::{Offer, Outcome, OutcomeKind};

use crate::tables::{ServerRow, Stored, Submitted, Tables};

/// What one postoffice is told beside the list.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Its entries that are not published as submitted.
    pub(super) outcomes: Vec<Outcome>,
    /// Entries that are released to it.
    pub(super) offers: Vec<Offer>,
}

/// What every postoffice is told beside the list, by its name (P13, P17).
///
/// # Errors
///
/// When the store fails.
pub fn outcomes(tables: &mut dyn Tables) -> Stored<BTreeMap<PostofficeName, Told>> {
    let mut unsettled: Vec<ServerRow> = Vec::new();
    tables.visit_unsettled(&mut |row| {
        unsettled.push(row.clone());
        ControlFlow::Continue(())
    })?;
    let mut told: BTreeMap<PostofficeName, Told> = BTreeMap::new();
    for (to, offer) in unsettled.iter().filter_map(offer_of) {
        told.entry(to).or_default().offers.push(offer);
    }
    let mut holders = Holders::default();
    for row in unsettled {
        match standing(tables, &row, &mut holders)? {
            Standing::AsSubmitted => {}
            Standing::Told(kind) => {
                told.entry(row.origin).or_default().outcomes.push(Outcome { id: row.id, kind });
            }
            Standing::Waits(waits) => tell_of_waiting(&row, waits, &mut told),
        }
    }
    Ok(told)
}

/// How an entry stands at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is published as submitted.
    AsSubmitted,
    /// It is not, for this reason.
    Told(OutcomeKind),
    /// It is not: other entries have some of its addresses.
    Waits(Vec<WaitsFor>),
}

/// An address for which an entry waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitsFor {
    /// The address.
    pub address: Address,
    /// The owner of the entry that has it.
    pub holder: PostofficeName,
    /// That entry.
    pub id: EntryId,
}

/// The entries that have the addresses asked for so far, by the comparison key of the address. Many entries
/// may wait for one address, and its holder is looked for once.
#[derive(Debug, Default)]
pub struct Holders(BTreeMap<String, Vec<(EntryId, PostofficeName)>>);

impl Holders {
    /// The rows that are published with an address.
    fn of(&mut self, tables: &mut dyn Tables, key: String) -> Stored<&[(EntryId, PostofficeName)]> {
        match self.0.entry(key) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let mut holders = Vec::new();
                for (id, origin) in tables.claimants(unknown.key())? {
                    if holds(tables, id, &origin, unknown.key())? {
                        holders.push((id, origin));
                    }
                }
                Ok(unknown.insert(holders))
            }
        }
    }
}

/// How the entry of a row stands. `holders` keeps what was found from row to row, as long as the tables do
/// not change.
///
/// # Errors
///
/// When the store fails.
pub fn standing(
    tables: &mut dyn Tables,
    row: &ServerRow,
    holders: &mut Holders,
) -> Stored<Standing> {
    let told = |kind| Ok(Standing::Told(kind));
    let Some(submitted) = &row.submitted else { return told(OutcomeKind::Held) };
    if let Some(reason) = &submitted.invalid {
        return told(OutcomeKind::Invalid { reason: reason.clone() });
    }
    if let Some(to) = tables.transferred(row.id)?.filter(|owner| *owner != row.origin) {
        return told(OutcomeKind::Transferred { to });
    }
    if row.published.is_some() && row.diverging_record().is_none() {
        return Ok(Standing::AsSubmitted);
    }
    let other = tables
        .rows(row.id)?
        .into_iter()
        .find(|other| other.origin != row.origin && other.published.is_some());
    if let Some(other) = other {
        return told(OutcomeKind::ForeignId { owner: other.origin });
    }
    Ok(Standing::Waits(waits(tables, row, submitted, holders)?))
}

/// The addresses for which an entry waits.
fn waits(
    tables: &mut dyn Tables,
    row: &ServerRow,
    submitted: &Submitted,
    holders: &mut Holders,
) -> Stored<Vec<WaitsFor>> {
    let mut waits = Vec::new();
    for text in submitted.content().address_texts() {
        let key = fold(text).into_owned();
        let address = unescape(text).and_then(|text| text.parse::<Address>().ok());
        let Some(address) = address else { continue };
        for (id, holder) in holders.of(tables, key)?.iter().filter(|(id, _)| *id != row.id) {
            waits.push(WaitsFor { address: address.clone(), holder: holder.clone(), id: *id });
        }
    }
    Ok(waits)
}

/// P13: both sides are told of an address that one holds and the other waits for.
fn tell_of_waiting(
    row: &ServerRow,
    waits: Vec<WaitsFor>,
    told: &mut BTreeMap<PostofficeName, Told>,
) {
    for WaitsFor { address, holder, id } in waits {
        let by = row.origin.clone();
        let contested = OutcomeKind::Contested { address: address.clone(), by };
        let waiting = OutcomeKind::Waiting { address, holder: holder.clone() };
        let waiting = Outcome { id: row.id, kind: waiting };
        told.entry(row.origin.clone()).or_default().outcomes.push(waiting);
        told.entry(holder).or_default().outcomes.push(Outcome { id, kind: contested });
    }
}

/// Whether an entry is published with an address.
fn holds(tables: &mut dyn Tables, id: EntryId, origin: &PostofficeName, key: &str) -> Stored<bool> {
    Ok(tables.rows(id)?.iter().filter(|row| row.origin == *origin).any(|row| {
        let published = row.published.as_ref();
        published.is_some_and(|p| p.content().address_keys().any(|held| held == key))
    }))
}

/// P17: the entry of a row that is published as released, and to whom.
fn offer_of(row: &ServerRow) -> Option<(PostofficeName, Offer)> {
    let published = row.published.as_ref()?;
    let offer = Offer {
        id: row.id,
        stamp: published.stamp,
        owner: row.origin.clone(),
        first_origin: row.first_origin.clone(),
        key: row.key.clone(),
        record: published.record.as_ref().clone(),
    };
    Some((published.released_to.clone()?, offer))
}
