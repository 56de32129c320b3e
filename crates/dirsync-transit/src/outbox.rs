//! The bodies of one postoffice that travel by themselves, as steps and carriers see them.

use std::collections::BTreeSet;
use std::io::{Read, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use dirsync_carrier::MessageFile;
use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, ContentHash, Holding};

use crate::memory::MemoryBodies;
use crate::queue::{FrozenBody, Piece};
use crate::store::{BodiesError, BodyStore, PeerBodies};

/// How far the bodies have come that travel to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The size of all of them, in bytes.
    pub bytes: u64,
    /// The bytes that carriers have taken, or the peer has.
    pub bytes_taken: u64,
    /// Whether a carrier has any byte of them, or the peer has.
    pub has_begun: bool,
    /// How many messages of the peer in a row said that it has all of them.
    pub heard_whole: u32,
}

/// A piece that is to be handed over to a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextPiece {
    /// The number of its body among those that travel to the peer, from 0.
    pub nth: usize,
    /// The piece.
    pub piece: Piece,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The bodies of one postoffice that travel apart from the messages which name them, in pieces. Clones have the same
/// bodies.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<dyn BodyStore>);

/// An outbox in memory.
impl Default for Outbox {
    fn default() -> Self {
        Self::new(MemoryBodies::default())
    }
}

impl Outbox {
    /// The outbox in a store.
    pub fn new(store: impl BodyStore + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// Begins to send a body to a peer. The bodies that travel to it are sent before.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn freeze(
        &self,
        peer: &PostofficeName,
        body: &FrozenBody,
        bytes: &mut dyn Read,
    ) -> Result<(), BodiesError> {
        self.0.put(&body.content, bytes)?;
        self.0.change(peer, &mut |bodies| {
            bodies.queue.push(body.clone());
            Ok(())
        })
    }

