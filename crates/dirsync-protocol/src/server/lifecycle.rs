//! Changes of the server that no request makes: registration, removal, decisions on held deletions, new
//! epochs after a restore, and forgetting (A1 to A12 of `docs/protocol.md`).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, PostofficeName, SetDigest, plural};
use dirsync_message::{Instance, ReqEpoch, ReqSeq, ServerEpoch, SrvSeq, Stamp};

use super::case::Case;
use super::publication::{Deletion, Publication};
use crate::context::{Context, Level};
use crate::row::Row;
use crate::simulation::{Branch, Rule};
use crate::tables::{
    Agreement, Answered, Copies, Hold, Numbered, Position, Registration, RegistrationState, Stored,
    Tables,
};

/// Writes a registration as it is decided; data that the requestor brings is kept.
///
/// # Errors
///
/// When the store fails.
pub fn register(tables: &mut dyn Tables, decided: &Registration) -> Stored<()> {
    let kept = tables.registration(&decided.name)?;
    let registration = match kept {
        Some(kept) if kept.state != RegistrationState::Removed => Registration {
            state: decided.state,
            key: decided.key.clone(),
            invitation: decided.invitation.clone(),
            places: decided.places.clone(),
            view_allowed: decided.view_allowed.clone(),
            ..kept
        },
        _ => decided.clone(),
    };
    tables.put_registration(&registration)
}

/// A1: removes a postoffice. Its entries go, its name stays as removed. The guard does not count them, as
/// a person removed them.
///
/// # Errors
///
/// When the store fails.
pub fn remove(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    name: &PostofficeName,
) -> Stored<u64> {
    let Some(mut case) = Case::begin(tables, context)? else { return Ok(0) };
    let Some(registration) = case.tables.registration(name)? else { return Ok(0) };
    let mut ids: Vec<(EntryId, Stamp)> = Vec::new();
    case.tables.visit_submitted(name, &mut |row| {
        ids.push((row.id, row.submitted.as_ref().map_or(Stamp(0), |submitted| submitted.stamp)));
        ControlFlow::Continue(())
    })?;
    let mut publication = Publication::begin(&mut case)?;
    for (id, stamp) in &ids {
        let tables = publication.tables();
        let row = tables.rows(*id)?.into_iter().find(|row| row.origin == *name);
        tables.put_submitted_tombstone(name, *id, Some(*stamp))?;
        let deletion = Deletion { id: *id, origin: name.clone(), stamp: *stamp, approved: true };
        publication.deleted(row, deletion)?;
    }
    let held = release_held(publication.tables(), name)?;
    publication.contest(held);
    publication.finish()?;
    case.tables.put_registration(&Registration {
        state: if Rule::Removed.holds() {
            RegistrationState::Removed
        } else {
            RegistrationState::Active
        },
        retired: if Rule::Removed.holds() {
            registration.retired.iter().copied().chain(registration.epoch).collect()
        } else {
            Default::default()
        },
        epoch: None,
        acknowledged: ReqSeq(0),
        taken: Vec::new(),
        answer_due: false,
        send_own: false,
        challenge: None,
        challenged: None,
        copies: Copies::One,
        position: Position::default(),
        agreement: Agreement::default(),
        answered: Answered::default(),
        own_digest: SetDigest::default(),
        ..registration
    })?;
    let entries = plural(ids.len() as u64, "entry", "entries");
    case.say(Level::Notice, Row::A1, format!("{name} is removed with {entries}"));
    Ok(ids.len() as u64)
}

/// A1a: takes a removal back. The postoffice takes part again in the epoch that was accepted, and nothing of it
/// is acknowledged: it sends all of its entries again (S13a), and its deletions with them. Those that the
/// removal left are forgotten, so that no merge takes them for the origin's own. Returns whether it was
/// removed.
///
/// # Errors
///
/// When the store fails.
pub fn reinstate(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    name: &PostofficeName,
    epoch: Option<ReqEpoch>,
) -> Stored<bool> {
    let Some(mut registration) = tables.registration(name)? else { return Ok(false) };
    if registration.state != RegistrationState::Removed {
        return Ok(false);
    }
    let mut deleted = Vec::new();
    tables.visit_submitted_tombstones(name, &mut |(id, _)| {
        deleted.push(id);
        ControlFlow::Continue(())
    })?;
    for id in deleted {
        tables.put_submitted_tombstone(name, id, None)?;
    }
    if let Some(epoch) = &epoch {
        registration.retired.remove(epoch);
    }
    registration.state = match registration.key.is_some() || epoch.is_some() {
        true => RegistrationState::Active,
        false => RegistrationState::Invited,
    };
    registration.epoch = epoch;
    registration.side_answers.clear();
    tables.put_registration(&registration)?;
    context.say(Level::Notice, Row::A1a, format!("the removal of {name} is taken back"));
    Ok(true)
}

/// Whether deletions of an origin wait for a person.
pub(super) fn holds_deletions(tables: &mut dyn Tables, name: &PostofficeName) -> Stored<bool> {
    let mut held = false;
    tables.visit_unsettled(&mut |row| {
        let waits = row.published.as_ref().is_some_and(|published| published.held.is_some());
        held |= row.origin == *name && waits;
        ControlFlow::Continue(())
    })?;
    Ok(held)
}

