//! Moves what waits between a postoffice and the places behind slow lines: messages, and pieces of the bodies
//! that travel apart from them.
//!
//! This is not a step: it reads the database before it begins and never while a carrier works, so a line that hangs
//! holds up itself alone.

mod bodies;
mod signals;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use dirsync_carrier::{
    Carrier, CarrierError, CarrierErrorKind, CarrierFile, MessageFile, PIECE_SUFFIX, is_of_message,
    is_of_signal,
};
use dirsync_directory::PostofficeName;
use dirsync_seal::{LINES_BYTES_MAX, PIECE_BYTES_MAX, PeerKeys, SealError};
use dirsync_transit::{BodiesError, NextPiece, Outbox, Piece};
use thiserror::Error;

pub use self::bodies::BodyLine;
use self::signals::signals_first;
pub use self::signals::{Probe, ProbeAnswer};
use crate::known_peers::KnownPeers;
use crate::peers::Peer;
use crate::sealing::Sealing;

/// The largest file that is fetched into memory, in bytes: a piece with its lines, or a message whose body is not long.
/// A sender that does not know this place for a slow one may leave longer messages.
const FILE_BYTES_MAX: u64 = PIECE_BYTES_MAX + LINES_BYTES_MAX;

/// The messages of a postoffice that wait for a line, and those that came over one.
pub trait MessageQueue {
    /// The peers with messages that wait, and the names of their files, in the order in which they are sent. Messages
    /// that a newer one makes superfluous are not among them.
    ///
    /// # Errors
    ///
    /// If the queue cannot be read.
    fn waiting(&self) -> Result<Vec<(PostofficeName, Vec<String>)>, QueueError>;

    /// The bytes of a message that waits. `None` if it is gone.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn read(&self, to: &PostofficeName, name: &str) -> Result<Option<Vec<u8>>, QueueError>;

    /// Forgets a message that a carrier has taken.
    ///
    /// # Errors
    ///
    /// If it cannot be removed.
    fn sent(&self, to: &PostofficeName, name: &str) -> Result<(), QueueError>;

    /// Keeps a message that a carrier has fetched, durably, for the next step.
    ///
    /// # Errors
    ///
    /// If it cannot be kept.
    fn deliver(&self, name: &str, message: &mut dyn Read) -> Result<(), QueueError>;

    /// The messages that were kept and whose bodies are still on their way.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn incomplete(&self) -> Result<Vec<Box<dyn MessageFile>>, QueueError> {
        Ok(Vec::new())
    }
}

/// A file of a queue could not be read or written.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct QueueError(pub Box<dyn std::error::Error + Send + Sync>);

/// A queue without messages, for places at which only bodies travel by this way.
pub struct NoMessages;

impl MessageQueue for NoMessages {
    fn waiting(&self) -> Result<Vec<(PostofficeName, Vec<String>)>, QueueError> {
        Ok(Vec::new())
    }

    fn read(&self, _: &PostofficeName, _: &str) -> Result<Option<Vec<u8>>, QueueError> {
        Ok(None)
    }

    fn sent(&self, _: &PostofficeName, _: &str) -> Result<(), QueueError> {
        Ok(())
    }

    fn deliver(&self, _: &str, _: &mut dyn Read) -> Result<(), QueueError> {
        Ok(())
    }
}

/// Why an exchange ended early. The rest is left for the next one.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// The carrier failed.
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    /// The messages failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The bodies failed.
    #[error(transparent)]
    Bodies(#[from] BodiesError),
    /// A piece or a signal could not be sealed.
    #[error("could not seal a file: {0}")]
    Seal(#[from] SealError),
}

impl ExchangeError {
    fn is_of_one_file(&self) -> bool {
        let kind = match self {
            Self::Carrier(error) => error.kind,
            _ => return false,
        };
        matches!(kind, CarrierErrorKind::TooLarge | CarrierErrorKind::Refused)
    }
}

/// The work of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// Messages, pieces and signals that the carrier has taken.
    pub sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages that came.
    pub messages: u64,
    /// Pieces that came and were new.
    pub pieces: u64,
    /// The postoffices from which they came.
    pub pieces_from: BTreeSet<PostofficeName>,
    /// By folded names, the keys of those from whom pieces or messages came. An invited one may not be admitted yet.
    senders: BTreeMap<String, PeerKeys>,
    /// Bodies that are whole now.
    pub bodies: u64,
    /// Signals that came.
    pub signals: u64,
    /// Probes that the carrier has taken, and when, in milliseconds since 1970.
    pub probed: Vec<(Probe, u64)>,
    /// Answers to probes.
    pub answers: Vec<ProbeAnswer>,
    /// The bytes of all files that were fetched.
    pub bytes_fetched: u64,
    /// Files that were removed, and why: they were damaged, or from nobody who may send.
    pub refused: Vec<(CarrierFile, String)>,
    /// Files that stay at the place until their sender is known.
    pub left: u64,
    /// Whether it ended because its time was over.
    pub is_over: bool,
}

