//! Whether this server is still the server: S4a to S5 and S14.
//!
//! A requestor that knows no more than its own key can claim any epoch and point. Only one with evidence
//! was issued by this server or a copy of it.

use dirsync_message::{ServerEpoch, SyncPoint};

use super::case::Case;
use super::reception::Reception;
use crate::context::{Level, ReceiveError};
use crate::row::Row;
use crate::simulation::Rule;
use crate::tables::{IssuedPoint, Stored};

/// Later epochs of its own instance that a server takes for epochs that a restore lost. The next one
/// shows that a copy of the server runs.
const OVERTAKEN_MAX: u64 = 2;
/// The time within which they count, in milliseconds: four turns of two copies that run once a week.
const OVERTAKEN_WITHIN_MS: u64 = 35 * 24 * 60 * 60 * 1000;

/// Whether this server goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the server, perhaps with a new epoch.
    Serves,
    /// It was replaced and answers nobody any more.
    Fenced,
}

impl Standing {
    pub(super) fn is_fenced(self) -> bool {
        self == Self::Fenced
    }
}

impl Reception<'_> {
    /// S4a to S5: the sender may have heard a later epoch of the server.
    pub(super) fn compare_server_epochs(&mut self) -> Result<Standing, ReceiveError> {
        let own = self.case.server.epoch;
        let from = &self.request.from;
        let Some(heard) = self.request.epoch_heard.filter(|heard| is_news(heard, &own)) else {
            return Ok(Standing::Serves);
        };
        if !self.case.context.evidence.proves_epoch(&heard, self.request.epoch_evidence) {
            let text = format!(
                "{from} claims to have heard the later epoch {heard} without evidence: the claim is \
                 ignored"
            );
            self.say(Level::Warning, Row::S4a, text);
            return Ok(Standing::Serves);
        }
        if is_other_instance(&heard, &own) {
            let text = format!(
                "replaced by instance {}: {from} heard its epoch {heard}, this server has {own}; it \
                 answers nobody any more",
                heard.instance
            );
            return Ok(self.fence(Row::S4, text));
        }
        if self.case.is_overtaken_again() {
            let text = format!(
                "{from} heard the later epoch {heard}, the {OVERTAKEN_MAX} before were this server's \
                 own: a copy of it goes on beside it; it answers nobody any more"
            );
            return Ok(self.fence(Row::S5a, text));
        }
        let text = format!("{from} heard the later epoch {heard}: this server was restored");
        self.say(Level::Alarm, Row::S5, text);
        self.begin_server_epoch(heard)?;
        Ok(Standing::Serves)
    }

    /// S14a and S14: the sender's point is of this epoch, but this server does not know it. With evidence, the
    /// server issued it in a time that a restore lost. Without evidence, B3 or B4 answers the unknown point.
    pub(super) fn check_point(&mut self, issued: Option<IssuedPoint>) -> Result<(), ReceiveError> {
        let Some(point) = self.request.point else { return Ok(()) };
        if self.case.can_stand_at(&point, issued) {
            return Ok(());
        }
        let (from, number) = (&self.request.from, point.srv_seq);
        if !self.case.context.evidence.proves_point(&point, self.request.point_evidence) {
            let text = format!(
                "{from} claims without evidence to stand at {number}, which this server never issued: \
                 the point counts as unknown"
            );
            self.say(Level::Warning, Row::S14a, text);
            return Ok(());
        }
        let text = format!(
            "{from} stands at {number}, which this server lost: it was restored from a backup"
        );
        self.say(Level::Alarm, Row::S14, text);
        Ok(self.begin_server_epoch(point.epoch)?)
    }

    fn begin_server_epoch(&mut self, over: ServerEpoch) -> Stored<()> {
        self.registration.begin_epoch();
        self.case.begin_epoch(over, self.case.server.epoch.instance)
    }

    fn fence(&mut self, row: Row, text: String) -> Standing {
        self.case.server.fenced = true;
        self.say(Level::Alarm, row, text);
        Standing::Fenced
    }
}

/// Whether a server epoch that a requestor heard is later than this server's.
fn is_news(heard: &ServerEpoch, own: &ServerEpoch) -> bool {
    heard.is_newer_than(own) || heard != own && !Rule::GenerationOrder.holds()
}

fn is_other_instance(heard: &ServerEpoch, own: &ServerEpoch) -> bool {
    heard.instance != own.instance && Rule::Instance.holds()
}

impl Case<'_> {
    /// S5a: whether this server began anew over later epochs of its own so often that they are no lost
    /// ones. After a restore nobody goes on with them; a copy that takes turns with this server does.
    fn is_overtaken_again(&mut self) -> bool {
        let (server, now) = (&mut self.server, self.context.now);
        if now.saturating_sub(server.overtaken_at) > OVERTAKEN_WITHIN_MS {
            server.overtaken = 0;
        }
        if server.overtaken >= OVERTAKEN_MAX && Rule::ServerDoubled.holds() {
            return true;
        }
        server.overtaken += 1;
        server.overtaken_at = now;
        false
    }

    /// Whether a requestor can stand at a point: one of another epoch says nothing of this one, and a
    /// point of this epoch was issued with its mark.
    fn can_stand_at(&self, point: &SyncPoint, issued: Option<IssuedPoint>) -> bool {
        !point.epoch.is_same_generation(&self.server.epoch)
            || !self.is_marked(point)
            || issued.is_some_and(|issued| issued.mark == point.mark)
    }

    /// Whether a point of this epoch has a mark that this server remembers.
    fn is_marked(&self, point: &SyncPoint) -> bool {
        Rule::Mark.holds()
            && (Rule::PartMark.holds() || point.complete)
            && (Rule::KeepPoints.holds() || point.srv_seq > self.server.horizon)
    }
}
