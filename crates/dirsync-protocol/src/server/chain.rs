//! Bodies that were made for an earlier answer and are still on their way.

use dirsync_message::{Body, ServerEpoch, SyncPoint};

use super::plan::{ListPlan, PlanKind};
use crate::simulation::Rule;

/// The parts of an earlier answer that an answer made now should name again, in place of what `plan` would bring
/// (B5 of `docs/protocol.md`). Empty if a new body has to be made.
///
/// `chain` has the parts as they were sent, in order, and `stated` is the point that the requestor stated last. What
/// has changed since the parts were made is in the delta after them.
pub fn parts_under_way<'c>(
    chain: &'c [Body],
    epoch: ServerEpoch,
    stated: Option<&SyncPoint>,
    plan: &ListPlan,
) -> &'c [Body] {
    if !Rule::Frozen.holds() {
        return chain;
    }
    let (Some(first), true) = (chain.first(), plan.is_cut_by_number()) else { return &[] };
    let is_in_force = |part: &Body| part.to.epoch == epoch && part.to.view == plan.view.0;
    if !chain.iter().all(is_in_force)
        || !chain.windows(2).all(|two| two[1].from == two[0].to.srv_seq)
    {
        return &[];
    }
    let begins_there = first.part == 1
        && first.stated.as_ref() == stated
        && first.kind == plan.kind.to_body_kind()
        && (first.from, first.from_epoch) == (plan.from, plan.from_epoch);
    if begins_there {
        return chain;
    }
    let reached = chain.iter().position(|part| Some(&part.to) == stated);
    match reached {
        Some(reached) if plan.kind == PlanKind::Delta => {
            chain.get(reached + 1..).unwrap_or_default()
        }
        _ => &[],
    }
}
