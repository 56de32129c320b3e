//! Writes an entry as a vCard 3.0 (RFC 2426) or 4.0 (RFC 6350).
//!
//! A property of the standard is used if it states the value exactly. Everything else is in
//! properties of our own, so that the file can be read back without loss.

use std::collections::BTreeSet;

use dirsync_directory::EntryId;

use crate::lines::push_folded;
use crate::row::{ExportRow, plain};
use crate::target::Members;
use crate::target::members::{mail_of, members};

/// The attributes for which there is a property of the standard.
const NATURAL: &[(&str, &str)] = &[
    ("facsimileTelephoneNumber", "TEL;TYPE=FAX,WORK"),
    ("homePhone", "TEL;TYPE=HOME,VOICE"),
    ("info", "NOTE"),
    ("labeledURI", "URL"),
    ("mobile", "TEL;TYPE=CELL,VOICE"),
    ("pager", "TEL;TYPE=PAGER"),
    ("telephoneNumber", "TEL;TYPE=VOICE,WORK"),
    ("title", "TITLE"),
];

/// The version of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Three,
    Four,
}

/// Adds the card of an entry. `known` are the entries that lists name.
pub(crate) fn push_card(
    output: &mut String,
    row: ExportRow<'_>,
    version: Version,
    known: &Members,
) {
    let record = row.record;
    let name = plain(record.name);
    let mut card = Card { output, version };
    card.put("BEGIN", "VCARD");
    card.put("VERSION", if version == Version::Three { "3.0" } else { "4.0" });
    match version {
        Version::Three => card.put("UID", &uuid(row.id)),
        Version::Four => card.put("UID", &urn(row.id)),
    }
    card.text("FN", &name);
    card.name(row);
    for (at, mail) in record.address_texts().filter_map(mail_of).enumerate() {
        card.mail(&mail, at == 0);
    }
    card.organisation(row);
    if record.kind == "list" {
        card.group(row, known);
    }
    card.own("X-DIRSYNC-ORIGIN", &dirsync_directory::escape(row.origin.as_str()));
    card.own("X-DIRSYNC-KEY", &dirsync_directory::escape(row.key));
    card.own("X-DIRSYNC-KIND", record.kind);
    if !is_exact(&name) {
        card.own("X-DIRSYNC-NAME", record.name);
    }
    // EMAIL states all addresses in their order, unless one has another type or looks like a URI.
    let exact = |text: &str| text.starts_with("SMTP:") && is_exact(&plain(&text[5..]));
    if !record.address_texts().all(exact) {
        for address in record.address_texts() {
            card.own("X-DIRSYNC-ADDRESS", address);
        }
    }
    for (attribute, value) in record.detail_lines() {
        let text = plain(value);
        match NATURAL.iter().find(|(natural, _)| *natural == attribute) {
            Some((_, property)) if is_exact(&text) => card.text(property, &text),
            _ => card.own("X-DIRSYNC-DETAIL", &format!("{attribute}/{value}")),
        }
    }
    card.put("END", "VCARD");
}

/// The id of an entry in the form of a UUID. It stays when the entry is handed over to another
/// postoffice, so an address book knows the card again.
fn uuid(id: EntryId) -> String {
    let digits = id.to_string();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn urn(id: EntryId) -> String {
    format!("urn:uuid:{}", uuid(id))
}

/// Whether a text is read back from a property unchanged: it has no control characters except line
/// feeds, no blanks at its ends, and does not look like a URI, whose scheme would be removed.
fn is_exact(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    text.trim() == text
        && !text.chars().any(|character| character.is_control() && character != '\n')
        && !matches!(scheme.as_str(), "data" | "mailto" | "tel")
}

struct Card<'a> {
    output: &'a mut String,
    version: Version,
}

impl Card<'_> {
    fn put(&mut self, property: &str, value: &str) {
        push_folded(self.output, &format!("{property}:{value}"), "\r\n");
    }

    /// Writes a text value (RFC 2426, section 5).
    fn text(&mut self, property: &str, value: &str) {
        self.put(property, &escape(value));
    }

    /// Writes one of our own properties, whose value is escaped like those of records.
    fn own(&mut self, property: &str, value: &str) {
        self.put(property, &escape(value));
    }

    fn mail(&mut self, mail: &str, is_primary: bool) {
        let property = match (self.version, is_primary) {
            (Version::Three, true) => "EMAIL;TYPE=INTERNET,PREF",
            (Version::Three, false) => "EMAIL;TYPE=INTERNET",
            (Version::Four, true) => "EMAIL;PREF=1",
            (Version::Four, false) => "EMAIL",
        };
        self.text(property, mail);
    }

    /// Says that the card is a group, and who belongs to it. Version 3.0 has no property for that, and
    /// programs use those of Apple, which name cards alone.
    fn group(&mut self, row: ExportRow<'_>, known: &Members) {
        let (kind, property) = match self.version {
            Version::Three => ("X-ADDRESSBOOKSERVER-KIND", "X-ADDRESSBOOKSERVER-MEMBER"),
            Version::Four => ("KIND", "MEMBER"),
        };
        self.put(kind, "group");
        let mut named = BTreeSet::new();
        for member in members(row.record) {
            match (known.entry(member), mail_of(member)) {
                (Some(id), _) if named.insert(id) => self.put(property, &urn(id)),
                (Some(_), _) => {}
                (None, Some(mail)) if self.version == Version::Four => {
                    self.put(property, &format!("mailto:{}", percent_encoded(&mail)));
                }
                _ => {}
            }
        }
    }

    /// Writes the parts of the name. RFC 2426 requires the property N in each card.
    fn name(&mut self, row: ExportRow<'_>) {
        let first = |wanted: &str| {
            let mut details = row.record.detail_lines();
            details.find(|(name, _)| *name == wanted).map(|(_, value)| escape(&plain(value)))
        };
        let family = first("sn").unwrap_or_default();
        let given = first("givenName").unwrap_or_default();
        self.put("N", &format!("{family};{given};;;"));
    }

    fn organisation(&mut self, row: ExportRow<'_>) {
        let first = |wanted: &[&str]| {
            let mut details = row.record.detail_lines();
            details.find(|(name, _)| wanted.contains(name)).map(|(_, value)| escape(&plain(value)))
        };
        let (organisation, unit) = (first(&["o", "company"]), first(&["department", "ou"]));
        if organisation.is_some() || unit.is_some() {
            let organisation = organisation.unwrap_or_default();
            self.put("ORG", &format!("{organisation};{}", unit.unwrap_or_default()));
        }
    }
}

/// A mail address in a URI (RFC 6068).
fn percent_encoded(mail: &str) -> String {
    let mut encoded = String::with_capacity(mail.len());
    for byte in mail.bytes() {
        if byte.is_ascii_alphanumeric() || b"@.-_~+".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Escapes a text value as RFC 2426 and RFC 6350 require.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        match character {
            '\\' | ',' | ';' => escaped.extend(['\\', character]),
            '\n' => escaped.push_str("\\n"),
            // Our own property has the exact value with its control characters.
            control if control.is_ascii_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::phone_attribute;

    #[test]
    fn natural_numbers_are_read_as_what_they_were() {
        for (attribute, property) in NATURAL {
            if let Some(sorts) = property.strip_prefix("TEL;TYPE=") {
                assert_eq!(phone_attribute(sorts), *attribute);
            }
        }
    }
}
