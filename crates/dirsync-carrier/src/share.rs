//! Work in shared folders by a thread for each, for a program that serves several postoffices. A network
//! share whose server is gone often hangs instead of failing. It then holds up its own messages alone.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dirsync_directory::PostofficeName;

use crate::folder::in_words;
use crate::{Arrived, Body, MessageFile, OpenedFile, Outgoing, Transit, TransitError};

/// The slowest rate at which a share that works reads or writes, in bytes a second. A long file gets
/// so much more time.
const BYTES_PER_SECOND: u64 = 64 * 1024;
/// How long a program in haste waits for a share at first.
const AT_FIRST: Duration = Duration::from_secs(2);
/// A file of at most this size is read when it is opened, in bytes.
const SMALL_BYTES: u64 = 64 * 1024;
/// The most messages that are sent within the time that one of them is given.
const MESSAGES_AT_ONCE: usize = 100;

type Job = Box<dyn FnOnce() + Send>;

/// The threads of a program that work in shared folders. Clones have the same threads.
#[derive(Clone, Default)]
pub struct Shares {
    threads: Arc<Mutex<BTreeMap<PathBuf, Arc<ShareThread>>>>,
    /// The longest wait for a share that has not proved to be slow. `None` if all patience is given at once.
    at_first: Option<Duration>,
}

impl Shares {
    /// The threads of a program in which much else waits while it waits for a share. A share has at first two seconds.
    /// Whenever work that was given up has ended at last, the share is slow and does not hang, so it has twice as long
    /// from then on.
    pub fn in_haste() -> Self {
        Self { at_first: Some(AT_FIRST), ..Self::default() }
    }

    /// Runs `work` in the thread of a folder, and waits at most `patience` for its end, and longer if it moves many
    /// bytes. Work that takes longer is given up: it may still be done, or half done. Until it ends, all other work in
    /// this folder fails at once.
    ///
    /// # Errors
    ///
    /// Of the kind `TimedOut`, if the work was given up or was not begun for that reason; another one if the
    /// thread cannot be started.
    pub fn run<R: Send + 'static>(
        &self,
        folder: &Path,
        patience: Duration,
        bytes: u64,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<R> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = match threads.get(folder) {
            Some(thread) => Arc::clone(thread),
            None => {
                let thread = Arc::new(ShareThread::start(self.at_first)?);
                threads.insert(folder.to_owned(), Arc::clone(&thread));
                thread
            }
        };
        drop(threads);
        let patience = thread.patience(patience) + Duration::from_secs(bytes / BYTES_PER_SECOND);
        thread.run(patience, work)
    }
}

/// A thread that works in one folder. It ends when it has no more work after it was dropped.
struct ShareThread {
    jobs: Sender<Job>,
    /// The number of jobs that were given up and still run.
    given_up: Arc<AtomicUsize>,
    /// The wait for a job at first.
    at_first: Option<Duration>,
    /// The number of jobs that were given up and have ended.
    ended_late: Arc<AtomicU32>,
}

const RUNS: u8 = 0;
const ENDED: u8 = 1;
const GIVEN_UP: u8 = 2;

impl ShareThread {
    fn start(at_first: Option<Duration>) -> io::Result<Self> {
        let (jobs, begun) = channel::<Job>();
        std::thread::Builder::new().name("share".into()).spawn(move || {
            for job in begun {
                job();
            }
        })?;
        Ok(Self { jobs, given_up: Arc::default(), at_first, ended_late: Arc::default() })
    }

    /// How long a job may take, of at most `most`.
    fn patience(&self, most: Duration) -> Duration {
        let doubled = 2_u32.saturating_pow(self.ended_late.load(Ordering::SeqCst));
        self.at_first.map_or(most, |at_first| at_first.saturating_mul(doubled).min(most))
    }

    fn run<R: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<R> {
        if self.given_up.load(Ordering::SeqCst) > 0 {
            return Err(silent("it still does not answer"));
        }
        let state = Arc::new(AtomicU8::new(RUNS));
        let (ended, result) = sync_channel::<Result<R, Box<dyn Any + Send>>>(1);
        let (of_job, given_up) = (Arc::clone(&state), Arc::clone(&self.given_up));
        let ended_late = Arc::clone(&self.ended_late);
        let job = Box::new(move || {
            // A panic belongs to the caller. The thread goes on.
            let outcome = catch_unwind(AssertUnwindSafe(work));
            if of_job.swap(ENDED, Ordering::SeqCst) == GIVEN_UP {
                ended_late.fetch_add(1, Ordering::SeqCst);
                given_up.fetch_sub(1, Ordering::SeqCst);
            }
            // Nobody waits for work that was given up.
            let _ = ended.send(outcome);
        });
        let lost = || io::Error::other("the thread of the folder has ended");
        self.jobs.send(job).map_err(|_| lost())?;
        if let Ok(outcome) = result.recv_timeout(patience) {
            return outcome.map_err(|panic| resume_unwind(panic));
        }
        // Counted before the state says it, so that the job cannot end in between uncounted.
        self.given_up.fetch_add(1, Ordering::SeqCst);
        if state.swap(GIVEN_UP, Ordering::SeqCst) == ENDED {
            self.given_up.fetch_sub(1, Ordering::SeqCst);
            return result.recv().map_err(|_| lost())?.map_err(|panic| resume_unwind(panic));
        }
        Err(silent(&format!("it has not answered for {} s", patience.as_secs())))
    }
}

