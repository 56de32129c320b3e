//! What waits for the lines of a postoffice, and how far the bodies have come that travel over them.

use dirsync_carrier::Place;
use dirsync_directory::PostofficeName;
use dirsync_transit::Outbox;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::folder::TRANSIT;
use crate::json;
use crate::places::PlaceStatus;
use crate::postoffice::Postoffice;

/// What waits for the line to a slow place, and travels over it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineStatus {
    /// Messages that wait for the line.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The size of the bodies that are on their way to the other side, in bytes.
    pub body_bytes: u64,
    /// How many bytes of them the place has taken.
    pub body_bytes_sent: u64,
    /// The size of the bodies that are on their way from the other side, in bytes.
    pub coming_bytes: u64,
    /// How many bytes of them have come.
    pub coming_bytes_here: u64,
    /// When it opens; null if it is open.
    #[serde(serialize_with = "json::time")]
    #[schemars(with = "Option<json::Time>")]
    pub opens: u64,
}

impl Postoffice {
    /// Adds what waits for the lines to slow places. State of bodies that cannot be read is left out: the steps report it.
    pub(crate) fn add_lines(&self, places: &mut [PlaceStatus], peer: &PostofficeName) {
        for status in places {
            let Ok(place) = status.place.parse::<Place>() else { continue };
            status.line = self.line_status(&place, peer);
        }
    }

    fn line_status(&self, place: &Place, peer: &PostofficeName) -> Option<LineStatus> {
        let settings = self.slow_settings(place)?;
        let mut status =
            LineStatus { opens: settings.opens(Timestamp::now()), ..LineStatus::default() };
        if let Ok(messages) = self.slow_place(place)
            && let Ok((count, bytes)) = messages.queued(peer)
        {
            (status.messages, status.bytes) = (count, bytes);
        }
        if let Some(outbox) = self.outbox_to_read() {
            if let Ok((_, progress)) = outbox.frozen(peer) {
                status.body_bytes = progress.bytes;
                status.body_bytes_sent = progress.bytes_taken;
            }
            let coming = outbox.coming(peer).unwrap_or_default();
            for (body, here) in coming.into_iter().filter(|(body, here)| *here < body.bytes) {
                status.coming_bytes += body.bytes;
                status.coming_bytes_here += here;
            }
        }
        Some(status)
    }

    /// The bodies on disk. A status makes none.
    pub(crate) fn outbox_to_read(&self) -> Option<Outbox> {
        let is_there = self.folder.join(TRANSIT).join("transit.db").exists();
        is_there.then(|| self.open_outbox().ok()).flatten()
    }
}
