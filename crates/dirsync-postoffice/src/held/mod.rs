//! Changes that wait for a person: those that are held here, and deletions at the server.
//!
//! They are shown by [groups](Group). A group keeps a few examples only, and single cases are visited, so
//! that a hundred thousand cases take no more memory than ten. Only of additions whose addresses others have,
//! these addresses are kept, with their holders.

mod case;
mod decide;
mod group;
mod taken;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use dirsync_protocol::tables::{Flow, Tables};

pub use case::{Case, HeldAt};
pub use decide::{Decided, DecidedGroup, Follows, Selection, Verdict, decide};
pub use group::{Group, GroupId, ParseSelectorError, Selector};
pub use taken::TakenBy;

use self::taken::Holders;
use crate::config::SourceConfig;
use crate::failure::Result;
use crate::postoffice::Postoffice;

/// The number of examples of a group.
pub const EXAMPLES: usize = 3;

/// The groups of the changes that wait, or of those that were rejected instead.
pub fn groups(postoffice: &mut Postoffice, rejected: bool) -> Result<Vec<Group>> {
    let sources = postoffice.config.sources.clone();
    groups_of(&mut *postoffice.begin()?, &sources, rejected)
}

fn groups_of(
    tables: &mut dyn Tables,
    sources: &[SourceConfig],
    rejected: bool,
) -> Result<Vec<Group>> {
    let holders = Holders::of(tables, rejected, EXAMPLES)?;
    let mut groups: BTreeMap<GroupId, Group> = BTreeMap::new();
    case::visit(tables, &mut |stands| {
        if stands.is_rejected() != rejected {
            return ControlFlow::Continue(());
        }
        let id = stands.group();
        let group = groups.entry(id).or_insert_with_key(|id| Group {
            group: id.clone(),
            reason: id.reason(),
            asked_by: id.asked_by().to_owned(),
            file: None,
            count: 0,
            since: u64::MAX,
            rows: None,
            good_rows: None,
            examples: Vec::new(),
        });
        group.count += 1;
        group.since = group.since.min(stands.since());
        if group.examples.len() < EXAMPLES {
            group.examples.push(stands.case(&holders));
        }
        ControlFlow::Continue(())
    })?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        let GroupId::Source(_, name) = &group.group else { continue };
        let configured = sources.iter().find(|source| source.name == *name);
        group.file = configured.map(|source| source.file.clone());
        let memory = tables.source_memory(name)?;
        group.rows = memory.as_ref().map(|memory| memory.rows);
        group.good_rows = memory.as_ref().map(|memory| memory.good_rows);
    }
    Ok(groups)
}

/// Visits the cases that wait, or those that were rejected instead: all, or those of one group.
pub fn visit(
    postoffice: &mut Postoffice,
    rejected: bool,
    group: Option<&GroupId>,
    visit: &mut dyn FnMut(Case) -> Flow,
) -> Result<()> {
    let mut tables = postoffice.begin()?;
    let holders = Holders::of(&mut *tables, rejected, usize::MAX)?;
    case::visit(&mut *tables, &mut |stands| {
        let is_asked_for =
            stands.is_rejected() == rejected && group.is_none_or(|group| stands.group() == *group);
        if is_asked_for { visit(stands.case(&holders)) } else { ControlFlow::Continue(()) }
    })?;
    Ok(())
}