/// Says after each file whether the exchange goes on, given the bytes of the file. A window that closes ends it, and a
/// limit on the rate makes it wait.
pub type GoesOn<'g> = &'g mut dyn FnMut(u64) -> bool;

/// An exchange at one place.
pub struct Exchange<'a> {
    /// The place.
    pub carrier: &'a dyn Carrier,
    /// What moves bodies there, if they need not travel in pieces.
    pub bodies: Option<&'a dyn BodyLine>,
    /// The messages.
    pub messages: &'a dyn MessageQueue,
    /// The bodies.
    pub outbox: &'a Outbox,
    /// The keys of this postoffice.
    pub sealing: &'a dyn Sealing,
    /// Those with whom it exchanges messages, as the database had them.
    pub peers: &'a KnownPeers,
    /// The peers to which the place leads.
    pub to: &'a [PostofficeName],
    /// Those of them whose bodies travel this way now.
    pub pieces_to: &'a [PostofficeName],
    /// The probes that are to be sent.
    pub probes: &'a [Probe],
    /// Says the time, in milliseconds since 1970.
    pub clock: &'a dyn Fn() -> u64,
}

impl<'a> Exchange<'a> {
    /// An exchange at a place that moves no messages, leads to nobody, and sends no probes, unless its fields say more.
    pub fn without_messages(
        carrier: &'a dyn Carrier,
        outbox: &'a Outbox,
        sealing: &'a dyn Sealing,
        peers: &'a KnownPeers,
        clock: &'a dyn Fn() -> u64,
    ) -> Self {
        let (bodies, messages) = (None, &NoMessages);
        let (to, pieces_to, probes) = (&[], &[], &[]);
        Self { carrier, bodies, messages, outbox, sealing, peers, to, pieces_to, probes, clock }
    }
}

