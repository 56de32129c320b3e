//! T2, first half: a request is taken, by the decision table of `protocol.md` §4.1.

use dirsync_message::{Challenge, LINEAGE_MAX, Request, RequestKind, RequestNo, ServerEpoch, Side};

use super::lifecycle::{holds_deletions, new_life};
use super::publication::Publication;
use super::submission::{Submission, submit_delta, submit_full};
use crate::bounds::check_request;
use crate::context::{Context, Level, ReceiveError, TransactionSource};
use crate::simulation::Rule;
use crate::tables::{
    Copies, Registration, RegistrationState, ServerState, SideAnswer, Stored, Tables,
};

/// So often a server takes a later life of its own instance for one that a restore lost.
const OVERTAKEN_MAX: u64 = 2;
/// So many requests of each postoffice are remembered by number and id.
const TAKEN_MAX: usize = 16;
/// After so long it counts anew, in milliseconds: four turns of two copies that run once a week.
const OVERTAKEN_WITHIN_MS: u64 = 35 * 24 * 60 * 60 * 1000;

/// Most epochs of one postoffice that are remembered as retired; above that, those that it names itself.
const RETIRED_MAX: usize = 4 * LINEAGE_MAX;
/// Most epochs of one postoffice that are answered aside at once; of more, the last ones are.
const SIDE_ANSWERS_MAX: usize = 16;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was taken, or will at least be answered.
    Taken,
    /// It says nothing new; an answer is due from state as it is.
    Repeated,
    /// This server was replaced and answers nobody.
    Fenced,
    /// The sender is not registered, or its invitation is used up: an administrator decides.
    NotAdmitted,
    /// The sender is suspended: the request waits.
    Suspended,
}

/// Takes a request, within the caller's transaction (commit point C3).
///
/// # Errors
///
/// See [`ReceiveError`]: the transaction has to be rolled back, and for anything but a store
/// error the message is refused.
pub fn receive(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    request: &Request,
    body: &mut dyn TransactionSource,
) -> Result<Received, ReceiveError> {
    let Some(mut server) = tables.server()? else {
        return Err(ReceiveError::Contradiction("this postoffice is no directory server".into()));
    };
    if server.fenced {
        context.say(Level::Error, "S1", "this server was replaced; it answers nobody");
        return Ok(Received::Fenced);
    }
    let mut registration = match registered(tables, context, request)? {
        Ok(registration) => registration,
        Err(received) => return Ok(received),
    };
    check_request(&server, request)?;
    if let Some(received) =
        compare_epochs(tables, context, &mut server, &mut registration, request)?
    {
        return Ok(received);
    }
    registration.state = RegistrationState::Active;
    let accepted = match admit_epoch(context, &mut registration, request) {
        Epoch::Current => false,
        Epoch::Resubmitted => {
            renew(&mut registration, request);
            true
        }
        Epoch::Aside => {
            registration.last_contact = context.now;
            tables.put_registration(&registration)?;
            return Ok(Received::Repeated);
        }
    };
    if is_doubled(&registration, request) {
        contest(context, &mut registration, request);
        tables.put_registration(&registration)?;
        return Ok(Received::Repeated);
    }
    let newest = registration.newest_request().map_or(RequestNo(0), |(number, _)| number);
    if request.number <= newest && Rule::RequestNumber.holds() {
        registration.answer_due = true;
        tables.put_registration(&registration)?;
        context.say(
            Level::Debug,
            "S10",
            format!("request {} of {} was taken before", request.number, request.from),
        );
        return Ok(Received::Repeated);
    }
    registration.taken.push((request.number, request.id));
    let beyond = registration.taken.len().saturating_sub(TAKEN_MAX);
    registration.taken.drain(..beyond);
    registration.answer_due = true;
    registration.send_own = false;
    registration.last_contact = context.now;
    registration.health = request.health.clone();
    take_new(tables, context, &mut server, registration, request, accepted, body)?;
    Ok(Received::Taken)
}

