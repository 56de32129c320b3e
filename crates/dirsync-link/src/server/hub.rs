//! Wakes the requests of requestors that wait for files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dirsync_directory::PostofficeName;
use tokio::sync::Notify;

/// Says to waiting requests that files have come for a requestor. Clones say it to the same requests.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Mutex<BTreeMap<String, Arc<Notify>>>>);

impl Hub {
    /// Files may wait for a requestor. It may be called from any thread.
    pub fn announce(&self, requestor: &PostofficeName) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = waiting.get(requestor.folded()) {
            bell.notify_waiters();
        }
    }

    /// What rings when files come for a requestor. Bells that nobody has any more are forgotten.
    pub(super) fn bell(&self, requestor: &PostofficeName) -> Arc<Notify> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, bell| Arc::strong_count(bell) > 1);
        Arc::clone(waiting.entry(requestor.folded().to_owned()).or_default())
    }
}
