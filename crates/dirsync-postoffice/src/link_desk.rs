//! What a directory server offers to the requestors at its link. It has its own view of the database, which is renewed
//! after each turn of the agent, so that a request never waits for a step.

use std::io::{Cursor, Read as _, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use dirsync_agent::exchange::{Exchange, Exchanged};
use dirsync_agent::known_peers::KnownPeers;
use dirsync_agent::sealing::{Claim, Sealing as _};
use dirsync_carrier::{
    Carrier, CarrierError, CarrierErrorKind, CarrierFile, FolderCarrier, MessageFile,
    is_of_message, sender_in_name,
};
use dirsync_directory::PostofficeName;
use dirsync_link::server::{Desk, DeskError, Held, Served};
use dirsync_seal::{Content, ContentHash, LoginLines, OwnKeys};
use dirsync_transit::{BodiesError, Outbox, Piece};

use crate::failure::{Failure, Result};
use crate::postoffice::Postoffice;
use crate::slow_place::SlowPlace;
use crate::time::now_ms;

/// The most messages of one requestor that wait for the next step.
const MESSAGES_MAX: usize = 64;

/// The desk of a directory server. Clones are the same one.
#[derive(Clone)]
pub struct LinkDesk(Arc<State>);

struct State {
    messages: SlowPlace,
    outbox: Outbox,
    known: RwLock<Known>,
    /// What came since it was noted.
    came: Mutex<Exchanged>,
    /// Whether a step follows each message at once.
    answers_at_once: AtomicBool,
    /// Wakes the agent.
    wake: Box<dyn Fn() + Send + Sync>,
}

/// What the database says.
struct Known {
    keys: Arc<OwnKeys>,
    /// Shared with the requests under way: there may be a thousand.
    peers: Arc<KnownPeers>,
    /// It is fenced: its messages are those of another server.
    is_closed: bool,
}

impl Known {
    fn read(postoffice: &mut Postoffice) -> Result<Self> {
        let keys = postoffice.own_keys()?;
        let mut tables = postoffice.begin()?;
        let peers = Arc::new(KnownPeers::read(&mut *tables, &*keys)?);
        let is_closed = tables.server()?.is_none_or(|server| server.fenced);
        Ok(Self { keys, peers, is_closed })
    }
}

impl LinkDesk {
    /// The desk of a directory server. `wake` is called when something came for the next step.
    ///
    /// # Errors
    ///
    /// If the postoffice cannot be read, or its folders cannot be made.
    pub fn open(
        postoffice: &mut Postoffice,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self> {
        let known = RwLock::new(Known::read(postoffice)?);
        Ok(Self(Arc::new(State {
            messages: postoffice.own_link()?,
            outbox: postoffice.open_outbox()?,
            known,
            came: Mutex::default(),
            answers_at_once: AtomicBool::new(postoffice.config.schedule.is_none()),
            wake: Box::new(wake),
        })))
    }

    /// Says that steps do not follow messages at once: no request waits for its answer.
    pub fn answer_later(&self) {
        self.0.answers_at_once.store(false, Ordering::Relaxed);
    }

    /// Reads again who may come, and notes what came.
    ///
    /// # Errors
    ///
    /// If the postoffice cannot be read or written.
    pub fn renew(&self, postoffice: &mut Postoffice) -> Result<()> {
        let came = std::mem::take(&mut *self.0.came());
        if !came.pieces_from.is_empty() || !came.answers.is_empty() {
            postoffice.note_came(&came)?;
        }
        let known = Known::read(postoffice)?;
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        let at_once = postoffice.config.schedule.is_none();
        self.0.answers_at_once.store(at_once, Ordering::Relaxed);
        Ok(())
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DeskError {
    DeskError::Failed(error.into())
}

fn failed_with(failure: &Failure) -> DeskError {
    failed(failure.text())
}

impl State {
    fn known<R>(&self, look: impl FnOnce(&Known) -> R) -> R {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn came(&self) -> MutexGuard<'_, Exchanged> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file as an exchange takes it from any place. Returns what it was.
    fn take(&self, file: &Incoming<'_>) -> Served<Exchanged> {
        let (keys, peers) = self.known(|known| (Arc::clone(&known.keys), Arc::clone(&known.peers)));
        let to = std::slice::from_ref(file.from);
        let queue = self.messages.queue(&[]);
        let exchange = Exchange {
            messages: &queue,
            pieces_to: to,
            ..Exchange::without_messages(file, &self.outbox, &*keys, &peers, &now_ms)
        };
        let mut done = Exchanged::default();
        exchange.receive(&mut done, &mut |_| true).map_err(failed)?;
        if let Some((_, why)) = done.refused.first() {
            return Err(DeskError::Refused(why.clone()));
        }
        if done.left > 0 {
            let why = "its signature is of a key that is not known here".to_owned();
            return Err(DeskError::Refused(why));
        }
        let mut came = self.came();
        came.pieces_from.extend(done.pieces_from.iter().cloned());
        came.answers.extend(done.answers.iter().cloned());
        if !done.answers.is_empty() {
            (self.wake)();
        }
        Ok(done)
    }

    /// Lets the next step see messages that are whole now, and wakes it.
    fn release(&self) -> Served<bool> {
        let keys = self.known(|known| Arc::clone(&known.keys));
        let is_any = self.messages.release(&*keys, &self.outbox);
        let is_any = is_any.map_err(|failure| failed_with(&failure))?;
        if is_any {
            (self.wake)();
        }
        Ok(is_any)
    }

    /// A message has to be the requestor's own, and there has to be room for it.
    fn check_message(&self, requestor: &PostofficeName, name: &str, bytes: &[u8]) -> Served<()> {
        // A newer number in the name of another one would drive that one's messages out.
        if sender_in_name(name).as_deref() != Some(requestor.folded()) {
            let why = format!("\"{name}\" is not the name of a message of {requestor}");
            return Err(DeskError::Refused(why));
        }
        let keys = self.known(|known| Arc::clone(&known.keys));
        let message = keys.read(Box::new(Cursor::new(bytes.to_vec())));
        let message = message.map_err(|error| DeskError::Refused(error.to_string()))?;
        let from = message.claim().from.clone();
        if from != *requestor {
            return Err(DeskError::Refused(format!("it is of {from}, not of {requestor}")));
        }
        let waiting = self.messages.waiting_from(requestor).map_err(failed)?;
        if waiting >= MESSAGES_MAX {
            return Err(failed(format!("{waiting} messages of {requestor} wait to be processed")));
        }
        Ok(())
    }

    /// The files that wait for a requestor.
    fn outbox_of(&self, requestor: &PostofficeName) -> FolderCarrier {
        FolderCarrier::new(self.messages.to(requestor))
    }

    /// How much of a body has come, if it is not the whole of it.
    fn coming(&self, requestor: &PostofficeName, hash: &ContentHash) -> Served<Option<Held>> {
        let coming = self.outbox.coming(requestor).map_err(failed)?;
        let Some((body, _)) = coming.into_iter().find(|(body, _)| body.hash == *hash) else {
            return Ok(None);
        };
        let gap = self.outbox.gap(requestor, &body, 1).map_err(failed)?;
        Ok(Some(Held { body, bytes: gap.map_or(body.bytes, |gap| gap.at) }))
    }
}

impl Desk for LinkDesk {
    fn admit(&self, login: LoginLines) -> Served<PostofficeName> {
        self.0.known(|known| {
            if known.is_closed {
                return Err(DeskError::Refused("this server is fenced: another one works".into()));
            }
            let from = login.parties().from.clone();
            let claim = Claim {
                from: &from,
                from_key: login.parties().from_key,
                rotated: login.rotated(),
                first_contact: login.first_contact(),
            };
            let refused = |why: String| DeskError::Refused(why);
            let sender = known.peers.keys_of(&claim).ok_or_else(|| {
                refused(format!("{from} is not registered here, or has another key"))
            })?;
            login.verify(&known.keys, &sender).map_err(|error| refused(error.to_string()))?;
            Ok(sender.name().clone())
        })
    }

    fn is_served(&self, requestor: &PostofficeName) -> bool {
        self.0.known(|known| !known.is_closed && known.peers.may_come(requestor))
    }

    fn waiting(&self, requestor: &PostofficeName) -> Served<Vec<(String, u64)>> {
        // Those that newer ones make superfluous go first.
        self.0.messages.waiting_for(requestor).map_err(failed)?;
        let files = self.0.outbox_of(requestor).list().map_err(failed)?;
        Ok(files.into_iter().map(|file| (file.name, file.bytes.unwrap_or(0))).collect())
    }

    fn read(&self, requestor: &PostofficeName, name: &str) -> Served<Option<Vec<u8>>> {
        let file = CarrierFile { name: name.to_owned(), bytes: None };
        self.0.outbox_of(requestor).fetch(&file, u64::MAX).map_err(failed)
    }

    fn taken(&self, requestor: &PostofficeName, name: &str) -> Served<()> {
        let file = CarrierFile { name: name.to_owned(), bytes: None };
        self.0.outbox_of(requestor).taken(&file).map_err(failed)
    }

    fn deliver(&self, requestor: &PostofficeName, name: &str, bytes: &[u8]) -> Served<bool> {
        if is_of_message(name) {
            self.0.check_message(requestor, name, bytes)?;
        }
        let answers = self.0.outbox_of(requestor);
        let done = self.0.take(&Incoming { from: requestor, name, bytes, answers })?;
        let is_for_step = done.messages + done.bodies > 0 && self.0.release()?;
        Ok(is_for_step && self.0.answers_at_once.load(Ordering::Relaxed))
    }

    fn body(&self, requestor: &PostofficeName, hash: &ContentHash) -> Served<Option<Content>> {
        let (bodies, _) = self.0.outbox.frozen(requestor).map_err(failed)?;
        Ok(bodies.into_iter().map(|body| body.content).find(|content| content.hash == *hash))
    }

    fn read_part(&self, requestor: &PostofficeName, part: &Piece) -> Served<Option<Vec<u8>>> {
        let Some(mut file) = self.0.outbox.open(&part.body).map_err(failed)? else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(part.at))?;
        let mut bytes = Vec::new();
        file.take(part.bytes).read_to_end(&mut bytes)?;
        let part = Piece { bytes: bytes.len() as u64, ..*part };
        self.0.outbox.hand_over(requestor, &part).map_err(failed)?;
        Ok(Some(bytes))
    }

    fn held(&self, requestor: &PostofficeName, hash: &ContentHash) -> Served<Option<Held>> {
        self.0.coming(requestor, hash)
    }

    fn take_part(&self, requestor: &PostofficeName, part: &Piece, bytes: &[u8]) -> Served<()> {
        match self.0.outbox.take_piece(requestor, part, bytes, now_ms()) {
            Ok(is_whole) => {
                self.0.came().pieces_from.insert(requestor.clone());
                if is_whole {
                    self.0.release()?;
                }
                Ok(())
            }
            Err(BodiesError::Refused(why)) => Err(DeskError::Refused(why.to_string())),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A file that came with a request, as a place with this one file. Answers to it are left for its sender.
struct Incoming<'a> {
    from: &'a PostofficeName,
    name: &'a str,
    bytes: &'a [u8],
    answers: FolderCarrier,
}

impl Carrier for Incoming<'_> {
    fn place(&self) -> String {
        format!("the link of {}", self.from)
    }

    fn file_bytes_max(&self) -> Option<u64> {
        None
    }

    fn continues(&self) -> bool {
        false
    }

    fn put(
        &self,
        to: &PostofficeName,
        name: &str,
        bytes: &[u8],
    ) -> std::result::Result<(), CarrierError> {
        self.answers.put(to, name, bytes)
    }

    fn list(&self) -> std::result::Result<Vec<CarrierFile>, CarrierError> {
        let bytes = Some(self.bytes.len() as u64);
        Ok(vec![CarrierFile { name: self.name.to_owned(), bytes }])
    }

    fn fetch(
        &self,
        _: &CarrierFile,
        bytes_max: u64,
    ) -> std::result::Result<Option<Vec<u8>>, CarrierError> {
        if self.bytes.len() as u64 > bytes_max {
            let (kind, place) = (CarrierErrorKind::TooLarge, self.place());
            return Err(CarrierError { kind, place, said: format!("more than {bytes_max} bytes") });
        }
        Ok(Some(self.bytes.to_vec()))
    }

    fn open(
        &self,
        _: &CarrierFile,
    ) -> std::result::Result<Option<Box<dyn MessageFile>>, CarrierError> {
        Ok(Some(Box::new(Cursor::new(self.bytes.to_vec()))))
    }

    fn taken(&self, _: &CarrierFile) -> std::result::Result<(), CarrierError> {
        Ok(())
    }
}
