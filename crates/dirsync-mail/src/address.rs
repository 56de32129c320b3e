//! Mail addresses.

use std::fmt;
use std::str::FromStr;

use dirsync_directory::excerpt;
use thiserror::Error;

/// The longest address, in bytes: it stands alone on a line of a header, and no line has more than 76.
pub const ADDRESS_BYTES_MAX: usize = 72;
/// The longest part before the sign, in bytes (RFC 5321).
const LOCAL_BYTES_MAX: usize = 64;

/// A mail address in ASCII, `LOCAL@DOMAIN`, without quotes, blanks or a display name. Addresses are compared without
/// regard to the case of ASCII letters.
#[derive(Clone, Debug)]
pub struct MailAddress {
    text: String,
    folded: String,
}

/// A text is not a mail address that can be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "\"{0}\" cannot be used as a mail address: LOCAL@DOMAIN is expected, in ASCII and with at most \
     {ADDRESS_BYTES_MAX} characters, for example dirsync@north.example"
)]
pub struct MailAddressError(String);

impl MailAddress {
    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part after the sign.
    pub fn domain(&self) -> &str {
        self.text.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Whether this text is the address, in any case of letters, with or without angle brackets.
    pub fn is(&self, text: &str) -> bool {
        let text = text.trim().trim_start_matches('<').trim_end_matches('>');
        self.folded.eq_ignore_ascii_case(text)
    }
}

impl FromStr for MailAddress {
    type Err = MailAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let is_atom = |atom: &str, signs: &[u8]| {
            !atom.is_empty() && atom.bytes().all(|byte| plain(byte) || signs.contains(&byte))
        };
        let fits = text.split_once('@').is_some_and(|(local, domain)| {
            local.len() <= LOCAL_BYTES_MAX
                && local.split('.').all(|atom| is_atom(atom, b"!#$%&'*+-/=?^_`{|}~"))
                && domain.split('.').all(|label| {
                    is_atom(label, b"-") && !label.starts_with('-') && !label.ends_with('-')
                })
        });
        if fits && text.len() <= ADDRESS_BYTES_MAX {
            Ok(Self { text: text.to_owned(), folded: text.to_ascii_lowercase() })
        } else {
            Err(MailAddressError(excerpt(text)))
        }
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for MailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for MailAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        for text in ["a@b", "dirsync+x.y@north.example", "$SYSTEM@hq-1.example"] {
            assert_eq!(text.parse::<MailAddress>().unwrap().as_str(), text);
        }
        let long = format!("a@{}.example", "b".repeat(70));
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b\r\nX: y",
            "a\n@b",
            "<a@b>",
            "a..b@c",
            ".a@b",
            "\"a\"@b",
            "é@b",
            "a@é",
            "a@-b",
            "a,b@c",
            "a@b;c",
            &long,
        ] {
            let error = text.parse::<MailAddress>().unwrap_err().to_string();
            assert!(error.contains("LOCAL@DOMAIN") && !error.contains('\n'), "{error}");
        }
        let address: MailAddress = "Dirsync@North.example".parse().unwrap();
        assert_eq!(address, "dirsync@NORTH.example".parse().unwrap());
        assert!(address.is("<dirsync@north.EXAMPLE> ") && !address.is("x@north.example"));
        assert_eq!(address.domain(), "North.example");
    }
}
