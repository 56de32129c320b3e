//! A person's decision about held changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_agent::changes;
use dirsync_agent::decisions::DecisionKind;
use dirsync_directory::{EntryId, PostofficeName, excerpt};
use dirsync_protocol::guard::GuardKind;
use dirsync_protocol::tables::Tables;
use schemars::JsonSchema;
use serde::Serialize;

use super::case::{self, Stands};
use super::group::{GroupId, Selector};
use crate::failure::{Failure, Result};
use crate::json;
use crate::last_command::{self, Command, Left};
use crate::postoffice::{Postoffice, log_run};
use crate::runs::run_of;
use crate::time::now_ms;

/// A person's decision about held changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They are let through.
    Approved,
    /// They are turned down.
    Rejected,
}

/// The changes that are decided about.
#[derive(Clone, Debug)]
pub enum Selection {
    /// All that wait.
    All,
    /// Those that are named.
    Named(Vec<Selector>),
}

/// The changes of one group that were decided about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DecidedGroup {
    /// The group.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub group: GroupId,
    /// Why they waited.
    #[serde(serialize_with = "json::text")]
    #[schemars(with = "String")]
    pub reason: GuardKind,
    /// The number of them.
    pub count: u64,
    /// What becomes of their entries.
    pub follows: Follows,
}

/// What becomes of the entries of decided changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// The change travels to the server with the next request.
    TravelsWithNextRequest,
    /// The entry leaves all lists with the server's next answers.
    LeavesAllLists,
    /// The entry stays as it is until its source asks for another change.
    StaysUntilSourceAsks,
    /// The entry stays out of the list until its source asks for another one.
    StaysOutUntilSourceAsks,
    /// The entry stays published until its origin speaks of it again.
    StaysUntilOriginSpeaks,
    /// The entry is kept by hand.
    KeptByHand,
}

impl Follows {
    fn of(group: &GroupId, verdict: Verdict) -> Self {
        match (group, verdict) {
            (GroupId::Source(..), Verdict::Approved) => Self::TravelsWithNextRequest,
            (GroupId::Origin(_), Verdict::Approved) => Self::LeavesAllLists,
            (GroupId::Source(GuardKind::Unclaimed, _), Verdict::Rejected) => Self::KeptByHand,
            (GroupId::Source(GuardKind::Taken, _), Verdict::Rejected) => {
                Self::StaysOutUntilSourceAsks
            }
            (GroupId::Source(..), Verdict::Rejected) => Self::StaysUntilSourceAsks,
            (GroupId::Origin(_), Verdict::Rejected) => Self::StaysUntilOriginSpeaks,
        }
    }
}

/// A decision that took effect.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Decided {
    /// The decision.
    pub verdict: Verdict,
    /// The number of changes.
    pub count: u64,
    /// The changes, by group.
    pub groups: Vec<DecidedGroup>,
}

/// Decides the changes of a selection. Each name in it has to stand for a change that waits, or nothing is
/// decided at all.
pub fn decide(
    postoffice: &mut Postoffice,
    selection: &Selection,
    verdict: Verdict,
) -> Result<Decided> {
    let mut chosen = Chosen::of(&mut *postoffice.begin()?, selection)?;
    let server = std::mem::take(&mut chosen.server);
    let decides_here = server.is_empty() || !chosen.here.is_empty();
    if !server.is_empty() {
        let kind: fn(EntryId) -> DecisionKind = match verdict {
            Verdict::Approved => DecisionKind::ApproveDeletion,
            Verdict::Rejected => DecisionKind::RejectDeletion,
        };
        // Each of these is logged on its own.
        let decided = server.into_iter().map(|(origin, id)| (origin, kind(id))).collect();
        postoffice.decide(decided)?;
    }
    if decides_here {
        decide_here(postoffice, &chosen, verdict)?;
    }
    let decided = |(group, count): (GroupId, u64)| DecidedGroup {
        reason: group.reason(),
        follows: Follows::of(&group, verdict),
        group,
        count,
    };
    let groups: Vec<DecidedGroup> = chosen.counts.into_iter().map(decided).collect();
    Ok(Decided { verdict, count: groups.iter().map(|group| group.count).sum(), groups })
}

