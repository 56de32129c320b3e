//! Entries as people and programs read them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Address, AttributeName, excerpt};

/// What an entry stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A person's or function's mailbox.
    #[default]
    Mailbox,
    /// Somebody outside who is only listed.
    Contact,
    /// A room or a thing that can be booked.
    Resource,
    /// A distribution list; its members are the detail `member`.
    List,
}

/// A word that names no kind of entry.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a kind of entry: mailbox, contact, resource or list")]
pub struct UnknownKind(String);

impl EntryKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 4] = [Self::Mailbox, Self::Contact, Self::Resource, Self::List];

    /// The kind's word, the same in messages, files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mailbox => "mailbox",
            Self::Contact => "contact",
            Self::Resource => "resource",
            Self::List => "list",
        }
    }
}

impl FromStr for EntryKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownKind(excerpt(text)))
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One address in the directory, as values. Its one textual form is [`crate::Record`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it stands for.
    pub kind: EntryKind,
    /// The display name.
    pub name: String,
    /// The addresses; the first is primary.
    pub addresses: Vec<Address>,
    /// Further fields. Values of one attribute are a set: order does not matter.
    pub details: BTreeMap<AttributeName, Vec<String>>,
}

impl Entry {
    /// The primary address.
    pub fn primary(&self) -> Option<&Address> {
        self.addresses.first()
    }
}
