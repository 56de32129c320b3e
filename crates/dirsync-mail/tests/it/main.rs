//! Mail through real servers. They are started by the tests; one that is missing is a failure.
#![cfg(unix)]

mod over_imap;
mod over_postfix;
mod relay;
mod servers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dirsync_carrier::{Carrier, CarrierError, CarrierFile, MessageFile};
use dirsync_directory::PostofficeName;
use dirsync_mail::carrier::Parties;
use dirsync_mail::out::{Login, Secret, Security, SmtpSettings};
use dirsync_mail::{MailAddress, MailCarrier};
use dirsync_testing::conformance::carrier::addressee;

use servers::MailHost;

/// The largest mail of the tests, in bytes.
const MAIL_BYTES_MAX: u64 = 150_000;

fn name(text: &str) -> PostofficeName {
    text.parse().unwrap()
}

fn address(text: &str) -> MailAddress {
    text.parse().unwrap()
}

fn north() -> PostofficeName {
    name("NORTH/HQ")
}

/// All postoffices share one mailbox.
fn parties(me: &PostofficeName) -> Parties {
    let all = [addressee(), north(), name("South/..b"), name("South/x")];
    let mut peers: BTreeMap<_, _> =
        all.into_iter().map(|name| (name, address("dirsync@hq.example"))).collect();
    peers.insert(name("LOST/HQ"), address("nobody@unknown.example"));
    peers.insert(name("SMALL/HQ"), address("dirsync@small.example"));
    Parties { me: me.clone(), address: address("dirsync@hq.example"), peers }
}

fn smtp(port: u16) -> SmtpSettings {
    SmtpSettings {
        host: "localhost".into(),
        port,
        security: Security::None,
        login: None,
        roots: None,
        hello: Some("client.example".into()),
        patience: Duration::from_secs(20),
    }
}

fn login(password: &str) -> Login {
    Login { user: "hq".into(), password: Secret(password.into()) }
}

/// A carrier whose mail was delivered when it was sent, as the suite of all carriers expects it.
struct Delivered {
    inner: MailCarrier,
    host: Arc<MailHost>,
}

impl Carrier for Delivered {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn file_bytes_max(&self) -> Option<u64> {
        self.inner.file_bytes_max()
    }

    fn continues(&self) -> bool {
        self.inner.continues()
    }

    fn put(&self, to: &PostofficeName, name: &str, bytes: &[u8]) -> Result<(), CarrierError> {
        let before = self.host.mails();
        self.inner.put(to, name, bytes)?;
        self.host.wait_for_mails(before + 1);
        Ok(())
    }

    fn list(&self) -> Result<Vec<CarrierFile>, CarrierError> {
        self.inner.list()
    }

    fn fetch(&self, file: &CarrierFile, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError> {
        self.inner.fetch(file, bytes_max)
    }

    fn open(&self, file: &CarrierFile) -> Result<Option<Box<dyn MessageFile>>, CarrierError> {
        self.inner.open(file)
    }

    fn taken(&self, file: &CarrierFile) -> Result<(), CarrierError> {
        self.inner.taken(file)
    }
}
