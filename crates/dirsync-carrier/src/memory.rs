//! A network in memory, for tests and simulations: messages can be lost, doubled and looked at.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;
use std::rc::Rc;

use dirsync_directory::{PostofficeName, fold};

use crate::carrier::{Arrived, Carrier, CarrierError, Outgoing};
use crate::envelope::{EnvelopeError, Message, message_bytes, open_message};

type Inboxes = BTreeMap<String, BTreeMap<Arrived, Vec<u8>>>;

/// The network; clones are the same network.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    inboxes: Rc<RefCell<Inboxes>>,
}

struct MemoryCarrier {
    network: MemoryNetwork,
    me: String,
}

impl MemoryNetwork {
    /// The access of one postoffice.
    pub fn carrier(&self, me: &PostofficeName) -> impl Carrier + use<> {
        MemoryCarrier { network: self.clone(), me: me.folded().to_owned() }
    }

    /// What waits for a postoffice.
    pub fn pending(&self, to: &PostofficeName) -> Vec<Arrived> {
        let inboxes = self.inboxes.borrow();
        inboxes.get(to.folded()).map_or(Vec::new(), |inbox| inbox.keys().cloned().collect())
    }

    /// Loses a message.
    pub fn lose(&self, to: &PostofficeName, message: &Arrived) {
        if let Some(inbox) = self.inboxes.borrow_mut().get_mut(to.folded()) {
            inbox.remove(message);
        }
    }

    /// Takes a copy of a message, to be delivered again later.
    pub fn copy(&self, to: &PostofficeName, message: &Arrived) -> Option<Vec<u8>> {
        self.inboxes.borrow().get(to.folded())?.get(message).cloned()
    }

    /// Delivers a copy.
    pub fn deliver(&self, to: &PostofficeName, message: &Arrived, bytes: Vec<u8>) {
        let mut inboxes = self.inboxes.borrow_mut();
        inboxes.entry(to.folded().to_owned()).or_default().insert(message.clone(), bytes);
    }
}

impl Carrier for MemoryCarrier {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, CarrierError> {
        let bytes = message_bytes(message);
        let length = bytes.len() as u64;
        let arrived = Arrived {
            sender: message.from.folded().to_owned(),
            epoch: fold(message.epoch).into_owned(),
            number: message.number,
            part: message.part,
            path: PathBuf::new(),
            bytes: length,
            modified: 0,
        };
        self.network.deliver(message.to, &arrived, bytes);
        Ok(length)
    }

    fn arrived(&self) -> Result<Vec<Arrived>, CarrierError> {
        let inboxes = self.network.inboxes.borrow();
        Ok(inboxes.get(&self.me).map_or(Vec::new(), |inbox| inbox.keys().cloned().collect()))
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<Result<Message, EnvelopeError>>, CarrierError> {
        let inboxes = self.network.inboxes.borrow();
        let Some(bytes) = inboxes.get(&self.me).and_then(|inbox| inbox.get(arrived)) else {
            return Ok(None);
        };
        Ok(Some(open_message(Cursor::new(bytes.clone()))))
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, CarrierError> {
        let mut inboxes = self.network.inboxes.borrow_mut();
        Ok(inboxes.get_mut(&self.me).is_some_and(|inbox| inbox.remove(arrived).is_some()))
    }

    fn refuse(&self, arrived: &Arrived, _: &str) -> Result<bool, CarrierError> {
        self.finished(arrived)
    }

    fn purge(&self, _: u64) -> Result<u64, CarrierError> {
        Ok(0)
    }

    fn part_bytes_max(&self) -> u64 {
        u64::MAX
    }
}
