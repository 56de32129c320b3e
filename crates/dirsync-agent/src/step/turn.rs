//! The order in which a step looks at the messages in an inbox, and the number that it looks at.
//!
//! Messages that can be taken leave the inbox, and there are only as many as their senders write. Files that
//! cannot be taken may be anything, in any number. A step ends after a number of those, and the next step
//! begins behind them, so that no file blocks the others for ever.

use dirsync_carrier::Arrived;
use dirsync_protocol::tables::StoreError;
use dirsync_store::Store;

use crate::notes::LOOKED_AT;

/// A step ends its look at an inbox after this many messages that it cannot take.
pub const UNTAKEN_PER_STEP_MAX: usize = 1000;

/// A step's look at one inbox.
pub(super) struct Turn {
    note: String,
    began_after: Option<String>,
    untaken: usize,
}

impl Turn {
    /// Puts the messages that have arrived at `place` into this step's order.
    pub(super) fn begin(
        store: &mut dyn Store,
        place: &str,
        arrived: &mut [Arrived],
    ) -> Result<Self, StoreError> {
        let note = format!("{LOOKED_AT}{place}");
        let began_after = if arrived.is_empty() { None } else { store.begin()?.note(&note)? };
        if let Some(after) = &began_after {
            let after = place_of(after);
            let at = arrived.iter().position(|message| Some(place_in_order(message)) > after);
            arrived.rotate_left(at.unwrap_or(0));
        }
        Ok(Self { note, began_after, untaken: 0 })
    }

    /// The number of messages that may still be looked at, if none can be taken.
    pub(super) fn left(&self) -> usize {
        UNTAKEN_PER_STEP_MAX.saturating_sub(self.untaken)
    }

    /// Counts messages that were looked at and could not be taken.
    pub(super) fn count_untaken(&mut self, untaken: usize) {
        self.untaken += untaken;
    }

    /// Notes where the next step begins: after the last message that was looked at, if there are others
    /// behind it. Returns the number of those.
    pub(super) fn end(
        self,
        store: &mut dyn Store,
        arrived: &[Arrived],
        looked_at: usize,
    ) -> Result<u64, StoreError> {
        let behind = arrived.len() - looked_at;
        let last = arrived[..looked_at].last().filter(|_| behind > 0).map(|last| {
            let (sender, epoch, number, part) = place_in_order(last);
            format!("{sender}\t{epoch}\t{number}\t{part}")
        });
        if last != self.began_after {
            let mut tables = store.begin()?;
            tables.put_note(&self.note, last.as_deref())?;
            tables.commit()?;
        }
        Ok(behind as u64)
    }
}

fn place_in_order(message: &Arrived) -> (&str, &str, u64, u32) {
    (&message.sender, &message.epoch, message.number, message.part)
}

fn place_of(note: &str) -> Option<(&str, &str, u64, u32)> {
    let mut fields = note.split('\t');
    let (sender, epoch) = (fields.next()?, fields.next()?);
    Some((sender, epoch, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
