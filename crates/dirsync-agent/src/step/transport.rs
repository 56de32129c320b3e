//! Opens messages that a carrier brings, and encodes bodies for it.

use std::io;
use std::ops::ControlFlow;

use dirsync_carrier::{Arrived, BodyEncoder, Carrier, CarrierError, EncodedBody, EnvelopeError};
use dirsync_message::{BodyReader, BodyWriter, Head, Transaction};
use dirsync_protocol::tables::{Flow, Stored};

use super::{RefusedMessage, StepError, Surroundings};

/// A message whose head has been read.
pub(super) struct Incoming {
    pub head: Head,
    pub body: Transactions,
}

/// The transactions of a body.
pub(super) type Transactions = BodyReader<Box<dyn io::BufRead + Send>>;

/// The result of opening a message.
pub(super) enum Opening {
    /// Its file may be half written.
    NotYet,
    /// Somebody else took it.
    Gone,
    /// It is damaged.
    Refused(RefusedMessage),
    /// It was opened.
    Message(Box<Incoming>),
}

/// Opens a message and reads its head. The name of its file is not trusted.
pub(super) fn open(
    carrier: &dyn Carrier,
    arrived: &Arrived,
    around: &Surroundings,
) -> Result<Opening, CarrierError> {
    let message = match carrier.open(arrived)? {
        None => return Ok(Opening::Gone),
        Some(Err(EnvelopeError::Truncated { .. })) if !is_settled(arrived, around) => {
            return Ok(Opening::NotYet);
        }
        Some(Err(error)) => {
            return Ok(Opening::Refused(RefusedMessage::Said(format!(
                "{}: {error}",
                arrived.path.display()
            ))));
        }
        Some(Ok(message)) => message,
    };
    let head = match Head::parse(&message.head) {
        Ok(head) => head,
        Err(error) => return Ok(Opening::Refused(error.into())),
    };
    let (from, to) = match &head {
        Head::Request(request) => (&request.from, &request.to),
        Head::Update(update) => (&update.from, &update.to),
    };
    if *from != message.envelope.from || *to != message.envelope.to {
        return Ok(Opening::Refused(RefusedMessage::Said(format!(
            "its envelope is from {} to {}, its head from {from} to {to}",
            message.envelope.from, message.envelope.to
        ))));
    }
    let body = BodyReader::new(message.body);
    Ok(Opening::Message(Box::new(Incoming { head, body })))
}

fn is_settled(arrived: &Arrived, around: &Surroundings) -> bool {
    // The file's time may be ahead of this clock: that must not make it wait for ever.
    around.now.abs_diff(arrived.modified) >= around.settle_ms
}

/// A body that was encoded.
pub(super) struct Encoded<R> {
    pub body: EncodedBody,
    /// Transactions in it.
    pub transactions: u64,
    /// The result of the visit.
    pub visited: R,
}

/// Encodes the transactions that `visit` hands to its visitor. The visitor ends the visit when a
/// transaction cannot be written, and when the body has `bytes_max` encoded bytes.
pub(super) fn encode_body<R>(
    around: &Surroundings,
    bytes_max: u64,
    visit: impl FnOnce(&mut dyn FnMut(&Transaction<'_>) -> Flow) -> Stored<R>,
) -> Result<Encoded<R>, StepError> {
    let mut writer = BodyWriter::new(BodyEncoder::new(around.compression)?);
    let mut failed = None;
    let visited = visit(&mut |transaction| match writer.write(transaction) {
        Ok(()) if writer.output().encoded_bytes() < bytes_max => ControlFlow::Continue(()),
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
    Ok(Encoded { body: writer.finish()?.finish()?, transactions, visited })
}
