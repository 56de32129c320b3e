//! The transactions of an update's body, and the points it reaches.

use std::ops::ControlFlow;

use dirsync_directory::{
    BucketSums, EntryId, PostofficeName, Record, RecordRef, SetDigest, View, ViewHash, list_element,
};
use dirsync_message::{Change, Mark, ServerEpoch, SrvSeq, Stamp, SyncPoint, Transaction};

use super::answer::{ListPlan, PlanKind};
use crate::context::Draws;
use crate::delta::{Delta, delta_after};
use crate::simulation::Rule;
use crate::tables::{Flow, Numbered, SeenIn, ServerRow, Stored, Tables};

/// Sees to it that the sums of a view are kept.
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
        if let Numbered::Published(row) = numbered {
            let record = row.published_record().expect("it is published");
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
/// at which the visitor ended the part; none when the plan is done.
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
            Numbered::Published(row) => {
                let number = row.published.as_ref().map_or(0, |p| p.numbers.last);
                (number, visit_published(plan, row, &mut stamp, visit))
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
    stamp: &mut Stamp,
    visit: &mut dyn FnMut(&Transaction<'_>) -> Flow,
) -> ControlFlow<()> {
    let published = row.published.as_ref().expect("it is published");
    let record = row.published_record().expect("it is published");
    let number = published.numbers.last;
    let view = &plan.view.1;
    if !view.shows(&row.origin, record) {
        let left = plan
            .view_from
            .as_ref()
            .is_some_and(|(hash, from)| *hash != plan.view.0 && from.shows(&row.origin, record));
        let seen = plan.sends_deletion(SrvSeq(number), &published.seen_in) && Rule::Leave.holds();
        if left || seen {
            return visit(&deletion(number, row.id, stamp));
        }
        return ControlFlow::Continue(());
    }
    let Some(content) = plan.content(row, record, number) else {
        return ControlFlow::Continue(());
    };
    let disclosed;
    let (change, release_said) = match &content {
        Shown::Delta(delta) => (
            Change::Delta {
                kind: delta.kind.as_deref(),
                name: delta.name.as_deref(),
                addresses: delta.addresses.as_deref(),
                details: &delta.details,
            },
            delta.release,
        ),
        Shown::Whole => {
            disclosed = view.disclosed(record);
            (Change::Whole(disclosed.as_ref().map_or(record, Record::as_ref)), true)
        }
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

/// How much of a visible entry is sent.
enum Shown {
    Whole,
    Delta(Delta),
}

impl ListPlan {
    /// Whether parts of this body are ranges of numbers. A change of view touches entries of any
    /// number, and a repair is the whole content of its buckets: their bodies have one part.
    pub fn is_cut_by_number(&self) -> bool {
        if matches!(self.kind, PlanKind::Repair(..)) {
            return false;
        }
        match &self.view_from {
            Some((hash, _)) => *hash == self.view.0,
            None => true,
        }
    }

    /// Rules `leave` and `histany`: a deletion is news to whoever may have seen the entry since its
    /// point, and to nobody else. Who begins with nothing has seen nothing.
    fn sends_deletion(&self, number: SrvSeq, seen_in: &SeenIn) -> bool {
        let Some((from, _)) = &self.view_from else { return false };
        self.kind == PlanKind::Delta
            && number > self.from
            && match seen_in {
                SeenIn::All => true,
                SeenIn::Some(views) => views.contains(from) || views.contains(&self.view.0),
            }
    }

    fn content(&self, row: &ServerRow, record: RecordRef<'_>, number: u64) -> Option<Shown> {
        match &self.kind {
            PlanKind::Replace => Some(Shown::Whole),
            PlanKind::Repair(bits, buckets) => {
                let bucket = BucketSums::bucket(row.id) >> (BucketSums::BITS - bits);
                buckets.contains(&bucket).then_some(Shown::Whole)
            }
            PlanKind::Delta => {
                let Some((hash, view_from)) = &self.view_from else { return Some(Shown::Whole) };
                if *hash != self.view.0 {
                    let news = number > self.from.0 || !view_from.shows(&row.origin, record);
                    let hidden = view_from.attributes != self.view.1.attributes;
                    return (news || hidden).then_some(Shown::Whole);
                }
                if number <= self.from.0 {
                    return None;
                }
                if self.whole {
                    return Some(Shown::Whole);
                }
                let published = row.published.as_ref()?;
                match delta_after(record, &published.numbers, self.from.0) {
                    Some(delta) => self.disclosed_delta(delta).map(Shown::Delta),
                    None => Some(Shown::Whole),
                }
            }
        }
    }

    /// The delta as the view may see it; none when nothing of it is visible.
    fn disclosed_delta(&self, mut delta: Delta) -> Option<Delta> {
        if let Some(attributes) = &self.view.1.attributes {
            let shown = |line: &&str| {
                let name = line.split('/').next().unwrap_or_default().trim_end();
                attributes.contains(name)
            };
            delta.details = delta.details.split_inclusive('\n').filter(shown).collect();
        }
        (delta != Delta::default()).then_some(delta)
    }
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
        let submitted = row.submitted.as_ref().expect("it is submitted");
        number += 1;
        visit(&Transaction {
            number,
            stamp: submitted.stamp,
            id: row.id,
            owner: Some(&row.origin),
            first_origin: Some(&row.first_origin),
            key: &row.key,
            released_to: Some(submitted.released_to.as_ref()),
            change: Change::Whole(submitted.record.as_ref()),
            line: 0,
        })
    })?;
    tables.visit_submitted_tombstones(origin, &mut |(id, stamp)| {
        number += 1;
        visit(&Transaction { stamp, ..deletion(number, id, &mut Stamp(0)) })
    })
}
