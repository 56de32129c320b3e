//! Where a postoffice lives, so that a copied folder stops before it sends.
//!
//! A copy has the name, the keys and the numbers of the folder that it was made from: both send as
//! one, and each takes the answers of the other. `keys/home` notes the machine and the folder itself.
//! A copy carries that note along into a place that it does not describe.
//!
//! The number of the device is not noted: it may change whenever a machine starts.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use data_encoding::HEXLOWER;
pub use dirsync_agent::alarm::Away;
use dirsync_carrier::access::{Access, Links, open_file};
use dirsync_carrier::durable;

use crate::failure::{Failure, Result};
use crate::keys::{INSTANCE, KEYS, random_seed};

/// The note's name, in the folder of the keys: there it is as private as they are.
const NOTE: &str = "home";
/// The first line of the note.
const TITLE: &str = "dirsync home 1";
/// Longest note, in bytes.
const NOTE_BYTES_MAX: u64 = 4096;
/// Where systems keep their machine's id.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The properties that are noted of a place; the names of the note's lines.
const PARTS: [&str; 3] = ["machine", "inode", "birth"];
/// The part of [`PARTS`] that tells machines apart; the others tell folders apart.
const MACHINE: usize = 0;

/// A place: the value of each of [`PARTS`]; `None` if the system does not tell it.
type Place = [Option<String>; PARTS.len()];

/// The ways out for a person where a postoffice is not at home, a line each.
pub fn ways_out(away: Away, folder: &Path) -> [String; 3] {
    let old = if away == Away::Machine { "machine" } else { "folder" };
    [
        format!("if the old {old} is gone for good, say `dirsync moved` here"),
        format!("if it is not, and this is to be the one, say `{}`", word_to_keep(folder)),
        "otherwise leave this one alone".to_owned(),
    ]
}

/// The refusal of a command where a postoffice is not at home.
pub fn refusal(away: Away, folder: &Path) -> Failure {
    let text = anyhow::anyhow!("{away}: nothing was read or sent");
    Failure::from(text).hint(ways_out(away, folder).join("; "))
}

/// The command that says of two postoffices with one name that this one is to be kept. Which it is, a
/// requestor or a server, is seen from its keys: of a copied folder no database is opened before that.
pub fn word_to_keep(folder: &Path) -> &'static str {
    match folder.join(KEYS).join(INSTANCE).exists() {
        true => "dirsync server promote",
        false => "dirsync rejoin",
    }
}

/// Notes that the postoffice in a folder lives here and now.
pub fn note(folder: &Path) -> Result<()> {
    let key = random_seed()?;
    let text = written(&key, &place(folder)?);
    durable::replace_file(&path(folder), Access::Own, |output| output.write_all(text.as_bytes()))?;
    Ok(())
}

