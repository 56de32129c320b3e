//! The certificates of a directory server's link.

use std::io::ErrorKind;
use std::sync::Arc;

use anyhow::Context as _;
use dirsync_carrier::access::Access;
use dirsync_carrier::{Place, durable};
use dirsync_link::certificate::{Root, ServerCertificates, system_clock};
use zeroize::Zeroizing;

use crate::config::LinkCertificate;
use crate::failure::{Failure, Result};
use crate::keys::{KEYS, read_text};
use crate::postoffice::Postoffice;

/// The file of the keys with the root that signs the certificates of the link, and its private key.
const ROOT: &str = "link-root.pem";
/// The host for which a server shows a certificate as long as no registration names another one.
const THIS_HOST: &str = "localhost";

impl Postoffice {
    /// The root of this server's own certificates. It is made when it is needed first, and kept.
    ///
    /// # Errors
    ///
    /// If its file cannot be read, used or written.
    pub(crate) fn link_root(&self) -> Result<Root> {
        let path = self.folder.join(KEYS).join(ROOT);
        match read_text(&path).map(Zeroizing::new) {
            Ok(text) => Root::from_pem(&text).map_err(|error| {
                Failure::usage(format!("\"{}\": {error}", path.display())).hint(
                    "restore it from a copy; without it a new one is made, and all requestors of the link need new invitations",
                )
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let root = Root::new(&self.name).map_err(Failure::usage)?;
                let text = root.to_pem();
                durable::replace_file(&path, Access::Own, |out| out.write_all(text.as_bytes()))?;
                Ok(root)
            }
            Err(error) => {
                Err(error).with_context(|| format!("could not read \"{}\"", path.display()))?
            }
        }
    }

    /// The root for the invitation to these places. `None` if none of them shows its certificates.
    pub(crate) fn root_for(&self, places: &[Place]) -> Result<Option<String>> {
        let is_link = places.iter().any(|place| matches!(place, Place::Link(_)));
        if !is_link || self.config.link.certificate != LinkCertificate::Own {
            return Ok(None);
        }
        Ok(Some(self.link_root()?.certificate_text()))
    }

    /// The hosts by which requestors reach the link of this server.
    ///
    /// # Errors
    ///
    /// If the registrations cannot be read.
    pub fn link_hosts(&mut self) -> Result<Vec<String>> {
        let mut hosts = vec![THIS_HOST.to_owned()];
        for registration in self.begin()?.registrations()? {
            let places = registration.places.iter().filter_map(|text| text.parse::<Place>().ok());
            hosts.extend(places.filter_map(|place| place.host().map(str::to_owned)));
        }
        hosts.sort_unstable();
        hosts.dedup();
        Ok(hosts)
    }

    /// The certificates that the link of this server shows. `None` if a proxy before it has them.
    ///
    /// # Errors
    ///
    /// If they cannot be read or made.
    pub fn link_certificates(&mut self) -> Result<Option<Arc<ServerCertificates>>> {
        let made = match self.config.link.certificate.clone() {
            LinkCertificate::Proxied => return Ok(None),
            LinkCertificate::Own => {
                let (root, hosts) = (self.link_root()?, self.link_hosts()?);
                ServerCertificates::signed(root, &hosts, system_clock())
            }
            LinkCertificate::Files(chain, key) => {
                ServerCertificates::files(chain, key, system_clock())
            }
        };
        let failed = |error| Failure::usage(format!("the certificate of the link: {error}"));
        made.map(Some).map_err(failed)
    }
}
