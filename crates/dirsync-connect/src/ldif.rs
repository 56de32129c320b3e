//! LDIF as a source (RFC 2849): content records, and change records that add.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use dirsync_directory::{AttributeName, Record, escape};

use crate::source::{Item, ReadError, RejectedRow, SourceRow, shortened};
use crate::text::Text;

/// Longest record that is read, in bytes.
const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An LDIF file that is being read.
pub(crate) struct LdifSource {
    reader: BufReader<Box<dyn Read>>,
    path: PathBuf,
    line: u64,
    ended: bool,
}

/// A line put together from its folds, with its number.
type Line = (u64, Vec<u8>);

impl LdifSource {
    pub(crate) fn new(path: &Path, text: Text) -> Self {
        Self { reader: text.into_reader(), path: path.to_owned(), line: 0, ended: false }
    }

    pub(crate) fn next(&mut self) -> Option<Result<Item, ReadError>> {
        loop {
            if self.ended {
                return None;
            }
            let record = match self.record() {
                Ok(record) => record,
                Err(source) => {
                    self.ended = true;
                    let (path, line) = (self.path.clone(), self.line);
                    return Some(Err(ReadError::Io { path, line, source }));
                }
            };
            let only_version = |lines: &[Line]| {
                lines.iter().all(|(_, line)| line.to_ascii_lowercase().starts_with(b"version:"))
            };
            if record.is_empty() || only_version(&record) {
                continue;
            }
            return Some(Ok(entry_of(&record)));
        }
    }

    /// The lines of the next record, unfolded, comments left out.
    fn record(&mut self) -> io::Result<Vec<Line>> {
        let mut lines: Vec<Line> = Vec::new();
        let mut bytes = 0;
        let mut in_comment = false;
        loop {
            let mut line = Vec::new();
            if self.reader.read_until(b'\n', &mut line)? == 0 {
                self.ended = true;
                return Ok(lines);
            }
            self.line += 1;
            while line.last().is_some_and(|byte| *byte == b'\n' || *byte == b'\r') {
                line.pop();
            }
            bytes += line.len();
            if bytes > RECORD_BYTES_MAX {
                return Err(io::Error::other("a record is longer than 16 MiB"));
            }
            match line.first() {
                None => return Ok(lines),
                Some(b' ') if in_comment => {}
                Some(b' ') => {
                    if let Some((_, last)) = lines.last_mut() {
                        last.extend_from_slice(&line[1..]);
                    }
                }
                Some(b'#') => in_comment = true,
                Some(_) => {
                    in_comment = false;
                    lines.push((self.line, line));
                }
            }
        }
    }
}

/// What a record's lines say.
#[derive(Default)]
struct Found {
    origin: Option<String>,
    keys: [Option<String>; 4],
    kind: Option<&'static str>,
    own_kind: Option<String>,
    name: Option<String>,
    display_name: Option<String>,
    mails: Vec<String>,
    proxies: Vec<String>,
    own_addresses: Vec<String>,
    details: Vec<String>,
    own_details: Vec<String>,
}

fn entry_of(lines: &[Line]) -> Item {
    let first = lines.first().map_or(0, |(line, _)| *line);
    let text = lines.iter().map(|(_, line)| String::from_utf8_lossy(line)).collect::<Vec<_>>();
    let text = shortened(&text.join("\n"));
    let rejected = |line: u64, reason: String, keyless: bool| {
        Item::Rejected(RejectedRow { line, text: text.clone(), reason, keyless })
    };
    let mut found = Found::default();
    for (line, bytes) in lines {
        if let Err(reason) = take_line(bytes, &mut found) {
            return rejected(*line, reason, false);
        }
    }
    let mails = found.mails.first().cloned();
    let Some(key) = found.keys.iter().flatten().next().cloned().or(mails) else {
        return rejected(
            first,
            "the record has no key (entryUUID, objectGUID, mail …)".into(),
            true,
        );
    };
    let origin = match found.origin.as_deref().map(str::parse).transpose() {
        Ok(origin) => origin,
        Err(error) => return rejected(first, format!("{error}"), false),
    };
    let own = !found.own_addresses.is_empty();
    let addresses = if own {
        found.own_addresses
    } else if found.proxies.is_empty() {
        found.mails.iter().map(|mail| format!("SMTP:{mail}")).collect()
    } else {
        primary_first(found.proxies)
    };
    let mut details = found.details;
    if own {
        details.retain(|line| !line.starts_with("mail/") && !line.starts_with("cn/"));
    }
    details.append(&mut found.own_details);
    details.sort_unstable();
    details.dedup();
    let record = Record {
        kind: found.own_kind.unwrap_or_else(|| found.kind.unwrap_or("mailbox").into()),
        name: escape(&found.display_name.filter(|_| !own).or(found.name).unwrap_or_default())
            .into(),
        addresses: addresses.iter().map(|a| escape(a)).collect::<Vec<_>>().join("\t"),
        details: details.iter().fold(String::new(), |all, line| all + line + "\n"),
    };
    Item::Row(SourceRow { origin, key, record, line: first })
}

