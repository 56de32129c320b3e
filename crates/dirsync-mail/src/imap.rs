//! A mailbox behind IMAP.
//!
//! Mail is unread if it has neither the flag `\Seen` nor `\Deleted`. It is fetched with `BODY.PEEK[]`, which sets no flag,
//! and gets `\Seen` when its file was taken, or is moved to a folder after that. UIDVALIDITY and UID are the handle of a mail:
//! they save fetching it again, and nothing more. When a server renumbers its mail, everything unread is fetched once
//! more, and its receiver knows what it had.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dirsync_carrier::{CarrierError, CarrierErrorKind};
use dirsync_directory::shown;
use futures_util::TryStreamExt as _;
use tokio::runtime::Runtime;

use crate::mailbox::{MailRef, Mailbox};
use crate::out::{Login, Security};

mod session;

use session::{Failure, Selected, connect, within};

/// The longest time for which one IDLE waits: routers forget silent connections.
pub const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
/// How often a waiting call asks whether to go on.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// The slowest line that is worth waiting for, in bytes a second.
const BYTES_A_SECOND: u64 = 1000;
/// The most ranges of numbers in one command: servers limit its length.
const RANGES_MAX: usize = 100;
const CHARS_SHOWN_MAX: usize = 300;

/// The settings of a mailbox.
#[derive(Clone, Debug)]
pub struct ImapSettings {
    /// The host, by its name or IP address.
    pub host: String,
    /// The port: usually 993, with STARTTLS 143.
    pub port: u16,
    /// How the connection is protected. Without protection no password is sent, but to this machine.
    pub security: Security,
    /// The login.
    pub login: Login,
    /// The folder that is read, usually `INBOX`.
    pub folder: String,
    /// The folder to which mail is moved whose file was taken; `None` leaves it where it is.
    pub taken_to: Option<String>,
    /// The certificates that the server's must lead to, as PEM. `None`: those that the operating system trusts.
    pub roots: Option<Vec<u8>>,
    /// How long each answer of the server may take, for a long mail longer.
    pub patience: Duration,
}

/// A mailbox behind IMAP. Its calls block, and must not be made within a runtime of tokio.
#[derive(Debug)]
pub struct Imap {
    settings: ImapSettings,
    line: Mutex<Line>,
    /// A line of its own for [`Imap::wait_for_mail`], so that the mailbox can be used meanwhile.
    waiting: Mutex<Line>,
    /// The highest UID when the mailbox was last listed.
    highest: AtomicU32,
}

/// A runtime, and the session on it.
#[derive(Debug, Default)]
struct Line {
    runtime: Option<Runtime>,
    selected: Option<Selected>,
}

impl Imap {
    /// The mailbox. Nothing is connected yet.
    pub fn new(settings: ImapSettings) -> Self {
        let (line, waiting, highest) = Default::default();
        Self { settings, line, waiting, highest }
    }

    /// Waits until mail comes that was not there when the mailbox was last listed, at most for `timeout`. Returns whether
    /// it is time to look. Each half second `goes_on` says whether to wait on.
    ///
    /// A server without IDLE is asked for nothing: at the end of `timeout` it is time to look.
    ///
    /// # Errors
    ///
    /// If the mailbox cannot be reached.
    pub fn wait_for_mail(
        &self,
        timeout: Duration,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, CarrierError> {
        let end = Instant::now() + timeout;
        let mut line = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while goes_on() {
            let rest = end.saturating_duration_since(Instant::now()).min(IDLE_MAX);
            let known = self.highest.load(Ordering::Relaxed);
            let patience = self.settings.patience;
            let outcome = self.on(&mut line, async |selected| {
                if session::highest_uid(selected, patience).await? > known {
                    return Ok(Some(true));
                }
                if rest.is_zero() {
                    return Ok(Some(!selected.can_idle));
                }
                Ok(None)
            })?;
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
            self.idle(&mut line, rest, goes_on)?;
        }
        Ok(false)
    }

    /// Waits until the server says anything, or the time is over.
    fn idle(
        &self,
        line: &mut Line,
        rest: Duration,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), CarrierError> {
        let (Some(runtime), Some(selected)) = (&line.runtime, line.selected.take()) else {
            return Ok(());
        };
        let waited = selected.idle(self.settings.patience, rest, ASK_EVERY, goes_on);
        let selected = runtime.block_on(waited).map_err(|failure| self.failed(failure))?;
        line.selected = Some(selected);
        Ok(())
    }

    fn failed(&self, failure: Failure) -> CarrierError {
        let Failure { kind, said, .. } = failure;
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().take(CHARS_SHOWN_MAX).collect();
        CarrierError { kind, place: self.place(), said: shown(&said).into_owned() }
    }

    fn run<T>(
        &self,
        work: impl AsyncFn(&mut Selected) -> Result<T, Failure>,
    ) -> Result<T, CarrierError> {
        self.on(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner), work)
    }

