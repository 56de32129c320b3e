//! The transit of a shared folder: a folder on a LAN that several postoffices use.
//!
//! A message is the file `ROOT/ADDRESSEE/SENDER-EPOCH-NUMBER-PART.dirsync`; see `name` for its
//! encoding. Only the addressee moves files of its folder: to `done/` if they were taken, to
//! `refused/` if they never can be, and to `waiting/` if they cannot be taken yet.
//!
//! Links below `ROOT` are not followed. Somebody who may write there must not choose which other
//! files are read or written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use dirsync_directory::PostofficeName;

use crate::access::{Links, open_file};
use crate::beside::is_beside_messages;
use crate::durable::{self, FileError};
use crate::name;
use crate::together::together;
use crate::transit::{Arrived, MessageFile, Outgoing, Transit, TransitError};

const DONE: &str = "done";
const REFUSED: &str = "refused";
const WAITING: &str = "waiting";
const REASON_SUFFIX: &str = ".reason.txt";
/// The number of unread messages of one sender that are kept in the folder of an addressee. A newer
/// message states all that an older one does. The parts of one message belong together, and count
/// as one.
const UNREAD_NUMBERS_MAX: usize = 3;

/// The number of messages from which on they are sent by several threads.
const TOGETHER_FROM: usize = 8;
/// The number of those threads.
const SENDERS: usize = 8;

/// The access of one postoffice to a shared folder.
#[derive(Clone, Debug)]
pub struct FolderTransit {
    root: PathBuf,
    me: PostofficeName,
}

/// The contents of an inbox.
#[derive(Debug)]
pub struct InboxContents {
    /// The number of messages that no step has read yet.
    pub messages: u64,
    /// The messages that are kept waiting.
    pub waiting: Vec<Arrived>,
    /// Everything that is neither a message nor a temporary or hidden file. It is never touched.
    pub strangers: Vec<PathBuf>,
}

impl FolderTransit {
    /// The access of `me` to the folder `root`.
    pub fn new(root: impl Into<PathBuf>, me: PostofficeName) -> Self {
        Self { root: root.into(), me }
    }

    /// The shared folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder in which messages for a postoffice arrive.
    pub fn inbox(&self, name: &PostofficeName) -> PathBuf {
        self.root.join(name::encode(name.as_str()))
    }

    /// Leaves a file of this name in the folder of a postoffice.
    ///
    /// # Errors
    ///
    /// If the place cannot be reached, or writing fails.
    pub fn put_file(
        &self,
        to: &PostofficeName,
        name: &str,
        content: &mut dyn io::Read,
    ) -> Result<(), TransitError> {
        assert!(
            is_of_message(name) || is_beside_messages(name),
            "\"{name}\" is the name of no file of ours"
        );
        self.reach()?;
        let inbox = self.inbox(to);
        make_folder(&inbox)
            .and_then(|()| {
                durable::write_shared_file(&inbox.join(name), |out| {
                    io::copy(content, out).map(drop)
                })
            })
            .map(drop)
            .map_err(|error| self.explain(error))
    }

    /// Whether there are files in the own inbox that travel beside messages.
    ///
    /// # Errors
    ///
    /// If the place cannot be read.
    pub fn has_files_beside_messages(&self) -> Result<bool, TransitError> {
        let inbox = self.inbox(&self.me);
        if !is_folder(&inbox)? {
            return Ok(false);
        }
        let entries = durable::step("read the folder", &inbox, || durable::read_folder(&inbox))?;
        Ok(entries.iter().any(|entry| entry.file_name().to_str().is_some_and(is_beside_messages)))
    }

    /// The names and sizes of the files in the own inbox that travel beside messages, and of the messages if they are
    /// asked for.
    pub(crate) fn files(&self, with_messages: bool) -> Result<Vec<(String, u64)>, TransitError> {
        let scanned = scan(&self.inbox(&self.me));
        self.reach()?;
        let Scan { messages, mut beside, .. } = scanned?;
        if with_messages {
            beside.extend(messages.into_iter().map(|message| (message.id, message.bytes)));
        }
        beside.sort_unstable();
        Ok(beside)
    }

    /// The path of a file in the own inbox. `None` if there is no inbox, or no file of ours has this name.
    pub(crate) fn own_file(&self, name: &str) -> Result<Option<PathBuf>, TransitError> {
        let inbox = self.inbox(&self.me);
        let is_there = is_folder(&inbox);
        self.reach()?;
        let is_ours = is_of_message(name) || is_beside_messages(name);
        Ok((is_there? && is_ours).then(|| inbox.join(name)))
    }

