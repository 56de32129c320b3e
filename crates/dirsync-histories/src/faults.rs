//! What happens to shared folders and to the messages in them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use super::place::{Checked, Place};
use super::step::{SHARES, Verb};

/// Longer than any message may be, and no bytes on the disk.
const HUGE_BYTES: u64 = 3 << 30;

/// What was done to shares and has to be undone when the faults stop.
#[derive(Default)]
pub struct Faults {
    /// Messages that were taken out: where they were, where they are.
    held: Vec<(PathBuf, PathBuf)>,
    /// What was put into inboxes and is no message.
    planted: Vec<PathBuf>,
    /// Parts of inboxes that something else stands in the place of.
    blocked: Vec<PathBuf>,
    taken: usize,
}

fn failed(what: &str, path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("no fault: could not {what} {}: {error}", path.display())
}

/// The messages in a shared folder, oldest first.
fn messages(share: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for inbox in fs::read_dir(share).into_iter().flatten().flatten() {
        for file in fs::read_dir(inbox.path()).into_iter().flatten().flatten() {
            let path = file.path();
            let is_message = path.extension().is_some_and(|end| end == "dirsync");
            if let (true, Ok(data)) = (is_message, fs::symlink_metadata(&path))
                && data.is_file()
            {
                found.push((data.modified().unwrap_or(SystemTime::UNIX_EPOCH), path));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

impl Faults {
    /// Something happens to a shared folder. Where there is nothing that it can happen to, nothing does.
    pub fn strike(
        &mut self,
        place: &mut Place,
        share: usize,
        verb: Verb,
        number: usize,
    ) -> Checked<()> {
        let root = place.path(SHARES[share]);
        match verb {
            Verb::Away | Verb::AsFile => return take_away(place, share, verb == Verb::AsFile),
            Verb::Back => return give_back(place, share),
            Verb::Return => return self.give_messages_back(place),
            Verb::Block => return self.block(place, &root, number),
            _ => {}
        }
        let messages = messages(&root);
        if messages.is_empty() {
            return Ok(());
        }
        let path = &messages[number % messages.len()];
        place.tell(format!("{} {}", verb.word(), path.display()));
        // An agent may take the message first; then there is nothing to harm.
        let outcome = self.harm(place, path, verb, number);
        if path.exists() { outcome } else { Ok(()) }
    }

    fn harm(&mut self, place: &Place, path: &Path, verb: Verb, number: usize) -> Checked<()> {
        match verb {
            Verb::Lose => fs::remove_file(path).map_err(failed("remove", path)),
            Verb::Hold | Verb::Double => self.hold(place, path, verb == Verb::Double),
            Verb::Plant => self.plant(path, number),
            _ => {
                let mut bytes = fs::read(path).map_err(failed("read", path))?;
                let at = number * 7919 % bytes.len().max(1);
                match verb {
                    Verb::Cut => bytes.truncate(at),
                    Verb::Flip if !bytes.is_empty() => bytes[at] ^= 1 << (number % 8),
                    _ => bytes.clear(),
                }
                fs::write(path, bytes).map_err(failed("write", path))
            }
        }
    }

    fn hold(&mut self, place: &Place, path: &Path, copy: bool) -> Checked<()> {
        self.taken += 1;
        let limbo = place.path("limbo");
        fs::create_dir_all(&limbo).map_err(failed("make", &limbo))?;
        let to = limbo.join(self.taken.to_string());
        let moved = if copy { fs::copy(path, &to).map(|_| ()) } else { fs::rename(path, &to) };
        moved.map_err(failed("take", path))?;
        self.held.push((path.to_owned(), to));
        Ok(())
    }

    fn give_messages_back(&mut self, place: &mut Place) -> Checked<()> {
        let mut left = Vec::new();
        for (from, limbo) in std::mem::take(&mut self.held) {
            let inbox_is_there = from.parent().is_some_and(Path::is_dir);
            if inbox_is_there {
                fs::rename(&limbo, &from).map_err(failed("return", &from))?;
            } else {
                left.push((from, limbo));
            }
        }
        place.tell("messages return");
        self.held = left;
        Ok(())
    }

    /// Something that is no message takes the place of one, or stands beside it.
    fn plant(&mut self, path: &Path, number: usize) -> Checked<()> {
        let inbox = path.parent().unwrap_or(Path::new("."));
        let stranger = inbox.join("Thumbs.db");
        let at = if number % 7 == 6 { &stranger } else { path };
        if number % 7 < 5 {
            fs::remove_file(path).map_err(failed("remove", path))?;
        }
        let outcome = match number % 7 {
            0 => make_fifo(at),
            1 => symlink("/dev/zero", at),
            2 => fs::create_dir(at),
            3 => fs::File::create(at).and_then(|file| file.set_len(HUGE_BYTES)),
            4 => symlink(inbox.join("nowhere"), at),
            5 => fs::write(at, junk(number)),
            _ => fs::write(at, "nothing of ours"),
        };
        outcome.map_err(failed("plant", at))?;
        self.planted.push(at.to_owned());
        Ok(())
    }

    /// A link or a file takes the place of a part of an inbox.
    fn block(&mut self, place: &mut Place, root: &Path, number: usize) -> Checked<()> {
        let inboxes = fs::read_dir(root).into_iter().flatten().flatten();
        let mut inboxes: Vec<PathBuf> = inboxes.map(|inbox| inbox.path()).collect();
        inboxes.sort();
        if inboxes.is_empty() {
            return Ok(());
        }
        let inbox = &inboxes[number % inboxes.len()];
        let part = inbox.join(["done", "refused"][number / 3 % 2]);
        let beside = beside(&part);
        if beside.exists() || part.is_symlink() || part.is_file() {
            return Ok(());
        }
        if part.is_dir() {
            fs::rename(&part, &beside).map_err(failed("move", &part))?;
        }
        let blocked = match number / 6 % 2 {
            0 => symlink("/", &part),
            _ => fs::write(&part, "in the way"),
        };
        // An agent may have made it anew in between.
        if blocked.is_ok() {
            place.tell(format!("{} is blocked", part.display()));
            self.blocked.push(part);
        }
        Ok(())
    }

    fn unblock(&mut self, place: &mut Place) -> Checked<()> {
        for part in std::mem::take(&mut self.blocked) {
            let beside = beside(&part);
            fs::remove_file(&part).map_err(failed("remove", &part))?;
            if beside.exists() {
                fs::rename(&beside, &part).map_err(failed("move", &beside))?;
            }
            place.tell(format!("{} is free", part.display()));
        }
        Ok(())
    }

    /// Whether a step may fail, as a part of an inbox is not what it should be.
    pub fn are_parts_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// Whether nothing is away, in the way, or late.
    pub fn are_none(&self, place: &Place) -> bool {
        let there = (0..SHARES.len()).all(|share| is_there(place, share));
        there && self.held.is_empty() && self.planted.is_empty() && self.blocked.is_empty()
    }

    /// The faults stop: shares and late messages return, and somebody clears what is no message away.
    pub fn stop(&mut self, place: &mut Place) -> Checked<()> {
        for share in 0..SHARES.len() {
            give_back(place, share)?;
        }
        self.unblock(place)?;
        for path in std::mem::take(&mut self.planted) {
            let Ok(data) = fs::symlink_metadata(&path) else { continue };
            let removed =
                if data.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
            removed.map_err(failed("remove", &path))?;
        }
        self.give_messages_back(place)
    }
}

fn beside(part: &Path) -> PathBuf {
    part.with_extension("beside")
}

fn junk(number: usize) -> Vec<u8> {
    let mut random = crate::random::Random::new(number as u64);
    (0..600).map(|_| random.below(256) as u8).collect()
}

pub(super) fn make_fifo(path: &Path) -> std::io::Result<()> {
    // The program of POSIX: the library's call is not among the features that are on.
    let status = Command::new("mkfifo").arg(path).status()?;
    status.success().then_some(()).ok_or_else(|| std::io::Error::other("mkfifo failed"))
}

fn away(place: &Place, share: usize) -> PathBuf {
    place.path(&format!("{}.away", SHARES[share]))
}

fn take_away(place: &mut Place, share: usize, as_file: bool) -> Checked<()> {
    let (root, away) = (place.path(SHARES[share]), away(place, share));
    if away.exists() {
        return Ok(());
    }
    fs::rename(&root, &away).map_err(failed("move", &root))?;
    if as_file {
        let mut file = fs::File::create(&root).map_err(failed("write", &root))?;
        file.write_all(b"no folder").map_err(failed("write", &root))?;
    }
    place.tell(format!("{} is away", root.display()));
    Ok(())
}

fn give_back(place: &mut Place, share: usize) -> Checked<()> {
    let (root, away) = (place.path(SHARES[share]), away(place, share));
    if !away.exists() {
        return Ok(());
    }
    if root.is_file() {
        fs::remove_file(&root).map_err(failed("remove", &root))?;
    }
    if root.is_dir() {
        return Err(format!("share: {} was made while it was away", root.display()));
    }
    fs::rename(&away, &root).map_err(failed("move", &away))?;
    place.tell(format!("{} is back", root.display()));
    Ok(())
}

/// Whether a shared folder is there.
pub fn is_there(place: &Place, share: usize) -> bool {
    !away(place, share).exists()
}
