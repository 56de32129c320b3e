//! The connections of a link's server, and their limits.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use super::Shared;

/// The pause after the operating system refused a connection, for instance because too many files are open.
const PAUSE: Duration = Duration::from_millis(100);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Somebody at the other end of a connection: a stranger until a ticket was shown.
pub(super) struct Visitor {
    is_known: AtomicBool,
    /// What a stranger takes away from other strangers.
    place: std::sync::Mutex<Option<OwnedSemaphorePermit>>,
}

impl Visitor {
    fn stranger(place: OwnedSemaphorePermit) -> Self {
        Self { is_known: AtomicBool::new(false), place: Some(place).into() }
    }

    /// It has shown a ticket.
    pub(super) fn is_known(&self) {
        if !self.is_known.swap(true, Ordering::Relaxed) {
            let mut place = self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            drop(place.take());
        }
    }
}

/// Accepts connections until the server stops.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    shared: Arc<Shared>,
) {
    let all = Arc::new(Semaphore::new(shared.limits.connections_max));
    let strangers = Arc::new(Semaphore::new(shared.limits.strangers_max));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopping() => return,
        };
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        // Who comes now and has no place is turned away: a requestor comes again.
        let places =
            (Arc::clone(&all).try_acquire_owned(), Arc::clone(&strangers).try_acquire_owned());
        let (Ok(place), Ok(as_stranger)) = places else { continue };
        let visitor = Arc::new(Visitor::stranger(as_stranger));
        let (tls, router, shared) = (tls.clone(), router.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let _place = place;
            // The end of a connection is nothing that anybody here has to know.
            let _ = serve(stream, tls, router, &shared, visitor).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    shared: &Shared,
    visitor: Arc<Visitor>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => converse(stream, router, shared, visitor).await,
        Some(tls) => {
            let shaken = timeout(shared.limits.stranger_time, tls.accept(stream)).await;
            let stream = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            converse(stream, router, shared, visitor).await
        }
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    shared: &Shared,
    visitor: Arc<Visitor>,
) -> io::Result<()> {
    let known = Arc::clone(&visitor);
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&known));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.head_time)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let as_stranger = sleep(shared.limits.stranger_time);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        () = shared.stopping() => {}
        () = as_stranger => {
            if !visitor.is_known.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            tokio::select! {
                ended = connection.as_mut() => return ended.map_err(io::Error::other),
                () = shared.stopping() => {}
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    timeout(shared.limits.stop_time, connection)
        .await
        .map_or(Ok(()), |ended| ended.map_err(io::Error::other))
}

/// Listens at an address.
pub(super) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
