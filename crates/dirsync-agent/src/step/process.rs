//! T2.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use dirsync_carrier::{Arrived, BodyEncoder, Carrier, CarrierError, EncodedBody};
use dirsync_directory::PostofficeName;
use dirsync_message::{Body, BodyWriter, Head, SrvSeq, Update};
use dirsync_protocol::context::{Draws, Event, Level};
use dirsync_protocol::server::{self, Answer, BodyPlan, ListPlan, Received};
use dirsync_protocol::tables::Tables;
use dirsync_store::Store;

use super::admit::admit;
use super::place::{Failures, PlaceFailure, is_away};
use super::post::Post;
use super::push::push_changes;
use super::transport::{Incoming, Opening, open};
use super::turn::Turn;
use super::waiting::{Kept, WaitingRoom, Waits};
use super::{RefusedMessage, StepError, Surroundings, put_events, refusal};
use crate::decisions::{DecideError, DecisionsLog, catch_up};

/// The step's name in the log.
const STEP: &str = "T2";
/// Requests that are taken in one transaction of the database.
const REQUESTS_PER_TRANSACTION: usize = 100;

/// What T2 did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessReport {
    /// What there is to say.
    pub events: Vec<Event>,
    /// Requests taken.
    pub requests: u64,
    /// Message files written.
    pub messages: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bodies encoded; requestors that lack the same share one.
    pub bodies: u64,
    /// Messages refused.
    pub refused: u64,
    /// Postoffices whose requests wait for an administrator.
    pub waiting: BTreeSet<PostofficeName>,
    /// Messages that were not looked at: the next step begins with them.
    pub left: u64,
    /// Places that could not be used; all others were served.
    pub failed: Vec<PlaceFailure>,
}

/// The carriers of a server: by the text of its registrations' `carrier`.
pub type Carriers<'a> = BTreeMap<String, &'a dyn Carrier>;

/// Takes every request that has arrived and answers each: [`take_requests`], then
/// [`answer_requests`].
///
/// With `push` requestors are answered unasked when the list has moved
/// ([`dirsync_protocol::server::answer_unasked`]): in continuous mode a change is everywhere without
/// being asked for.
///
/// # Errors
///
/// See [`StepError`]; what was taken before stays taken.
pub fn process(
    store: &mut dyn Store,
    carriers: &Carriers<'_>,
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
    push: bool,
) -> Result<ProcessReport, StepError> {
    let mut report = ProcessReport::default();
    let mut draws = Draws::new(&around.seed);
    take_all(store, carriers, decisions, around, &mut draws, &mut report)?;
    if push {
        push_changes(store)?;
    }
    // Who is reached through a place that is away stays to be answered.
    let mut carriers = carriers.clone();
    carriers.retain(|place, _| !is_away(&report.failed, place));
    answer_all(store, &carriers, around, &mut draws, &mut report)?;
    Ok(report)
}

/// The first half of [`process`]: what it leaves when it ends here is what a crash leaves.
///
/// # Errors
///
/// As [`process`].
pub fn take_requests(
    store: &mut dyn Store,
    carriers: &Carriers<'_>,
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
) -> Result<ProcessReport, StepError> {
    let mut report = ProcessReport::default();
    let mut draws = Draws::new(&around.seed);
    take_all(store, carriers, decisions, around, &mut draws, &mut report)?;
    Ok(report)
}

/// The second half of [`process`]: answers every requestor that is due and reached through one of
/// the carriers.
///
/// # Errors
///
/// As [`process`].
pub fn answer_requests(
    store: &mut dyn Store,
    carriers: &Carriers<'_>,
    around: &Surroundings,
    push: bool,
) -> Result<ProcessReport, StepError> {
    let mut report = ProcessReport::default();
    let mut draws = Draws::new(&around.seed);
    if push {
        push_changes(store)?;
    }
    answer_all(store, carriers, around, &mut draws, &mut report)?;
    Ok(report)
}

fn take_all(
    store: &mut dyn Store,
    carriers: &Carriers<'_>,
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
    draws: &mut Draws,
    report: &mut ProcessReport,
) -> Result<(), StepError> {
    carry_out_decisions(store, decisions, around, draws, report)?;
    let mut failures = Failures::default();
    for (name, carrier) in carriers {
        let mut place = Place { name, carrier: *carrier, failures: &mut failures };
        take_place(store, &mut place, decisions, around, draws, report)?;
    }
    report.failed.extend(failures.0);
    Ok(())
}

/// A database that was put back may be older than the log of decisions: nobody is served before it has
/// caught up.
fn carry_out_decisions(
    store: &mut dyn Store,
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
    draws: &mut Draws,
    report: &mut ProcessReport,
) -> Result<(), StepError> {
    let mut tables = store.begin()?;
    let mut events = Vec::new();
    around.run(draws, &mut events, |context| catch_up(&mut *tables, context, decisions))?;
    put_events(&mut *tables, STEP, around.now, &events)?;
    tables.commit()?;
    report.events.append(&mut events);
    Ok(())
}

