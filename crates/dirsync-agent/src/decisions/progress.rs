//! How far the log of decisions was carried out in a database.
//!
//! A database that was put back by hand is older than the log beside it. So each database notes how many
//! lines of the log it has carried out, and a hash of them, in the transaction of each decision. Lines
//! after those are carried out before any request is answered. A log that does not begin with the noted
//! lines belongs to another database: nothing is carried out, and nothing is undone. A lost log is
//! written anew from the database, with a first line that counts such renewals: a database that is older
//! than a renewal carries out all of the new log.

use std::io;

use dirsync_directory::plural;
use dirsync_protocol::context::{Context, Level, ReceiveError};
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{RegistrationState, StoreError, Stored, Tables};
use thiserror::Error;

use super::{CUT_OFF, Decision, DecisionKind, DecisionsLog, carry_out};
use crate::notes::DECISIONS;

/// The lines of a log that were carried out: their number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    renewals: u64,
    lines: u64,
    hash: blake3::Hash,
}

impl Progress {
    /// Before the first line of a log.
    fn none(renewals: u64) -> Self {
        Self { renewals, lines: 0, hash: blake3::Hash::from_bytes([0; 32]) }
    }

    /// After one more line.
    fn after(self, line: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("dirsync 1 decisions carried out");
        hasher.update(self.hash.as_bytes());
        hasher.update(line.as_bytes());
        Self { lines: self.lines + 1, hash: hasher.finalize(), ..self }
    }

    fn noted(tables: &mut dyn Tables) -> Stored<Self> {
        let Some(note) = tables.note(DECISIONS)? else { return Ok(Self::none(0)) };
        let read = || {
            let mut words = note.split(' ');
            let (renewals, lines) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some(Self { renewals, lines, hash: blake3::Hash::from_hex(words.next()?).ok()? })
        };
        // An unreadable note agrees with no log.
        Ok(read().unwrap_or(Self { lines: u64::MAX, ..Self::none(u64::MAX) }))
    }

    fn put(self, tables: &mut dyn Tables) -> Stored<()> {
        let Self { renewals, lines, hash } = self;
        tables.put_note(DECISIONS, Some(&format!("{renewals} {lines} {}", hash.to_hex())))
    }
}

/// How a log compares with a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// Lines that are not carried out yet.
    pub behind: u64,
    /// Lines that are not decisions, except those that a crash cut off.
    pub unreadable: u64,
    /// `Some` if the log does not begin with the lines that were carried out here, with their number: an
    /// older or another log has taken its place.
    pub lost: Option<u64>,
}

/// A decision that could not be carried out.
#[derive(Debug, Error)]
pub enum DecideError {
    /// The log could not be read or written: nothing was decided.
    #[error("could not keep the decision in the decisions log: {0}")]
    Log(#[source] io::Error),
    /// The decision is in the log and not in the database: it is carried out when that is opened.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
}

impl From<StoreError> for DecideError {
    fn from(error: StoreError) -> Self {
        Self::Receive(error.into())
    }
}

/// Compares a log with the lines that were carried out, without parsing them. Also returns the lines that
/// were not carried out, and the progress before them.
fn compare<'a>(
    tables: &mut dyn Tables,
    lines: &'a [String],
) -> Stored<(LogState, &'a [String], Progress)> {
    let noted = Progress::noted(tables)?;
    let renewals = renewals(lines);
    let before = if noted.renewals < renewals { Progress::none(renewals) } else { noted };
    let known = usize::try_from(before.lines).ok().and_then(|known| lines.split_at_checked(known));
    let (known, rest) = known.unwrap_or((&[], &[]));
    let reached = known.iter().fold(Progress::none(renewals), |reached, line| reached.after(line));
    if reached != before {
        let state = LogState { lost: Some(noted.lines), ..LogState::default() };
        return Ok((state, &[], noted));
    }
    let state = LogState { behind: rest.len() as u64, ..LogState::default() };
    Ok((state, rest, reached))
}

/// The number of times that a log was written anew.
fn renewals(lines: &[String]) -> u64 {
    match lines.first().and_then(|line| line.parse::<Decision>().ok()) {
        Some(Decision { kind: DecisionKind::Renew(times), .. }) => times,
        _ => 0,
    }
}

