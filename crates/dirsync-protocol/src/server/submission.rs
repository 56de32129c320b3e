//! The own part of a request becomes the submitted set of its origin.
//!
//! Rule P1: a submitted set is written only by a request of its origin. Holds, waits, transfers
//! and quarantine are derived from it in [`super::publication`].

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dirsync_directory::{EntryId, Record, SetDigest, own_element};
use dirsync_message::{Change, Request, Stamp, Transaction, fits_a_body};

use super::publication::{Deletion, Publication};
use crate::context::{Context, Level, ReceiveError, TransactionSource};
use crate::delta::apply_delta;
use crate::simulation::Rule;
use crate::tables::{Registration, ServerRow, Submitted, Tables};

/// What became of the own part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Submission {
    /// The submitted set is what the origin says.
    Accepted,
    /// Nothing was taken, and the acknowledgement says where to begin.
    NotTaken,
    /// Nothing was taken: the origin is to be shown what is held.
    SendOwn,
}

/// What one transaction did to the submitted set.
enum Taken {
    Yes,
    /// Its stamp is older than what is held.
    Older,
    /// It drops the stub of an entry that was handed back meanwhile.
    HandedBack,
    /// It changes an entry that is not held.
    Unknown,
}

/// S13a to S13d.
pub(super) fn submit_delta(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    publication: &mut Publication,
    registration: &mut Registration,
    request: &Request,
    body: &mut dyn TransactionSource,
) -> Result<Submission, ReceiveError> {
    let own = &request.own;
    if own.from > registration.applied && Rule::Range.holds() {
        context.say(
            Level::Warning,
            "S13a",
            format!(
                "{} sends after {}, only {} is held: it is asked to send again",
                request.from, own.from, registration.applied
            ),
        );
        return Ok(Submission::NotTaken);
    }
    tables.savepoint()?;
    publication.savepoint();
    let read = read_delta(tables, publication, registration, body);
    let Read { digest, count, mut fork } = undone_on_error(tables, read)?;
    if fork.is_none() && digest != own.digest && Rule::OwnDigest.holds() {
        fork = Some(("S13c", "the digests of its own entries differ"));
    }
    if let Some((rule, why)) = fork {
        tables.rollback_savepoint()?;
        publication.rollback();
        context.say(
            Level::Warning,
            rule,
            format!(
                "{} and this server disagree ({why}; {digest} here, {} there): it is asked to merge",
                request.from, own.digest
            ),
        );
        return Ok(if rule == "S13a" { Submission::NotTaken } else { Submission::SendOwn });
    }
    tables.release_savepoint()?;
    registration.own_digest = digest;
    registration.applied = registration.applied.max(own.to);
    if count > 0 {
        let text = format!("{count} changes of {} taken, up to {}", request.from, own.to);
        context.say(Level::Info, "S13d", text);
    }
    Ok(Submission::Accepted)
}

/// What the transactions of a delta came to.
struct Read {
    digest: SetDigest,
    count: u64,
    fork: Option<(&'static str, &'static str)>,
}

fn read_delta(
    tables: &mut dyn Tables,
    publication: &mut Publication,
    registration: &Registration,
    body: &mut dyn TransactionSource,
) -> Result<Read, ReceiveError> {
    let mut read = Read { digest: registration.own_digest, count: 0, fork: None };
    while let Some(transaction) = body.next()? {
        if transaction.number <= registration.applied.0 {
            continue;
        }
        read.count += 1;
        let follows = transaction.number == registration.applied.0 + 1;
        if read.count == 1 && !follows && !Rule::Range.holds() {
            read.fork = Some(("S13a", "a number is missing"));
            break;
        }
        match submit(tables, publication, registration, &transaction, &mut read.digest)? {
            Taken::Yes => {}
            Taken::Older => read.fork = Some(("S13b", "a change is older than the one held")),
            Taken::HandedBack => {
                read.fork = Some(("S13b", "an entry it drops was handed back to it"))
            }
            Taken::Unknown => read.fork = Some(("S13c", "an entry changes that is not held")),
        }
        if read.fork.is_some() {
            break;
        }
    }
    Ok(read)
}

