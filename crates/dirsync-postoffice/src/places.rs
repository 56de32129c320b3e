//! The places in which a postoffice exchanges messages, and its transits there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use dirsync_carrier::{FolderTransit, PatientTransit, Shares, Transit};
use dirsync_protocol::tables::Stored;
use dirsync_store::Store as _;

use crate::failure::{Failure, Result};
use crate::folder::TRANSIT;
use crate::postoffice::{CARRIER_NOTE, LOCAL, Postoffice};

impl Postoffice {
    /// Lets this postoffice work in shared folders by the threads of others in the program. A folder that
    /// does not answer one of them is then not tried by the next.
    pub fn share_threads(&mut self, shares: &Shares) {
        self.shares = shares.clone();
    }

    /// The transit to the directory server.
    pub fn transit(&mut self) -> Result<Box<dyn Transit>> {
        let text = self.carrier_text()?;
        self.transit_at(&text)
    }

    /// Where messages to the directory server travel, as registrations say it.
    pub fn carrier_text(&mut self) -> Result<String> {
        if self.is_server {
            return Ok(LOCAL.into());
        }
        let text = self.store.begin()?.note(CARRIER_NOTE)?;
        text.ok_or_else(|| Failure::usage("no carrier to the server is known"))
    }

    /// The transits of a server's registrations, by their text.
    pub fn transits(&mut self) -> Result<BTreeMap<String, Box<dyn Transit>>> {
        let registrations = self.store.begin()?.registrations()?;
        let texts: BTreeSet<String> =
            registrations.into_iter().map(|registration| registration.carrier).collect();
        let mut transits = BTreeMap::new();
        for text in texts {
            let transit = self.transit_at(&text)?;
            transits.insert(text, transit);
        }
        Ok(transits)
    }

    /// The places in which messages for this postoffice arrive. [`Self::at_place`] works in them.
    pub fn places(&mut self) -> Result<Vec<FolderTransit>> {
        self.place_texts()?.iter().map(|text| self.folder_transit(text)).collect()
    }

    /// Works in a place by its thread, so that a folder which hangs does not hold up the program.
    ///
    /// # Errors
    ///
    /// If the place does not answer within `carrier.patience`.
    pub fn at_place<R: Send + 'static>(
        &self,
        place: &FolderTransit,
        work: impl FnOnce(&FolderTransit) -> R + Send + 'static,
    ) -> io::Result<R> {
        let own = place.clone();
        self.shares.run(place.root(), self.config.patience, move || work(&own))
    }

    /// The places, as registrations say them.
    fn place_texts(&mut self) -> Stored<BTreeSet<String>> {
        let mut tables = self.begin()?;
        let mut texts: BTreeSet<String> = tables.note(CARRIER_NOTE)?.into_iter().collect();
        let registrations = tables.registrations()?;
        texts.extend(registrations.into_iter().map(|registration| registration.carrier));
        Ok(texts)
    }

    fn transit_at(&self, text: &str) -> Result<Box<dyn Transit>> {
        let transit = self.folder_transit(text)?;
        if text == LOCAL {
            return Ok(Box::new(transit));
        }
        let root = transit.root().to_owned();
        let (shares, patience) = (self.shares.clone(), self.config.patience);
        Ok(Box::new(PatientTransit::new(transit, root, shares, patience)))
    }

    fn folder_transit(&self, text: &str) -> Result<FolderTransit> {
        let root = match text.strip_prefix("folder:") {
            Some(root) => PathBuf::from(root),
            None if text == LOCAL => self.folder.join(TRANSIT),
            None => return Err(Failure::usage(format!("the carrier \"{text}\" is not known"))),
        };
        Ok(FolderTransit::new(root, self.name.clone()))
    }

    /// The folders in which messages for this postoffice arrive, for watching them. A share that is away is
    /// not among them: the steps report it.
    pub fn inboxes(&mut self) -> Result<Vec<PathBuf>> {
        let shared = self.place_texts()?.into_iter().filter(|text| text != LOCAL);
        let mut inboxes = Vec::new();
        for text in shared {
            let place = self.folder_transit(&text)?;
            inboxes
                .extend(self.at_place(&place, FolderTransit::make_inbox).ok().and_then(Result::ok));
        }
        Ok(inboxes)
    }
}
