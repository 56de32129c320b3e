//! The fields of an entry that are given by hand.

use std::collections::BTreeSet;

use dirsync_directory::{Address, AttributeName, Entry, EntryKind, check_smtp};

use crate::failure::{Failure, Result};

/// The fields that are given by hand.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The display name.
    pub name: Option<String>,
    /// The addresses, which replace all; none leaves them.
    pub addresses: Vec<Address>,
    /// The details: each attribute that is named is replaced, and emptied by an empty value.
    pub details: Vec<(AttributeName, String)>,
    /// Values that are added to details.
    pub added: Vec<(AttributeName, String)>,
    /// Values that are removed from details.
    pub removed: Vec<(AttributeName, String)>,
    /// The kind.
    pub kind: Option<EntryKind>,
}

impl Fields {
    pub(super) fn fill(self, entry: &mut Entry) -> Result<()> {
        if let Some(name) = self.name {
            entry.name = name;
        }
        let smtp = self.addresses.iter().filter(|address| address.kind() == "SMTP");
        smtp.map(Address::value).try_for_each(check_smtp).map_err(Failure::usage)?;
        if !self.addresses.is_empty() {
            entry.addresses = self.addresses;
        }
        if let Some(kind) = self.kind {
            entry.kind = kind;
        }
        let mut replaced = BTreeSet::new();
        for (attribute, value) in self.details {
            if replaced.insert(attribute.clone()) {
                entry.details.remove(&attribute);
            }
            if !value.is_empty() {
                entry.details.entry(attribute).or_default().push(value);
            }
        }
        for (attribute, value) in self.removed {
            remove(entry, attribute, &value)?;
        }
        for (attribute, value) in self.added {
            let values = entry.details.entry(attribute).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let member = AttributeName::member();
        if entry.kind != EntryKind::List && entry.details.contains_key(&member) {
            let text = format!("an entry of the kind {} has no members", entry.kind);
            return Err(Failure::usage(text).hint("say --kind list"));
        }
        Ok(())
    }
}

fn remove(entry: &mut Entry, attribute: AttributeName, value: &str) -> Result<()> {
    let values = entry.details.entry(attribute.clone()).or_default();
    let is_same = |known: &String| match attribute == AttributeName::member() {
        true => known.eq_ignore_ascii_case(value),
        false => known == value,
    };
    let Some(at) = values.iter().position(is_same) else {
        let known = values.join(", ");
        let failure = Failure::missing(format!("{attribute} has no value \"{value}\""));
        return Err(match known.is_empty() {
            true => failure,
            false => failure.hint(format!("it has: {known}")),
        });
    };
    values.remove(at);
    if values.is_empty() {
        entry.details.remove(&attribute);
    }
    Ok(())
}
