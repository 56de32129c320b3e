//! First contact: a postoffice that knows its invitation's secret is admitted, and its key is pinned.

use dirsync_directory::PostofficeName;
use dirsync_message::{Request, Side};
use dirsync_protocol::context::{Context, Level};
use dirsync_protocol::invitation::is_proof;
use dirsync_protocol::row::Row;
use dirsync_protocol::server;
use dirsync_protocol::tables::{INVITATION_USED, Stored, Tables};
use dirsync_seal::{FirstContact, PeerKeys};

use crate::alarm::Refusal;
use crate::decisions::{DecideError, Decision, DecisionKind, DecisionsLog, decide};
use crate::peers::{put_contact_key, requestor_keys};
use crate::sealing::NotOpened;
use crate::step::Surroundings;
use crate::waiting::{forget_refused, note_refused};

/// The keys by which a request may be signed: the pinned ones, or the key that the secret of the invitation
/// proves. Whether that one is admitted is decided when the request has been opened ([`admit`]).
pub(super) fn sender_keys(
    tables: &mut dyn Tables,
    from: &PostofficeName,
    first_contact: Option<&FirstContact>,
) -> Stored<Result<PeerKeys, NotOpened>> {
    let Some(registration) = tables.registration(from)? else {
        return Ok(Err(NotOpened::Stranger(from.clone())));
    };
    let pinned = requestor_keys(&registration);
    let Some(contact) = first_contact else {
        return Ok(pinned.ok_or_else(|| NotOpened::NoProof(from.clone())));
    };
    let proved = contact.admitted(&registration.name, |proof, key| {
        let verifier = registration.invitation.as_ref().map(|(verifier, _)| verifier);
        verifier.is_some_and(|verifier| is_proof(proof, verifier, &key.to_string()))
    });
    Ok(match (pinned, proved) {
        (Some(pinned), _) if contact.is_of(pinned.newest()) => Ok(pinned),
        (_, Ok(proved)) => Ok(proved),
        (_, Err(_)) => Err(NotOpened::WrongProof(from.clone())),
    })
}

/// Pins the key of a postoffice that has proved that it knows its invitation's secret. Returns whether its
/// requests may be taken.
pub(super) fn admit(
    tables: &mut dyn Tables,
    decisions: &mut dyn DecisionsLog,
    context: &mut Context<'_>,
    request: &Request,
    sender: &PeerKeys,
    around: &Surroundings,
) -> Result<bool, DecideError> {
    let Some(registration) = tables.registration(&request.from)? else { return Ok(true) };
    if requestor_keys(&registration).is_some_and(|pinned| pinned.newest() == sender.newest()) {
        return Ok(true);
    }
    let expires = registration.invitation.as_ref().map(|(_, expires)| *expires);
    let refused = match expires {
        Some(expires) if around.now <= expires => None,
        Some(INVITATION_USED) => Some((Refusal::Taken, Side::Taken)),
        _ => Some((Refusal::Expired, Side::Expired)),
    };
    if let Some((refusal, side)) = refused {
        put_contact_key(tables, sender)?;
        server::tell(tables, request, side)?;
        not_admitted(tables, context, &request.from, refusal)?;
        return Ok(false);
    }
    let decision = Decision {
        at: around.now,
        postoffice: request.from.clone(),
        kind: DecisionKind::Key(sender.newest().to_string()),
    };
    decide(tables, context, decisions, &[decision])?;
    forget_refused(tables, &request.from)?;
    context.say(Level::Notice, Row::F5, format!("the key of {} is pinned", request.from));
    Ok(true)
}

/// A request is from a machine that does not know the secret of the invitation in force. Its key proves nothing,
/// so nobody can be answered.
pub(super) fn wrong_proof(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    from: &PostofficeName,
) -> Stored<()> {
    not_admitted(tables, context, from, Refusal::Uninvited)
}

fn not_admitted(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    name: &PostofficeName,
    refusal: Refusal,
) -> Stored<()> {
    let (row, reason) = match refusal {
        Refusal::Taken => (Row::F6, "another machine has this name already"),
        Refusal::Expired => (Row::F7, "its invitation has expired"),
        Refusal::Uninvited => (Row::F8, "its secret is not that of the invitation"),
    };
    note_refused(tables, name, refusal, context.now)?;
    let text = format!(
        "{name} is not admitted: {reason}; ask first which machine is the right one: stop the other; \
         if the right one is the one that was not admitted, `dirsync requestor add {name} \
         --folder DIR --again` invites it, and it begins in a new folder"
    );
    context.say(Level::Alarm, row, text);
    Ok(())
}
