//! Without a schedule: an own change starts T1, an arrival T2 or T3.

use std::time::Instant;

use dirsync_agent::step::requests_arrived;

use super::{HEARTBEAT, Site};
use crate::commands::steps::{is_to_send, process_step};
use crate::commands::targets;
use crate::failure::Outcome;
use crate::office::Office;
use crate::trouble::is_due_again;

impl Site {
    /// What has changed decides.
    pub(super) fn continuous(&mut self, office: &mut Office, once: bool) -> Outcome<()> {
        self.read_sources(office)?;
        let mut apply_due = apply_due(office)?;
        if !office.is_server && apply_due {
            self.apply(office)?;
            apply_due = false;
        }
        if self.send_due(office, once)? {
            self.send(office)?;
            apply_due = true;
        }
        if office.is_server {
            let arrived =
                anything_arrived(office)? || is_due_again(&mut *office.begin()?, "T2", false)?;
            if arrived || apply_due {
                let done = process_step(office, true)?;
                self.show(&done);
                self.apply(office)?;
                if self.send_due(office, false)? {
                    // The server's own postoffice confirms like every requestor.
                    self.send(office)?;
                    let done = process_step(office, true)?;
                    self.show(&done);
                    self.apply(office)?;
                }
            }
        }
        Ok(())
    }

    /// T1 is due for own changes that have not been sent, to confirm what was applied, and now and
    /// then to ask for what others changed.
    fn send_due(&mut self, office: &mut Office, once: bool) -> Outcome<bool> {
        let mut tables = office.begin()?;
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
fn apply_due(office: &mut Office) -> Outcome<bool> {
    let has_arrived = office.carrier()?.arrived().map_or(true, |arrived| !arrived.is_empty());
    let mut tables = office.begin()?;
    Ok(has_arrived
        || is_due_again(&mut *tables, "T3", false)?
        || !targets::failed(&mut *tables)?.is_empty())
}

fn anything_arrived(office: &mut Office) -> Outcome<bool> {
    let carriers = office.carriers()?;
    let carriers = carriers.iter().map(|(text, carrier)| (text.clone(), &**carrier)).collect();
    Ok(requests_arrived(&mut office.store, &carriers)?)
}
