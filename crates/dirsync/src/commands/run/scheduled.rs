//! With a schedule: its weekdays and times start the steps.
//!
//! A step that could not use a place, source or target stays due until it could, at each poll of its
//! run window: who was reached is not kept waiting, and who was not is no day late.

use dirsync_postoffice::notes::MISSED;
use dirsync_postoffice::{Postoffice, log_within, now_ms};
use dirsync_protocol::context::Level;
use dirsync_agent::schedule::{Due, Schedule, Step, clock_jump};
use jiff::Timestamp;

use super::{DAY, Site};
use crate::commands::steps::{is_to_send, process_step};
use crate::failure::Result;

impl Site {
    /// The weekday and time decide.
    pub(super) fn scheduled(
        &mut self,
        postoffice: &mut Postoffice,
        schedule: &Schedule,
    ) -> Result<()> {
        for step in [Step::Send, Step::Process, Step::Apply] {
            if step == Step::Process && !postoffice.is_server {
                continue;
            }
            match self.due(postoffice, schedule, step)? {
                Due::Now { scheduled_for } => self.run_step(postoffice, step, scheduled_for)?,
                Due::Missed { scheduled_for, .. } => self.miss(postoffice, step, scheduled_for)?,
                Due::At(_) | Due::Never => {}
            }
        }
        Ok(())
    }

    fn due(&mut self, postoffice: &mut Postoffice, schedule: &Schedule, step: Step) -> Result<Due> {
        let last =
            note(postoffice, &last_run(step))?.and_then(|text| text.parse::<Timestamp>().ok());
        let now = Timestamp::from_millisecond(now_ms() as i64).unwrap_or(Timestamp::MIN);
        let Some(last) = last else {
            // From now on: what was due before this agent ever ran was nobody's to miss.
            postoffice.put_note(&last_run(step), Some(&now.to_string()))?;
            return Ok(Due::Never);
        };
        if clock_jump(last, now, DAY).is_some_and(|jump| jump.is_negative()) {
            // A clock that was ahead must not silence a postoffice until it is there again.
            let text = "the clock went back; the schedule begins anew";
            self.say(&step.to_string(), Level::Warning, text);
            postoffice.put_note(&last_run(step), Some(&now.to_string()))?;
            return Ok(Due::Never);
        }
        Ok(schedule.due(step, Some(last), now))
    }

    fn run_step(
        &mut self,
        postoffice: &mut Postoffice,
        step: Step,
        scheduled_for: Timestamp,
    ) -> Result<()> {
        let again = is_incomplete(postoffice, step, scheduled_for)?;
        let complete = match step {
            Step::Send => {
                let has_read = self.read_sources(postoffice)?;
                let waits = is_to_send(&mut *postoffice.begin()?)?;
                // At each look at a place that is away a number would be used up.
                let may_send = !again || waits && postoffice.carrier()?.arrived().is_ok();
                let has_sent = if may_send { self.send(postoffice)? } else { !waits };
                has_read && has_sent
            }
            Step::Process => {
                let done = process_step(postoffice, false)?;
                self.show(&done);
                done.failed.is_empty()
            }
            Step::Apply => self.apply(postoffice)?,
        };
        if self.has_left {
            // It is due until it has looked at everything.
            return Ok(());
        }
        let mut tables = postoffice.begin()?;
        if complete {
            tables.put_note(&last_run(step), Some(&scheduled_for.to_string()))?;
            tables.put_note(&incomplete(step), None)?;
            tables.put_note(&missed(step), None)?;
        } else {
            tables.put_note(&incomplete(step), Some(&scheduled_for.to_string()))?;
        }
        Ok(tables.commit()?)
    }

    /// A step's run window is over. One that ran and could not use every place is not missed.
    fn miss(
        &mut self,
        postoffice: &mut Postoffice,
        step: Step,
        scheduled_for: Timestamp,
    ) -> Result<()> {
        let ran = is_incomplete(postoffice, step, scheduled_for)?;
        let text = format!("{step} of {scheduled_for} missed its run window");
        let mut tables = postoffice.begin()?;
        tables.put_note(&last_run(step), Some(&scheduled_for.to_string()))?;
        tables.put_note(&incomplete(step), None)?;
        if !ran {
            tables.put_note(&missed(step), Some(&text))?;
            log_within(&mut *tables, &step.to_string(), &text, &[])?;
        }
        tables.commit()?;
        if !ran {
            self.say(&step.to_string(), Level::Warning, &text);
        }
        Ok(())
    }
}

/// The note of the time for which a step ran last.
fn last_run(step: Step) -> String {
    format!("last_run:{step}")
}

/// The note of the time for which a step ran and could not use every place.
fn incomplete(step: Step) -> String {
    format!("incomplete:{step}")
}

/// The note by which `status` tells of a step that missed its window, until it has run again.
fn missed(step: Step) -> String {
    format!("{MISSED}{step}")
}

fn is_incomplete(
    postoffice: &mut Postoffice,
    step: Step,
    scheduled_for: Timestamp,
) -> Result<bool> {
    Ok(note(postoffice, &incomplete(step))?.is_some_and(|at| at == scheduled_for.to_string()))
}

fn note(postoffice: &mut Postoffice, name: &str) -> Result<Option<String>> {
    Ok(postoffice.begin()?.note(name)?)
}
