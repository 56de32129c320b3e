//! Uploads under way. The line of one may be dead without anybody having noticed, so a newer request about the same
//! body ends it: what had come of it is kept first, and the newer one sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dirsync_directory::PostofficeName;
use dirsync_seal::ContentHash;
use tokio::sync::{OwnedMutexGuard, watch};

/// The uploads under way, by requestor and body.
#[derive(Default)]
pub(super) struct Uploads(Mutex<BTreeMap<(String, ContentHash), Arc<Upload>>>);

struct Upload {
    /// The number of the newest request.
    newest: watch::Sender<u64>,
    line: Arc<tokio::sync::Mutex<()>>,
}

/// The only request about a body that moves bytes.
pub(super) struct Moving {
    upload: Arc<Upload>,
    number: u64,
    _line: OwnedMutexGuard<()>,
}

impl Uploads {
    /// Ends older requests about a body, and waits until they have kept what came.
    pub(super) async fn begin(&self, requestor: &PostofficeName, body: &ContentHash) -> Moving {
        let upload = self.of(requestor, body);
        let mut number = 0;
        upload.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let line = Arc::clone(&upload.line).lock_owned().await;
        Moving { upload, number, _line: line }
    }

    fn of(&self, requestor: &PostofficeName, body: &ContentHash) -> Arc<Upload> {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|_, upload| Arc::strong_count(upload) > 1);
        let made = || Arc::new(Upload { newest: watch::Sender::new(0), line: Arc::default() });
        Arc::clone(uploads.entry((requestor.folded().to_owned(), *body)).or_insert_with(made))
    }
}

impl Moving {
    /// Ends when there is a newer request about the body.
    pub(super) async fn is_superseded(&self) {
        let mut newest = self.upload.newest.subscribe();
        // The sender is kept here, so this does not fail.
        let _ = newest.wait_for(|newest| *newest > self.number).await;
    }
}
