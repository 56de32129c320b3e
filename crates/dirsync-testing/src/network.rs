//! A network in memory, for tests and simulations: messages can be lost, doubled and looked at.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::rc::Rc;

use dirsync_carrier::{Arrived, MessageFile, Outgoing, Transit, TransitError};
use dirsync_directory::{PostofficeName, fold};

use crate::letter::Readable;
use crate::rows::postoffice;

type Inboxes = BTreeMap<String, BTreeMap<Arrived, Vec<u8>>>;

/// The network; clones are the same network.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    inboxes: Rc<RefCell<Inboxes>>,
    /// By addressee, what its messages that wait were.
    waiting: Rc<RefCell<Inboxes>>,
    /// By addressee, why messages were refused, in their order.
    refused: Rc<RefCell<BTreeMap<String, Vec<String>>>>,
}

struct MemoryTransit {
    network: MemoryNetwork,
    me: String,
}

/// A message that waits, in readable form.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What its file name says.
    pub arrived: Arrived,
    /// Its content.
    pub message: Readable,
}

impl MemoryNetwork {
    /// What waits for a postoffice, read.
    ///
    /// # Panics
    ///
    /// When it is no message.
    pub fn letters(&self, to: &str) -> Vec<Letter> {
        let inboxes = self.inboxes.borrow();
        let inbox = inboxes.get(postoffice(to).folded());
        let letters = inbox.into_iter().flatten().map(|(arrived, file)| Letter {
            arrived: arrived.clone(),
            message: Readable::read(file).expect("it is whole"),
        });
        letters.collect()
    }

    /// The access of one postoffice.
    pub fn transit(&self, me: &PostofficeName) -> impl Transit + use<> {
        MemoryTransit { network: self.clone(), me: me.folded().to_owned() }
    }

    /// What waits for a postoffice.
    pub fn pending(&self, to: &PostofficeName) -> Vec<Arrived> {
        let inboxes = self.inboxes.borrow();
        inboxes.get(to.folded()).map_or(Vec::new(), |inbox| inbox.keys().cloned().collect())
    }

    /// What a postoffice keeps waiting.
    pub fn waiting(&self, to: &PostofficeName) -> Vec<Arrived> {
        let waiting = self.waiting.borrow();
        waiting.get(to.folded()).map_or(Vec::new(), |waiting| waiting.keys().cloned().collect())
    }

    /// Why a postoffice refused messages so far, in their order.
    pub fn reasons(&self, to: &PostofficeName) -> Vec<String> {
        self.refused.borrow().get(to.folded()).cloned().unwrap_or_default()
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

impl MemoryTransit {
    fn take(&self, arrived: &Arrived) -> Option<Vec<u8>> {
        let take = |inboxes: &RefCell<Inboxes>| {
            inboxes.borrow_mut().get_mut(&self.me).and_then(|inbox| inbox.remove(arrived))
        };
        take(&self.network.inboxes).or_else(|| take(&self.network.waiting))
    }
}

impl Transit for MemoryTransit {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        let mut bytes = Vec::new();
        message.write_to(&mut bytes).expect("its body is in memory");
        let length = message.bytes();
        let arrived = Arrived {
            sender: message.from.folded().to_owned(),
            epoch: fold(message.epoch).into_owned(),
            number: message.number,
            part: message.part,
            id: String::new(),
            whereabouts: "memory".into(),
            bytes: length,
            modified: 0,
        };
        self.network.deliver(message.to, &arrived, bytes);
        Ok(length)
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        let inboxes = self.network.inboxes.borrow();
        Ok(inboxes.get(&self.me).map_or(Vec::new(), |inbox| inbox.keys().cloned().collect()))
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        let bytes = |inboxes: &RefCell<Inboxes>| {
            inboxes.borrow().get(&self.me).and_then(|inbox| inbox.get(arrived).cloned())
        };
        let bytes = bytes(&self.network.inboxes).or_else(|| bytes(&self.network.waiting));
        Ok(bytes.map(|bytes| Ok(Box::new(Cursor::new(bytes)) as Box<dyn MessageFile>)))
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, TransitError> {
        Ok(self.take(arrived).is_some())
    }

    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, TransitError> {
        let was_there = self.finished(arrived)?;
        if was_there {
            let mut refused = self.network.refused.borrow_mut();
            refused.entry(self.me.clone()).or_default().push(reason.to_owned());
        }
        Ok(was_there)
    }

    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        let Some(bytes) = self.take(arrived) else { return Ok(None) };
        let kept =
            Arrived { sender: sender.folded().to_owned(), id: "waiting".into(), ..arrived.clone() };
        let mut waiting = self.network.waiting.borrow_mut();
        waiting.entry(self.me.clone()).or_default().insert(kept.clone(), bytes);
        Ok(Some(kept))
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        let waiting = self.network.waiting.borrow();
        Ok(waiting.get(&self.me).map_or(Vec::new(), |waiting| waiting.keys().cloned().collect()))
    }

    fn purge(&self, _: u64) -> Result<u64, TransitError> {
        Ok(0)
    }
}
