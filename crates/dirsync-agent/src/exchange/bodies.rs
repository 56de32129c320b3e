//! Bodies over lines that move them as they are, from any byte on.

use dirsync_carrier::CarrierError;
use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, PeerKeys};
use dirsync_transit::{NextPiece, PIECE_BYTES, Piece};

use super::{Exchange, ExchangeError, Exchanged, GoesOn};

/// A line that knows who is at its other end, and moves any part of a body. On other lines bodies travel in pieces
/// that are files, each with the signature of its sender.
pub trait BodyLine {
    /// Leaves a part of a body. Returns how many bytes from its beginning are at the other end now: if that is another
    /// number than the offset of the part before, nothing of it was taken.
    ///
    /// # Errors
    ///
    /// If it is not known what was taken.
    fn put_part(&self, part: &Piece, bytes: &[u8]) -> Result<u64, CarrierError>;

    /// Fetches a part of a body, or the beginning of the part if the line is cut off. `None` if the other end does not
    /// have the body for this postoffice, or no longer.
    ///
    /// # Errors
    ///
    /// If nothing came.
    fn fetch_part(&self, part: &Piece) -> Result<Option<Vec<u8>>, CarrierError>;
}

impl Exchange<'_> {
    /// Fetches the bodies that messages wait for.
    pub(super) fn fetch_bodies(
        &self,
        line: &dyn BodyLine,
        done: &mut Exchanged,
        goes_on: GoesOn<'_>,
    ) -> Result<(), ExchangeError> {
        for (sender, body) in self.wanted()? {
            let mut reached = 0;
            while let Some(part) = self.outbox.gap(sender.name(), &body, PIECE_BYTES)? {
                if part.at < reached {
                    // All of it came, and its hash was wrong, so it was dropped. The next exchange fetches it again.
                    break;
                }
                reached = part.at;
                let Some(bytes) = line.fetch_part(&part)? else { break };
                let part = Piece { bytes: bytes.len() as u64, ..part };
                if bytes.is_empty() {
                    break;
                }
                self.take_part(&part, &bytes, &sender, done)?;
                done.bytes_fetched += part.bytes;
                if !goes_on(part.bytes) {
                    done.is_over = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn take_part(
        &self,
        part: &Piece,
        bytes: &[u8],
        sender: &PeerKeys,
        done: &mut Exchanged,
    ) -> Result<(), ExchangeError> {
        let is_whole = self.outbox.take_piece(sender.name(), part, bytes, (self.clock)())?;
        done.pieces += 1;
        done.pieces_from.insert(sender.name().clone());
        done.bodies += u64::from(is_whole);
        Ok(())
    }

    /// The bodies for which messages wait, with their senders. The messages are not proved, so nothing is asked for but
    /// bodies of the one at the other end.
    fn wanted(&self) -> Result<Vec<(PeerKeys, Content)>, ExchangeError> {
        let mut wanted = Vec::new();
        for message in self.messages.incomplete()? {
            let Ok(message) = self.sealing.read(message) else { continue };
            let sender = self.peers.keys_of(&message.claim());
            wanted.extend(sender.zip(message.body_apart()));
        }
        Ok(wanted)
    }

    /// Leaves the bodies that wait for the one at the other end.
    pub(super) fn send_bodies(
        &self,
        line: &dyn BodyLine,
        done: &mut Exchanged,
        goes_on: GoesOn<'_>,
    ) -> Result<(), ExchangeError> {
        for to in self.pieces_to {
            while let Some(next) = self.outbox.next_piece(to, PIECE_BYTES)? {
                let sent = self.send_part(line, to, &next)?;
                done.sent += u64::from(sent > 0);
                done.bytes_sent += sent;
                if !goes_on(sent) {
                    done.is_over = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Returns how many bytes of the part were taken.
    fn send_part(
        &self,
        line: &dyn BodyLine,
        to: &PostofficeName,
        next: &NextPiece,
    ) -> Result<u64, ExchangeError> {
        let NextPiece { piece, bytes, .. } = next;
        self.outbox.begin(to)?;
        let held = line.put_part(piece, bytes)?;
        self.outbox.know(to, &piece.body, held)?;
        Ok(if held > piece.at { held.min(piece.end()) - piece.at } else { 0 })
    }
}
