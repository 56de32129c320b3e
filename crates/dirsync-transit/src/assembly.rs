//! The bodies that come in pieces from one peer.

use dirsync_seal::{BODY_BYTES_MAX, Content, ContentHash, HOLDS_MAX, Holding, RUNS_MAX};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::queue::Piece;
use crate::runs::Runs;
use crate::text;

/// The most bodies of one peer of which pieces are kept.
pub const BODIES_MAX: usize = 32;
const _: () = assert!(BODIES_MAX <= HOLDS_MAX, "a front can name all of them");

/// A piece that is not kept. Its sender sends it again.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum PieceRefused {
    /// The body has too many gaps.
    #[error("more than {RUNS_MAX} gaps in a body")]
    Gaps,
    /// The body is larger than everything that is kept of one peer.
    #[error("a body of {bytes} bytes; at most {} are kept of one peer", BODY_BYTES_MAX)]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
}

/// A body of which pieces have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Incomplete {
    #[serde(with = "text::content")]
    body: Content,
    came: Runs,
    /// The time of the last piece, in milliseconds since 1970.
    at: u64,
}

/// The bodies of one peer of which pieces have come, also those that are complete. At most [`BODIES_MAX`] of
/// together at most [`BODY_BYTES_MAX`] bytes: whoever sends more loses those whose last piece is the oldest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assembly {
    bodies: Vec<Incomplete>,
    /// Whether the peer has still to be told what has come.
    is_report_due: bool,
    /// The file of the last message of the peer that named a body which was not whole.
    named_by: Option<String>,
}

impl Assembly {
    /// Notes a piece that was written. Returns whether its body is complete now, and was not before.
    ///
    /// # Errors
    ///
    /// If the piece is over a limit. Nothing is noted then.
    pub fn add(&mut self, piece: &Piece, now: u64) -> Result<bool, PieceRefused> {
        if piece.body.bytes > BODY_BYTES_MAX {
            return Err(PieceRefused::TooLarge { bytes: piece.body.bytes });
        }
        let known = self.bodies.iter().position(|one| one.body == piece.body);
        let mut one = match known.and_then(|at| self.bodies.get(at)) {
            Some(one) => one.clone(),
            None => Incomplete { body: piece.body, came: Runs::default(), at: now },
        };
        let was_whole = one.came.is_whole(piece.body.bytes);
        one.came.add(piece.at, piece.end());
        one.at = now;
        if one.came.count() > RUNS_MAX {
            return Err(PieceRefused::Gaps);
        }
        let is_whole = one.came.is_whole(piece.body.bytes);
        if let Some(known) = known {
            self.bodies.remove(known);
        }
        self.bodies.push(one);
        self.keep_within_limits();
        self.is_report_due = true;
        Ok(is_whole && !was_whole)
    }

    fn keep_within_limits(&mut self) {
        let bytes = |bodies: &[Incomplete]| -> u64 {
            bodies.iter().fold(0, |sum, one| one.body.bytes.saturating_add(sum))
        };
        while self.bodies.len() > BODIES_MAX || bytes(&self.bodies) > BODY_BYTES_MAX {
            self.bodies.remove(0);
        }
    }

    /// A message names a body that is not whole. Another file than the last one says that the peer waits.
    pub fn name_in(&mut self, file: &str) {
        if self.named_by.as_deref() != Some(file) {
            self.named_by = Some(file.to_owned());
            self.is_report_due = true;
        }
    }

    /// Whether the peer has still to be told what has come.
    pub fn is_report_due(&self) -> bool {
        self.is_report_due
    }

    /// The peer was told that this has come.
    pub fn report(&mut self, holds: &[Holding]) {
        if self.holds() == holds {
            self.is_report_due = false;
        }
    }

    /// Whether it keeps to its limits.
    pub(crate) fn is_sound(&self) -> bool {
        let is_sound = |one: &Incomplete| {
            let bytes = one.body.bytes;
            bytes <= BODY_BYTES_MAX && one.came.are_within(bytes) && one.came.count() <= RUNS_MAX
        };
        self.bodies.len() <= BODIES_MAX && self.bodies.iter().all(is_sound)
    }

    /// Whether a piece brings nothing new.
    pub fn has(&self, piece: &Piece) -> bool {
        let known = self.bodies.iter().find(|one| one.body == piece.body);
        known.is_some_and(|one| {
            Runs::from(vec![(piece.at, piece.end())]).without(&one.came).is_empty()
        })
    }