/// Ends the savepoint of a body that could not be read, so that the caller's own are the last open
/// ones again.
fn undone_on_error<R>(
    tables: &mut dyn Tables,
    result: Result<R, ReceiveError>,
) -> Result<R, ReceiveError> {
    if matches!(result, Err(ReceiveError::Body(_) | ReceiveError::Contradiction(_))) {
        tables.rollback_savepoint()?;
    }
    result
}

/// S8, S12 and S12a. `epoch_accepted` says that the caller has already compared challenge and base.
pub(super) fn submit_full(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    publication: &mut Publication,
    registration: &mut Registration,
    request: &Request,
    epoch_accepted: bool,
    body: &mut dyn TransactionSource,
) -> Result<Submission, ReceiveError> {
    let own = &request.own;
    if !epoch_accepted {
        if registration.applied == own.to && registration.own_digest == own.digest {
            return Ok(Submission::Accepted);
        }
        let matches = registration.challenge.is_some()
            && own.challenge == registration.challenge
            && own.base == Some(registration.own_digest);
        if !matches {
            context.say(
                Level::Notice,
                "S12",
                format!("the full export of {} does not follow from what is held", request.from),
            );
            return Ok(Submission::SendOwn);
        }
    }
    tables.savepoint()?;
    publication.savepoint();
    let read = read_full(tables, publication, registration, request, body);
    let Some(digest) = undone_on_error(tables, read)? else {
        tables.rollback_savepoint()?;
        publication.rollback();
        // Digests say nothing of stamps: the origin would think that it has merged with this state
        // already. A new challenge says that it has not.
        registration.challenge = None;
        context.say(
            Level::Warning,
            "S12",
            format!(
                "a change of {} is older than the one held: it is asked to merge",
                request.from
            ),
        );
        return Ok(Submission::SendOwn);
    };
    tables.release_savepoint()?;
    registration.own_digest = digest;
    registration.applied = own.to;
    registration.challenge = None;
    context.say(
        Level::Notice,
        "S8",
        format!("{} resubmitted its {} entries", request.from, own.digest.count),
    );
    Ok(Submission::Accepted)
}

/// The digest of the submitted set after a full export; none when a change is older than what is
/// held.
fn read_full(
    tables: &mut dyn Tables,
    publication: &mut Publication,
    registration: &Registration,
    request: &Request,
    body: &mut dyn TransactionSource,
) -> Result<Option<SetDigest>, ReceiveError> {
    let mut digest = registration.own_digest;
    let mut named = BTreeSet::new();
    while let Some(transaction) = body.next()? {
        if !matches!(transaction.change, Change::Delete { .. }) {
            named.insert(transaction.id);
        }
        match submit(tables, publication, registration, &transaction, &mut digest)? {
            Taken::Yes => {}
            Taken::Older | Taken::HandedBack => return Ok(None),
            Taken::Unknown => {
                return Err(ReceiveError::Contradiction("a full export holds an M".into()));
            }
        }
    }
    // Deletions have tombstones; what is absent without one is counted like any other deletion.
    let mut absent = Vec::new();
    tables.visit_submitted(&request.from, &mut |row| {
        if !named.contains(&row.id) {
            absent.push((row.id, row.submitted.as_ref().map_or(Stamp(0), |s| s.stamp)));
        }
        ControlFlow::Continue(())
    })?;
    for (id, stamp) in absent {
        delete(tables, publication, registration, id, stamp, false, &mut digest)?;
    }
    if digest != request.own.digest {
        return Err(ReceiveError::Contradiction(format!(
            "the full export has digest {digest}, its head says {}",
            request.own.digest
        )));
    }
    Ok(Some(digest))
}

