//! T2, second half: what each requestor is answered, by the table of `protocol.md` §4.2.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_directory::{
    Address, Bucket, BucketSums, EntryId, PostofficeName, SetDigest, View, ViewHash, unescape,
};
use dirsync_message::{
    BodyKind, LINEAGE_MAX, Offer, Outcome, OutcomeKind, Own, RequestId, RequestNo, ServerEpoch,
    Side, SrvSeq, SyncPoint, Update,
};

use super::body::ensure_view;
use crate::context::{Context, Level};
use crate::simulation::{Branch, Rule};
use crate::tables::{
    Position, Registration, RegistrationState, ServerRow, ServerState, SideAnswer, Stored, Tables,
};

/// From this many entries on a differing list is located by buckets before anything is sent again.
const BUCKETS_WORTHWHILE: u64 = 512;

/// What a requestor is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The head, still without the list side.
    pub head: Update,
    /// What the body has to be.
    pub plan: BodyPlan,
}

/// What the body of an answer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyPlan {
    /// None.
    None,
    /// The addressee's submitted set.
    Own,
    /// Changes of the list. Equal plans give equal bodies.
    List(Box<ListPlan>),
}

/// Which changes of the list a body has to bring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPlan {
    /// Whether it is all of the view, some buckets of it, or what changed.
    pub kind: PlanKind,
    /// The number that it follows.
    pub from: SrvSeq,
    /// The epoch of that number; none from nothing.
    pub from_epoch: Option<ServerEpoch>,
    /// The view that the list was made under; none from nothing.
    pub view_from: Option<(ViewHash, View)>,
    /// The view in force.
    pub view: (ViewHash, View),
    /// The number that it reaches.
    pub upto: SrvSeq,
    /// Entries travel whole: the list stands after a middle part, where an entry that changed later
    /// is still old or absent, so attributes changed before `from` may be missing as well.
    pub whole: bool,
}

/// See [`ListPlan::kind`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlanKind {
    /// What changed.
    Delta,
    /// Everything.
    Replace,
    /// Some buckets, numbered with so many bits.
    Repair(u32, BTreeSet<Bucket>),
}

impl PlanKind {
    /// As a message says it.
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

/// The requestors that are to be answered, by name.
///
/// # Errors
///
/// When the store fails.
pub fn pending(tables: &mut dyn Tables) -> Stored<Vec<PostofficeName>> {
    let registrations = tables.registrations()?;
    let due = |registration: &Registration| {
        !registration.side_answers.is_empty() || is_main_answer_due(registration)
    };
    Ok(registrations.into_iter().filter(due).map(|registration| registration.name).collect())
}

/// A postoffice that this life of the server knows by its key alone hears of the new epoch as well.
fn is_main_answer_due(registration: &Registration) -> bool {
    use RegistrationState::{Active, Invited};
    registration.answer_due && matches!(registration.state, Active | Invited)
}

/// Makes an answer due again that was prepared and could not be sent.
///
/// # Errors
///
/// When the store fails.
pub fn answer_again(tables: &mut dyn Tables, unsent: &Update) -> Stored<()> {
    let Some(mut registration) = tables.registration(&unsent.to)? else { return Ok(()) };
    match unsent.side {
        None => registration.answer_due = true,
        Some(side) => {
            registration.side_answers.retain(|answer| answer.epoch != unsent.epoch);
            registration.side_answers.push(SideAnswer {
                epoch: unsent.epoch,
                side,
                answers: unsent.answers,
                request_id: unsent.request_id,
            });
        }
    }
    tables.put_registration(&registration)
}

/// Lets everybody be answered unasked who may be waiting for this life of the server: when it begins,
/// so that all speak in it, and when its recovery is over, so that all get what was kept from them.
/// [`answer_unasked`] does not reach those, as their points may be unknown.
///
/// # Errors
///
/// When the store fails.
pub fn announce_epoch(tables: &mut dyn Tables) -> Stored<()> {
    for mut registration in tables.registrations()? {
        let was_heard = match registration.state {
            RegistrationState::Active => registration.newest_request().is_some(),
            RegistrationState::Invited => registration.key.is_some(),
            RegistrationState::Suspended | RegistrationState::Removed => false,
        };
        if was_heard && !registration.answer_due {
            registration.answer_due = true;
            tables.put_registration(&registration)?;
        }
    }
    Ok(())
}

/// Lets every requestor be answered that the list has moved past, unasked, where an update from the
/// point that it stated last fits (B2). A whole list, or a repair, is sent on request only: sent
/// unasked it would be sent again with each change until the requestor speaks. Returns whether this
/// server says anything unasked: one that was replaced, or recovers, does not.
///
/// # Errors
///
/// When the store fails.
pub fn answer_unasked(tables: &mut dyn Tables) -> Stored<bool> {
    let Some(server) = tables.server()? else { return Ok(false) };
    if server.fenced || server.recovering {
        return Ok(false);
    }
    for mut registration in tables.registrations()? {
        let Some(point) = registration.position.point else { continue };
        let reachable = registration.state == RegistrationState::Active
            && registration.newest_request().is_some()
            && !registration.answer_due
            && !registration.send_own;
        if reachable
            && point.srv_seq != server.head
            && is_known(tables, &server, &registration.position, &point)?
        {
            registration.answer_due = true;
            tables.put_registration(&registration)?;
        }
    }
    Ok(true)
}

/// What one postoffice has to be told beside the list.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Its entries that are not published as submitted.
    outcomes: Vec<Outcome>,
    /// Entries that are released to it.
    offers: Vec<Offer>,
}

