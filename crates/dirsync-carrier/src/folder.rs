//! The folder carrier: a folder that several postoffices share, as found on a LAN.
//!
//! `ROOT/ADDRESSEE/SENDER-EPOCH-NUMBER-PART.dirsync`, where names and epochs are base32 of their
//! folded text, so that no name ever becomes a path and names are unique without case. Only the
//! addressee moves files: to `done/` when it took them, to `refused/` when it cannot.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use dirsync_directory::{PostofficeName, fold};

use crate::carrier::{Arrived, Carrier, CarrierError, Outgoing};
use crate::durable::{self, FileError};
use crate::envelope::{EnvelopeError, Message, open_message, write_message};

const SUFFIX: &str = ".dirsync";
const DONE: &str = "done";
const REFUSED: &str = "refused";
/// Older unread messages of one sender to one addressee that are kept: newer ones say more, but
/// parts of one answer belong together.
const UNREAD_NUMBERS_MAX: usize = 3;

/// Base32 in lower case: the same on file systems with and without case.
fn base32() -> Encoding {
    let mut specification: Specification = BASE32_NOPAD.specification();
    specification.symbols.make_ascii_lowercase();
    specification.encoding().expect("lower-case base32 is an encoding")
}

fn encode(text: &str) -> String {
    base32().encode(fold(text).as_bytes())
}

fn decode(text: &str) -> Option<String> {
    String::from_utf8(base32().decode(text.as_bytes()).ok()?).ok()
}

/// One postoffice's access to a shared folder.
#[derive(Clone, Debug)]
pub struct FolderCarrier {
    root: PathBuf,
    me: PostofficeName,
    part_bytes_max: u64,
}

impl FolderCarrier {
    /// Access of `me` to the folder `root`.
    pub fn new(root: impl Into<PathBuf>, me: PostofficeName, part_bytes_max: u64) -> Self {
        Self { root: root.into(), me, part_bytes_max }
    }

    /// The folder in which messages for a postoffice arrive.
    pub fn inbox(&self, name: &PostofficeName) -> PathBuf {
        self.root.join(encode(name.as_str()))
    }

    fn reach(&self) -> Result<(), CarrierError> {
        let unreachable = |source| CarrierError::Unreachable { path: self.root.clone(), source };
        let data = fs::metadata(&self.root).map_err(unreachable)?;
        if data.is_dir() {
            Ok(())
        } else {
            Err(unreachable(io::Error::from(io::ErrorKind::NotADirectory)))
        }
    }

    fn list(folder: &Path) -> Result<Vec<Arrived>, FileError> {
        let error = |source| FileError {
            action: "read the folder",
            path: folder.into(),
            bytes: None,
            source,
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(error(source)),
        };
        let mut arrived = Vec::new();
        for entry in entries {
            let entry = entry.map_err(error)?;
            // `symlink_metadata`: links are not followed.
            let Ok(data) = fs::symlink_metadata(entry.path()) else { continue };
            let name = entry.file_name();
            if let Some(name) = name.to_str()
                && data.is_file()
                && let Some(hint) = read_name(name)
            {
                let modified =
                    data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                arrived.push(Arrived {
                    path: entry.path(),
                    bytes: data.len(),
                    modified: modified.map_or(0, |since| since.as_millis() as u64),
                    ..hint
                });
            }
        }
        arrived.sort_unstable();
        Ok(arrived)
    }

    /// Removes own unread messages that newer ones make superfluous, so that the folder of a site
    /// that is down does not grow for ever.
    fn supersede(&self, to: &PostofficeName) -> Result<(), CarrierError> {
        let me = fold(self.me.as_str()).into_owned();
        let mine: Vec<Arrived> = Self::list(&self.inbox(to))?
            .into_iter()
            .filter(|message| message.sender == me)
            .collect();
        let mut numbers: Vec<(&str, u64)> =
            mine.iter().map(|message| (message.epoch.as_str(), message.number)).collect();
        numbers.dedup();
        // Newest by time: epochs have no order in their names.
        let newest = |key: &(&str, u64)| {
            let same = mine.iter().filter(|m| (m.epoch.as_str(), m.number) == *key);
            same.map(|m| (m.modified, m.number)).max()
        };
        numbers.sort_by_key(newest);
        let superfluous = numbers.len().saturating_sub(UNREAD_NUMBERS_MAX);
        for (epoch, number) in &numbers[..superfluous] {
            for message in mine.iter().filter(|m| m.epoch == *epoch && m.number == *number) {
                durable::remove_file(&message.path)?;
            }
        }
        Ok(())
    }

