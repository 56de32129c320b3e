//! Addresses: `TYPE:value`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{excerpt, fold};

/// Longest address type, in bytes.
const TYPE_BYTES_MAX: usize = 16;
/// Longest address value, in bytes; X.400 addresses are the longest in use.
const VALUE_BYTES_MAX: usize = 1024;

/// One address, `TYPE:value`, e.g. `SMTP:ana@north.example` or `PCM:NORTH/HQ/ANA`.
///
/// The type is kept in capitals, as Microsoft Mail writes it (Knowledge Base article Q157712). The
/// value is kept as the origin wrote it.
///
/// `==` compares the texts exactly. To ask whether two addresses reach the same mailbox, compare their
/// [`Address::comparison_key`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// `TYPE:value`.
    text: String,
    /// The length of the type, which is the position of the colon.
    type_bytes: usize,
}

/// Why a text is not an address.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// No colon separates type and value.
    #[error("\"{0}\" is not an address: write TYPE:VALUE, for example SMTP:ana@north.example")]
    NoType(String),
    /// The type is empty, too long, or contains other characters than letters, digits, `-` and `.`.
    #[error(
        "the type of the address \"{0}\" is not 1 to {TYPE_BYTES_MAX} letters, digits, \"-\" or \".\""
    )]
    Type(String),
    /// The value is empty or too long.
    #[error("the value of the address \"{0}\" is empty or longer than {VALUE_BYTES_MAX} bytes")]
    Length(String),
    /// The value contains a control character, or begins or ends with a blank.
    #[error("the address \"{0}\" contains a control character, or a blank at an end of its value")]
    Character(String),
}

impl Address {
    /// The type of an address in its one spelling, which is in capitals.
    ///
    /// # Errors
    ///
    /// If the text is not a valid type.
    pub fn kind_of(text: &str) -> Result<String, AddressError> {
        if !is_kind(text) {
            return Err(AddressError::Type(excerpt(text)));
        }
        Ok(text.to_ascii_uppercase())
    }

    /// The type, in capitals.
    pub fn kind(&self) -> &str {
        &self.text[..self.type_bytes]
    }

    /// The value, as its origin wrote it.
    pub fn value(&self) -> &str {
        &self.text[self.type_bytes + 1..]
    }

    /// `TYPE:value`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key by which addresses are compared: two addresses are the same if their keys are equal.
    ///
    /// The value is folded like the type, so addresses that differ only in case are the same.
    pub fn comparison_key(&self) -> String {
        fold(&self.text).into_owned()
    }
}

/// Why no mail can be delivered to a text, as the value of an `SMTP` address.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{value}\" is not an SMTP address: {reason}")]
pub struct SmtpError {
    value: String,
    reason: &'static str,
}

/// Checks the value of an `SMTP` address, as files of this postoffice have to write it: one `@`, no blank,
/// and a domain. An [`Address`] need not pass, because other postoffices may be less exact.
///
/// # Errors
///
/// If mail could not be delivered to it.
pub fn check_smtp(value: &str) -> Result<(), SmtpError> {
    let wrong = |reason| Err(SmtpError { value: excerpt(value), reason });
    if value.contains(char::is_whitespace) {
        return wrong("it contains a blank");
    }
    let Some((local, domain)) = value.split_once('@') else { return wrong("it has no \"@\"") };
    if domain.contains('@') {
        return wrong("it has more than one \"@\"");
    }
    if local.is_empty() {
        return wrong("nothing stands before its \"@\"");
    }
    if domain.is_empty() {
        return wrong("it has no domain");
    }
    let is_literal = domain.len() > 2 && domain.starts_with('[') && domain.ends_with(']');
    let word = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    let label = |label: &str| !label.is_empty() && label.chars().all(word);
    if !is_literal && !domain.split('.').all(label) {
        return wrong("its domain is not words with dots between them");
    }
    if local.contains(['<', '>', ',', ';', '(', ')']) {
        return wrong("it contains one of < > , ; ( )");
    }
    Ok(())
}

/// Whether a text is a valid address type, in any case.
fn is_kind(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=TYPE_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((kind, value)) = text.split_once(':') else {
            return Err(AddressError::NoType(excerpt(text)));
        };
        if !is_kind(kind) {
            return Err(AddressError::Type(excerpt(text)));
        }
        if value.is_empty() || value.len() > VALUE_BYTES_MAX {
            return Err(AddressError::Length(excerpt(text)));
        }
        if value.chars().any(char::is_control) || value.trim() != value {
            return Err(AddressError::Character(excerpt(text)));
        }
        let type_bytes = kind.len();
        let mut text = text.to_owned();
        text[..type_bytes].make_ascii_uppercase();
        let address = Self { text, type_bytes };
        debug_assert_eq!(Self::kind_of(address.kind()).as_deref(), Ok(address.kind()));
        debug_assert_eq!(address.kind().len() + 1 + address.value().len(), address.text.len());
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_capitals_and_the_value_is_kept() {
        let address: Address = "smtp:Ana@North.Example".parse().unwrap();
        assert_eq!(address.to_string(), "SMTP:Ana@North.Example");
        assert_eq!((address.kind(), address.value()), ("SMTP", "Ana@North.Example"));
        assert_eq!(address.comparison_key(), "smtp:ana@north.example");
    }

    #[test]
    fn an_smtp_address_has_one_at_and_a_domain() {
        for good in ["a@b", "a.b+c@d-e.example", "o'hara@x.example", "ö@bücher.example", "a@[::1]"]
        {
            assert_eq!(check_smtp(good), Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("ana", "no \"@\""),
            ("ana@", "no domain"),
            ("@x", "nothing stands before"),
            ("a@b@c", "more than one"),
            ("a@b;c@d", "more than one"),
            ("a b@c", "a blank"),
            ("<a@c>", "domain is not words"),
            ("<a@c", "one of <"),
            ("a@x..y", "domain is not words"),
            ("a@x.", "domain is not words"),
            ("/o=Org/cn=ana", "no \"@\""),
        ] {
            let error = check_smtp(bad).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["ana", ":x", "SMTP:", "SM TP:x", "SMTP: x", "SMTP:a\tb"] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
        assert!(format!("X400:{}", "a".repeat(1024)).parse::<Address>().is_ok());
        assert!(format!("X400:{}", "a".repeat(1025)).parse::<Address>().is_err());
    }
}
