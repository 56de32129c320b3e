//! HTTP over TLS as requestors speak it: through a proxy or directly, each step with its deadline, and with errors
//! that say which step failed and at whose side.
//!
//! The library `ureq` puts a connection together from links of a chain. Here each link is one of its own or wraps one
//! of it, so that an error names the peer: [`words`] reads them.

mod failed;
mod proxy;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use ureq::http::{Request, Response, Uri};
use ureq::middleware::MiddlewareNext;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport,
};
use ureq::{Agent, Body, SendBody};

pub use self::failed::words;
use self::failed::{Failed, Peer};
use self::proxy::{Bypass, Proxy};
pub use self::proxy::{ProxyChoice, ProxyError};
use self::tls::Tls;

/// How long each step of a request may take. One request can have its own: see `ureq`'s `timeout_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Finding the addresses of the host or the proxy.
    pub resolve: Duration,
    /// The connection: TCP, proxy, TLS.
    pub connect: Duration,
    /// Sending the head of a request, and then its body.
    pub send: Duration,
    /// From the end of the request to the head of its answer. News are waited for here.
    pub answer: Duration,
    /// The body of the answer.
    pub body: Duration,
}

/// Enough for a slow line: 1 MiB in a minute are 18 kB/s. The answer may wait for news for 55 s.
impl Default for Deadlines {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(15),
            connect: Duration::from_secs(30),
            send: Duration::from_secs(60),
            answer: Duration::from_secs(75),
            body: Duration::from_secs(60),
        }
    }
}

/// An HTTP client for the link.
///
/// Every status is an answer, not an error. Redirections are not followed: a ticket is for one server. Plain `http`
/// is refused but to the addresses of this machine, and never goes through a proxy.
///
/// # Errors
///
/// If the proxy of the settings or the environment cannot be used.
pub fn agent(
    config: Arc<ClientConfig>,
    proxy: &ProxyChoice,
    deadlines: Deadlines,
) -> Result<Agent, ProxyError> {
    let proxy = proxy.find(|name| std::env::var(name).ok())?;
    Ok(agent_by(config, proxy, deadlines))
}

fn agent_by(tls: Arc<ClientConfig>, Proxy { proxy, bypass }: Proxy, deadlines: Deadlines) -> Agent {
    let uri = proxy.as_ref().map(|proxy| proxy.uri().clone());
    let settings = Agent::config_builder()
        .proxy(proxy)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent("dirsync")
        .middleware(refuse_plain)
        .timeout_resolve(Some(deadlines.resolve))
        .timeout_connect(Some(deadlines.connect))
        .timeout_send_request(Some(deadlines.send))
        .timeout_send_body(Some(deadlines.send))
        .timeout_recv_response(Some(deadlines.answer))
        .timeout_recv_body(Some(deadlines.body))
        .build();
    let chain =
        ().chain(Beside { bypass })
            .chain(Tunnel(ConnectProxyConnector::default()))
            .chain(Tcp { proxy: uri.clone() })
            .chain(Tls::new(tls));
    Agent::with_parts(settings, chain, Names { proxy: uri })
}

/// Whether a connection to this address leaves the machine.
fn stays_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `http` without TLS is for a server behind a reverse proxy on the same machine.
fn is_plain(uri: &Uri) -> bool {
    uri.scheme_str() != Some("https")
}

/// Finds the addresses of a host, and names it if there are none.
#[derive(Debug)]
struct Names {
    proxy: Option<Uri>,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let failed =
            |error| Failed::Name { peer: Peer::new(uri, self.proxy.as_ref()), error }.into();
        DefaultResolver::default().resolve(uri, config, timeout).map_err(failed)
    }
}

/// Refuses plain `http` to other machines, before anything is looked up.
fn refuse_plain(
    request: Request<SendBody<'_>>,
    next: MiddlewareNext<'_>,
) -> Result<Response<Body>, ureq::Error> {
    match is_plain(request.uri()) && !stays_here(request.uri()) {
        true => Err(Failed::Plain { peer: Peer::new(request.uri(), None) }.into()),
        false => next.handle(request),
    }
}

/// Connects to what a proxy is not for.
#[derive(Debug)]
struct Beside {
    bypass: Bypass,
}

impl<In: Transport> Connector<In> for Beside {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let uri = details.uri;
        let host = uri.host().unwrap_or_default();
        if details.config.proxy().is_none() || !(is_plain(uri) || self.bypass.matches(host)) {
            return Ok(None);
        }
        // With a proxy, nobody has looked up the address yet.
        let addrs = details.resolver.resolve(uri, details.config, details.timeout)?;
        let direct = ConnectionDetails {
            uri,
            addrs,
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        tcp(&direct, chained, None)
    }
}

/// Connects through the proxy, if there is one.
#[derive(Debug)]
struct Tunnel(ConnectProxyConnector);

impl<In: Transport> Connector<In> for Tunnel {
    type Out = <ConnectProxyConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.connect(details, chained).map_err(|error| match (error, details.config.proxy()) {
            // The way to the proxy failed, and says so.
            (error @ ureq::Error::Other(_), _) | (error, None) => error,
            (error, Some(proxy)) => {
                let proxy = Peer::new(proxy.uri(), Some(proxy.uri()));
                Failed::Tunnel { proxy, target: Peer::new(details.uri, None), error }.into()
            }
        })
    }
}

/// Connects by TCP, if nothing before did.
#[derive(Debug)]
struct Tcp {
    proxy: Option<Uri>,
}

impl<In: Transport> Connector<In> for Tcp {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        tcp(details, chained, self.proxy.as_ref())
    }
}

fn tcp<In: Transport>(
    details: &ConnectionDetails<'_>,
    chained: Option<In>,
    proxy: Option<&Uri>,
) -> Result<Option<<TcpConnector as Connector<In>>::Out>, ureq::Error> {
    let failed = |error| Failed::Connect { peer: Peer::new(details.uri, proxy), error }.into();
    TcpConnector::default().connect(details, chained).map_err(failed)
}
