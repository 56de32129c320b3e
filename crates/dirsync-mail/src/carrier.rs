//! The carrier of files by mail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Cursor;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use dirsync_carrier::{Carrier, CarrierError, CarrierErrorKind, CarrierFile, MessageFile};
use dirsync_directory::PostofficeName;

use crate::address::MailAddress;
use crate::bounce::{Bounce, BounceClass};
use crate::compose::{Letter, file_bytes_max};
use crate::file::{FoundFile, other_name};
use crate::hint;
use crate::mailbox::Mailbox;
use crate::out::MailOut;
use crate::read::{self, About, Mail};

/// The size of an encoded mail that every mail server takes, in bytes: a stock Postfix refuses more than 10,240,000, with
/// the header that servers on the way add.
pub const MAIL_BYTES_MAX: u64 = 10_000_000;
/// The largest mail that is read, in bytes.
const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The most bytes of files that are kept in memory between a listing and the fetching of them.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most mails that were sent whose ids are remembered.
const SENT_MAX: usize = 10_000;

/// A bounce of a file of this postoffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The handle of the mail, for [`MailCarrier::file`].
    pub mail: String,
    /// The name of the file. `None` if the bounce does not say which it was.
    pub file_name: Option<String>,
    /// The postoffice for which it was. `None` if the bounce does not say it.
    pub addressee: Option<PostofficeName>,
    /// What became of it.
    pub class: BounceClass,
    /// The words of the other side.
    pub words: String,
}

/// A mail that carries nothing which can be used, though it is about files of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Useless {
    /// The handle of the mail, for [`MailCarrier::file`].
    pub mail: String,
    /// Its sender and its subject.
    pub about: About,
    /// Why it is of no use. `None` for an automatic reply, which needs nobody.
    pub reason: Option<String>,
}

/// The numbers of unread mails, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mails with files of this program.
    pub with_files: u64,
    /// Bounces of mail of this program.
    pub bounces: u64,
    /// Mails for [`MailCarrier::useless`].
    pub useless: u64,
    /// Messages of the classic protocol.
    pub classic: u64,
    /// Other people's mails.
    pub others: u64,
}

/// Between whom mail is exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// This postoffice.
    pub me: PostofficeName,
    /// Its address, to which bounces come.
    pub address: MailAddress,
    /// The addresses of the others.
    pub peers: BTreeMap<PostofficeName, MailAddress>,
}

/// Moves files by mail: each in a mail of its own, out by a mail server, in from a mailbox.
///
/// Whether a file was seen before is decided by its receiver alone. A mail is marked as read when its file was taken, and
/// not before. Mail of others is never marked, and no mail is ever answered.
pub struct MailCarrier {
    parties: Parties,
    out: Box<dyn MailOut>,
    mailbox: Box<dyn Mailbox>,
    mail_bytes_max: u64,
    file_bytes_max: u64,
    state: Mutex<State>,
}

impl fmt::Debug for MailCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailCarrier").field("parties", &self.parties).finish_non_exhaustive()
    }
}

/// What is known of the unread mail. All of it can be read again.
#[derive(Default)]
struct State {
    mails: BTreeMap<String, Known>,
    /// The unread mails, oldest first.
    order: Vec<String>,
    kept: BTreeMap<(String, usize), Vec<u8>>,
    /// The contents that names mean since the last listing, so that what was fetched is taken, and nothing else.
    meant: BTreeMap<String, blake3::Hash>,
    /// The files of mails with several that were taken.
    taken: BTreeSet<(String, usize)>,
    /// The mails of which people were told.
    told: BTreeSet<String>,
    sent: BTreeMap<String, (String, PostofficeName)>,
}

/// A mail that was read.
enum Known {
    Files(Vec<KnownFile>),
    Bounce(Bounce),
    Useless(About, Option<String>),
    Classic,
    Others,
}

struct KnownFile {
    name: String,
    to: Option<PostofficeName>,
    hash: blake3::Hash,
    bytes: u64,
}

/// A file in the mailbox, in one or more mails.
struct Listed {
    hash: blake3::Hash,
    bytes: u64,
    at: Vec<(String, usize)>,
}

impl MailCarrier {
    /// A carrier for files whose mail has at most `mail_bytes_max` bytes, usually [`MAIL_BYTES_MAX`].
    pub fn new(
        parties: Parties,
        out: Box<dyn MailOut>,
        mailbox: Box<dyn Mailbox>,
        mail_bytes_max: u64,
    ) -> Self {
        let from = (&parties.me, &parties.address);
        let file_bytes_max = file_bytes_max(mail_bytes_max, from, &parties.peers);
        let state = Mutex::default();
        Self { parties, out, mailbox, mail_bytes_max, file_bytes_max, state }
    }