/// Decides the changes that are held at this postoffice.
fn decide_here(postoffice: &mut Postoffice, chosen: &Chosen, verdict: Verdict) -> Result<()> {
    let mut tables = postoffice.begin()?;
    let (command, mut run) = match verdict {
        Verdict::Approved => (Command::HeldApprove, None),
        Verdict::Rejected => (Command::HeldReject, None),
    };
    let left = match verdict {
        Verdict::Rejected if !chosen.here.is_empty() => Left::NoRun,
        _ => Left::Nothing,
    };
    match verdict {
        Verdict::Approved => {
            let approve =
                |tables: &mut dyn Tables| changes::approve(tables, now_ms(), Some(&chosen.here));
            (_, run) = run_of(&mut *tables, approve)?;
        }
        Verdict::Rejected => changes::reject(&mut *tables, Some(&chosen.here)).map(drop)?,
    }
    if run.is_none() {
        let groups: Vec<String> = chosen.counts.keys().map(ToString::to_string).collect();
        last_command::note(&mut *tables, command, &excerpt(&groups.join(" ")), left)?;
    }
    if !chosen.here.is_empty() {
        let word = match verdict {
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
        };
        for (group, count) in &chosen.counts {
            if matches!(group, GroupId::Source(..)) {
                log_run(&mut *tables, "admin", &format!("{group}: {count} {word}"), &[], run)?;
            }
        }
    }
    Ok(tables.commit()?)
}

/// The open cases of a selection.
#[derive(Default)]
struct Chosen {
    here: Vec<EntryId>,
    server: Vec<(PostofficeName, EntryId)>,
    counts: BTreeMap<GroupId, u64>,
}

impl Chosen {
    fn of(tables: &mut dyn Tables, selection: &Selection) -> Result<Self> {
        let names = match selection {
            Selection::All => None,
            Selection::Named(names) => Some(Names::of(names)),
        };
        let mut chosen = Self::default();
        let mut met = Names::default();
        let mut closed = BTreeSet::new();
        case::visit(tables, &mut |stands| {
            let (id, group) = (stands.id(), stands.group());
            let by_id = names.as_ref().is_some_and(|names| names.ids.contains(&id));
            let is_named =
                by_id || names.as_ref().is_none_or(|names| names.groups.contains(&group));
            if is_named && !stands.is_rejected() {
                chosen.add(stands, &group);
                met.ids.extend(by_id.then_some(id));
                met.groups.insert(group);
            } else if by_id {
                closed.insert(id);
            }
            ControlFlow::Continue(())
        })?;
        if let Some(names) = names {
            names.require_met(&met, &closed)?;
        }
        Ok(chosen)
    }

    fn add(&mut self, stands: Stands<'_>, group: &GroupId) {
        match group {
            GroupId::Source(..) => self.here.push(stands.id()),
            GroupId::Origin(origin) => self.server.push((origin.clone(), stands.id())),
        }
        *self.counts.entry(group.clone()).or_default() += 1;
    }
}

/// The entries and groups that a person named.
#[derive(Default)]
struct Names {
    ids: BTreeSet<EntryId>,
    groups: BTreeSet<GroupId>,
}

impl Names {
    fn of(selectors: &[Selector]) -> Self {
        let mut names = Self::default();
        for selector in selectors {
            match selector {
                Selector::Entry(id) => names.ids.extend([*id]),
                Selector::Group(group) => names.groups.extend([group.clone()]),
            }
        }
        names
    }

    fn require_met(&self, met: &Self, closed: &BTreeSet<EntryId>) -> Result<()> {
        if let Some(id) = self.ids.difference(&met.ids).next() {
            if closed.contains(id) {
                return Err(Failure::usage(format!(
                    "{id} was rejected: that case is closed, and nothing was changed"
                ))
                .hint(
                    "it opens again when its source, or its origin, asks for another change of the \
                     entry; `dirsync held list --rejected` shows what is closed",
                ));
            }
            return Err(not_held(id));
        }
        match self.groups.difference(&met.groups).next() {
            Some(group) => Err(not_held(group)),
            None => Ok(()),
        }
    }
}

fn not_held(name: impl std::fmt::Display) -> Failure {
    Failure::missing(format!("{name} is not held here; nothing was changed"))
        .hint("`dirsync held list` shows what waits")
}
