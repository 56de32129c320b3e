//! All postoffices in a few numbers.

use schemars::JsonSchema;
use serde::Serialize;

use super::requestors::RequestorStatus;
use crate::next::NextStep;
use crate::registrations::Standing;

/// A status in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Headline {
    /// The postoffices that take part; at a requestor itself.
    pub postoffices: u64,
    /// Those whose lists are as they should be, with everything confirmed.
    pub agree: u64,
    /// Those about which a person has to do something.
    pub need_you: u64,
    /// The entries of the list here.
    pub entries: u64,
    /// The step that comes first; null in continuous mode.
    pub next: Option<NextStep>,
}

impl Headline {
    pub(super) fn of(
        postoffices: &[RequestorStatus],
        entries: u64,
        next: Option<NextStep>,
    ) -> Self {
        let takes_part = |postoffice: &&RequestorStatus| postoffice.state != Standing::Removed;
        let count = |is: fn(&RequestorStatus) -> bool| {
            postoffices.iter().filter(takes_part).filter(|postoffice| is(postoffice)).count() as u64
        };
        Self {
            postoffices: count(|_| true),
            agree: count(RequestorStatus::agrees),
            need_you: count(RequestorStatus::needs_you),
            entries,
            next,
        }
    }
}
