//! T2: the server takes requests and answers them.

mod admit;
mod answer;
mod opening;
mod post;
mod push;
mod take;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use dirsync_carrier::Transit;
use dirsync_directory::PostofficeName;
use dirsync_protocol::context::{Draws, Event};
use dirsync_protocol::row::Row;
use dirsync_store::Store;

use self::answer::Answering;
use self::push::push_changes;
use self::take::Taking;
use super::place::{PlaceFailure, Sent, is_away};
use super::{Interrupted, Surroundings, reported};
use crate::decisions::DecisionsLog;

pub use self::take::requests_arrived;
pub use self::waiting::STRANGERS_WAITING_MAX;

/// The step's name in the log.
const STEP: Row = Row::T2;

/// The work of T2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessReport {
    /// The events of the step, which the log has.
    pub events: Vec<Event>,
    /// Requests taken.
    pub requests: u64,
    /// Message files written.
    pub messages: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Bodies encoded. Requestors that lack the same changes share one.
    pub bodies: u64,
    /// Messages refused.
    pub refused: u64,
    /// Postoffices whose requests wait for an administrator.
    pub waiting: BTreeSet<PostofficeName>,
    /// Messages that were not looked at. The next step begins with them.
    pub left: u64,
    /// The places through which messages went, by addressee.
    pub sent: BTreeSet<Sent>,
    /// Failures of places. All other places were served.
    pub failed: Vec<PlaceFailure>,
}

/// The messages of a server at each place, by its text in the `places` of registrations.
pub type Places<'a> = BTreeMap<String, &'a dyn Transit>;

/// Takes every request that has arrived and answers each: [`take_requests`], then
/// [`answer_requests`].
///
/// With `push`, as in continuous mode, requestors are also answered unasked when the list has moved
/// ([`dirsync_protocol::server::answer_unasked`]).
///
/// # Errors
///
/// See [`Interrupted`]; what was taken before stays taken.
pub fn process(
    store: &mut dyn Store,
    places: &Places<'_>,
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
    push: bool,
) -> Result<ProcessReport, Interrupted<ProcessReport>> {
    reported(|report: &mut ProcessReport| {
        let mut draws = Draws::new(&around.seed);
        Taking { decisions, around, draws: &mut draws, report }.take_all(store, places)?;
        if push {
            push_changes(store)?;
        }
        // The answers of postoffices whose places in use are away stay due.
        let mut places = places.clone();
        places.retain(|place, _| !is_away(&report.failed, place));
        Answering::new(around, &mut draws, report).answer_all(store, &places)
    })
}

/// The first half of [`process`]. A server that crashes between the halves has done just this.
///
/// # Errors
///
/// As [`process`].
pub fn take_requests(
    store: &mut dyn Store,
    places: &Places<'_>,
    decisions: &mut dyn DecisionsLog,
    around: &Surroundings,
) -> Result<ProcessReport, Interrupted<ProcessReport>> {
    reported(|report| {
        let mut draws = Draws::new(&around.seed);
        Taking { decisions, around, draws: &mut draws, report }.take_all(store, places)
    })
}

/// The second half of [`process`]: answers every requestor that is due and reached through one of
/// the places: the first one that takes the answer, up to the one in use ([`crate::route`]).
///
/// # Errors
///
/// As [`process`]. Answers that were prepared and not sent are due again.
pub fn answer_requests(
    store: &mut dyn Store,
    places: &Places<'_>,
    around: &Surroundings,
    push: bool,
) -> Result<ProcessReport, Interrupted<ProcessReport>> {
    reported(|report| {
        if push {
            push_changes(store)?;
        }
        let mut draws = Draws::new(&around.seed);
        Answering::new(around, &mut draws, report).answer_all(store, places)
    })
}
