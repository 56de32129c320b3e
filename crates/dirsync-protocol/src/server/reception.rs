//! A request while the server takes it.

use dirsync_message::{Request, Side};

use super::case::Case;
use crate::context::Level;
use crate::row::Row;
use crate::tables::{Registration, SideAnswer, Stored, Tables};

/// Side answers that one postoffice can have due. Of more, the last ones stay.
const SIDE_ANSWERS_MAX: usize = 16;

/// A request while the server takes it.
///
/// It owns the sender's registration: [`super::receive`] reads that row once and writes it once, at the end.
pub(super) struct Reception<'a> {
    pub(super) case: Case<'a>,
    pub(super) registration: Registration,
    pub(super) request: &'a Request,
}

impl Reception<'_> {
    /// Writes the two rows that this request may have changed.
    pub(super) fn save(&mut self) -> Stored<()> {
        let registration = &self.registration;
        assert_eq!(registration.name, self.request.from, "only the sender's row changes");
        assert!(registration.side_answers.len() <= SIDE_ANSWERS_MAX, "side answers have a limit");
        assert!(
            registration.epoch.is_none_or(|epoch| !registration.retired.contains(&epoch)),
            "the accepted epoch is not retired"
        );
        assert!(
            !registration.send_own || registration.challenge.is_some(),
            "own entries are sent with a challenge"
        );
        self.case.tables.put_registration(registration)?;
        self.case.save()
    }

    /// Adds a log line.
    pub(super) fn say(&mut self, level: Level, row: Row, text: impl Into<String>) {
        self.case.say(level, row, text);
    }

    /// Lets the sender be answered beside the list.
    pub(super) fn answer_aside(&mut self, side: Side) {
        answer_aside(&mut self.registration, self.request, side);
    }
}

/// Lets a sender be told why its request is not taken, if it is registered.
///
/// # Errors
///
/// When the store fails.
pub fn tell(tables: &mut dyn Tables, request: &Request, side: Side) -> Stored<()> {
    let Some(mut registration) = tables.registration(&request.from)? else { return Ok(()) };
    answer_aside(&mut registration, request, side);
    tables.put_registration(&registration)
}

/// The newest request of an epoch is answered. Two machines that share epoch and number both are.
fn answer_aside(registration: &mut Registration, request: &Request, side: Side) {
    let of_copy =
        |answer: &SideAnswer| answer.answers == request.number && answer.request_id != request.id;
    registration.side_answers.retain(|answer| answer.epoch != request.epoch || of_copy(answer));
    if registration.side_answers.len() == SIDE_ANSWERS_MAX {
        registration.side_answers.remove(0);
    }
    registration.side_answers.push(SideAnswer {
        epoch: request.epoch,
        side,
        answers: request.number,
        request_id: request.id,
    });
}
