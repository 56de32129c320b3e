//! The mail that carries one file.
//!
//! ```text
//! From: <dirsync@south.example>
//! To: <dirsync@north.example>
//! Subject: dirsync SOUTH/SALES to NORTH/HQ: message 12
//! Date: Sat, 28 Nov 2026 12:00:00 +0000
//! Message-ID: <dirsync.HASH@south.example>
//! Auto-Submitted: auto-generated
//! X-Auto-Response-Suppress: All
//! Dirsync-From, Dirsync-To, Dirsync-File: see `hint`
//! MIME-Version: 1.0
//! Content-Type: multipart/mixed; boundary="…"
//!
//!     text/plain, for people
//!     application/octet-stream, base64: the file
//! ```
//!
//! No line has more than 76 bytes, and each ends with CRLF, so that no mail server has a reason to wrap anything. It is
//! written here rather than by a library for that promise, and because the same letter must be the same bytes: a mail
//! that comes twice is known by its id, and tests compare what a server stored.

use dirsync_carrier::{is_of_message, is_of_piece, is_of_signal};
use dirsync_directory::{PostofficeName, shown};

use crate::address::MailAddress;
use crate::hint;

/// The longest line, in bytes without CRLF.
pub const LINE_BYTES_MAX: usize = 76;
/// The bytes of a file in one line of base64, and of that line with CRLF.
const FILE_BYTES_A_LINE: u64 = 57;
const ENCODED_BYTES_A_LINE: u64 = 78;
/// The longest name of a file, in bytes, as file systems allow it.
const NAME_BYTES_MAX: usize = 255;
/// The most bytes by which the words for the kind of a file lengthen a mail: they stand in the subject and in the text.
const WORDS_BYTES_MAX: u64 = 256;
/// The most characters of a postoffice's name in a subject.
const SUBJECT_NAME_CHARS_MAX: usize = 40;
/// The longest domain that fits behind an id.
const ID_DOMAIN_BYTES_MAX: usize = 36;

/// A file, and between whom it travels.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The sender.
    pub from: &'a PostofficeName,
    /// The addressee.
    pub to: &'a PostofficeName,
    /// The address of the sender. Bounces come there.
    pub from_address: &'a MailAddress,
    /// The address of the addressee.
    pub to_address: &'a MailAddress,
    /// The name of the file.
    pub name: &'a str,
    /// The bytes of the file.
    pub bytes: &'a [u8],
    /// The time at which it is sent, in milliseconds since 1970.
    pub sent: u64,
}

impl Letter<'_> {
    /// The id of the mail, without angle brackets. It depends on the sender, the addressee and the name of the file.
    pub fn message_id(&self) -> String {
        let id = hint::id_of(self.from, self.to, self.name);
        let domain = self.from_address.domain();
        let domain = if domain.len() <= ID_DOMAIN_BYTES_MAX { domain } else { "dirsync.invalid" };
        format!("{id}@{domain}")
    }

    /// The whole mail.
    pub fn compose(&self) -> Vec<u8> {
        let boundary = format!("=_{}", hint::id_of(self.from, self.to, self.name));
        let mut mail = self.header(&boundary);
        mail += &format!("\r\n--{boundary}\r\n");
        mail += "Content-Type: text/plain; charset=utf-8\r\n";
        mail += "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
        mail += &quoted_printable(&self.text());
        mail += &format!("--{boundary}\r\nContent-Type: application/octet-stream\r\n");
        mail += "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n";
        mail += &file_name_parameter(self.name);
        mail += "\r\n";
        let mut mail = mail.into_bytes();
        for line in self.bytes.chunks(FILE_BYTES_A_LINE as usize) {
            mail.extend_from_slice(data_encoding::BASE64.encode(line).as_bytes());
            mail.extend_from_slice(b"\r\n");
        }
        mail.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        mail
    }

    fn header(&self, boundary: &str) -> String {
        let mut header = format!("From:\r\n <{}>\r\n", self.from_address);
        header += &format!("To:\r\n <{}>\r\n", self.to_address);
        header += &folded_at_blanks("Subject:", &self.subject());
        header += &format!("Date: {}\r\n", date(self.sent));
        header += &format!("Message-ID:\r\n <{}>\r\n", self.message_id());
        header += "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n";
        for (field, text) in [
            (hint::FROM, self.from.as_str()),
            (hint::TO, self.to.as_str()),
            (hint::FILE, self.name),
        ] {
            header += &folded_anywhere(field, &hint::encode(text));
        }
        header += "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n";
        header += &format!(" boundary=\"{boundary}\"\r\n");
        header
    }

    fn subject(&self) -> String {
        let name = |name: &PostofficeName| {
            let ascii = |character: char| if character.is_ascii() { character } else { '?' };
            let mut text: String = name.as_str().chars().map(ascii).collect();
            if text.len() > SUBJECT_NAME_CHARS_MAX {
                text.truncate(SUBJECT_NAME_CHARS_MAX - 3);
                text += "...";
            }
            text
        };
        format!("dirsync {} to {}: {}", name(self.from), name(self.to), in_words(self.name))
    }

    /// The text for people.
    fn text(&self) -> String {
        let Self { from, to, name, .. } = self;
        format!(
            "A program made this mail for another program. Do not answer it, and do not\n\
             change the attached file.\n\n\
             From the postoffice: {}\n\
             To the postoffice:   {}\n\
             Attached:            {}\n\
             File:                {}\n\n\
             The two postoffices keep their directories of people equal with dirsync. If\n\
             this came into your own mailbox, tell the administrator of your mail system.\n",
            shown(from.as_str()),
            shown(to.as_str()),
            in_words(name),
            shown(name),
        )
    }
}

