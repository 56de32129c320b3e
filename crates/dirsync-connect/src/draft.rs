//! The record of an entry while its parts are collected from a row.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dirsync_directory::{Record, escape, fold, unescape};

use crate::private::{Private, PrivateCounts};
use crate::row::{AddresslessRow, Item};

/// Collects the parts of a record. Its buffers are used again for the next row.
#[derive(Default)]
pub(crate) struct Draft {
    kind: String,
    name: String,
    addresses: String,
    /// The comparison keys of the addresses, as soon as there are two. Most entries have one.
    keys: BTreeSet<String>,
    /// The detail lines, of which the first `used` belong to this row.
    lines: Vec<String>,
    used: usize,
    /// Whether private details are left out, of all rows and of this one.
    omits_private: bool,
    omits_now: bool,
    private: PrivateCounts,
}

impl Draft {
    pub(crate) fn new(private: Private) -> Self {
        Self { omits_private: private == Private::Omit, ..Self::default() }
    }

    /// Takes the private details of this row, because it is one of our own.
    pub(crate) fn keep_private(&mut self) {
        self.omits_now = false;
    }

    /// Whether an attribute is left out because it is private. Then it is counted.
    pub(crate) fn omits(&mut self, attribute: &str) -> bool {
        self.omits_now && self.private.count(attribute)
    }

    /// The private details that were left out.
    pub(crate) fn private(&self) -> &PrivateCounts {
        &self.private
    }

    /// Forgets the last row. An entry without a kind is a mailbox.
    pub(crate) fn clear(&mut self) {
        self.kind.clear();
        self.kind.push_str("mailbox");
        self.name.clear();
        self.addresses.clear();
        self.keys.clear();
        self.used = 0;
        self.omits_now = self.omits_private;
    }

    /// Sets the kind. A word that is not a kind is kept, so that the check of the record can report it.
    pub(crate) fn kind(&mut self, kind: &str) {
        self.kind.clear();
        self.kind.push_str(&escape(kind));
        self.kind.make_ascii_lowercase();
    }

    pub(crate) fn name(&mut self, name: &str) {
        self.name.clear();
        self.name.push_str(&escape(name));
    }

    /// Uses the value of the first address as the name, if there is no name.
    pub(crate) fn name_by_address(&mut self) {
        if self.name.is_empty()
            && let Some((_, value)) =
                self.addresses.split('\t').next().and_then(|first| first.split_once(':'))
        {
            self.name.push_str(value);
        }
    }

