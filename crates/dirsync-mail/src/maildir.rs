//! A Maildir, into which the mail server of this machine, fetchmail or getmail delivers.
//!
//! ```text
//! new/UNIQUE            delivered, and never looked at
//! cur/UNIQUE:2,FLAGS    seen by a mail program; with the flag S, read
//! ```
//!
//! Mail is unread in `new`, and in `cur` without the flag S: an IMAP server moves all mail there when somebody looks
//! into the mailbox. What was taken is moved to `cur` with the flag S; everything else stays where it is. Others may write
//! to these folders, so no link is followed.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use dirsync_carrier::access::{Links, open_file};
use dirsync_carrier::{CarrierError, CarrierErrorKind, durable};

use crate::mailbox::{MailRef, Mailbox};

/// Stands before the flags in a name.
const INFO: &str = ":2,";
/// How often it is tried to move a mail that somebody else moves.
const MOVES_MAX: u32 = 3;
const SEEN: char = 'S';
/// Of mail that is to be thrown away.
const TRASHED: char = 'T';

/// A Maildir.
#[derive(Clone, Debug)]
pub struct Maildir {
    folder: PathBuf,
}

impl Maildir {
    /// The Maildir in this folder, which has the folders `new` and `cur`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn failed(&self, error: &io::Error) -> CarrierError {
        let kind = match error.kind() {
            ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput => CarrierErrorKind::Refused,
            _ => CarrierErrorKind::Unreachable,
        };
        CarrierError { kind, place: self.place(), said: error.to_string() }
    }

    /// One of the two folders, which must be one and no link.
    fn sub(&self, name: &str) -> Result<PathBuf, CarrierError> {
        let path = self.folder.join(name);
        let in_words = |error: io::Error| {
            let text = format!("\"{}\": {error}", path.display());
            self.failed(&io::Error::new(error.kind(), text))
        };
        let kind = fs::symlink_metadata(&path).map_err(in_words)?.file_type();
        if !kind.is_dir() {
            let what = if kind.is_symlink() { "it is a link" } else { "it is not a folder" };
            return Err(in_words(io::Error::new(ErrorKind::InvalidInput, what)));
        }
        Ok(path)
    }

    /// The regular files of a folder that have wanted names, with their sizes. Only these cost a look at the file: `cur`
    /// may hold the mail of years.
    fn files(
        &self,
        name: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, u64)>, CarrierError> {
        let folder = self.sub(name)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| self.failed(&error))? {
            let entry = entry.map_err(|error| self.failed(&error))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || !is_wanted(&name) {
                continue;
            }
            // A file that is gone by now was taken by another reader.
            let Ok(data) = entry.metadata() else { continue };
            if data.is_file() {
                files.push((name, data.len()));
            }
        }
        Ok(files)
    }

    /// The path of an unread mail.
    fn find(&self, id: &str) -> Result<Option<PathBuf>, CarrierError> {
        if !is_unique(id) {
            return Ok(None);
        }
        // Mail is in one of the two folders at any time, unless it moves from the first while it is looked for.
        let new = self.sub("new")?;
        if let Some(name) = self.files_of(&new, id)? {
            return Ok(Some(new.join(name)));
        }
        let files = self.files("cur", |name| unique(name) == id && is_unread(name))?;
        let found = files.into_iter().map(|(name, _)| name).next();
        Ok(found.map(|name| self.folder.join("cur").join(name)))
    }

    /// The name of a mail in `new`, which has no flags there, or a few programs put them all the same.
    fn files_of(&self, new: &Path, id: &str) -> Result<Option<String>, CarrierError> {
        match fs::symlink_metadata(new.join(id)) {
            Ok(data) if data.is_file() => return Ok(Some(id.to_owned())),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(self.failed(&error)),
        }
        let files = self.files("new", |name| unique(name) == id)?;
        Ok(files.into_iter().map(|(name, _)| name).next())
    }
}

/// The part of a name that stays the same.
fn unique(name: &str) -> &str {
    name.split_once(INFO).map_or(name, |(unique, _)| unique)
}

/// Whether a text can be that part, and leads to no other folder.
fn is_unique(id: &str) -> bool {
    !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\\', '\0']) && !id.contains(INFO)
}

fn is_unread(name: &str) -> bool {
    name.split_once(INFO).is_none_or(|(_, flags)| !flags.contains([SEEN, TRASHED]))
}

/// The name in `cur` of a mail that was read. Flags are in the order of the alphabet.
fn read_name(name: &str) -> String {
    let (unique, flags) = name.split_once(INFO).unwrap_or((name, ""));
    let mut flags: Vec<char> = flags.chars().chain([SEEN]).collect();
    flags.sort_unstable();
    flags.dedup();
    format!("{unique}{INFO}{}", flags.into_iter().collect::<String>())
}

impl Mailbox for Maildir {
    fn place(&self) -> String {
        format!("the Maildir \"{}\"", self.folder.display())
    }

    fn unread(&self) -> Result<Vec<MailRef>, CarrierError> {
        // Mail that moves meanwhile must not be in neither list, so the folder it moves to is read last.
        // The folder to which mail moves is read last, so that no mail is missed on its way.
        let mut mails = self.files("new", |_| true)?;
        mails.extend(self.files("cur", is_unread)?);
        let mut mails: Vec<MailRef> = mails
            .into_iter()
            .map(|(name, bytes)| MailRef { id: unique(&name).to_owned(), bytes })
            .collect();
        // Names begin with the time of delivery.
        mails.sort();
        mails.dedup_by(|one, other| one.id == other.id);
        Ok(mails)
    }

    fn is_unread(&self, id: &str) -> Result<bool, CarrierError> {
        Ok(self.find(id)?.is_some())
    }

    fn read(&self, id: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError> {
        let Some(path) = self.find(id)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = open_file(&path, Links::Refuse)
            .and_then(|file| file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
            Ok(_) if bytes.len() as u64 > bytes_max => {
                let said = format!("a mail has more than {bytes_max} bytes");
                Err(CarrierError { kind: CarrierErrorKind::TooLarge, place: self.place(), said })
            }
            Ok(_) => Ok(Some(bytes)),
        }
    }

    fn file(&self, id: &str) -> Result<(), CarrierError> {
        let cur = self.sub("cur")?;
        // Between looking and moving, an IMAP server may move it.
        for _ in 0..MOVES_MAX {
            let Some(path) = self.find(id)? else { return Ok(()) };
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let moved = durable::move_file(&path, &cur.join(read_name(&name)));
            let moved = moved.map_err(|error| {
                self.failed(&io::Error::new(error.source.kind(), error.to_string()))
            })?;
            if moved {
                return Ok(());
            }
        }
        Err(self.failed(&io::Error::other("a mail is moved again and again")))
    }
}

#[cfg(all(test, unix))]
mod tests;