    fn path_of(&self, arrived: &Arrived) -> PathBuf {
        self.inbox(&self.me).join(&arrived.id)
    }

    /// Makes the own inbox if it does not exist, so that it can be watched before the first message
    /// arrives.
    ///
    /// # Errors
    ///
    /// If the place cannot be reached, or writing fails.
    pub fn make_inbox(&self) -> Result<PathBuf, TransitError> {
        self.reach()?;
        let inbox = self.inbox(&self.me);
        make_folder(&inbox).map_err(|error| self.explain(error))?;
        Ok(inbox)
    }

    /// Checks that the shared folder exists, which it does not while the share is away.
    pub(crate) fn reach(&self) -> Result<(), TransitError> {
        let unreachable =
            |source| TransitError::Unreachable { place: in_words(&self.root), source };
        let data = fs::metadata(&self.root).map_err(unreachable)?;
        if data.is_dir() {
            Ok(())
        } else {
            Err(unreachable(io::Error::from(io::ErrorKind::NotADirectory)))
        }
    }

    /// The error to report: if the whole share is gone, that is the cause of every other error.
    fn explain(&self, error: FileError) -> TransitError {
        self.reach().err().unwrap_or_else(|| error.into())
    }

    /// The contents of the own inbox.
    ///
    /// # Errors
    ///
    /// If the place cannot be reached.
    pub fn contents(&self) -> Result<InboxContents, TransitError> {
        let scanned = scan(&self.inbox(&self.me));
        let waiting = self.waiting()?;
        let Scan { messages, strangers, .. } = scanned?;
        Ok(InboxContents { messages: messages.len() as u64, waiting, strangers })
    }

    /// Removes own unread messages that newer ones make superfluous, so that the folder of a
    /// postoffice that is down does not grow for ever. Also removes the temporary files of own
    /// processes that died.
    fn supersede(&self, sent: &Outgoing<'_>) -> Result<(), FileError> {
        let (me, epoch) = (name::hint(sent.from.as_str()), name::hint(sent.epoch));
        let inbox = self.inbox(sent.to);
        let Scan { messages: mut mine, temporaries, .. } = scan(&inbox)?;
        let own = format!("{}{}-", durable::TEMPORARY_PREFIX, name::encode(sent.from.as_str()));
        for temporary in temporaries {
            let name = temporary.file_name().unwrap_or_default().to_string_lossy();
            // Only one process of a postoffice sends at a time. That is this one, and it has just
            // finished.
            if name.starts_with(&own) {
                durable::unlink(&temporary)?;
            }
        }
        mine.retain(|message| Some(&message.sender) == me.as_ref());
        let mut written = BTreeMap::<(&str, u64), u64>::new();
        for message in &mine {
            let modified = written.entry((&message.epoch, message.number)).or_default();
            *modified = message.modified.max(*modified);
        }
        written.remove(&(epoch.as_deref().unwrap_or_default(), sent.number));
        let (mut same, mut other): (Vec<_>, Vec<_>) =
            written.into_iter().partition(|((of, _), _)| Some(*of) == epoch.as_deref());
        // Within an epoch the number says which message is newer, whatever the clocks say. Names of
        // epochs have no order, so for other epochs the time has to do.
        other.sort_by_key(|(_, modified)| *modified);
        same.truncate(same.len().saturating_sub(UNREAD_NUMBERS_MAX - 1));
        other.truncate(other.len().saturating_sub(UNREAD_NUMBERS_MAX));
        for ((epoch, number), _) in same.into_iter().chain(other) {
            for message in mine.iter().filter(|m| m.epoch == epoch && m.number == number) {
                durable::unlink(&inbox.join(&message.id))?;
            }
        }
        Ok(())
    }

    /// The new path of a message of the own inbox, or `None` if the inbox does not exist any more.
    fn target(&self, arrived: &Arrived, place: &str) -> Result<Option<PathBuf>, FileError> {
        let inbox = self.inbox(&self.me);
        let path = self.path_of(arrived);
        let Some(name) = path.file_name() else { return Ok(None) };
        if !is_folder(&inbox)? {
            return Ok(None);
        }
        let folder = inbox.join(place);
        make_folder(&folder)?;
        Ok(Some(folder.join(name)))
    }

    fn set_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, FileError> {
        let name = name::name_from(sender, arrived);
        let inbox = self.inbox(&self.me);
        if !is_folder(&inbox)? {
            return Ok(None);
        }
        let folder = inbox.join(WAITING);
        make_folder(&folder)?;
        let path = folder.join(&name);
        // Not synced: if a power failure puts it back, it is kept waiting once more.
        let before = self.path_of(arrived);
        let moved = before == path || move_away(arrived, &before, &path)?;
        let kept = name::read(&name).filter(|_| moved);
        let (bytes, modified) = (arrived.bytes, arrived.modified);
        let id = format!("{WAITING}/{name}");
        let whereabouts = path.display().to_string();
        Ok(kept.map(|kept| Arrived { id, whereabouts, bytes, modified, ..kept }))
    }

