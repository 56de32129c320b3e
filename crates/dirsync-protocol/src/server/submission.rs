//! The own part of a request becomes the submitted set of its origin.
//!
//! Rule P1: a submitted set is written only by a request of its origin. Holds, waits, transfers
//! and quarantine are derived from it in [`super::publication`].

use std::ops::ControlFlow;
use std::sync::Arc;

use dirsync_directory::{EntryId, PostofficeName, Record, SetDigest, own_element, plural};
use dirsync_message::{Change, ReqSeq, Request, Stamp, Transaction, fits_a_body};

use super::publication::{Deletion, Publication};
use super::sender_epoch::follows_challenge;
use crate::context::{Level, ReceiveError, TransactionSource};
use crate::delta::apply_delta;
use crate::row::Row;
use crate::simulation::Rule;
use crate::tables::{Registration, ServerRow, Submitted};

/// What became of the own part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Submission {
    /// The submitted set is the one that the origin describes.
    Accepted,
    /// Nothing was taken, and the acknowledgement says where to begin.
    NotTaken,
    /// Nothing was taken: the origin is to be shown the set that is held.
    SendOwn,
}

/// Why the own part of a request does not follow from the submitted set that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fork {
    /// Changes are missing in between (only without rule `range`, which sees it in the head).
    Gap,
    /// A change has an older stamp than the version held.
    Older,
    /// It drops the stub of an entry that was handed back meanwhile.
    HandedBack,
    /// It changes an entry that is not held.
    Unknown,
    /// The digests of the sets differ.
    Digest,
}

impl Fork {
    fn row(self) -> Row {
        match self {
            Self::Gap => Row::S13a,
            Self::Older | Self::HandedBack => Row::S13b,
            Self::Unknown | Self::Digest => Row::S13c,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Gap => "a number is missing",
            Self::Older => "a change is older than the one held",
            Self::HandedBack => "an entry it drops was handed back to it",
            Self::Unknown => "an entry changes that is not held",
            Self::Digest => "the digests of its own entries differ",
        }
    }
}

/// The result of taking changes: an error refuses the message, a fork is answered.
type Verdict<T> = Result<Result<T, Fork>, ReceiveError>;

/// An attempt that was undone, with the digest that it would have led to.
struct Undone {
    fork: Fork,
    digest: SetDigest,
}

/// Takes the own part of one request.
pub(super) struct Submitter<'p, 'a> {
    pub(super) publication: Publication<'p, 'a>,
    pub(super) registration: &'p mut Registration,
    pub(super) request: &'p Request,
}

impl Submitter<'_, '_> {
    /// S13a to S13d.
    pub(super) fn submit_delta(
        &mut self,
        body: &mut dyn TransactionSource,
    ) -> Result<Submission, ReceiveError> {
        let Request { from, own, .. } = self.request;
        let held = self.registration.acknowledged;
        if leaves_gap(own.from, held) {
            let text = format!(
                "{from} sends after {}, only {held} is held: it is asked to send again",
                own.from
            );
            self.say(Level::Warning, Row::S13a, text);
            return Ok(Submission::NotTaken);
        }
        match self.attempt(|submitter| submitter.read_delta(body))? {
            Ok(count) => {
                self.registration.acknowledged = held.max(own.to);
                if count > 0 {
                    let text = format!(
                        "{} of {from} taken, up to {}",
                        plural(count, "change", "changes"),
                        own.to
                    );
                    self.say(Level::Info, Row::S13d, text);
                }
                Ok(Submission::Accepted)
            }
            Err(Undone { fork, digest }) => {
                let text = format!(
                    "{from} and this server disagree ({}; {digest} here, {} there): it is asked to merge",
                    fork.reason(),
                    own.digest
                );
                self.say(Level::Warning, fork.row(), text);
                let is_gap = fork == Fork::Gap;
                Ok(if is_gap { Submission::NotTaken } else { Submission::SendOwn })
            }
        }
    }

    /// S8 and S12. `is_admitted` says that the export answers the challenge of a new epoch, which S8
    /// found out already.
    pub(super) fn submit_full(
        &mut self,
        is_admitted: bool,
        body: &mut dyn TransactionSource,
    ) -> Result<Submission, ReceiveError> {
        let Request { from, own, .. } = self.request;
        if !is_admitted {
            let held = &self.registration;
            if held.acknowledged == own.to && held.own_digest == own.digest {
                return Ok(Submission::Accepted);
            }
            if !follows_challenge(held, self.request) {
                let text =
                    format!("the full export of {from} does not follow from the set held here");
                self.say(Level::Notice, Row::S12, text);
                return Ok(Submission::SendOwn);
            }
        }
        let taken = self.attempt(|submitter| submitter.read_full(body))?;
        self.registration.challenge = None;
        match taken {
            Ok(()) => {
                self.registration.acknowledged = own.to;
                let text = format!(
                    "{from} resubmitted its {}",
                    plural(own.digest.count, "entry", "entries")
                );
                self.say(Level::Notice, Row::S8, text);
                Ok(Submission::Accepted)
            }
            Err(_) => {
                // Digests say nothing of stamps: the origin would think that it has merged with this
                // state already. A new challenge says that it has not.
                let text =
                    format!("a change of {from} is older than the one held: it is asked to merge");
                self.say(Level::Warning, Row::S12, text);
                Ok(Submission::SendOwn)
            }
        }
    }