/// The file as people are told of it: `message 12`, `message 12, part 2`.
fn in_words(name: &str) -> String {
    if is_of_message(name) {
        let mut numbers = name.trim_end_matches(".dirsync").rsplit('-');
        let (part, number) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
        let part = if part == "1" { String::new() } else { format!(", part {part}") };
        format!("message {number}{part}")
    } else if is_of_piece(name) {
        // Pieces are named by the turn in which they are sent, and by where they begin.
        let mut parts = name.trim_end_matches(".piece").split('-');
        let begin = parts.nth(1).and_then(|at| at.parse::<u64>().ok());
        begin
            .map_or("piece of a message".into(), |at| format!("piece of a message, from byte {at}"))
    } else if is_of_signal(name) {
        "signal".into()
    } else {
        "file".into()
    }
}

/// The size of the largest file whose mail has at most `mail_bytes` bytes, whoever of the addressees gets it.
/// 0 if no file fits.
pub fn file_bytes_max<'a>(
    mail_bytes: u64,
    (from, from_address): (&'a PostofficeName, &'a MailAddress),
    addressees: impl IntoIterator<Item = (&'a PostofficeName, &'a MailAddress)>,
) -> u64 {
    let name = "~".repeat(NAME_BYTES_MAX);
    let around = |(to, to_address)| {
        let letter =
            Letter { from, to, from_address, to_address, name: &name, bytes: b"", sent: 0 };
        letter.compose().len() as u64 + WORDS_BYTES_MAX
    };
    let most = addressees.into_iter().chain([(from, from_address)]).map(around).max();
    mail_bytes.saturating_sub(most.unwrap_or(0)) / ENCODED_BYTES_A_LINE * FILE_BYTES_A_LINE
}

/// A date as RFC 5322 wants it, in universal time.
fn date(milliseconds: u64) -> String {
    let seconds = i64::try_from(milliseconds / 1000).unwrap_or(0);
    let stamp = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    stamp.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A field whose text is folded at blanks. A word is shorter than a line.
fn folded_at_blanks(field: &str, text: &str) -> String {
    let mut folded = field.to_owned();
    let mut column = field.len();
    for word in text.split(' ') {
        if column + 1 + word.len() > LINE_BYTES_MAX {
            folded += "\r\n";
            column = 0;
        }
        folded.push(' ');
        folded += word;
        column += 1 + word.len();
    }
    folded + "\r\n"
}

/// A field whose value has no blanks, folded where a line is full.
fn folded_anywhere(field: &str, value: &str) -> String {
    let mut folded = format!("{field}:");
    let mut column = folded.len();
    let mut rest = value;
    while !rest.is_empty() {
        if column + 1 >= LINE_BYTES_MAX {
            folded += "\r\n";
            column = 0;
        }
        let (line, after) = rest.split_at(rest.len().min(LINE_BYTES_MAX - column - 1));
        folded.push(' ');
        folded += line;
        column += 1 + line.len();
        rest = after;
    }
    folded + "\r\n"
}

/// The parameter `filename`, in pieces if it is long (RFC 2231). A name of ours is ASCII without quotes.
fn file_name_parameter(name: &str) -> String {
    const PIECE: usize = 56;
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    let name: String =
        name.bytes().map(|byte| if plain(byte) { char::from(byte) } else { '_' }).collect();
    if name.len() <= PIECE {
        return format!(" filename=\"{name}\"\r\n");
    }
    let pieces = name.as_bytes().chunks(PIECE).enumerate();
    let pieces = pieces
        .map(|(nth, piece)| format!(" filename*{nth}=\"{}\"", String::from_utf8_lossy(piece)));
    pieces.collect::<Vec<_>>().join(";\r\n") + "\r\n"
}

/// Text as quoted-printable (RFC 2045), each line with CRLF.
fn quoted_printable(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for line in text.lines() {
        let mut column = 0;
        for (at, byte) in line.bytes().enumerate() {
            if column + "=00=".len() > LINE_BYTES_MAX {
                encoded += "=\r\n";
                column = 0;
            }
            // Mail programs cut off blanks at the end of a line, and change a dot or "From" at its beginning.
            let is_changed = byte == b'=' || column == 0 && b".F".contains(&byte);
            if byte.is_ascii_graphic() && !is_changed || byte == b' ' && at + 1 < line.len() {
                encoded.push(char::from(byte));
                column += 1;
            } else {
                encoded += &format!("={byte:02X}");
                column += 3;
            }
        }
        encoded += "\r\n";
    }
    encoded
}

#[cfg(test)]
mod tests;
