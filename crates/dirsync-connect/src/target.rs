//! A file as a target: the Global Address List in one of the formats, the same bytes everywhere.

use std::io::{self, Write};

use data_encoding::BASE64;
use dirsync_directory::{AttributeName, PostofficeName, RecordRef, unescape};

use crate::csv_file::NEUTRAL;
use crate::source::Format;

/// One entry to be written.
#[derive(Clone, Copy, Debug)]
pub struct ExportRow<'a> {
    /// Its owner.
    pub origin: &'a PostofficeName,
    /// Its key.
    pub key: &'a str,
    /// Its content.
    pub record: RecordRef<'a>,
}

/// A file that is being written, row by row.
pub struct Target<W> {
    output: W,
    format: Format,
    attributes: Vec<AttributeName>,
    for_people: bool,
    line: String,
}

impl<W: Write> Target<W> {
    /// Begins a file. `attributes` are the columns of a CSV after the fixed ones. `for_people` marks
    /// CSV values that a spreadsheet would take for formulas with a leading `'`, which a source
    /// takes away again; without it the file is exact.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn begin(
        mut output: W,
        format: Format,
        attributes: Vec<AttributeName>,
        for_people: bool,
    ) -> io::Result<Self> {
        match format {
            Format::Csv => {
                output.write_all(b"origin,key,kind,name,address,aliases")?;
                for attribute in &attributes {
                    write!(output, ",{attribute}")?;
                }
                output.write_all(b"\r\n")?;
            }
            Format::Ldif => output.write_all(b"version: 1\n")?,
            Format::Vcard => {}
        }
        Ok(Self { output, format, attributes, for_people, line: String::new() })
    }

    /// Writes an entry.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn write(&mut self, row: ExportRow<'_>) -> io::Result<()> {
        self.line.clear();
        match self.format {
            Format::Csv => self.csv(row),
            Format::Ldif => self.ldif(row),
            Format::Vcard => self.vcard(row),
        }
        self.output.write_all(self.line.as_bytes())
    }

    /// Ends the file and gives the output back.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }

    fn csv(&mut self, row: ExportRow<'_>) {
        let mut addresses = row.record.address_texts();
        let primary = addresses.next().unwrap_or_default();
        let aliases: Vec<&str> = addresses.collect();
        let name = plain(row.record.name);
        let fixed = [row.origin.as_str(), row.key, row.record.kind, &name, &plain(primary)]
            .map(str::to_owned);
        for field in fixed {
            self.field(&field);
        }
        // Several values stand on lines of one field; what is inside a value stays escaped.
        self.field(&aliases.join("\n"));
        for at in 0..self.attributes.len() {
            let attribute = self.attributes[at].as_str().to_owned();
            let values: Vec<&str> = row
                .record
                .detail_lines()
                .filter(|(name, _)| *name == attribute)
                .map(|(_, value)| value)
                .collect();
            self.field(&values.join("\n"));
        }
        self.line.pop();
        self.line.push_str("\r\n");
    }

    fn field(&mut self, value: &str) {
        let first = value.chars().next();
        let neutral = self.for_people
            && first.is_some_and(|first| matches!(first, '=' | '+' | '-' | '@' | '\t' | '\r'));
        let quoted = value.contains(['"', ',', '\n', '\r']) || value.trim() != value;
        if quoted {
            self.line.push('"');
        }
        if neutral {
            self.line.push(NEUTRAL);
        }
        self.line.push_str(&value.replace('"', "\"\""));
        if quoted {
            self.line.push('"');
        }
        self.line.push(',');
    }

    fn ldif(&mut self, row: ExportRow<'_>) {
        self.line.push('\n');
        let dn = format!("uid={},o={}", escape_dn(row.key), escape_dn(row.origin.as_str()));
        self.attribute("dn", &dn);
        self.attribute("objectClass", object_class(row.record.kind));
        self.attribute("cn", &plain(row.record.name));
        let mut mail = row.record.address_texts().filter_map(|text| text.strip_prefix("SMTP:"));
        if let Some(mail) = mail.next() {
            self.attribute("mail", &plain(mail));
        }
        self.attribute("dirsyncOrigin", row.origin.as_str());
        self.attribute("dirsyncKey", row.key);
        self.attribute("dirsyncKind", row.record.kind);
        for address in row.record.address_texts() {
            self.attribute("dirsyncAddress", &plain(address));
        }
        for (name, value) in row.record.detail_lines() {
            let own = ["cn", "mail", "uid", "o", "objectClass"].contains(&name);
            if own || name.starts_with("dirsync") {
                self.attribute("dirsyncDetail", &format!("{name}/{}", plain(value)));
            } else {
                self.attribute(name, &plain(value));
            }
        }
    }

    /// One LDIF line, in base64 where RFC 2849 wants it, folded at 76 columns.
    fn attribute(&mut self, name: &str, value: &str) {
        let safe_first = value.bytes().next().is_none_or(|byte| !b" :<".contains(&byte));
        let safe = safe_first
            && value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
            && !value.ends_with(' ');
        let line = if safe {
            format!("{name}: {value}")
        } else {
            format!("{name}:: {}", BASE64.encode(value.as_bytes()))
        };
        fold_line(&mut self.line, &line, "\n");
    }

    fn vcard(&mut self, row: ExportRow<'_>) {
        let record = row.record;
        let name = plain(record.name).into_owned();
        let mut put = |property: &str, value: &str| {
            fold_line(&mut self.line, &format!("{property}:{}", escape_vcard(value)), "\r\n");
        };
        put("BEGIN", "VCARD");
        put("VERSION", "3.0");
        put("UID", row.key);
        put("FN", &name);
        let (first, last) = name.rsplit_once(' ').unwrap_or(("", &name));
        let parts = format!("N:{};{};;;", escape_vcard(last), escape_vcard(first));
        fold_line(&mut self.line, &parts, "\r\n");
        let mut put = |property: &str, value: &str| {
            fold_line(&mut self.line, &format!("{property}:{}", escape_vcard(value)), "\r\n");
        };
        for mail in record.address_texts().filter_map(|text| text.strip_prefix("SMTP:")) {
            put("EMAIL;TYPE=INTERNET", &plain(mail));
        }
        for (attribute, value) in record.detail_lines() {
            let property = match attribute {
                "telephoneNumber" => "TEL;TYPE=WORK,VOICE",
                "mobile" => "TEL;TYPE=CELL",
                "facsimileTelephoneNumber" => "TEL;TYPE=WORK,FAX",
                "title" => "TITLE",
                "o" | "company" => "ORG",
                _ => continue,
            };
            put(property, &plain(value));
        }
        put("X-DIRSYNC-ORIGIN", row.origin.as_str());
        put("X-DIRSYNC-KIND", record.kind);
        for address in record.address_texts() {
            put("X-DIRSYNC-ADDRESS", &plain(address));
        }
        for (attribute, value) in record.detail_lines() {
            put("X-DIRSYNC-DETAIL", &format!("{attribute}/{}", plain(value)));
        }
        put("END", "VCARD");
    }
}

