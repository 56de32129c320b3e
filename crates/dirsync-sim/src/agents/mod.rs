//! Agents of a world: processes that look after postoffices by the shipped Dispatch.
//!
//! In such a world nobody says when a step is done. Time goes from one waking to the next; what is due
//! then is decided by `dirsync_agent::dispatch`, and [`record`] has a second opinion of it.

mod hands;
mod pace;
mod record;
mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use dirsync_agent::dispatch::{Dispatch, Moment};

pub use self::pace::Pace;
use self::record::Record;

/// What looks after one postoffice.
#[derive(Clone)]
pub struct Agent {
    dispatch: Dispatch,
    pace: Pace,
    /// When its process began.
    began: u64,
    runs: bool,
    /// When its next turn is due.
    wake_at: u64,
    /// Something happened at its postoffice since its last turn.
    touched: bool,
    /// The minute and the number of turns in it.
    turns: (u64, u32),
    record: Record,
}

impl Agent {
    fn moment(&self, now: u64, wall: u64) -> Moment {
        Moment { wall, steady: Duration::from_millis(now - self.began) }
    }
}

/// The agents of a world, by the site that each looks after.
pub type Agents = BTreeMap<String, Agent>;
