//! Which answers are due, beside those that a request makes due.

use dirsync_directory::PostofficeName;
use dirsync_message::Update;

use super::answer::can_continue;
use crate::tables::{Registration, RegistrationState, SideAnswer, Stored, Tables};

/// The requestors that are to be answered, by name.
///
/// # Errors
///
/// When the store fails.
pub fn pending(tables: &mut dyn Tables) -> Stored<Vec<PostofficeName>> {
    let registrations = tables.registrations()?;
    let due = |registration: &Registration| {
        !registration.side_answers.is_empty() || registration.is_answer_due()
    };
    Ok(registrations.into_iter().filter(due).map(|registration| registration.name).collect())
}

impl Registration {
    /// Whether an answer to its newest request is due. A postoffice that is known by its key alone hears
    /// of a new server epoch as well.
    pub(super) fn is_answer_due(&self) -> bool {
        use RegistrationState::{Active, Invited};
        self.answer_due && matches!(self.state, Active | Invited)
    }

    /// Whether a server in continuous mode can answer it without being asked.
    fn is_reachable_unasked(&self) -> bool {
        self.state == RegistrationState::Active
            && self.newest_request().is_some()
            && !self.answer_due
            && !self.send_own
    }
}

/// Makes an answer due again that was prepared and could not be sent.
///
/// # Errors
///
/// When the store fails.
pub fn answer_again(tables: &mut dyn Tables, unsent: &Update) -> Stored<()> {
    let Some(mut registration) = tables.registration(&unsent.to)? else { return Ok(()) };
    match unsent.side {
        None => registration.answer_due = true,
        Some(side) => {
            registration.side_answers.retain(|answer| answer.epoch != unsent.epoch);
            registration.side_answers.push(SideAnswer {
                epoch: unsent.epoch,
                side,
                answers: unsent.answers,
                request_id: unsent.request_id,
            });
        }
    }
    tables.put_registration(&registration)
}

/// Marks an answer as due for every requestor that may be waiting for this epoch of the server: when the
/// epoch begins, so that all speak in it, and when its recovery is over, so that all get the changes that
/// were kept from them. [`answer_unasked`] does not reach those, as their points may be unknown.
///
/// # Errors
///
/// When the store fails.
pub fn announce_epoch(tables: &mut dyn Tables) -> Stored<()> {
    for mut registration in tables.registrations()? {
        let was_heard = match registration.state {
            RegistrationState::Active => registration.newest_request().is_some(),
            RegistrationState::Invited => registration.key.is_some(),
            RegistrationState::Suspended | RegistrationState::Removed => false,
        };
        if was_heard && !registration.answer_due {
            registration.answer_due = true;
            tables.put_registration(&registration)?;
        }
    }
    Ok(())
}

/// Marks an answer as due for each active requestor that is behind the list and can continue with a
/// delta (B2), although it has not asked. A whole list, or a repair, is sent on request only: sent unasked
/// it would be sent again with each change until the requestor speaks. Returns whether this server
/// answers unasked: one that was replaced, or recovers, does not.
///
/// # Errors
///
/// When the store fails.
pub fn answer_unasked(tables: &mut dyn Tables) -> Stored<bool> {
    let Some(server) = tables.server()? else { return Ok(false) };
    if server.fenced || server.recovering {
        return Ok(false);
    }
    for mut registration in tables.registrations()? {
        let Some(point) = registration.position.point else { continue };
        if registration.is_reachable_unasked()
            && point.srv_seq != server.head
            && can_continue(tables, &server, &registration.position, &point)?
        {
            registration.answer_due = true;
            tables.put_registration(&registration)?;
        }
    }
    Ok(true)
}