/// The value of an escaped text.
fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    unescape(text).unwrap_or(std::borrow::Cow::Borrowed(text))
}

fn object_class(kind: &str) -> &'static str {
    match kind {
        "list" => "groupOfNames",
        "resource" => "device",
        "contact" => "mailRecipient",
        _ => "inetOrgPerson",
    }
}

/// Escapes an attribute value of a distinguished name (RFC 4514 §2.4).
fn escape_dn(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let outer_blank = character == ' ' && (at == 0 || at == last);
        if outer_blank || "\"+,;<>\\=".contains(character) || character == '#' && at == 0 {
            escaped.push('\\');
            escaped.push(character);
        } else if character == '\0' {
            escaped.push_str("\\00");
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Escapes a text value of a vCard (RFC 2426 §5).
fn escape_vcard(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            ',' => escaped.push_str("\\,"),
            ';' => escaped.push_str("\\;"),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Adds a line, folded between characters at 75 bytes (RFC 2849 and RFC 2426 continue with a blank).
fn fold_line(output: &mut String, line: &str, end: &str) {
    const BYTES: usize = 75;
    let mut used = 0;
    for character in line.chars() {
        if used + character.len_utf8() > BYTES {
            output.push_str(end);
            output.push(' ');
            used = 1;
        }
        output.push(character);
        used += character.len_utf8();
    }
    output.push_str(end);
}
