//! Messages as a test looks at them and makes them, sealed or plain.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use dirsync_agent::peers::Peer;
use dirsync_agent::sealing::{CarriedBody, Letter as Unsealed};
use dirsync_agent::step::message_name;
use dirsync_carrier::Spool;
use dirsync_directory::PostofficeName;
use dirsync_message::Head;
use dirsync_seal::{
    BodyPlace, CHAIN_MAX, Content, FirstContact, Lines, MessageName, OwnKeys, Parties, PeerKeys,
    SealError,
};

use crate::keys::{all_peer_keys, changed_keys, own_keys, peer_keys, sealing_of};
use crate::plain::{PlainMessage, encoded, front};

/// The head of a message file, which may be sealed.
///
/// # Errors
///
/// As [`Readable::read`].
pub fn head_of(file: &[u8]) -> Result<String, SealError> {
    match PlainMessage::read(file) {
        Err(SealError::OtherFile(_)) => Ok(Readable::read_sealed(file, None)?.head),
        plain => Ok(plain?.head),
    }
}

/// The body that a message names, if it travels apart.
pub fn body_apart(mut file: &[u8]) -> Option<Content> {
    let statement = match PlainMessage::read(file) {
        Err(_) => Lines::read(&mut file).ok()?.body(),
        Ok(plain) => plain.statement,
    };
    (statement.place == BodyPlace::Apart).then_some(statement.content)
}

/// The keys of the addressee of a message, and those of its sender. They may have changed.
fn keys_of(lines: &Lines) -> (Arc<OwnKeys>, PeerKeys) {
    let Parties { from, to, from_key, to_key } = lines.parties();
    let (mut own, mut sender) = (own_keys(to), peer_keys(from));
    for changes in 1..=CHAIN_MAX as u32 {
        if own.pair(to_key).is_none() {
            own = changed_keys(to, changes);
        }
        if sender.may_sign(from_key).is_none() {
            sender = all_peer_keys(from, changes);
        }
    }
    (own, sender)
}

/// A message in readable form.
#[derive(Clone, Debug)]
pub struct Readable {
    /// Its sender.
    pub from: PostofficeName,
    /// Its addressee.
    pub to: PostofficeName,
    /// Its name.
    pub name: MessageName,
    /// The proof of an invitation.
    pub first_contact: Option<FirstContact>,
    /// Its head.
    pub head: String,
    /// Its body, decompressed. Empty if it travels apart.
    pub body: String,
    /// Whether it was sealed.
    pub sealed: bool,
}

impl Readable {
    /// Reads a message file, with the keys of the postoffices of tests.
    ///
    /// # Errors
    ///
    /// If it is damaged, or was sealed with other keys.
    pub fn read(file: &[u8]) -> Result<Self, SealError> {
        Self::read_with(file, None)
    }

    /// The same of a message whose sealed body travels apart.
    ///
    /// # Errors
    ///
    /// As [`Readable::read`].
    pub fn read_with(file: &[u8], apart: Option<&[u8]>) -> Result<Self, SealError> {
        match PlainMessage::read(file) {
            Err(SealError::OtherFile(_)) => Self::read_sealed(file, apart),
            plain => {
                let PlainMessage { from, to, name, first_contact, head, statement, body, .. } =
                    plain?;
                let body = match statement.place {
                    BodyPlace::Inline => zstd::stream::decode_all(body.as_slice())?,
                    BodyPlace::Apart => zstd::stream::decode_all(apart.unwrap_or_default())?,
                };
                let body = String::from_utf8(body).map_err(|_| SealError::WrongHead)?;
                Ok(Self { from, to, name, first_contact, head, body, sealed: false })
            }
        }
    }

    fn read_sealed(mut file: &[u8], apart: Option<&[u8]>) -> Result<Self, SealError> {
        let whole = file.to_vec();
        let lines = Lines::read(&mut file)?;
        let (own, sender) = keys_of(&lines);
        let opened = lines.verify(&own, &sender)?.open_head(Cursor::new(whole), &own)?;
        let front = opened.signed().front().clone();
        let head = opened.head().to_owned();
        let mut body = String::new();
        match (front.body.place, apart) {
            (BodyPlace::Inline, _) => {
                opened.open_body(u64::MAX)?.read_to_string(&mut body)?;
            }
            (BodyPlace::Apart, Some(apart)) => {
                opened.open_body_apart(Cursor::new(apart), u64::MAX)?.read_to_string(&mut body)?;
            }
            (BodyPlace::Apart, None) => {}
        }
        let (from, to, name, first_contact) =
            (front.from, front.to, front.name, front.first_contact);
        Ok(Self { from, to, name, first_contact, head, body, sealed: true })
    }

    /// The bytes of its file, as its sender would have written it. If the head gives another name, that one counts.
    ///
    /// # Panics
    ///
    /// If a part is over its limit.
    pub fn file(&self) -> Vec<u8> {
        let Self { from, to, head, body, .. } = self;
        let named = Head::parse(head).ok().and_then(|head| message_name(&head));
        let name = &named.unwrap_or_else(|| self.name.clone());
        let first_contact = self.first_contact.as_ref();
        if !self.sealed {
            let body = encoded(body.as_bytes());
            let content = (head.as_str(), Content::of(&body), BodyPlace::Inline);
            let front = front(from, to, name, first_contact, content, &[]);
            return [front, body].concat();
        }
        let sealing = sealing_of(from, true);
        let mut output = sealing.body(1, Spool::in_memory().begin()).expect("the level is one");
        output.write_all(body.as_bytes()).expect("it is in memory");
        let CarriedBody { sealed, bytes } = output.finish().expect("it is in memory");
        let to = &Peer::pinned(peer_keys(to));
        let (place, holds) = (BodyPlace::Inline, &[]);
        let letter = Unsealed { to, name, head, body: &sealed, place, holds, first_contact };
        let mut file = sealing.front(&letter).expect("it can be sealed");
        bytes.write_to(&mut file).expect("it is in memory");
        file
    }
}
