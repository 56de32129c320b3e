//! The whole link over TLS on this machine: what an exchange is promised, lines that are bad at any byte, and enemies.

mod bodies;
mod carrier;
mod desk;
mod proxy;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dirsync_agent::peers::Peer;
use dirsync_directory::PostofficeName;
use dirsync_link::certificate::{Root, ServerCertificates, server_config, system_clock};
use dirsync_link::client::{Connections, Link};
use dirsync_link::connector::{Deadlines, ProxyChoice, agent};
use dirsync_link::server::{Hub, Limits, Server};
use dirsync_link::trust::Trust;
use dirsync_testing::{own_keys, peer_keys};
use tempfile::TempDir;

use desk::Folders;

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

/// A server, its folder, and what a requestor's invitation says of it.
struct Site {
    me: PostofficeName,
    desk: Arc<Folders>,
    root: Root,
    server: Server,
    _folder: TempDir,
}

impl Site {
    fn new(server: &str, requestors: &[&str]) -> Self {
        let stop_time = Duration::from_millis(20);
        Self::with(server, requestors, Limits { stop_time, ..Limits::default() })
    }

    fn with(server: &str, requestors: &[&str], limits: Limits) -> Self {
        let me = name(server);
        let folder = tempfile::tempdir().unwrap();
        let requestors = requestors.iter().map(|text| name(text)).collect();
        let desk = Arc::new(Folders::new(folder.path(), me.clone(), requestors));
        let (root, hub) = (Root::new(&me).unwrap(), Hub::default());
        let copy = Root::from_pem(&root.to_pem()).unwrap();
        let hosts = ["127.0.0.1".to_owned()];
        let certificates = ServerCertificates::signed(copy, &hosts, system_clock()).unwrap();
        let tls = Some(server_config(certificates));
        let address = "127.0.0.1:0".parse().unwrap();
        let server = Server::start(address, tls, desk.clone(), &hub, limits).unwrap();
        Self { me, desk, root, server, _folder: folder }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A requestor's link to this server.
    fn link(&self, me: &PostofficeName) -> Link {
        self.link_by(me, self.address().port(), Deadlines::default())
    }

    /// The same by another port, with other deadlines.
    fn link_by(&self, me: &PostofficeName, port: u16, deadlines: Deadlines) -> Link {
        let trust = Trust::Root(self.root.certificate().clone());
        let config = trust.client_config().unwrap();
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
