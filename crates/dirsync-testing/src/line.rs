//! Lines in memory that are up now and then: they pass so many bytes a session, are cut off at any byte, and lose,
//! double and reorder files.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::rc::Rc;

use dirsync_agent::exchange::{
    Exchange, ExchangeError, Exchanged, MessageQueue, QueueError, is_complete,
};
use dirsync_agent::sealing::Sealing;
use dirsync_carrier::{
    Arrived, Carrier, CarrierError, CarrierErrorKind, CarrierFile, MessageFile, Outgoing, Transit,
    TransitError, is_of_signal, message_name,
};
use dirsync_directory::PostofficeName;
use dirsync_transit::Outbox;

use crate::network::MemoryNetwork;
use crate::postoffice::TestPostoffice;
use crate::rows::postoffice;

type Files = BTreeMap<String, Vec<u8>>;

/// A place in memory at which files are left, by the addressee. Clones are the same place.
#[derive(Clone, Default)]
pub struct LinePlace(Rc<RefCell<PlaceState>>);

#[derive(Clone, Default)]
struct PlaceState {
    files: BTreeMap<String, Files>,
    /// The beginnings of files that were cut off.
    begun: BTreeMap<(String, String), usize>,
    /// All bytes that passed lines to this place.
    bytes_left: u64,
    /// All bytes that passed lines from this place.
    bytes_fetched: u64,
    /// The bytes of signals in both directions, which are not among these.
    bytes_of_signals: u64,
}

impl LinePlace {
    /// Another place with the same content.
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// The bytes that passed lines to and from this place so far, but for [`Line::local`] ones.
    pub fn bytes_passed(&self) -> u64 {
        self.bytes_left() + self.bytes_fetched() + self.0.borrow().bytes_of_signals
    }

    /// Those of them that passed to this place, without signals.
    pub fn bytes_left(&self) -> u64 {
        self.0.borrow().bytes_left
    }

    /// Those of them that passed from this place, without signals.
    pub fn bytes_fetched(&self) -> u64 {
        self.0.borrow().bytes_fetched
    }

    /// Loses files: those whose names `lost` picks.
    pub fn lose(&self, lost: impl Fn(&str) -> bool) {
        for files in self.0.borrow_mut().files.values_mut() {
            files.retain(|name, _| !lost(name));
        }
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.0.borrow().files.values().flat_map(|files| files.keys().cloned()).collect()
    }
}

/// A line from a postoffice to a place.
pub struct Line {
    place: LinePlace,
    me: PostofficeName,
    /// The bytes that still pass before it is cut off. `None` if the postoffice is at the place.
    left: Option<Cell<u64>>,
    /// Whether a file that was cut off is continued.
    pub continues: bool,
    /// The largest file.
    pub file_bytes_max: Option<u64>,
}

impl Line {
    /// A line that is cut off after so many bytes.
    pub fn new(place: &LinePlace, me: &PostofficeName, bytes: u64) -> Self {
        Self { left: Some(Cell::new(bytes)), ..Self::local(place, me) }
    }

    /// The access of a postoffice that is at the place.
    pub fn local(place: &LinePlace, me: &PostofficeName) -> Self {
        let (place, me) = (place.clone(), me.clone());
        Self { place, me, left: None, continues: true, file_bytes_max: None }
    }

    fn error(kind: CarrierErrorKind, said: &str) -> CarrierError {
        CarrierError { kind, place: "the line".into(), said: said.into() }
    }

    /// Passes bytes of a file of which `begun` have passed before, and counts them. Returns whether all have passed now.
    fn pass(
        &self,
        begun: &mut usize,
        bytes: usize,
        count: impl Fn(&mut PlaceState) -> &mut u64,
    ) -> bool {
        let need = bytes - *begun;
        let Some(left) = &self.left else { return true };
        let passes = need.min(usize::try_from(left.get()).unwrap_or(usize::MAX));
        left.set(left.get() - passes as u64);
        *count(&mut self.place.0.borrow_mut()) += passes as u64;
        *begun += passes;
        passes == need
    }
}

impl Carrier for Line {
    fn place(&self) -> String {
        "the line".into()
    }

    fn file_bytes_max(&self) -> Option<u64> {
        self.file_bytes_max
    }

    fn continues(&self) -> bool {
        self.continues
    }

