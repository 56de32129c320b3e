//! What is under way between postoffices, and how the shipped steps see it.
//!
//! A message that a step sends is under way until the world delivers it, loses it, or delivers it
//! again. A step sees only what was delivered to its machine.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read as _};
use std::rc::Rc;

use dirsync_carrier::{Arrived, MessageFile, Outgoing, Transit, TransitError};
use dirsync_directory::{EntryId, PostofficeName, Record, fold};
use dirsync_message::{BodyReader, Head, Request, SyncPoint, Update};
use dirsync_seal::{Content, ContentHash, Fingerprint, Lines, SealError};
use dirsync_testing::{Readable, body_apart, head_of};
use dirsync_transit::{BodyStore as _, MemoryBodies};

use crate::naming::letter_of;

/// What a server publishes: by entry, its owner and content.
pub type Listed = BTreeMap<EntryId, (PostofficeName, Record)>;

/// A message under way.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The how many-eth message of the world it is.
    pub number: u64,
    /// Whether it is a request; else it is an update.
    pub is_request: bool,
    /// The requestor that it comes from or goes to.
    pub name: String,
    /// Its head.
    pub head: String,
    /// The message file.
    pub file: Vec<u8>,
    /// The sealed body that travels apart.
    apart: Option<Rc<Vec<u8>>>,
    /// What the server published when it made the update.
    pub made_of: Option<Rc<Listed>>,
    /// What its file name says.
    arrived: Arrived,
}

/// How a body that could have parts is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// In one part.
    #[default]
    One,
    /// One transaction a part, and all but the first part are lost.
    First,
    /// One transaction a part.
    Each,
}

impl Parts {
    /// How many compressed bytes a part has at most.
    pub fn bytes_max(self) -> u64 {
        match self {
            Self::One => u64::MAX,
            Self::First | Self::Each => 0,
        }
    }
}

/// The network of a world; clones are the same network.
#[derive(Clone, Default)]
pub struct Network(Rc<RefCell<State>>);

#[derive(Clone, Default)]
struct State {
    under_way: Vec<Letter>,
    posted: u64,
    /// The time, in milliseconds since 1970.
    now: u64,
    /// By machine, what was delivered and not taken yet.
    delivered: BTreeMap<String, Vec<Letter>>,
    parts: Parts,
    made_of: Option<Rc<Listed>>,
    /// The same of each body that travels apart, when it was made: later updates may name it again.
    bodies_made_of: BTreeMap<(ContentHash, Option<SyncPoint>), Option<Rc<Listed>>>,
    /// The places that are away, by the requestors that they are for.
    away: BTreeSet<String>,
    /// After so many more effects on messages nothing works any more.
    effects_left: Option<u64>,
}

/// One machine's access, as the shipped steps have it.
pub struct Port {
    network: Network,
    machine: String,
    place: String,
    /// The bodies of the machine that travel, if the place is behind a line.
    bodies: Option<MemoryBodies>,
}

impl Network {
    /// A machine's access.
    pub fn port(&self, machine: &str) -> Port {
        self.port_at(machine, "")
    }

    /// The same through the place of a requestor, which may be away.
    pub fn port_at(&self, machine: &str, place: &str) -> Port {
        Port { network: self.clone(), machine: machine.into(), place: place.into(), bodies: None }
    }

    /// The place of a requestor goes away or comes back. Returns whether it was away.
    pub fn set_away(&self, place: &str, away: bool) -> bool {
        let places = &mut self.0.borrow_mut().away;
        if away { !places.insert(place.into()) } else { places.remove(place) }
    }

    /// Whether the place of a requestor is away.
    pub fn is_away(&self, place: &str) -> bool {
        self.0.borrow().away.contains(place)
    }

    /// When the oldest of the letters that `counts` picks was sent that was delivered to a machine and is not taken yet.
    pub fn oldest_delivered(&self, machine: &str, counts: impl Fn(&Letter) -> bool) -> Option<u64> {
        let state = self.0.borrow();
        let letters = state.delivered.get(machine)?.iter().filter(|letter| counts(letter));
        letters.map(|letter| letter.arrived.modified).min()
    }

    /// Another network with the same under way.
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// What is under way, oldest first.
    pub fn letters(&self) -> Vec<Letter> {
        self.0.borrow().under_way.clone()
    }

    /// The numbers of what is under way of one kind and postoffice, oldest first.
    pub fn numbers(&self, is_request: bool, name: &str) -> Vec<u64> {
        let state = self.0.borrow();
        let matching = state
            .under_way
            .iter()
            .filter(|letter| letter.is_request == is_request && letter.name == name);
        matching.map(|letter| letter.number).collect()
    }

    /// A letter that is under way.
    pub fn letter(&self, number: u64) -> Option<Letter> {
        self.0.borrow().under_way.iter().find(|letter| letter.number == number).cloned()
    }

