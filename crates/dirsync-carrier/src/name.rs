//! The names of message files: `SENDER-EPOCH-NUMBER-PART.dirsync`.
//!
//! Sender and epoch are the base32 (RFC 4648, in lower case) of their folded texts. Base32 has
//! neither slashes nor dots, so no name from outside becomes a path, and it is unique on file
//! systems that ignore case. A long text is replaced by `0`, which base32 does not contain, and the
//! base32 of its hash: file systems allow names of 255 bytes. A name is a hint only; the message
//! itself states everything.

use std::path::PathBuf;
use std::sync::LazyLock;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use dirsync_directory::{PostofficeName, fold};

use crate::carrier::{Arrived, Outgoing};

/// The end of the name of every message file.
pub const SUFFIX: &str = ".dirsync";
/// The longest encoded text, in bytes. Two of them, two numbers and the suffix of a reason file
/// have less than 255 bytes.
const TOKEN_BYTES_MAX: usize = 100;
/// The first character of a text that is replaced by its hash.
const HASHED: char = '0';
const HASH_BYTES: usize = 20;

/// Base32 in lower case.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification: Specification = BASE32_NOPAD.specification();
    specification.symbols.make_ascii_lowercase();
    specification.encoding().expect("lower-case base32 is an encoding")
});

/// Encodes a text for a file name.
pub fn encode(text: &str) -> String {
    let folded = fold(text);
    if BASE32.encode_len(folded.len()) <= TOKEN_BYTES_MAX {
        return BASE32.encode(folded.as_bytes());
    }
    let hash = blake3::hash(folded.as_bytes());
    format!("{HASHED}{}", BASE32.encode(&hash.as_bytes()[..HASH_BYTES]))
}

/// The folded text that was encoded, or the token itself if it is a hash. `None` if the token is not one
/// that [`encode`] makes.
fn decode(token: &str) -> Option<String> {
    if let Some(hash) = token.strip_prefix(HASHED) {
        return (BASE32.decode(hash.as_bytes()).ok()?.len() == HASH_BYTES).then(|| token.into());
    }
    let text = String::from_utf8(BASE32.decode(token.as_bytes()).ok()?).ok()?;
    // A message has only one name. Control characters are refused, because the text is shown to people.
    (encode(&text) == token && !text.chars().any(char::is_control)).then_some(text)
}

/// The text that [`read`] returns for a name that was made of `text`, which may be the token of a hash.
pub(crate) fn hint(text: &str) -> Option<String> {
    decode(&encode(text))
}

impl Arrived {
    /// Whether this postoffice is the sender according to the name.
    pub fn is_from(&self, name: &PostofficeName) -> bool {
        self.sender == name.folded() || hint(name.as_str()).as_ref() == Some(&self.sender)
    }
}

/// The name of the file of a message.
pub(crate) fn file_name(message: &Outgoing<'_>) -> String {
    name_of(message.from.as_str(), message.epoch, message.number, message.part)
}

/// The name of the file of a message that has arrived, with its true sender.
pub(crate) fn name_from(sender: &PostofficeName, arrived: &Arrived) -> String {
    name_of(sender.as_str(), &arrived.epoch, arrived.number, arrived.part)
}

fn name_of(sender: &str, epoch: &str, number: u64, part: u32) -> String {
    format!("{}-{}-{number}-{part}{SUFFIX}", encode(sender), encode(epoch))
}

/// Reads the name of a file. `None` if it is not one that a carrier makes.
pub fn read(name: &str) -> Option<Arrived> {
    let stem = name.strip_suffix(SUFFIX)?;
    let mut parts = stem.split('-');
    let hint = Arrived {
        sender: decode(parts.next()?)?,
        epoch: decode(parts.next()?)?,
        number: parts.next()?.parse().ok()?,
        part: parts.next()?.parse().ok()?,
        path: PathBuf::new(),
        bytes: 0,
        modified: 0,
    };
    // A sign or leading zeros would give a message a second name.
    stem.ends_with(&format!("-{}-{}", hint.number, hint.part)).then_some(())?;
    parts.next().is_none().then_some(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_has_one_name() {
        let token = encode("a/b");
        assert!(read(&format!("{token}-{token}-1-2.dirsync")).is_some());
        let upper = BASE32.encode(b"A/B");
        let control = BASE32.encode(b"a/\x1b[31m");
        for name in [
            format!("{token}-{token}-01-2.dirsync"),
            format!("{token}-{token}-1-+2.dirsync"),
            format!("{token}-{token}-1-2-3.dirsync"),
            format!("{token}-{token}-1.dirsync"),
            format!("{token}-{token}-1-2.DIRSYNC"),
            format!("{}-{token}-1-2.dirsync", token.to_uppercase()),
            format!("{upper}-{token}-1-2.dirsync"),
            format!("{control}-{token}-1-2.dirsync"),
            format!("0{token}-{token}-1-2.dirsync"),
            format!("{token}-{token}-18446744073709551616-2.dirsync"),
            "../-a-1-2.dirsync".into(),
        ] {
            assert_eq!(read(&name), None, "{name}");
        }
    }

    #[test]
    fn the_longest_names_fit_and_stay_different() {
        let long = |last: &str| format!("{}/{}{last}", "N".repeat(64), "Ŋ".repeat(31));
        let from: PostofficeName = long("a").parse().unwrap();
        let (epoch, body) = ("e".repeat(300), crate::EncodedBody(Vec::new()));
        let (number, part) = (u64::MAX, u32::MAX);
        let outgoing =
            Outgoing { from: &from, to: &from, epoch: &epoch, number, part, head: "", body: &body };
        let name = file_name(&outgoing);
        assert!(name.len() + ".reason.txt".len() <= 255, "{name}");
        let read = read(&name).unwrap();
        assert_eq!(Some(read.sender), hint(from.as_str()));
        assert_eq!((read.number, read.part), (number, part));
        assert_ne!(encode(&long("a")), encode(&long("b")));
        assert_eq!(encode(&long("a")), encode(&long("A").to_lowercase()));
    }
}