/// Ends the holds on an origin's deletions; returns the entries, which nobody asks for any more.
fn release_held(tables: &mut dyn Tables, name: &PostofficeName) -> Stored<Vec<EntryId>> {
    let mut rows = Vec::new();
    tables.visit_unsettled(&mut |row| {
        if row.origin == *name && row.submitted.is_none() {
            rows.push(row.clone());
        }
        ControlFlow::Continue(())
    })?;
    for row in &mut rows {
        if let Some(published) = &mut row.published {
            published.held = None;
        }
        tables.put_row(row)?;
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// A person approved a held deletion. Returns whether there was one.
///
/// # Errors
///
/// When the store fails.
pub fn approve_deletion(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    ids: &[EntryId],
) -> Stored<u64> {
    let Some(mut case) = Case::begin(tables, context)? else { return Ok(0) };
    let mut publication = Publication::begin(&mut case)?;
    let mut approved = 0;
    for id in ids {
        for mut row in publication.tables().rows(*id)? {
            let Some(published) = &mut row.published else { continue };
            if published.held.take().is_some() {
                approved += 1;
                publication.tables().put_row(&row)?;
                publication.contest([*id]);
            }
        }
    }
    publication.finish()?;
    Ok(approved)
}

/// A person rejected a held deletion: the entry stays until its owner speaks of it again.
///
/// # Errors
///
/// When the store fails.
pub fn reject_deletion(tables: &mut dyn Tables, ids: &[EntryId]) -> Stored<u64> {
    let mut rejected = 0;
    for id in ids {
        for mut row in tables.rows(*id)? {
            let hold = row.published.as_mut().and_then(|published| published.held.as_mut());
            let Some(Hold { rejected: decided, .. }) = hold else { continue };
            *decided = true;
            rejected += 1;
            tables.put_row(&row)?;
        }
    }
    Ok(rejected)
}

/// A11: the server's database was put back. A new epoch begins, and the count of epochs that were
/// overtaken (S5a) begins anew, as a person ordered it. Returns whether this postoffice holds a server's
/// tables.
///
/// # Errors
///
/// When the store fails.
pub fn restore(tables: &mut dyn Tables, context: &mut Context<'_>) -> Stored<bool> {
    let Some(mut case) = Case::begin(tables, context)? else { return Ok(false) };
    case.server.overtaken = 0;
    let ServerEpoch { instance, .. } = case.server.epoch;
    case.begin_epoch(case.server.epoch, instance)?;
    case.save()?;
    Ok(true)
}

/// A10: makes a copy of the server the server, under an instance name of its own.
/// A copy may lack changes that the old server took last, so this is a restore as well; after a move that
/// lost nothing, [`finish_recovery`] follows.
///
/// The old server has to be stopped first: it goes on answering until it hears of the new one from a
/// requestor.
///
/// # Errors
///
/// When the store fails. Returns whether this postoffice holds a server's tables.
pub fn promote(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    instance: Instance,
) -> Stored<bool> {
    let Some(mut case) = Case::begin(tables, context)? else { return Ok(false) };
    case.server.fenced = false;
    case.server.overtaken = 0;
    case.begin_epoch(case.server.epoch, instance)?;
    case.save()?;
    Ok(true)
}

/// The entries of origins that have not spoken since the restore, by origin: what ending the
/// recovery could take from requestors' lists.
///
/// # Errors
///
/// When the store fails.
pub fn would_vanish(tables: &mut dyn Tables) -> Stored<BTreeMap<PostofficeName, u64>> {
    let Some(server) = tables.server()? else { return Ok(BTreeMap::new()) };
    let mut silent = BTreeMap::new();
    for registration in tables.registrations()? {
        let spoke = registration.spoke_in == Some(server.epoch);
        if registration.state != RegistrationState::Removed && !spoke {
            let held = tables.published_count(&registration.name)?;
            silent.insert(registration.name, held);
        }
    }
    Ok(silent)
}

/// A3: a person ends a recovery that waits for an origin which will not speak again.
///
/// # Errors
///
/// When the store fails.
pub fn finish_recovery(tables: &mut dyn Tables, context: &mut Context<'_>) -> Stored<bool> {
    let Some(mut case) = Case::begin(tables, context)? else { return Ok(false) };
    let was_recovering = std::mem::replace(&mut case.server.recovering, false);
    if was_recovering {
        case.save()?;
        case.say(Level::Notice, Row::A3, "an administrator ended the recovery");
    }
    Ok(was_recovering)
}

/// A12: forgets tombstones made before `before` (milliseconds since 1970) that every active requestor
/// has confirmed, and those made before `limit` in any case. Points stay (rule `keeppoints`).
///
/// # Errors
///
/// When the store fails.
pub fn forget_before(tables: &mut dyn Tables, before: u64, limit: u64) -> Stored<u64> {
    let Some(mut server) = tables.server()? else { return Ok(0) };
    let confirmed = tables
        .registrations()?
        .iter()
        .filter(|registration| registration.state == RegistrationState::Active)
        .map(|registration| {
            let point = registration.position.point;
            point.filter(|point| point.epoch == server.epoch).map_or(SrvSeq(0), |p| p.srv_seq)
        })
        .min()
        .unwrap_or(server.head);
    let mut upto = server.horizon;
    let head = server.head;
    tables.visit_numbered(server.horizon, head, &mut |numbered| {
        let Numbered::Tombstone(tombstone) = numbered else { return ControlFlow::Continue(()) };
        let old = tombstone.at < before && tombstone.srv_seq <= confirmed || tombstone.at < limit;
        if !old {
            return ControlFlow::Break(());
        }
        upto = tombstone.srv_seq;
        ControlFlow::Continue(())
    })?;
    if upto == server.horizon {
        return Ok(0);
    }
    Branch::Forgotten.take();
    server.horizon = upto;
    tables.put_server(&server)?;
    tables.purge_tombstones(upto)
}
