//! The lines of a postoffice to its slow places: each works in a thread of its own, outside of the postoffice's lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use dirsync_carrier::Place;
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
/// The same of a link, which may be up for ten minutes a night. It costs little to try.
const LINK_PAUSE: Duration = Duration::from_secs(1);
const LINK_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The lines of one postoffice.
pub(super) struct Lines {
    stop: Arc<AtomicBool>,
    waker: Sender<()>,
    ended: (Sender<Ended>, Receiver<Ended>),
    states: BTreeMap<String, State>,
}

/// The end of a line's work.
enum Ended {
    Exchange(Box<LineReport>),
    /// It listened at a link for so long that it begins anew, or with this end.
    Listening(String, Option<Box<LineReport>>),
}

/// The state of one line.
struct State {
    settings: PlaceSettings,
    works: bool,
    /// Whether it listens for what comes over a link.
    listens: bool,
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
        while let Ok(ended) = self.ended.1.try_recv() {
            let (place, report) = match &ended {
                Ended::Exchange(report) => (&report.place, Some(report)),
                Ended::Listening(place, report) => (place, report.as_ref()),
            };
            if let Some(report) = report {
                lines.extend(postoffice.note_line(report)?);
            }
            let Some(state) = self.states.get_mut(place) else { continue };
            match ended {
                Ended::Exchange(_) => state.works = false,
                Ended::Listening(..) => state.listens = false,
            }
            let Some(report) = report else { continue };
            state.failures = if report.failed.is_some() { state.failures + 1 } else { 0 };
            let pause = state.pause(postoffice.config.poll);
            state.due = Instant::now() + if report.has_more() { Duration::ZERO } else { pause };
        }
        Ok(lines)
    }

    /// Begins to work at each line that is due, or for which something waits.
    pub(super) fn begin(&mut self, postoffice: &mut Postoffice) -> Result<()> {
        let lines = postoffice.lines()?;
        let is_continuous = postoffice.config.schedule.is_none();
        let now = Instant::now();
        self.states.retain(|place, state| {
            state.works || state.listens || lines.iter().any(|line| line.place() == *place)
        });
        for line in lines {
            let settings = line.settings().clone();
            let state = self.states.entry(line.place()).or_insert_with(|| State {
                settings: settings.clone(),
                works: false,
                listens: false,
                due: now,
                failures: 0,
            });
            state.settings = settings;
            if !line.is_up() {
                continue;
            }
            let line = Arc::new(line);
            let is_wanted = state.failures == 0 && line.has_waiting();
            let exchanges = !state.works && (state.due <= now || is_wanted);
            let is_heard = state.failures == 0 && line.can_listen();
            let listens = is_continuous && !state.listens && is_heard;
            (state.works, state.listens) = (state.works || exchanges, state.listens || listens);
            if exchanges {
                self.exchange(Arc::clone(&line))?;
            }
            if listens {
                self.listen(line)?;
            }
        }
        Ok(())
    }

    /// Works at all lines whose windows are open, one after the other.
    pub(super) fn work_once(&self, postoffice: &mut Postoffice) -> Result<Vec<LogLine>> {
        let stop = Arc::clone(&self.stop);
        postoffice.exchange(&|| stop.load(Ordering::Relaxed))
    }

    fn exchange(&self, line: Arc<Line>) -> Result<()> {
        let stop = Arc::clone(&self.stop);
        self.spawn("line", move || {
            Ended::Exchange(Box::new(line.exchange(&|| stop.load(Ordering::Relaxed))))
        })
    }

    /// Waits at the other end of a link until something comes, and takes it.
    fn listen(&self, line: Arc<Line>) -> Result<()> {
        let stop = Arc::clone(&self.stop);
        self.spawn("news", move || {
            let report = line.listen(&|| stop.load(Ordering::Relaxed));
            Ended::Listening(line.place(), report.map(Box::new))
        })
    }

    fn spawn(&self, name: &str, work: impl FnOnce() -> Ended + Send + 'static) -> Result<()> {
        let (waker, sender) = (self.waker.clone(), self.ended.0.clone());
        std::thread::Builder::new().name(name.into()).spawn(move || {
            // Nobody waits for it when the agent has ended.
            let _ = sender.send(work());
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
            Some(times) => {
                let (first, longest) = match self.settings.place {
                    Place::Link(_) => (LINK_PAUSE, LINK_PAUSE_MAX),
                    Place::Folder(_) | Place::Local | Place::Mail(_) => (PAUSE, PAUSE_MAX),
                };
                first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
            }
        }
    }
}