/// S2 to S3a: the sender's registration, if its requests are taken.
fn registered(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    request: &Request,
) -> Result<Result<Registration, Received>, ReceiveError> {
    let Some(mut registration) = tables.registration(&request.from)? else {
        context.say(Level::Notice, "S2", format!("{} is not registered", request.from));
        return Ok(Err(Received::NotAdmitted));
    };
    Ok(match registration.state {
        RegistrationState::Removed => {
            side_answer(&mut registration, request, Side::Removed);
            tables.put_registration(&registration)?;
            let text = format!("{} was removed and still sends", request.from);
            context.say(Level::Warning, "S3", text);
            Err(Received::Repeated)
        }
        RegistrationState::Suspended => {
            side_answer(&mut registration, request, Side::Suspended);
            tables.put_registration(&registration)?;
            Err(Received::Suspended)
        }
        RegistrationState::Invited | RegistrationState::Active => Ok(registration),
    })
}

/// Whether this request's number was used for another one before. A machine never does that: this is
/// a copy of it, or it was put back from a copy. So is one whose number lies before all that are
/// remembered and that was made later than the newest: it was not merely overtaken under way.
fn is_doubled(registration: &Registration, request: &Request) -> bool {
    let taken = &registration.taken;
    let other = taken.iter().find(|(number, _)| *number == request.number);
    let before_all = taken.len() == TAKEN_MAX
        && request.number < taken[0].0
        && request.health.clock > registration.health.clock;
    (before_all || other.is_some_and(|(_, id)| *id != request.id)) && Rule::Doubled.holds()
}

/// S10a: the second machine of an epoch is asked to merge, and the first one with its next request.
/// Of copies that take turns each would otherwise wait for answers that name the other's request.
fn contest(context: &mut Context<'_>, registration: &mut Registration, request: &Request) {
    open_challenge(context, registration);
    side_answer(registration, request, Side::Own);
    registration.copies = Copies::Contest;
    registration.last_contact = context.now;
    context.say(
        Level::Alarm,
        "S10a",
        format!(
            "{} used request number {} before: two machines have its identity, or it was put back \
             from a copy; it is asked to merge",
            request.from, request.number
        ),
    );
}

/// S8: the new epoch takes the place of the old one and of all that it descends from.
fn renew(registration: &mut Registration, request: &Request) {
    let retired = registration.epoch.replace(request.epoch);
    registration.retired.extend(retired);
    if registration.retired.len() > RETIRED_MAX {
        registration.retired = retired.into_iter().collect();
    }
    registration.retired.extend(request.lineage.iter().copied());
    registration.retired.remove(&request.epoch);
    registration.side_answers.clear();
    if registration.copies == Copies::Contest {
        registration.copies = Copies::One;
    }
    registration.taken.clear();
    registration.applied = dirsync_message::ReqSeq(0);
}

/// S10a to S15 for a request that is new: the own part, then the list side.
fn take_new(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    server: &mut ServerState,
    mut registration: Registration,
    request: &Request,
    accepted: bool,
    body: &mut dyn TransactionSource,
) -> Result<(), ReceiveError> {
    server.last_run = context.now;
    tables.put_server(server)?;
    tables.put_registration(&registration)?;
    let mut publication = Publication::begin(tables, context.now)?;
    let applied = registration.applied;
    let submission =
        submit_own(tables, context, &mut publication, &mut registration, request, accepted, body)?;
    publication.finish(tables, context)?;
    if !Rule::HeldAcknowledged.holds() && holds_deletions(tables, &request.from)? {
        registration.applied = applied;
    }
    *server = publication.into_state();
    // S14 and S15.
    registration.position.point = request.point;
    registration.position.digest = request.list_digest;
    registration.position.bad = request.list_bad;
    registration.position.buckets = request.list_buckets.clone();
    registration.view_wanted = request.view_wanted.clone();
    tables.put_registration(&registration)?;
    if let Some(point) = &request.point
        && point.epoch.is_same_life(&server.epoch)
        && Rule::Mark.holds()
        && (Rule::PartMark.holds() || point.complete)
        && (Rule::KeepPoints.holds() || point.srv_seq > server.horizon)
        && tables.issued_point(point)?.is_none_or(|issued| issued.mark != point.mark)
    {
        context.say(
            Level::Alarm,
            "S14",
            format!(
                "{} stands at {}, which this server never issued: it was restored from a backup",
                request.from, point.srv_seq
            ),
        );
        new_life(tables, context, server, point.epoch)?;
    }
    let knows = request.epoch_heard == Some(server.epoch) || !Rule::Spoken.holds();
    if submission == Submission::Accepted && knows {
        let mut registration = tables.registration(&request.from)?.expect("it is being served");
        registration.spoke_in = Some(server.epoch);
        tables.put_registration(&registration)?;
    }
    end_recovery(tables, context, server)?;
    Ok(())
}