fn submit(
    tables: &mut dyn Tables,
    publication: &mut Publication,
    registration: &Registration,
    transaction: &Transaction<'_>,
    digest: &mut SetDigest,
) -> Result<Taken, ReceiveError> {
    let origin = &registration.name;
    let id = transaction.id;
    let stamp = transaction.stamp;
    if let Change::Delete { approved } = transaction.change {
        return delete(tables, publication, registration, id, stamp, approved, digest);
    }
    let mut rows = tables.rows(id)?;
    let at = rows.iter().position(|row| row.origin == *origin);
    let mut row = match at {
        Some(at) => rows.swap_remove(at),
        None => {
            let (Some(first_origin), Change::Whole(_)) =
                (transaction.first_origin, transaction.change)
            else {
                return Ok(Taken::Unknown);
            };
            ServerRow {
                id,
                origin: origin.clone(),
                first_origin: first_origin.clone(),
                key: transaction.key.to_owned(),
                submitted: None,
                published: None,
            }
        }
    };
    let old = row.submitted.take();
    if old.as_ref().is_some_and(|old| stamp < old.stamp) && Rule::Stamp.holds() {
        return Ok(Taken::Older);
    }
    let Some((record, released_to)) = new_content(transaction, old.as_ref()) else {
        return Ok(Taken::Unknown);
    };
    if let Some(old) = &old {
        let element = own_element(id, old.released_to.as_ref(), old.record.as_ref());
        *digest -= SetDigest::one(element);
    }
    *digest += SetDigest::one(own_element(id, released_to.as_ref(), record.as_ref()));
    let claim = match &old {
        Some(old) if old.record.addresses == record.addresses => old.claim,
        _ => publication.next_claim(),
    };
    if !fits_a_body(record.as_ref()) {
        return Err(ReceiveError::Contradiction(format!(
            "its change {} makes an entry that no message can carry",
            transaction.number
        )));
    }
    let invalid = record.as_ref().check().err().map(|error| error.to_string());
    // What is published stays what it is until publication decides.
    let old_record = old.map(|old| old.record);
    if let Some(published) = &mut row.published
        && published.record.is_none()
    {
        published.record = old_record;
    }
    row.submitted = Some(Submitted { record, stamp, released_to, claim, invalid });
    if tables.submitted_tombstone(origin, id)?.is_some() {
        tables.put_submitted_tombstone(origin, id, None)?;
    }
    publication.submitted(tables, row, rows.is_empty())?;
    Ok(Taken::Yes)
}

/// The whole content that a transaction makes of what is held.
fn new_content(
    transaction: &Transaction<'_>,
    old: Option<&Submitted>,
) -> Option<(Record, Option<dirsync_directory::PostofficeName>)> {
    let record = match transaction.change {
        Change::Whole(record) => record.to_record(),
        Change::Delta { kind, name, addresses, details } => {
            apply_delta(old?.record.as_ref(), kind, name, addresses, details)
        }
        Change::Delete { .. } => unreachable!("deletions are taken apart"),
    };
    let released_to = match (transaction.released_to, transaction.change) {
        (Some(released_to), _) => released_to.cloned(),
        (None, Change::Whole(_)) => None,
        (None, _) => old.and_then(|old| old.released_to.clone()),
    };
    Some((record, released_to))
}

fn delete(
    tables: &mut dyn Tables,
    publication: &mut Publication,
    registration: &Registration,
    id: EntryId,
    stamp: Stamp,
    approved: bool,
    digest: &mut SetDigest,
) -> Result<Taken, ReceiveError> {
    let origin = &registration.name;
    let rows = tables.rows(id)?;
    let row = rows.into_iter().find(|row| row.origin == *origin);
    let held = row.as_ref().and_then(|row| row.submitted.as_ref());
    let ends_stub = stamp == Stamp::OF_STUB_END;
    if held.is_some_and(|held| stamp < held.stamp) && !ends_stub && Rule::Stamp.holds() {
        return Ok(Taken::Older);
    }
    if held.is_some() && ends_stub && tables.transferred(id)?.as_ref() == Some(origin) {
        return Ok(Taken::HandedBack);
    }
    if let Some(held) = held {
        let element = own_element(id, held.released_to.as_ref(), held.record.as_ref());
        *digest -= SetDigest::one(element);
    }
    // Remembered even for what the server never held (trace T-DEADDEL).
    let known = tables.submitted_tombstone(origin, id)?;
    let remembered = !ends_stub && (row.is_some() || Rule::DeadDeletion.holds());
    if remembered && known.is_none_or(|known| known < stamp) {
        tables.put_submitted_tombstone(origin, id, Some(stamp))?;
    }
    publication.deleted(tables, row, Deletion { id, origin: origin.clone(), stamp, approved })?;
    Ok(Taken::Yes)
}
