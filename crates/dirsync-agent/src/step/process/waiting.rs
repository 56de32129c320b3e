//! Requests that cannot be taken yet, because their sender is not registered or is suspended.
//!
//! They are kept aside, so that they are not read again in each step and do not block others. The first
//! step after an administrator's decision takes them. A request repeats the content of its sender's earlier
//! ones, so only the newest one of each sender is kept.

use std::collections::BTreeMap;

use dirsync_carrier::{Arrived, Transit, TransitError};
use dirsync_directory::PostofficeName;
use dirsync_protocol::context::{Event, Level};
use dirsync_protocol::row::Row;
use dirsync_protocol::tables::{Registration, RegistrationState};

/// The most senders in one place that may wait without being registered. Requests of more are refused.
pub const STRANGERS_WAITING_MAX: usize = 256;

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// Its sender is not registered.
    Unknown,
    /// Its sender is suspended.
    Suspended,
}

/// The requests that wait in one place.
pub(super) struct WaitingRoom<'c> {
    transit: &'c dyn Transit,
    by_sender: BTreeMap<String, Arrived>,
}

/// The result of keeping a request.
pub(super) enum Kept {
    /// It waits, or a newer one of its sender does. The event says that its sender begins to wait.
    Waits(Option<Event>),
    /// Too many senders wait already.
    TooMany,
}

impl<'c> WaitingRoom<'c> {
    pub(super) fn of(transit: &'c dyn Transit) -> Result<Self, TransitError> {
        let mut by_sender = BTreeMap::<String, Arrived>::new();
        for one in transit.waiting()? {
            let other = by_sender.remove(&one.sender);
            // A process that died while it replaced one has left two.
            let (newer, older) = match other {
                Some(other) if is_newer(&other, &one) => (other, Some(one)),
                other => (one, other),
            };
            older.map_or(Ok(true), |older| transit.finished(&older))?;
            by_sender.insert(newer.sender.clone(), newer);
        }
        Ok(Self { transit, by_sender })
    }

    /// A room for a place whose waiting requests could not be read.
    pub(super) fn empty(transit: &'c dyn Transit) -> Self {
        Self { transit, by_sender: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_sender.is_empty()
    }

    /// The requests whose senders are now registered and not suspended.
    pub(super) fn ready(&self, registrations: &[Registration]) -> Vec<Arrived> {
        let waits_no_more = |arrived: &&Arrived| {
            registrations.iter().any(|registration| {
                registration.state != RegistrationState::Suspended
                    && arrived.is_from(&registration.name)
            })
        };
        self.by_sender.values().filter(waits_no_more).cloned().collect()
    }

    /// Keeps a request. Only the first one of a sender gives an event.
    pub(super) fn keep(
        &mut self,
        arrived: &Arrived,
        sender: &PostofficeName,
        why: Waits,
    ) -> Result<Kept, TransitError> {
        let before = self.by_sender.values().find(|waiting| waiting.is_from(sender)).cloned();
        match &before {
            Some(before) if before == arrived => return Ok(Kept::Waits(None)),
            Some(before) if is_newer(before, arrived) => {
                self.transit.finished(arrived)?;
                return Ok(Kept::Waits(None));
            }
            None if why == Waits::Unknown && self.by_sender.len() >= STRANGERS_WAITING_MAX => {
                return Ok(Kept::TooMany);
            }
            _ => {}
        }
        let Some(kept) = self.transit.keep_waiting(arrived, sender)? else {
            return Ok(Kept::Waits(None));
        };
        if let Some(before) = &before {
            self.by_sender.remove(&before.sender);
            if !is_same_message(before, &kept) {
                self.transit.finished(before)?;
            }
        }
        self.by_sender.insert(kept.sender.clone(), kept);
        Ok(Kept::Waits(before.is_none().then(|| begins(sender, why))))
    }
}

/// Whether one file has replaced the other.
fn is_same_message(one: &Arrived, other: &Arrived) -> bool {
    let name = |message: &Arrived| (message.epoch.clone(), message.number, message.part);
    name(one) == name(other)
}

/// Whether one request is newer than the other. Numbers tell, whatever clocks say; but epochs have no order.
fn is_newer(one: &Arrived, other: &Arrived) -> bool {
    if one.epoch == other.epoch { one.number > other.number } else { one.modified > other.modified }
}

fn begins(sender: &PostofficeName, why: Waits) -> Event {
    let (level, row, text) = match why {
        Waits::Unknown => (
            Level::Warning,
            Row::S2,
            format!(
                "{sender} is not registered; its request waits for `dirsync requestor add {sender}`"
            ),
        ),
        Waits::Suspended => (
            Level::Notice,
            Row::S3a,
            format!(
                "{sender} is suspended; its request waits for `dirsync requestor resume {sender}`"
            ),
        ),
    };
    Event { level, row, text }
}
