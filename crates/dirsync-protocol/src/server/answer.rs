//! T2, second half: the answer to each requestor (B1 to B4 of `docs/protocol.md`).

use std::collections::{BTreeMap, BTreeSet};

use dirsync_directory::{Bucket, BucketSums, PostofficeName, SetDigest, View, ViewHash};
use dirsync_message::{
    LINEAGE_MAX, Offer, Outcome, Own, RequestId, RequestNo, Side, SyncPoint, Update,
};

use super::body::ensure_view;
use super::case::Case;
use super::outcomes::Told;
use super::plan::{ListPlan, PlanKind};
use crate::context::{Context, Level};
use crate::evidence::EvidenceKey;
use crate::row::Row;
use crate::simulation::{Branch, Rule};
use crate::tables::{
    Answered, IssuedPoint, Position, Registration, RegistrationState, ServerState, Stored, Tables,
};

/// A list that differs is located by buckets, before anything is sent again, if it has this many entries.
const BUCKETS_WORTHWHILE: u64 = 512;

/// The answer to one requestor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The head, still without the list side.
    pub head: Update,
    /// The content of the body.
    pub plan: BodyPlan,
}

/// The content of an answer's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyPlan {
    /// There is no body.
    None,
    /// The addressee's submitted set.
    Own,
    /// Changes of the list. Equal plans give equal bodies.
    List(Box<ListPlan>),
}

/// The answers due to a requestor's other epochs than the accepted one; they are no longer due.
///
/// # Errors
///
/// When the store fails.
pub fn side_answers(
    tables: &mut dyn Tables,
    evidence: &EvidenceKey,
    name: &PostofficeName,
) -> Stored<Vec<Answer>> {
    let Some(server) = tables.server()? else { return Ok(Vec::new()) };
    let Some(mut registration) = tables.registration(name)? else { return Ok(Vec::new()) };
    let me = tables.requestor()?.name;
    let answers = std::mem::take(&mut registration.side_answers);
    tables.put_registration(&registration)?;
    Ok(answers
        .into_iter()
        .map(|side| {
            let own = own_of(&registration).filter(|_| side.side == Side::Own);
            let plan = if own.is_some() { BodyPlan::Own } else { BodyPlan::None };
            let head = Update {
                epoch: side.epoch,
                answers: side.answers,
                request_id: side.request_id,
                side: Some(side.side),
                own,
                ..head(&me, &server, evidence, &registration)
            };
            Answer { head, plan }
        })
        .collect())
}

/// The answer due to a requestor, which is then no longer due (commit point C4); `None` if no answer is.
///
/// # Errors
///
/// When the store fails.
pub fn prepare(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    name: &PostofficeName,
    told: &BTreeMap<PostofficeName, Told>,
) -> Stored<Option<Answer>> {
    let Some(mut case) = Case::begin(tables, context)? else { return Ok(None) };
    let Some(mut registration) = case.tables.registration(name)? else { return Ok(None) };
    if !registration.is_answer_due() {
        return Ok(None);
    }
    let me = case.tables.requestor()?.name;
    registration.answer_due = false;
    case.tables.put_registration(&registration)?;
    let mut head = head(&me, &case.server, case.context.evidence, &registration);
    if registration.state == RegistrationState::Invited {
        return Ok(Some(Answer { head, plan: BodyPlan::None }));
    }
    let told = told.get(name);
    let outcomes = told.map(|told| told.outcomes.clone()).unwrap_or_default();
    head.outcomes = Outcome::within_limits(outcomes);
    if registration.send_own {
        head.own = own_of(&registration);
        return Ok(Some(Answer { head, plan: BodyPlan::Own }));
    }
    let view = registration.view_allowed.intersect(&registration.view_wanted);
    // A list with everything has the entry whole already.
    if let Some(told) = told.filter(|_| !view.is_everything()) {
        head.offers = Offer::within_limits(&told.offers);
    }
    let cycle = case.server.cycle;
    let mut choice = Choice { case: &mut case, registration: &registration, head: &mut head };
    let plan = choice.choose(view)?;
    if let BodyPlan::List(plan) = &plan {
        registration.answered = Answered { cycle, upto: plan.upto };
        case.tables.put_registration(&registration)?;
    }
    Ok(Some(Answer { head, plan }))
}

fn head(
    me: &PostofficeName,
    server: &ServerState,
    evidence: &EvidenceKey,
    registration: &Registration,
) -> Update {
    let newest = registration.newest_request();
    let (answers, request_id) = newest.unwrap_or((RequestNo(0), RequestId([0; 16])));
    Update {
        from: me.clone(),
        to: registration.name.clone(),
        epoch: registration.epoch.unwrap_or(dirsync_message::ReqEpoch([0; 16])),
        answers,
        request_id,
        server_epoch: server.epoch,
        epoch_evidence: evidence.of_epoch(&server.epoch),
        ack: registration.acknowledged,
        side: None,
        own: None,
        outcomes: Vec::new(),
        offers: Vec::new(),
        body: None,
        want_buckets: false,
    }
}

fn own_of(registration: &Registration) -> Option<Own> {
    Some(Own {
        challenge: registration.challenge?,
        digest: registration.own_digest,
        in_force: registration.epoch?,
        retired: registration.retired.iter().copied().take(LINEAGE_MAX).collect(),
    })
}

/// The choice of the body for one answer.
struct Choice<'a, 'c> {
    case: &'a mut Case<'c>,
    registration: &'a Registration,
    head: &'a mut Update,
}

