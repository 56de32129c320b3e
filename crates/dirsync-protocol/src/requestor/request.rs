//! T1: the request, a pure function of committed state.

use std::ops::ControlFlow;

use dirsync_directory::BucketSums;
use dirsync_message::{
    Change, Health, OwnPart, ReqSeq, Request, RequestId, RequestKind, RequestNo, Transaction,
};

use crate::context::Context;
use crate::delta::delta_after;
use crate::simulation::Rule;
use crate::tables::{Flow, ListPlace, Mode, OwnRow, OwnTombstone, Stored, Tables};

/// Ids of requests that are remembered while no answer comes. An answer to an older request says nothing
/// that the answer to a later one does not say.
const SENT_MAX: usize = 256;
/// Ids of requests that are remembered after their answer was taken. A late copy of such an answer is this
/// machine's own, and not left to another one (rule `addressee`).
const SENT_KEPT: usize = 32;

/// The number of tombstones that a body's visit holds in memory.
const TOMBSTONES_AT_ONCE: usize = 1024;

/// Numbers a new request and returns its head; `None` if this postoffice may not send.
///
/// `under_way` is an own part whose body was sent with an earlier request of this epoch and is still on its way. If
/// it still says what the server lacks, the request has it, and names the same body again (T1d of
/// `docs/protocol.md`); changes made since then travel with a later request.
///
/// The number is committed with the caller's transaction, *before* the message leaves (C2).
///
/// # Errors
///
/// When the store fails.
pub fn make_request(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    health: Health,
    under_way: Option<&OwnPart>,
) -> Stored<Option<Request>> {
    let mut state = tables.requestor()?;
    if matches!(state.mode, Mode::Fenced | Mode::Removed) {
        return Ok(None);
    }
    state.request_no = state.request_no.next();
    state.request_due = false;
    let id = RequestId(context.draws.token());
    let open = |sent: &(RequestNo, RequestId)| sent.0 >= state.last_answer;
    while state.sent.len() >= SENT_MAX
        || state.sent.len() >= SENT_KEPT && !state.sent.first().is_some_and(open)
    {
        state.sent.remove(0);
    }
    state.sent.push((state.request_no, id));
    let (kind, challenge, base) = match &state.mode {
        Mode::WantOwn => (RequestKind::WantOwn, None, None),
        Mode::Resubmitting { base, challenge } => {
            (RequestKind::Full, Some(*challenge), Some(*base))
        }
        _ => (RequestKind::Delta, None, None),
    };
    let list_buckets = if state.list_bad || state.send_buckets {
        let bits = BucketSums::bits_for(state.list_digest.count);
        Some((bits, tables.list_buckets(ListPlace::Live)?.folded(bits)))
    } else {
        None
    };
    tables.put_requestor(&state)?;
    let own = OwnPart {
        kind,
        from: if kind == RequestKind::Full { ReqSeq(0) } else { state.req_sync },
        to: state.req_seq,
        digest: state.own_digest,
        challenge,
        base,
    };
    let own = under_way.filter(|part| still_lacks(&own, part)).cloned().unwrap_or(own);
    Ok(Some(Request {
        from: state.name,
        to: state.server,
        epoch: state.epoch,
        lineage: state.lineage,
        number: state.request_no,
        id,
        own,
        epoch_heard: state.epoch_heard,
        epoch_evidence: state.epoch_evidence,
        point: state.point,
        point_evidence: state.point_evidence,
        list_digest: state.list_digest,
        list_bad: state.list_bad,
        list_buckets,
        view_wanted: state.view_wanted,
        health,
    }))
}

/// Whether an own part that is under way starts where one made now would start, and for the same reason. One without
/// changes is no reason to hold up those that were made since.
fn still_lacks(now: &OwnPart, under_way: &OwnPart) -> bool {
    let start = |part: &OwnPart| (part.kind, part.from, part.challenge, part.base);
    let brings_changes = under_way.to > under_way.from || under_way.to == now.to;
    !Rule::Pinned.holds()
        || start(now) == start(under_way) && under_way.to <= now.to && brings_changes
}