/// Whether a postoffice is away from the place that was noted.
pub fn away(folder: &Path) -> Result<Option<Away>> {
    let path = path(folder);
    let mut text = String::new();
    let read = open_file(&path, Links::Follow)
        .and_then(|file| file.take(NOTE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(compared(&text, &place(folder)?)),
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::InvalidData].contains(&error.kind()) =>
        {
            Ok(Some(Away::Unknown))
        }
        Err(error) => Err(anyhow::Error::from(error)
            .context(format!("could not read \"{}\"", path.display()))
            .into()),
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(KEYS).join(NOTE)
}

/// The place of a folder, as the system describes it now.
fn place(folder: &Path) -> Result<Place> {
    let data = fs::metadata(folder)
        .with_context(|| format!("could not look at \"{}\"", folder.display()))?;
    let birth = data.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok([machine_id(), inode(&data), birth.map(|since| since.as_nanos().to_string())])
}

#[cfg(unix)]
fn inode(data: &fs::Metadata) -> Option<String> {
    Some(std::os::unix::fs::MetadataExt::ino(data).to_string())
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> Option<String> {
    None
}

fn machine_id() -> Option<String> {
    MACHINE_IDS.iter().find_map(|path| {
        let mut text = String::new();
        File::open(path).ok()?.take(64).read_to_string(&mut text).ok()?;
        // Before a system has started for the first time it may say "uninitialized".
        let id = text.trim();
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
    })
}

/// One part of a place. Keyed, so that the note tells nobody the machine's id.
fn hashed(key: &[u8; 32], name: &str, value: &str) -> String {
    let hash = blake3::keyed_hash(key, format!("{name} {value}").as_bytes());
    HEXLOWER.encode(&hash.as_bytes()[..16])
}

fn written(key: &[u8; 32], place: &Place) -> String {
    let mut text = format!("{TITLE}\nkey {}\n", HEXLOWER.encode(key));
    for (name, value) in PARTS.iter().zip(place) {
        if let Some(value) = value {
            text.push_str(&format!("{name} {}\n", hashed(key, name, value)));
        }
    }
    text
}

/// Compares a note with a place. What either of them does not know tells nothing: a container may
/// lack a machine's id, a file system the time of birth.
fn compared(note: &str, place: &Place) -> Option<Away> {
    let mut lines = note.lines();
    let key = (lines.next() == Some(TITLE))
        .then(|| lines.next()?.strip_prefix("key "))
        .flatten()
        .and_then(|key| HEXLOWER.decode(key.as_bytes()).ok());
    let Some(Ok(key)) = key.map(<[u8; 32]>::try_from) else { return Some(Away::Unknown) };
    let noted: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(' ')).collect();
    let (mut folder_known, mut away) = (false, None);
    for (at, (name, value)) in PARTS.iter().zip(place).enumerate() {
        let noted = noted.iter().find(|(noted, _)| noted == name);
        let (Some((_, noted)), Some(value)) = (noted, value) else { continue };
        folder_known |= at != MACHINE;
        if *noted != hashed(&key, name, value) && away.is_none() {
            away = Some(if at == MACHINE { Away::Machine } else { Away::Folder });
        }
    }
    away.or((!folder_known).then_some(Away::Unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(machine: &str, inode: &str, birth: &str) -> Place {
        [machine, inode, birth].map(|text| (!text.is_empty()).then(|| text.to_owned()))
    }

    #[test]
    fn another_machine_or_folder_is_noticed_and_nothing_else() {
        let here = written(&[7; 32], &at("m", "5", "100"));
        let cases = [
            (at("m", "5", "100"), None),
            (at("n", "5", "100"), Some(Away::Machine)),
            (at("m", "6", "100"), Some(Away::Folder)),
            (at("m", "5", "101"), Some(Away::Folder)),
            (at("n", "6", "101"), Some(Away::Machine)),
            // What is not known tells nothing, but something of the folder has to be known.
            (at("", "5", "100"), None),
            (at("", "5", ""), None),
            (at("m", "", "100"), None),
            (at("m", "", ""), Some(Away::Unknown)),
        ];
        for (place, expected) in cases {
            assert_eq!(compared(&here, &place), expected, "{place:?}");
        }
        let container = written(&[7; 32], &at("", "5", ""));
        assert_eq!(compared(&container, &at("m", "5", "100")), None);
    }

    #[test]
    fn a_note_that_cannot_be_read_is_no_home() {
        let place = at("m", "5", "100");
        let whole = written(&[7; 32], &place);
        for cut in 0..whole.len() - 1 {
            let away = compared(&whole[..cut], &place);
            assert!(away.is_some() || cut >= whole.find("birth").unwrap() - 1, "{cut}");
        }
        for note in ["", "dirsync home 2\n", "dirsync home 1\nkey 00\n", "\u{0}"] {
            assert_eq!(compared(note, &place), Some(Away::Unknown));
        }
    }

    #[test]
    fn the_note_tells_nobody_the_place() {
        let place = at("3d1219c7c4c5404aaa1f6d2a48adfda4", "10027099", "1795855599");
        let (one, two) = (written(&[1; 32], &place), written(&[2; 32], &place));
        for value in place.iter().flatten() {
            assert!(!one.contains(value.as_str()));
        }
        let without_key = |text: &str| text.lines().skip(2).collect::<Vec<_>>().join("\n");
        assert_ne!(without_key(&one), without_key(&two));
    }
}
