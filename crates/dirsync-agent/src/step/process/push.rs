//! Who is answered unasked in continuous mode.

use dirsync_protocol::server;
use dirsync_store::Store;

use crate::notes::{ANNOUNCED, PUSHED};
use crate::step::StepError;

/// Lets requestors be answered unasked: once for every move of the list, once when a new life of this
/// server begins, and once when its recovery is over.
pub(super) fn push_changes(store: &mut dyn Store) -> Result<(), StepError> {
    let mut tables = store.begin()?;
    let Some(server) = tables.server()?.filter(|server| !server.fenced) else { return Ok(()) };
    let life = format!("{} {}", server.epoch, server.recovering);
    let announced = tables.note(ANNOUNCED)?;
    let is_new_life = announced.as_ref() != Some(&life);
    if is_new_life {
        if announced.is_some() || server.recovering {
            server::announce_epoch(&mut *tables)?;
        }
        tables.put_note(ANNOUNCED, Some(&life))?;
    }
    let mark = format!("{} {}", server.epoch, server.head);
    let has_moved = tables.note(PUSHED)?.as_ref() != Some(&mark);
    if has_moved && server::answer_unasked(&mut *tables)? {
        tables.put_note(PUSHED, Some(&mark))?;
    } else if !is_new_life {
        return Ok(());
    }
    Ok(tables.commit()?)
}
