//! How far the numbers of a message may be ahead of the numbers known here.
//!
//! A postoffice counts on from a number that it takes over, and sends it in turn. A number that is far ahead
//! was not reached by counting: it is a mistake or a forgery, and is not taken over. The limits of the
//! fields stand in `docs/message-format.md`.

use dirsync_message::{GENERATION_MAX, Request, RequestNo, ServerEpoch, Update};
use thiserror::Error;

use crate::tables::{RequestorState, ServerState};

/// Generations that a server may skip when it hears of a later epoch.
pub const GENERATION_STEP_MAX: u64 = 1 << 20;
/// Requests that an answer may be ahead of the last request made here: centuries of requests.
pub const REQUEST_STEP_MAX: u64 = 1 << 32;

/// A number of a message is further ahead than counting could have led.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OutOfBounds {
    /// A server epoch.
    #[error(
        "its server epoch {heard} is more than {step} generations ahead of {own}, which no number of \
         restores explains"
    )]
    Generation {
        /// The epoch in the message.
        heard: ServerEpoch,
        /// The epoch known here.
        own: ServerEpoch,
        /// How far it may be ahead.
        step: u64,
    },
}

/// Refuses a request that says to have heard a server epoch far ahead of this server's.
pub(crate) fn check_request(server: &ServerState, request: &Request) -> Result<(), OutOfBounds> {
    let Some(heard) = request.epoch_heard else { return Ok(()) };
    // A generation has to be left for the epoch that follows.
    if heard.generation == GENERATION_MAX {
        let (own, step) = (server.epoch, GENERATION_STEP_MAX);
        return Err(OutOfBounds::Generation { heard, own, step });
    }
    check_generation(heard, server.epoch, GENERATION_STEP_MAX)
}

/// Refuses an update of a server epoch far ahead of the last one that was heard. Requestors that lag behind
/// a server must still be able to follow it when it followed a forged epoch, so the step is twice the
/// server's. Before the first update there is nothing to compare with.
pub(crate) fn check_update(state: &RequestorState, update: &Update) -> Result<(), OutOfBounds> {
    match state.epoch_heard {
        Some(own) => check_generation(update.server_epoch, own, 2 * GENERATION_STEP_MAX),
        None => Ok(()),
    }
}

fn check_generation(heard: ServerEpoch, own: ServerEpoch, step: u64) -> Result<(), OutOfBounds> {
    if heard.generation > own.generation.saturating_add(step) {
        return Err(OutOfBounds::Generation { heard, own, step });
    }
    Ok(())
}

/// Whether the number of a request can have been reached by counting on from another one.
pub(crate) fn is_reachable(from: RequestNo, to: RequestNo) -> bool {
    to.0 <= from.0.saturating_add(REQUEST_STEP_MAX)
}