fn take_place(
    store: &mut dyn Store,
    place: &mut Place<'_>,
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
    draws: &mut Draws,
    report: &mut ProcessReport,
) -> Result<(), StepError> {
    let room = place.note(WaitingRoom::of(place.carrier));
    let mut room = room.unwrap_or_else(|| WaitingRoom::empty(place.carrier));
    let ready = ready(store, &room)?;
    for batch in ready.chunks(REQUESTS_PER_TRANSACTION) {
        take_batch(store, &mut room, place, batch, decisions, around, draws, report)?;
    }
    if place.is_away() {
        return Ok(());
    }
    let Some(mut arrived) = place.note(place.carrier.arrived()) else { return Ok(()) };
    let mut turn = Turn::begin(store, place.name, &mut arrived)?;
    let mut looked_at = 0;
    while looked_at < arrived.len() && turn.left() > 0 && !place.is_away() {
        let size = REQUESTS_PER_TRANSACTION.min(turn.left()).min(arrived.len() - looked_at);
        let batch = &arrived[looked_at..looked_at + size];
        let taken = take_batch(store, &mut room, place, batch, decisions, around, draws, report)?;
        looked_at += size;
        turn.count_untaken(size - taken);
    }
    report.left += turn.end(store, &arrived, looked_at)?;
    Ok(())
}

/// The place whose requests are taken.
struct Place<'a> {
    name: &'a str,
    carrier: &'a dyn Carrier,
    failures: &'a mut Failures,
}

impl Place<'_> {
    /// What a carrier gave; none where it failed, which is noted. The next message is tried unless
    /// the whole place is away.
    fn note<T>(&mut self, result: Result<T, CarrierError>) -> Option<T> {
        result.map_err(|error| self.failures.add(self.name, None, &error)).ok()
    }

    fn is_away(&self) -> bool {
        self.failures.is_away(self.name)
    }
}

/// The requests that need not wait any longer.
fn ready(store: &mut dyn Store, room: &WaitingRoom<'_>) -> Result<Vec<Arrived>, StepError> {
    Ok(if room.is_empty() { Vec::new() } else { room.ready(&store.begin()?.registrations()?) })
}

