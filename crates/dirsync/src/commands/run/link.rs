//! The link of a directory server, which listens while the agent runs.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use dirsync_link::certificate::{ServerCertificates, server_config};
use dirsync_link::server::{Limits, Server};
use dirsync_postoffice::Postoffice;
use dirsync_postoffice::config::LinkSettings;
use dirsync_postoffice::link_desk::LinkDesk;
use dirsync_postoffice::links::Links;
use dirsync_protocol::context::Level;

use super::Voice;
use crate::failure::{Failure, Result};

/// The link of one postoffice, if it is a server with one.
pub(super) struct OwnLink {
    waker: Sender<()>,
    links: Links,
    state: State,
}

enum State {
    Off,
    Open(Box<Open>),
    /// It could not be opened, with these settings and for this reason.
    Failed(LinkSettings, String),
}

struct Open {
    settings: LinkSettings,
    desk: LinkDesk,
    certificates: Option<Arc<ServerCertificates>>,
    /// Why the certificate was not renewed, as it was said last.
    warning: Option<String>,
    _server: Server,
}

impl OwnLink {
    pub(super) fn new(waker: Sender<()>, links: &Links) -> Self {
        Self { waker, links: links.clone(), state: State::Off }
    }

    /// Opens or closes the link, as the settings say. A link that cannot be opened holds up nothing else: it is told, and
    /// tried again.
    pub(super) fn open(&mut self, postoffice: &mut Postoffice, voice: &Voice) -> Result<()> {
        let settings = postoffice.config.link.clone();
        if !postoffice.is_server || settings.listen.is_none() {
            self.state = State::Off;
            return Ok(());
        }
        if matches!(&self.state, State::Open(open) if open.settings == settings) {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.state, State::Off);
        self.state = match self.begin(postoffice, &settings, voice) {
            Ok(open) => State::Open(Box::new(open)),
            Err(failure) => {
                let text = failure.text();
                let is_known = matches!(&before, State::Failed(known, why) if *known == settings && *why == text);
                if !is_known {
                    voice.say("link", Level::Error, &text);
                }
                State::Failed(settings, text)
            }
        };
        Ok(())
    }

    /// Lets the link know of what a turn changed.
    pub(super) fn renew(&mut self, postoffice: &mut Postoffice, voice: &Voice) -> Result<()> {
        match &mut self.state {
            State::Open(open) => open.renew(postoffice, voice),
            State::Off | State::Failed(..) => Ok(()),
        }
    }

    fn begin(
        &self,
        postoffice: &mut Postoffice,
        settings: &LinkSettings,
        voice: &Voice,
    ) -> Result<Open> {
        let Some(address) = settings.listen else {
            return Err(Failure::usage("link.listen is missing"));
        };
        let certificates = postoffice.link_certificates()?;
        let waker = self.waker.clone();
        let wake = move || {
            // Nobody listens any more only when the agent ends.
            let _ = waker.send(());
        };
        let desk = LinkDesk::open(postoffice, wake)?;
        let tls = certificates.clone().map(|shown| server_config(shown));
        let hub = self.links.hub(&postoffice.folder);
        let server = Server::start(address, tls, Arc::new(desk.clone()), &hub, Limits::default())
            .map_err(|error| {
            Failure::usage(format!("the link cannot listen at {address}: {error}"))
                .hint("`listen` of [link] in dirsync.toml names another address or port")
        })?;
        voice.say(
            "link",
            Level::Info,
            &format!("requestors are waited for at {}", server.address()),
        );
        let settings = settings.clone();
        Ok(Open { settings, desk, certificates, warning: None, _server: server })
    }
}

impl Open {
    fn renew(&mut self, postoffice: &mut Postoffice, voice: &Voice) -> Result<()> {
        self.desk.renew(postoffice)?;
        let Some(certificates) = &self.certificates else { return Ok(()) };
        let hosts = postoffice.link_hosts()?;
        let renewed = certificates.set_hosts(&hosts);
        let warning = renewed.err().map(|error| error.to_string()).or(certificates.warning());
        if warning != self.warning {
            if let Some(warning) = &warning {
                voice.say("link", Level::Warning, warning);
            }
            self.warning = warning;
        }
        Ok(())
    }
}
