//! The names of message files: `SENDER-EPOCH-NUMBER-PART.dirsync`.
//!
//! A token is a folded text that people can read: letters `a` to `z`, digits and `_` stand for
//! themselves, `+` for a slash, and `=` with two hexadecimal digits for each other byte, so
//! `NORTH/HQ` is `north+hq`. A token has neither slashes nor dots, so no name from outside becomes a
//! path, and it is unique on file systems that ignore case. A long text is replaced by `~` and the
//! base32 (RFC 4648, in lower case) of its hash: file systems allow names of 255 bytes. A name is a
//! hint only; the message itself states everything.

use std::sync::LazyLock;

use data_encoding::{BASE32_NOPAD, Encoding, HEXLOWER, Specification};
use dirsync_directory::{PostofficeName, fold};

use crate::transit::{Arrived, Outgoing};

/// The end of the name of every message file.
pub const SUFFIX: &str = ".dirsync";
/// The longest encoded text, in bytes. Two of them, two numbers and the suffix of a reason file
/// have less than 255 bytes.
const TOKEN_BYTES_MAX: usize = 100;
/// The first character of a text that is replaced by its hash.
const HASHED: char = '~';
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
    let mut token = String::with_capacity(folded.len());
    for byte in folded.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => token.push(char::from(byte)),
            b'/' => token.push('+'),
            _ => {
                token.push('=');
                token.push_str(&HEXLOWER.encode(&[byte]));
            }
        }
    }
    if token.len() <= TOKEN_BYTES_MAX {
        return token;
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
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b'/',
            b'=' => HEXLOWER.decode(&[rest.next()?, rest.next()?]).ok()?[0],
            _ => byte,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
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

/// The name of the file of a message, by what its lines say.
pub fn message_file_name(sender: &PostofficeName, epoch: &str, number: u64, part: u32) -> String {
    name_of(sender.as_str(), epoch, number, part)
}

fn name_of(sender: &str, epoch: &str, number: u64, part: u32) -> String {
    format!("{}-{}-{number}-{part}{SUFFIX}", encode(sender), encode(epoch))
}

/// Reads the name of a file. `None` if no message has such a name.
pub fn read(name: &str) -> Option<Arrived> {
    let stem = name.strip_suffix(SUFFIX)?;
    let mut parts = stem.split('-');
    let hint = Arrived {
        sender: decode(parts.next()?)?,
        epoch: decode(parts.next()?)?,
        number: parts.next()?.parse().ok()?,
        part: parts.next()?.parse().ok()?,
        id: String::new(),
        whereabouts: String::new(),
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
        assert_eq!(read(&format!("{token}-{token}-1-2.dirsync")).unwrap().sender, "a/b");
        for name in [
            format!("{token}-{token}-01-2.dirsync"),
            format!("{token}-{token}-1-+2.dirsync"),
            format!("{token}-{token}-1-2-3.dirsync"),
            format!("{token}-{token}-1.dirsync"),
            format!("{token}-{token}-1-2.DIRSYNC"),
            format!("{}-{token}-1-2.dirsync", token.to_uppercase()),
            format!("A+b-{token}-1-2.dirsync"),
            format!("a=2fb-{token}-1-2.dirsync"),
            format!("=61+b-{token}-1-2.dirsync"),
            format!("a+=1b=5b31m-{token}-1-2.dirsync"),
            format!("a+=C3=A9-{token}-1-2.dirsync"),
            format!("a+=c-{token}-1-2.dirsync"),
            format!("a+=c3-{token}-1-2.dirsync"),
            format!("~{token}-{token}-1-2.dirsync"),
            format!("{token}-{token}-18446744073709551616-2.dirsync"),
            "../-a-1-2.dirsync".into(),
        ] {
            assert_eq!(read(&name), None, "{name}");
        }
    }

    #[test]
    fn people_read_the_name_of_a_postoffice() {
        for (text, token) in [
            ("NORTH/HQ", "north+hq"),
            ("R&D. West/Lab-2", "r=26d=2e=20west+lab=2d2"),
            ("SUD/Zoé", "sud+zo=c3=a9"),
        ] {
            assert_eq!(encode(text), token);
            assert_eq!(decode(token).unwrap(), fold(text));
        }
    }

    #[test]
    fn the_longest_names_fit_and_stay_different() {
        let long = |last: &str| format!("{}/{}{last}", "N".repeat(64), "Ŋ".repeat(31));
        let from: PostofficeName = long("a").parse().unwrap();
        let (epoch, body) = ("e".repeat(300), crate::body::Body::default());
        let (number, part) = (u64::MAX, u32::MAX);
        let outgoing = Outgoing {
            from: &from,
            to: &from,
            epoch: &epoch,
            number,
            part,
            front: &[],
            body: &body,
        };
        let name = file_name(&outgoing);
        assert!(name.len() + ".reason.txt".len() <= 255, "{name}");
        let read = read(&name).unwrap();
        assert_eq!(Some(read.sender), hint(from.as_str()));
        assert_eq!((read.number, read.part), (number, part));
        assert_ne!(encode(&long("a")), encode(&long("b")));
        assert_eq!(encode(&long("a")), encode(&long("A").to_lowercase()));
    }
}