/// Compares a log with a database.
///
/// # Errors
///
/// When the store fails, or the log cannot be read.
pub fn log_state(
    tables: &mut dyn Tables,
    log: &mut dyn DecisionsLog,
) -> Result<LogState, DecideError> {
    let lines = log.lines().map_err(DecideError::Log)?;
    let (state, _, _) = compare(tables, &lines)?;
    let is_unreadable =
        |line: &&String| !line.ends_with(CUT_OFF) && line.parse::<Decision>().is_err();
    Ok(LogState { unreadable: lines.iter().filter(is_unreadable).count() as u64, ..state })
}

/// Carries out all lines of a log that the database does not know, within the caller's transaction. No
/// request may be answered before. Returns the number of decisions that were carried out.
///
/// # Errors
///
/// When the store fails, or the log cannot be read.
pub fn catch_up(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    log: &mut dyn DecisionsLog,
) -> Result<u64, DecideError> {
    let lines = log.lines().map_err(DecideError::Log)?;
    Ok(carry_out_rest(tables, context, &lines)?.1)
}

/// Returns the progress afterwards, or `None` if the log is not this database's, and the number of
/// decisions that were carried out.
fn carry_out_rest(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    lines: &[String],
) -> Result<(Option<Progress>, u64), ReceiveError> {
    let (state, rest, reached) = compare(tables, lines)?;
    if state.lost.is_some() {
        return Ok((None, 0));
    }
    let mut progress = reached;
    let mut count = 0;
    for line in rest {
        progress = progress.after(line);
        if let Some(decision) = line.parse::<Decision>().ok().filter(|_| !line.ends_with(CUT_OFF)) {
            carry_out(tables, context, &decision)?;
            count += 1;
        }
    }
    if progress != reached {
        progress.put(tables)?;
    }
    if count > 0 {
        let text = format!(
            "{} of the log had not been carried out here",
            plural(count, "decision", "decisions")
        );
        context.say(Level::Warning, Row::A5, text);
    }
    Ok((Some(progress), count))
}

/// Makes decisions: each is in the log before the caller commits its changes.
///
/// # Errors
///
/// When the log cannot be written or the store fails.
pub fn decide(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    log: &mut dyn DecisionsLog,
    decisions: &[Decision],
) -> Result<(), DecideError> {
    let lines = log.lines().map_err(DecideError::Log)?;
    let (mut progress, _) = carry_out_rest(tables, context, &lines)?;
    for decision in decisions {
        log.append(decision).map_err(DecideError::Log)?;
        carry_out(tables, context, decision)?;
        progress = progress.map(|progress| progress.after(&decision.to_string()));
    }
    // A log that is not this database's stays so until a person renews it.
    if let Some(progress) = progress {
        progress.put(tables)?;
    }
    Ok(())
}

/// The lines of a new log in place of one that was lost: the decisions that give any older database the
/// registrations of this one. Approvals and rejections of deletions need no lines, as they are in the
/// entries. The new log is noted as carried out.
///
/// # Errors
///
/// When the store fails.
pub fn renewed_log(tables: &mut dyn Tables, at: u64) -> Stored<Vec<Decision>> {
    let own = tables.requestor()?.name;
    let renewals = Progress::noted(tables)?.renewals.saturating_add(1);
    let mut decided = vec![(own.clone(), DecisionKind::Renew(renewals))];
    for registration in tables.registrations()? {
        let name = registration.name;
        if name == own {
            continue;
        }
        let (verifier, expires) = registration.invitation.unwrap_or_default();
        let (places, view) = (registration.places, registration.view_allowed);
        let invite = DecisionKind::Invite { verifier, expires, places, view };
        let ended = match registration.state {
            RegistrationState::Suspended => Some(DecisionKind::Suspend),
            RegistrationState::Removed => Some(DecisionKind::Remove),
            RegistrationState::Invited | RegistrationState::Active => None,
        };
        let kinds = [Some(invite), registration.key.map(DecisionKind::Key), ended];
        decided.extend(kinds.into_iter().flatten().map(|kind| (name.clone(), kind)));
    }
    let decision = |(postoffice, kind)| Decision { at, postoffice, kind };
    let decisions: Vec<Decision> = decided.into_iter().map(decision).collect();
    let lines = decisions.iter().map(ToString::to_string);
    lines.fold(Progress::none(renewals), |progress, line| progress.after(&line)).put(tables)?;
    Ok(decisions)
}
