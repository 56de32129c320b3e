//! Pieces and signals in folders that are not slow here, but may be so at the other side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dirsync_agent::exchange::{Exchange, Exchanged};
use dirsync_agent::known_peers::KnownPeers;
use dirsync_agent::probes;
use dirsync_carrier::{FolderCarrier, FolderTransit, Place};
use dirsync_directory::PostofficeName;

use crate::failure::Result;
use crate::postoffice::Postoffice;
use crate::time::now_ms;

impl Postoffice {
    /// Takes what lies beside messages in folders that are not slow here: pieces of bodies, because the other side may use
    /// them slowly, and signals. A folder that fails is told of by the step.
    pub fn take_files_beside_messages(&mut self) -> Result<()> {
        let due = self.reports_due()?;
        for folder in self.places()? {
            let to = due.get(folder.root()).cloned().unwrap_or_default();
            let has_files = self.at_place(&folder, FolderTransit::has_files_beside_messages);
            if to.is_empty() && !has_files.is_ok_and(|found| found.unwrap_or(false)) {
                continue;
            }
            let (keys, outbox) = (self.own_keys()?, self.open_outbox()?);
            let peers = KnownPeers::read(&mut *self.begin()?, &*keys)?;
            let done = self.at_place(&folder, move |folder| {
                let carrier = FolderCarrier::beside_messages(folder.clone());
                let exchange = Exchange {
                    pieces_to: &to,
                    ..Exchange::without_messages(&carrier, &outbox, &*keys, &peers, &now_ms)
                };
                let mut done = Exchanged::default();
                // The files that are not taken now are found again by the next step.
                let _ = exchange.receive(&mut done, &mut |_| true);
                done
            });
            let mut tables = self.begin()?;
            if probes::note_exchanged(&mut *tables, &done.unwrap_or_default())? {
                tables.commit()?;
            }
        }
        Ok(())
    }

    /// By folder, the requestors that are to be told there which bytes of their bodies have come.
    fn reports_due(&mut self) -> Result<BTreeMap<PathBuf, Vec<PostofficeName>>> {
        let mut due = BTreeMap::<PathBuf, Vec<PostofficeName>>::new();
        let outbox = if self.is_server { self.outbox_to_read() } else { None };
        let Some(outbox) = outbox else { return Ok(due) };
        let names = outbox.reports_due()?;
        if names.is_empty() {
            return Ok(due);
        }
        let routes = self.routes()?;
        let in_use = self.places_in_use(&routes)?;
        for name in names {
            let place = in_use.get(name.folded()).and_then(|place| place.parse().ok());
            if let Some(Place::Folder(folder)) = place {
                due.entry(folder.into()).or_default().push(name);
            }
        }
        Ok(due)
    }
}
