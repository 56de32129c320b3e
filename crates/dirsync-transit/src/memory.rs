//! Bodies in memory, for tests and simulations.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dirsync_carrier::MessageFile;
use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, ContentHash};

use crate::queue::Piece;
use crate::store::{BodiesError, BodyStore, ChangeBodies, PeerBodies};

/// Bodies in memory. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryBodies(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Held while somebody changes the state of a peer.
    changing: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    peers: BTreeMap<String, (PostofficeName, PeerBodies)>,
    whole: BTreeMap<ContentHash, Arc<Vec<u8>>>,
    /// By body and folded name of the peer.
    pieces: BTreeMap<(ContentHash, String), Vec<u8>>,
}

impl MemoryBodies {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another store with the same content.
    pub fn fork(&self) -> Self {
        let state = Mutex::new(self.state().clone());
        Self(Arc::new(Shared { changing: Mutex::default(), state }))
    }

    /// Loses everything.
    pub fn clear(&self) {
        *self.state() = State::default();
    }
}

impl BodyStore for MemoryBodies {
    fn peer(&self, peer: &PostofficeName) -> Result<PeerBodies, BodiesError> {
        Ok(self
            .state()
            .peers
            .get(peer.folded())
            .map(|(_, bodies)| bodies.clone())
            .unwrap_or_default())
    }

    fn peers(&self) -> Result<Vec<PostofficeName>, BodiesError> {
        Ok(self.state().peers.values().map(|(name, _)| name.clone()).collect())
    }

    fn change(&self, peer: &PostofficeName, change: ChangeBodies<'_>) -> Result<(), BodiesError> {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bodies = self.peer(peer)?;
        change(&mut bodies)?;
        self.state().peers.insert(peer.folded().to_owned(), (peer.clone(), bodies));
        Ok(())
    }

    fn put(&self, content: &Content, body: &mut dyn Read) -> Result<(), BodiesError> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)?;
        self.state().whole.insert(content.hash, Arc::new(bytes));
        Ok(())
    }

    fn open(&self, content: &Content) -> Result<Option<Box<dyn MessageFile>>, BodiesError> {
        let bytes = self.state().whole.get(&content.hash).cloned();
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes.to_vec())) as Box<dyn MessageFile>))
    }

    fn write_piece(
        &self,
        peer: &PostofficeName,
        piece: &Piece,
        bytes: &[u8],
    ) -> Result<(), BodiesError> {
        let mut state = self.state();
        let pieces = state.pieces.entry((piece.body.hash, peer.folded().to_owned())).or_default();
        let (at, end) = (piece.at as usize, piece.end() as usize);
        if pieces.len() < end {
            pieces.resize(end, 0);
        }
        pieces[at..end].copy_from_slice(bytes);
        Ok(())
    }

    fn complete(&self, peer: &PostofficeName, content: &Content) -> Result<bool, BodiesError> {
        let mut state = self.state();
        let pieces =
            state.pieces.remove(&(content.hash, peer.folded().to_owned())).unwrap_or_default();
        if state.whole.contains_key(&content.hash) {
            return Ok(true);
        }
        let is_right = Content::of(&pieces) == *content;
        if is_right {
            state.whole.insert(content.hash, Arc::new(pieces));
        }
        Ok(is_right)
    }

    fn keep_only(&self, bodies: &BTreeSet<ContentHash>) -> Result<(), BodiesError> {
        let mut state = self.state();
        state.whole.retain(|hash, _| bodies.contains(hash));
        state.pieces.retain(|(hash, _), _| bodies.contains(hash));
        Ok(())
    }
}
