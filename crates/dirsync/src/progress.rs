//! Progress of long work, on a terminal only: it is drawn on standard error, and taken away when the
//! work ends.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the time is drawn anew.
const TICK: Duration = Duration::from_millis(200);
const AT_WORK: &str = "{spinner} {msg}, {elapsed}";
const OF_UNKNOWN_SIZE: &str = "{spinner} {msg}: {human_pos}, {per_sec}, {elapsed}";
const OF_KNOWN_SIZE: &str =
    "{spinner} {msg}: {human_pos} of about {human_len}, {per_sec}, {eta} left";

/// Work under way.
pub struct Progress(ProgressBar);

impl Progress {
    /// Work of which only the time is known.
    pub fn of(work: &'static str) -> Self {
        Self::drawn(ProgressBar::new_spinner(), work, AT_WORK)
    }

    /// Work that counts; `about` is how much it was last time.
    pub fn counting(work: &'static str, about: Option<u64>) -> Self {
        match about {
            Some(about) => Self::drawn(ProgressBar::new(about), work, OF_KNOWN_SIZE),
            None => Self::drawn(ProgressBar::new_spinner(), work, OF_UNKNOWN_SIZE),
        }
    }

    fn drawn(bar: ProgressBar, work: &'static str, template: &str) -> Self {
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(work);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// So much is done.
    pub fn at(&self, count: u64) {
        self.0.set_position(count);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
