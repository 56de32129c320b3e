//! First contact: a postoffice that knows its invitation's secret is admitted, and its key is pinned.

use dirsync_message::{Request, Side};
use dirsync_protocol::context::{Context, Level};
use dirsync_protocol::invitation::is_proof;
use dirsync_protocol::row::Row;
use dirsync_protocol::server;
use dirsync_protocol::tables::Tables;

use crate::decisions::{DecideError, Decision, DecisionKind, DecisionsLog, decide};
use crate::step::Surroundings;
use crate::waiting::{forget_refused, note_refused};

/// Pins the key of a postoffice that proves that it knows its invitation's secret. Returns whether its
/// requests may be taken.
pub(super) fn admit(
    tables: &mut dyn Tables,
    decisions: &mut dyn DecisionsLog,
    context: &mut Context<'_>,
    request: &Request,
    around: &Surroundings,
) -> Result<bool, DecideError> {
    let Some(registration) = tables.registration(&request.from)? else { return Ok(true) };
    let Some(admission) = &request.admission else {
        let known = registration.key.is_some() || registration.epoch.is_some();
        if !known {
            context.say(Level::Warning, Row::F3, format!("{} sent no invitation", request.from));
        }
        return Ok(known);
    };
    if registration.key.as_deref() == Some(&admission.key) {
        return Ok(true);
    }
    let admitted = registration.invitation.as_ref().is_some_and(|(verifier, expires)| {
        is_proof(&admission.proof, verifier, &admission.key) && around.now <= *expires
    });
    if !admitted {
        let (row, side, reason) = match (&registration.invitation, &registration.key) {
            (None, Some(_)) => (Row::F6, Side::Taken, "another machine has this name already"),
            (Some((_, expires)), _) if around.now > *expires => {
                (Row::F7, Side::Expired, "its invitation has expired")
            }
            _ => (Row::F8, Side::Uninvited, "its secret is not that of the invitation"),
        };
        server::tell(tables, request, side)?;
        note_refused(tables, &request.from, side, around.now)?;
        let name = &request.from;
        let text = format!(
            "{name} is not admitted: {reason}; ask first which machine is the right one: stop the other; \
             if the right one is the one that was not admitted, `dirsync requestor add {name} \
             --folder DIR --again` invites it, and it begins in a new folder"
        );
        context.say(Level::Alarm, row, text);
        return Ok(false);
    }
    let decision = Decision {
        at: around.now,
        postoffice: request.from.clone(),
        kind: DecisionKind::Key(admission.key.clone()),
    };
    decide(tables, context, decisions, &[decision])?;
    forget_refused(tables, &request.from)?;
    context.say(Level::Notice, Row::F5, format!("the key of {} is pinned", request.from));
    Ok(true)
}
