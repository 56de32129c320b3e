//! vCard as a source: 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350).

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use calcard::common::IanaString;
use calcard::vcard::{
    VCard, VCardEntry, VCardParameterValue, VCardProperty, VCardType, VCardValue,
};
use dirsync_directory::{Record, escape};

use crate::source::{Item, ReadError, RejectedRow, SourceRow, shortened};
use crate::text::Text;

/// Longest card that is read, in bytes.
const CARD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A vCard file that is being read. It is cut into cards here, so that a broken one is alone.
pub(crate) struct VcardSource {
    reader: BufReader<Box<dyn Read>>,
    path: PathBuf,
    line: u64,
    ended: bool,
}

impl VcardSource {
    pub(crate) fn new(path: &Path, text: Text) -> Self {
        Self { reader: text.into_reader(), path: path.to_owned(), line: 0, ended: false }
    }

    pub(crate) fn next(&mut self) -> Option<Result<Item, ReadError>> {
        if self.ended {
            return None;
        }
        match self.card() {
            Ok(Some((line, card))) => Some(Ok(entry_of(line, card))),
            Ok(None) => None,
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }

    /// The bytes of the next card and the line on which it begins.
    fn card(&mut self) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
        let mut card: Option<(u64, Vec<u8>)> = None;
        loop {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line);
            let (path, line_before) = (&self.path, self.line);
            let io = |source| ReadError::Io { path: path.clone(), line: line_before, source };
            if read.map_err(io)? == 0 {
                self.ended = true;
                return match card {
                    Some((line, _)) => {
                        Err(ReadError::CutOff { path: self.path.clone(), what: "a card", line })
                    }
                    None => Ok(None),
                };
            }
            self.line += 1;
            let word = line.trim_ascii().to_ascii_uppercase();
            if card.is_none() && word == b"BEGIN:VCARD" {
                card = Some((self.line, Vec::new()));
            }
            let Some((_, bytes)) = &mut card else { continue };
            bytes.extend_from_slice(&line);
            if bytes.len() > CARD_BYTES_MAX {
                return Err(io(io::Error::other("a card is longer than 16 MiB")));
            }
            if word == b"END:VCARD" {
                return Ok(card);
            }
        }
    }
}

#[derive(Default)]
struct Found {
    origin: Option<String>,
    key: Option<String>,
    kind: Option<String>,
    name: String,
    mails: Vec<String>,
    own_addresses: Vec<String>,
    details: Vec<String>,
    own_details: Vec<String>,
}

/// Joins folded lines by bytes, so that a character that a fold cut in half is whole again
/// (RFC 2426 §2.6). Quoted-printable soft breaks of 2.1 are left to the parser.
fn unfold(card: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::with_capacity(card.len());
    let mut at = 0;
    while at < card.len() {
        let rest = &card[at..];
        let fold = match rest {
            [b'\r', b'\n', b' ' | b'\t', ..] => 3,
            [b'\n', b' ' | b'\t', ..] => 2,
            _ => 0,
        };
        if fold == 0 {
            unfolded.push(card[at]);
            at += 1;
        } else {
            at += fold;
        }
    }
    unfolded
}

