//! Connections: how many there are, what a stranger may take, and how each of them ends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use dirsync_directory::PostofficeName;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use super::Shared;
use super::paced::Paced;
use super::strangers::{Stranger, Strangers};
use super::turns::Turn;

/// The pause after the operating system refused a connection, for instance because too many files are open.
const PAUSE: Duration = Duration::from_millis(100);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Somebody at the other end of a connection: a stranger until a ticket was shown.
pub(super) struct Visitor(Mutex<Who>);

enum Who {
    Stranger { _place: Stranger },
    Known { requestor: PostofficeName, _turn: Turn },
}

impl Visitor {
    pub(super) fn stranger(place: Stranger) -> Self {
        Self(Mutex::new(Who::Stranger { _place: place }))
    }

    /// It has shown a ticket of this requestor. False if the requestor has too many connections.
    pub(super) fn is_known(&self, requestor: &PostofficeName, shared: &Shared) -> bool {
        let mut who = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A reverse proxy may use one connection for several requestors.
        if matches!(&*who, Who::Known { requestor: known, .. } if known == requestor) {
            return true;
        }
        let Some(turn) = shared.connections.begin(requestor) else { return false };
        *who = Who::Known { requestor: requestor.clone(), _turn: turn };
        true
    }

    fn is_stranger(&self) -> bool {
        let who = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(&*who, Who::Stranger { .. })
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
    let strangers = Strangers::new(shared.limits.strangers_max);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopping() => return,
        };
        let Ok((stream, from)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        // When all places are taken, the next one is turned away: a requestor comes again.
        let Ok(place) = Arc::clone(&all).try_acquire_owned() else { continue };
        let (stranger, driven_out) = strangers.admit(from.ip());
        let visitor = Arc::new(Visitor::stranger(stranger));
        let (tls, router, shared) = (tls.clone(), router.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let _place = place;
            let end = Arc::clone(&visitor);
            let as_stranger = async {
                let _ = timeout(shared.limits.stranger_time, driven_out.notified()).await;
                // A requestor that is known by then stays.
                if !end.is_stranger() {
                    std::future::pending::<()>().await;
                }
            };
            // The end of a connection is nothing that anybody here has to know.
            tokio::select! {
                _ = serve(stream, tls, router, &shared, visitor) => {}
                () = as_stranger => {}
            }
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
    let stream = Paced::new(stream, shared.limits.answer_time);
    match tls {
        None => converse(stream, router, shared, visitor, shared.stopping()).await,
        Some(tls) => {
            let stream = tls.accept(stream).await?;
            converse(stream, router, shared, visitor, shared.stopping()).await
        }
    }
}

/// Answers the requests of a connection until it ends, or soon after `stopping` ends.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    shared: &Shared,
    visitor: Arc<Visitor>,
    stopping: impl Future<Output = ()>,
) -> io::Result<()> {
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&visitor));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.head_time)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        () = stopping => {}
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
