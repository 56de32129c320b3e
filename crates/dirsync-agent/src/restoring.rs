//! Older copies that take the database's place: they begin new epochs, so that nobody takes the numbers of
//! the epoch that is lost for those of this one.

use dirsync_message::{Instance, ServerEpoch};
use dirsync_protocol::context::{Context, ReceiveError};
use dirsync_protocol::requestor::new_epoch;
use dirsync_protocol::server;
use dirsync_protocol::simulation::Rule;
use dirsync_protocol::tables::Tables;

use crate::decisions::{DecideError, DecisionsLog, catch_up};

/// A11: begins new epochs in a copy that takes the database's place, and carries out every decision since
/// the copy was made. The copy of a server is recovering then; a requestor asks for its own entries as the
/// server holds them.
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
    if tables.server()?.is_some() {
        catch_up(tables, context, decisions)?;
    }
    Ok(())
}

fn begin_epochs(tables: &mut dyn Tables, context: &mut Context<'_>) -> Result<(), ReceiveError> {
    let mut state = tables.requestor()?;
    // A person's word that this copy is the postoffice now: its own epoch may have been retired since
    // the copy was made, so it takes part with one that descends from nobody (rule `told`).
    if Rule::Told.holds() {
        new_epoch(&mut state, context, false);
    } else {
        state.want_own();
    }
    tables.put_requestor(&state)?;
    server::restore(tables, context)?;
    Ok(())
}

/// Makes a copy of a directory server the server, under an instance name of its own, and makes every
/// decision of the log that came with it take effect: the log may be newer than the copy. Returns the
/// new epoch; `None` if the copy is not a server's.
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