    /// The first bytes of a body that have not come, at most `bytes_max` of them. `None` if all have come.
    pub fn gap(&self, body: &Content, bytes_max: u64) -> Option<Piece> {
        let known = self.bodies.iter().find(|one| one.body == *body);
        let gap = known.map_or(Some((0, body.bytes)), |one| one.came.first_gap(body.bytes));
        let (at, end) = gap.filter(|(at, end)| at < end)?;
        Some(Piece { body: *body, at, bytes: (end - at).min(bytes_max) })
    }

    /// Forgets a body: its bytes are gone, or wrong.
    pub fn forget(&mut self, body: &Content) {
        self.bodies.retain(|one| one.body != *body);
    }

    /// Forgets bodies whose last piece came before `before` (milliseconds since 1970).
    pub fn forget_before(&mut self, before: u64) {
        self.bodies.retain(|one| one.at >= before);
    }

    /// The bodies, with the number of bytes that have come of each.
    pub fn bodies(&self) -> impl Iterator<Item = (Content, u64)> {
        self.bodies.iter().map(|one| (one.body, one.came.bytes()))
    }

    /// The time of the last piece, in milliseconds since 1970.
    pub fn last_at(&self) -> Option<u64> {
        self.bodies.iter().map(|one| one.at).max()
    }

    /// The bytes that have come, as a front says it.
    pub fn holds(&self) -> Vec<Holding> {
        let holding = |one: &Incomplete| {
            let runs = one.came.iter().map(|(from, end)| from..=end - 1).collect();
            Holding::new(one.body.hash, runs)
        };
        self.bodies.iter().filter_map(holding).collect()
    }

    /// The hashes of all bodies.
    pub fn hashes(&self) -> impl Iterator<Item = ContentHash> {
        self.bodies.iter().map(|one| one.body.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(body: u8, bytes: u64, at: u64, length: u64) -> Piece {
        let hash = ContentHash([body; 32]);
        Piece { body: Content { bytes, hash }, at, bytes: length }
    }

    #[test]
    fn a_body_is_complete_once_and_in_any_order() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(&piece(1, 10, 6, 4), 1), Ok(false));
        assert_eq!(assembly.add(&piece(1, 10, 6, 4), 2), Ok(false), "doubled");
        assert!(assembly.has(&piece(1, 10, 7, 2)) && !assembly.has(&piece(1, 10, 5, 2)));
        assert_eq!(assembly.add(&piece(2, 5, 0, 5), 3), Ok(true), "another one");
        assert_eq!(assembly.add(&piece(1, 10, 0, 6), 4), Ok(true));
        assert_eq!(assembly.add(&piece(1, 10, 0, 6), 5), Ok(false), "doubled");
        let holds: Vec<_> = assembly.holds().iter().map(ToString::to_string).collect();
        let hash = |body: u8| ContentHash([body; 32]);
        assert_eq!(holds, [format!("{} 0-4", hash(2)), format!("{} 0-9", hash(1))]);
    }

    /// A peer that sends pieces of a million bodies costs no more than one that sends the most.
    #[test]
    fn a_flood_of_pieces_is_bounded() {
        let mut assembly = Assembly::default();
        for nth in 0..1000_u64 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&nth.to_le_bytes());
            let body = Content { bytes: 1000, hash: ContentHash(hash) };
            assembly.add(&Piece { body, at: 0, bytes: 1 }, nth).unwrap();
        }
        assert_eq!(assembly.bodies.len(), BODIES_MAX);
        assert_eq!(assembly.last_at(), Some(999), "the newest are kept");

        let mut gaps = Assembly::default();
        let refused = (0..100).find_map(|nth| gaps.add(&piece(1, 1000, 2 * nth, 1), 0).err());
        assert_eq!(refused, Some(PieceRefused::Gaps));
        assert_eq!(gaps.holds()[0].runs().len(), RUNS_MAX);
        assert!(!gaps.has(&piece(1, 1000, 2 * RUNS_MAX as u64, 1)), "it is not counted as kept");

        let huge = piece(1, BODY_BYTES_MAX + 1, 0, 1);
        assert!(matches!(gaps.add(&huge, 0), Err(PieceRefused::TooLarge { .. })));
        assert_eq!(gaps.add(&piece(2, BODY_BYTES_MAX, 0, 1), 0), Ok(false));
        assert_eq!(gaps.bodies.len(), 1, "the older one gave way");
    }
}