/// What postoffices have to be told beside the list.
///
/// # Errors
///
/// When the store fails.
pub fn outcomes(tables: &mut dyn Tables) -> Stored<BTreeMap<PostofficeName, Told>> {
    let mut unsettled: Vec<ServerRow> = Vec::new();
    tables.visit_unsettled(&mut |row| {
        unsettled.push(row.clone());
        ControlFlow::Continue(())
    })?;
    let mut told: BTreeMap<PostofficeName, Told> = BTreeMap::new();
    for (to, offer) in unsettled.iter().filter_map(offer_of) {
        told.entry(to).or_default().offers.push(offer);
    }
    let mut tell = |origin: &PostofficeName, id: EntryId, kind: OutcomeKind| {
        told.entry(origin.clone()).or_default().outcomes.push(Outcome { id, kind });
    };
    for row in unsettled {
        let Some(submitted) = &row.submitted else {
            tell(&row.origin, row.id, OutcomeKind::Held);
            continue;
        };
        if let Some(reason) = &submitted.invalid {
            tell(&row.origin, row.id, OutcomeKind::Invalid { reason: reason.clone() });
            continue;
        }
        if let Some(owner) = tables.transferred(row.id)?.filter(|owner| *owner != row.origin) {
            tell(&row.origin, row.id, OutcomeKind::Transferred { to: owner });
            continue;
        }
        if row.published.as_ref().is_some_and(|published| published.record.is_none()) {
            continue;
        }
        let owner = tables
            .rows(row.id)?
            .into_iter()
            .find(|other| other.origin != row.origin && other.published.is_some());
        if let Some(owner) = owner {
            tell(&row.origin, row.id, OutcomeKind::ForeignId { owner: owner.origin });
            continue;
        }
        for text in submitted.record.as_ref().address_texts() {
            let key = dirsync_directory::fold(text).into_owned();
            for (id, holder) in tables.claimants(&key)? {
                let holds = tables.rows(id)?.iter().any(|other| {
                    other.origin == holder
                        && other.published_record().is_some_and(|record| {
                            record.address_keys().any(|published| published == key)
                        })
                });
                let address = unescape(text).and_then(|text| text.parse::<Address>().ok());
                let Some(address) = address else { continue };
                if id != row.id && holds {
                    let waiting =
                        OutcomeKind::Waiting { address: address.clone(), holder: holder.clone() };
                    tell(&row.origin, row.id, waiting);
                    tell(&holder, id, OutcomeKind::Contested { address, by: row.origin.clone() });
                }
            }
        }
    }
    Ok(told)
}

/// The entry of a row that is published as released, and to whom.
fn offer_of(row: &ServerRow) -> Option<(PostofficeName, Offer)> {
    let published = row.published.as_ref()?;
    let offer = Offer {
        id: row.id,
        stamp: published.stamp,
        owner: row.origin.clone(),
        first_origin: row.first_origin.clone(),
        key: row.key.clone(),
        record: row.published_record()?.to_record(),
    };
    Some((published.released_to.clone()?, offer))
}

/// The answers due to epochs of a requestor that are not the accepted one; they are settled.
///
/// # Errors
///
/// When the store fails.
pub fn side_answers(tables: &mut dyn Tables, name: &PostofficeName) -> Stored<Vec<Answer>> {
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
                ..head(&me, &server, &registration)
            };
            Answer { head, plan }
        })
        .collect())
}

/// The answer due to a requestor; it is settled (commit point C4). None where none is due.
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
    let Some(server) = tables.server()? else { return Ok(None) };
    let Some(mut registration) = tables.registration(name)? else { return Ok(None) };
    if !is_main_answer_due(&registration) {
        return Ok(None);
    }
    let me = tables.requestor()?.name;
    registration.answer_due = false;
    tables.put_registration(&registration)?;
    let mut head = head(&me, &server, &registration);
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
    let view = (view.hash(), view);
    // A list with everything has the entry whole already.
    if let Some(told) = told.filter(|_| !view.1.is_everything()) {
        head.offers = Offer::within_limits(&told.offers);
    }
    ensure_view(tables, server.head, &view)?;
    let plan = choose(tables, context, &server, &registration, view, &mut head)?;
    Ok(Some(Answer { head, plan }))
}

