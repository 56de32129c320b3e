//! Names of message files: what a message says of itself, encoded so that no name becomes a path.
//!
//! `SENDER-EPOCH-NUMBER-PART.dirsync`. Sender and epoch are lower-case base32 (RFC 4648) of their
//! folded text, unique without case; where that is long, `0` (which base32 lacks) and the base32 of
//! a hash, so that the whole fits in the 255 bytes that file systems allow. A name is a hint only.

use std::path::PathBuf;
use std::sync::LazyLock;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use dirsync_directory::{PostofficeName, fold};

use crate::carrier::{Arrived, Outgoing};

/// How message files end.
pub(crate) const SUFFIX: &str = ".dirsync";
/// Longest encoded text, in bytes: twice this, two numbers and a reason's ending are below 255.
const TOKEN_BYTES_MAX: usize = 100;
const HASHED: char = '0';
const HASH_BYTES: usize = 20;

/// Base32 in lower case: the same on file systems with and without case.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification: Specification = BASE32_NOPAD.specification();
    specification.symbols.make_ascii_lowercase();
    specification.encoding().expect("lower-case base32 is an encoding")
});

/// A text as part of a file name.
pub(crate) fn encode(text: &str) -> String {
    let folded = fold(text);
    if BASE32.encode_len(folded.len()) <= TOKEN_BYTES_MAX {
        return BASE32.encode(folded.as_bytes());
    }
    let hash = blake3::hash(folded.as_bytes());
    format!("{HASHED}{}", BASE32.encode(&hash.as_bytes()[..HASH_BYTES]))
}

/// The folded text that [`encode`] was given, or the token itself where it holds a hash.
fn decode(token: &str) -> Option<String> {
    if let Some(hash) = token.strip_prefix(HASHED) {
        return (BASE32.decode(hash.as_bytes()).ok()?.len() == HASH_BYTES).then(|| token.into());
    }
    let text = String::from_utf8(BASE32.decode(token.as_bytes()).ok()?).ok()?;
    // One message has one name; and nothing that is shown holds control characters.
    (encode(&text) == token && !text.chars().any(char::is_control)).then_some(text)
}

/// What [`read`] finds in names that [`file_name`] made of this text.
pub(crate) fn hint(text: &str) -> Option<String> {
    decode(&encode(text))
}

/// The name of a message's file.
pub(crate) fn file_name(message: &Outgoing<'_>) -> String {
    name_of(message.from.as_str(), message.epoch, message.number, message.part)
}

/// The name of the file of a message that has arrived, with the sender that it really has.
pub(crate) fn name_from(sender: &PostofficeName, arrived: &Arrived) -> String {
    name_of(sender.as_str(), &arrived.epoch, arrived.number, arrived.part)
}

fn name_of(sender: &str, epoch: &str, number: u64, part: u32) -> String {
    format!("{}-{}-{number}-{part}{SUFFIX}", encode(sender), encode(epoch))
}

/// Reads a file's name; none where it is not one that [`file_name`] makes.
pub(crate) fn read(name: &str) -> Option<Arrived> {
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
    // Numbers with a sign or zeros in front would be second names of one message.
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