    /// Runs `change`. What it did is undone — rows, numbers, sums and the set's digest — when it finds a
    /// fork or the message turns out to be bad. This is the only savepoint of a request.
    fn attempt<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Verdict<T>,
    ) -> Result<Result<T, Undone>, ReceiveError> {
        let before = self.registration.own_digest;
        let saved = self.publication.savepoint()?;
        let undone = match change(self) {
            Ok(Ok(value)) => {
                self.publication.release_savepoint()?;
                return Ok(Ok(value));
            }
            Ok(Err(fork)) => Ok(fork),
            // A store that failed cannot undo anything; its transaction is lost as a whole.
            Err(error @ ReceiveError::Store(_)) => return Err(error),
            Err(error) => Err(error),
        };
        self.publication.rollback(saved)?;
        let digest = std::mem::replace(&mut self.registration.own_digest, before);
        Ok(Err(Undone { fork: undone?, digest }))
    }

    /// The number of changes that were new.
    fn read_delta(&mut self, body: &mut dyn TransactionSource) -> Verdict<u64> {
        let held = self.registration.acknowledged.0;
        let mut count = 0;
        while let Some(transaction) = body.next()? {
            if transaction.number <= held {
                continue;
            }
            count += 1;
            if count == 1 && transaction.number != held + 1 && !Rule::Range.holds() {
                return Ok(Err(Fork::Gap));
            }
            if let Err(fork) = self.submit(&transaction)? {
                return Ok(Err(fork));
            }
        }
        Ok(if self.differs_from_said() { Err(Fork::Digest) } else { Ok(count) })
    }

    /// S13c: whether the set is not the one that the request's head describes.
    fn differs_from_said(&self) -> bool {
        self.registration.own_digest != self.request.own.digest && Rule::OwnDigest.holds()
    }

    fn read_full(&mut self, body: &mut dyn TransactionSource) -> Verdict<()> {
        let mut named = Vec::new();
        while let Some(transaction) = body.next()? {
            if !matches!(transaction.change, Change::Delete { .. }) {
                named.push(transaction.id);
            }
            match self.submit(&transaction)? {
                Err(Fork::Unknown) => {
                    return Err(ReceiveError::Contradiction("a full export holds an M".into()));
                }
                Err(fork) => return Ok(Err(fork)),
                Ok(()) => {}
            }
        }
        named.sort_unstable();
        self.delete_absent(&named)?;
        let (found, said) = (self.registration.own_digest, self.request.own.digest);
        if found != said {
            return Err(ReceiveError::Contradiction(format!(
                "the full export has digest {found}, its head says {said}"
            )));
        }
        Ok(Ok(()))
    }

    /// Deletes what a full export does not name; `named` is sorted. Its deletions have tombstones; an entry that is absent
    /// without one is counted like any other deletion.
    fn delete_absent(&mut self, named: &[EntryId]) -> Result<(), ReceiveError> {
        let mut absent = Vec::new();
        self.publication.tables().visit_submitted(&self.request.from, &mut |row| {
            if named.binary_search(&row.id).is_err() {
                absent.push((row.id, row.submitted.as_ref().map_or(Stamp(0), |s| s.stamp)));
            }
            ControlFlow::Continue(())
        })?;
        for (id, stamp) in absent {
            let deleted = self.delete(id, stamp, false)?;
            assert!(
                deleted.is_ok() || stamp == Stamp::OF_STUB_END,
                "a version is not older than itself"
            );
        }
        Ok(())
    }

    /// Does what one transaction of the body says.
    fn submit(&mut self, transaction: &Transaction<'_>) -> Verdict<()> {
        let (id, stamp) = (transaction.id, transaction.stamp);
        if let Change::Delete { approved } = transaction.change {
            return self.delete(id, stamp, approved);
        }
        let mut rows = self.publication.tables().rows(id)?;
        let origin = &self.registration.name;
        let mut row = match rows.iter().position(|row| row.origin == *origin) {
            Some(at) => rows.swap_remove(at),
            None => match new_row(transaction, origin) {
                Some(row) => row,
                None => return Ok(Err(Fork::Unknown)),
            },
        };
        let old = row.submitted.take();
        if is_older(stamp, old.as_ref()) {
            return Ok(Err(Fork::Older));
        }
        let Some((record, released_to)) = new_content(transaction, old.as_ref()) else {
            return Ok(Err(Fork::Unknown));
        };
        if !fits_a_body(record.as_ref()) {
            return Err(ReceiveError::Contradiction(format!(
                "its change {} makes an entry that no message can carry",
                transaction.number
            )));
        }
        let claim = match &old {
            Some(old) if old.record.addresses == record.addresses => old.claim,
            _ => self.publication.next_claim(),
        };
        let invalid = record.as_ref().check().err().map(|error| error.to_string());
        let new = Submitted { record: Arc::new(record), stamp, released_to, claim, invalid };
        self.count(id, old.as_ref(), Some(&new));
        let tables = self.publication.tables();
        if tables.submitted_tombstone(&row.origin, id)?.is_some() {
            tables.put_submitted_tombstone(&row.origin, id, None)?;
        }
        self.publication.submitted(row, new, rows.is_empty())?;
        Ok(Ok(()))
    }

    fn delete(&mut self, id: EntryId, stamp: Stamp, approved: bool) -> Verdict<()> {
        let origin = self.registration.name.clone();
        let tables = self.publication.tables();
        let row = tables.rows(id)?.into_iter().find(|row| row.origin == origin);
        let held = row.as_ref().and_then(|row| row.submitted.as_ref());
        let ends_stub = stamp == Stamp::OF_STUB_END;
        if !ends_stub && is_older(stamp, held) {
            return Ok(Err(Fork::Older));
        }
        if held.is_some() && ends_stub && tables.transferred(id)?.as_ref() == Some(&origin) {
            return Ok(Err(Fork::HandedBack));
        }
        // Remembered even for an entry that the server never held: the origin may have made and deleted it
        // in between, and a copy of it must not bring it back.
        let known = tables.submitted_tombstone(&origin, id)?;
        let remembered = !ends_stub && (row.is_some() || Rule::DeadDeletion.holds());
        if remembered && known.is_none_or(|known| known < stamp) {
            tables.put_submitted_tombstone(&origin, id, Some(stamp))?;
        }
        self.count(id, row.as_ref().and_then(|row| row.submitted.as_ref()), None);
        self.publication.deleted(row, Deletion { id, origin, stamp, approved })?;
        Ok(Ok(()))
    }

    /// Keeps the digest of the submitted set: every change of it passes here.
    fn count(&mut self, id: EntryId, old: Option<&Submitted>, new: Option<&Submitted>) {
        let element = |submitted: &Submitted| {
            SetDigest::one(own_element(id, submitted.released_to.as_ref(), submitted.content()))
        };
        if let Some(old) = old {
            self.registration.own_digest -= element(old);
        }
        if let Some(new) = new {
            self.registration.own_digest += element(new);
        }
    }

    fn say(&mut self, level: Level, row: Row, text: String) {
        self.publication.say(level, row, text);
    }
}

