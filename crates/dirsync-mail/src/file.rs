//! A file as it was found in a mail: its kind by its first line, and the parties by its lines.

use dirsync_carrier::{
    PIECE_SUFFIX, SIGNAL_SUFFIX, is_of_message, is_of_piece, is_of_signal, message_file_name,
};
use dirsync_directory::PostofficeName;
use dirsync_seal::{FragmentLines, Lines, Parties, SignalLines};

use crate::hint;

/// The characters of a hash in a name that is made here.
const HASH_CHARS: usize = 32;

/// The kinds of files, by their first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Piece,
    Signal,
}

impl Kind {
    /// The kind of a file that begins like one of this program, of whatever version.
    fn of(bytes: &[u8]) -> Option<Self> {
        let begins = |name: &str| {
            let rest = bytes.strip_prefix(name.as_bytes())?;
            let version = rest.strip_prefix(b" ")?;
            let digits = version.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (digits > 0 && version.get(digits) == Some(&b'\n')).then_some(())
        };
        let kinds = [
            ("DIRSYNC-ENVELOPE", Self::Message),
            ("DIRSYNC-FRAGMENT", Self::Piece),
            ("DIRSYNC-SIGNAL", Self::Signal),
        ];
        kinds.into_iter().find_map(|(name, kind)| begins(name).map(|()| kind))
    }

    fn has(self, name: &str) -> bool {
        match self {
            Self::Message => is_of_message(name),
            Self::Piece => is_of_piece(name),
            Self::Signal => is_of_signal(name),
        }
    }
}

/// Whether bytes begin like a file of this program.
pub fn is_file(bytes: &[u8]) -> bool {
    Kind::of(bytes).is_some()
}

/// A file that a mail carried. Nothing of it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// A name of the kind of the file: the one it came with, or one made of the file.
    pub name: String,
    /// The addressee by the lines of the file, or by the mail around it if the file does not say it. `None` if
    /// neither does.
    pub to: Option<PostofficeName>,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
}

/// What the header of a mail says of the file in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    pub(crate) to: Option<PostofficeName>,
    pub(crate) file: Option<String>,
}

impl FoundFile {
    /// The file that a part holds. `None` if it is none.
    ///
    /// A file that does not begin like one of this program is taken only from a mail that is made for it, by its name:
    /// whether it was damaged on its way, its receiver says with a reason.
    pub(crate) fn of(bytes: &[u8], part_name: Option<&str>, hints: &Hints) -> Option<Self> {
        let usable = |name: &&str| hint::is_file_name(name);
        let names = [part_name, hints.file.as_deref()].into_iter().flatten();
        let Some(kind) = Kind::of(bytes) else {
            let name =
                part_name.filter(usable).filter(|name| hints.file.as_deref() == Some(name))?;
            let to = Some(hints.to.clone()?);
            return Some(Self { name: name.to_owned(), to, bytes: bytes.to_vec() });
        };
        let (parties, own_name) = read(kind, bytes);
        let name = names.into_iter().find(|name| kind.has(name)).map(str::to_owned);
        let name = name.or(own_name).unwrap_or_else(|| name_of_content(kind, bytes));
        let to = parties.map(|parties| parties.to).or_else(|| hints.to.clone());
        Some(Self { name, to, bytes: bytes.to_vec() })
    }
}

/// The parties as the lines of a file name them, and the name of a message, if the lines can be read.
fn read(kind: Kind, mut bytes: &[u8]) -> (Option<Parties>, Option<String>) {
    match kind {
        Kind::Message => {
            let Ok(lines) = Lines::read(&mut bytes) else { return (None, None) };
            let (parties, name) = (lines.parties().clone(), lines.name());
            let name = message_file_name(&parties.from, name.epoch(), name.number(), name.part());
            (Some(parties), Some(name))
        }
        Kind::Piece => {
            let lines = FragmentLines::read(&mut bytes).ok();
            (lines.map(|lines| lines.parties().clone()), None)
        }
        Kind::Signal => {
            let lines = SignalLines::read(&mut bytes).ok();
            (lines.map(|lines| lines.parties().clone()), None)
        }
    }
}