    /// Takes a letter that is under way out of the network.
    pub fn take(&self, number: u64) -> Option<Letter> {
        let under_way = &mut self.0.borrow_mut().under_way;
        let at = under_way.iter().position(|letter| letter.number == number)?;
        Some(under_way.remove(at))
    }

    /// Takes out everything of one kind.
    pub fn take_all(&self, is_request: bool) -> Vec<Letter> {
        let mut state = self.0.borrow_mut();
        let (taken, left) = std::mem::take(&mut state.under_way)
            .into_iter()
            .partition(|letter| letter.is_request == is_request);
        state.under_way = left;
        taken
    }

    /// Puts a letter under way again.
    pub fn put_back(&self, letter: Letter) {
        self.0.borrow_mut().under_way.push(letter);
    }

    /// What is sent from now on is as old as this, in milliseconds since 1970.
    pub fn set_clock(&self, now: u64) {
        self.0.borrow_mut().now = now;
    }

    /// How many messages were ever sent.
    pub fn posted(&self) -> u64 {
        self.0.borrow().posted
    }

    /// Lets a machine's next step see a letter.
    pub fn deliver(&self, machine: &str, letter: Letter) {
        self.0.borrow_mut().delivered.entry(machine.into()).or_default().push(letter);
    }

    /// The same of a letter whose body has come after it: it is delivered now.
    pub fn deliver_late(&self, machine: &str, mut letter: Letter) {
        letter.arrived.modified = self.0.borrow().now;
        self.deliver(machine, letter);
    }

    /// What was delivered to a machine and is not taken yet.
    pub fn take_delivered(&self, machine: &str) -> Vec<Letter> {
        self.0.borrow_mut().delivered.remove(machine).unwrap_or_default()
    }

    /// How bodies are sent from now on, and what the server publishes when it makes them.
    pub fn answering(&self, parts: Parts, made_of: Option<Rc<Listed>>) {
        let mut state = self.0.borrow_mut();
        (state.parts, state.made_of) = (parts, made_of);
    }

    /// Nothing works after so many more effects (sending, setting aside); `None` takes that back.
    pub fn break_after(&self, effects: Option<u64>) {
        self.0.borrow_mut().effects_left = effects;
    }
}

impl Port {
    /// The same through a place behind a line, if the machine has bodies that travel there.
    pub fn with_bodies(self, bodies: Option<&MemoryBodies>) -> Self {
        Self { bodies: bodies.cloned(), ..self }
    }
}

impl State {
    fn reach(&self, place: &str) -> Result<(), TransitError> {
        if self.away.contains(place) {
            let source = io::Error::other("the place is away");
            return Err(TransitError::Unreachable { place: place.into(), source });
        }
        Ok(())
    }