fn head(me: &PostofficeName, server: &ServerState, registration: &Registration) -> Update {
    let newest = registration.newest_request();
    let (answers, request_id) = newest.unwrap_or((RequestNo(0), RequestId([0; 16])));
    Update {
        from: me.clone(),
        to: registration.name.clone(),
        epoch: registration.epoch.unwrap_or(dirsync_message::ReqEpoch([0; 16])),
        answers,
        request_id,
        server_epoch: server.epoch,
        ack: registration.applied,
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

/// B1 to B4.
fn choose(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    server: &ServerState,
    registration: &Registration,
    view: (ViewHash, View),
    head: &mut Update,
) -> Stored<BodyPlan> {
    let position = &registration.position;
    let mut plan = ListPlan {
        kind: PlanKind::Delta,
        from: SrvSeq(0),
        from_epoch: None,
        view_from: None,
        view,
        upto: server.head,
        whole: false,
    };
    let Some(point) = position.point else { return Ok(BodyPlan::List(Box::new(plan))) };
    let view_from = tables.views()?.into_iter().find(|(hash, _)| *hash == point.view);
    if let Some(view_from) = view_from
        && is_known(tables, server, position, &point)?
    {
        let nothing = point.srv_seq == server.head
            && point.complete
            && point.epoch == server.epoch
            && point.view == plan.view.0;
        if nothing {
            return Ok(BodyPlan::None);
        }
        plan.from = point.srv_seq;
        plan.from_epoch = Some(point.epoch);
        plan.view_from = Some(view_from);
        plan.whole = !point.complete && Rule::PartWhole.holds();
        if plan.whole {
            Branch::FromMiddlePart.take();
        }
        if point.view != plan.view.0 {
            Branch::ViewChange.take();
        }
        return Ok(BodyPlan::List(Box::new(plan)));
    }
    // Its own changes may not have arrived in this life; what it lists of them must not vanish.
    let silent = registration.spoke_in != Some(server.epoch);
    if (server.recovering || silent) && Rule::Recover.holds() {
        let name = &registration.name;
        let who = if server.recovering { "every origin" } else { "it" };
        let text = format!("{name} keeps its list until {who} has spoken in this epoch");
        context.say(Level::Notice, "B3", text);
        return Ok(BodyPlan::None);
    }
    repair(tables, context, registration, &point, plan, head)
}

/// B2: whether the requestor's list is a state that this server issued and can continue from.
fn is_known(
    tables: &mut dyn Tables,
    server: &ServerState,
    position: &Position,
    point: &SyncPoint,
) -> Stored<bool> {
    if position.bad || point.srv_seq < server.horizon && Rule::Horizon.holds() {
        return Ok(false);
    }
    if !point.complete && !Rule::PartMark.holds() {
        return Ok(point.srv_seq <= server.head);
    }
    let Some(issued) = tables.issued_point(point)? else { return Ok(false) };
    let same = issued.mark == point.mark || !Rule::Mark.holds();
    Ok(same && (!point.complete || issued.digest == Some(position.digest)))
}

/// B4: what differs is located by buckets where that is worth a round trip, else all is sent.
fn repair(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    registration: &Registration,
    point: &SyncPoint,
    mut plan: ListPlan,
    head: &mut Update,
) -> Stored<BodyPlan> {
    let position = &registration.position;
    let name = &registration.name;
    if point.view == plan.view.0 {
        let ours = tables.view_sums(plan.view.0)?;
        match &position.buckets {
            Some((bits, theirs)) if *bits <= BucketSums::BITS => {
                let ours = ours.folded(*bits);
                let differing = differing(&ours, theirs);
                if differing.len() * 2 <= 1 << bits {
                    context.say(
                        Level::Notice,
                        "B4",
                        format!("{} of {} buckets of {name} differ", differing.len(), 1 << bits),
                    );
                    plan.kind = PlanKind::Repair(*bits, differing);
                    return Ok(BodyPlan::List(Box::new(plan)));
                }
            }
            _ if position.digest.count >= BUCKETS_WORTHWHILE => {
                head.want_buckets = true;
                context.say(
                    Level::Notice,
                    "B4",
                    format!("the list of {name} differs; its buckets are asked for"),
                );
                return Ok(BodyPlan::None);
            }
            _ => {}
        }
    }
    context.say(
        Level::Notice,
        "B4",
        format!("the list of {name} at {} is replaced", point.srv_seq),
    );
    plan.kind = PlanKind::Replace;
    Ok(BodyPlan::List(Box::new(plan)))
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