    /// The bodies that travel to a peer, in their order, and how far they have come. Those whose bytes were
    /// lost are not among them.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn frozen(
        &self,
        peer: &PostofficeName,
    ) -> Result<(Vec<FrozenBody>, Progress), BodiesError> {
        let queue = self.0.peer(peer)?.queue;
        let mut frozen = Vec::new();
        for body in queue.bodies() {
            if self.0.open(&body.content)?.is_some() {
                frozen.push(body.clone());
            }
        }
        let (bytes, bytes_taken) = (queue.bytes(), queue.bytes_taken());
        let (has_begun, heard_whole) = (queue.has_begun(), queue.heard_whole());
        Ok((frozen, Progress { bytes, bytes_taken, has_begun, heard_whole }))
    }

    /// A message to a peer names the bodies that travel to it, because of this request.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn name_for(&self, peer: &PostofficeName, request: &str) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| bodies.queue.name_for(request))
    }

    /// Whether a message named the bodies already because of this request.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn is_named_for(&self, peer: &PostofficeName, request: &str) -> Result<bool, BodiesError> {
        Ok(self.0.peer(peer)?.queue.named_for() == Some(request))
    }

    /// Sends the bodies that travel to a peer no longer.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn thaw(&self, peer: &PostofficeName) -> Result<(), BodiesError> {
        let bodies = self.0.peer(peer)?;
        if bodies.queue.bodies().next().is_none() {
            return Ok(());
        }
        self.0.change(peer, &mut |bodies| {
            bodies.queue.clear();
            Ok(())
        })
    }

    /// The bytes that this postoffice has of bodies of a peer, for the next message to it.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn holds(&self, peer: &PostofficeName) -> Result<Vec<Holding>, BodiesError> {
        Ok(self.0.peer(peer)?.assembly.holds())
    }

    /// A message of a peer says which bytes it has.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn hear(&self, peer: &PostofficeName, holds: &[Holding]) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| bodies.queue.hear(holds))
    }

    /// A report of a peer, between its messages, says which bytes it has.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn hear_report(&self, peer: &PostofficeName, holds: &[Holding]) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| bodies.queue.hear_report(holds))
    }

    /// What a peer has still to be told of the bodies that come from it. `None` if it knows. Pieces that come, and
    /// messages that wait for them, make it due.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn report_due(&self, peer: &PostofficeName) -> Result<Option<Vec<Holding>>, BodiesError> {
        let assembly = self.0.peer(peer)?.assembly;
        Ok(assembly.is_report_due().then(|| assembly.holds()))
    }

    /// The peers that have still to be told what has come of their bodies.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn reports_due(&self) -> Result<Vec<PostofficeName>, BodiesError> {
        let mut due = Vec::new();
        for peer in self.0.peers()? {
            if self.report_due(&peer)?.is_some() {
                due.push(peer);
            }
        }
        Ok(due)
    }

    /// A peer was told that these bytes have come.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn reported(&self, peer: &PostofficeName, holds: &[Holding]) -> Result<(), BodiesError> {
        self.0.change(peer, &mut |bodies| {
            bodies.assembly.report(holds);
            Ok(())
        })
    }

    /// A message of a peer, in a file of this name, waits for a body that is not whole.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn name_in(&self, peer: &PostofficeName, file: &str) -> Result<(), BodiesError> {
        let bodies = self.0.peer(peer)?;
        let mut assembly = bodies.assembly.clone();
        assembly.name_in(file);
        if assembly == bodies.assembly {
            return Ok(());
        }
        self.0.change(peer, &mut |bodies| {
            bodies.assembly.name_in(file);
            Ok(())
        })
    }

    /// If carriers have taken everything for a peer, all that it has not reported is sent again, because it has not
    /// answered for long.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn begin_again_if_all_left(&self, peer: &PostofficeName) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| {
            if bodies.queue.next(u64::MAX).is_none() {
                bodies.queue.begin_again();
            }
        })
    }

    fn if_sending(
        &self,
        peer: &PostofficeName,
        change: impl Fn(&mut PeerBodies),
    ) -> Result<(), BodiesError> {
        if self.0.peer(peer)?.queue.bodies().next().is_none() {
            return Ok(());
        }
        self.0.change(peer, &mut |bodies| {
            change(bodies);
            Ok(())
        })
    }

    /// Opens a whole body that came or was frozen. `None` if it is not there.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn open(&self, body: &Content) -> Result<Option<Box<dyn MessageFile>>, BodiesError> {
        self.0.open(body)
    }

    /// Whether a piece for a peer waits for a carrier.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn has_next(&self, peer: &PostofficeName) -> Result<bool, BodiesError> {
        Ok(self.0.peer(peer)?.queue.next(u64::MAX).is_some())
    }

    /// The next piece for a peer, of at most `bytes_max` bytes. `None` if carriers have taken all that is there.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn next_piece(
        &self,
        peer: &PostofficeName,
        bytes_max: u64,
    ) -> Result<Option<NextPiece>, BodiesError> {
        let Some((nth, piece)) = self.0.peer(peer)?.queue.next(bytes_max) else { return Ok(None) };
        let Some(mut file) = self.0.open(&piece.body)? else {
            // The next message is made with new bodies.
            self.thaw(peer)?;
            return Ok(None);
        };
        file.seek(SeekFrom::Start(piece.at))?;
        let mut bytes = Vec::with_capacity(usize::try_from(piece.bytes).unwrap_or(0));
        file.take(piece.bytes).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != piece.bytes {
            // Its file is damaged. That is as if it were lost.
            self.thaw(peer)?;
            return Ok(None);
        }
        Ok(Some(NextPiece { nth, piece, bytes }))
    }

    /// A carrier has taken a piece.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn hand_over(&self, peer: &PostofficeName, piece: &Piece) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| bodies.queue.hand_over(piece))
    }

    /// A piece came back: these bytes of a body are handed over again.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn lose(
        &self,
        peer: &PostofficeName,
        body: &ContentHash,
        bytes: Range<u64>,
    ) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| bodies.queue.lose(body, &bytes))
    }

    /// The peer has this many bytes of a body, from its beginning, and no others: it said so now.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn know(
        &self,
        peer: &PostofficeName,
        body: &Content,
        held: u64,
    ) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| bodies.queue.know(&body.hash, held))
    }

    /// A carrier has a part of a piece, which it continues.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn begin(&self, peer: &PostofficeName) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| bodies.queue.begin())
    }

    /// A carrier could not take a piece of this size.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn halve_pieces(&self, peer: &PostofficeName, bytes: u64) -> Result<(), BodiesError> {
        self.if_sending(peer, |bodies| bodies.queue.halve_pieces(bytes))
    }

    /// Takes a piece that has come from a peer, which has signed it. Returns whether its body is whole now,
    /// and was not before.
    ///
    /// # Errors
    ///
    /// If the piece is over a limit, or the store fails. The piece has then to come again.
    pub fn take_piece(
        &self,
        peer: &PostofficeName,
        piece: &Piece,
        bytes: &[u8],
        now: u64,
    ) -> Result<bool, BodiesError> {
        assert_eq!(piece.bytes, bytes.len() as u64, "a piece is as long as its lines say");
        if self.0.peer(peer)?.assembly.has(piece) {
            return Ok(false);
        }
        let mut is_whole = false;
        self.0.change(peer, &mut |bodies| {
            let is_last = bodies.assembly.add(piece, now)?;
            bodies.queue.hear_of_peer();
            self.0.write_piece(peer, piece, bytes)?;
            is_whole = is_last && self.0.complete(peer, &piece.body)?;
            if is_last && !is_whole {
                bodies.assembly.forget(&piece.body);
            }
            Ok(())
        })?;
        Ok(is_whole)
    }

    /// The first bytes of a peer's body that have not come, at most `bytes_max` of them. `None` if it is whole.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn gap(
        &self,
        peer: &PostofficeName,
        body: &Content,
        bytes_max: u64,
    ) -> Result<Option<Piece>, BodiesError> {
        if self.0.open(body)?.is_some() {
            return Ok(None);
        }
        self.miss(peer, body)?;
        Ok(self.0.peer(peer)?.assembly.gap(body, bytes_max))
    }

    /// A body of a peer was needed and is not whole here: if its bytes were lost, its sender is told so.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn miss(&self, peer: &PostofficeName, body: &Content) -> Result<(), BodiesError> {
        let bodies = self.0.peer(peer)?;
        let has_come = bodies.assembly.bodies().any(|one| one == (*body, body.bytes));
        if !has_come || self.0.open(body)?.is_some() {
            return Ok(());
        }
        self.0.change(peer, &mut |bodies| {
            bodies.assembly.forget(body);
            Ok(())
        })
    }

    /// The size of each body of a peer that comes in pieces, and the bytes that have come of it.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn coming(&self, peer: &PostofficeName) -> Result<Vec<(Content, u64)>, BodiesError> {
        Ok(self.0.peer(peer)?.assembly.bodies().collect())
    }

    /// When the last piece came from a peer, in milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn last_piece_at(&self, peer: &PostofficeName) -> Result<Option<u64>, BodiesError> {
        Ok(self.0.peer(peer)?.assembly.last_at())
    }

    /// The peers that have or had bodies here.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn peers(&self) -> Result<Vec<PostofficeName>, BodiesError> {
        self.0.peers()
    }

    /// Removes bodies that came before `before` (milliseconds since 1970), and all that nobody waits for.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn tidy_up(&self, before: u64) -> Result<(), BodiesError> {
        let mut kept = BTreeSet::<ContentHash>::new();
        for peer in self.0.peers()? {
            self.0.change(&peer, &mut |bodies| {
                bodies.assembly.forget_before(before);
                kept.extend(bodies.assembly.hashes());
                kept.extend(bodies.queue.bodies().map(|body| body.content.hash));
                Ok(())
            })?;
        }
        self.0.keep_only(&kept)
    }
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;