/// S13a: whether a delta begins after a change that is not held.
fn leaves_gap(from: ReqSeq, held: ReqSeq) -> bool {
    from > held && Rule::Range.holds()
}

/// S13b: whether a change was made before the version that is held.
fn is_older(stamp: Stamp, held: Option<&Submitted>) -> bool {
    held.is_some_and(|held| stamp < held.stamp) && Rule::Stamp.holds()
}

/// The row of an entry that its origin has not submitted so far; `None` if the transaction does not
/// bring a whole entry.
fn new_row(transaction: &Transaction<'_>, origin: &PostofficeName) -> Option<ServerRow> {
    let (Some(first_origin), Change::Whole(_)) = (transaction.first_origin, transaction.change)
    else {
        return None;
    };
    Some(ServerRow {
        id: transaction.id,
        origin: origin.clone(),
        first_origin: first_origin.clone(),
        key: transaction.key.to_owned(),
        submitted: None,
        published: None,
    })
}

/// The content that a transaction makes of the version held; `None` if it changes an entry that is not
/// held.
fn new_content(
    transaction: &Transaction<'_>,
    old: Option<&Submitted>,
) -> Option<(Record, Option<PostofficeName>)> {
    let said = transaction.released_to.map(|to| to.cloned());
    match transaction.change {
        Change::Whole(record) => Some((record.to_record(), said.flatten())),
        Change::Delta { kind, name, addresses, details } => {
            let old = old?;
            let record = apply_delta(old.content(), kind, name, addresses, details);
            Some((record, said.unwrap_or_else(|| old.released_to.clone())))
        }
        Change::Delete { .. } => None,
    }
}
