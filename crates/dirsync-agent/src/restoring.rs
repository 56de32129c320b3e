//! Backups that take the place of the database. Each begins a new epoch, so that nobody confuses its
//! numbers with those of the epoch that is lost.

use dirsync_message::{Instance, ServerEpoch};
use dirsync_protocol::context::{Context, ReceiveError};
use dirsync_protocol::requestor::new_epoch;
use dirsync_protocol::server;
use dirsync_protocol::simulation::Rule;
use dirsync_protocol::tables::Tables;

use crate::decisions::{DecideError, DecisionsLog, catch_up};
use crate::peers::forget_confirmed;

/// A11: begins the new epoch of a backup that takes the database's place, and carries out the decisions that
/// are newer than it. A server then is recovering; a requestor asks for the entries that the server holds
/// of it.
///
/// # Errors
///
/// When the store fails, or the log cannot be read.
pub fn begin_anew(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    decisions: &mut dyn DecisionsLog,
) -> Result<(), DecideError> {
    begin_epochs(tables, context)?;
    forget_confirmed(tables)?;
    if tables.server()?.is_some() {
        catch_up(tables, context, decisions)?;
    }
    Ok(())
}

fn begin_epochs(tables: &mut dyn Tables, context: &mut Context<'_>) -> Result<(), ReceiveError> {
    let mut state = tables.requestor()?;
    // A person says that this copy is the postoffice now. Its epoch may have been retired since the
    // copy was made, so the new epoch descends from none (rule `told`).
    if Rule::Told.holds() {
        new_epoch(&mut state, context, false);
    } else {
        state.want_own();
    }
    tables.put_requestor(&state)?;
    server::restore(tables, context)?;
    Ok(())
}

/// Makes a copy of a directory server the server, under an instance name of its own, and carries out the
/// decisions of the log beside it that are newer than the copy. Returns the new epoch, or `None` if the
/// copy is not a server's.
///
/// # Errors
///
/// When the store fails.
pub fn promote(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    instance: Instance,
    decisions: &mut dyn DecisionsLog,
) -> Result<Option<ServerEpoch>, DecideError> {
    if !server::promote(tables, context, instance)? {
        return Ok(None);
    }
    catch_up(tables, context, decisions)?;
    Ok(tables.server()?.map(|server| server.epoch))
}