    fn effect(&mut self, place: &str) -> Result<(), TransitError> {
        self.reach(place)?;
        match &mut self.effects_left {
            Some(0) => Err(TransitError::Unreachable {
                place: String::new(),
                source: io::Error::other("the world ends this step here"),
            }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn take_delivered(&mut self, machine: &str, arrived: &Arrived) -> bool {
        let Some(delivered) = self.delivered.get_mut(machine) else { return false };
        let Some(at) = delivered.iter().position(|letter| letter.arrived == *arrived) else {
            return false;
        };
        delivered.remove(at);
        true
    }
}

impl Transit for Port {
    fn is_slow(&self) -> bool {
        self.bodies.is_some()
    }

    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        let mut state = self.network.0.borrow_mut();
        state.effect(&self.place)?;
        let mut file = Vec::new();
        message.write_to(&mut file).expect("its body is in memory");
        let bytes = message.bytes();
        let head = head_of(&file).expect("the steps write whole messages");
        let (is_request, reached) = match Head::parse(&head) {
            Ok(Head::Update(update)) => (false, update.body.map(|body| body.to)),
            _ => (true, None),
        };
        let now = state.made_of.clone();
        let apart = self.bodies.as_ref().and_then(|bodies| body_of(&file, bodies)).map(Rc::new);
        // Also where the letter is lost: a later one may name the body.
        let made_of = match &apart {
            Some(body) => {
                // Two servers, or one at two times, may make the same bytes of different lists.
                let body = (ContentHash::of(body), reached);
                let made_of = state.bodies_made_of.entry(body).or_insert(now);
                made_of.clone()
            }
            None => now,
        };
        if state.parts == Parts::First && message.part > 1 {
            return Ok(bytes);
        }
        state.posted += 1;
        let number = state.posted;
        let name = letter_of(if is_request { message.from } else { message.to }).to_owned();
        let arrived = Arrived {
            sender: message.from.folded().to_owned(),
            epoch: fold(message.epoch).into_owned(),
            number: message.number,
            part: message.part,
            id: number.to_string(),
            whereabouts: String::new(),
            bytes,
            modified: state.now,
        };
        state.under_way.push(Letter {
            number,
            is_request,
            name,
            head,
            file,
            apart,
            made_of,
            arrived,
        });
        Ok(bytes)
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        let state = self.network.0.borrow();
        state.reach(&self.place)?;
        let letters = state.delivered.get(&self.machine);
        Ok(letters.into_iter().flatten().map(|letter| letter.arrived.clone()).collect())
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        let state = self.network.0.borrow();
        state.reach(&self.place)?;
        let letters = state.delivered.get(&self.machine);
        let letter = letters.into_iter().flatten().find(|letter| letter.arrived == *arrived);
        Ok(letter
            .map(|letter| Ok(Box::new(Cursor::new(letter.file.clone())) as Box<dyn MessageFile>)))
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, TransitError> {
        let mut state = self.network.0.borrow_mut();
        state.effect(&self.place)?;
        Ok(state.take_delivered(&self.machine, arrived))
    }

    fn refuse(&self, arrived: &Arrived, _: &str) -> Result<bool, TransitError> {
        self.finished(arrived)
    }

    /// In a world nobody is suspended, and who is unknown sends again: what would wait is lost.
    fn keep_waiting(
        &self,
        arrived: &Arrived,
        _: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        self.finished(arrived).map(|_| None)
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        self.network.0.borrow().reach(&self.place)?;
        Ok(Vec::new())
    }

    fn purge(&self, _: u64) -> Result<u64, TransitError> {
        Ok(0)
    }
}

/// The body of a message that travels apart. `None` if it follows the head.
fn body_of(file: &[u8], bodies: &MemoryBodies) -> Option<Vec<u8>> {
    let content = body_apart(file)?;
    let mut bytes = Vec::new();
    let body = bodies.open(&content).expect("it is in memory");
    body.expect("it is kept before it is named").read_to_end(&mut bytes).expect("in memory");
    Some(bytes)
}

impl Letter {
    /// The head of a request.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn request(&self) -> Request {
        match Head::parse(&self.head) {
            Ok(Head::Request(request)) => *request,
            _ => panic!("a request is wanted, not\n{}", self.head),
        }
    }

    /// The head of an update.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn update(&self) -> Update {
        match Head::parse(&self.head) {
            Ok(Head::Update(update)) => *update,
            _ => panic!("an update is wanted, not\n{}", self.head),
        }
    }

    /// Its body, if that travels apart.
    pub fn body_apart(&self) -> Option<Content> {
        self.apart.as_ref().and_then(|_| body_apart(&self.file))
    }

    /// The key that has signed it. `None` if it was not sealed.
    pub fn signed_by(&self) -> Option<Fingerprint> {
        Lines::read(&mut &self.file[..]).ok().map(|lines| lines.parties().from_key)
    }

    /// Whether nothing happened to it under way.
    pub fn is_whole(&self) -> bool {
        self.read().is_ok()
    }

    /// What an update brings: its entries and the own entries that the server holds. A damaged one brings
    /// nothing.
    pub fn travelled(&self) -> usize {
        if !self.is_whole() {
            return 0;
        }
        self.named().len() + usize::from(self.update().own.is_some())
    }

    fn read(&self) -> Result<Readable, SealError> {
        Readable::read_with(&self.file, self.apart.as_ref().map(|bytes| bytes.as_slice()))
    }

    fn readable(&self) -> Readable {
        self.read().expect("it is whole")
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// When the message was damaged.
    pub fn text(&self) -> String {
        self.readable().body
    }

    /// The ids that the body names, in order.
    ///
    /// # Panics
    ///
    /// When the message was damaged.
    pub fn named(&self) -> Vec<EntryId> {
        let text = self.text();
        let mut reader = BodyReader::new(text.as_bytes());
        let mut named = Vec::new();
        while let Some(transaction) = reader.next().expect("it is whole") {
            named.push(transaction.id);
        }
        named
    }

    /// The same letter with another head, as its sender would have sent it.
    ///
    /// # Panics
    ///
    /// When the message was damaged.
    pub fn with_head(&self, head: String) -> Self {
        let file = Readable { head: head.clone(), ..self.readable() }.file();
        Self { head, file, apart: None, ..self.clone() }
    }

    /// The same letter with another body, as its sender would have sent it.
    ///
    /// # Panics
    ///
    /// When the message was damaged, or the body is no text.
    pub fn with_body(&self, body: &[u8]) -> Self {
        let body = String::from_utf8(body.to_vec()).expect("worlds have plain names");
        let head = self.head.clone();
        let file = Readable { head, body, ..self.readable() }.file();
        Self { file, apart: None, ..self.clone() }
    }
}
