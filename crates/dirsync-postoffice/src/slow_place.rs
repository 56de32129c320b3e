//! The messages of a postoffice at a place that is used in windows, or at a limited rate. Steps leave them here and
//! find them here; an exchange moves them when the line is up.
//!
//! ```text
//! transit/slow/PLACE/out/ADDRESSEE/     messages that wait for the line
//! transit/slow/PLACE/in/OWN/            messages that came, for the next step
//! transit/slow/PLACE/incomplete/OWN/    messages that came and whose bodies are still on their way
//! ```
//!
//! At a directory server `transit/link/` has the same folders. Its requestors take their messages from there, and leave
//! theirs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use dirsync_agent::exchange::{MessageQueue, QueueError, is_complete};
use dirsync_agent::sealing::Sealing;
use dirsync_carrier::access::{Links, open_file};
use dirsync_carrier::{
    Arrived, FolderCarrier, FolderTransit, MessageFile, Outgoing, Place, Transit, TransitError,
    durable, is_of_message,
};
use dirsync_directory::PostofficeName;
use dirsync_link::server::Hub;
use dirsync_transit::Outbox;

use crate::failure::Result;
use crate::folder::TRANSIT;

/// The messages at one slow place.
#[derive(Clone, Debug)]
pub(crate) struct SlowPlace {
    me: PostofficeName,
    inbox: FolderTransit,
    outbox: FolderTransit,
    incomplete: FolderTransit,
    /// Tells requestors that wait at the link of this server.
    hub: Option<Hub>,
}

impl SlowPlace {
    /// Those of a postoffice with this folder. Folders that are missing are made.
    pub(crate) fn open(home: &Path, place: &Place, me: &PostofficeName) -> Result<Self> {
        let root = home.join(TRANSIT).join("slow").join(place.to_file_name());
        Self::at(&root, me, None)
    }

    /// Those at the link of the directory server with this folder.
    pub(crate) fn at_own_link(home: &Path, me: &PostofficeName, hub: Hub) -> Result<Self> {
        Self::at(&home.join(TRANSIT).join("link"), me, Some(hub))
    }

    fn at(root: &Path, me: &PostofficeName, hub: Option<Hub>) -> Result<Self> {
        let of = |name: &str| -> Result<FolderTransit> {
            let folder = root.join(name);
            durable::create_folder(&folder)?;
            Ok(FolderTransit::new(folder, me.clone()))
        };
        let (inbox, outbox, incomplete) = (of("in")?, of("out")?, of("incomplete")?);
        Ok(Self { me: me.clone(), inbox, outbox, incomplete, hub })
    }

    /// The messages for a peer that wait, in the order in which they are sent. Those that a newer number of their
    /// epoch makes superfluous are removed.
    pub(crate) fn waiting_for(
        &self,
        to: &PostofficeName,
    ) -> std::result::Result<Vec<Arrived>, TransitError> {
        let waiting = self.to(to).arrived()?;
        let (newest, older) = only_newest(waiting);
        for message in older {
            durable::remove_file(Path::new(&message.whereabouts))?;
        }
        Ok(newest)
    }

    /// What leaves files for any peer beside the messages that wait, and finds none.
    pub(crate) fn outgoing(&self) -> FolderCarrier {
        FolderCarrier::new(self.outbox.clone())
    }

    /// Something may wait for a peer.
    pub(crate) fn announce(&self, to: &PostofficeName) {
        if let Some(hub) = &self.hub {
            hub.announce(to);
        }
    }

    /// The number of messages that wait for a peer, and their bytes.
    pub(crate) fn queued(
        &self,
        to: &PostofficeName,
    ) -> std::result::Result<(u64, u64), TransitError> {
        let (newest, _) = only_newest(self.to(to).arrived()?);
        Ok((newest.len() as u64, newest.iter().map(|message| message.bytes).sum()))
    }

    /// The outbox as the peer would see it.
    pub(crate) fn to(&self, peer: &PostofficeName) -> FolderTransit {
        FolderTransit::new(self.outbox.root(), peer.clone())
    }

    /// Keeps a message that came, until its body has come, too.
    pub(crate) fn deliver(
        &self,
        name: &str,
        message: &mut dyn Read,
    ) -> std::result::Result<(), TransitError> {
        // Another name is none that this program has given.
        if !is_of_message(name) {
            return Ok(());
        }
        self.incomplete.put_file(&self.me, name, message)
    }

    /// The number of messages of a peer, by their names, that no step has taken.
    pub(crate) fn waiting_from(
        &self,
        from: &PostofficeName,
    ) -> std::result::Result<usize, TransitError> {
        let (came, incomplete) = (self.inbox.arrived()?, self.incomplete.arrived()?);
        let is_of_it = |message: &&Arrived| message.sender == *from.folded();
        Ok(came.iter().chain(&incomplete).filter(is_of_it).count())
    }