    fn put(&self, to: &PostofficeName, name: &str, bytes: &[u8]) -> Result<(), CarrierError> {
        if self.file_bytes_max.is_some_and(|most| bytes.len() as u64 > most) {
            return Err(Self::error(CarrierErrorKind::TooLarge, "it is too large"));
        }
        let key = (to.folded().to_owned(), name.to_owned());
        let mut begun = self.place.0.borrow_mut().begun.remove(&key).unwrap_or(0).min(bytes.len());
        if !self.pass(&mut begun, bytes.len(), |place| match is_of_signal(name) {
            true => &mut place.bytes_of_signals,
            false => &mut place.bytes_left,
        }) {
            if self.continues {
                self.place.0.borrow_mut().begun.insert(key, begun);
            }
            return Err(Self::error(CarrierErrorKind::CutOff, "the line went down"));
        }
        let mut state = self.place.0.borrow_mut();
        state.files.entry(key.0).or_default().insert(key.1, bytes.to_vec());
        Ok(())
    }

    fn list(&self) -> Result<Vec<CarrierFile>, CarrierError> {
        let state = self.place.0.borrow();
        let files = state.files.get(self.me.folded()).into_iter().flatten();
        let file = |(name, bytes): (&String, &Vec<u8>)| CarrierFile {
            name: name.clone(),
            bytes: Some(bytes.len() as u64),
        };
        Ok(files.map(file).collect())
    }

    fn fetch(&self, file: &CarrierFile, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError> {
        let state = self.place.0.borrow();
        let bytes = state.files.get(self.me.folded()).and_then(|files| files.get(&file.name));
        let Some(bytes) = bytes.cloned() else { return Ok(None) };
        drop(state);
        if bytes.len() as u64 > bytes_max {
            return Err(Self::error(CarrierErrorKind::TooLarge, "it is too large"));
        }
        let key = (format!("fetched by {}", self.me.folded()), file.name.clone());
        let mut begun = self.place.0.borrow_mut().begun.remove(&key).unwrap_or(0).min(bytes.len());
        if !self.pass(&mut begun, bytes.len(), |place| match is_of_signal(&file.name) {
            true => &mut place.bytes_of_signals,
            false => &mut place.bytes_fetched,
        }) {
            if self.continues {
                self.place.0.borrow_mut().begun.insert(key, begun);
            }
            return Err(Self::error(CarrierErrorKind::CutOff, "the line went down"));
        }
        Ok(Some(bytes))
    }

    fn open(&self, file: &CarrierFile) -> Result<Option<Box<dyn MessageFile>>, CarrierError> {
        let bytes = self.fetch(file, u64::MAX)?;
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn MessageFile>))
    }

    fn taken(&self, file: &CarrierFile) -> Result<(), CarrierError> {
        if let Some(files) = self.place.0.borrow_mut().files.get_mut(self.me.folded()) {
            files.remove(&file.name);
        }
        Ok(())
    }
}

/// What waits at a postoffice for a line, and came over it.
#[derive(Clone, Default)]
pub struct SlowMessages(Rc<RefCell<SlowState>>);

#[derive(Default)]
struct SlowState {
    /// By the addressee.
    waiting: BTreeMap<PostofficeName, Files>,
    /// Messages whose bodies are still on their way.
    incomplete: Files,
}

/// The messages of a postoffice whose peers are behind a line. Those that came, and are complete, are in its inbox of
/// the network.
pub struct SlowTransit<T> {
    messages: SlowMessages,
    inbox: T,
}

impl SlowMessages {
    /// A postoffice's access.
    pub fn transit(
        &self,
        network: &MemoryNetwork,
        me: &PostofficeName,
    ) -> SlowTransit<impl Transit + use<>> {
        SlowTransit { messages: self.clone(), inbox: network.transit(me) }
    }

    /// Loses the messages whose bodies are still on their way, and those that wait for the line.
    pub fn clear(&self) {
        *self.0.borrow_mut() = SlowState::default();
    }

    /// The bytes of all messages that wait for the line.
    pub fn bytes_waiting(&self) -> u64 {
        let state = self.0.borrow();
        state.waiting.values().flat_map(|files| files.values()).map(|file| file.len() as u64).sum()
    }
}