/// Visits the transactions of a request's body, by number. Rule `ownlog`: they are regenerated from
/// the own entries, never kept in a queue, so any range can be asked for again.
///
/// # Errors
///
/// When the store fails.
pub fn visit_request_body(
    tables: &mut dyn Tables,
    own: &OwnPart,
    visit: &mut dyn FnMut(&Transaction<'_>) -> Flow,
) -> Stored<()> {
    if own.kind == RequestKind::WantOwn {
        return Ok(());
    }
    let name = tables.requestor()?.name;
    let mut from = Some(own.from);
    while let Some(after) = from {
        let (tombstones, upto) = next_tombstones(tables, after)?;
        let mut tombstones = tombstones.into_iter().peekable();
        let mut flow = ControlFlow::Continue(());
        tables.visit_own(after, &mut |row: &OwnRow| {
            if upto.is_some_and(|upto| row.numbers.last > upto.0) {
                return ControlFlow::Break(());
            }
            while let Some(tombstone) = tombstones.next_if(|t| t.req_seq.0 < row.numbers.last) {
                flow = visit_deletion(&tombstone, visit);
                if flow.is_break() {
                    return flow;
                }
            }
            flow = visit_entry(row, &name, own, visit);
            flow
        })?;
        for tombstone in tombstones {
            if flow.is_break() {
                break;
            }
            flow = visit_deletion(&tombstone, visit);
        }
        from = upto.filter(|_| flow.is_continue());
    }
    Ok(())
}

/// The next tombstones in the order of their numbers, with the number up to which these are all of them; `None` if
/// there are no later ones. They are merged with the own entries by the piece: a source that is emptied
/// leaves as many as it had entries.
fn next_tombstones(
    tables: &mut dyn Tables,
    after: ReqSeq,
) -> Stored<(Vec<OwnTombstone>, Option<ReqSeq>)> {
    let mut tombstones = Vec::new();
    tables.visit_own_tombstones(after, &mut |tombstone| {
        tombstones.push(tombstone);
        match tombstones.len() < TOMBSTONES_AT_ONCE {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    let last = tombstones.last().filter(|_| tombstones.len() == TOMBSTONES_AT_ONCE);
    let upto = last.map(|tombstone| tombstone.req_seq);
    Ok((tombstones, upto))
}

fn visit_deletion(
    tombstone: &OwnTombstone,
    visit: &mut dyn FnMut(&Transaction<'_>) -> Flow,
) -> ControlFlow<()> {
    visit(&Transaction {
        number: tombstone.req_seq.0,
        stamp: tombstone.stamp,
        id: tombstone.id,
        owner: None,
        first_origin: None,
        key: "",
        released_to: None,
        change: Change::Delete { approved: tombstone.approved },
        line: 0,
    })
}

fn visit_entry(
    row: &OwnRow,
    name: &dirsync_directory::PostofficeName,
    own: &OwnPart,
    visit: &mut dyn FnMut(&Transaction<'_>) -> Flow,
) -> ControlFlow<()> {
    let delta = match own.kind {
        RequestKind::Full => None,
        _ => delta_after(row.record.as_ref(), &row.numbers, own.from.0),
    };
    let (change, released_to) = match &delta {
        Some(delta) => (delta.to_change(), delta.release.then_some(row.released_to.as_ref())),
        None => (Change::Whole(row.record.as_ref()), Some(row.released_to.as_ref())),
    };
    visit(&Transaction {
        number: row.numbers.last,
        stamp: row.stamp,
        id: row.id,
        owner: Some(name),
        first_origin: Some(&row.first_origin),
        key: &row.key,
        released_to,
        change,
        line: 0,
    })
}

#[cfg(test)]
mod tests {
    use dirsync_directory::SetDigest;

    use super::*;

    #[test]
    fn a_body_under_way_holds_up_no_change_without_bringing_one() {
        let part = |from, to| OwnPart {
            kind: RequestKind::Delta,
            from: ReqSeq(from),
            to: ReqSeq(to),
            digest: SetDigest::default(),
            challenge: None,
            base: None,
        };
        assert!(still_lacks(&part(3, 5), &part(3, 4)), "the next request brings the fifth change");
        assert!(still_lacks(&part(3, 3), &part(3, 3)), "nothing has changed");
        assert!(!still_lacks(&part(3, 5), &part(3, 3)), "it brings nothing");
        assert!(!still_lacks(&part(4, 5), &part(3, 4)), "it has come");
    }
}
