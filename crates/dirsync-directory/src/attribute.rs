//! Attribute names of an entry's details.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::excerpt;

/// Longest attribute description, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The attributes that address lists usually carry, spelled as in RFC 4519, RFC 2798 and RFC 4524.
///
/// With one spelling for each, `telephonenumber` and `TelephoneNumber` are the same field everywhere.
/// The list is part of the format: an addition would change the records, and so the digests, of
/// entries that have the attribute.
const SPELLINGS: &[&str] = &[
    "c",
    "carLicense",
    "cn",
    "co",
    "company",
    "department",
    "departmentNumber",
    "description",
    "displayName",
    "employeeNumber",
    "employeeType",
    "facsimileTelephoneNumber",
    "givenName",
    "homePhone",
    "homePostalAddress",
    "info",
    "initials",
    "ipPhone",
    "l",
    "labeledURI",
    "mail",
    "manager",
    "member",
    "mobile",
    "o",
    "ou",
    "pager",
    "physicalDeliveryOfficeName",
    "postalAddress",
    "postalCode",
    "postOfficeBox",
    "preferredLanguage",
    "roomNumber",
    "secretary",
    "sn",
    "st",
    "street",
    "telephoneNumber",
    "title",
    "uid",
];

/// The name of a detail: an LDAP attribute description (RFC 4512, section 2.5), such as `title` or
/// `cn;lang-fr`.
///
/// A well-known name has the spelling of its RFC, and any other name is in lower case. Equal names are
/// therefore equal bytes at every postoffice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(String);

/// A text that is not an attribute description.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "\"{0}\" is not an attribute name: a letter, then letters, digits and \"-\", \
     at most {NAME_BYTES_MAX} bytes"
)]
pub struct AttributeNameError(String);

impl AttributeName {
    /// The members of a distribution list, as `TYPE:value` addresses.
    pub fn member() -> Self {
        Self("member".into())
    }

    /// The name, in its one spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spelling of a well-known attribute, given in any case. `None` if it is not well known.
    pub fn well_known(text: &str) -> Option<&'static str> {
        SPELLINGS.iter().copied().find(|known| known.eq_ignore_ascii_case(text))
    }

    /// Whether a text is an attribute name in its one spelling.
    pub fn is_canonical(text: &str) -> bool {
        is_description(text)
            && match Self::well_known(text) {
                Some(spelling) => spelling == text,
                None => !text.bytes().any(|byte| byte.is_ascii_uppercase()),
            }
    }
}

/// Whether a text is an attribute description, in any case: a base name, then options after `;`.
fn is_description(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let mut options = text.split(';');
    let base = options.next().unwrap_or_default();
    text.len() <= NAME_BYTES_MAX
        && base.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && base.bytes().all(plain)
        && options.all(|option| !option.is_empty() && option.bytes().all(plain))
}

impl Borrow<str> for AttributeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for AttributeName {
    type Err = AttributeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_description(text) {
            return Err(AttributeNameError(excerpt(text)));
        }
        let name = match Self::well_known(text) {
            Some(spelling) => Self(spelling.into()),
            None => Self(text.to_ascii_lowercase()),
        };
        debug_assert!(Self::is_canonical(&name.0));
        Ok(name)
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_one() {
        for text in ["TELEPHONENUMBER", "telephonenumber", "telephoneNumber"] {
            let name: AttributeName = text.parse().unwrap();
            assert_eq!(name.as_str(), "telephoneNumber");
            assert!(AttributeName::is_canonical(name.as_str()));
        }
        assert_eq!("X-Floor".parse::<AttributeName>().unwrap().as_str(), "x-floor");
        assert_eq!("cn;Lang-FR".parse::<AttributeName>().unwrap().as_str(), "cn;lang-fr");
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for text in ["", "1st", "a b", "a/b", "cn;", "a:b", "ü"] {
            assert!(text.parse::<AttributeName>().is_err(), "{text:?}");
        }
    }
}