fn submit_own(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    publication: &mut Publication,
    registration: &mut Registration,
    request: &Request,
    accepted: bool,
    body: &mut dyn TransactionSource,
) -> Result<Submission, ReceiveError> {
    let submission = match request.own.kind {
        _ if registration.copies == Copies::Contest => {
            let text = format!("{} is asked to merge before anything is taken", request.from);
            context.say(Level::Notice, "S10a", text);
            Submission::SendOwn
        }
        RequestKind::WantOwn => {
            context.say(
                Level::Notice,
                "S11",
                format!("{} asks what is held of its own entries", request.from),
            );
            Submission::SendOwn
        }
        RequestKind::Full => {
            submit_full(tables, context, publication, registration, request, accepted, body)?
        }
        RequestKind::Delta => {
            submit_delta(tables, context, publication, registration, request, body)?
        }
    };
    if submission == Submission::SendOwn {
        registration.send_own = true;
        open_challenge(context, registration);
    }
    Ok(submission)
}

/// S4 and S5: the requestor may have heard a later life of this server.
fn compare_epochs(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    server: &mut ServerState,
    registration: &mut Registration,
    request: &Request,
) -> Result<Option<Received>, ReceiveError> {
    let news = |heard: &ServerEpoch| {
        heard.is_newer_than(&server.epoch)
            || *heard != server.epoch && !Rule::GenerationOrder.holds()
    };
    let Some(heard) = request.epoch_heard.filter(news) else { return Ok(None) };
    if heard.instance != server.epoch.instance && Rule::Instance.holds() {
        let text = format!(
            "replaced by instance {}: {} heard its epoch {heard}, this server has {}; it answers \
             nobody any more",
            heard.instance, request.from, server.epoch
        );
        return fence(tables, context, server, "S4", text);
    }
    if is_overtaken_again(context, server) {
        let text = format!(
            "{} heard the later epoch {heard}, the {OVERTAKEN_MAX} before were this server's own: a \
             copy of it goes on beside it; it answers nobody any more",
            request.from
        );
        return fence(tables, context, server, "S5a", text);
    }
    context.say(
        Level::Alarm,
        "S5",
        format!("{} heard the later epoch {heard}: this server was restored", request.from),
    );
    new_life(tables, context, server, heard)?;
    *registration = tables.registration(&request.from)?.expect("it was read above");
    Ok(None)
}

/// This server answers nobody any more.
fn fence(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    server: &mut ServerState,
    rule: &'static str,
    text: String,
) -> Result<Option<Received>, ReceiveError> {
    server.fenced = true;
    tables.put_server(server)?;
    context.say(Level::Alarm, rule, text);
    Ok(Some(Received::Fenced))
}

/// S5a: whether this server began anew over later lives of its own so often that they are no lost
/// ones. After a restore nobody goes on; a copy that takes turns with this server does.
fn is_overtaken_again(context: &Context<'_>, server: &mut ServerState) -> bool {
    if context.now.saturating_sub(server.overtaken_at) > OVERTAKEN_WITHIN_MS {
        server.overtaken = 0;
    }
    if server.overtaken >= OVERTAKEN_MAX && Rule::ServerDoubled.holds() {
        return true;
    }
    server.overtaken += 1;
    server.overtaken_at = context.now;
    false
}

enum Epoch {
    /// The accepted one, also when it is the first.
    Current,
    /// A new one that answered the challenge (S8).
    Resubmitted,
    /// Another one: a side answer is due, nothing else.
    Aside,
}

