//! T2, first half: a request is taken (S1 to S15 of `docs/protocol.md`).
//!
//! [`receive`] reads from the top like the table: the first row that fits decides. The rows about the
//! server's epoch are in [`super::server_epoch`], those about the sender's in [`super::sender_epoch`], and
//! the own part of a request is taken in [`super::submission`].

use dirsync_directory::SetDigest;
use dirsync_message::{Request, RequestKind, RequestNo, Side, SyncPoint};

use super::case::Case;
use super::lifecycle::holds_deletions;
use super::publication::Publication;
use super::reception::Reception;
use super::sender_epoch::SenderEpoch;
use super::submission::{Submission, Submitter};
use crate::bounds::check_request;
use crate::context::{Context, Level, ReceiveError, TransactionSource};
use crate::row::Row;
use crate::simulation::Rule;
use crate::tables::{Copies, IssuedPoint, Registration, RegistrationState, Stored, Tables};

/// The requests of each postoffice that are remembered by number and id.
const TAKEN_MAX: usize = 16;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was taken, or will at least be answered.
    Taken,
    /// It says nothing new; an answer is due from state as it is.
    Repeated,
    /// This server was replaced and answers nobody.
    Fenced,
    /// The sender is not registered, or its invitation is used up: an administrator decides.
    NotAdmitted,
    /// The sender is suspended: the request waits.
    Suspended,
}

/// Takes a request, within the caller's transaction (commit point C3).
///
/// ```
/// use dirsync_message::{BodyReader, Head};
/// use dirsync_protocol::context::ReceiveError;
/// use dirsync_protocol::row::Row;
/// use dirsync_protocol::server::{self, Received};
/// use dirsync_testing::{SERVER, World};
///
/// let mut world = World::new(&["SOUTH/SALES"]);
/// world.cycle();
/// world.at("SOUTH/SALES").import(&[("1", "Bo Ek", "SMTP:bo@south.example", "200")]);
/// world.send("SOUTH/SALES");
/// let letter = world.network.letters(SERVER).remove(0);
/// let Ok(Head::Request(request)) = Head::parse(&letter.message.head) else { panic!("it is a request") };
/// let mut body = BodyReader::new(letter.message.body.as_bytes());
/// let taken = world.at(SERVER).transact(|tables, context, _| {
///     let received = server::receive(tables, context, &request, &mut body)?;
///     assert_eq!(received, Received::Taken);
///     // The log names the row that decided: the changes fit, and were published.
///     assert_eq!(context.events.last().map(|event| event.row), Some(Row::S13d));
///     Ok::<_, ReceiveError>(())
/// });
/// assert!(taken.is_ok());
/// ```
///
/// # Errors
///
/// See [`ReceiveError`]: the transaction has to be rolled back, and for anything but a store
/// error the message is refused.
pub fn receive(
    tables: &mut dyn Tables,
    context: &mut Context<'_>,
    request: &Request,
    body: &mut dyn TransactionSource,
) -> Result<Received, ReceiveError> {
    let Some(mut case) = Case::begin(tables, context)? else {
        return Err(ReceiveError::Contradiction("this postoffice is no directory server".into()));
    };
    if case.server.fenced {
        case.say(Level::Error, Row::S1, "this server was replaced; it answers nobody");
        return Ok(Received::Fenced);
    }
    let Some(registration) = case.tables.registration(&request.from)? else {
        case.say(Level::Notice, Row::S2, format!("{} is not registered", request.from));
        return Ok(Received::NotAdmitted);
    };
    let mut reception = Reception { case, registration, request };
    let received = reception.decide(body)?;
    reception.save()?;
    Ok(received)
}

