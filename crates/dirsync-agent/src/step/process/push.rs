//! Decides in continuous mode when requestors are answered unasked.

use dirsync_protocol::server;
use dirsync_store::Store;

use crate::notes::{ANNOUNCED, PUSHED};
use crate::step::StepError;

/// Makes unasked answers due: once for every move of the list, once when a new epoch of this server begins,
/// and once when its recovery is over.
pub(super) fn push_changes(store: &mut dyn Store) -> Result<(), StepError> {
    let mut tables = store.begin()?;
    let Some(server) = tables.server()?.filter(|server| !server.fenced) else { return Ok(()) };
    let epoch = format!("{} {}", server.epoch, server.recovering);
    let announced = tables.note(ANNOUNCED)?;
    let is_new_epoch = announced.as_ref() != Some(&epoch);
    if is_new_epoch {
        if announced.is_some() || server.recovering {
            server::announce_epoch(&mut *tables)?;
        }
        tables.put_note(ANNOUNCED, Some(&epoch))?;
    }
    let mark = format!("{} {}", server.epoch, server.head);
    let has_moved = tables.note(PUSHED)?.as_ref() != Some(&mark);
    if has_moved && server::answer_unasked(&mut *tables)? {
        tables.put_note(PUSHED, Some(&mark))?;
    } else if !is_new_epoch {
        return Ok(());
    }
    Ok(tables.commit()?)
}
