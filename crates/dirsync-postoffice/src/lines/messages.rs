//! The messages of a line: those at one place, or at the places of all who are behind one mailbox.

use std::io::Read;

use dirsync_agent::exchange::{MessageQueue, QueueError};
use dirsync_carrier::{MessageFile, sender_in_name};
use dirsync_directory::PostofficeName;
use dirsync_seal::OwnKeys;
use dirsync_transit::Outbox;

use crate::failure::Result;
use crate::slow_place::SlowPlace;

/// The messages of a line.
pub(super) enum Messages {
    /// Those at one place.
    One(SlowPlace),
    /// Those at the places of several peers.
    ByPeer(Vec<(PostofficeName, SlowPlace)>),
}

impl Messages {
    pub(super) fn of(&self, peer: &PostofficeName) -> Option<&SlowPlace> {
        match self {
            Self::One(place) => Some(place),
            Self::ByPeer(places) => {
                places.iter().find(|(name, _)| name == peer).map(|(_, place)| place)
            }
        }
    }

    pub(super) fn all(&self) -> Vec<&SlowPlace> {
        match self {
            Self::One(place) => vec![place],
            Self::ByPeer(places) => places.iter().map(|(_, place)| place).collect(),
        }
    }

    /// Lets the next step see what is whole. Returns whether there is something new.
    pub(super) fn release(&self, keys: &OwnKeys, outbox: &Outbox) -> Result<bool> {
        let mut is_any = false;
        for place in self.all() {
            is_any |= place.release(keys, outbox)?;
        }
        Ok(is_any)
    }
}

/// The queue of a line: what is for a peer, or comes from it, is at its place.
pub(super) struct Queue<'q> {
    pub(super) messages: &'q Messages,
    pub(super) to: &'q [PostofficeName],
}

impl Queue<'_> {
    fn at<R>(
        &self,
        peer: &PostofficeName,
        work: impl FnOnce(&dyn MessageQueue) -> std::result::Result<R, QueueError>,
    ) -> std::result::Result<Option<R>, QueueError> {
        let place = self.messages.of(peer);
        place.map(|place| work(&place.queue(std::slice::from_ref(peer)))).transpose()
    }
}

impl MessageQueue for Queue<'_> {
    fn waiting(&self) -> std::result::Result<Vec<(PostofficeName, Vec<String>)>, QueueError> {
        let mut waiting = Vec::new();
        for to in self.to {
            waiting.extend(self.at(to, |queue| queue.waiting())?.unwrap_or_default());
        }
        Ok(waiting)
    }

    fn read(
        &self,
        to: &PostofficeName,
        name: &str,
    ) -> std::result::Result<Option<Vec<u8>>, QueueError> {
        Ok(self.at(to, |queue| queue.read(to, name))?.flatten())
    }

    fn sent(&self, to: &PostofficeName, name: &str) -> std::result::Result<(), QueueError> {
        self.at(to, |queue| queue.sent(to, name)).map(|_| ())
    }

    fn deliver(&self, name: &str, message: &mut dyn Read) -> std::result::Result<(), QueueError> {
        let sender = sender_in_name(name).unwrap_or_default();
        let of_sender = self.to.iter().find(|to| to.folded() == sender);
        // The step says of a stranger's message why it is refused.
        let place = of_sender.and_then(|sender| self.messages.of(sender));
        match place.or(self.messages.all().first().copied()) {
            Some(place) => place.queue(&[]).deliver(name, message),
            None => Ok(()),
        }
    }

    fn incomplete(&self) -> std::result::Result<Vec<Box<dyn MessageFile>>, QueueError> {
        let mut incomplete = Vec::new();
        for place in self.messages.all() {
            incomplete.extend(place.queue(&[]).incomplete()?);
        }
        Ok(incomplete)
    }
}