    /// Adds the address `TYPE:value`, with the type in capitals. An address that is the same as one
    /// before it is left out, because a source may repeat its primary address among the others.
    pub(crate) fn address(&mut self, text: &str) {
        // Outlook writes the address of an Exchange mailbox as the type EX, or in place of a mail address.
        // In directories its type is X500.
        let (kind, value) = text.split_once(':').unwrap_or((text, ""));
        let is_distinguished = kind.eq_ignore_ascii_case("SMTP")
            && value.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("/o="));
        if is_distinguished || kind.eq_ignore_ascii_case("EX") {
            self.typed_address(&format!("X500:{value}"));
        } else {
            self.typed_address(text);
        }
    }

    fn typed_address(&mut self, text: &str) {
        let start = self.addresses.len();
        if start > 0 {
            self.addresses.push('\t');
        }
        let at = self.addresses.len();
        self.addresses.push_str(&escape(text));
        let type_bytes = self.addresses[at..].find(':').unwrap_or(0);
        self.addresses[at..at + type_bytes].make_ascii_uppercase();
        if start > 0 {
            if self.keys.is_empty() {
                self.keys.insert(fold(&self.addresses[..start]).into_owned());
            }
            if !self.keys.insert(fold(&self.addresses[at..]).into_owned()) {
                self.addresses.truncate(start);
            }
        }
    }

    /// Gives a list with members that has no address the address `LIST:` with its name. The lists of address
    /// books have none, and only an address makes an entry of a directory.
    pub(crate) fn address_list(&mut self) {
        let is_member = |line: &String| line.starts_with("member/");
        let is_list = self.kind == "list" && self.lines[..self.used].iter().any(is_member);
        if is_list && self.addresses.is_empty() && !self.name.is_empty() {
            self.addresses = format!("LIST:{}", self.name);
        }
    }

    /// The key of an entry that has none of its own: its first mail address, else its first address.
    pub(crate) fn derived_key(&self) -> Option<String> {
        let addresses = || self.addresses.split('\t').filter(|text| !text.is_empty());
        let mail = addresses().find_map(|text| text.strip_prefix("SMTP:"));
        let address = mail.or_else(|| addresses().next())?;
        unescape(address).map(|address| key_of_mail(&address).into_owned())
    }

    pub(crate) fn has_address(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// The item for a row without an address.
    pub(crate) fn addressless(&self, line: u64, key: &str) -> Item {
        let (key, name) = (key.to_owned(), self.name.clone());
        Item::WithoutAddress(AddresslessRow { line, key, name })
    }

    /// Adds a value of a detail, unless it is empty.
    pub(crate) fn detail(&mut self, attribute: &str, value: &str) {
        let postal = ["homePostalAddress", "postalAddress"].contains(&attribute);
        let value = if postal { without_empty_lines(value) } else { value.into() };
        if value.is_empty() || self.omits(attribute) {
            return;
        }
        if self.used == self.lines.len() {
            self.lines.push(String::new());
        }
        let line = &mut self.lines[self.used];
        line.clear();
        line.push_str(attribute);
        line.push('/');
        line.push_str(&escape(&value));
        self.used += 1;
    }

    /// The record, in its one form.
    pub(crate) fn record(&mut self) -> Record {
        let lines = &mut self.lines[..self.used];
        if !lines.is_sorted() {
            lines.sort_unstable();
        }
        let mut details = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        let mut previous = "";
        for line in lines.iter() {
            if line != previous {
                details.push_str(line);
                details.push('\n');
            }
            previous = line;
        }
        Record {
            kind: self.kind.clone(),
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            details,
        }
    }
}

/// A postal address without the lines that the empty parts of a template leave in it (`Gasse 1$$Kiel$`).
fn without_empty_lines(value: &str) -> Cow<'_, str> {
    let is_gap = |line: &str| line.trim().is_empty();
    if !value.split('$').any(is_gap) {
        return value.into();
    }
    let lines: Vec<&str> = value.split('$').filter(|line| !is_gap(line)).map(str::trim).collect();
    lines.join("$").into()
}

/// The key of an entry that has no key but its mail address. It is folded, so that an address that is
/// written with other capitals is still the same entry, instead of one deleted and one new.
pub(crate) fn key_of_mail(mail: &str) -> Cow<'_, str> {
    fold(mail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_becomes_the_one_form() {
        let mut draft = Draft::default();
        draft.clear();
        for address in ["smtp:Ana@n.example", "X400:/c=br", "SMTP:ana@N.example"] {
            draft.address(address);
        }
        draft.name_by_address();
        for (attribute, value) in [("title", "b"), ("cn-x", "1"), ("title", "b"), ("cn", "")] {
            draft.detail(attribute, value);
        }
        let record = draft.record();
        assert_eq!(record.name, "Ana@n.example");
        assert_eq!(record.addresses, "SMTP:Ana@n.example\tX400:/c=br");
        assert_eq!(record.details, "cn-x/1\ntitle/b\n");
        assert_eq!(record.as_ref().check(), Ok(()));
    }

    #[test]
    fn an_exchange_address_is_x500() {
        let mut draft = Draft::default();
        draft.clear();
        for address in ["EX:/o=Org/cn=ana", "SMTP:/O=org/cn=Ana", "smtp:ana@n.example", "x500:/o=a"]
        {
            draft.address(address);
        }
        assert_eq!(draft.record().addresses, "X500:/o=Org/cn=ana\tSMTP:ana@n.example\tX500:/o=a");
    }

    /// A row of 16 MiB has room for a million addresses. Comparing each with each would take days.
    #[test]
    fn many_addresses_are_compared_once() {
        let mut draft = Draft::default();
        draft.clear();
        for number in 0..100_000 {
            draft.address(&format!("X:{number}"));
            draft.address(&format!("x:{}", number / 2));
        }
        assert_eq!(draft.record().addresses.split('\t').count(), 100_000);
    }
}
