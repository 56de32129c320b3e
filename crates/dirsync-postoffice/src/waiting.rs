//! What waits for a person at one postoffice, in the circumstances of its folder.

use dirsync_agent::waiting::{Circumstances, Waiting};

use crate::failure::Result;
use crate::postoffice::Postoffice;
use crate::time::now_ms;

/// What waits at a postoffice, is overdue or failed.
pub fn of(postoffice: &mut Postoffice) -> Result<Waiting> {
    let away = postoffice.away()?;
    let log = postoffice.log_state()?;
    let config = postoffice.config.clone();
    let around = Circumstances {
        schedule: config.schedule.as_ref(),
        sources: config.sources.iter().map(|source| source.name.as_str()).collect(),
        away,
        log,
        never: config.never(postoffice.is_server),
        windows: postoffice.windows_of_peers()?,
    };
    Ok(Waiting::of(&mut *postoffice.begin()?, &around, now_ms())?)
}
