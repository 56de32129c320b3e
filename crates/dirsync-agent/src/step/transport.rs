//! Opens messages that have arrived, and seals those that leave.

use std::io;
use std::ops::ControlFlow;

use dirsync_carrier::{Arrived, OpenedFile, Transit, TransitError};
use dirsync_directory::PostofficeName;
use dirsync_message::{BodyReader, BodyWriter, Head, Request, Transaction, Update};
use dirsync_protocol::tables::{Flow, Stored};
use dirsync_seal::{Holding, MessageName, PeerKeys, SealError};

use super::read_ahead::ReadAhead;
use super::{RefusedMessage, StepError, Surroundings};
use crate::sealing::{CarriedBody, KeysShown, Opened, OpenedBody, SealedMessage};

/// The size of a sealed body from which on it is opened by a thread of its own, in bytes.
pub(super) const AHEAD_FROM_BYTES: u64 = 64 * 1024;

/// A message whose head has been read.
pub(super) struct Incoming {
    pub head: Head,
    pub body: Transactions,
    pub keys: KeysShown,
    /// The bytes that the sender has of bodies which this postoffice sends.
    pub holds: Vec<Holding>,
}

/// The transactions of a body.
pub(super) type Transactions = BodyReader<Box<dyn io::BufRead + Send>>;

/// The result of opening a message.
pub(super) enum Opening {
    /// Its file may be half written.
    NotYet,
    /// Somebody else took it.
    Gone,
    /// It is damaged, or not from its sender.
    Refused(RefusedMessage),
    /// It is sealed to a key that is not here.
    OtherKey(RefusedMessage),
    /// Its sender is not known.
    Stranger(PostofficeName),
    /// No key of its sender is known, and it proves no invitation.
    NoProof(PostofficeName),
    /// It proves another invitation of its sender than the one in force.
    WrongProof(PostofficeName),
    /// Its body travels apart, and is not whole here.
    OnItsWay,
    /// It was opened.
    Message(Box<Incoming>),
}

impl Opening {
    fn refused(arrived: &Arrived, error: &dyn std::error::Error) -> Self {
        Self::Refused(RefusedMessage::Said(format!("{}: {error}", arrived.whereabouts)))
    }
}

/// Reads the lines of a message. The name of its file is not trusted.
///
/// The outer error is the one of the transit; the inner one says why there is no message.
pub(super) fn read<'s>(
    transit: &dyn Transit,
    arrived: &Arrived,
    around: &'s Surroundings,
) -> Result<Result<Box<dyn SealedMessage + 's>, Opening>, TransitError> {
    read_opened(transit.open(arrived), arrived, around)
}

/// The same of a file that the transit has opened.
pub(super) fn read_opened<'s>(
    file: OpenedFile,
    arrived: &Arrived,
    around: &'s Surroundings,
) -> Result<Result<Box<dyn SealedMessage + 's>, Opening>, TransitError> {
    let file = match file? {
        Some(Ok(file)) => file,
        None => return Ok(Err(Opening::Gone)),
        Some(Err(error)) => return Ok(Err(Opening::refused(arrived, &error))),
    };
    Ok(around.sealing.read(file).map_err(|error| not_opened(arrived, around, error)))
}

