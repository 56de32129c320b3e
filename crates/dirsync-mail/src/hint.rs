//! The header fields by which a mail says for whom its file is, and the id of a mail.
//!
//! ```text
//! Dirsync-From: NORTH/HQ
//! Dirsync-To: SOUTH/SALES
//! Dirsync-File: north+hq-4f2a-12-1.dirsync
//! Message-ID: <dirsync.HASH@DOMAIN>
//! ```
//!
//! A value has no blanks: each byte that is not a visible character of ASCII, and each `%`, is `%` and two hexadecimal
//! digits, and lines are folded anywhere. All of it is a hint. Whatever the file itself says goes before it.

use std::sync::LazyLock;

use data_encoding::{BASE32_NOPAD, Encoding, HEXUPPER};
use dirsync_carrier::{is_of_message, is_of_piece, is_of_signal};
use dirsync_directory::PostofficeName;

/// The field that names the sender.
pub(crate) const FROM: &str = "Dirsync-From";
/// The field that names the addressee.
pub(crate) const TO: &str = "Dirsync-To";
/// The field that has the name of the file.
pub(crate) const FILE: &str = "Dirsync-File";
/// The beginning of the id of every mail of this program.
const ID_PREFIX: &str = "dirsync.";
/// The bytes of the hash in an id, and its characters.
const HASH_BYTES: usize = 15;
const HASH_CHARS: usize = 24;
/// The longest value that is read, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = BASE32_NOPAD.specification();
    specification.symbols.make_ascii_lowercase();
    specification.encoding().expect("lower-case base32 is an encoding")
});

/// Whether a file of this program has this name.
pub(crate) fn is_file_name(name: &str) -> bool {
    is_of_message(name) || is_of_piece(name) || is_of_signal(name)
}

/// The part of the id of a mail before the sign. The same file from the same sender to the same addressee has the same
/// one.
pub(crate) fn id_of(from: &PostofficeName, to: &PostofficeName, file: &str) -> String {
    let mut hash = blake3::Hasher::new();
    for text in [from.folded(), to.folded(), file] {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let hash = hash.finalize();
    format!("{ID_PREFIX}{}", BASE32.encode(&hash.as_bytes()[..HASH_BYTES]))
}

/// All ids of mails of this program that stand in a text, in their order, at most `limit`.
pub(crate) fn ids_in(text: &str, limit: usize) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for (at, _) in text.match_indices(ID_PREFIX) {
        let id = text.get(at..at + ID_PREFIX.len() + HASH_CHARS);
        let is_id = |id: &&str| {
            id[ID_PREFIX.len()..].bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
        };
        if let Some(id) = id.filter(is_id)
            && !found.contains(&id)
        {
            found.push(id);
        }
        if found.len() >= limit {
            break;
        }
    }
    found
}

/// The value of a field.
pub(crate) fn encode(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(char::from(byte));
        } else {
            value.push('%');
            value.push_str(&HEXUPPER.encode(&[byte]));
        }
    }
    value
}

/// The text of a value, which may be folded. `None` if it is not one that [`encode`] makes.
pub(crate) fn decode(value: &str) -> Option<String> {
    if value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes().filter(|byte| !byte.is_ascii_whitespace());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?].map(|digit| digit.to_ascii_uppercase());
                *HEXUPPER.decode(&digits).ok()?.first()?
            }
            _ if byte.is_ascii_graphic() => byte,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written_wherever_it_is_folded() {
        for text in ["NORTH/HQ", "R&D. West/Lab-2", "SÜD/Zoé 100%", "a+b=20-1-1.dirsync"] {
            let value = encode(text);
            assert!(value.bytes().all(|byte| byte.is_ascii_graphic()), "{value}");
            for at in 0..value.len() {
                let folded = format!(" {}\r\n\t{}", &value[..at], &value[at..]);
                assert_eq!(decode(&folded).as_deref(), Some(text));
            }
        }
        for value in ["%", "%4", "%GG", "é", "%FF", "a\0"] {
            assert_eq!(decode(value), None, "{value}");
        }
        assert_eq!(decode(&"a".repeat(VALUE_BYTES_MAX + 1)), None);
    }

    #[test]
    fn a_file_has_one_id_for_each_sender_and_addressee() {
        let name = |text: &str| text.parse::<PostofficeName>().unwrap();
        let [north, south] = [name("NORTH/HQ"), name("SOUTH/HQ")];
        let id = id_of(&north, &south, "a.piece");
        assert_eq!(id, id_of(&name("north/hq"), &south, "a.piece"));
        let others = [
            id_of(&south, &north, "a.piece"),
            id_of(&north, &south, "b.piece"),
            id_of(&north, &name("SOUTH/HQa"), ".piece"),
            id_of(&north, &north, "a.piece"),
        ];
        assert!(!others.contains(&id));
        let text =
            format!("<x@y> dirsync.short <{id}@north.example>\r\n {id} dirsync.{}", others[0]);
        assert_eq!(ids_in(&text, 9), [id.as_str(), &others[0]]);
        assert_eq!(ids_in(&text, 1), [id.as_str()]);
        assert_eq!(ids_in("dirsync.é", 9), [""; 0]);
    }
}
