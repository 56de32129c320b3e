//! The properties of a card: unfolded, and with their values decoded by the rules of vCard 2.1, 3.0
//! (RFC 2426) and 4.0 (RFC 6350).

use std::borrow::Cow;

use data_encoding::BASE64;
use encoding_rs::{Encoding, UTF_8};

use crate::text::ENCODING_ADVICE;

/// The property names of vCard 2.1, which has the soft line breaks of quoted-printable.
const NAMES: &[&str] = &[
    "ADR", "AGENT", "BDAY", "BEGIN", "EMAIL", "END", "FN", "GEO", "KEY", "LABEL", "LOGO", "MAILER",
    "N", "NOTE", "ORG", "PHOTO", "REV", "ROLE", "SOUND", "TEL", "TITLE", "TZ", "UID", "URL",
    "VERSION",
];

/// The encoding of text in a file of cards.
#[derive(Clone, Copy)]
pub(crate) struct Charset {
    /// The encoding of values that do not state their own.
    pub(crate) default: &'static Encoding,
    /// Whether the whole file was converted to UTF-8. A value that is not quoted-printable is then
    /// UTF-8, even if it states another encoding.
    pub(crate) is_converted: bool,
}

/// The unfolded lines of a card. Its buffers are used again for the next card.
#[derive(Default)]
pub(crate) struct Unfolded {
    bytes: Vec<u8>,
    /// The end of each line in `bytes`, and the number of the line in the file.
    lines: Vec<(usize, u64)>,
}

impl Unfolded {
    /// Joins the folded lines of a card, of which the first one has the number `first`.
    ///
    /// They are joined as bytes, because a fold may split a character (RFC 2426, section 2.6). vCard 2.1
    /// folds before a blank of the text, which is kept.
    pub(crate) fn read(&mut self, card: &[u8], first: u64, version_2: bool) {
        self.bytes.clear();
        self.lines.clear();
        let mut soft = false;
        for (line, number) in card.split(|byte| *byte == b'\n').zip(first..) {
            if soft && !line.trim_ascii().is_empty() && !begins_property(line) {
                self.bytes.pop();
                self.bytes.extend_from_slice(line);
                self.end_line();
            } else if line.is_empty() {
                // It ends a value in base64 or quoted-printable, and is no part of one.
                soft = false;
                continue;
            } else if matches!(line, [b' ' | b'\t', ..]) && !self.lines.is_empty() {
                self.bytes.extend_from_slice(&line[usize::from(!version_2)..]);
                self.end_line();
            } else {
                self.bytes.extend_from_slice(line);
                self.lines.push((self.bytes.len(), number));
            }
            soft = line.ends_with(b"=") && self.last().is_some_and(is_quoted_printable);
        }
    }

    /// Makes the last line reach to the end of what was read.
    fn end_line(&mut self) {
        if let Some((end, _)) = self.lines.last_mut() {
            *end = self.bytes.len();
        }
    }

    fn last(&self) -> Option<&[u8]> {
        let start = self.lines.iter().rev().nth(1).map_or(0, |(end, _)| *end);
        self.lines.last().map(|(end, _)| &self.bytes[start..*end])
    }

    /// The properties. Lines that are not properties are skipped, and so are those of a nested card.
    pub(crate) fn properties(&self) -> impl Iterator<Item = Property<'_>> {
        let mut start = 0;
        let lines = self.lines.iter().map(move |(end, number)| {
            let line = &self.bytes[start..*end];
            start = *end;
            (line, *number)
        });
        let mut depth = 0u32;
        lines.filter_map(|(line, number)| Property::parse(line, number)).filter(move |property| {
            let is_card = |name| {
                property.is(name) && property.value.trim_ascii().eq_ignore_ascii_case(b"VCARD")
            };
            depth += u32::from(is_card("BEGIN"));
            let is_own = depth <= 1;
            depth = depth.saturating_sub(u32::from(is_card("END")));
            is_own
        })
    }
}

/// Whether a line that follows a soft line break begins a property. Some programs end a value with a
/// soft line break, and the next property is then no part of it.
fn begins_property(line: &[u8]) -> bool {
    let end = line.iter().position(|byte| matches!(byte, b':' | b';')).unwrap_or(0);
    let Ok(name) = std::str::from_utf8(&line[..end]) else { return false };
    let own = |name: &str| {
        let word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        name.len() > 2 && name.bytes().all(word)
    };
    NAMES.contains(&name) || name.starts_with("X-") && own(name)
}

/// Whether the value of a line is in quoted-printable. vCard 2.1 states it with and without `ENCODING=`.
fn is_quoted_printable(line: &[u8]) -> bool {
    let Some(head) = head_of(line) else { return false };
    head.split(|byte| matches!(byte, b';' | b'='))
        .skip(1)
        .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"QUOTED-PRINTABLE"))
}

/// The name and the parameters of a line, which end at the first colon outside quotes.
fn head_of(line: &[u8]) -> Option<&[u8]> {
    let mut quoted = false;
    let end = line.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b':' && !quoted
    });
    end.map(|end| &line[..end])
}

