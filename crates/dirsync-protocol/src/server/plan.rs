//! Which changes of the list a body brings, and as what.

use std::collections::BTreeSet;

use dirsync_directory::{Bucket, BucketSums, EntryId, Record, RecordRef, View, ViewHash};
use dirsync_message::{BodyKind, ServerEpoch, SrvSeq};

use crate::delta::{Delta, delta_after};
use crate::simulation::Rule;
use crate::tables::{Published, SeenIn, ServerRow};

/// Which changes of the list a body has to bring. Equal plans give equal bodies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPlan {
    /// Whether it is all of the view, some buckets of it, or the changes since a point.
    pub kind: PlanKind,
    /// The number that it follows.
    pub from: SrvSeq,
    /// The epoch of that number; `None` if the body begins with nothing.
    pub from_epoch: Option<ServerEpoch>,
    /// The view that the requestor's list was made under; `None` if it holds nothing.
    pub view_from: Option<(ViewHash, View)>,
    /// The view in force.
    pub view: (ViewHash, View),
    /// The number that it reaches.
    pub upto: SrvSeq,
    /// Entries travel whole, not as their changed attributes: the list stands after a middle part, where
    /// an entry that changed later is still old or absent.
    pub whole: bool,
}

/// See [`ListPlan::kind`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlanKind {
    /// The changes since a point, or since nothing.
    Delta,
    /// Everything.
    Replace,
    /// These buckets, numbered with this many bits.
    Repair(u32, BTreeSet<Bucket>),
}

impl PlanKind {
    /// The form that a message has for it.
    pub fn to_body_kind(&self) -> BodyKind {
        match self {
            Self::Delta => BodyKind::Delta,
            Self::Replace => BodyKind::Replace,
            Self::Repair(bits, buckets) => {
                BodyKind::Repair { bits: *bits, buckets: buckets.clone() }
            }
        }
    }
}

/// What a body says of an entry.
pub(super) enum Said<'r> {
    /// Nothing.
    Nothing,
    /// The entry left the requestor's view.
    Gone,
    /// The entry as a whole; the record is another one where the view hides some of it.
    Whole(Option<Record>, RecordRef<'r>),
    /// Its changed attributes.
    Changed(Delta),
}

impl ListPlan {
    /// A plan that brings everything in a view to a list that holds nothing.
    pub(super) fn from_nothing(view: (ViewHash, View), upto: SrvSeq) -> Self {
        Self {
            kind: PlanKind::Delta,
            from: SrvSeq(0),
            from_epoch: None,
            view_from: None,
            view,
            upto,
            whole: false,
        }
    }

    /// Whether parts of this body are ranges of numbers. A change of view touches entries of any
    /// number, and a repair is the whole content of its buckets: their bodies have one part.
    pub fn is_cut_by_number(&self) -> bool {
        let keeps_view = self.view_from.as_ref().is_none_or(|(hash, _)| *hash == self.view.0);
        keeps_view && !matches!(self.kind, PlanKind::Repair(..))
    }

    /// What the body says of a published entry.
    pub(super) fn say<'r>(&self, row: &ServerRow, published: &'r Published) -> Said<'r> {
        let record = published.content();
        let number = SrvSeq(published.numbers.last);
        if !self.view.1.shows(&row.origin, record) {
            let is_gone = self.has_left(row, record)
                || self.sends_deletion(number, &published.seen_in) && Rule::Leave.holds();
            return if is_gone { Said::Gone } else { Said::Nothing };
        }
        let whole = || Said::Whole(self.view.1.disclosed(record), record);
        match &self.kind {
            PlanKind::Replace => whole(),
            PlanKind::Repair(bits, buckets) => {
                let is_asked_for = buckets.contains(&bucket_of(row.id, *bits));
                if is_asked_for { whole() } else { Said::Nothing }
            }
            PlanKind::Delta => {
                let Some((hash, view_from)) = &self.view_from else { return whole() };
                if *hash != self.view.0 {
                    let is_news = number > self.from || !view_from.shows(&row.origin, record);
                    let is_disclosed = view_from.attributes != self.view.1.attributes;
                    return if is_news || is_disclosed { whole() } else { Said::Nothing };
                }
                if number <= self.from {
                    return Said::Nothing;
                }
                if self.whole {
                    return whole();
                }
                match delta_after(record, &published.numbers, self.from.0) {
                    Some(delta) => self.disclosed_delta(delta).map_or(Said::Nothing, Said::Changed),
                    None => whole(),
                }
            }
        }
    }

    /// Whether an entry that the view in force hides was shown by the view before.
    fn has_left(&self, row: &ServerRow, record: RecordRef<'_>) -> bool {
        let from = self.view_from.as_ref().filter(|(hash, _)| *hash != self.view.0);
        from.is_some_and(|(_, view)| view.shows(&row.origin, record))
    }

    /// Rules `leave` and `histany`: a deletion is news to a requestor that may have seen the entry since
    /// its point, and to no other. A list that begins with nothing has seen nothing.
    pub(super) fn sends_deletion(&self, number: SrvSeq, seen_in: &SeenIn) -> bool {
        let Some((from, _)) = &self.view_from else { return false };
        self.kind == PlanKind::Delta
            && number > self.from
            && match seen_in {
                SeenIn::All => true,
                SeenIn::Some(views) => views.contains(from) || views.contains(&self.view.0),
            }
    }

    /// The delta as the view may see it; `None` if nothing of it is visible.
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

/// The number of an entry's bucket where buckets are numbered with fewer bits.
fn bucket_of(id: EntryId, bits: u32) -> Bucket {
    assert!(bits <= BucketSums::BITS, "a request with more bits is not repaired by buckets");
    BucketSums::bucket(id) >> (BucketSums::BITS - bits)
}
