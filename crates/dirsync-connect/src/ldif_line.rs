//! A line of an LDIF record: an attribute and its value (RFC 2849).

use data_encoding::BASE64;

use crate::text::ENCODING_ADVICE;

/// An attribute value of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// The attribute without its options, in lower case.
    pub(crate) attribute: String,
    /// The options, in lower case, without the semicolon before them.
    pub(crate) options: String,
    /// The value.
    pub(crate) bytes: Vec<u8>,
    /// The number of its line.
    pub(crate) line: u64,
}

/// A line that cannot be used, and makes its record unusable.
pub(crate) struct BadLine {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// Parses a line: `ATTRIBUTE[;OPTION…]: VALUE`, or `::` and the value in base64.
pub(crate) fn value_of(line: u64, bytes: &[u8]) -> Result<Value, String> {
    let Some(colon) = bytes.iter().position(|byte| *byte == b':') else {
        return Err("the line is not ATTRIBUTE: VALUE".into());
    };
    let name = std::str::from_utf8(&bytes[..colon])
        .map_err(|_| "the name of the attribute is not UTF-8")?
        .to_ascii_lowercase();
    let rest = &bytes[colon + 1..];
    let value = match rest.first() {
        Some(b':') => BASE64
            .decode(rest[1..].trim_ascii())
            .map_err(|error| format!("the value of {name} is not base64: {error}"))?,
        Some(b'<') => {
            return Err(format!(
                "the value of {name} is a URL, and URLs are not followed: export its content"
            ));
        }
        _ => {
            let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
            rest[blanks..].to_vec()
        }
    };
    let (attribute, options) = name.split_once(';').unwrap_or((&name, ""));
    Ok(Value { attribute: attribute.into(), options: options.into(), bytes: value, line })
}

impl Value {
    /// Whether this is a value of an attribute, without options.
    pub(crate) fn is(&self, attribute: &str) -> bool {
        self.attribute == attribute && self.options.is_empty()
    }

    /// The value as text.
    pub(crate) fn text(&self) -> Result<&str, BadLine> {
        std::str::from_utf8(&self.bytes).map_err(|error| BadLine {
            line: self.line,
            reason: format!(
                "the value of {} is not UTF-8 from its byte {} on; {ENCODING_ADVICE}",
                self.attribute,
                error.valid_up_to() + 1
            ),
        })
    }
}
