//! The parts of a mail, of whatever nesting, decoded.
//!
//! `mail-parser` reads the header fields, with all their variants; the tree is walked here. So nothing is converted
//! from one character set to another, depth and number of parts are limited before anything is decoded, and a mail of a
//! hundred thousand nested messages costs no stack.

use std::borrow::Cow;

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, Header, HeaderName, HeaderValue, MessageParser};

use crate::tnef;

/// The deepest nesting that is looked into.
pub const DEPTH_MAX: usize = 8;
/// The most parts that are looked at.
pub const PARTS_MAX: usize = 100;
/// The longest header of one message or part that is read, in bytes.
const HEADER_BYTES_MAX: usize = 256 * 1024;
/// The most header fields of one message or part that are read.
const FIELDS_MAX: usize = 1000;

/// The header of a message: the mail itself, or one that it has inside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    fields: Vec<(String, String)>,
}

impl Head {
    fn of(fields: &[Header<'_>], raw: &[u8]) -> Self {
        let text = |field: &Header<'_>| {
            let range = field.offset_start as usize..field.offset_end as usize;
            String::from_utf8_lossy(raw.get(range).unwrap_or_default()).trim().to_owned()
        };
        let fields = fields.iter().map(|field| (field.name.as_str().to_owned(), text(field)));
        Self { fields: fields.collect() }
    }

    /// Reads a header that stands alone, as bounces return it.
    pub(crate) fn read(raw: &[u8]) -> Self {
        Self::of(&fields(raw).0, raw)
    }

    /// The raw value of the first field of this name, with its folds.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let of_name = |(field, _): &&(String, String)| field.eq_ignore_ascii_case(name);
        self.fields.iter().find(of_name).map(|(_, value)| value.as_str())
    }

    /// The raw values of all fields of this name.
    pub(crate) fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        let of_name = self.fields.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str())
    }
}

/// A part that has no parts in it.
#[derive(Debug)]
pub(crate) struct Part<'m> {
    /// `type/subtype` in lower case; `text/plain` if it says none.
    pub(crate) kind: String,
    /// The name of its file, as somebody wrote it.
    pub(crate) file_name: Option<String>,
    /// What it holds, decoded.
    pub(crate) bytes: Cow<'m, [u8]>,
    /// The message in [`Parts::heads`] to which it belongs.
    pub(crate) message: usize,
}

/// The parts of a mail, in their order.
#[derive(Debug, Default)]
pub(crate) struct Parts<'m> {
    /// The header of the mail, and those of the messages in it.
    pub(crate) heads: Vec<Head>,
    /// The parts without parts.
    pub(crate) parts: Vec<Part<'m>>,
    /// The types of all parts, also of those that have parts.
    pub(crate) kinds: Vec<String>,
    /// Whether something is wrapped in a `winmail.dat` (TNEF), and whether one could not be read.
    pub(crate) has_tnef: bool,
    pub(crate) has_broken_tnef: bool,
}

impl<'m> Parts<'m> {
    /// Walks a mail. Whatever is over a limit is left out.
    pub(crate) fn of(mail: &'m [u8]) -> Self {
        let mut parts = Self::default();
        parts.message(Cow::Borrowed(mail), 0);
        parts
    }

    /// The header of the mail itself.
    pub(crate) fn head(&self) -> &Head {
        &self.heads[0]
    }

    fn is_full(&self) -> bool {
        self.kinds.len() >= PARTS_MAX
    }

    fn message(&mut self, raw: Cow<'m, [u8]>, depth: usize) {
        let message = self.heads.len();
        let (fields, at) = fields(&raw);
        self.heads.push(Head::of(&fields, &raw));
        let shape = Shape::of(&fields, "text/plain");
        drop(fields);
        self.part(shape, after(raw, at), message, depth);
    }

    /// One part with its header.
    fn inner(&mut self, raw: Cow<'m, [u8]>, default_kind: &str, message: usize, depth: usize) {
        let (fields, at) = fields(&raw);
        let shape = Shape::of(&fields, default_kind);
        drop(fields);
        self.part(shape, after(raw, at), message, depth);
    }

    fn part(&mut self, shape: Shape, body: Cow<'m, [u8]>, message: usize, depth: usize) {
        if self.is_full() || depth > DEPTH_MAX {
            return;
        }
        self.kinds.push(shape.kind.clone());
        if let Some(boundary) = &shape.boundary {
            let default_kind =
                if shape.kind == "multipart/digest" { "message/rfc822" } else { "text/plain" };
            for range in split(&body, boundary.as_bytes()) {
                let inner = match &body {
                    Cow::Borrowed(body) => Cow::Borrowed(&body[range]),
                    Cow::Owned(body) => Cow::Owned(body[range].to_vec()),
                };
                self.inner(inner, default_kind, message, depth + 1);
                if self.is_full() {
                    return;
                }
            }
            return;
        }
        let bytes = decode(body, shape.encoding);
        if matches!(shape.kind.as_str(), "message/rfc822" | "message/global") {
            self.message(bytes, depth + 1);
        } else if tnef::is_tnef(&bytes) || shape.kind == "application/ms-tnef" || shape.is_winmail()
        {
            self.wrapped(&bytes, message, depth);
        } else {
            self.parts.push(Part { kind: shape.kind, file_name: shape.file_name, bytes, message });
        }
    }