    /// Works on a session. One that was open before may have been ended by the server meanwhile; then a new one is
    /// tried.
    fn on<T>(
        &self,
        line: &mut Line,
        work: impl AsyncFn(&mut Selected) -> Result<T, Failure>,
    ) -> Result<T, CarrierError> {
        let Line { runtime, selected } = line;
        let runtime = match runtime {
            Some(runtime) => runtime,
            None => {
                let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let made = made.map_err(|error| {
                    self.failed(Failure::new(CarrierErrorKind::Unreachable, error.to_string()))
                })?;
                runtime.insert(made)
            }
        };
        let outcome = runtime.block_on(async {
            loop {
                let was_open = selected.is_some();
                let mut session = match selected.take() {
                    Some(session) => session,
                    None => connect(&self.settings).await?,
                };
                match work(&mut session).await {
                    Err(failure) if failure.is_cut => {
                        if !was_open || !failure.may_help {
                            return Err(failure);
                        }
                    }
                    outcome => {
                        *selected = Some(session);
                        return outcome;
                    }
                }
            }
        });
        outcome.map_err(|failure| self.failed(failure))
    }

    fn time_for(&self, bytes: u64) -> Duration {
        self.settings.patience + Duration::from_secs(bytes / BYTES_A_SECOND)
    }
}

/// `UIDVALIDITY.UID`, so that the order of handles of one mailbox is that of its mail.
fn handle(validity: u32, uid: u32) -> String {
    format!("{validity:010}.{uid:010}")
}

/// The UID of a handle, if the mailbox still has this validity.
fn uid_of(id: &str, validity: u32) -> Option<u32> {
    let (of, uid) = id.split_once('.')?;
    let uid = uid.parse().ok()?;
    (of.parse() == Ok(validity) && handle(validity, uid) == id).then_some(uid)
}

/// Numbers, rising, as sets of a command: `1:3,7`.
fn sets(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}:{last}"),
    };
    let sets = ranges.chunks(RANGES_MAX);
    sets.map(|set| set.iter().map(text).collect::<Vec<_>>().join(",")).collect()
}

impl Mailbox for Imap {
    fn place(&self) -> String {
        let ImapSettings { host, port, login, folder, .. } = &self.settings;
        format!("the mailbox \"{folder}\" of {} at {host}:{port}", login.user)
    }

