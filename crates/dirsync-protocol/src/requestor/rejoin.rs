//! New epochs of a requestor.

use dirsync_message::{LINEAGE_MAX, ReqEpoch};

use crate::context::{Context, Level};
use crate::row::Row;
use crate::tables::{Mode, RequestorState, Stored, Tables};

/// Begins a new epoch: all own entries will be exported again and merged. With `descends`, the
/// present epoch becomes an ancestor; without, a person decided that this machine is the one to
/// keep, and it starts with no lineage. The merge gives it its former epochs as ancestors (M10).
pub fn new_epoch(state: &mut RequestorState, context: &mut Context<'_>, descends: bool) {
    let ancestors = match descends {
        true => &mut state.lineage,
        false => {
            state.former_epochs.append(&mut state.lineage);
            &mut state.former_epochs
        }
    };
    ancestors.push(state.epoch);
    // The oldest ancestors are the ones that no server has in force any more.
    let too_many = ancestors.len().saturating_sub(LINEAGE_MAX);
    ancestors.drain(..too_many);
    state.epoch = ReqEpoch(context.draws.token());
    state.epoch_accepted = false;
    state.mode = Mode::WantOwn;
    state.req_sync = dirsync_message::ReqSeq(0);
    state.request_due = true;
}

/// A4, `rejoin`: a person's word that this machine is the one to keep. It is fenced, or `is_copy` says that
/// its folder was copied: then the machine that it was copied from is fenced when both send. One that was
/// removed asks the server once more, which may have taken the removal back (A1a). Returns whether it sends
/// again.
///
/// # Errors
///
/// When the store fails.
pub fn rejoin(tables: &mut dyn Tables, context: &mut Context<'_>, is_copy: bool) -> Stored<bool> {
    let mut state = tables.requestor()?;
    if state.mode == Mode::Removed && !is_copy {
        state.mode = Mode::Normal;
        state.request_due = true;
        context.say(Level::Notice, Row::A4, "asks the server again whether it takes part");
        tables.put_requestor(&state)?;
        return Ok(true);
    }
    let rejoins = state.mode == Mode::Fenced || state.mode != Mode::Removed && is_copy;
    if rejoins {
        new_epoch(&mut state, context, false);
        context.say(Level::Notice, Row::A4, format!("rejoined with the new epoch {}", state.epoch));
        tables.put_requestor(&state)?;
    }
    Ok(rejoins)
}