    /// The bounces of files of this postoffice that came since the last call. Call [`Self::file`] for each when it is
    /// noted durably; otherwise it comes again when the program runs again.
    ///
    /// # Errors
    ///
    /// If the mailbox cannot be read.
    pub fn returned(&self) -> Result<Vec<Returned>, CarrierError> {
        let mut state = self.scanned()?;
        let mut returned = Vec::new();
        for mail in state.order.clone() {
            let Some(Known::Bounce(bounce)) = state.mails.get(&mail) else { continue };
            let matched = self.matched(bounce, &state.sent);
            let (class, words) = (bounce.class, bounce.words.clone());
            let Some((file_name, addressee)) = matched else { continue };
            if state.told.insert(mail.clone()) {
                returned.push(Returned { mail, file_name, addressee, class, words });
            }
        }
        Ok(returned)
    }

    /// The mails that came since the last call and carry nothing which can be used. Call [`Self::file`] for each when it
    /// is noted durably.
    ///
    /// # Errors
    ///
    /// If the mailbox cannot be read.
    pub fn useless(&self) -> Result<Vec<Useless>, CarrierError> {
        let mut state = self.scanned()?;
        let mut useless = Vec::new();
        for mail in state.order.clone() {
            let Some(Known::Useless(about, reason)) = state.mails.get(&mail) else { continue };
            let (about, reason) = (about.clone(), reason.clone());
            if state.told.insert(mail.clone()) {
                useless.push(Useless { mail, about, reason });
            }
        }
        Ok(useless)
    }

    /// Marks a mail as read of which [`Self::returned`] or [`Self::useless`] told.
    ///
    /// # Errors
    ///
    /// If the mailbox cannot be written.
    pub fn file(&self, mail: &str) -> Result<(), CarrierError> {
        self.mailbox.file(mail)
    }

    /// The numbers of unread mails.
    ///
    /// # Errors
    ///
    /// If the mailbox cannot be read.
    pub fn counts(&self) -> Result<Counts, CarrierError> {
        let state = self.scanned()?;
        let mut counts = Counts::default();
        for known in state.mails.values() {
            match known {
                Known::Files(_) => counts.with_files += 1,
                Known::Bounce(_) => counts.bounces += 1,
                Known::Useless(..) => counts.useless += 1,
                Known::Classic => counts.classic += 1,
                Known::Others => counts.others += 1,
            }
        }
        Ok(counts)
    }

    /// The file and the addressee of a bounce, as far as they are known. `None` if it is about a mail of another
    /// postoffice with the same mailbox.
    fn matched(
        &self,
        bounce: &Bounce,
        sent: &BTreeMap<String, (String, PostofficeName)>,
    ) -> Option<(Option<String>, Option<PostofficeName>)> {
        if let Some((from, to, file)) = &bounce.returned {
            return (*from == self.parties.me).then(|| (Some(file.clone()), Some(to.clone())));
        }
        if let Some((file, to)) = bounce.ids.iter().find_map(|id| sent.get(id)) {
            return Some((Some(file.clone()), Some(to.clone())));
        }
        let is_known = |(_, address): &(&PostofficeName, &MailAddress)| {
            bounce.recipients.iter().any(|recipient| address.is(recipient))
        };
        let peer = self.parties.peers.iter().find(is_known).map(|(name, _)| name.clone());
        Some((None, peer))
    }

    fn failed(&self, kind: CarrierErrorKind, place: String, said: String) -> CarrierError {
        CarrierError { kind, place, said }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the mail that came since the last time.
    fn scanned(&self) -> Result<MutexGuard<'_, State>, CarrierError> {
        let unread = self.mailbox.unread()?;
        let mut state = self.state();
        let ids: BTreeSet<&str> = unread.iter().map(|mail| mail.id.as_str()).collect();
        state.mails.retain(|id, _| ids.contains(id.as_str()));
        state.kept.retain(|(id, _), _| ids.contains(id.as_str()));
        state.taken.retain(|(id, _)| ids.contains(id.as_str()));
        state.told.retain(|id| ids.contains(id.as_str()));
        state.order.clear();
        for mail in &unread {
            if !state.mails.contains_key(&mail.id) {
                let Some(known) = self.look(&mail.id, mail.bytes, &mut state)? else { continue };
                state.mails.insert(mail.id.clone(), known);
            }
            state.order.push(mail.id.clone());
        }
        Ok(state)
    }

