//! Bodies that travel apart from their messages, over lines that are up now and then.

use dirsync_carrier::Transit;
use dirsync_directory::PostofficeName;
use dirsync_message::{Body, Head, OwnPart, ReqEpoch, Update};
use dirsync_protocol::simulation::Rule;
use dirsync_seal::{BodyPlace, Holding, SealedBody};
use dirsync_transit::{BodiesError, FrozenBody};

use super::Surroundings;
use crate::sealing::CarriedBody;

/// Which bodies travel apart over slow lines, and which of them are named again.
#[derive(Clone, Copy, Debug)]
pub struct UnderWayLimits {
    /// Smaller bodies travel in their messages, in bytes.
    pub apart_from_bytes: u64,
    /// Bodies that are smaller together are made anew for each message, in bytes.
    pub named_again_from_bytes: u64,
    /// Older bodies are made anew, in milliseconds.
    pub named_again_for_ms: u64,
}

impl Default for UnderWayLimits {
    fn default() -> Self {
        Self {
            apart_from_bytes: 8 * 1024,
            named_again_from_bytes: 256 * 1024,
            named_again_for_ms: 14 * 24 * 60 * 60 * 1000,
        }
    }
}

/// A peer that says so often that it has all bodies, and does not go on, needs others.
const HEARD_WHOLE_MAX: u32 = 3;

/// A body as a message names it.
#[derive(Clone, Debug)]
pub(super) struct NamedBody {
    pub sealed: SealedBody,
    pub place: BodyPlace,
}

impl NamedBody {
    /// A body in the file of its message.
    pub fn inline(body: &CarriedBody) -> Self {
        Self { sealed: body.sealed.clone(), place: BodyPlace::Inline }
    }

    /// A body that is on its way.
    pub fn apart(body: &FrozenBody) -> Self {
        let sealed = SealedBody { content: body.content, key: body.key.clone() };
        Self { sealed, place: BodyPlace::Apart }
    }
}

/// Whether a body of this size leaves in the file of its message.
pub(super) fn is_inline(around: &Surroundings, transit: &dyn Transit, body: &CarriedBody) -> bool {
    !transit.is_slow() || body.bytes.bytes() < around.under_way.apart_from_bytes
}

/// Begins to send a body that is the only one, or the first, of a message to a peer. Those before it are not
/// sent any longer.
pub(super) fn freeze_first(
    around: &Surroundings,
    peer: &PostofficeName,
    made_for: String,
    body: &CarriedBody,
) -> Result<NamedBody, BodiesError> {
    around.outbox.thaw(peer)?;
    freeze_next(around, peer, made_for, body)
}

/// Begins to send another body of a message in several parts.
pub(super) fn freeze_next(
    around: &Surroundings,
    peer: &PostofficeName,
    made_for: String,
    body: &CarriedBody,
) -> Result<NamedBody, BodiesError> {
    let SealedBody { content, key } = body.sealed.clone();
    let frozen = FrozenBody { content, key, made_for, made_at: around.now };
    around.outbox.freeze(peer, &frozen, &mut body.bytes.reader())?;
    Ok(NamedBody::apart(&frozen))
}

/// The bytes that are here of bodies of a peer, for a message to it: it does not send them again.
pub(super) fn holds(
    around: &Surroundings,
    peer: &PostofficeName,
) -> Result<Vec<Holding>, BodiesError> {
    if Rule::Came.holds() { around.outbox.holds(peer) } else { Ok(Vec::new()) }
}

/// The bodies on their way to a peer, if they are worth naming again.
fn worth_naming(
    around: &Surroundings,
    peer: &PostofficeName,
) -> Result<Vec<FrozenBody>, BodiesError> {
    if !Rule::Again.holds() {
        return Ok(Vec::new());
    }
    let limits = around.under_way;
    let (frozen, progress) = around.outbox.frozen(peer)?;
    let is_young =
        |body: &FrozenBody| around.now.saturating_sub(body.made_at) <= limits.named_again_for_ms;
    let is_worth = progress.bytes >= limits.named_again_from_bytes
        && progress.has_begun
        && progress.heard_whole < HEARD_WHOLE_MAX
        && frozen.iter().all(is_young);
    Ok(if is_worth { frozen } else { Vec::new() })
}

/// The own part of an earlier request of this epoch whose body is on its way to the server.
pub(super) fn own_part_under_way(
    around: &Surroundings,
    server: &PostofficeName,
    epoch: ReqEpoch,
) -> Result<Option<(OwnPart, FrozenBody)>, BodiesError> {
    let frozen = worth_naming(around, server)?.into_iter().next();
    Ok(frozen.and_then(|body| match Head::parse(&body.made_for) {
        Ok(Head::Request(request)) if request.epoch == epoch => Some((request.own, body)),
        _ => None,
    }))
}

/// The update for which a body was made.
fn made_for(body: &FrozenBody) -> Option<Update> {
    match Head::parse(&body.made_for) {
        Ok(Head::Update(update)) => Some(*update),
        _ => None,
    }
}

/// The parts of the list that are on their way to a requestor.
pub(super) fn list_under_way(
    around: &Surroundings,
    requestor: &PostofficeName,
) -> Result<Vec<(Body, FrozenBody)>, BodiesError> {
    let frozen = worth_naming(around, requestor)?;
    Ok(frozen.into_iter().filter_map(|body| Some((made_for(&body)?.body?, body))).collect())
}

/// The body with a requestor's submitted set that is on its way to it, if it answers the same question as `head`.
pub(super) fn own_set_under_way(
    around: &Surroundings,
    head: &Update,
) -> Result<Option<FrozenBody>, BodiesError> {
    let frozen = worth_naming(around, &head.to)?.into_iter().next();
    Ok(frozen.filter(|body| made_for(body).is_some_and(|made_for| made_for.own == head.own)))
}

/// The text by which a request is known that bodies were named for.
pub(super) fn named_for(head: &Update) -> String {
    format!("{} {}", head.answers, head.request_id)
}