/// A name for a file whose own was lost.
fn name_of_content(kind: Kind, bytes: &[u8]) -> String {
    let hash = blake3::hash(bytes).to_hex();
    let hash = &hash[..HASH_CHARS];
    match kind {
        // As the inbox sorts messages by their names, this one has the number that comes last.
        Kind::Message => format!("unknown-{hash}-{}-1.dirsync", u32::MAX),
        Kind::Piece => format!("lost-{hash}{PIECE_SUFFIX}"),
        Kind::Signal => format!("lost-{hash}{SIGNAL_SUFFIX}"),
    }
}

/// A second name for a file, of the same kind: another file has its name.
pub(crate) fn other_name(name: &str, hash: &blake3::Hash) -> String {
    let hash = &hash.to_hex()[..HASH_CHARS];
    for suffix in [PIECE_SUFFIX, SIGNAL_SUFFIX] {
        if let Some(stem) = name.strip_suffix(suffix) {
            let stem = &stem[..stem.len().min(100)];
            return format!("{stem}-{hash}{suffix}");
        }
    }
    // The epoch of a name is a hint, by which messages are sorted.
    let mut parts = name.trim_end_matches(".dirsync").split('-');
    let sender = parts.next().unwrap_or_default();
    let numbers: Vec<&str> = parts.skip(1).collect();
    format!("{sender}-{hash}-{}.dirsync", numbers.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_the_kind_of_any_version() {
        for bytes in
            [&b"DIRSYNC-ENVELOPE 2\n"[..], b"DIRSYNC-FRAGMENT 1\nx", b"DIRSYNC-SIGNAL 99\n"]
        {
            assert!(is_file(bytes));
            assert!(!is_file(&bytes[1..]) && !is_file(&bytes[..bytes.len().min(17)]));
        }
        for bytes in [
            &b""[..],
            b"DIRSYNC-SIGNAL \n",
            b"DIRSYNC-SIGNAL 1",
            b"DIRSYNC-SIGNALS 1\n",
            b"[dirsync]",
        ] {
            assert!(!is_file(bytes));
        }
    }

    #[test]
    fn every_made_name_is_one_of_its_kind() {
        let hash = blake3::hash(b"other");
        for (kind, name) in [
            (Kind::Message, "north+hq-1f-12-1.dirsync"),
            (Kind::Piece, "0-1.piece"),
            (Kind::Signal, "probe-1.signal"),
        ] {
            for name in [name.to_owned(), name_of_content(kind, b"bytes")] {
                let other = other_name(&name, &hash);
                assert!(kind.has(&name) && kind.has(&other) && name != other, "{name} {other}");
                assert_eq!(other, other_name(&name, &hash));
            }
        }
        let long = format!("{}.piece", "a".repeat(200));
        assert!(is_of_piece(&other_name(&long, &hash)));
    }

    #[test]
    fn an_unknown_file_is_taken_from_its_own_mail_alone() {
        let hints = Hints { to: "NORTH/HQ".parse().ok(), file: Some("a.piece".into()) };
        let found = FoundFile::of(b"anything", Some("a.piece"), &hints).unwrap();
        assert_eq!((found.name.as_str(), &found.to), ("a.piece", &hints.to));
        for part_name in [None, Some("b.piece"), Some("A.piece")] {
            assert_eq!(FoundFile::of(b"anything", part_name, &hints), None);
        }
        for (to, file) in [(None, Some("a.piece")), ("NORTH/HQ".parse().ok(), None)] {
            let hints = Hints { to, file: file.map(str::to_owned) };
            assert_eq!(FoundFile::of(b"anything", Some("a.piece"), &hints), None);
        }
        let path = "../x.piece".to_owned();
        let hints = Hints { file: Some(path.clone()), ..hints };
        assert_eq!(FoundFile::of(b"anything", Some(&path), &hints), None);
        let found = FoundFile::of(b"DIRSYNC-SIGNAL 1\n", Some(&path), &hints).unwrap();
        assert!(is_of_signal(&found.name) && found.to == hints.to, "{found:?}");
    }
}