    /// Reads one mail. `None` if it is gone.
    fn look(&self, id: &str, bytes: u64, state: &mut State) -> Result<Option<Known>, CarrierError> {
        if bytes > READ_BYTES_MAX {
            return Ok(Some(Known::Others));
        }
        let mail = match self.mailbox.read(id, READ_BYTES_MAX) {
            Ok(Some(mail)) => mail,
            Ok(None) => return Ok(None),
            Err(error) if error.kind == CarrierErrorKind::TooLarge => {
                return Ok(Some(Known::Others));
            }
            // One mail that cannot be read must not keep the others from being found.
            Err(error) if error.kind == CarrierErrorKind::Refused => {
                return Ok(Some(Known::Useless(About::default(), Some(error.to_string()))));
            }
            Err(error) => return Err(error),
        };
        let (mail, about) = read::read(&mail);
        Ok(Some(match mail {
            Mail::Files(files) => Known::Files(self.known(id, files, state)),
            Mail::Bounce(bounce) => Known::Bounce(bounce),
            Mail::AutomaticReply => Known::Useless(about, None),
            Mail::Unusable(reason) => Known::Useless(about, Some(reason.to_owned())),
            Mail::Classic => Known::Classic,
            Mail::Others => Known::Others,
        }))
    }

    fn known(&self, id: &str, files: Vec<FoundFile>, state: &mut State) -> Vec<KnownFile> {
        let mut known = Vec::with_capacity(files.len());
        for (nth, file) in files.into_iter().enumerate() {
            let FoundFile { name, to, bytes } = file;
            let (hash, size) = (blake3::hash(&bytes), bytes.len() as u64);
            let kept: usize = state.kept.values().map(Vec::len).sum();
            if self.is_mine(to.as_ref()) && kept + bytes.len() <= KEPT_BYTES_MAX {
                state.kept.insert((id.to_owned(), nth), bytes);
            }
            known.push(KnownFile { name, to, hash, bytes: size });
        }
        known
    }

    /// A file that does not say for whom it is, in a mail that does not say it either, is for whoever has the mailbox.
    fn is_mine(&self, to: Option<&PostofficeName>) -> bool {
        to.is_none_or(|to| *to == self.parties.me)
    }

    /// The files for this postoffice, by their names. Of different files with one name the oldest has it, and each other
    /// one has a name made of its content: whoever sends a file under the name of a genuine one must not hide that.
    fn listed(&self, state: &State) -> BTreeMap<String, Listed> {
        let mut listed: BTreeMap<String, Listed> = BTreeMap::new();
        for mail in &state.order {
            let Some(Known::Files(files)) = state.mails.get(mail) else { continue };
            for (nth, file) in files.iter().enumerate() {
                let at = (mail.clone(), nth);
                if !self.is_mine(file.to.as_ref()) || state.taken.contains(&at) {
                    continue;
                }
                let KnownFile { hash, bytes, .. } = *file;
                let is_other = listed.get(&file.name).is_some_and(|one| one.hash != hash);
                let name = if is_other { other_name(&file.name, &hash) } else { file.name.clone() };
                let one = listed.entry(name);
                one.or_insert_with(|| Listed { hash, bytes, at: Vec::new() }).at.push(at);
            }
        }
        listed
    }

    /// The file that a name means. Its name in a new listing may be another, because an older file was taken.
    fn find(&self, state: &mut State, name: &str) -> Option<Listed> {
        let mut listed = self.listed(state);
        let Some(hash) = state.meant.get(name) else {
            let listed = listed.remove(name)?;
            state.meant.insert(name.to_owned(), listed.hash);
            return Some(listed);
        };
        let is_meant = |one: &Listed| one.hash == *hash;
        if listed.get(name).is_some_and(is_meant) {
            return listed.remove(name);
        }
        let of_same_file = |listed: &&String| {
            *listed == name
                || other_name(listed, hash) == name
                || other_name(name, hash) == **listed
        };
        let mut names = listed.iter().filter(|(_, one)| is_meant(one)).map(|(name, _)| name);
        let name = names.find(of_same_file)?.clone();
        listed.remove(&name)
    }

    /// The bytes of a file, if a mail with it is still unread.
    fn bytes_of(&self, listed: &Listed, state: &State) -> Result<Option<Vec<u8>>, CarrierError> {
        for at in &listed.at {
            if let Some(bytes) = state.kept.get(at) {
                if self.mailbox.is_unread(&at.0)? {
                    return Ok(Some(bytes.clone()));
                }
                continue;
            }
            let Some(mail) = self.mailbox.read(&at.0, READ_BYTES_MAX)? else { continue };
            if let (Mail::Files(files), _) = read::read(&mail)
                && let Some(file) = files.into_iter().nth(at.1)
                && blake3::hash(&file.bytes) == listed.hash
            {
                return Ok(Some(file.bytes));
            }
        }
        Ok(None)
    }