fn silent(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// A transit that works in a folder by the folder's thread. Of a folder that does not answer it says
/// that it cannot be reached.
///
/// A message that was given up may still be written later. The addressee then has it twice, as it may have
/// any message.
pub struct PatientTransit<C> {
    transit: Arc<C>,
    folder: PathBuf,
    shares: Shares,
    patience: Duration,
}

impl<C: Transit + Send + Sync + 'static> PatientTransit<C> {
    /// `transit`, which works in `folder`, by the threads of `shares`. One operation may take as long as
    /// `patience`, and more if it moves many bytes.
    pub fn new(transit: C, folder: PathBuf, shares: Shares, patience: Duration) -> Self {
        Self { transit: Arc::new(transit), folder, shares, patience }
    }

    fn run<R: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce(&C) -> Result<R, TransitError> + Send + 'static,
    ) -> Result<R, TransitError> {
        self.within(bytes, work).unwrap_or_else(|source| Err(self.unreachable(source)))
    }

    fn within<R: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce(&C) -> R + Send + 'static,
    ) -> io::Result<R> {
        let transit = Arc::clone(&self.transit);
        self.shares.run(&self.folder, self.patience, bytes, move || work(&transit))
    }

    fn unreachable(&self, source: io::Error) -> TransitError {
        TransitError::Unreachable { place: in_words(&self.folder), source }
    }

    /// The same error for each of `count` messages.
    fn all_unreachable<T>(&self, count: usize, error: &io::Error) -> Vec<Result<T, TransitError>> {
        let again = || io::Error::new(error.kind(), error.to_string());
        (0..count).map(|_| Err(self.unreachable(again()))).collect()
    }

    fn patient_file(&self, file: Opened) -> Box<dyn MessageFile> {
        match file {
            Opened::Whole(bytes) => Box::new(Cursor::new(bytes)),
            Opened::Long(file) => {
                let (folder, shares) = (self.folder.clone(), self.shares.clone());
                Box::new(PatientFile { file, folder, shares, patience: self.patience })
            }
        }
    }
}

/// An [`Outgoing`] that owns its parts.
struct Letter {
    from: PostofficeName,
    to: PostofficeName,
    epoch: String,
    number: u64,
    part: u32,
    front: Vec<u8>,
    body: Body,
}

impl Letter {
    fn of(outgoing: &Outgoing<'_>) -> Self {
        Self {
            from: outgoing.from.clone(),
            to: outgoing.to.clone(),
            epoch: outgoing.epoch.to_owned(),
            number: outgoing.number,
            part: outgoing.part,
            front: outgoing.front.to_vec(),
            body: outgoing.body.clone(),
        }
    }

    fn outgoing(&self) -> Outgoing<'_> {
        let Self { from, to, epoch, number, part, front, body } = self;
        Outgoing { from, to, epoch, number: *number, part: *part, front, body }
    }
}

/// A file that was opened by the thread of its share.
enum Opened {
    /// A small one was read at once, so that it costs one turn of the thread.
    Whole(Vec<u8>),
    Long(Arc<Mutex<Box<dyn MessageFile>>>),
}

fn read_if_small(mut file: Box<dyn MessageFile>) -> io::Result<Opened> {
    let mut bytes = Vec::new();
    (&mut file).take(SMALL_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= SMALL_BYTES {
        return Ok(Opened::Whole(bytes));
    }
    file.rewind()?;
    Ok(Opened::Long(Arc::new(Mutex::new(file))))
}

/// A file that is read by the thread of its share. A read that takes too long is an error.
struct PatientFile {
    file: Arc<Mutex<Box<dyn MessageFile>>>,
    folder: PathBuf,
    shares: Shares,
    patience: Duration,
}

impl PatientFile {
    fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn MessageFile) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let file = Arc::clone(&self.file);
        self.shares.run(&self.folder, self.patience, 0, move || {
            work(&mut **file.lock().unwrap_or_else(PoisonError::into_inner))
        })?
    }
}