impl Reception<'_> {
    /// S3 to S15.
    fn decide(&mut self, body: &mut dyn TransactionSource) -> Result<Received, ReceiveError> {
        if let Some(received) = self.turn_away() {
            return Ok(received);
        }
        check_request(&self.case.server, self.request)?;
        if self.compare_server_epochs()?.is_fenced() {
            return Ok(Received::Fenced);
        }
        self.registration.state = RegistrationState::Active;
        let resubmitted = match self.admit_epoch() {
            SenderEpoch::Accepted => false,
            SenderEpoch::Resubmitted => {
                self.renew_epoch();
                true
            }
            SenderEpoch::Aside => {
                self.registration.last_contact = self.case.context.now;
                return Ok(Received::Repeated);
            }
        };
        if self.is_number_used_twice() {
            self.contest();
            return Ok(Received::Repeated);
        }
        self.registration.answer_due = true;
        if self.is_repeated() {
            let text = format!(
                "request {} of {} was taken before",
                self.request.number, self.request.from
            );
            self.say(Level::Debug, Row::S10, text);
            return Ok(Received::Repeated);
        }
        self.note_request();
        self.take_new(resubmitted, body)?;
        Ok(Received::Taken)
    }

    /// S3 and S3a: a sender that was removed, or is suspended, is told so.
    fn turn_away(&mut self) -> Option<Received> {
        match self.registration.state {
            RegistrationState::Removed => {
                self.answer_aside(Side::Removed);
                let text = format!("{} was removed and still sends", self.request.from);
                self.say(Level::Warning, Row::S3, text);
                Some(Received::Repeated)
            }
            RegistrationState::Suspended => {
                self.answer_aside(Side::Suspended);
                Some(Received::Suspended)
            }
            RegistrationState::Invited | RegistrationState::Active => None,
        }
    }

    /// S10a: whether the number was used for another request. A machine never does that: the sender is a
    /// copy of another machine, or was put back from a copy.
    ///
    /// A number before all that are remembered says the same if the request was made later than the
    /// newest one: it was not merely overtaken on its way.
    fn is_number_used_twice(&self) -> bool {
        let Registration { taken, health, .. } = &self.registration;
        let request = self.request;
        let other = taken.iter().find(|(number, _)| *number == request.number);
        let before_all = taken.len() == TAKEN_MAX
            && request.number < taken[0].0
            && request.health.clock > health.clock;
        (before_all || other.is_some_and(|(_, id)| *id != request.id)) && Rule::Doubled.holds()
    }

    /// S10: whether the request, or a later one, was taken before.
    fn is_repeated(&self) -> bool {
        let newest = self.registration.newest_request().map_or(RequestNo(0), |(number, _)| number);
        self.request.number <= newest && Rule::RequestNumber.holds()
    }

    /// Notes a request that is new in the sender's registration.
    fn note_request(&mut self) {
        let registration = &mut self.registration;
        registration.taken.push((self.request.number, self.request.id));
        let beyond = registration.taken.len().saturating_sub(TAKEN_MAX);
        registration.taken.drain(..beyond);
        registration.send_own = false;
        registration.last_contact = self.case.context.now;
        registration.health = self.request.health.clone();
    }

    /// S10a to S15 for a request that is new: the own part, then the sender's list.
    fn take_new(
        &mut self,
        resubmitted: bool,
        body: &mut dyn TransactionSource,
    ) -> Result<(), ReceiveError> {
        self.case.server.last_run = self.case.context.now;
        let acknowledged = self.registration.acknowledged;
        let submission = self.submit_own(resubmitted, body)?;
        if self.withholds_acknowledgement()? {
            self.registration.acknowledged = acknowledged;
        }
        let issued = match &self.request.point {
            Some(point) => self.case.tables.issued_point(point)?,
            None => None,
        };
        self.note_position(issued);
        self.check_point(issued)?;
        if submission == Submission::Accepted && self.knows_epoch() {
            self.registration.spoke_in = Some(self.case.server.epoch);
        }
        self.end_recovery()
    }

    /// S10a to S13: takes the own part, and publishes what follows from it.
    fn submit_own(
        &mut self,
        resubmitted: bool,
        body: &mut dyn TransactionSource,
    ) -> Result<Submission, ReceiveError> {
        let from = &self.request.from;
        let submission = match self.request.own.kind {
            _ if self.registration.copies == Copies::Contest => {
                let text = format!("{from} is asked to merge before anything is taken");
                self.say(Level::Notice, Row::S10a, text);
                Submission::SendOwn
            }
            RequestKind::WantOwn => {
                let text = format!("{from} asks for its own entries as they are held here");
                self.say(Level::Notice, Row::S11, text);
                Submission::SendOwn
            }
            kind @ (RequestKind::Full | RequestKind::Delta) => {
                let mut submitter = Submitter {
                    publication: Publication::begin(&mut self.case)?,
                    registration: &mut self.registration,
                    request: self.request,
                };
                let submission = match kind {
                    RequestKind::Delta => submitter.submit_delta(body)?,
                    _ => submitter.submit_full(resubmitted, body)?,
                };
                submitter.publication.finish()?;
                submission
            }
        };
        if submission == Submission::SendOwn {
            self.registration.send_own = true;
            self.open_challenge();
        }
        Ok(submission)
    }

    /// Rule `heldack`: held deletions hold up no acknowledgement.
    fn withholds_acknowledgement(&mut self) -> Stored<bool> {
        if Rule::HeldAcknowledged.holds() {
            return Ok(false);
        }
        holds_deletions(self.case.tables, &self.request.from)
    }

    /// Notes where the sender's list stands.
    fn note_position(&mut self, issued: Option<IssuedPoint>) {
        let Reception { case, registration, request } = self;
        let equal = request.point.and_then(|point| equals(&point, issued, request.list_digest));
        registration.agreement = registration.agreement.after(equal, case.context.now);
        registration.position.point = request.point;
        registration.position.digest = request.list_digest;
        registration.position.bad = request.list_bad;
        registration.position.buckets = request.list_buckets.clone();
        registration.view_wanted = request.view_wanted.clone();
    }

    /// S15: whether the sender submitted with knowledge of the present epoch.
    fn knows_epoch(&self) -> bool {
        self.request.epoch_heard == Some(self.case.server.epoch) || !Rule::Spoken.holds()
    }

    /// S15: recovery ends when every registered origin has spoken in this epoch.
    fn end_recovery(&mut self) -> Result<(), ReceiveError> {
        if !self.case.server.recovering {
            return Ok(());
        }
        let epoch = self.case.server.epoch;
        let others = self.case.tables.registrations()?;
        let is_other = |other: &&Registration| other.name != self.registration.name;
        let all =
            others.iter().filter(is_other).chain([&self.registration]).all(|registration| {
                !registration.owes_word() || registration.spoke_in == Some(epoch)
            });
        if all {
            self.case.server.recovering = false;
            let text = "every origin has spoken again: the recovery is over";
            self.say(Level::Notice, Row::S15, text);
        }
        Ok(())
    }
}

/// Whether a list at a point is as it was issued; `None` for a part of a list.
fn equals(point: &SyncPoint, issued: Option<IssuedPoint>, digest: SetDigest) -> Option<bool> {
    let Some(issued) = issued else { return Some(false) };
    issued.digest.map(|expected| issued.mark == point.mark && expected == digest)
}

impl Registration {
    /// Whether a server that recovers waits for this postoffice.
    pub fn owes_word(&self) -> bool {
        match self.state {
            RegistrationState::Removed => false,
            // Its key was pinned in an epoch that is lost: it has spoken then.
            RegistrationState::Invited => self.key.is_some() && Rule::KeyOwes.holds(),
            RegistrationState::Active | RegistrationState::Suspended => true,
        }
    }
}