impl Choice<'_, '_> {
    /// B1 to B4.
    fn choose(&mut self, view: View) -> Stored<BodyPlan> {
        let view = (view.hash(), view);
        ensure_view(self.case.tables, self.case.server.head, &view)?;
        let everything = ListPlan::from_nothing(view, self.case.server.head);
        let Some(point) = self.registration.position.point else {
            return Ok(BodyPlan::List(Box::new(everything)));
        };
        if let Some(view_from) = self.view_to_continue(&point)? {
            return Ok(self.continue_from(&point, view_from, everything));
        }
        if self.keeps_list() {
            let name = &self.registration.name;
            let who = if self.case.server.recovering { "every origin" } else { "it" };
            let text = format!("{name} keeps its list until {who} has spoken in this epoch");
            self.case.say(Level::Notice, Row::B3, text);
            return Ok(BodyPlan::None);
        }
        self.repair(&point, everything)
    }

    /// B2: the view of a list that a delta can continue; `None` if the list has to be repaired.
    fn view_to_continue(&mut self, point: &SyncPoint) -> Stored<Option<(ViewHash, View)>> {
        let Case { tables, server, .. } = &mut self.case;
        let view = tables.views()?.into_iter().find(|(hash, _)| *hash == point.view);
        let fits = can_continue(*tables, server, &self.registration.position, point)?;
        Ok(view.filter(|_| fits))
    }

    /// B2: the changes since a point, if there are any.
    fn continue_from(
        &self,
        point: &SyncPoint,
        view_from: (ViewHash, View),
        everything: ListPlan,
    ) -> BodyPlan {
        let is_same_view = point.view == everything.view.0;
        let is_up_to_date = point.srv_seq == self.case.server.head
            && point.complete
            && point.epoch == self.case.server.epoch
            && is_same_view;
        if is_up_to_date {
            return BodyPlan::None;
        }
        let whole = !point.complete && Rule::PartWhole.holds();
        if whole {
            Branch::FromMiddlePart.take();
        }
        if !is_same_view {
            Branch::ViewChange.take();
        }
        BodyPlan::List(Box::new(ListPlan {
            from: point.srv_seq,
            from_epoch: Some(point.epoch),
            view_from: Some(view_from),
            whole,
            ..everything
        }))
    }

    /// B3: whether own changes of the requestor may be missing in this epoch. The entries that it lists of
    /// them must not vanish from its list.
    fn keeps_list(&self) -> bool {
        let is_silent = self.registration.spoke_in != Some(self.case.server.epoch);
        (self.case.server.recovering || is_silent) && Rule::Recover.holds()
    }

    /// B4: the difference is located by buckets if that is worth a round trip; else everything is sent.
    fn repair(&mut self, point: &SyncPoint, mut plan: ListPlan) -> Stored<BodyPlan> {
        let position = &self.registration.position;
        let name = &self.registration.name;
        if point.view == plan.view.0 {
            match &position.buckets {
                Some((bits, theirs)) if *bits <= BucketSums::BITS => {
                    let ours = self.case.tables.view_sums(plan.view.0)?.folded(*bits);
                    let differing = differing(&ours, theirs);
                    if differing.len() * 2 <= 1 << bits {
                        let count = differing.len();
                        let text = format!("{count} of {} buckets of {name} differ", 1 << bits);
                        self.case.say(Level::Notice, Row::B4, text);
                        plan.kind = PlanKind::Repair(*bits, differing);
                        return Ok(BodyPlan::List(Box::new(plan)));
                    }
                }
                _ if position.digest.count >= BUCKETS_WORTHWHILE => {
                    self.head.want_buckets = true;
                    let text = format!("the list of {name} differs; its buckets are asked for");
                    self.case.say(Level::Notice, Row::B4, text);
                    return Ok(BodyPlan::None);
                }
                _ => {}
            }
        }
        let text = format!("the list of {name} at {} is replaced", point.srv_seq);
        self.case.say(Level::Notice, Row::B4, text);
        plan.kind = PlanKind::Replace;
        Ok(BodyPlan::List(Box::new(plan)))
    }
}

/// B2: whether the requestor's list is a state that this server issued and can continue from.
pub(super) fn can_continue(
    tables: &mut dyn Tables,
    server: &ServerState,
    position: &Position,
    point: &SyncPoint,
) -> Stored<bool> {
    if position.bad || is_forgotten(server, point) {
        return Ok(false);
    }
    if !point.complete && !Rule::PartMark.holds() {
        return Ok(point.srv_seq <= server.head);
    }
    let Some(issued) = tables.issued_point(point)? else { return Ok(false) };
    let is_same_list = !point.complete || issued.digest == Some(position.digest);
    Ok(has_mark(&issued, point) && is_same_list)
}

/// Whether a point has the mark with which it was issued.
fn has_mark(issued: &IssuedPoint, point: &SyncPoint) -> bool {
    issued.mark == point.mark || !Rule::Mark.holds()
}

/// Whether deletions after a point may have been forgotten.
fn is_forgotten(server: &ServerState, point: &SyncPoint) -> bool {
    point.srv_seq < server.horizon && Rule::Horizon.holds()
}

fn differing(ours: &BucketSums, theirs: &BucketSums) -> BTreeSet<Bucket> {
    let buckets: BTreeSet<Bucket> = ours.0.keys().chain(theirs.0.keys()).copied().collect();
    fn sum(sums: &BucketSums, bucket: &Bucket) -> SetDigest {
        sums.0.get(bucket).copied().unwrap_or_default()
    }
    buckets
        .into_iter()
        .filter(|bucket| sum(ours, bucket) != sum(theirs, bucket))
        .filter(|bucket| {
            sum(ours, bucket) != SetDigest::default() || sum(theirs, bucket) != SetDigest::default()
        })
        .collect()
}
