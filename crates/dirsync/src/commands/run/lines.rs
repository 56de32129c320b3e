//! The lines of a postoffice to its slow places: each works in a thread of its own, outside of the postoffice's lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use dirsync_postoffice::Postoffice;
use dirsync_postoffice::config::PlaceSettings;
use dirsync_postoffice::lines::{Line, LineReport};
use dirsync_protocol::tables::LogLine;
use jiff::Timestamp;

use crate::failure::Result;

/// The pause after the first failure of a line. It doubles with each one.
const PAUSE: Duration = Duration::from_secs(60);
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// The lines of one postoffice.
pub(super) struct Lines {
    stop: Arc<AtomicBool>,
    waker: Sender<()>,
    ended: (Sender<LineReport>, Receiver<LineReport>),
    states: BTreeMap<String, State>,
}

/// The state of one line.
struct State {
    settings: PlaceSettings,
    works: bool,
    /// When it is to work next, if its window is open.
    due: Instant,
    /// How often it failed in a row.
    failures: u32,
}

impl Lines {
    pub(super) fn new(stop: Arc<AtomicBool>, waker: Sender<()>) -> Self {
        Self { stop, waker, ended: channel(), states: BTreeMap::new() }
    }

    /// Whether a line has ended, or is to begin.
    pub(super) fn is_due(&self) -> bool {
        let now = Instant::now();
        self.states.values().any(|state| state.is_due(now))
    }

    /// Notes what the lines did that have ended.
    pub(super) fn note_ended(&mut self, postoffice: &mut Postoffice) -> Result<Vec<LogLine>> {
        let mut lines = Vec::new();
        while let Ok(report) = self.ended.1.try_recv() {
            lines.extend(postoffice.note_line(&report)?);
            let Some(state) = self.states.get_mut(&report.place) else { continue };
            state.works = false;
            state.failures = if report.failed.is_some() { state.failures + 1 } else { 0 };
            let pause = state.pause(postoffice.config.poll);
            state.due = Instant::now() + if report.has_more() { Duration::ZERO } else { pause };
        }
        Ok(lines)
    }

    /// Begins to work at each line that is due, or for which something waits.
    pub(super) fn begin(&mut self, postoffice: &mut Postoffice) -> Result<()> {
        let lines = postoffice.lines()?;
        let now = Instant::now();
        self.states
            .retain(|place, state| state.works || lines.iter().any(|line| line.place() == *place));
        for line in lines {
            let settings = line.settings().clone();
            let state = self.states.entry(line.place()).or_insert_with(|| State {
                settings: settings.clone(),
                works: false,
                due: now,
                failures: 0,
            });
            state.settings = settings;
            let is_wanted = state.failures == 0 && line.has_waiting();
            if !state.works && line.is_up() && (state.due <= now || is_wanted) {
                state.works = true;
                self.spawn(line)?;
            }
        }
        Ok(())
    }

    /// Works at all lines whose windows are open, one after the other.
    pub(super) fn work_once(&self, postoffice: &mut Postoffice) -> Result<Vec<LogLine>> {
        let stop = Arc::clone(&self.stop);
        postoffice.exchange(&|| stop.load(Ordering::Relaxed))
    }

    fn spawn(&self, line: Line) -> Result<()> {
        let (stop, waker, sender) =
            (Arc::clone(&self.stop), self.waker.clone(), self.ended.0.clone());
        std::thread::Builder::new().name("line".into()).spawn(move || {
            let report = line.exchange(&|| stop.load(Ordering::Relaxed));
            // Nobody waits for it when the agent has ended.
            let _ = sender.send(report);
            let _ = waker.send(());
        })?;
        Ok(())
    }
}

impl State {
    fn is_due(&self, now: Instant) -> bool {
        !self.works && self.due <= now && self.settings.is_open(Timestamp::now())
    }

    fn pause(&self, poll: Duration) -> Duration {
        match self.failures.checked_sub(1) {
            None => poll,
            Some(times) => PAUSE.saturating_mul(2_u32.saturating_pow(times)).min(PAUSE_MAX),
        }
    }
}