impl Exchange<'_> {
    /// Fetches everything, then leaves everything, as long as `goes_on` says so.
    ///
    /// The work in `done` is done also if this fails.
    ///
    /// # Errors
    ///
    /// If the carrier, the messages or the bodies fail.
    pub fn run(&self, done: &mut Exchanged, goes_on: GoesOn<'_>) -> Result<(), ExchangeError> {
        let received = self.receive(done, goes_on);
        if received.as_ref().is_err_and(|error| !error.is_of_one_file()) {
            return received;
        }
        if !done.is_over {
            self.send_probes(done)?;
            self.send_messages(done, goes_on)?;
        }
        match self.bodies {
            _ if done.is_over => {}
            Some(line) => self.send_bodies(line, done, goes_on)?,
            None => self.send_pieces(done, goes_on)?,
        }
        received
    }

    /// Fetches everything, and reports which pieces came. A file that the place does not give stays, and the others are
    /// fetched: anybody who may write there can leave one.
    ///
    /// # Errors
    ///
    /// If the carrier, the messages or the bodies fail.
    pub fn receive(&self, done: &mut Exchanged, goes_on: GoesOn<'_>) -> Result<(), ExchangeError> {
        let files = signals_first(self.carrier.list()?);
        let fetched = self.fetch_all(files, done, goes_on);
        if fetched.as_ref().is_err_and(|error| !error.is_of_one_file()) {
            return fetched;
        }
        if let Some(line) = self.bodies.filter(|_| !done.is_over) {
            self.fetch_bodies(line, done, goes_on)?;
        }
        if !done.is_over {
            self.send_reports(done)?;
        }
        fetched
    }

    /// Fetches the signals alone.
    ///
    /// # Errors
    ///
    /// If the carrier or the bodies fail.
    pub fn receive_signals(&self, done: &mut Exchanged) -> Result<(), ExchangeError> {
        let mut files = self.carrier.list()?;
        files.retain(|file| is_of_signal(&file.name));
        self.fetch_all(files, done, &mut |_| true)
    }

    fn fetch_all(
        &self,
        files: Vec<CarrierFile>,
        done: &mut Exchanged,
        goes_on: GoesOn<'_>,
    ) -> Result<(), ExchangeError> {
        let mut not_given = None;
        for file in files {
            let taken = match self.carrier.fetch(&file, FILE_BYTES_MAX) {
                Ok(Some(bytes)) => self.take_file(&file, &bytes, done),
                Ok(None) => continue,
                Err(error) if error.kind == CarrierErrorKind::TooLarge => {
                    self.take_large(&file, done)
                }
                Err(error) => Err(error.into()),
            };
            let bytes = match taken {
                Ok(bytes) => bytes,
                Err(error) if error.is_of_one_file() => {
                    not_given.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            done.bytes_fetched += bytes;
            if !goes_on(bytes) {
                done.is_over = true;
                break;
            }
        }
        not_given.map_or(Ok(()), Err)
    }

    /// Takes a file that was fetched. Returns its size.
    fn take_file(
        &self,
        file: &CarrierFile,
        bytes: &[u8],
        done: &mut Exchanged,
    ) -> Result<u64, ExchangeError> {
        if is_of_signal(&file.name) {
            if self.take_signal(file, bytes, done)? {
                self.carrier.taken(file)?;
            }
            return Ok(bytes.len() as u64);
        }
        let is_kept = match self.sealing.read_piece(bytes) {
            Ok(piece) => match self.peers.keys_of(&piece.claim()) {
                Some(sender) => self.take_piece(file, piece.open(&sender), &sender, done)?,
                None => {
                    done.left += 1;
                    false
                }
            },
            Err(SealError::OtherFile(_)) if is_of_message(&file.name) => {
                self.note_waiting(&file.name, bytes, done)?;
                self.messages.deliver(&file.name, &mut &*bytes)?;
                done.messages += 1;
                true
            }
            Err(error) => {
                done.refused.push((file.clone(), error.to_string()));
                true
            }
        };
        if is_kept {
            self.carrier.taken(file)?;
        }
        Ok(bytes.len() as u64)
    }

    /// Notes that a message waits for a body, so that its sender is told what has come.
    fn note_waiting(
        &self,
        name: &str,
        message: &[u8],
        done: &mut Exchanged,
    ) -> Result<(), ExchangeError> {
        let file = Box::new(Cursor::new(message.to_vec()));
        let Ok(message) = self.sealing.read(file) else { return Ok(()) };
        let Some(body) = message.body_apart() else { return Ok(()) };
        let sender = self.peers.keys_of(&message.claim());
        if let Some(sender) = sender.filter(|_| self.peers.are_requestors())
            && self.outbox.open(&body)?.is_none()
        {
            self.outbox.name_in(sender.name(), name)?;
            done.senders.insert(sender.name().folded().to_owned(), sender);
        }
        Ok(())
    }

    /// Takes a file that is larger than any piece: a message, or nothing of ours. Returns the number of bytes that were
    /// read.
    fn take_large(&self, file: &CarrierFile, done: &mut Exchanged) -> Result<u64, ExchangeError> {
        let refused = if is_of_message(&file.name) {
            let Some(message) = self.carrier.open(file)? else { return Ok(0) };
            self.sealing.read(message).err().map(|error| error.to_string())
        } else {
            Some(format!("no piece has more than {FILE_BYTES_MAX} bytes"))
        };
        let mut bytes = 0;
        match refused {
            // It would fill the disk here, only to be refused by the next step.
            Some(why) => done.refused.push((file.clone(), why)),
            None => {
                let Some(mut message) = self.carrier.open(file)? else { return Ok(0) };
                self.messages.deliver(&file.name, &mut message)?;
                bytes = message.stream_position().unwrap_or(0);
                done.messages += 1;
            }
        }
        self.carrier.taken(file)?;
        Ok(bytes)
    }

    /// Takes a piece. Returns whether its file is needed no longer.
    fn take_piece(
        &self,
        file: &CarrierFile,
        opened: Result<(Piece, Vec<u8>), SealError>,
        sender: &PeerKeys,
        done: &mut Exchanged,
    ) -> Result<bool, ExchangeError> {
        let taken = match opened {
            Ok((piece, bytes)) => {
                self.outbox.take_piece(sender.name(), &piece, &bytes, (self.clock)())
            }
            Err(SealError::OtherSigner { .. }) => {
                // A message that is on its way may announce the key.
                done.left += 1;
                return Ok(false);
            }
            Err(error) => {
                done.refused.push((file.clone(), error.to_string()));
                return Ok(true);
            }
        };
        match taken {
            Ok(is_whole) => {
                done.pieces += 1;
                done.pieces_from.insert(sender.name().clone());
                done.senders.insert(sender.name().folded().to_owned(), sender.clone());
                done.bodies += u64::from(is_whole);
            }
            Err(BodiesError::Refused(why)) => done.refused.push((file.clone(), why.to_string())),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    fn send_messages(
        &self,
        done: &mut Exchanged,
        goes_on: GoesOn<'_>,
    ) -> Result<(), ExchangeError> {
        for (to, names) in self.messages.waiting()? {
            if !self.to.contains(&to) {
                continue;
            }
            for name in names {
                let Some(message) = self.messages.read(&to, &name)? else { continue };
                self.carrier.put(&to, &name, &message)?;
                self.messages.sent(&to, &name)?;
                if !count_sent(done, &message, goes_on) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Leaves pieces, one for each peer in turn, so that a long body for one does not hold up the others.
    fn send_pieces(&self, done: &mut Exchanged, goes_on: GoesOn<'_>) -> Result<(), ExchangeError> {
        let mut peers: Vec<&Peer> =
            self.pieces_to.iter().filter_map(|name| self.peers.peer(name)).collect();
        while !peers.is_empty() {
            let mut with_more = Vec::new();
            for peer in peers {
                let Some(bytes) = self.send_piece(peer)? else { continue };
                with_more.push(peer);
                if !count_sent(done, &bytes, goes_on) {
                    return Ok(());
                }
            }
            peers = with_more;
        }
        Ok(())
    }

    /// Leaves the next piece for a peer. Returns the bytes of its file. `None` if no piece waits.
    fn send_piece(&self, peer: &Peer) -> Result<Option<Vec<u8>>, ExchangeError> {
        let to = peer.keys.name();
        let room = self.carrier.file_bytes_max().unwrap_or(FILE_BYTES_MAX).min(FILE_BYTES_MAX);
        let bytes_max = room.saturating_sub(LINES_OF_PIECE_BYTES).max(1);
        let Some(next) = self.outbox.next_piece(to, bytes_max)? else { return Ok(None) };
        let NextPiece { nth, piece, bytes } = next;
        let file = self.sealing.piece(peer, self.peers.first_contact(), &piece, &bytes)?;
        // The same piece has the same name, so that a carrier can continue it. The order of names is that in which the
        // addressee needs the pieces.
        let Piece { body, at, bytes } = &piece;
        let name = format!("{nth:04}-{at:010}-{bytes}-{}{PIECE_SUFFIX}", body.hash);
        match self.carrier.put(to, &name, &file) {
            Ok(()) => self.outbox.hand_over(to, &piece)?,
            Err(error) => {
                match error.kind {
                    CarrierErrorKind::CutOff if self.carrier.continues() => {
                        self.outbox.begin(to)?
                    }
                    CarrierErrorKind::CutOff | CarrierErrorKind::TooLarge => {
                        self.outbox.halve_pieces(to, piece.bytes)?;
                    }
                    _ => {}
                }
                return Err(error.into());
            }
        }
        Ok(Some(file))
    }
}

/// The most bytes of the lines of a piece, also of one that announces as many keys as can be followed.
const LINES_OF_PIECE_BYTES: u64 = 8 * 1024;

fn count_sent(done: &mut Exchanged, file: &[u8], goes_on: GoesOn<'_>) -> bool {
    done.sent += 1;
    done.bytes_sent += file.len() as u64;
    done.is_over = !goes_on(file.len() as u64);
    !done.is_over
}

/// Whether a message can be opened by the next step: its body is in its file, or has come. A message that cannot be
/// read is left to the step, which says why.
pub fn is_complete(
    sealing: &dyn Sealing,
    outbox: &Outbox,
    message: Box<dyn MessageFile>,
) -> Result<bool, BodiesError> {
    match sealing.read(message) {
        Ok(message) => match message.body_apart() {
            Some(body) => Ok(outbox.open(&body)?.is_some()),
            None => Ok(true),
        },
        Err(_) => Ok(true),
    }
}
