//! Room for bytes in memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for so many bytes, which requests or answers share.
pub(super) struct Room {
    kib_max: u32,
    kib: Arc<Semaphore>,
}

/// A part of the room, free again when it is dropped.
#[derive(Default)]
pub(super) struct Taken(Option<OwnedSemaphorePermit>);

impl Room {
    pub(super) fn new(kib_max: u32) -> Self {
        Self { kib_max, kib: Arc::new(Semaphore::new(kib_max as usize)) }
    }

    /// Waits until there is room for so many bytes. What is larger than the room takes all of it.
    pub(super) async fn take(&self, bytes: u64) -> Taken {
        let mut taken = Taken::default();
        taken.grow(self, bytes).await;
        taken
    }
}

impl Taken {
    /// Waits until there is room for so many bytes altogether.
    pub(super) async fn grow(&mut self, room: &Room, bytes: u64) {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(room.kib_max);
        let here = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = kib.saturating_sub(u32::try_from(here).unwrap_or(u32::MAX));
        // The semaphore is never closed.
        let Ok(more) = Arc::clone(&room.kib).acquire_many_owned(more).await else { return };
        match &mut self.0 {
            Some(permit) => permit.merge(more),
            None => self.0 = Some(more),
        }
    }
}
