//! Entries as values, for code that reads or edits them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Address, AttributeName, excerpt};

/// The kind of thing that an entry stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// The mailbox of a person or a function.
    #[default]
    Mailbox,
    /// A person outside the network who is listed only.
    Contact,
    /// A room or a piece of equipment that can be booked.
    Resource,
    /// A distribution list. Its members are the values of the detail `member`.
    List,
}

/// A word that is not a kind of entry.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a kind of entry: write mailbox, contact, resource or list")]
pub struct UnknownKind(String);

impl EntryKind {
    /// All kinds.
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

/// The content of one entry, as values. [`crate::Record`] is its one textual form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The kind of entry.
    pub kind: EntryKind,
    /// The display name.
    pub name: String,
    /// The addresses. The first is the primary one.
    pub addresses: Vec<Address>,
    /// All other fields. The values of an attribute are a set: their order has no meaning, and a
    /// [`crate::Record`] sorts them.
    pub details: BTreeMap<AttributeName, Vec<String>>,
}

impl Entry {
    /// The primary address.
    pub fn primary(&self) -> Option<&Address> {
        self.addresses.first()
    }
}