    /// Lets the next step see the messages whose bodies have come. Of those that are still incomplete the newest are
    /// kept. Returns whether there are new ones.
    pub(crate) fn release(&self, sealing: &dyn Sealing, outbox: &Outbox) -> Result<bool> {
        let mut incomplete = Vec::new();
        let mut is_any = false;
        for message in self.incomplete.arrived()? {
            let path = Path::new(&message.whereabouts);
            let file = match open_file(path, Links::Refuse) {
                Ok(file) => file,
                // Another process was first.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            if is_complete(sealing, outbox, Box::new(file))? {
                durable::move_file(path, &self.inbox.make_inbox()?.join(&message.id))?;
                is_any = true;
            } else {
                incomplete.push(message);
            }
        }
        // Only now: a file that is no message can have the name of a newer one.
        let (_, older) = only_newest(incomplete);
        for message in older {
            durable::remove_file(Path::new(&message.whereabouts))?;
        }
        Ok(is_any)
    }
}

/// The messages with the newest number of each sender and epoch, and the others.
fn only_newest(messages: Vec<Arrived>) -> (Vec<Arrived>, Vec<Arrived>) {
    let mut newest = BTreeMap::<(String, String), u64>::new();
    for message in &messages {
        let of_epoch = (message.sender.clone(), message.epoch.clone());
        let number = newest.entry(of_epoch).or_default();
        *number = message.number.max(*number);
    }
    messages.into_iter().partition(|message| {
        let of_epoch = (message.sender.clone(), message.epoch.clone());
        newest.get(&of_epoch) == Some(&message.number)
    })
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> QueueError {
    QueueError(Box::new(error))
}

impl SlowPlace {
    /// The queue of an exchange with these peers.
    pub(crate) fn queue<'q>(&'q self, to: &'q [PostofficeName]) -> SlowQueue<'q> {
        SlowQueue { place: self, to }
    }
}

/// See [`SlowPlace::queue`].
pub(crate) struct SlowQueue<'q> {
    place: &'q SlowPlace,
    to: &'q [PostofficeName],
}

impl MessageQueue for SlowQueue<'_> {
    fn waiting(&self) -> std::result::Result<Vec<(PostofficeName, Vec<String>)>, QueueError> {
        let names = |to: &PostofficeName| {
            let waiting = self.place.waiting_for(to).map_err(failed)?;
            Ok((to.clone(), waiting.into_iter().map(|message| message.id).collect()))
        };
        self.to.iter().map(names).collect()
    }

    fn read(
        &self,
        to: &PostofficeName,
        name: &str,
    ) -> std::result::Result<Option<Vec<u8>>, QueueError> {
        match fs::read(self.place.outbox.inbox(to).join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn sent(&self, to: &PostofficeName, name: &str) -> std::result::Result<(), QueueError> {
        durable::remove_file(&self.place.outbox.inbox(to).join(name)).map(drop).map_err(failed)
    }

    fn deliver(&self, name: &str, message: &mut dyn Read) -> std::result::Result<(), QueueError> {
        self.place.deliver(name, message).map_err(failed)
    }

    fn incomplete(&self) -> std::result::Result<Vec<Box<dyn MessageFile>>, QueueError> {
        let mut files: Vec<Box<dyn MessageFile>> = Vec::new();
        for message in self.place.incomplete.arrived().map_err(failed)? {
            // One that another process has released is no longer incomplete.
            let file = open_file(Path::new(&message.whereabouts), Links::Refuse);
            files.extend(file.ok().map(|file| Box::new(file) as Box<dyn MessageFile>));
        }
        Ok(files)
    }
}

impl Transit for SlowPlace {
    fn is_slow(&self) -> bool {
        true
    }

    fn send(&self, message: &Outgoing<'_>) -> std::result::Result<u64, TransitError> {
        let sent = self.outbox.send(message);
        self.announce(message.to);
        sent
    }

    fn send_all(&self, messages: &[Outgoing<'_>]) -> Vec<std::result::Result<u64, TransitError>> {
        let sent = self.outbox.send_all(messages);
        messages.iter().for_each(|message| self.announce(message.to));
        sent
    }

    fn arrived(&self) -> std::result::Result<Vec<Arrived>, TransitError> {
        self.inbox.arrived()
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> std::result::Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        self.inbox.open(arrived)
    }

    fn finished(&self, arrived: &Arrived) -> std::result::Result<bool, TransitError> {
        self.inbox.finished(arrived)
    }

    fn refuse(&self, arrived: &Arrived, reason: &str) -> std::result::Result<bool, TransitError> {
        self.inbox.refuse(arrived, reason)
    }

    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> std::result::Result<Option<Arrived>, TransitError> {
        self.inbox.keep_waiting(arrived, sender)
    }

    fn waiting(&self) -> std::result::Result<Vec<Arrived>, TransitError> {
        self.inbox.waiting()
    }

    fn purge(&self, before: u64) -> std::result::Result<u64, TransitError> {
        self.inbox.purge(before)
    }
}

#[cfg(test)]
mod tests;