impl MessageQueue for SlowMessages {
    fn waiting(&self) -> Result<Vec<(PostofficeName, Vec<String>)>, QueueError> {
        let state = self.0.borrow();
        let names = |files: &Files| files.keys().cloned().collect();
        Ok(state.waiting.iter().map(|(to, files)| (to.clone(), names(files))).collect())
    }

    fn read(&self, to: &PostofficeName, name: &str) -> Result<Option<Vec<u8>>, QueueError> {
        Ok(self.0.borrow().waiting.get(to).and_then(|files| files.get(name)).cloned())
    }

    fn sent(&self, to: &PostofficeName, name: &str) -> Result<(), QueueError> {
        if let Some(files) = self.0.borrow_mut().waiting.get_mut(to) {
            files.remove(name);
        }
        Ok(())
    }

    fn deliver(&self, name: &str, message: &mut dyn Read) -> Result<(), QueueError> {
        let mut file = Vec::new();
        message.read_to_end(&mut file).map_err(|error| QueueError(error.into()))?;
        self.0.borrow_mut().incomplete.insert(name.to_owned(), file);
        Ok(())
    }
}

impl<T: Transit> Transit for SlowTransit<T> {
    fn is_slow(&self) -> bool {
        true
    }

    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        let Outgoing { from, to, epoch, number, part, front, body } = *message;
        let sender = message_name::encode(from.as_str());
        let of_epoch = format!("{sender}-{}-", message_name::encode(epoch));
        let name = format!("{of_epoch}{number}-{part}{}", message_name::SUFFIX);
        let mut file = front.to_vec();
        body.write_to(&mut file).expect("it is in memory");
        let mut state = self.messages.0.borrow_mut();
        let waiting = state.waiting.entry(to.clone()).or_default();
        // A newer number makes the older ones of its epoch superfluous.
        let of_number = format!("{of_epoch}{number}-");
        waiting.retain(|name, _| !name.starts_with(&of_epoch) || name.starts_with(&of_number));
        waiting.insert(name, file);
        Ok(message.bytes())
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        self.inbox.arrived()
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<std::io::Result<Box<dyn MessageFile>>>, TransitError> {
        self.inbox.open(arrived)
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, TransitError> {
        self.inbox.finished(arrived)
    }

    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, TransitError> {
        self.inbox.refuse(arrived, reason)
    }

    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        self.inbox.keep_waiting(arrived, sender)
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        self.inbox.waiting()
    }

    fn purge(&self, before: u64) -> Result<u64, TransitError> {
        self.inbox.purge(before)
    }
}

/// One session of a postoffice over a line, as the agent runs it. Messages whose bodies are whole afterwards are in
/// its inbox.
///
/// # Errors
///
/// If the line is cut off, or anything else of the exchange fails.
///
/// # Panics
///
/// If the store fails.
pub fn exchange(
    office: &mut TestPostoffice,
    messages: &SlowMessages,
    network: &MemoryNetwork,
    line: &Line,
    to: &[&str],
) -> (Exchanged, Result<(), ExchangeError>) {
    let around = office.around();
    let peers = office.peers();
    let to: Vec<PostofficeName> = to.iter().map(|name| postoffice(name)).collect();
    let exchange = Exchange {
        carrier: line,
        bodies: None,
        messages,
        outbox: &around.outbox,
        sealing: &*around.sealing,
        peers: &peers,
        to: &to,
        pieces_to: &to,
        probes: &[],
        clock: &|| around.now,
    };
    let mut done = Exchanged::default();
    let result = exchange.run(&mut done, &mut |_| true);
    deliver_complete(&office.name, messages, network, &*around.sealing, &around.outbox);
    (done, result)
}

/// Moves the messages whose bodies are whole into the inbox.
fn deliver_complete(
    me: &PostofficeName,
    messages: &SlowMessages,
    network: &MemoryNetwork,
    sealing: &dyn Sealing,
    outbox: &Outbox,
) {
    let complete = |file: &[u8]| {
        let file = Box::new(Cursor::new(file.to_vec()));
        is_complete(sealing, outbox, file).expect("it is in memory")
    };
    let files = std::mem::take(&mut messages.0.borrow_mut().incomplete);
    for (name, file) in files {
        if complete(&file) {
            let bytes = file.len() as u64;
            let hint = message_name::read(&name).expect("it has the name of a message");
            network.deliver(me, &Arrived { bytes, ..hint }, file);
        } else {
            messages.0.borrow_mut().incomplete.insert(name, file);
        }
    }
}
