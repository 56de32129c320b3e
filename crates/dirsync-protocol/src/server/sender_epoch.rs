//! Whether the sender is the machine that its postoffice is known by: S6 to S9, and S10a.

use dirsync_message::{Challenge, LINEAGE_MAX, ReqEpoch, ReqSeq, Request, RequestKind, Side};

use super::reception::Reception;
use crate::context::Level;
use crate::row::Row;
use crate::simulation::Rule;
use crate::tables::{Copies, Registration};

/// Epochs of one postoffice that are remembered as retired. Of more, those stay that it names itself.
const RETIRED_MAX: usize = 4 * LINEAGE_MAX;

/// What the epoch of a request is to the server.
pub(super) enum SenderEpoch {
    /// The accepted one, also when it is the first.
    Accepted,
    /// A new one that answered the challenge (S8).
    Resubmitted,
    /// Another one: it is answered beside the list, and nothing else.
    Aside,
}

impl Reception<'_> {
    /// S6 to S9.
    pub(super) fn admit_epoch(&mut self) -> SenderEpoch {
        let (request, registration) = (self.request, &mut self.registration);
        let from = &request.from;
        let Some(accepted) = registration.epoch else {
            registration.epoch = Some(request.epoch);
            self.say(Level::Info, Row::S6, format!("{from} takes part now"));
            return SenderEpoch::Accepted;
        };
        if request.epoch == accepted {
            return SenderEpoch::Accepted;
        }
        if is_retired(registration, request) || is_stranger(registration, accepted, request) {
            registration.copies = Copies::Fenced;
            self.answer_aside(Side::Fenced);
            let text = format!(
                "{from} has two machines, or was restored from before its last renewal: epoch {} is \
                 refused, {accepted} is in force",
                request.epoch
            );
            self.say(Level::Alarm, Row::S7, text);
            return SenderEpoch::Aside;
        }
        if answers_challenge(registration, request) {
            return SenderEpoch::Resubmitted;
        }
        self.challenge_epoch();
        SenderEpoch::Aside
    }

    /// S9: the new epoch is asked to merge.
    fn challenge_epoch(&mut self) {
        let (request, registration) = (self.request, &mut self.registration);
        let descends_from_nobody = request.lineage.is_empty();
        if descends_from_nobody && registration.copies == Copies::Fenced {
            // Such an epoch is a person's word on which machine stays.
            registration.copies = Copies::One;
        }
        if descends_from_nobody && is_first_word(registration, request) {
            // An export that an earlier epoch made for the open challenge must not come first.
            registration.challenge = None;
            registration.challenged = Some(request.epoch);
        }
        self.open_challenge();
        self.answer_aside(Side::Own);
        let text =
            format!("{} began a new epoch {}; it is asked to merge", request.from, request.epoch);
        self.say(Level::Notice, Row::S9, text);
    }

    /// S8: the new epoch takes the place of the accepted one and of all that it descends from.
    pub(super) fn renew_epoch(&mut self) {
        let (request, registration) = (self.request, &mut self.registration);
        let retired = registration.epoch.replace(request.epoch);
        registration.retired.extend(retired);
        if registration.retired.len() > RETIRED_MAX {
            registration.retired = retired.into_iter().collect();
        }
        registration.retired.extend(request.lineage.iter().copied());
        registration.retired.remove(&request.epoch);
        registration.side_answers.clear();
        if registration.copies == Copies::Contest {
            registration.copies = Copies::One;
        }
        registration.taken.clear();
        registration.acknowledged = ReqSeq(0);
    }

    /// S10a: the second machine of an epoch is asked to merge, and the first one with its next request.
    /// Of copies that take turns each would otherwise wait for answers that name the other's request.
    pub(super) fn contest(&mut self) {
        self.open_challenge();
        self.answer_aside(Side::Own);
        self.registration.copies = Copies::Contest;
        self.registration.last_contact = self.case.context.now;
        let text = format!(
            "{} used request number {} before: two machines have its identity, or it was put back \
             from a copy; it is asked to merge",
            self.request.from, self.request.number
        );
        self.say(Level::Alarm, Row::S10a, text);
    }

    /// Rule `chalkeep`: an open challenge stays, or two machines would void each other's for ever.
    pub(super) fn open_challenge(&mut self) {
        if self.registration.challenge.is_none() || !Rule::ChallengeKept.holds() {
            self.registration.challenge = Some(Challenge(self.case.context.draws.token()));
        }
    }
}

fn is_retired(registration: &Registration, request: &Request) -> bool {
    registration.retired.contains(&request.epoch)
}

/// S7: whether an epoch descends from others, but not from the accepted one. What a person said of an
/// epoch (S9) holds for those that it went on to, here or at a copy of this server.
fn is_stranger(registration: &Registration, accepted: ReqEpoch, request: &Request) -> bool {
    let descends_from = |epoch: &ReqEpoch| request.lineage.contains(epoch);
    !request.lineage.is_empty()
        && !descends_from(&accepted)
        && !registration.challenged.as_ref().is_some_and(descends_from)
}

/// S8: whether a request is the full export that the open challenge asked for.
fn answers_challenge(registration: &Registration, request: &Request) -> bool {
    let answers = request.own.kind == RequestKind::Full && follows_challenge(registration, request);
    answers || !Rule::Challenge.holds()
}

/// Whether a full export was made for the open challenge, from the set that is held.
pub(super) fn follows_challenge(registration: &Registration, request: &Request) -> bool {
    registration.challenge.is_some()
        && request.own.challenge == registration.challenge
        && request.own.base == Some(registration.own_digest)
}

/// Rule `chalfresh`: whether an epoch that descends from nobody is heard for the first time.
fn is_first_word(registration: &Registration, request: &Request) -> bool {
    registration.challenged != Some(request.epoch) && Rule::ChallengeFresh.holds()
}
