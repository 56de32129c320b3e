//! What the links and the mail of all postoffices in one program share: connections to servers, what tells requestors that
//! wait, and which mail was read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dirsync_agent::known_peers::KnownPeers;
use dirsync_agent::notes::LINK_ROOT;
use dirsync_link::client::{Connections, Link};
use dirsync_link::connector::{Deadlines, ProxyChoice, agent};
use dirsync_link::server::Hub;
use dirsync_link::trust::Trust;

use crate::failure::{Failure, Result};
use crate::mail::Mail;
use crate::postoffice::Postoffice;

/// How long a request with a message waits for its answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// What the links of a program share. It outlives each opening of a postoffice. Clones share it, too.
#[derive(Clone, Default)]
pub struct Links(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    hubs: BTreeMap<PathBuf, Hub>,
    connections: BTreeMap<(PathBuf, String), (ConnectionSettings, Arc<Connections>)>,
    mail: BTreeMap<PathBuf, Arc<Mail>>,
}

/// The settings by which connections are made.
#[derive(Clone, PartialEq, Eq)]
struct ConnectionSettings {
    trust: Trust,
    proxy: ProxyChoice,
}

impl Links {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tells the requestors of the server with this folder.
    pub fn hub(&self, folder: &Path) -> Hub {
        self.shared().hubs.entry(folder.to_owned()).or_default().clone()
    }

    /// The mail of the postoffice with this folder.
    pub(crate) fn mail(&self, folder: &Path) -> Option<Arc<Mail>> {
        self.shared().mail.get(folder).cloned()
    }

    pub(crate) fn keep_mail(&self, folder: &Path, mail: &Arc<Mail>) {
        self.shared().mail.insert(folder.to_owned(), Arc::clone(mail));
    }

    /// The connections of the postoffice with this folder to this URL. Settings that changed make new ones.
    fn connections(
        &self,
        folder: &Path,
        url: &str,
        settings: ConnectionSettings,
    ) -> Result<Arc<Connections>> {
        let at = (folder.to_owned(), url.to_owned());
        if let Some((known, connections)) = self.shared().connections.get(&at)
            && *known == settings
        {
            return Ok(Arc::clone(connections));
        }
        let config = settings.trust.client_config().map_err(Failure::usage)?;
        let agent = agent(config, &settings.proxy, Deadlines::default()).map_err(Failure::usage)?;
        let made = Arc::new(Connections::new(agent, url));
        self.shared().connections.insert(at, (settings, Arc::clone(&made)));
        Ok(made)
    }
}

impl Postoffice {
    /// The link to the directory server at this URL.
    pub(crate) fn link(&mut self, url: &str, peers: &KnownPeers) -> Result<Link> {
        let server = self.server.clone();
        let peer = peers.peer(&server).cloned().ok_or_else(|| {
            Failure::usage(format!("the key of {server} is not known")).hint(
                "its invitation has it: `dirsync init --invitation FILE` makes a postoffice of it",
            )
        })?;
        let trust = match self.begin()?.note(LINK_ROOT)? {
            Some(root) => Trust::root(&root).map_err(Failure::usage)?,
            None => Trust::Public,
        };
        let settings = ConnectionSettings { trust, proxy: self.config.link.proxy.clone() };
        let connections = self.links.connections(&self.folder, url, settings)?;
        Ok(Link {
            connections,
            keys: self.own_keys()?,
            server: peer,
            first_contact: peers.first_contact().cloned(),
            wait: ANSWER_TIME,
        })
    }
}