    fn finish(&self, arrived: &Arrived) -> Result<bool, FileError> {
        let Some(target) = self.target(arrived, DONE)? else { return Ok(false) };
        // Not synced, because a server with a thousand requests in its inbox would spend most of
        // its time on it. The content is committed, so after a power failure the message may be
        // gone, or come once more, as any message may.
        move_away(arrived, &self.path_of(arrived), &target)
    }

    /// Writes the reason and moves the message, in this order. If the process dies in between, the
    /// message is refused once more, and none is set aside without a reason.
    ///
    /// A temporary file that such a process left is removed by [`Transit::purge`]. Looking for it
    /// here would mean reading a folder with all refused messages for each one.
    fn set_aside(&self, arrived: &Arrived, reason: &str) -> Result<bool, FileError> {
        let Some(target) = self.target(arrived, REFUSED)? else { return Ok(false) };
        durable::write_shared_file(&reason_of(&target), |output| writeln!(output, "{reason}"))?;
        let path = self.path_of(arrived);
        let moved = move_away(arrived, &path, &target)?;
        if moved {
            durable::sync_move(&path, &target)?;
        } else if !target.exists() {
            durable::unlink(&reason_of(&target))?;
        }
        Ok(moved)
    }

    fn purge_places(&self, before: u64) -> Result<u64, FileError> {
        let inbox = self.inbox(&self.me);
        let mut removed = 0;
        for folder in [inbox.join(DONE), inbox.join(REFUSED), inbox.join(WAITING)] {
            let mut messages = scan(&folder)?.messages;
            messages.retain(|message| message.modified < before);
            for message in &messages {
                // The reason is removed first. Without its message it would never be found again.
                let path = folder.join(&message.id);
                durable::unlink(&reason_of(&path))?;
                removed += u64::from(durable::unlink(&path)?);
            }
            if !messages.is_empty() {
                durable::sync_folder(&folder)?;
            }
        }
        for folder in [inbox.clone(), inbox.join(REFUSED)] {
            if is_folder(&folder)? {
                durable::clean_temporaries(&folder, UNIX_EPOCH + Duration::from_millis(before))?;
            }
        }
        Ok(removed)
    }
}

/// The contents of a folder.
#[derive(Default)]
struct Scan {
    messages: Vec<Arrived>,
    /// The names and sizes of files that travel beside messages.
    beside: Vec<(String, u64)>,
    temporaries: Vec<PathBuf>,
    strangers: Vec<PathBuf>,
}

fn scan(folder: &Path) -> Result<Scan, FileError> {
    let mut scan = Scan::default();
    if !is_folder(folder)? {
        return Ok(scan);
    }
    let entries = durable::step("read the folder", folder, || durable::read_folder(folder))?;
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // An entry that has vanished since was taken by another process.
        let Ok(data) = fs::symlink_metadata(&path) else { continue };
        match name::read(&name) {
            Some(hint) if data.is_file() => {
                let (bytes, modified) = look(&data);
                let (id, whereabouts) = (name.into_owned(), path.display().to_string());
                scan.messages.push(Arrived { id, whereabouts, bytes, modified, ..hint });
            }
            None if data.is_file() && is_beside_messages(&name) => {
                scan.beside.push((name.into_owned(), data.len()));
            }
            _ if data.is_file() && durable::is_temporary(name.as_ref().as_ref()) => {
                scan.temporaries.push(path);
            }
            _ if name.starts_with('.') => {}
            _ if [DONE, REFUSED, WAITING].contains(&&*name) => {}
            _ => scan.strangers.push(path),
        }
    }
    scan.messages.sort_unstable();
    scan.strangers.sort_unstable();
    Ok(scan)
}

/// Whether a message has this name.
pub fn is_of_message(name: &str) -> bool {
    name::read(name).is_some()
}

/// The folded name of the sender that the name of a message has. `None` if no message has such a name.
pub fn sender_in_name(name: &str) -> Option<String> {
    name::read(name).map(|message| message.sender)
}

/// The size of a file, and the time of its last write in milliseconds since 1970.
fn look(data: &fs::Metadata) -> (u64, u64) {
    let modified = data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    (data.len(), modified.map_or(0, |since| since.as_millis() as u64))
}