/// S6 to S9.
fn admit_epoch(
    context: &mut Context<'_>,
    registration: &mut Registration,
    request: &Request,
) -> Epoch {
    let Some(current) = registration.epoch else {
        registration.epoch = Some(request.epoch);
        context.say(Level::Info, "S6", format!("{} takes part now", request.from));
        return Epoch::Current;
    };
    if request.epoch == current {
        return Epoch::Current;
    }
    let stranger = !request.lineage.is_empty()
        && !request.lineage.contains(&current)
        // What a person said of an epoch holds for those that it went on to, here or at a copy of this
        // server.
        && !registration.challenged.is_some_and(|epoch| request.lineage.contains(&epoch));
    if registration.retired.contains(&request.epoch) || stranger {
        side_answer(registration, request, Side::Fenced);
        registration.copies = Copies::Fenced;
        context.say(
            Level::Alarm,
            "S7",
            format!(
                "{} has two machines, or was restored from before its last renewal: epoch {} is \
                 refused, {current} is in force",
                request.from, request.epoch
            ),
        );
        return Epoch::Aside;
    }
    let answers_challenge = request.own.kind == RequestKind::Full
        && registration.challenge.is_some()
        && request.own.challenge == registration.challenge
        && request.own.base == Some(registration.own_digest);
    if answers_challenge || !Rule::Challenge.holds() {
        return Epoch::Resubmitted;
    }
    if request.lineage.is_empty() && registration.copies == Copies::Fenced {
        // A life that descends from nobody is a person's word on which machine stays.
        registration.copies = Copies::One;
    }
    let first_word = request.lineage.is_empty() && registration.challenged != Some(request.epoch);
    if first_word && Rule::ChallengeFresh.holds() {
        // An export that an earlier life made for the open challenge must not come first.
        registration.challenge = None;
        registration.challenged = Some(request.epoch);
    }
    open_challenge(context, registration);
    side_answer(registration, request, Side::Own);
    context.say(
        Level::Notice,
        "S9",
        format!("{} began a new epoch {}; it is asked to merge", request.from, request.epoch),
    );
    Epoch::Aside
}

/// Rule `chalkeep`: an open challenge stays, or two machines would void each other's for ever.
fn open_challenge(context: &mut Context<'_>, registration: &mut Registration) {
    if registration.challenge.is_none() || !Rule::ChallengeKept.holds() {
        registration.challenge = Some(Challenge(context.draws.token()));
    }
}

/// Lets a sender be told why its request is not taken, if it is registered.
///
/// # Errors
///
/// When the store fails.
pub fn tell(tables: &mut dyn Tables, request: &Request, side: Side) -> Stored<()> {
    let Some(mut registration) = tables.registration(&request.from)? else { return Ok(()) };
    side_answer(&mut registration, request, side);
    tables.put_registration(&registration)
}

fn side_answer(registration: &mut Registration, request: &Request, side: Side) {
    // The newest request of an epoch is answered; two machines that share number and epoch, both.
    let of_copy =
        |answer: &SideAnswer| answer.answers == request.number && answer.request_id != request.id;
    registration.side_answers.retain(|answer| answer.epoch != request.epoch || of_copy(answer));
    if registration.side_answers.len() == SIDE_ANSWERS_MAX {
        registration.side_answers.remove(0);
    }
    registration.side_answers.push(SideAnswer {
        epoch: request.epoch,
        side,
        answers: request.number,
        request_id: request.id,
    });
}

/// S15: recovery ends when every registered origin has spoken in this life.
fn end_recovery(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    server: &mut ServerState,
) -> Result<(), ReceiveError> {
    if !server.recovering {
        return Ok(());
    }
    let spoke = |epoch: Option<ServerEpoch>| epoch == Some(server.epoch);
    let all = tables.registrations()?.iter().all(|registration| {
        let owes = match registration.state {
            RegistrationState::Removed => false,
            // Its key was pinned in a life that is lost: it has spoken then.
            RegistrationState::Invited => registration.key.is_some() && Rule::KeyOwes.holds(),
            RegistrationState::Active | RegistrationState::Suspended => true,
        };
        !owes || spoke(registration.spoke_in)
    });
    if all {
        server.recovering = false;
        tables.put_server(server)?;
        context.say(Level::Notice, "S15", "every origin has spoken again: the recovery is over");
    }
    Ok(())
}