    fn aside(&self, arrived: &Arrived, place: &str) -> Result<Option<PathBuf>, CarrierError> {
        let folder = self.inbox(&self.me).join(place);
        durable::create_folder(&folder)?;
        let Some(name) = arrived.path.file_name() else { return Ok(None) };
        let target = folder.join(name);
        Ok(durable::move_file(&arrived.path, &target)?.then_some(target))
    }
}

fn read_name(name: &str) -> Option<Arrived> {
    let mut parts = name.strip_suffix(SUFFIX)?.split('-');
    let hint = Arrived {
        sender: decode(parts.next()?)?,
        epoch: decode(parts.next()?)?,
        number: parts.next()?.parse().ok()?,
        part: parts.next()?.parse().ok()?,
        path: PathBuf::new(),
        bytes: 0,
        modified: 0,
    };
    parts.next().is_none().then_some(hint)
}

impl Carrier for FolderCarrier {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, CarrierError> {
        self.reach()?;
        let inbox = self.inbox(message.to);
        durable::create_folder(&inbox)?;
        let name = format!(
            "{}-{}-{}-{}{SUFFIX}",
            encode(message.from.as_str()),
            encode(message.epoch),
            message.number,
            message.part
        );
        let bytes = write_message(&inbox.join(name), message)?;
        self.supersede(message.to)?;
        Ok(bytes)
    }

    fn arrived(&self) -> Result<Vec<Arrived>, CarrierError> {
        self.reach()?;
        Ok(Self::list(&self.inbox(&self.me))?)
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<Result<Message, EnvelopeError>>, CarrierError> {
        match File::open(&arrived.path) {
            Ok(file) => Ok(Some(open_message(file))),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                self.reach()?;
                Ok(None)
            }
            Err(source) => {
                Err(FileError { action: "open", path: arrived.path.clone(), bytes: None, source }
                    .into())
            }
        }
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, CarrierError> {
        Ok(self.aside(arrived, DONE)?.is_some())
    }

    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, CarrierError> {
        let Some(target) = self.aside(arrived, REFUSED)? else { return Ok(false) };
        let mut note = target.into_os_string();
        note.push(".reason.txt");
        durable::replace_file(Path::new(&note), |output| writeln!(output, "{reason}"))?;
        Ok(true)
    }

    fn purge(&self, before: u64) -> Result<u64, CarrierError> {
        self.reach()?;
        let mut removed = 0;
        for place in [DONE, REFUSED] {
            let folder = self.inbox(&self.me).join(place);
            for message in Self::list(&folder)? {
                if message.modified < before {
                    removed += u64::from(durable::remove_file(&message.path)?);
                    let mut note = message.path.into_os_string();
                    note.push(".reason.txt");
                    durable::remove_file(Path::new(&note))?;
                }
            }
        }
        let inbox = self.inbox(&self.me);
        if inbox.is_dir() {
            let before = UNIX_EPOCH + std::time::Duration::from_millis(before);
            durable::clean_temporaries(&inbox, before)?;
        }
        Ok(removed)
    }

    fn part_bytes_max(&self) -> u64 {
        self.part_bytes_max
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{BodyEncoder, EncodedBody};

    fn name(text: &str) -> PostofficeName {
        text.parse().unwrap()
    }

    fn body() -> EncodedBody {
        let mut encoder = BodyEncoder::new(3).unwrap();
        encoder.write_all(b"body").unwrap();
        encoder.finish().unwrap()
    }

    fn send(carrier: &FolderCarrier, to: &PostofficeName, number: u64) {
        let body = body();
        let from = &carrier.me;
        let outgoing = Outgoing { from, to, epoch: "e", number, part: 1, head: "h", body: &body };
        carrier.send(&outgoing).unwrap();
    }

    /// `failure-stories` §5: no name from outside becomes a path.
    #[test]
    fn names_do_not_escape_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("share");
        fs::create_dir(&root).unwrap();
        let carrier = |me: &str| FolderCarrier::new(&root, name(me), 1 << 20);
        for to in ["../..", "CON/NUL.", "a:b/c*d", "A/b ümläut"] {
            send(&carrier("../evil"), &name(to), 1);
            let arrived = carrier(&to.to_uppercase()).arrived().unwrap();
            assert_eq!(arrived.len(), 1, "{to} is one postoffice in any case");
            assert_eq!(arrived[0].sender, "../evil");
        }
        let outside: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(outside.len(), 1, "nothing was written outside: {outside:?}");
        for entry in fs::read_dir(&root).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
        }
    }