/// Moves a message out of an inbox. Returns false if it is not there any more.
///
/// Another answer to the same request may have taken the name since the message was read. It would
/// be lost if it were moved as this one, so it is moved back. The two are distinguished by size and
/// time. Inode numbers would not do, because some network shares do not keep them.
fn move_away(arrived: &Arrived, path: &Path, target: &Path) -> Result<bool, FileError> {
    if !durable::rename(path, target)? {
        return Ok(false);
    }
    let is_another =
        |data: fs::Metadata| data.is_file() && look(&data) != (arrived.bytes, arrived.modified);
    if !fs::symlink_metadata(target).is_ok_and(is_another) {
        return Ok(true);
    }
    // If a third message has the name by now, it states all that the second one does.
    if !path.exists() {
        durable::rename(target, path)?;
    }
    Ok(false)
}

/// Whether a folder exists. Fails if a link or a file has its name.
fn is_folder(folder: &Path) -> Result<bool, FileError> {
    durable::step("use the folder", folder, || match fs::symlink_metadata(folder) {
        Ok(data) if data.is_dir() => Ok(true),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a link or a file; links in a shared folder are not followed, remove it",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    })
}

/// Makes a folder in an existing one. If the share is gone, nothing is made in its place.
fn make_folder(folder: &Path) -> Result<(), FileError> {
    if is_folder(folder)? { Ok(()) } else { durable::create_subfolder(folder) }
}

/// Writes a message file durably and in one step.
fn write_message(path: &Path, message: &Outgoing<'_>) -> Result<(), FileError> {
    durable::write_shared_file(path, |output| message.write_to(output))
        .map(drop)
        .map_err(|error| error.with_bytes(message.bytes()))
}

/// A shared folder in the words of an error.
pub(crate) fn in_words(root: &Path) -> String {
    format!("the shared folder \"{}\"", root.display())
}

fn reason_of(message: &Path) -> PathBuf {
    let mut path = message.as_os_str().to_owned();
    path.push(REASON_SUFFIX);
    path.into()
}

impl Transit for FolderTransit {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        self.reach()?;
        let inbox = self.inbox(message.to);
        make_folder(&inbox)
            .and_then(|()| write_message(&inbox.join(name::file_name(message)), message))
            .map_err(|error| self.explain(error))?;
        // The message is sent. If tidying up fails, the next sending does it.
        let _ = self.supersede(message);
        Ok(message.bytes())
    }

    /// Sends from several threads. Sending is mostly waiting for the disk, which can sync several
    /// files in the time of one.
    fn send_all(&self, messages: &[Outgoing<'_>]) -> Vec<Result<u64, TransitError>> {
        // Sending tidies up the folder of the addressee, so two threads must not have the same one.
        let addressees: BTreeSet<&str> = messages.iter().map(|one| one.to.folded()).collect();
        let apart = addressees.len() == messages.len() && messages.len() >= TOGETHER_FROM;
        let messages = messages.iter().collect();
        together(messages, if apart { SENDERS } else { 1 }, |message| self.send(message))
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        let scanned = scan(&self.inbox(&self.me));
        // Checked after the scan, so that a share that goes away meanwhile is not taken for an
        // empty one.
        self.reach()?;
        Ok(scanned?.messages)
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        let path = self.path_of(arrived);
        match durable::step("open", &path, || open_file(&path, Links::Refuse)) {
            Ok(file) => Ok(Some(Ok(Box::new(file)))),
            Err(error) => {
                self.reach()?;
                match error.source.kind() {
                    io::ErrorKind::NotFound => Ok(None),
                    // Wrong permissions of one file, or something that is not a file, must not stop the
                    // messages of other postoffices.
                    io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => {
                        Ok(Some(Err(error.source)))
                    }
                    _ => Err(error.into()),
                }
            }
        }
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, TransitError> {
        let moved = self.finish(arrived);
        self.reach()?;
        Ok(moved?)
    }

    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, TransitError> {
        let moved = self.set_aside(arrived, reason);
        self.reach()?;
        Ok(moved?)
    }

    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        let kept = self.set_waiting(arrived, sender);
        self.reach()?;
        Ok(kept?)
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        let inbox = self.inbox(&self.me);
        let scanned = is_folder(&inbox)
            .and_then(|there| if there { scan(&inbox.join(WAITING)) } else { Ok(Scan::default()) });
        self.reach()?;
        let mut waiting = scanned?.messages;
        for message in &mut waiting {
            message.id = format!("{WAITING}/{}", message.id);
        }
        Ok(waiting)
    }

    fn purge(&self, before: u64) -> Result<u64, TransitError> {
        let purged = self.purge_places(before);
        self.reach()?;
        Ok(purged?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::body::Body;

    fn name(text: &str) -> PostofficeName {
        text.parse().unwrap()
    }

    fn body() -> Body {
        b"body".to_vec().into()
    }

    fn content(opened: io::Result<Box<dyn MessageFile>>) -> String {
        io::read_to_string(opened.unwrap()).unwrap()
    }

    fn send(transit: &FolderTransit, to: &PostofficeName, number: u64) {
        let body = body();
        let from = &transit.me;
        let outgoing = Outgoing { from, to, epoch: "e", number, part: 1, front: b"h", body: &body };
        transit.send(&outgoing).unwrap();
    }

    /// `docs/failure-stories.md` §5: no name from outside becomes a path.
    #[test]
    fn names_do_not_escape_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("share");
        fs::create_dir(&root).unwrap();
        let transit = |me: &str| FolderTransit::new(&root, name(me));
        let longest = format!("{}/{}", "n".repeat(64), "ü".repeat(32));
        for to in ["..a/..b", "CON/NUL.", "-a/b & c.", "A/b ümläut", &longest] {
            send(&transit("..evil/.x"), &name(to), 1);
            let arrived = transit(&to.to_uppercase()).arrived().unwrap();
            assert_eq!(arrived.len(), 1, "{to} is one postoffice in any case");
            assert!(transit(to).finished(&arrived[0]).unwrap());
            send(&transit(to), &name(to), 1);
            assert_eq!(arrived[0].sender, "..evil/.x");
        }
        let outside: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(outside.len(), 1, "nothing was written outside: {outside:?}");
        for entry in fs::read_dir(&root).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            assert!(
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=~".contains(&byte)),
                "{name}"
            );
        }
    }

    /// `docs/failure-stories.md` §5: links in drop folders are not followed.
    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("share"), folder.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        let (north, south) = (name("NORTH/HQ"), name("SOUTH/HQ"));
        let sender = FolderTransit::new(&root, north.clone());
        let receiver = FolderTransit::new(&root, south.clone());
        symlink(&outside, sender.inbox(&north)).unwrap();
        assert!(sender.arrived().unwrap_err().to_string().contains("links"), "an inbox");
        send(&receiver, &south, 1);
        let (body, epoch) = (body(), "e");
        let to_link = Outgoing {
            from: &south,
            to: &north,
            epoch,
            number: 1,
            part: 1,
            front: b"h",
            body: &body,
        };
        assert!(receiver.send(&to_link).unwrap_err().to_string().contains("links"), "an inbox");

        let mut message = receiver.arrived().unwrap().remove(0);
        symlink(&outside, receiver.inbox(&south).join(DONE)).unwrap();
        assert!(receiver.finished(&message).unwrap_err().to_string().contains("links"), "done/");
        let (path, id) = (receiver.path_of(&message), message.id.replace("-1-1.", "-2-1."));
        let link = path.with_file_name(&id);
        symlink(&path, &link).unwrap();
        assert_eq!(receiver.arrived().unwrap().len(), 1, "a message");
        message.id = id;
        assert!(receiver.open(&message).unwrap().unwrap().is_err(), "a message");
        assert_eq!(receiver.contents().unwrap().strangers, std::slice::from_ref(&link));
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was written outside");

        // The file is replaced by a pipe between look and open. Nobody writes to the pipe, and the
        // transit does not wait for it.
        fs::remove_file(&link).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&link).status().unwrap().success());
        let opened = receiver.open(&message).unwrap().unwrap();
        assert!(opened.err().unwrap().to_string().contains("named pipe"), "a message");
        // A refused file is moved without being opened.
        fs::remove_file(receiver.inbox(&south).join(DONE)).unwrap();
        assert!(receiver.refuse(&message, "it is no message").unwrap());
    }

    /// `docs/failure-stories.md` §7: a file that is still being copied, or is not ours, is left alone.
    #[test]
    fn half_written_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (north, south) = (name("NORTH/HQ"), name("SOUTH/HQ"));
        let sender = FolderTransit::new(folder.path(), north);
        let receiver = FolderTransit::new(folder.path(), south.clone());
        send(&sender, &south, 1);
        let whole = receiver.arrived().unwrap().remove(0);
        let bytes = fs::read(&whole.whereabouts).unwrap();
        let inbox = receiver.inbox(&south);
        let strangers = ["a-b-c-d.dirsync", "notes.txt", "x.dirsync.part"];
        for name in strangers.into_iter().chain([".dirsync-1.tmp", ".nfs0001"]) {
            fs::write(inbox.join(name), &bytes).unwrap();
        }
        fs::create_dir(inbox.join(DONE)).unwrap();
        assert_eq!(receiver.arrived().unwrap(), std::slice::from_ref(&whole));
        assert_eq!(receiver.contents().unwrap().strangers, strangers.map(|name| inbox.join(name)));
        fs::write(&whole.whereabouts, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(content(receiver.open(&whole).unwrap().unwrap()), "hbod");
        assert!(Path::new(&whole.whereabouts).exists(), "opening moves nothing");
    }

    #[test]
    fn what_cannot_be_sent_to_one_is_sent_to_the_others() {
        for count in [2, 3 * TOGETHER_FROM] {
            let folder = tempfile::tempdir().unwrap();
            let to: Vec<_> = (0..count).map(|number| name(&format!("SITE/{number}"))).collect();
            let transit = FolderTransit::new(folder.path(), name("NORTH/HQ"));
            fs::write(transit.inbox(&to[0]), "in the way").unwrap();
            let body = body();
            let outgoing = |to| Outgoing {
                from: &transit.me,
                to,
                epoch: "e",
                number: 1,
                part: 1,
                front: b"h",
                body: &body,
            };
            let sent = transit.send_all(&to.iter().map(outgoing).collect::<Vec<_>>());
            assert!(sent[0].is_err() && sent[1..].iter().all(Result::is_ok), "{sent:?}");
            for to in &to[1..] {
                let arrived = FolderTransit::new(folder.path(), to.clone()).arrived();
                assert_eq!(arrived.unwrap().len(), 1, "{to}");
            }
        }
    }

    #[test]
    fn a_share_that_disappears_is_said_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("share");
        let transit = FolderTransit::new(&root, name("NORTH/HQ"));
        let error = transit.arrived().unwrap_err();
        assert!(error.to_string().contains("cannot reach the shared folder"), "{error}");
        assert!(!root.exists());

        fs::create_dir(&root).unwrap();
        send(&transit, &transit.me, 1);
        let message = transit.arrived().unwrap().remove(0);
        fs::remove_dir_all(&root).unwrap();
        let gone = |error: TransitError| matches!(error, TransitError::Unreachable { .. });
        assert!(gone(transit.finished(&message).unwrap_err()));
        assert!(gone(transit.refuse(&message, "why").unwrap_err()));
        assert!(gone(transit.purge(u64::MAX / 2).unwrap_err()));
        assert!(gone(transit.open(&message).err().unwrap()));
        assert!(!root.exists());
    }

    #[test]
    fn one_unreadable_file_stops_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let transit = FolderTransit::new(folder.path(), name("NORTH/HQ"));
        send(&transit, &transit.me, 1);
        let message = transit.arrived().unwrap().remove(0);
        durable::fail_at_with(1, io::ErrorKind::PermissionDenied);
        let opened = transit.open(&message).unwrap().expect("it is there");
        assert!(opened.is_err());
        durable::fail_at_with(1, io::ErrorKind::StaleNetworkFileHandle);
        assert!(transit.open(&message).is_err(), "that is not the file's fault");
    }

    /// `docs/failure-stories.md` §7: a full disk at each file operation of `operation` in turn. A
    /// message that was acknowledged exists, any other one is whole or does not exist, nothing that
    /// existed before is lost, and work goes on when there is space. Returns the number of
    /// operations.
    fn full_at_each(
        sent_before: bool,
        operation: impl Fn(&FolderTransit, &Outgoing<'_>, &[Arrived]) -> Result<(), TransitError>,
    ) -> u64 {
        let (me, body) = (name("NORTH/HQ"), body());
        let message = Outgoing {
            from: &me,
            to: &me,
            epoch: "e",
            number: 1,
            part: 1,
            front: b"h",
            body: &body,
        };
        let mut nth = 0;
        loop {
            nth += 1;
            let folder = tempfile::tempdir().unwrap();
            let transit = FolderTransit::new(folder.path(), me.clone());
            if sent_before {
                transit.send(&message).unwrap();
            }
            let before = transit.arrived().unwrap();
            durable::fail_at(Some(nth));
            let outcome = operation(&transit, &message, &before);
            let met = !durable::failure_pending();
            durable::fail_at(None);

            let inbox = transit.inbox(&me);
            let places = [inbox.clone(), inbox.join(DONE), inbox.join(REFUSED)];
            let messages = places.map(|place| scan(&place).unwrap().messages).concat();
            for message in &messages {
                let content = fs::read_to_string(&message.whereabouts).unwrap();
                assert_eq!(content, "hbody", "{nth}: it is whole");
            }
            match outcome {
                Ok(()) => assert_eq!(messages.len(), 1, "{nth}: acknowledged and there"),
                Err(error) => assert!(error.to_string().contains("space"), "{error}"),
            }
            assert!(messages.len() <= 1, "{nth}: in one place at any time");
            assert!(messages.len() == 1 || !sent_before, "{nth}: nothing is lost");
            if !met {
                return nth - 1;
            }
            transit.send(&message).expect("there is space again");
            assert_eq!(transit.arrived().unwrap().len(), 1);
        }
    }

    #[test]
    fn a_full_disk_at_any_operation_loses_nothing() {
        let sending = full_at_each(false, |transit, message, _| transit.send(message).map(drop));
        assert_eq!(sending, 11, "inbox 3, file 6, tidying up 2");
        let finishing =
            full_at_each(true, |transit, _, arrived| transit.finished(&arrived[0]).map(drop));
        assert_eq!(finishing, 5, "inbox 1, done/ 3, move 1");
        let refusing =
            full_at_each(true, |transit, _, arrived| transit.refuse(&arrived[0], "why").map(drop));
        assert_eq!(refusing, 13, "inbox 1, refused/ 3, the reason's file 6, move 3");
    }

    /// The cost of setting junk aside is linear: twice as much junk does not cost four times as much.
    #[test]
    fn setting_junk_aside_is_linear() {
        let entries_read = |count: u64| {
            let folder = tempfile::tempdir().unwrap();
            let transit = FolderTransit::new(folder.path(), name("NORTH/HQ"));
            let inbox = transit.make_inbox().unwrap();
            let token = name::encode("a/junk");
            for number in 1..=count {
                fs::write(inbox.join(format!("{token}-{token}-{number}-1.dirsync")), "junk")
                    .unwrap();
            }
            durable::ENTRIES_READ.set(0);
            for message in transit.arrived().unwrap() {
                assert!(transit.refuse(&message, "it is junk").unwrap());
            }
            assert!(transit.arrived().unwrap().is_empty());
            durable::ENTRIES_READ.get()
        };
        let (once, twice) = (entries_read(40), entries_read(80));
        assert!(twice <= 2 * once + 2, "{once} and {twice} entries of folders were read");
    }

    #[test]
    fn a_full_disk_names_the_bytes_of_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let transit = FolderTransit::new(folder.path(), name("NORTH/HQ"));
        send(&transit, &transit.me, 1);
        let bytes = transit.arrived().unwrap()[0].bytes;
        let body = body();
        let me = &transit.me;
        let outgoing =
            Outgoing { from: me, to: me, epoch: "e", number: 1, part: 1, front: b"h", body: &body };
        durable::fail_at(Some(2));
        let error = transit.send(&outgoing).unwrap_err().to_string();
        assert!(error.contains(&format!("at least {bytes} bytes are needed")), "{error}");
    }

    /// `docs/failure-stories.md` §7: two agents, or agent and manual run, on one inbox.
    #[test]
    fn share_without_events() {
        let (folder, south) = (tempfile::tempdir().unwrap(), name("SOUTH/HQ"));
        for number in 0..100 {
            let from = FolderTransit::new(folder.path(), name(&format!("N/{number}")));
            send(&from, &south, 1);
        }
        let takes = || {
            let receiver = FolderTransit::new(folder.path(), south.clone());
            let mut taken = 0;
            // By polling, so that the test does not depend on events.
            loop {
                let arrived = receiver.arrived().unwrap();
                if arrived.is_empty() {
                    return taken;
                }
                for message in arrived {
                    let opened = receiver.open(&message).unwrap();
                    assert!(opened.is_none_or(|opened| content(opened) == "hbody"));
                    taken += u32::from(receiver.finished(&message).unwrap());
                }
            }
        };
        let (one, two) = std::thread::scope(|scope| {
            let other = scope.spawn(takes);
            (takes(), other.join().unwrap())
        });
        assert_eq!(one + two, 100, "each once, without an error");
    }

    #[test]
    fn a_silent_site_s_folder_does_not_grow() {
        let folder = tempfile::tempdir().unwrap();
        let south = name("SOUTH/HQ");
        let sender = FolderTransit::new(folder.path(), name("NORTH/HQ"));
        for number in 1..=10 {
            send(&sender, &south, number);
        }
        let receiver = FolderTransit::new(folder.path(), south);
        let numbers: Vec<u64> = receiver.arrived().unwrap().iter().map(|m| m.number).collect();
        assert_eq!(numbers, [8, 9, 10]);
    }

    /// The temporary file of a process that died is removed when its postoffice sends next. Those
    /// of other postoffices stay.
    #[test]
    fn a_dead_writer_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (north, south) = (name("NORTH/HQ"), name("SOUTH/HQ"));
        let sender = FolderTransit::new(folder.path(), north.clone());
        send(&sender, &south, 1);
        let inbox = sender.inbox(&south);
        let left = |from: &PostofficeName| {
            let (to, epoch, front, body) = (&south, "e", &[], Body::default());
            let message = Outgoing { from, to, epoch, number: 1, part: 1, front, body: &body };
            let path = inbox.join(format!(".dirsync-{}.aBcDeF.tmp", name::file_name(&message)));
            fs::write(&path, "half").unwrap();
            path
        };
        let (own, other) = (left(&north), left(&name("WEST/HQ")));
        send(&sender, &south, 2);
        assert!(!own.exists() && other.exists());
    }

    /// A message is never set aside without its reason, at whatever point the process dies.
    #[test]
    fn the_reason_is_written_before_the_message_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        let transit = FolderTransit::new(folder.path(), name("NORTH/HQ"));
        for nth in 1.. {
            send(&transit, &transit.me, nth);
            let message = transit.arrived().unwrap().remove(0);
            let target = transit.inbox(&transit.me).join(REFUSED);
            let target = target.join(&message.id);
            durable::fail_at(Some(nth));
            let refused = transit.refuse(&message, "why");
            durable::fail_at(None);
            assert!(!target.exists() || reason_of(&target).exists(), "{nth}");
            if refused.is_ok() {
                break;
            }
            transit.refuse(&message, "why").unwrap();
        }
        let gone = Arrived { id: "gone".into(), ..scan_hint() };
        assert!(!transit.refuse(&gone, "why").unwrap());
        let left = transit.inbox(&transit.me).join(REFUSED).join("gone.reason.txt");
        assert!(!left.exists(), "nor a reason without its message");
    }

    fn scan_hint() -> Arrived {
        let token = name::encode("a/b");
        name::read(&format!("{token}-{token}-1-1.dirsync")).unwrap()
    }

    #[test]
    fn a_clock_that_is_set_back_removes_nothing_newer() {
        let folder = tempfile::tempdir().unwrap();
        let transit = FolderTransit::new(folder.path(), name("NORTH/HQ"));
        let numbers = || transit.arrived().unwrap().iter().map(|m| m.number).collect::<Vec<_>>();
        for number in 1..=3 {
            send(&transit, &transit.me, number);
        }
        for message in transit.arrived().unwrap() {
            let file = File::options().write(true).open(message.whereabouts).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1 << 33)).unwrap();
        }
        send(&transit, &transit.me, 4);
        assert_eq!(numbers(), [2, 3, 4]);
        send(&transit, &transit.me, 1);
        assert_eq!(numbers(), [1, 3, 4], "what was just sent is never removed");
    }

    #[test]
    fn an_older_life_of_the_sender_does_not_grow_either() {
        let folder = tempfile::tempdir().unwrap();
        let transit = FolderTransit::new(folder.path(), name("NORTH/HQ"));
        let (me, body) = (&transit.me, body());
        for epoch in ["a", "b", "c", "d", "e", "f"] {
            for part in [1, 2] {
                let outgoing =
                    Outgoing { from: me, to: me, epoch, number: 9, part, front: b"h", body: &body };
                transit.send(&outgoing).unwrap();
            }
        }
        let left = transit.arrived().unwrap();
        assert_eq!(left.len(), 2 * (1 + UNREAD_NUMBERS_MAX), "parts stay together");
        assert_eq!(left.last().unwrap().epoch, "f");
    }

    #[test]
    fn what_was_taken_is_kept_aside_and_then_removed() {
        let folder = tempfile::tempdir().unwrap();
        let south = name("SOUTH/HQ");
        let sender = FolderTransit::new(folder.path(), name("NORTH/HQ"));
        let receiver = FolderTransit::new(folder.path(), south.clone());
        send(&sender, &south, 1);
        send(&sender, &south, 2);
        let arrived = receiver.arrived().unwrap();
        assert!(receiver.finished(&arrived[0]).unwrap());
        assert!(receiver.refuse(&arrived[1], "it is wrong").unwrap());
        assert_eq!(receiver.purge(0).unwrap(), 0, "not yet");
        for nth in 1.. {
            durable::fail_at(Some(nth));
            let purged = receiver.purge(u64::MAX / 2);
            durable::fail_at(None);
            if purged.is_ok() {
                break;
            }
        }
        for place in [DONE, REFUSED] {
            let folder = receiver.inbox(&south).join(place);
            assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "nor is a reason left alone");
        }
    }
}
