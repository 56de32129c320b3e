//! The whole link over TLS on this machine: what an exchange is promised, lines that are bad at any byte, and enemies.

mod bodies;
mod carrier;
mod crowds;
mod desk;
mod proxy;
mod raw;
mod strangers;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dirsync_agent::peers::Peer;
use dirsync_directory::PostofficeName;
use dirsync_link::certificate::{Root, ServerCertificates, server_config, system_clock};
use dirsync_link::client::{Connections, Link};
use dirsync_link::connector::{Deadlines, ProxyChoice, agent};
use dirsync_link::server::{self, Hub, Limits};
use dirsync_link::trust::Trust;
use dirsync_testing::{own_keys, peer_keys};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use desk::Folders;

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

/// A server as an invitation names it.
struct Server {
    me: PostofficeName,
    root: CertificateDer<'static>,
    address: SocketAddr,
}

impl Server {
    fn address(&self) -> SocketAddr {
        self.address
    }

    /// A requestor's link to it.
    fn link(&self, me: &PostofficeName) -> Link {
        self.link_by(me, self.address.port(), Deadlines::default())
    }

    /// The same by another port, with other deadlines.
    fn link_by(&self, me: &PostofficeName, port: u16, deadlines: Deadlines) -> Link {
        let config = Trust::Root(self.root.clone()).client_config().unwrap();
        let agent = agent(config, &ProxyChoice::Direct, deadlines).unwrap();
        Link {
            connections: Arc::new(Connections::new(agent, &format!("https://127.0.0.1:{port}"))),
            keys: own_keys(me),
            server: Peer::pinned(peer_keys(&self.me)),
            first_contact: None,
            wait: Duration::ZERO,
        }
    }
}

/// Limits of tests: nobody waits for a server to end.
fn limits() -> Limits {
    Limits { stop_time: Duration::from_millis(20), ..Limits::default() }
}

/// A server that runs.
struct Running {
    server: Server,
    desk: Arc<Folders>,
    hub: Hub,
    _running: server::Server,
}

impl Running {
    /// Begins to serve what is in a folder.
    fn start(
        folder: &Path,
        root: &Root,
        me: &PostofficeName,
        requestors: &[&str],
        limits: Limits,
    ) -> Self {
        let requestors = requestors.iter().map(|text| name(text)).collect();
        let (desk, hub) = (Folders::new(folder, me.clone(), requestors), Hub::default());
        let desk = Arc::new(desk);
        let copy = Root::from_pem(&root.to_pem()).unwrap();
        let hosts = ["127.0.0.1".to_owned()];
        let certificates = ServerCertificates::signed(copy, &hosts, system_clock()).unwrap();
        let tls = Some(server_config(certificates));
        let address = "127.0.0.1:0".parse().unwrap();
        let running = server::Server::start(address, tls, desk.clone(), &hub, limits).unwrap();
        let (root, address) = (root.certificate().clone(), running.address());
        let server = Server { me: me.clone(), root, address };
        Self { server, desk, hub, _running: running }
    }
}

/// A server with its folder.
struct Site {
    me: PostofficeName,
    running: Running,
    _folder: TempDir,
}

impl std::ops::Deref for Site {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl Site {
    fn new(server: &str, requestors: &[&str]) -> Self {
        Self::with(server, requestors, limits())
    }

    fn with(server: &str, requestors: &[&str], limits: Limits) -> Self {
        let (me, folder) = (name(server), tempfile::tempdir().unwrap());
        let root = Root::new(&me).unwrap();
        let running = Running::start(folder.path(), &root, &me, requestors, limits);
        Self { me, running, _folder: folder }
    }
}
