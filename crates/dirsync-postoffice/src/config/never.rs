//! Steps that a schedule never runs, although each of its lines is well formed.

use dirsync_agent::schedule::{Schedule, Step};

use super::Config;

/// Why a step must have its times.
fn without(step: Step) -> &'static str {
    match step {
        Step::Send => "nothing of its own leaves, and no updates are asked for",
        Step::Process => "no request is ever taken or answered",
        Step::Apply => "no update is ever applied",
    }
}

impl Config {
    /// The steps that never run on the schedule of a postoffice, in words.
    pub fn never(&self, is_server: bool) -> Vec<String> {
        let Some(schedule) = &self.schedule else { return Vec::new() };
        let mut words = Vec::new();
        for step in [Step::Send, Step::Process, Step::Apply] {
            let scheduled = schedule.times.iter().any(|time| time.step() == step);
            let wanted = is_server || step != Step::Process;
            if wanted && !scheduled {
                words.push(format!("\"schedule.times\" has no line for {step}: {}", without(step)));
            }
            if !wanted && scheduled {
                words.push(format!(
                    "{step} in \"schedule.times\" never runs: only the server does it"
                ));
            }
        }
        words.extend(too_narrow(self, schedule));
        words
    }
}

/// The agent looks at the clock once in each poll: a shorter window may be over before it looks.
fn too_narrow(config: &Config, schedule: &Schedule) -> Option<String> {
    (schedule.window < config.poll).then(|| {
        format!(
            "\"schedule.window\" ({} s) is shorter than \"schedule.poll\" ({} s): the agent may look \
             only when a window is over, and the step does not run",
            schedule.window.as_secs(),
            config.poll.as_secs()
        )
    })
}