    /// `failure-stories` §7: what is still being copied, and what is none of ours, stays.
    #[test]
    fn half_written_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (north, south) = (name("NORTH/HQ"), name("SOUTH/HQ"));
        let sender = FolderCarrier::new(folder.path(), north, 1 << 20);
        let receiver = FolderCarrier::new(folder.path(), south.clone(), 1 << 20);
        send(&sender, &south, 1);
        let whole = receiver.arrived().unwrap().remove(0);
        let bytes = fs::read(&whole.path).unwrap();
        let inbox = receiver.inbox(&south);
        for stranger in [".dirsync-1.tmp", "notes.txt", "a-b-c-d.dirsync", "x.dirsync.part"] {
            fs::write(inbox.join(stranger), &bytes).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(&whole.path, inbox.join("link.dirsync")).unwrap();
        assert_eq!(receiver.arrived().unwrap(), std::slice::from_ref(&whole));
        fs::write(&whole.path, &bytes[..bytes.len() - 1]).unwrap();
        let error = receiver.open(&whole).unwrap().unwrap().err().unwrap();
        assert!(matches!(error, EnvelopeError::Truncated { .. }), "{error}");
        assert!(whole.path.exists(), "opening moves nothing");
    }

    #[test]
    fn a_share_that_disappears_is_said_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("share");
        let carrier = FolderCarrier::new(&root, name("NORTH/HQ"), 1 << 20);
        let error = carrier.arrived().unwrap_err();
        assert!(error.to_string().contains("cannot reach the shared folder"), "{error}");
        assert!(!root.exists());
    }

    #[test]
    fn a_silent_site_s_folder_does_not_grow() {
        let folder = tempfile::tempdir().unwrap();
        let south = name("SOUTH/HQ");
        let sender = FolderCarrier::new(folder.path(), name("NORTH/HQ"), 1 << 20);
        for number in 1..=10 {
            send(&sender, &south, number);
        }
        let receiver = FolderCarrier::new(folder.path(), south, 1 << 20);
        let numbers: Vec<u64> = receiver.arrived().unwrap().iter().map(|m| m.number).collect();
        assert_eq!(numbers, [8, 9, 10]);
    }

    #[test]
    fn what_was_taken_is_kept_aside_and_then_removed() {
        let folder = tempfile::tempdir().unwrap();
        let south = name("SOUTH/HQ");
        let sender = FolderCarrier::new(folder.path(), name("NORTH/HQ"), 1 << 20);
        let receiver = FolderCarrier::new(folder.path(), south.clone(), 1 << 20);
        send(&sender, &south, 1);
        send(&sender, &south, 2);
        let arrived = receiver.arrived().unwrap();
        assert!(receiver.finished(&arrived[0]).unwrap());
        assert!(receiver.refuse(&arrived[1], "it is wrong").unwrap());
        assert_eq!(receiver.purge(0).unwrap(), 0, "not yet");
        assert_eq!(receiver.purge(u64::MAX / 2).unwrap(), 2);
    }
}