/// Exchange marks the primary address by the capitals of its type.
fn primary_first(proxies: Vec<String>) -> Vec<String> {
    let (mut first, rest): (Vec<String>, Vec<String>) =
        proxies.into_iter().partition(|proxy| proxy.starts_with("SMTP:"));
    let rest = rest.into_iter().map(|proxy| match proxy.split_once(':') {
        Some((kind, value)) => format!("{}:{value}", kind.to_ascii_uppercase()),
        None => proxy,
    });
    first.extend(rest);
    first
}

fn take_line(bytes: &[u8], found: &mut Found) -> Result<(), String> {
    let Some(colon) = bytes.iter().position(|byte| *byte == b':') else {
        return Err("the line is not ATTRIBUTE: VALUE".into());
    };
    let name = std::str::from_utf8(&bytes[..colon]).map_err(|_| "the attribute is not UTF-8")?;
    let rest = &bytes[colon + 1..];
    let raw = match rest.first() {
        Some(b':') => {
            let text: Vec<u8> = rest[1..].iter().copied().filter(|byte| *byte != b' ').collect();
            BASE64.decode(&text).map_err(|_| format!("the value of {name} is not base64"))?
        }
        Some(b'<') => return Err(format!("the value of {name} is a URL; such are not followed")),
        _ => rest[rest.iter().take_while(|byte| **byte == b' ').count()..].to_vec(),
    };
    let lower = name.to_ascii_lowercase();
    if lower == "objectguid" {
        found.keys[2] = Some(HEXLOWER.encode(&raw));
        return Ok(());
    }
    if matches!(lower.as_str(), "jpegphoto" | "usercertificate;binary" | "userpassword" | "photo") {
        return Ok(());
    }
    let value = String::from_utf8(raw).map_err(|_| format!("the value of {name} is not UTF-8"))?;
    take_value(&lower, name, value, found)
}

fn take_value(lower: &str, name: &str, value: String, found: &mut Found) -> Result<(), String> {
    match lower {
        "dn" => {}
        "changetype" if value.trim() == "add" => {}
        "changetype" => {
            return Err(format!(
                "a change record of type {value} is not content; only add is taken"
            ));
        }
        "dirsyncorigin" => found.origin = Some(value),
        "dirsynckey" => found.keys[0] = Some(value),
        "dirsynckind" => found.own_kind = Some(value),
        "dirsyncaddress" => found.own_addresses.push(value),
        "dirsyncdetail" => {
            let (attribute, value) = value.split_once('/').ok_or("dirsyncDetail has no \"/\"")?;
            found.own_details.push(format!("{attribute}/{}", escape(value)));
        }
        "entryuuid" => found.keys[1] = Some(value),
        "cn" => found.name = found.name.take().or(Some(value)),
        "displayname" => found.display_name = Some(value),
        "mail" => found.mails.push(value),
        "proxyaddresses" => found.proxies.push(value),
        "objectclass" => found.kind = kind_of(&value).or(found.kind),
        _ => {
            if lower == "employeenumber" {
                found.keys[3] = Some(value.clone());
            }
            if let Ok(attribute) = name.parse::<AttributeName>()
                && !value.is_empty()
                && (attribute.is_well_known() || lower.starts_with("x-"))
            {
                found.details.push(format!("{attribute}/{}", escape(&value)));
            }
        }
    }
    Ok(())
}

fn kind_of(class: &str) -> Option<&'static str> {
    match class.to_ascii_lowercase().as_str() {
        "groupofnames" | "groupofuniquenames" | "group" | "groupofurls" => Some("list"),
        "device" | "room" => Some("resource"),
        "contact" | "mailrecipient" => Some("contact"),
        "inetorgperson" | "user" | "person" => Some("mailbox"),
        _ => None,
    }
}
