//! Opens requests, several at a time: most of the time that a small request needs goes into its signature
//! and its decryption.

use std::collections::BTreeSet;

use dirsync_carrier::{Arrived, Transit, TransitError, together};
use dirsync_protocol::tables::{Stored, Tables};
use dirsync_seal::PeerKeys;

use super::admit::{Sender, sender};
use crate::sealing::SealedMessage;
use crate::step::Surroundings;
use crate::step::transport::{self, AHEAD_FROM_BYTES, Opening};

/// The most messages that are opened at a time.
const TOGETHER_MAX: usize = 16;

/// A message after the attempt to open it.
pub(super) struct OpenedRequest<'m> {
    pub arrived: &'m Arrived,
    /// Who may have signed it. `None` if it was not read so far.
    pub sender: Option<Sender>,
    pub opening: Result<Opening, TransitError>,
}

/// A message whose lines were read, or why not.
enum Lines<'s> {
    Read(Box<dyn SealedMessage + 's>, Sender),
    Not(Result<Opening, TransitError>),
}

/// Opens the first of the messages, and those after it that can be opened before it is taken: messages of
/// other senders, since one may change the keys of its own. A long message is opened alone, because its body
/// is then read ahead. Nothing is opened after a failure of the transit.
pub(super) fn open_next<'m>(
    tables: &mut dyn Tables,
    transit: &dyn Transit,
    messages: &'m [Arrived],
    around: &Surroundings,
    own: &PeerKeys,
) -> Stored<Vec<OpenedRequest<'m>>> {
    let mut senders = BTreeSet::new();
    let mut read: Vec<(&Arrived, Lines<'_>)> = Vec::new();
    let first = first_together(messages);
    for (arrived, file) in first.iter().zip(transit.open_all(&first)) {
        let lines = match transport::read_opened(file, arrived, around) {
            Ok(Ok(message)) => {
                let claim = message.claim();
                if !senders.insert(claim.from.clone()) {
                    break;
                }
                match sender(tables, &claim, own)? {
                    Ok(sender) => Lines::Read(message, sender),
                    Err(why) => Lines::Not(Ok(why)),
                }
            }
            Ok(Err(why)) => Lines::Not(Ok(why)),
            Err(error) => Lines::Not(Err(error)),
        };
        let is_last = matches!(lines, Lines::Not(Err(_)));
        read.push((arrived, lines));
        if is_last {
            break;
        }
    }
    Ok(together(read, around.threads, |(arrived, lines)| match lines {
        Lines::Read(message, sender) => {
            let opening = Ok(transport::open(message, sender.keys(), arrived, around));
            OpenedRequest { arrived, sender: Some(sender), opening }
        }
        Lines::Not(opening) => OpenedRequest { arrived, sender: None, opening },
    }))
}

/// The messages that are read together: one long one, or small ones that are of different senders by their names.
/// A name that is wrong costs that its message is read twice.
fn first_together(messages: &[Arrived]) -> Vec<&Arrived> {
    let mut senders = BTreeSet::new();
    let mut first = Vec::new();
    for arrived in messages.iter().take(TOGETHER_MAX) {
        let is_long = arrived.bytes >= AHEAD_FROM_BYTES;
        if is_long && !first.is_empty() || !senders.insert(&arrived.sender) {
            break;
        }
        first.push(arrived);
        if is_long {
            break;
        }
    }
    first
}