fn entry_of(line: u64, card: Vec<u8>) -> Item {
    let rejected = |text: &str, reason: &str, keyless: bool| {
        Item::Rejected(RejectedRow { line, text: shortened(text), reason: reason.into(), keyless })
    };
    let text = match String::from_utf8(unfold(&card)) {
        Ok(text) => text,
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            return rejected(&text, "the card is not UTF-8; name the file's encoding", false);
        }
    };
    let Ok(parsed) = VCard::parse(&text) else {
        return rejected(&text, "the card cannot be read", false);
    };
    let mut found = Found::default();
    for entry in &parsed.entries {
        take_property(entry, &mut found);
    }
    let Some(key) = found.key.or_else(|| found.mails.first().cloned()) else {
        return rejected(&text, "the card has no UID and no EMAIL", true);
    };
    let origin = match found.origin.as_deref().map(str::parse).transpose() {
        Ok(origin) => origin,
        Err(_) => return rejected(&text, "X-DIRSYNC-ORIGIN is not a postoffice", false),
    };
    let own = !found.own_addresses.is_empty();
    let addresses = if own {
        found.own_addresses
    } else {
        found.mails.iter().map(|mail| format!("SMTP:{mail}")).collect()
    };
    let mut details = if own { found.own_details } else { found.details };
    details.sort_unstable();
    details.dedup();
    let record = Record {
        kind: found.kind.unwrap_or_else(|| "mailbox".into()),
        name: escape(&found.name).into(),
        addresses: addresses.iter().map(|a| escape(a)).collect::<Vec<_>>().join("\t"),
        details: details.iter().fold(String::new(), |all, line| all + line + "\n"),
    };
    Item::Row(SourceRow { origin, key, record, line })
}

fn take_property(entry: &VCardEntry, found: &mut Found) {
    let text = text_of(entry);
    if text.is_empty() {
        return;
    }
    let mut detail = |attribute: &str, value: &str| {
        if !value.is_empty() {
            found.details.push(format!("{attribute}/{}", escape(value)));
        }
    };
    match &entry.name {
        VCardProperty::Uid => {
            let key = text.strip_prefix("urn:uuid:").unwrap_or(&text);
            found.key = Some(key.to_owned());
        }
        VCardProperty::Fn => found.name = text,
        VCardProperty::Email => found.mails.push(text.trim_start_matches("mailto:").to_owned()),
        VCardProperty::Title => detail("title", &text),
        VCardProperty::Org => {
            let mut parts = parts_of(entry).into_iter();
            detail("o", &parts.next().unwrap_or_default());
            detail("department", &parts.next().unwrap_or_default());
        }
        VCardProperty::Note => detail("info", &text),
        VCardProperty::Url => detail("labeledURI", &text),
        VCardProperty::Tel => {
            let attribute = if has_type(entry, &VCardType::Cell) {
                "mobile"
            } else if has_type(entry, &VCardType::Fax) {
                "facsimileTelephoneNumber"
            } else if has_type(entry, &VCardType::Home) {
                "homePhone"
            } else {
                "telephoneNumber"
            };
            detail(attribute, text.trim_start_matches("tel:"));
        }
        VCardProperty::Kind => {
            found.kind = match text.to_ascii_lowercase().as_str() {
                "group" => Some("list".into()),
                "location" => Some("resource".into()),
                _ => None,
            };
        }
        VCardProperty::Other(name) => match name.to_ascii_uppercase().as_str() {
            "X-DIRSYNC-ORIGIN" => found.origin = Some(text),
            "X-DIRSYNC-KIND" => found.kind = Some(text),
            "X-DIRSYNC-ADDRESS" => found.own_addresses.push(text),
            "X-DIRSYNC-DETAIL" => {
                if let Some((attribute, value)) = text.split_once('/') {
                    found.own_details.push(format!("{attribute}/{}", escape(value)));
                }
            }
            _ => {}
        },
        _ => {}
    }
}

fn has_type(entry: &VCardEntry, wanted: &VCardType) -> bool {
    entry.params.iter().any(
        |parameter| matches!(&parameter.value, VCardParameterValue::Type(found) if found == wanted),
    )
}

fn parts_of(entry: &VCardEntry) -> Vec<String> {
    let mut parts = Vec::new();
    for value in &entry.values {
        match value {
            VCardValue::Text(text) => parts.push(text.clone()),
            VCardValue::Component(components) => parts.extend(components.iter().cloned()),
            VCardValue::Kind(kind) => parts.push(kind.as_str().to_owned()),
            VCardValue::Integer(number) => parts.push(number.to_string()),
            _ => {}
        }
    }
    parts
}

fn text_of(entry: &VCardEntry) -> String {
    parts_of(entry).join(",").trim().to_owned()
}
