//! One held change.

use std::ops::ControlFlow;

use dirsync_directory::{EntryId, Record, RecordRef};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::{Flow, HeldChange, Hold, Published, ServerRow, Stored, Tables};
use schemars::JsonSchema;
use serde::Serialize;

use super::group::GroupId;
use super::taken::{Holders, TakenBy};
use crate::difference::{Difference, differences, value};
use crate::json;

/// The side at which a change waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldAt {
    /// At its origin: a source asked for it.
    Origin,
    /// At the server: an origin asked for it.
    Server,
}

/// A held change, or a deletion that waits at the server.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Case {
    /// The entry.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub id: EntryId,
    /// Its group.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub group: GroupId,
    /// Why it waits: `blank`, `delete`, `move`, `settings`, `short-read`, `taken` or `unclaimed`.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub reason: GuardKind,
    /// Where it waits: at its origin, or at the server.
    pub held_at: HeldAt,
    /// The entry's key.
    pub key: String,
    /// The entry's name as it stands; empty if none is known.
    pub name: String,
    /// Its primary address as it stands; empty if none is known.
    pub address: String,
    /// Since when it waits.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "json::Time")]
    pub since: u64,
    /// It was rejected, and is closed.
    pub rejected: bool,
    /// The values before and after; empty for a deletion.
    pub changes: Vec<Difference>,
    /// Of an addition that waits for this reason, the addresses that entries of others have now.
    pub taken: Vec<TakenBy>,
}

/// A held change as the tables have it.
#[derive(Clone, Copy)]
pub(super) enum Stands<'a> {
    /// A change, with the own entry as it stands.
    Here(&'a HeldChange, Option<&'a Record>),
    /// A deletion that waits at the server.
    Server(&'a ServerRow, &'a Published, Hold),
}

impl Stands<'_> {
    pub(super) fn id(self) -> EntryId {
        match self {
            Self::Here(held, _) => held.id,
            Self::Server(row, ..) => row.id,
        }
    }

    pub(super) fn is_rejected(self) -> bool {
        match self {
            Self::Here(held, _) => held.rejected,
            Self::Server(_, _, hold) => hold.rejected,
        }
    }

    pub(super) fn since(self) -> u64 {
        match self {
            Self::Here(held, _) => held.since,
            Self::Server(_, _, hold) => hold.since,
        }
    }

    pub(super) fn group(self) -> GroupId {
        match self {
            Self::Here(held, _) => GroupId::Source(held.kind, held.source.clone()),
            Self::Server(row, ..) => GroupId::Origin(row.origin.clone()),
        }
    }

    pub(super) fn case(self, holders: &Holders) -> Case {
        let taken = match self {
            Self::Here(held, _) => holders.taken(held),
            Self::Server(..) => Vec::new(),
        };
        let (key, held_at, stands, changes) = match self {
            Self::Here(held, own) => {
                let after = held.record.as_ref().map(Record::as_ref);
                let stands = own.map(Record::as_ref).or(after);
                let changes = match (stands, after) {
                    (Some(before), Some(after)) => differences(before, after),
                    _ => Vec::new(),
                };
                (&held.key, HeldAt::Origin, stands, changes)
            }
            Self::Server(row, published, _) => {
                (&row.key, HeldAt::Server, Some(published.content()), Vec::new())
            }
        };
        let primary = |record: RecordRef<'_>| record.address_texts().next().map(value);
        let group = self.group();
        Case {
            id: self.id(),
            reason: group.reason(),
            group,
            held_at,
            key: key.clone(),
            name: stands.map_or_else(String::new, |record| value(record.name)),
            address: stands.and_then(primary).unwrap_or_default(),
            since: self.since(),
            rejected: self.is_rejected(),
            changes,
            taken,
        }
    }
}

/// Visits all held changes, open and closed: first those of own sources by source, reason and key, then
/// the deletions that wait at the server, in any order.
pub(super) fn visit(
    tables: &mut dyn Tables,
    visit: &mut dyn FnMut(Stands<'_>) -> Flow,
) -> Stored<()> {
    let mut flow = ControlFlow::Continue(());
    tables.visit_held_changes(&mut |held, own| {
        flow = visit(Stands::Here(held, own));
        flow
    })?;
    if flow.is_break() || tables.server()?.is_none() {
        return Ok(());
    }
    tables.visit_unsettled(&mut |row| match row
        .published
        .as_ref()
        .and_then(|published| Some((published, published.held?)))
    {
        Some((published, hold)) => visit(Stands::Server(row, published, hold)),
        None => ControlFlow::Continue(()),
    })
}