    fn unread(&self) -> Result<Vec<MailRef>, CarrierError> {
        let patience = self.settings.patience;
        let (mails, highest) = self.run(async |selected| {
            let highest = session::highest_uid(selected, patience).await?;
            let session = &mut selected.session;
            let found = within(patience, session.uid_search("UNSEEN UNDELETED")).await?;
            let found: std::collections::BTreeSet<u32> = found.into_iter().collect();
            selected.sizes.retain(|uid, _| found.contains(uid));
            let unknown = found.iter().copied().filter(|uid| !selected.sizes.contains_key(uid));
            for set in sets(unknown.collect::<Vec<_>>()) {
                let fetched = async {
                    let fetches = selected.session.uid_fetch(&set, "(UID RFC822.SIZE)").await?;
                    fetches.try_collect::<Vec<_>>().await
                };
                let fetched = within(patience, fetched).await?;
                let sizes = fetched.iter().filter_map(|fetch| Some((fetch.uid?, fetch.size?)));
                selected.sizes.extend(sizes.filter(|(uid, _)| found.contains(uid)));
            }
            let sizes: BTreeMap<u32, u32> = selected.sizes.clone();
            let mail = |(uid, bytes): (u32, u32)| MailRef {
                id: handle(selected.validity, uid),
                bytes: u64::from(bytes),
            };
            Ok((sizes.into_iter().map(mail).collect(), highest))
        })?;
        self.highest.store(highest, Ordering::Relaxed);
        Ok(mails)
    }

    fn is_unread(&self, id: &str) -> Result<bool, CarrierError> {
        let patience = self.settings.patience;
        self.run(async |selected| {
            let Some(uid) = uid_of(id, selected.validity) else { return Ok(false) };
            let found = session::fetch(selected, uid, "(UID FLAGS)", patience).await?;
            Ok(found.is_some_and(|fetch| session::is_unread(&fetch)))
        })
    }

    fn read(&self, id: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, CarrierError> {
        let patience = self.settings.patience;
        self.run(async |selected| {
            let Some(uid) = uid_of(id, selected.validity) else { return Ok(None) };
            let found = session::fetch(selected, uid, "(UID FLAGS RFC822.SIZE)", patience).await?;
            let Some(found) = found.filter(session::is_unread) else { return Ok(None) };
            let bytes = u64::from(found.size.unwrap_or(0));
            if bytes > bytes_max {
                let said = format!("a mail has more than {bytes_max} bytes");
                return Err(Failure::new(CarrierErrorKind::TooLarge, said));
            }
            let time = self.time_for(bytes);
            let found = session::fetch(selected, uid, "(UID BODY.PEEK[])", time).await?;
            Ok(found.and_then(|fetch| fetch.body().map(<[u8]>::to_vec)))
        })
    }

    fn file(&self, id: &str) -> Result<(), CarrierError> {
        let (patience, taken_to) = (self.settings.patience, self.settings.taken_to.as_deref());
        self.run(async |selected| {
            let Some(uid) = uid_of(id, selected.validity) else { return Ok(()) };
            let set = uid.to_string();
            let stored = async {
                let stored = selected.session.uid_store(&set, "+FLAGS.SILENT (\\Seen)").await?;
                stored.try_collect::<Vec<_>>().await
            };
            within(patience, stored).await?;
            selected.sizes.remove(&uid);
            let Some(folder) = taken_to.filter(|_| selected.can_move) else { return Ok(()) };
            within(patience, selected.session.uid_mv(&set, folder)).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_of_one_validity() {
        assert_eq!(uid_of(&handle(7, 12), 7), Some(12));
        assert_eq!(uid_of(&handle(7, u32::MAX), 7), Some(u32::MAX));
        for id in ["", "7", "7.12", "0000000007.+000000012", "0000000007.0000000012:*"] {
            assert_eq!(uid_of(id, 7), None, "{id}");
        }
        assert_eq!(uid_of(&handle(7, 12), 8), None);
        assert!(handle(7, 9) < handle(7, 10));
    }

    #[test]
    fn numbers_are_short_sets() {
        assert_eq!(sets([]), [""; 0]);
        assert_eq!(sets([1, 2, 3, 7, 9, 10]), ["1:3,7,9:10"]);
        assert_eq!(sets([u32::MAX - 1, u32::MAX]), ["4294967294:4294967295"]);
        let scattered = sets((0..1000).map(|n| n * 2));
        assert_eq!(scattered.len(), 1000 / RANGES_MAX);
    }
}