/// Whether T2 has anything to do: a message has arrived, one need not wait any longer, or a place
/// fails, which T2 tells.
///
/// # Errors
///
/// When the store fails.
pub fn requests_arrived(store: &mut dyn Store, carriers: &Carriers<'_>) -> Result<bool, StepError> {
    for carrier in carriers.values() {
        let (Ok(arrived), Ok(room)) = (carrier.arrived(), WaitingRoom::of(*carrier)) else {
            return Ok(true);
        };
        if !arrived.is_empty() || !ready(store, &room)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// C3: everything a request changes is committed, then its file may go. Returns how many of the
/// messages were taken.
#[expect(clippy::too_many_arguments, reason = "the parts of one step, named where it is called")]
fn take_batch(
    store: &mut dyn Store,
    room: &mut WaitingRoom<'_>,
    place: &mut Place<'_>,
    batch: &[Arrived],
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
    draws: &mut Draws,
    report: &mut ProcessReport,
) -> Result<usize, StepError> {
    let mut tables = store.begin()?;
    let mut taken = Vec::new();
    let mut waiting = Vec::new();
    let mut refused = Vec::new();
    let said = report.events.len();
    for arrived in batch {
        let Some(opening) = place.note(open(place.carrier, arrived, around)) else {
            if place.is_away() {
                break;
            }
            continue;
        };
        match opening {
            Opening::NotYet | Opening::Gone => {}
            Opening::Refused(why) => refused.push((arrived, why)),
            Opening::Message(incoming) => {
                if !matches!(incoming.head, Head::Request(_)) {
                    continue;
                }
                let taking =
                    take(&mut *tables, *incoming, decisions, around, draws, place.failures, report);
                match taking? {
                    Verdict::Taken => taken.push(arrived),
                    Verdict::Left => {}
                    Verdict::Waits(sender, why) => waiting.push((arrived, sender, why)),
                    Verdict::Refused(why) => refused.push((arrived, why)),
                }
            }
        }
    }
    if !taken.is_empty()
        && let Some(mut server) = tables.server()?
    {
        server.cycle += 1;
        tables.put_server(&server)?;
    }
    put_events(&mut *tables, STEP, around.now, &report.events[said..])?;
    tables.commit()?;
    report.requests += taken.len() as u64;
    for arrived in &taken {
        place.note(place.carrier.finished(arrived));
    }
    set_aside(store, room, place, waiting, refused, around, report)?;
    Ok(taken.len())
}

/// What cannot be taken, or not yet, goes where it is in nobody's way.
fn set_aside<'a>(
    store: &mut dyn Store,
    room: &mut WaitingRoom<'_>,
    place: &mut Place<'_>,
    waiting: Vec<(&'a Arrived, PostofficeName, Waits)>,
    mut refused: Vec<(&'a Arrived, RefusedMessage)>,
    around: &Surroundings,
    report: &mut ProcessReport,
) -> Result<(), StepError> {
    let said = report.events.len();
    for (arrived, sender, why) in waiting {
        match place.note(room.keep(arrived, &sender, why)) {
            Some(Kept::Waits(event)) => {
                report.events.extend(event);
                report.waiting.insert(sender);
            }
            Some(Kept::TooMany) => {
                let why = format!("{sender} is not registered, and too many others wait");
                refused.push((arrived, RefusedMessage::Said(why)));
            }
            None => {}
        }
    }
    for (arrived, why) in refused {
        if place.note(place.carrier.refuse(arrived, &why.to_string())).is_none() {
            continue;
        }
        report.refused += 1;
        report.events.push(Event {
            level: Level::Error,
            rule: STEP,
            text: format!("a message was refused and set aside: {why}"),
        });
    }
    log_events(store, around, &report.events[said..])
}

/// Logs what is true already, in a transaction of its own.
fn log_events(
    store: &mut dyn Store,
    around: &Surroundings,
    events: &[Event],
) -> Result<(), StepError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut tables = store.begin()?;
    put_events(&mut *tables, STEP, around.now, events)?;
    Ok(tables.commit()?)
}

enum Verdict {
    Taken,
    /// It is none of this step's.
    Left,
    /// It cannot be taken yet.
    Waits(PostofficeName, Waits),
    /// It cannot be taken. The sender's next request says all that it says.
    Refused(RefusedMessage),
}

fn take(
    tables: &mut dyn Tables,
    incoming: Incoming,
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
    draws: &mut Draws,
    failures: &mut Failures,
    report: &mut ProcessReport,
) -> Result<Verdict, StepError> {
    let Head::Request(request) = &incoming.head else { return Ok(Verdict::Left) };
    let mut body = incoming.body;
    let mut events = Vec::new();
    let admission = around
        .run(draws, &mut events, |context| admit(tables, decisions, context, request, around));
    let admitted = match admission {
        Ok(admitted) => admitted,
        // Who needs no decision is served all the same.
        Err(DecideError::Log(error)) => {
            let text = format!("could not write the decisions log: {error}");
            let place = "decisions.log".to_owned();
            failures.add_text(PlaceFailure { place, to: None, unreachable: false, text });
            return Ok(Verdict::Left);
        }
        Err(error) => return Err(error.into()),
    };
    if !admitted {
        report.waiting.insert(request.from.clone());
        report.events.append(&mut events);
        let why = format!("{} is not admitted", request.from);
        return Ok(Verdict::Refused(RefusedMessage::Said(why)));
    }
    tables.savepoint()?;
    let outcome = around
        .run(draws, &mut events, |context| server::receive(tables, context, request, &mut body));
    match outcome {
        Ok(received) => {
            tables.release_savepoint()?;
            let waits = |why| Verdict::Waits(request.from.clone(), why);
            let verdict = match received {
                Received::Taken | Received::Repeated => Verdict::Taken,
                Received::NotAdmitted => waits(Waits::Unknown),
                Received::Suspended => waits(Waits::Suspended),
                Received::Fenced => Verdict::Left,
            };
            // That one waits is said when it begins to.
            events.retain(|event| received != Received::NotAdmitted || event.rule != "S2");
            report.events.append(&mut events);
            Ok(verdict)
        }
        Err(error) => {
            tables.rollback_savepoint()?;
            Ok(Verdict::Refused(refusal(error)?))
        }
    }
}

/// Answers every requestor that is due, those with one body together.
fn answer_all(
    store: &mut dyn Store,
    carriers: &Carriers<'_>,
    around: &Surroundings,
    draws: &mut Draws,
    report: &mut ProcessReport,
) -> Result<(), StepError> {
    let mut post = Post::default();
    let mut shared: BTreeMap<ListPlan, Vec<Update>> = BTreeMap::new();
    let mut single = Vec::new();
    let mut tables = store.begin()?;
    let due = server::pending(&mut *tables)?;
    if due.is_empty() {
        return Ok(());
    }
    let outcomes = server::outcomes(&mut *tables)?;
    let said = report.events.len();
    for name in due {
        let registration = tables.registration(&name)?.expect("it is due");
        let Some((place, carrier)) = carriers.get_key_value(&registration.carrier) else {
            continue;
        };
        post.add_route(name.clone(), place, *carrier);
        single.extend(server::side_answers(&mut *tables, &name)?);
        let mut events = Vec::new();
        let answer = around.run(draws, &mut events, |context| {
            server::prepare(&mut *tables, context, &name, &outcomes)
        })?;
        report.events.append(&mut events);
        match answer {
            Some(Answer { head, plan: BodyPlan::List(plan) }) => {
                shared.entry(*plan).or_default().push(head);
            }
            Some(answer) => single.push(answer),
            None => {}
        }
    }
    put_events(&mut *tables, STEP, around.now, &report.events[said..])?;
    tables.commit()?;
    answer_without_list(store, &mut post, around, single, report)?;
    for (plan, heads) in shared {
        answer_together(store, &mut post, around, draws, &plan, heads, report)?;
    }
    let unsent = post.finish(report);
    if !unsent.is_empty() {
        let mut tables = store.begin()?;
        for head in &unsent {
            server::answer_again(&mut *tables, head)?;
        }
        tables.commit()?;
    }
    Ok(())
}

/// Answers that say nothing of the list: most have no body at all.
fn answer_without_list(
    store: &mut dyn Store,
    post: &mut Post<'_>,
    around: &Surroundings,
    answers: Vec<Answer>,
    report: &mut ProcessReport,
) -> Result<(), StepError> {
    let (own, empty): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.plan == BodyPlan::Own);
    for Answer { head, .. } in own {
        let mut writer = BodyWriter::new(BodyEncoder::new(around.compression)?);
        let mut tables = store.begin()?;
        let mut failed = None;
        server::own_body(
            &mut *tables,
            &head.to,
            &mut |transaction| match writer.write(transaction) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        report.bodies += 1;
        post.send(&[head], 1, &writer.finish()?.finish()?);
    }
    let body = BodyWriter::new(BodyEncoder::new(around.compression)?).finish()?.finish()?;
    let mut to: BTreeMap<PostofficeName, Vec<Update>> = BTreeMap::new();
    for Answer { head, .. } in empty {
        to.entry(head.to.clone()).or_default().push(head);
    }
    // Somebody who gets several, for several of its lives, gets one after the other.
    while !to.is_empty() {
        let heads: Vec<Update> = to.values_mut().map(|heads| heads.remove(0)).collect();
        post.send(&heads, 1, &body);
        to.retain(|_, heads| !heads.is_empty());
    }
    Ok(())
}

/// C4: the point is committed before a file that names it is made.
fn answer_together(
    store: &mut dyn Store,
    post: &mut Post<'_>,
    around: &Surroundings,
    draws: &mut Draws,
    plan: &ListPlan,
    mut heads: Vec<Update>,
    report: &mut ProcessReport,
) -> Result<(), StepError> {
    let part_bytes_max = post.part_bytes_max(heads.iter().map(|head| &head.to));
    let mut from = plan.from;
    let mut part = 1;
    loop {
        let mut tables = store.begin()?;
        let (body, ended) = encode_part(&mut *tables, plan, from, part_bytes_max, around)?;
        let server = tables.server()?.expect("this is the server");
        let reached = ended.unwrap_or(plan.upto);
        let (to, digest) = server::issue_point(
            &mut *tables,
            draws,
            server.epoch,
            plan.view.0,
            reached,
            ended.is_none(),
        )?;
        let continued = part > 1;
        for head in &mut heads {
            let registration = tables.registration(&head.to)?;
            head.body = Some(Body {
                kind: plan.kind.to_body_kind(),
                from,
                from_epoch: if continued { Some(server.epoch) } else { plan.from_epoch },
                view_from: if continued {
                    Some(plan.view.0)
                } else {
                    plan.view_from.as_ref().map(|(hash, _)| *hash)
                },
                stated: registration.and_then(|registration| registration.position.point),
                to,
                head: plan.upto,
                view: plan.view.1.clone(),
                digest,
                part,
            });
        }
        tables.commit()?;
        report.bodies += 1;
        post.send(&heads, part, &body);
        if ended.is_none() {
            return Ok(());
        }
        from = reached;
        part += 1;
    }
}

fn encode_part(
    tables: &mut dyn Tables,
    plan: &ListPlan,
    from: SrvSeq,
    part_bytes_max: u64,
    around: &Surroundings,
) -> Result<(EncodedBody, Option<SrvSeq>), StepError> {
    let mut writer = BodyWriter::new(BodyEncoder::new(around.compression)?);
    let mut failed = None;
    let may_cut = plan.is_cut_by_number();
    let ended = server::list_body(tables, plan, from, &mut |transaction| {
        if let Err(error) = writer.write(transaction) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        if may_cut && writer.output().encoded_bytes() >= part_bytes_max {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    Ok((writer.finish()?.finish()?, ended))
}