    /// The attachments of a `winmail.dat`.
    fn wrapped(&mut self, bytes: &[u8], message: usize, depth: usize) {
        self.has_tnef = true;
        let Ok(attachments) = tnef::attachments(bytes) else {
            self.has_broken_tnef = true;
            return;
        };
        for attachment in attachments {
            let kind = String::from("application/octet-stream");
            let file_name = attachment.name;
            let (boundary, encoding) = (None, Transfer::Plain);
            let shape = Shape { kind, file_name, boundary, encoding };
            self.part(shape, Cow::Owned(attachment.bytes), message, depth + 1);
        }
    }
}

/// The header fields at the beginning of a message or part, and where its body begins.
fn fields(raw: &[u8]) -> (Vec<Header<'_>>, usize) {
    let body = body_begin(raw);
    let mut fields = Vec::new();
    let mut stream = MessageStream::new(&raw[..body.min(HEADER_BYTES_MAX)]);
    let parser = MessageParser::new().with_mime_headers().default_header_raw();
    stream.parse_headers(&parser, &mut fields);
    fields.truncate(FIELDS_MAX);
    (fields, body)
}

/// The offset after the first empty line.
fn body_begin(raw: &[u8]) -> usize {
    let mut at = 0;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
    }
    at
}

fn after(raw: Cow<'_, [u8]>, at: usize) -> Cow<'_, [u8]> {
    match raw {
        Cow::Borrowed(raw) => Cow::Borrowed(&raw[at..]),
        Cow::Owned(mut raw) => {
            raw.drain(..at);
            Cow::Owned(raw)
        }
    }
}

/// How a part is encoded for its travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Base64,
    QuotedPrintable,
    Plain,
}

/// The fields of a part that say how it is read.
struct Shape {
    kind: String,
    file_name: Option<String>,
    boundary: Option<String>,
    encoding: Transfer,
}

impl Shape {
    fn of(fields: &[Header<'_>], default_kind: &str) -> Self {
        let find = |name: HeaderName<'_>| fields.iter().find(|field| field.name == name);
        let parsed = |name| find(name).and_then(|field| field.value.as_content_type());
        let (kind, disposition) =
            (parsed(HeaderName::ContentType), parsed(HeaderName::ContentDisposition));
        let attribute = |of: Option<&ContentType<'_>>, name: &str| {
            of.and_then(|of| of.attribute(name)).map(str::to_owned)
        };
        let encoding = find(HeaderName::ContentTransferEncoding).map(|field| &field.value);
        let encoding = match encoding {
            Some(HeaderValue::Text(text)) => text.trim().to_ascii_lowercase(),
            _ => String::new(),
        };
        let text = kind.map_or_else(
            || default_kind.to_owned(),
            |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()),
        );
        let text = text.to_ascii_lowercase();
        let boundary = attribute(kind, "boundary").filter(|_| text.starts_with("multipart/"));
        Self {
            kind: text,
            file_name: attribute(disposition, "filename").or_else(|| attribute(kind, "name")),
            boundary: boundary.filter(|boundary| !boundary.is_empty()),
            encoding: match encoding.as_str() {
                "base64" => Transfer::Base64,
                "quoted-printable" => Transfer::QuotedPrintable,
                _ => Transfer::Plain,
            },
        }
    }

    fn is_winmail(&self) -> bool {
        self.file_name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case("winmail.dat"))
    }
}

/// The parts of a body between the lines of its boundary, without the line ends before those.
fn split(body: &[u8], boundary: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut ranges, mut begin, mut at) = (Vec::new(), None, 0);
    let is_boundary = |line: &[u8]| {
        let rest = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary))?;
        match rest.trim_ascii() {
            b"" => Some(false),
            b"--" => Some(true),
            _ => None,
        }
    };
    while at < body.len() && ranges.len() < PARTS_MAX {
        let end =
            body[at..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |n| at + n + 1);
        if let Some(is_last) = is_boundary(&body[at..end]) {
            if let Some(begin) = begin {
                let part = &body[begin..at.max(begin)];
                let part = part.strip_suffix(b"\n").unwrap_or(part);
                let part = part.strip_suffix(b"\r").unwrap_or(part);
                ranges.push(begin..begin + part.len());
            }
            begin = Some(end);
            if is_last {
                return ranges;
            }
        }
        at = end;
    }
    // Mail that was cut off lacks its last line. What is there is looked at all the same.
    if let Some(begin) = begin.filter(|begin| *begin < body.len() && ranges.len() < PARTS_MAX) {
        ranges.push(begin..body.len());
    }
    ranges
}

fn decode(body: Cow<'_, [u8]>, encoding: Transfer) -> Cow<'_, [u8]> {
    let decoded = match encoding {
        Transfer::Plain => return body,
        Transfer::Base64 => mail_parser::decoders::base64::base64_decode(base64_lines(&body)),
        Transfer::QuotedPrintable => {
            mail_parser::decoders::quoted_printable::quoted_printable_decode(&body)
        }
    };
    decoded.map_or(body, Cow::Owned)
}

/// The lines of base64 at the beginning of a body. A mailing list may have put its footer below them.
fn base64_lines(body: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        if !text.iter().all(is_base64) {
            break;
        }
        end += line.len();
        // Padding is the end of the data.
        if text.ends_with(b"=") {
            break;
        }
    }
    &body[..end]
}

#[cfg(test)]
mod tests;