/// A property of a card.
pub(crate) struct Property<'a> {
    /// The name, without a group before it, as it is written.
    name: &'a str,
    /// The parameters, each with its semicolon.
    parameters: &'a str,
    /// The value as it is written, but unfolded.
    value: &'a [u8],
    line: u64,
}

impl<'a> Property<'a> {
    fn parse(line: &'a [u8], number: u64) -> Option<Self> {
        let head = head_of(line)?;
        let value = &line[head.len() + 1..];
        let head = std::str::from_utf8(head).ok()?;
        let (name, parameters) = head.split_at(head.find(';').unwrap_or(head.len()));
        let name = name.rsplit_once('.').map_or(name, |(_, name)| name).trim();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (!name.is_empty() && name.bytes().all(plain)).then_some(Self {
            name,
            parameters,
            value,
            line: number,
        })
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether the value is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.value.trim_ascii().is_empty()
    }

    /// Whether a value with parts is more than their separators.
    pub(crate) fn value_has_text(&self) -> bool {
        self.value.iter().any(|byte| *byte != b';' && !byte.is_ascii_whitespace())
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// The parameters, as name and value without quotes. vCard 2.1 writes types and encodings without
    /// their name, which is then empty.
    fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut quoted = false;
        let parameters = self.parameters.split(move |character| {
            quoted ^= character == '"';
            character == ';' && !quoted
        });
        parameters.filter(|parameter| !parameter.is_empty()).map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or(("", parameter));
            (name.trim(), value.trim())
        })
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut parameters = self.parameters();
        let found = parameters.find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim_matches('"'))
    }

    /// The types (`TYPE=WORK,FAX`, or `WORK;FAX` in vCard 2.1) in lower case, separated by blanks.
    pub(crate) fn types(&self) -> String {
        let mut types = String::new();
        for (name, value) in self.parameters() {
            if name.is_empty() || name.eq_ignore_ascii_case("type") {
                for word in value.split([',', '"']).filter(|word| !word.is_empty()) {
                    types.push(' ');
                    types.push_str(&word.trim().to_lowercase());
                }
            }
        }
        types
    }

    /// The rank among properties of one name: `PREF=1` of vCard 4.0 to 100, `TYPE=PREF` of the older
    /// ones is 1, and 101 is the rank of all others.
    pub(crate) fn rank(&self) -> u8 {
        let preferred = || self.types().split(' ').any(|word| word == "pref");
        match self.parameter("pref") {
            Some(rank) => rank.parse().unwrap_or(100).min(100),
            None if preferred() => 1,
            None => 101,
        }
    }

    /// The value as one text.
    pub(crate) fn text(&self, charset: Charset) -> Result<String, String> {
        Ok(self.decoded(false, charset)?.concat())
    }

    /// The parts of a value that semicolons separate.
    pub(crate) fn parts(&self, charset: Charset) -> Result<Vec<String>, String> {
        self.decoded(true, charset)
    }

    /// Decodes the value, in the order in which it was written: a semicolon that is encoded in
    /// quoted-printable does not separate parts.
    fn decoded(&self, is_split: bool, charset: Charset) -> Result<Vec<String>, String> {
        let encoding = |word: &str| {
            let is_encoding = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("encoding");
            self.parameters()
                .any(|(name, value)| is_encoding(name) && value.eq_ignore_ascii_case(word))
        };
        if encoding("QUOTED-PRINTABLE") {
            let part = |part: &[u8]| {
                let bytes = unquoted(&unescaped(part));
                let text = self.characters(&bytes, true, charset)?;
                Ok(text.replace("\r\n", "\n"))
            };
            return pieces(self.value, is_split).map(part).collect();
        }
        let bytes = if encoding("BASE64") || encoding("B") {
            let digits: Vec<u8> =
                self.value.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let decoded = BASE64.decode(&digits);
            Cow::Owned(decoded.map_err(|error| {
                format!("{} on line {} is not base64: {error}", self.name, self.line)
            })?)
        } else {
            Cow::Borrowed(self.value)
        };
        let is_encoded = matches!(bytes, Cow::Owned(_));
        let text = self.characters(&bytes, is_encoded, charset)?;
        // The pieces are cut at ASCII characters, so each is UTF-8 like the whole.
        let part = |part| String::from_utf8_lossy(&unescaped(part)).into_owned();
        Ok(pieces(text.as_bytes(), is_split).map(part).collect())
    }

    /// Decodes characters. `is_encoded` says that the bytes are not those of the file.
    fn characters<'b>(
        &self,
        bytes: &'b [u8],
        is_encoded: bool,
        charset: Charset,
    ) -> Result<Cow<'b, str>, String> {
        let Self { name, line, .. } = self;
        let stated = self.parameter("charset").filter(|_| is_encoded || !charset.is_converted);
        let encoding = match stated {
            Some(label) => Encoding::for_label(label.as_bytes()).ok_or_else(|| {
                format!("the CHARSET {label} of {name} on line {line} is not known")
            })?,
            None if charset.is_converted => UTF_8,
            None => charset.default,
        };
        let decoded = encoding.decode_without_bom_handling_and_without_replacement(bytes);
        decoded.ok_or_else(|| match stated {
            Some(label) => format!("{name} on line {line} is not {label}, which its CHARSET names"),
            None => {
                let encoding = charset.default.name();
                format!("{name} on line {line} is not {encoding}; {ENCODING_ADVICE}")
            }
        })
    }
}

