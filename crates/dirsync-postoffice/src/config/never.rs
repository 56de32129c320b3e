//! Steps that a schedule never runs, although each of its lines is well formed.

use dirsync_agent::alarm::Never;
use dirsync_agent::schedule::{Schedule, Step};

use super::Config;

impl Config {
    /// What never happens on the schedule of a postoffice.
    pub fn never(&self, is_server: bool) -> Vec<Never> {
        let Some(schedule) = &self.schedule else { return Vec::new() };
        let mut never = Vec::new();
        for step in [Step::Send, Step::Process, Step::Apply] {
            let scheduled = schedule.times.iter().any(|time| time.step() == step);
            let wanted = is_server || step != Step::Process;
            if wanted && !scheduled {
                never.push(Never::NoTime { step });
            }
            if !wanted && scheduled {
                never.push(Never::OnlyAtServer { step });
            }
        }
        never.extend(too_narrow(self, schedule));
        never
    }
}

/// The agent looks at the clock once in each poll: a shorter window may be over before it looks.
fn too_narrow(config: &Config, schedule: &Schedule) -> Option<Never> {
    (schedule.window < config.poll).then_some(Never::ShortWindow {
        window_seconds: schedule.window.as_secs(),
        poll_seconds: config.poll.as_secs(),
    })
}
