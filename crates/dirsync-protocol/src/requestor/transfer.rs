//! Handing an entry over to another origin (P17, P18): the id survives.

use dirsync_directory::{EntryId, PostofficeName, Record};
use dirsync_message::Offer;
use thiserror::Error;

use super::change::OwnChanges;
use crate::delta::ChangeNumbers;
use crate::simulation::Rule;
use crate::tables::{ListPlace, OwnRow, OwnedListRow, Run, RunKind, StoreError, Tables};

/// Why an entry cannot be handed over.
#[derive(Debug, Error)]
pub enum TransferError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Only an own entry can be released.
    #[error("entry {0} is not one of this postoffice's own")]
    NotOwn(EntryId),
    /// Only a listed entry can be claimed.
    #[error("entry {0} is not in the list")]
    NotListed(EntryId),
    /// The view hides details, and the whole entry has not come yet.
    #[error(
        "entry {0} is not known whole here: this postoffice's view hides some of it, and the server \
         has not sent the rest yet; try again after the next cycle"
    )]
    NotWhole(EntryId),
    /// It is released to nobody, or to somebody else.
    #[error("entry {id} of {owner} is not released to this postoffice")]
    NotReleased {
        /// The entry.
        id: EntryId,
        /// Its owner.
        owner: PostofficeName,
    },
}

/// Offers an own entry to another postoffice; `None` takes the offer back. Returns the number of the run.
///
/// # Errors
///
/// See [`TransferError`].
pub fn release(
    tables: &mut dyn Tables,
    now: u64,
    id: EntryId,
    to: Option<PostofficeName>,
) -> Result<Option<u64>, TransferError> {
    let row = tables.own(id)?.ok_or(TransferError::NotOwn(id))?;
    let run = Run::new(now, RunKind::Command, &*row.key);
    let mut changes = OwnChanges::begin_run(tables, run)?;
    changes.put(OwnRow { released_to: to, ..row })?;
    Ok(changes.finish()?)
}

/// The entry as its owner offers it. The server sends it whole outside the list, also if this postoffice's
/// view shows only a part of it or nothing (rule `offer`).
fn find_offer(
    changes: &mut OwnChanges<'_>,
    me: &PostofficeName,
    id: EntryId,
) -> Result<Offer, TransferError> {
    let offers = changes.tables().offers()?;
    if let Some(offer) = offers.into_iter().find(|offer| offer.id == id)
        && Rule::Offer.holds()
    {
        return Ok(offer);
    }
    let row = changes.tables().list_row(ListPlace::Live, id)?;
    let row = row.ok_or(TransferError::NotListed(id))?;
    if row.released_to.as_ref() != Some(me) {
        return Err(TransferError::NotReleased { id, owner: row.owner });
    }
    if changes.state().view.attributes.is_some() && Rule::Offer.holds() {
        return Err(TransferError::NotWhole(id));
    }
    let OwnedListRow { id, owner, first_origin, key, stamp, record, .. } = row;
    Ok(Offer { id, stamp, owner, first_origin, key, record })
}

/// Takes over an entry that its owner released to this postoffice. The source that will feed it
/// finds it by the same key. This is no run: a deletion would not undo it, but take the entry from its former
/// owner too. Releasing it back does.
///
/// # Errors
///
/// See [`TransferError`].
pub fn claim(
    tables: &mut dyn Tables,
    now: u64,
    id: EntryId,
    source: &str,
) -> Result<(), TransferError> {
    let mut changes = OwnChanges::begin(tables, now)?;
    claim_offer(&mut changes, id, source, None)?;
    changes.finish()?;
    Ok(())
}

/// The same within a batch, for a row of a source that stands for the entry: it has this key in the source,
/// and this content from now on.
///
/// # Errors
///
/// See [`TransferError`]. Nothing is changed then.
pub fn claim_for_row(
    changes: &mut OwnChanges<'_>,
    id: EntryId,
    source: &str,
    key: &str,
    record: Record,
) -> Result<(), TransferError> {
    claim_offer(changes, id, source, Some((key, record)))
}

fn claim_offer(
    changes: &mut OwnChanges<'_>,
    id: EntryId,
    source: &str,
    row: Option<(&str, Record)>,
) -> Result<(), TransferError> {
    let me = changes.state().name.clone();
    let offered = find_offer(changes, &me, id)?;
    if Rule::ClaimStamp.holds() {
        changes.follow(offered.stamp);
    }
    let (key, record) = row.unwrap_or((&offered.key, offered.record));
    if offered.first_origin != me || key != offered.key {
        changes.tables().put_adopted_id(source, key, Some(id))?;
    }
    // As for `claim`: an undo of the run would take the entry from its former owner too.
    let journal = changes.journal.take();
    let put = changes.put(OwnRow {
        id,
        first_origin: offered.first_origin,
        key: offered.key.clone(),
        source: source.to_owned(),
        record,
        numbers: ChangeNumbers::default(),
        stamp: offered.stamp,
        released_to: None,
    });
    changes.journal = journal;
    put?;
    Ok(())
}