    fn fetch_any(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError> {
        if !hint::is_file_name(name) {
            return Ok(None);
        }
        let fetched = self.fetch_known(&mut self.state(), name, bytes_max)?;
        match fetched {
            Some(bytes) => Ok(Some(bytes)),
            None => self.fetch_known(&mut *self.scanned()?, name, bytes_max),
        }
    }

    /// Fetches a file from a mail that was read already.
    fn fetch_known(
        &self,
        state: &mut State,
        name: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, CarrierError> {
        let Some(listed) = self.find(state, name) else { return Ok(None) };
        if listed.bytes > bytes_max {
            let said = format!("\"{name}\" has more than {bytes_max} bytes");
            return Err(self.failed(CarrierErrorKind::TooLarge, self.mailbox.place(), said));
        }
        self.bytes_of(&listed, state)
    }
}

/// The time, which stands in a mail for people alone.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

impl Carrier for MailCarrier {
    fn place(&self) -> String {
        format!("mail by {} and {}", self.out.place(), self.mailbox.place())
    }

    fn file_bytes_max(&self) -> Option<u64> {
        Some(self.file_bytes_max)
    }

    fn continues(&self) -> bool {
        false
    }

    fn put(&self, to: &PostofficeName, name: &str, bytes: &[u8]) -> Result<(), CarrierError> {
        assert!(hint::is_file_name(name), "\"{name}\" is the name of no file of ours");
        let Parties { me, address, peers } = &self.parties;
        let Some(to_address) = peers.get(to) else {
            let said = format!("no mail address is known for {to}");
            return Err(self.failed(CarrierErrorKind::Settings, self.out.place(), said));
        };
        if bytes.len() as u64 > self.file_bytes_max {
            let (size, limit) = (bytes.len(), self.mail_bytes_max);
            let said = format!("{size} bytes do not fit into a mail of {limit} bytes");
            return Err(self.failed(CarrierErrorKind::TooLarge, self.out.place(), said));
        }
        let letter =
            Letter { from: me, to, from_address: address, to_address, name, bytes, sent: now() };
        {
            let mut state = self.state();
            if state.sent.len() >= SENT_MAX {
                state.sent.pop_first();
            }
            state.sent.insert(hint::id_of(me, to, name), (name.to_owned(), to.clone()));
        }
        self.out.send(address, to_address, &letter.compose())
    }

    fn list(&self) -> Result<Vec<CarrierFile>, CarrierError> {
        let mut state = self.scanned()?;
        let listed = self.listed(&state);
        state.meant = listed.iter().map(|(name, one)| (name.clone(), one.hash)).collect();
        let file = |(name, one): (String, Listed)| CarrierFile { name, bytes: Some(one.bytes) };
        Ok(listed.into_iter().map(file).collect())
    }

    fn fetch(&self, file: &CarrierFile, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError> {
        self.fetch_any(&file.name, bytes_max)
    }

    fn open(&self, file: &CarrierFile) -> Result<Option<Box<dyn MessageFile>>, CarrierError> {
        let bytes = self.fetch_any(&file.name, u64::MAX)?;
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn MessageFile>))
    }

    fn taken(&self, file: &CarrierFile) -> Result<(), CarrierError> {
        if !hint::is_file_name(&file.name) {
            return Ok(());
        }
        let mut state = self.state();
        let mut listed = self.find(&mut state, &file.name);
        if listed.is_none() {
            drop(state);
            state = self.scanned()?;
            listed = self.find(&mut state, &file.name);
        }
        for at in listed.into_iter().flat_map(|listed| listed.at) {
            let files = match state.mails.get(&at.0) {
                Some(Known::Files(files)) => files,
                _ => continue,
            };
            // The mail is read when all of its files for this postoffice were taken.
            let is_done = |(nth, file): (usize, &KnownFile)| {
                nth == at.1
                    || !self.is_mine(file.to.as_ref())
                    || state.taken.contains(&(at.0.clone(), nth))
            };
            if files.iter().enumerate().all(is_done) {
                self.mailbox.file(&at.0)?;
                state.mails.remove(&at.0);
                state.order.retain(|id| *id != at.0);
            } else {
                state.taken.insert(at);
            }
        }
        // The name goes on to mean this content until the next listing, so taking it twice takes nothing else.
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests;
