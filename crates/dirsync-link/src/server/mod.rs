//! The server of a link: one thread with a small runtime, which serves what a [`Desk`] has and touches nothing else.

mod answers;
mod connections;
mod desk;
mod gate;
mod hub;
#[cfg(feature = "testing")]
mod in_memory;
mod open_files;
mod paced;
mod requests;
mod room;
mod strangers;
mod turns;
mod uploads;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub use self::desk::{Desk, DeskError, Held, Served};
use self::gate::Gate;
pub use self::hub::Hub;
#[cfg(feature = "testing")]
pub use self::in_memory::InMemory;
use self::room::Room;
use self::turns::Turns;
use self::uploads::Uploads;

/// How much a server of a link gives to those who come.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most connections. There may be fewer, if the operating system lets the process open fewer files.
    pub connections_max: usize,
    /// The most connections of one requestor.
    pub connections_of_one_max: u32,
    /// The most connections of strangers, who have not shown a ticket. One more drives out the oldest one of the
    /// address that has most.
    pub strangers_max: usize,
    /// How long a stranger may take to show a ticket.
    pub stranger_time: Duration,
    /// How long the head of a request, and the pause before it, may take.
    pub head_time: Duration,
    /// How long the body of a request may take.
    pub request_time: Duration,
    /// How long an answer may take to go out.
    pub answer_time: Duration,
    /// The most requests of one requestor at a time.
    pub requests_max: u32,
    /// The most bytes of all requests of requestors in hand, in KiB.
    pub requests_kib_max: u32,
    /// The most bytes of all answers with bodies or fetched files in hand, in KiB. Requestors that take none of it keep
    /// nobody from sending.
    pub answers_kib_max: u32,
    /// The most threads that wait for a disk.
    pub threads_max: usize,
    /// How long a request may go on after the server was told to stop.
    pub stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_of_one_max: 32,
            strangers_max: 256,
            stranger_time: Duration::from_secs(15),
            head_time: Duration::from_secs(90),
            request_time: Duration::from_secs(60),
            answer_time: Duration::from_secs(90),
            requests_max: 8,
            requests_kib_max: 16 * 1024,
            answers_kib_max: 32 * 1024,
            threads_max: 8,
            stop_time: Duration::from_millis(500),
        }
    }
}

/// What all requests share.
struct Shared {
    desk: Arc<dyn Desk>,
    hub: Hub,
    gate: Gate,
    turns: Turns,
    connections: Turns,
    uploads: Uploads,
    limits: Limits,
    /// Room for requests in hand.
    requests: Room,
    /// Room for answers in hand.
    answers: Room,
    stop: watch::Receiver<bool>,
}

impl Shared {
    fn new(
        desk: Arc<dyn Desk>,
        hub: Hub,
        limits: Limits,
        stop: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        Ok(Self {
            desk,
            hub,
            gate: Gate::new().map_err(io::Error::other)?,
            turns: Turns::new(limits.requests_max),
            connections: Turns::new(limits.connections_of_one_max),
            uploads: Uploads::default(),
            requests: Room::new(limits.requests_kib_max),
            answers: Room::new(limits.answers_kib_max),
            limits,
            stop,
        })
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Ends when the server is told to stop.
    async fn stopping(&self) {
        // A sender that is gone has stopped, too.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }
}

/// A server that listens. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to serve at an address. Port 0 takes a free one. Without `tls` somebody before it must end the
    /// encryption.
    ///
    /// # Errors
    ///
    /// If it cannot listen there, or the operating system gives no thread or no randomness.
    pub fn start(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        desk: Arc<dyn Desk>,
        hub: &Hub,
        mut limits: Limits,
    ) -> io::Result<Self> {
        limits.connections_max = open_files::room_for(limits.connections_max);
        let listener = connections::listen(address)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let threads_max = limits.threads_max;
        let shared = Arc::new(Shared::new(desk, hub.clone(), limits, stopped)?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(threads_max)
            .build()?;
        let router = requests::router(Arc::clone(&shared));
        let serve = async move {
            // It was bound before, so this fails only outside of a runtime.
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                let time = shared.limits.stop_time;
                connections::accept(listener, tls.map(TlsAcceptor::from), router, shared).await;
                // Requests under way are given a while.
                tokio::time::sleep(time).await;
            }
        };
        let thread = std::thread::Builder::new().name("link".into()).spawn(move || {
            runtime.block_on(serve);
            runtime.shutdown_background();
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // It has ended, or panicked, which its log says.
            let _ = thread.join();
        }
    }
}