/// Opens a message that one of the keys of `sender` should have signed, and reads its head.
pub(super) fn open(
    message: Box<dyn SealedMessage + '_>,
    sender: &PeerKeys,
    arrived: &Arrived,
    around: &Surroundings,
) -> Opening {
    let opened = match message.open(sender, &around.outbox) {
        Ok(opened) => opened,
        Err(error) => return not_opened(arrived, around, error),
    };
    let head = match Head::parse(&opened.head) {
        Ok(head) => head,
        Err(error) => return Opening::Refused(error.into()),
    };
    if let Some(disagreement) = disagreement(&head, &opened) {
        return Opening::Refused(SealError::Disagrees(disagreement).into());
    }
    let Opened { from, body, holds, body_bytes, keys, .. } = opened;
    let body = match body {
        OpenedBody::Here(body) => body,
        OpenedBody::OnItsWay(body) => {
            // A failure costs bytes, and the next message says the same again.
            let _ = around.outbox.hear(&from, &holds);
            let _ = around.outbox.miss(&from, &body);
            let _ = around.outbox.name_in(&from, &arrived.id);
            return Opening::OnItsWay;
        }
    };
    let body = if around.threads > 1 && body_bytes >= AHEAD_FROM_BYTES {
        match ReadAhead::new(body) {
            Ok(body) => Box::new(body),
            Err(error) => return Opening::refused(arrived, &error),
        }
    } else {
        body
    };
    let body = BodyReader::new(body);
    Opening::Message(Box::new(Incoming { head, body, keys, holds }))
}

fn not_opened(arrived: &Arrived, around: &Surroundings, error: SealError) -> Opening {
    match error {
        SealError::CutOff { .. } if !is_settled(arrived, around) => Opening::NotYet,
        SealError::OtherAddresseeKey(_) => Opening::OtherKey(error.into()),
        error => Opening::refused(arrived, &error),
    }
}

/// The field in which a head and the lines around it disagree. A peer could otherwise sign a message under one
/// name, and have it counted under another.
fn disagreement(head: &Head, opened: &Opened) -> Option<&'static str> {
    let (from, to) = match head {
        Head::Request(request) => (&request.from, &request.to),
        Head::Update(update) => (&update.from, &update.to),
    };
    match () {
        () if *from != opened.from => Some("sender"),
        () if *to != opened.to => Some("addressee"),
        () if message_name(head).as_ref() != Some(&opened.name) => Some("name of the message"),
        () => None,
    }
}

/// The name of a message, as its head gives it. `None` if no message has such a name.
pub fn message_name(head: &Head) -> Option<MessageName> {
    match head {
        Head::Request(request) => request_name(request),
        Head::Update(update) => update_name(update),
    }
}

pub(super) fn request_name(request: &Request) -> Option<MessageName> {
    MessageName::new(&request.epoch.to_string(), request.number.0, 1)
}

/// The name of an update. A side answer may have the number of the main answer, or of another machine's side
/// answer, so its request's id is part of the epoch.
pub(super) fn update_name(update: &Update) -> Option<MessageName> {
    let epoch = match update.side {
        Some(_) => format!("{}.{}", update.server_epoch, update.request_id),
        None => update.server_epoch.to_string(),
    };
    let part = update.body.as_ref().map_or(1, |body| body.part);
    MessageName::new(&epoch, update.answers.0, part)
}

fn is_settled(arrived: &Arrived, around: &Surroundings) -> bool {
    // The file's time may be ahead of this clock: that must not make it wait for ever.
    around.now.abs_diff(arrived.modified) >= around.settle_ms
}

/// A body that was encoded and sealed.
pub(super) struct Encoded<R> {
    pub body: CarriedBody,
    /// Transactions in it.
    pub transactions: u64,
    /// The result of the visit.
    pub visited: R,
}

/// Encodes the transactions that `visit` hands to its visitor. The visitor ends the visit when a
/// transaction cannot be written, and when the body has `bytes_max` compressed bytes.
pub(super) fn encode_body<R>(
    around: &Surroundings,
    level: i32,
    bytes_max: u64,
    visit: impl FnOnce(&mut dyn FnMut(&Transaction<'_>) -> Flow) -> Stored<R>,
) -> Result<Encoded<R>, StepError> {
    let mut writer = BodyWriter::new(around.sealing.body(level, around.spool.begin())?);
    let mut failed = None;
    let visited = visit(&mut |transaction| match writer.write(transaction) {
        Ok(()) if writer.output().compressed_bytes() < bytes_max => ControlFlow::Continue(()),
        Ok(()) => ControlFlow::Break(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let transactions = writer.count();
    let body = writer.finish()?.finish()?;
    Ok(Encoded { body, transactions, visited })
}