impl Read for PatientFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len();
        let read = self.run(move |file| {
            let mut bytes = vec![0; room];
            let count = file.read(&mut bytes)?;
            bytes.truncate(count);
            Ok(bytes)
        })?;
        buffer[..read.len()].copy_from_slice(&read);
        Ok(read.len())
    }
}

impl Seek for PatientFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.run(move |file| file.seek(to))
    }
}

/// Messages for the thread of a share, and their size in bytes.
fn owned(messages: &[&Arrived]) -> (Vec<Arrived>, u64) {
    let bytes = messages.iter().map(|message| message.bytes).sum();
    (messages.iter().map(|message| (*message).clone()).collect(), bytes)
}

fn bytes_of(messages: &[Outgoing<'_>]) -> u64 {
    messages.iter().map(Outgoing::bytes).sum()
}

impl<C: Transit + Send + Sync + 'static> Transit for PatientTransit<C> {
    fn send(&self, message: &Outgoing<'_>) -> Result<u64, TransitError> {
        let letter = Letter::of(message);
        let bytes = bytes_of(std::slice::from_ref(message));
        self.run(bytes, move |transit| transit.send(&letter.outgoing()))
    }

    fn send_all(&self, messages: &[Outgoing<'_>]) -> Vec<Result<u64, TransitError>> {
        let mut sent = Vec::with_capacity(messages.len());
        for messages in messages.chunks(MESSAGES_AT_ONCE) {
            let letters: Vec<Letter> = messages.iter().map(Letter::of).collect();
            let all = self.within(bytes_of(messages), move |transit| {
                let outgoing: Vec<Outgoing<'_>> = letters.iter().map(Letter::outgoing).collect();
                transit.send_all(&outgoing)
            });
            match all {
                Ok(all) => sent.extend(all),
                Err(error) => sent.extend(self.all_unreachable(messages.len(), &error)),
            }
        }
        sent
    }

    fn arrived(&self) -> Result<Vec<Arrived>, TransitError> {
        self.run(0, |transit| transit.arrived())
    }

    fn open(
        &self,
        arrived: &Arrived,
    ) -> Result<Option<io::Result<Box<dyn MessageFile>>>, TransitError> {
        let arrived = arrived.clone();
        let opened = self.run(0, move |transit| {
            Ok(transit.open(&arrived)?.map(|file| file.and_then(read_if_small)))
        })?;
        Ok(opened.map(|file| file.map(|file| self.patient_file(file))))
    }

    /// In one turn of the thread. To hand over a message and to wait for it costs two changes of threads, which is as
    /// much as to open a small file.
    fn open_all(&self, messages: &[&Arrived]) -> Vec<OpenedFile> {
        let (messages, bytes) = owned(messages);
        let opened = self.within(bytes, move |transit| {
            let opened = transit.open_all(&messages.iter().collect::<Vec<_>>()).into_iter();
            let read = |file: OpenedFile| Ok(file?.map(|file| file.and_then(read_if_small)));
            opened.map(read).collect::<Vec<Result<_, TransitError>>>()
        });
        match opened {
            Ok(opened) => {
                let patient = |file: Result<Option<io::Result<Opened>>, TransitError>| {
                    Ok(file?.map(|file| file.map(|file| self.patient_file(file))))
                };
                opened.into_iter().map(patient).collect()
            }
            Err(error) => vec![Err(self.unreachable(error))],
        }
    }

    fn finished(&self, arrived: &Arrived) -> Result<bool, TransitError> {
        let arrived = arrived.clone();
        self.run(0, move |transit| transit.finished(&arrived))
    }

    /// In one turn of the thread, as [`Transit::open_all`].
    fn finished_all(&self, messages: &[&Arrived]) -> Vec<Result<bool, TransitError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        let count = messages.len();
        let (messages, _) = owned(messages);
        let all = self
            .within(0, move |transit| transit.finished_all(&messages.iter().collect::<Vec<_>>()));
        all.unwrap_or_else(|error| self.all_unreachable(count, &error))
    }

    fn refuse(&self, arrived: &Arrived, reason: &str) -> Result<bool, TransitError> {
        let (arrived, reason) = (arrived.clone(), reason.to_owned());
        self.run(0, move |transit| transit.refuse(&arrived, &reason))
    }

    fn keep_waiting(
        &self,
        arrived: &Arrived,
        sender: &PostofficeName,
    ) -> Result<Option<Arrived>, TransitError> {
        let (arrived, sender) = (arrived.clone(), sender.clone());
        self.run(0, move |transit| transit.keep_waiting(&arrived, &sender))
    }

    fn waiting(&self) -> Result<Vec<Arrived>, TransitError> {
        self.run(0, |transit| transit.waiting())
    }

    fn purge(&self, before: u64) -> Result<u64, TransitError> {
        self.run(0, move |transit| transit.purge(before))
    }
}

#[cfg(test)]
mod tests;
