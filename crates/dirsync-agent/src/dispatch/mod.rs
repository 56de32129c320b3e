//! Dispatch: which steps of one postoffice are due, by its database, its settings and the time.
//!
//! [`Dispatch`] is what a process remembers of a postoffice between two turns. A turn asks
//! [`Dispatch::next`] for one [`Action`] after the other until nothing is due, and tells it what came
//! of each; [`turn`] is that loop, over the [`Hands`] that do the steps. After a turn
//! [`Dispatch::wake_at`] says when the next one is due.
//!
//! *Never:* a clock, a file, a thread. `dirsync run` and the simulator drive the same Dispatch.

mod failures;
mod quiet;
mod state;
mod turn;

use std::time::Duration;

use dirsync_protocol::simulation::Rule;

use crate::schedule::Schedule;

pub use self::quiet::timestamp;
pub use self::state::{Note, State, last_change_sent, note_applied, note_sent};
use self::turn::Turn;
pub use self::turn::{Action, Done, Found, Hands, turn};

/// Without a change a request is sent this often in continuous mode, to ask for what others changed.
pub const HEARTBEAT: Duration = Duration::from_secs(5 * 60);
/// The list is verified from its content this often; in between its running sums are sent.
const VERIFY: Duration = Duration::from_secs(60 * 60);
/// What is past its time is forgotten this often.
const TIDY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an applied change waits to be confirmed: changes often come several together, and where
/// many postoffices share a machine, the others apply first.
pub const CONFIRM_PAUSE: Duration = Duration::from_millis(50);
/// How long after a step that left messages in the inbox the next one begins.
const LEFT_PAUSE: Duration = Duration::from_secs(1);

/// A reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time of day in milliseconds since 1970, as this machine has it. It may jump.
    pub wall: u64,
    /// The time since the process began. It never jumps.
    pub steady: Duration,
}

impl Moment {
    /// Whether the time of day has jumped since `earlier`. A clock that is corrected by little is no
    /// jump: what is due rests on days, hours and minutes.
    fn has_jumped_since(self, earlier: Self) -> bool {
        const DRIFT_MS: u64 = 60_000;
        let passed = self.steady.saturating_sub(earlier.steady).as_millis() as u64;
        self.wall.abs_diff(earlier.wall.saturating_add(passed)) > DRIFT_MS
    }
}

/// The settings that decide when something is due.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Weekdays and times start the steps; `None` is continuous mode, in which changes do.
    pub schedule: Option<Schedule>,
    /// A postoffice is looked at this often, whether or not anything happened.
    pub poll: Duration,
}

/// What a process remembers of one postoffice between two turns.
#[derive(Clone, Debug)]
pub struct Dispatch {
    settings: Settings,
    /// It takes one turn, for a person or a timer who has to be told everything now.
    once: bool,
    turn: Turn,
    sent_at: Option<Duration>,
    verified_at: Option<Duration>,
    /// When a changed list is to be confirmed.
    confirm_at: Option<Duration>,
    /// A step of the last turn left messages in the inbox.
    has_left: bool,
    failures: failures::Failures,
    /// Until when nothing but an event makes a turn necessary.
    quiet: Option<quiet::Quiet>,
}

impl Dispatch {
    /// A process begins to work for a postoffice; with `once` it takes one turn only.
    pub fn new(settings: Settings, once: bool) -> Self {
        Self {
            settings,
            once,
            turn: Turn::default(),
            sent_at: None,
            verified_at: None,
            confirm_at: None,
            has_left: false,
            failures: failures::Failures::default(),
            quiet: None,
        }
    }

    /// The settings as they were read last.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Begins a turn, by the settings as they are now.
    pub fn begin(&mut self, settings: Settings) {
        self.settings = settings;
        self.turn = Turn::default();
        self.has_left = false;
        self.quiet = None;
    }

    /// When the next turn is due if nothing happens before: always later than `now`.
    pub fn wake_at(&self, now: Moment) -> Duration {
        let poll = now.steady + self.settings.poll;
        if let Some(at) = self.failures.not_before().filter(|at| *at > now.steady) {
            return at;
        }
        if self.has_left {
            return poll.min(now.steady + LEFT_PAUSE);
        }
        // A confirmation whose time has passed waits for its place, which is looked at in each poll.
        let waits = |at: &Duration| *at > now.steady || !Rule::Rest.holds();
        let confirm = self.confirm_at.filter(|_| self.is_continuous()).filter(waits);
        confirm.map_or(poll, |at| at.min(poll))
    }

    /// Whether a turn that begins now has to be taken back: the last one failed a moment ago.
    pub fn has_to_wait(&self, now: Moment) -> bool {
        self.failures.not_before().is_some_and(|at| now.steady < at)
    }

    fn is_continuous(&self) -> bool {
        self.settings.schedule.is_none()
    }
}
