//! Without a schedule: an own change starts T1, an arrival T2 or T3.

use std::time::Instant;

use dirsync_agent::step::requests_arrived;
use dirsync_postoffice::Postoffice;
use dirsync_postoffice::targets;
use dirsync_postoffice::trouble::is_due_again;

use super::{HEARTBEAT, Site};
use crate::commands::steps::{is_to_send, process_step};
use crate::failure::Result;

impl Site {
    /// What has changed decides.
    pub(super) fn continuous(&mut self, postoffice: &mut Postoffice, once: bool) -> Result<()> {
        self.read_sources(postoffice)?;
        let mut apply_due = apply_due(postoffice)?;
        if !postoffice.is_server && apply_due {
            self.apply(postoffice)?;
            apply_due = false;
        }
        if self.send_due(postoffice, once)? {
            self.send(postoffice)?;
            apply_due = true;
        }
        if postoffice.is_server {
            let arrived = anything_arrived(postoffice)?
                || is_due_again(&mut *postoffice.begin()?, "T2", false)?;
            if arrived || apply_due {
                let done = process_step(postoffice, true)?;
                self.show(&done);
                self.apply(postoffice)?;
                if self.send_due(postoffice, false)? {
                    // The server's own postoffice confirms like every requestor.
                    self.send(postoffice)?;
                    let done = process_step(postoffice, true)?;
                    self.show(&done);
                    self.apply(postoffice)?;
                }
            }
        }
        Ok(())
    }

    /// T1 is due for own changes that have not been sent, to confirm what was applied, and now and
    /// then to ask for what others changed.
    fn send_due(&mut self, postoffice: &mut Postoffice, once: bool) -> Result<bool> {
        let mut tables = postoffice.begin()?;
        let heartbeat = self.sent_at.is_none_or(|at| at.elapsed() >= HEARTBEAT);
        let confirm = self.confirm_at.is_some_and(|at| at <= Instant::now());
        if is_due_again(&mut *tables, "T3", true)? {
            // The same place: a number would be used up at each look at it.
            return Ok(false);
        }
        Ok(is_to_send(&mut *tables)? || confirm || heartbeat || once)
    }
}

/// T3 is due when something has arrived, or when a place or target failed last time.
fn apply_due(postoffice: &mut Postoffice) -> Result<bool> {
    let has_arrived = postoffice.carrier()?.arrived().map_or(true, |arrived| !arrived.is_empty());
    let mut tables = postoffice.begin()?;
    Ok(has_arrived
        || is_due_again(&mut *tables, "T3", false)?
        || !targets::failed(&mut *tables)?.is_empty())
}

fn anything_arrived(postoffice: &mut Postoffice) -> Result<bool> {
    let carriers = postoffice.carriers()?;
    let carriers = carriers.iter().map(|(text, carrier)| (text.clone(), &**carrier)).collect();
    Ok(requests_arrived(&mut postoffice.store, &carriers)?)
}
