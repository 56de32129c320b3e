//! Changes that wait for a person's decision: those that are held here, and deletions at the server.

use std::ops::ControlFlow;

use dirsync_agent::changes;
use dirsync_agent::decisions::DecisionKind;
use dirsync_directory::{EntryId, PostofficeName};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::Tables;

use crate::failure::{Failure, Result};
use crate::postoffice::{Postoffice, log_within};
use crate::time::now_ms;

/// A change that is held here, or a deletion that waits at the server.
#[derive(Clone, Debug)]
pub struct Case {
    /// The entry.
    pub id: EntryId,
    /// Why it waits.
    pub kind: GuardKind,
    /// The source that asked for it; empty for a deletion that waits at the server.
    pub source: String,
    /// The origin that asked for a deletion that waits at the server; `None` if the change waits here.
    pub origin: Option<PostofficeName>,
    /// The entry's key.
    pub key: String,
    /// Its name, as records have it; empty if none is known.
    pub name: String,
    /// Since when it waits, in milliseconds since 1970.
    pub since: u64,
    /// It was rejected, and is closed.
    pub rejected: bool,
}

impl Case {
    /// The origin or the source that asked for it.
    pub fn asked_by(&self) -> &str {
        self.origin.as_ref().map_or(&self.source, PostofficeName::as_str)
    }
}

/// The cases that wait, or those that were rejected instead.
pub fn cases(postoffice: &mut Postoffice, rejected: bool) -> Result<Vec<Case>> {
    let is_server = postoffice.is_server;
    let mut cases = all_cases(&mut *postoffice.begin()?, is_server)?;
    cases.retain(|case| case.rejected == rejected);
    Ok(cases)
}

/// All cases, open and closed: those of the own sources, and those that wait at the server.
fn all_cases(tables: &mut dyn Tables, is_server: bool) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for held in tables.held_changes()? {
        // A deletion has no content of its own: the name is that of the entry as it stands.
        let record = match held.record {
            Some(record) => Some(record),
            None => tables.own(held.id)?.map(|row| row.record),
        };
        cases.push(Case {
            id: held.id,
            kind: held.kind,
            source: held.source,
            origin: None,
            key: held.key,
            name: record.map_or(String::new(), |record| record.name),
            since: held.since,
            rejected: held.rejected,
        });
    }
    if !is_server {
        return Ok(cases);
    }
    tables.visit_unsettled(&mut |row| {
        let published = row.published.as_ref();
        if let Some((published, hold)) = published.and_then(|p| Some((p, p.held?))) {
            cases.push(Case {
                id: row.id,
                kind: GuardKind::Delete,
                source: String::new(),
                origin: Some(row.origin.clone()),
                key: row.key.clone(),
                name: published.content().name.to_owned(),
                since: hold.since,
                rejected: hold.rejected,
            });
        }
        ControlFlow::Continue(())
    })?;
    Ok(cases)
}

/// A person's decision about cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are let through.
    Approved,
    /// They are turned down.
    Rejected,
}

/// Decides the cases of these entries, or all that wait (`None`). Returns how many they were.
///
/// Each entry has to have an open case, or nothing is decided at all.
pub fn decide(
    postoffice: &mut Postoffice,
    ids: Option<&[EntryId]>,
    verdict: Verdict,
) -> Result<u64> {
    let is_server = postoffice.is_server;
    let mut tables = postoffice.begin()?;
    let mut open = all_cases(&mut *tables, is_server)?;
    require_open(ids.unwrap_or_default(), &open)?;
    open.retain(|case| !case.rejected && ids.is_none_or(|ids| ids.contains(&case.id)));
    let (mut count, kind): (u64, fn(EntryId) -> DecisionKind) = match verdict {
        Verdict::Approved => {
            (changes::approve(&mut *tables, now_ms(), ids)?, DecisionKind::ApproveDeletion)
        }
        Verdict::Rejected => (changes::reject(&mut *tables, ids)?, DecisionKind::RejectDeletion),
    };
    if count > 0 {
        let word = match verdict {
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
        };
        log_within(&mut *tables, "admin", &format!("{count} held changes {word}"), &[])?;
    }
    tables.commit()?;
    let decided: Vec<_> =
        open.into_iter().filter_map(|case| Some((case.origin?, kind(case.id)))).collect();
    count += decided.len() as u64;
    // Each decision is logged on its own.
    postoffice.decide(decided)?;
    Ok(count)
}

fn require_open(ids: &[EntryId], cases: &[Case]) -> Result<()> {
    for id in ids {
        if cases.iter().any(|case| case.id == *id && !case.rejected) {
            continue;
        }
        if cases.iter().any(|case| case.id == *id) {
            return Err(Failure::usage(format!(
                "{id} was rejected: that case is closed, and nothing was changed"
            ))
            .hint(
                "it opens again when its source, or its origin, asks for another change of the \
                 entry; `dirsync held list --rejected` shows what is closed",
            ));
        }
        return Err(Failure::usage(format!("{id} is not held here; nothing was changed"))
            .hint("`dirsync held list` shows what waits"));
    }
    Ok(())
}
