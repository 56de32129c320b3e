//! A server without sockets and clocks of its own, for tests of its requests with any bytes.

use std::sync::Arc;
use std::time::Duration;

use dirsync_directory::PostofficeName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::connections::{Visitor, converse};
use super::desk::Desk;
use super::hub::Hub;
use super::requests::router;
use super::strangers::Strangers;
use super::{Limits, Shared};

/// How long a server may take for what it was sent. It ends with the connection, long before.
const TIME: Duration = Duration::from_secs(8);
/// The pause between the last byte and the end of the connection.
const PAUSE: Duration = Duration::from_millis(1);
/// The bytes that are under way between the two ends.
const PIPE_BYTES: usize = 64 * 1024;

/// A server of a link whose connections are in memory.
pub struct InMemory {
    runtime: Runtime,
    shared: Arc<Shared>,
    strangers: Strangers,
    _stop: watch::Sender<bool>,
}

impl InMemory {
    /// A server for this desk, with the usual limits.
    ///
    /// # Panics
    ///
    /// If the operating system gives no threads or no randomness.
    pub fn new(desk: Arc<dyn Desk>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let (stop, stopped) = watch::channel(false);
        let shared = Shared::new(desk, Hub::default(), Limits::default(), stopped);
        let shared = Arc::new(shared.expect("a server"));
        Self { runtime, shared, strangers: Strangers::new(1), _stop: stop }
    }

    /// A ticket as one that has logged in has it.
    ///
    /// # Panics
    ///
    /// If the operating system gives no randomness.
    pub fn ticket(&self, requestor: &PostofficeName) -> String {
        self.shared.gate.admit(requestor).expect("a ticket")
    }

    /// All bytes that a connection answers on which these bytes come, and nothing after them.
    ///
    /// # Panics
    ///
    /// If the connection does not end by itself.
    pub fn answers(&self, bytes: &[u8]) -> Vec<u8> {
        let (near, far) = duplex(PIPE_BYTES);
        let local = [127, 0, 0, 1].into();
        let (stranger, _) = self.strangers.admit(local);
        let visitor = Arc::new(Visitor::stranger(stranger));
        let served = converse(
            far,
            router(Arc::clone(&self.shared)),
            &self.shared,
            visitor,
            std::future::pending(),
        );
        let (mut from, mut to) = tokio::io::split(near);
        let send = async move {
            // A server may end the connection before it has read everything.
            let _ = to.write_all(bytes).await;
            // A connection that ends is answered no more.
            tokio::time::sleep(PAUSE).await;
            let _ = to.shutdown().await;
        };
        let mut answers = Vec::new();
        self.runtime.block_on(async {
            let all = async { tokio::join!(served, send, from.read_to_end(&mut answers)) };
            let ended = tokio::time::timeout(TIME, all).await;
            assert!(ended.is_ok(), "a connection ends with its last byte");
        });
        answers
    }
}
