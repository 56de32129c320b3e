//! First contact: a postoffice that knows its invitation's secret is admitted, and its key is pinned.

use dirsync_directory::PostofficeName;
use dirsync_message::{Request, Side};
use dirsync_protocol::context::{Context, Level};
use dirsync_protocol::invitation::is_proof;
use dirsync_protocol::row::Row;
use dirsync_protocol::server;
use dirsync_protocol::tables::{INVITATION_USED, Registration, Stored, Tables};
use dirsync_seal::{PeerKeys, PublicKey};

use crate::alarm::Refusal;
use crate::decisions::{DecideError, Decision, DecisionKind, DecisionsLog, decide};
use crate::peers::{Peer, put_announced, put_contact_key};
use crate::sealing::{Claim, KeysShown};
use crate::step::Surroundings;
use crate::step::transport::Opening;
use crate::waiting::{forget_refused, note_refused};

/// The keys by which a request may be signed, and the reason why.
pub(super) struct Sender {
    keys: PeerKeys,
    by: By,
    /// Its messages may come at several places.
    pub(super) has_several_places: bool,
}

/// Why a key may sign for a postoffice.
enum By {
    /// It is pinned, or follows the pinned one.
    Pin(Box<Peer>),
    /// The proof of the invitation covers it. Whether it is admitted is decided when the request has been
    /// opened ([`admit`]).
    Proof,
}

impl Sender {
    pub(super) fn keys(&self) -> &PeerKeys {
        &self.keys
    }
}

/// Who may have signed a request, by the database.
pub(super) fn sender(
    tables: &mut dyn Tables,
    claim: &Claim<'_>,
    own: &PeerKeys,
) -> Stored<Result<Sender, Opening>> {
    let Some(registration) = tables.registration(claim.from)? else {
        return Ok(Err(Opening::Stranger(claim.from.clone())));
    };
    let peer = Peer::requestor(tables, &registration, own)?;
    let has_several_places = registration.places.len() > 1;
    let Some(contact) =
        claim.first_contact.filter(|_| peer.as_ref().is_none_or(|peer| !claim.is_by(&peer.keys)))
    else {
        return Ok(match peer {
            Some(peer) => Ok(Sender {
                keys: peer.keys.clone(),
                by: By::Pin(Box::new(peer)),
                has_several_places,
            }),
            None => Err(Opening::NoProof(claim.from.clone())),
        });
    };
    let proved = contact.admitted(&registration.name, |proof, key| {
        let verifier = registration.invitation.as_ref().map(|(verifier, _)| verifier);
        verifier.is_some_and(|verifier| is_proof(proof, verifier, &key.to_string()))
    });
    Ok(match proved {
        Ok(keys) => Ok(Sender { keys, by: By::Proof, has_several_places }),
        Err(_) => Err(Opening::WrongProof(claim.from.clone())),
    })
}

/// Whether the requests of a machine may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// They may.
    Open,
    /// They may not, and it has been told so.
    Refused,
    /// The request was made before its sender changed its key, and comes late, or once more.
    Late,
}

/// Whether this request was taken before, or is older than the last that was taken. As in S10a, a machine that was
/// put back from a copy makes others, or makes them later.
fn is_late(registration: &Registration, request: &Request) -> bool {
    let taken = &registration.taken;
    let is_older = taken.last().is_some_and(|(last, _)| request.number < *last)
        && taken.iter().all(|(number, _)| *number != request.number)
        && request.health.clock <= registration.health.clock;
    registration.epoch == Some(request.epoch)
        && (is_older || taken.contains(&(request.number, request.id)))
}

/// Pins the key of a postoffice that has proved that it knows its invitation's secret, or that has changed its
/// key. Says whether its requests may be taken.
pub(super) fn admit(
    tables: &mut dyn Tables,
    decisions: &mut dyn DecisionsLog,
    context: &mut Context<'_>,
    (request, shown): (&Request, &KeysShown),
    sender: &Sender,
    around: &Surroundings,
) -> Result<Admission, DecideError> {
    let Some(registration) = tables.registration(&request.from)? else {
        return Ok(Admission::Open);
    };
    let mut pin = |tables: &mut dyn Tables, context: &mut Context<'_>, key: &PublicKey| {
        let (at, postoffice) = (around.now, request.from.clone());
        let decision = Decision { at, postoffice, kind: DecisionKind::Key(key.to_string()) };
        decide(tables, context, decisions, &[decision])?;
        // The decision has forgotten them.
        Ok::<_, DecideError>(put_announced(tables, &shown.sender)?)
    };
    if let By::Pin(peer) = &sender.by {
        if let Some(key) = peer.hear(tables, context, &*around.sealing, shown)? {
            pin(tables, context, &key)?;
        }
        return Ok(Admission::Open);
    }
    if is_late(&registration, request) {
        // Its sender has changed its key since: that is no second machine.
        return Ok(Admission::Late);
    }
    let expires = registration.invitation.as_ref().map(|(_, expires)| *expires);
    let refused = match expires {
        Some(expires) if around.now <= expires => None,
        Some(INVITATION_USED) => Some((Refusal::Taken, Side::Taken)),
        _ => Some((Refusal::Expired, Side::Expired)),
    };
    if let Some((refusal, side)) = refused {
        put_contact_key(tables, &shown.sender)?;
        server::tell(tables, request, side)?;
        not_admitted(tables, context, &request.from, refusal)?;
        return Ok(Admission::Refused);
    }
    pin(tables, context, shown.sender.oldest())?;
    let newcomer = Peer::pinned(shown.sender.clone());
    newcomer.hear(tables, context, &*around.sealing, shown)?;
    forget_refused(tables, &request.from)?;
    context.say(Level::Notice, Row::F5, format!("the key of {} is pinned", request.from));
    Ok(Admission::Open)
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
    // Anybody can send such requests, in any number.
    if !note_refused(tables, name, refusal, context.now)? {
        return Ok(());
    }
    let text = format!(
        "{name} is not admitted: {reason}; ask first which machine is the right one: stop the other; \
         if the right one is the one that was not admitted, `dirsync requestor add {name} \
         --folder DIR --again` invites it, and it begins in a new folder"
    );
    context.say(Level::Alarm, row, text);
    Ok(())
}
