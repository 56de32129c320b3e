//! The transactions of an update's body, and the points it reaches.

use std::ops::ControlFlow;

use dirsync_directory::{
    BucketSums, EntryId, PostofficeName, Record, SetDigest, View, ViewHash, list_element,
};
use dirsync_message::{Change, Mark, ServerEpoch, SrvSeq, Stamp, SyncPoint, Transaction};

use super::plan::{ListPlan, Said};
use crate::context::Draws;
use crate::tables::{Flow, Numbered, Published, ServerRow, Stored, Tables};

/// Begins to keep the sums of a view, unless they are kept.
pub(super) fn ensure_view(
    tables: &mut dyn Tables,
    head: SrvSeq,
    view: &(ViewHash, View),
) -> Stored<()> {
    let (hash, view) = view;
    if tables.views()?.iter().any(|(known, _)| known == hash) {
        return Ok(());
    }
    let mut sums = BucketSums::default();
    tables.visit_numbered(SrvSeq(0), head, &mut |numbered| {
        if let Numbered::Published(row, published) = numbered {
            let record = published.content();
            if view.shows(&row.origin, record) {
                let shown = view.disclosed(record);
                let shown = shown.as_ref().map_or(record, Record::as_ref);
                sums.add(row.id, list_element(row.id, &row.origin, shown));
            }
        }
        ControlFlow::Continue(())
    })?;
    tables.put_view(*hash, view, &sums)
}

/// The point that a body reaches: issued now, with a new mark, unless it was issued before. Rule
/// `partmark`: middle parts have marks of their own. A complete point carries the view's digest.
///
/// # Errors
///
/// When the store fails.
pub fn issue_point(
    tables: &mut dyn Tables,
    draws: &mut Draws,
    epoch: ServerEpoch,
    view: ViewHash,
    srv_seq: SrvSeq,
    complete: bool,
) -> Stored<(SyncPoint, Option<SetDigest>)> {
    let mut point = SyncPoint { epoch, srv_seq, mark: Mark(draws.number()), view, complete };
    let digest = if complete { Some(tables.view_sums(view)?.total()) } else { None };
    match tables.issued_point(&point)? {
        Some(issued) => {
            point.mark = issued.mark;
            if issued.digest != digest {
                tables.put_issued_point(&point, digest)?;
            }
        }
        None => tables.put_issued_point(&point, digest)?,
    }
    Ok((point, digest))
}

/// Visits the transactions of a plan that are numbered above `after`, by number. Returns the number
/// at which the visitor ended the part; `None` when the plan is done.
///
/// # Errors
///
/// When the store fails.
pub fn list_body(
    tables: &mut dyn Tables,
    plan: &ListPlan,
    after: SrvSeq,
    visit: &mut dyn FnMut(&Transaction<'_>) -> Flow,
) -> Stored<Option<SrvSeq>> {
    let mut stamp = Stamp(0);
    let mut ended = None;
    let begin = if plan.is_cut_by_number() { after } else { SrvSeq(0) };
    tables.visit_numbered(begin, plan.upto, &mut |numbered| {
        let (number, flow) = match numbered {
            Numbered::Published(row, published) => {
                let flow = visit_published(plan, row, published, &mut stamp, visit);
                (published.numbers.last, flow)
            }
            Numbered::Tombstone(tombstone) => {
                let number = tombstone.srv_seq;
                let sent = plan.sends_deletion(number, &tombstone.seen_in);
                let flow = if sent {
                    visit(&deletion(number.0, tombstone.id, &mut stamp))
                } else {
                    ControlFlow::Continue(())
                };
                (number.0, flow)
            }
        };
        assert!(
            begin.0 < number && number <= plan.upto.0,
            "a plan visits the numbers that it reaches"
        );
        if flow.is_break() && SrvSeq(number) < plan.upto {
            ended = Some(SrvSeq(number));
        }
        if ended.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(ended)
}

fn deletion(number: u64, id: EntryId, stamp: &mut Stamp) -> Transaction<'static> {
    // The stamp of a deletion says nothing to a receiver; one more than the last costs no byte.
    *stamp = stamp.after(0);
    Transaction {
        number,
        stamp: *stamp,
        id,
        owner: None,
        first_origin: None,
        key: "",
        released_to: None,
        change: Change::Delete { approved: false },
        line: 0,
    }
}

fn visit_published(
    plan: &ListPlan,
    row: &ServerRow,
    published: &Published,
    stamp: &mut Stamp,
    visit: &mut dyn FnMut(&Transaction<'_>) -> Flow,
) -> Flow {
    let number = published.numbers.last;
    let said = plan.say(row, published);
    let (change, release_said) = match &said {
        Said::Nothing => return Flow::Continue(()),
        Said::Gone => return visit(&deletion(number, row.id, stamp)),
        Said::Whole(disclosed, record) => {
            (Change::Whole(disclosed.as_ref().map_or(*record, Record::as_ref)), true)
        }
        Said::Changed(delta) => (delta.to_change(), delta.release),
    };
    *stamp = published.stamp;
    visit(&Transaction {
        number,
        stamp: published.stamp,
        id: row.id,
        owner: Some(&row.origin),
        first_origin: Some(&row.first_origin),
        key: &row.key,
        released_to: release_said.then_some(published.released_to.as_ref()),
        change,
        line: 0,
    })
}

/// Visits the submitted set of an origin with its tombstones, numbered from 1.
///
/// # Errors
///
/// When the store fails.
pub fn own_body(
    tables: &mut dyn Tables,
    origin: &PostofficeName,
    visit: &mut dyn FnMut(&Transaction<'_>) -> Flow,
) -> Stored<()> {
    let mut number = 0;
    tables.visit_submitted(origin, &mut |row| {
        let Some(submitted) = &row.submitted else { return ControlFlow::Continue(()) };
        number += 1;
        visit(&Transaction {
            number,
            stamp: submitted.stamp,
            id: row.id,
            owner: Some(&row.origin),
            first_origin: Some(&row.first_origin),
            key: &row.key,
            released_to: Some(submitted.released_to.as_ref()),
            change: Change::Whole(submitted.content()),
            line: 0,
        })
    })?;
    tables.visit_submitted_tombstones(origin, &mut |(id, stamp)| {
        number += 1;
        visit(&Transaction { stamp, ..deletion(number, id, &mut Stamp(0)) })
    })
}
