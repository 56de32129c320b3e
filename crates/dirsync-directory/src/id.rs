//! Keys and entry ids.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use icu_normalizer::ComposingNormalizerBorrowed;
use thiserror::Error;

use crate::{PostofficeName, excerpt};

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// The BLAKE3 context of ids: no other use of the hash function gives the same values.
const ID_CONTEXT: &str = "dirsync 1 entry id of first origin and key";

/// The permanent name of an entry at its source, such as an entryUUID, an objectGUID, or a value of a
/// CSV column.
///
/// Keys are compared exactly, with case, but in normalization form C: the same source exported by a
/// program that decomposes its letters has the same keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// Why a text is not a key.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// The text is empty, or longer than 256 bytes.
    #[error("the key \"{0}\" has {1} bytes: a key has 1 to {KEY_BYTES_MAX}")]
    Length(String, usize),
    /// The text contains a control character.
    #[error("the key \"{0}\" contains a control character")]
    Character(String),
}

impl Key {
    /// The key, in normalization form C.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key, in normalization form C.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = composed(text);
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(KeyError::Length(excerpt(text), key.len()));
        }
        if key.chars().any(char::is_control) {
            return Err(KeyError::Character(excerpt(text)));
        }
        debug_assert!(Self::is_key(&key), "both ways to check a key agree");
        Ok(Self(key.into_owned()))
    }
}

/// A text in normalization form C, the form of every [`Key`].
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

impl Key {
    /// Whether a text is a key in its one form. Nothing is allocated: the reader of a message asks this
    /// about every entry.
    pub fn is_key(text: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_control();
        (1..=KEY_BYTES_MAX).contains(&text.len())
            && (text.bytes().all(plain)
                || !text.chars().any(char::is_control)
                    && ComposingNormalizerBorrowed::new_nfc().is_normalized(text))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The identity of an entry: 128 bits, the same at every postoffice, and never used again.
///
/// An id is derived from the entry's *first* origin and its key there, so a reinstalled postoffice
/// arrives at the same ids, and a message carries the key instead of the id. The first origin stays
/// when the entry is handed over to another postoffice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId([u8; 16]);

/// A text that is not an entry id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not an entry id: write 32 hexadecimal digits")]
pub struct ParseIdError(String);

impl EntryId {
    /// The id of the entry with this key at `first_origin`.
    pub fn derive(first_origin: &PostofficeName, key: &str) -> Self {
        IdDeriver::new(first_origin).id(key)
    }

    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The first 64 bits of the id. An id is a hash, so they are a hash of it.
    pub fn prefix(&self) -> u64 {
        (u128::from_be_bytes(self.0) >> 64) as u64
    }
}

/// Derives the ids of many entries of one first origin, whose name is hashed only once.
#[derive(Clone)]
pub struct IdDeriver(blake3::Hasher);

impl IdDeriver {
    /// A deriver for this first origin.
    pub fn new(first_origin: &PostofficeName) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
        hasher.update(first_origin.folded().as_bytes());
        hasher.update(&[0]);
        Self(hasher)
    }

    /// The id of the entry with this key.
    pub fn id(&self, key: &str) -> EntryId {
        let mut hasher = self.0.clone();
        hasher.update(composed(key).as_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        EntryId(bytes)
    }
}

impl FromStr for EntryId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER
            .decode(text.to_ascii_lowercase().as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| ParseIdError(excerpt(text)))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_derives_from_first_origin_and_key() {
        let north: PostofficeName = "NORTH/HQ".parse().unwrap();
        let id = EntryId::derive(&north, "4711");
        assert_eq!(id, EntryId::derive(&"north/hq".parse().unwrap(), "4711"));
        assert_ne!(id, EntryId::derive(&north, "4712"));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn keys_compare_in_one_normalization_form() {
        let north: PostofficeName = "NORTH/HQ".parse().unwrap();
        let keys: [Key; 2] = ["Zu\u{308}rich", "Z\u{fc}rich"].map(|key| key.parse().unwrap());
        assert_eq!(keys[0], keys[1]);
        assert_eq!(
            EntryId::derive(&north, "Zu\u{308}rich"),
            EntryId::derive(&north, "Z\u{fc}rich")
        );
        assert_ne!(EntryId::derive(&north, "zürich"), EntryId::derive(&north, "Zürich"));
        assert!("a\0".parse::<Key>().is_err());
        let long = |length| "k".repeat(length);
        for text in [&long(0), &long(1), &long(256), &long(257), "é", "e\u{301}", "\u{85}", "a\tb"]
        {
            assert_eq!(
                Key::is_key(text),
                text.parse::<Key>().is_ok_and(|key| key.as_str() == text)
            );
        }
    }
}