/// The pieces of a value between semicolons that no backslash escapes, or the whole value.
fn pieces(value: &[u8], is_split: bool) -> impl Iterator<Item = &[u8]> {
    let mut escaped = false;
    value.split(move |byte| {
        let separates = is_split && !escaped && *byte == b';';
        escaped = *byte == b'\\' && !escaped;
        separates
    })
}

/// Resolves the escapes of a text value (RFC 6350, section 3.4). Any other backslash is kept.
fn unescaped(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\\') {
        return Cow::Borrowed(value);
    }
    let mut text = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = match bytes.peek() {
            Some(b'n' | b'N') => Some(b'\n'),
            Some(next @ (b'\\' | b',' | b';' | b':')) => Some(*next),
            _ => None,
        };
        match escaped.filter(|_| byte == b'\\') {
            Some(escaped) => {
                text.push(escaped);
                bytes.next();
            }
            None => text.push(byte),
        }
    }
    Cow::Owned(text)
}

/// Decodes quoted-printable (RFC 2045, section 6.7) whose lines are joined already. An `=` that begins no
/// byte is kept.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        match (byte, digit(value.get(at + 1)), digit(value.get(at + 2))) {
            (b'=', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            // The last line of a value has a soft line break, too.
            (b'=', ..) if at + 1 == value.len() => at += 1,
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Charset = Charset { default: UTF_8, is_converted: false };

    fn texts(card: &[u8]) -> Vec<Result<Vec<String>, String>> {
        let mut unfolded = Unfolded::default();
        unfolded.read(card, 1, true);
        unfolded.properties().map(|property| property.parts(PLAIN)).collect()
    }

    fn parts(parts: &[&str]) -> Result<Vec<String>, String> {
        Ok(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    #[test]
    fn a_soft_line_break_at_the_end_of_a_value_takes_nothing() {
        for end in ["=\nTEL;CELL:1", "=\n\nTEL;CELL:1", "=\nX-A-1:1", "\n\n\nTEL:1"] {
            let card = format!("FN;QUOTED-PRINTABLE:Ana =\nM=C3=B6=\n ller{end}");
            assert_eq!(texts(card.as_bytes()), [parts(&["Ana Mö ller"]), parts(&["1"])], "{end}");
        }
        let text = b"NOTE;ENCODING=quoted-printable:a=\nTel: b=\nX:c=\n:d";
        assert_eq!(texts(text), [parts(&["aTel: bX:c:d"])], "text may look like a property");
        assert_eq!(texts(b"URL:http://a/?b=\nTEL:1").len(), 2, "an = may end any other value");
    }

    #[test]
    fn what_is_encoded_separates_nothing() {
        assert_eq!(
            texts(b"N;QUOTED-PRINTABLE:a=3Bb\\;c;=5C=6E=3d=\n=XX"),
            [parts(&["a;b;c", "\\n==XX"])]
        );
        assert_eq!(texts(b"N:a\\\\;b\\,c\\:\\q"), [parts(&["a\\", "b,c:\\q"])]);
        assert_eq!(texts(b"ORG;BASE64:QTtC\n IA==\n"), [parts(&["A", "B "])]);
    }

    #[test]
    fn a_property_states_its_charset() {
        assert_eq!(texts(b"FN;CHARSET=windows-1252:\xd6"), [parts(&["Ö"])]);
        assert_eq!(texts(b"FN;CHARSET=\"utf-8\":\xc3\x96"), [parts(&["Ö"])]);
        let reason = |card| texts(card).remove(0).unwrap_err();
        assert!(reason(b"FN:\xd6").contains("FN on line 1 is not UTF-8; name the encoding"));
        assert!(
            reason(b"\nFN;CHARSET=UTF-8:\xd6").contains("line 2 is not UTF-8, which its CHARSET")
        );
        assert!(reason(b"FN;CHARSET=latin-9000:a").contains("CHARSET latin-9000 of FN"));
    }

    #[test]
    fn types_have_three_forms() {
        for head in ["TEL;WORK;FAX", "TEL;TYPE=WORK;TYPE=fax", "i.TEL;TYPE=\"work,fax\";PREF=2"] {
            let line = format!("{head}:1");
            let property = Property::parse(line.as_bytes(), 1).unwrap();
            assert_eq!(property.types(), " work fax");
            assert_eq!(property.rank(), if head.contains("PREF") { 2 } else { 101 });
        }
        assert_eq!(Property::parse(b"EMAIL;PREF:1", 1).unwrap().rank(), 1);
    }
}
