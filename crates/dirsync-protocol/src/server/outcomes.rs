//! What each origin is told beside the list: outcomes of its entries, and offers to it.

use std::collections::BTreeMap;
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
    for row in unsettled {
        match outcome_of(tables, &row)? {
            Some(Why::Told(kind)) => {
                told.entry(row.origin).or_default().outcomes.push(Outcome { id: row.id, kind });
            }
            Some(Why::Waits(addresses)) => tell_of_waiting(tables, &row, &addresses, &mut told)?,
            None => {}
        }
    }
    Ok(told)
}

/// Why an entry is not published as submitted.
enum Why {
    Told(OutcomeKind),
    /// It waits for some of these addresses, in their escaped form.
    Waits(Vec<String>),
}

fn outcome_of(tables: &mut dyn Tables, row: &ServerRow) -> Stored<Option<Why>> {
    let Some(submitted) = &row.submitted else { return Ok(Some(Why::Told(OutcomeKind::Held))) };
    if let Some(reason) = &submitted.invalid {
        let reason = reason.clone();
        return Ok(Some(Why::Told(OutcomeKind::Invalid { reason })));
    }
    if let Some(to) = tables.transferred(row.id)?.filter(|owner| *owner != row.origin) {
        return Ok(Some(Why::Told(OutcomeKind::Transferred { to })));
    }
    if row.published.is_some() && row.diverging_record().is_none() {
        return Ok(None);
    }
    let other = tables
        .rows(row.id)?
        .into_iter()
        .find(|other| other.origin != row.origin && other.published.is_some());
    if let Some(other) = other {
        return Ok(Some(Why::Told(OutcomeKind::ForeignId { owner: other.origin })));
    }
    Ok(Some(Why::Waits(address_texts(submitted))))
}

fn address_texts(submitted: &Submitted) -> Vec<String> {
    submitted.content().address_texts().map(str::to_owned).collect()
}

/// P13: both sides are told of an address that one holds and the other waits for.
fn tell_of_waiting(
    tables: &mut dyn Tables,
    row: &ServerRow,
    addresses: &[String],
    told: &mut BTreeMap<PostofficeName, Told>,
) -> Stored<()> {
    let mut tell = |origin: &PostofficeName, id: EntryId, kind: OutcomeKind| {
        told.entry(origin.clone()).or_default().outcomes.push(Outcome { id, kind });
    };
    for text in addresses {
        let key = fold(text).into_owned();
        let address = unescape(text).and_then(|text| text.parse::<Address>().ok());
        let Some(address) = address else { continue };
        for (id, holder) in tables.claimants(&key)? {
            if id == row.id || !holds(tables, id, &holder, &key)? {
                continue;
            }
            let waiting = OutcomeKind::Waiting { address: address.clone(), holder: holder.clone() };
            tell(&row.origin, row.id, waiting);
            let by = row.origin.clone();
            tell(&holder, id, OutcomeKind::Contested { address: address.clone(), by });
        }
    }
    Ok(())
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
