//! `dirsync run`: the directory synchronization agent.
//!
//! One process works for one or many postoffices, one step at a time. `dirsync_agent::dispatch` decides
//! what is due; here it is waited for and done. A place is looked at when the operating system says
//! that something happened there, and at every poll in any case.

mod forecast;
mod lines;
mod link;
mod resting;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dirsync_agent::dispatch::{self, Action, Dispatch, Found, Hands, Moment, Settings, State};
use dirsync_agent::notes::{AGENT, STEP_ERROR};
use dirsync_carrier::{PostofficeLock, Shares};
use dirsync_postoffice::folder::{AGENT_LOCK, TRANSIT};
use dirsync_postoffice::home::{self, Away};
use dirsync_postoffice::links::Links;
use dirsync_postoffice::next::Next;
use dirsync_postoffice::report::Done;
use dirsync_postoffice::{Postoffice, exposure, now_ms, sources, steps};
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::{LogLine, Stored};
use dirsync_store::Transaction;
use serde_json::json;

use self::lines::Lines;
use self::link::OwnLink;
use self::resting::Resting;
use crate::alarm::{Bell, sound_alarms};
use crate::cli::RunArgs;
use crate::failure::{ExitStatus, Failure, Result};
use crate::platform;
use crate::time::{self, Times};
use crate::watch::{self, Watcher};
use crate::words::hint::pasteable_in;
use crate::words::{self, shown};

/// So long a step may take to end when the agent is to stop.
const GRACE: Duration = Duration::from_millis(1500);
/// As much as the main thread has.
const WORKER_STACK: usize = 8 * 1024 * 1024;
/// How often the flag that a signal sets is looked at.
const SIGNAL: Duration = Duration::from_millis(100);

/// `dirsync run [DIR…]`.
pub fn run(folder: &Path, arguments: &RunArgs, json: bool) -> Result<ExitStatus> {
    let folders = if arguments.folders.is_empty() {
        vec![folder.to_owned()]
    } else {
        arguments.folders.clone()
    };
    if arguments.dry_run {
        return forecast::forecast(&folders, json);
    }
    let log =
        if json || arguments.log_format == "json" { LogFormat::Json } else { LogFormat::Text };
    let once = arguments.once;
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = Arc::new(AtomicBool::new(false));
    platform::stop_on_signals(&stop, &interrupted)?;
    let (sender, ended) = channel();
    let stopped = Arc::clone(&stop);
    let worker = std::thread::Builder::new()
        .stack_size(WORKER_STACK)
        .spawn(move || sender.send(look_after(folders, log, once, &stopped)))?;
    let outcome = wait_for_the_end(&stop, &ended, worker)?;
    // A worker that hangs is cut off, which is as harmless as a crash at this place.
    Ok(if interrupted.load(Ordering::Relaxed) { ExitStatus::Interrupted } else { outcome })
}

/// Until the work has ended, or has been asked to end and was given a while to do so.
fn wait_for_the_end(
    stop: &AtomicBool,
    ended: &Receiver<Result<ExitStatus>>,
    worker: JoinHandle<impl Sized>,
) -> Result<ExitStatus> {
    // Whatever the work hangs in, a signal is heard here.
    while !stop.load(Ordering::Relaxed) {
        match ended.recv_timeout(SIGNAL) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(panicked(worker)),
        }
    }
    platform::stopping();
    match ended.recv_timeout(GRACE) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Ok(ExitStatus::Done),
        Err(RecvTimeoutError::Disconnected) => Err(panicked(worker)),
    }
}

fn panicked<T>(worker: JoinHandle<T>) -> Failure {
    match worker.join() {
        Err(panic) => std::panic::resume_unwind(panic),
        Ok(_) => anyhow::anyhow!("the agent ended and did not say why").into(),
    }
}

/// The work of the agent, until it is stopped.
fn look_after(
    folders: Vec<PathBuf>,
    log: LogFormat,
    once: bool,
    stop: &Arc<AtomicBool>,
) -> Result<ExitStatus> {
    let (mut watcher, waker, wake) = watch::watch();
    let (began, shares, links) = (Instant::now(), shares(once), Links::default());
    let mut workers = Vec::new();
    for folder in folders {
        let bell = Bell::new(Arc::clone(stop), waker.clone());
        let lines = Lines::new(Arc::clone(stop), waker.clone());
        let link = OwnLink::new(waker.clone(), &links);
        let moving = Moving { lines, link, shares: shares.clone(), links: links.clone() };
        workers.push(Worker::new(folder, log, once, began, bell, moving)?);
    }
    platform::ready();
    let mut happened = true;
    loop {
        for worker in &mut workers {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if happened || !worker.rests() {
                worker.turn(watcher.as_mut());
            }
        }
        if once || stop.load(Ordering::Relaxed) {
            break;
        }
        happened = wait(stop, &wake, workers.iter().map(Worker::rest).min().unwrap_or_default());
    }
    for worker in &mut workers {
        worker.end_calls()?;
    }
    let failed = workers.iter().any(|worker| worker.dispatch.has_failed());
    let waits = workers.iter().map(|worker| worker.waits).max_by_key(|status| *status as u8);
    Ok(match (once, failed) {
        (true, true) => ExitStatus::Failed,
        (true, false) => waits.unwrap_or(ExitStatus::Done),
        (false, _) => ExitStatus::Done,
    })
}

/// The threads in shared folders. In a single turn nobody waits for the next share, and no other turn follows.
fn shares(once: bool) -> Shares {
    if once { Shares::default() } else { Shares::in_haste() }
}

/// Until something happens, so much time has passed, or a signal came. Returns whether something
/// happened.
fn wait(stop: &AtomicBool, wake: &std::sync::mpsc::Receiver<()>, rest: Duration) -> bool {
    let end = Instant::now() + rest;
    while !stop.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if wake.recv_timeout(left.min(SIGNAL)).is_ok() {
            // Several events of one change are one reason to look.
            while wake.try_recv().is_ok() {}
            return true;
        }
    }
    false
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LogFormat {
    Text,
    Json,
}

/// Tells a person who follows the agent what happens at one postoffice.
struct Voice {
    folder: PathBuf,
    log: LogFormat,
    /// It takes one turn, for a person or a timer who has to be told everything now.
    once: bool,
}

impl Voice {
    fn say(&self, step: &str, level: Level, text: &str) {
        let text = shown(&text.replace('\\', "\\\\"));
        let folder = self.folder.display();
        let line = match self.log {
            LogFormat::Text => format!("{folder} {step} {level}: {text}"),
            LogFormat::Json => {
                let at = time::rfc3339(now_ms());
                let postoffice = folder.to_string();
                json!({ "at": at, "postoffice": postoffice, "step": step, "level": level.to_string(),
                        "text": text })
                .to_string()
            }
        };
        // The agent goes on where nobody can be told, for instance when the log's disk is full.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn say_lines(&self, lines: &[LogLine]) {
        for line in lines {
            self.say(&line.step, line.level, &line.text);
        }
    }

    fn show(&self, done: &Done) {
        self.say_lines(&done.lines);
        if self.once {
            for failure in done.untold() {
                self.say("run", Level::Error, &failure.text);
            }
        }
    }
}

/// What moves the messages of one postoffice.
struct Moving {
    /// Its lines to slow places.
    lines: Lines,
    /// Its link, if it is a server with one.
    link: OwnLink,
    /// The threads of all postoffices.
    shares: Shares,
    /// The connections of all postoffices.
    links: Links,
}

/// One postoffice that the agent works for.
struct Worker {
    voice: Voice,
    dispatch: Dispatch,
    began: Instant,
    waits: ExitStatus,
    bell: Bell,
    /// What moves its messages.
    moving: Moving,
    /// How it looked when its last turn ended.
    resting: Option<Resting>,
    watched: BTreeSet<PathBuf>,
    /// Why the postoffice is not at home, as it was said last.
    away: Option<Away>,
    _lock: PostofficeLock,
}

impl Worker {
    fn new(
        folder: PathBuf,
        log: LogFormat,
        once: bool,
        began: Instant,
        bell: Bell,
        moving: Moving,
    ) -> Result<Self> {
        let mut postoffice = open(&folder, &moving)?;
        let lock = PostofficeLock::acquire(&folder.join(TRANSIT).join(AGENT_LOCK), "run")?;
        let text = format!("{} is looked after from {}", postoffice.name, folder.display());
        let voice = Voice { folder, log, once };
        voice.say("run", Level::Info, &text);
        let times = Times { zone: postoffice.config.zone(), now: now_ms() };
        let next = Next::of(&mut postoffice, times.now)?;
        for line in words::next::lines(&next, &times) {
            voice.say("run", Level::Info, &format!("next {line}"));
        }
        for warning in exposure::of(&mut postoffice)? {
            voice.say("run", Level::Warning, &warning);
        }
        Ok(Self {
            voice,
            dispatch: Dispatch::new(settings(&postoffice), once),
            began,
            waits: ExitStatus::Done,
            bell,
            moving,
            resting: None,
            watched: BTreeSet::new(),
            away: None,
            _lock: lock,
        })
    }

    fn now(&self) -> Moment {
        moment(self.began)
    }

    /// How long nothing is due here, if nothing happens.
    fn rest(&self) -> Duration {
        let now = self.now();
        self.dispatch.wake_at(now).saturating_sub(now.steady)
    }

    /// Whether nothing happened here and no time has come: its database need not be opened.
    fn rests(&self) -> bool {
        !self.dispatch.is_due(self.now())
            && !self.moving.lines.is_due()
            && self.resting.as_ref().is_some_and(Resting::goes_on)
    }

    /// Does what is due. A failure concerns this postoffice alone.
    fn turn(&mut self, watcher: Option<&mut Watcher>) {
        let now = self.now();
        if self.dispatch.has_to_wait(now) {
            return;
        }
        self.resting = None;
        let opened = open(&self.voice.folder, &self.moving);
        let done = opened.and_then(|mut postoffice| {
            let worked = self.work(&mut postoffice, watcher);
            let told = self.tell(&mut postoffice, worked.as_ref().err());
            worked.and(told)
        });
        let Err(failure) = done else {
            self.dispatch.succeeded();
            return;
        };
        self.voice.say_lines(&failure.before);
        let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
        let text = format!("{}{hint}", failure.text());
        let text = pasteable_in(&self.voice.folder, &text);
        if let Some(text) = self.dispatch.failed(&text, now) {
            self.voice.say("run", Level::Error, &text);
        }
    }

    fn work(&mut self, postoffice: &mut Postoffice, watcher: Option<&mut Watcher>) -> Result<()> {
        self.dispatch.begin(settings(postoffice));
        if self.is_away(postoffice)? {
            return Ok(());
        }
        if let Some(watcher) = watcher {
            self.watch(postoffice, watcher)?;
        }
        postoffice.put_note(AGENT, Some("runs"))?;
        self.moving.link.open(postoffice, &self.voice)?;
        let (voice, began, once) = (&self.voice, self.began, self.voice.once);
        voice.say_lines(&self.moving.lines.note_ended(postoffice)?);
        if once {
            voice.say_lines(&self.moving.lines.work_once(postoffice)?);
        }
        postoffice.take_files_beside_messages()?;
        let turned = dispatch::turn(&mut self.dispatch, &mut Work { postoffice, voice, began });
        if once {
            voice.say_lines(&self.moving.lines.work_once(postoffice)?);
        } else {
            self.moving.lines.begin(postoffice)?;
            self.moving.link.renew(postoffice, voice)?;
        }
        turned
    }

    /// Tells of everything that was committed, also by a turn that failed.
    fn tell(&mut self, postoffice: &mut Postoffice, failure: Option<&Failure>) -> Result<()> {
        postoffice.put_note(STEP_ERROR, failure.map(Failure::text).as_deref())?;
        let waits = sound_alarms(postoffice)?;
        self.waits = waits.health().into();
        if failure.is_none() && self.away.is_none() {
            let state = State::load(&mut *postoffice.begin()?)?;
            self.dispatch.rest(&state, waits.late_at, self.now());
            self.resting = Some(Resting::of(postoffice)?);
        }
        self.bell.ring(postoffice)
    }

    /// Lets the calls be made that are due; the one under way is ended where the agent is to stop.
    fn end_calls(&mut self) -> Result<()> {
        let (folder, moving) = (&self.voice.folder, &self.moving);
        while self.bell.wait(|| open(folder, moving))? {}
        Ok(())
    }

    /// Whether a person has to say first whether the folder was copied or moved. It is looked at again
    /// at each poll.
    fn is_away(&mut self, postoffice: &mut Postoffice) -> Result<bool> {
        let away = postoffice.away()?;
        if let Some(away) = away.filter(|away| self.away != Some(*away)) {
            let ways_out = home::ways_out(away, &self.voice.folder).join("; ");
            let text = format!("{away}: nothing is read or sent; {ways_out}");
            let text = pasteable_in(&self.voice.folder, &text);
            self.voice.say("run", Level::Error, &text);
        }
        self.away = away;
        Ok(away.is_some())
    }

    /// Asks to be woken when something happens in the places of this postoffice. Before they are
    /// looked at: what comes in between would be found at the next poll only. New registrations and
    /// sources bring new places. The postoffice's folder is none: its database changes all the time.
    fn watch(&mut self, postoffice: &mut Postoffice, watcher: &mut Watcher) -> Result<()> {
        let mut places = vec![self.voice.folder.join(TRANSIT)];
        places.extend(postoffice.inboxes()?);
        for source in &postoffice.config.sources {
            places.extend(source.file.parent().map(Path::to_owned));
        }
        for place in places {
            if !self.watched.contains(&place) && watcher.watch(&place) {
                self.watched.insert(place);
            }
        }
        Ok(())
    }
}

fn open(folder: &Path, moving: &Moving) -> Result<Postoffice> {
    let mut postoffice = Postoffice::open_away(folder, "run")?;
    postoffice.share_threads(&moving.shares);
    postoffice.share_links(&moving.links);
    Ok(postoffice)
}

fn settings(postoffice: &Postoffice) -> Settings {
    Settings { schedule: postoffice.config.schedule.clone(), poll: postoffice.config.poll }
}

fn moment(began: Instant) -> Moment {
    Moment { wall: now_ms(), steady: began.elapsed() }
}

/// The steps of a turn, at an open postoffice.
struct Work<'a> {
    postoffice: &'a mut Postoffice,
    voice: &'a Voice,
    began: Instant,
}

impl Work<'_> {
    /// Tells what a step did.
    fn ended(&self, done: &Done) -> dispatch::Done {
        self.voice.show(done);
        let complete = done.report.failed().next().is_none();
        dispatch::Done { complete, has_left: done.report.left() > 0 }
    }
}

impl Hands for Work<'_> {
    type Error = Failure;

    fn now(&mut self) -> Moment {
        moment(self.began)
    }

    fn begin(&mut self) -> Stored<Box<dyn Transaction + '_>> {
        self.postoffice.begin()
    }

    fn look(&mut self) -> Result<Found> {
        self.postoffice.look()
    }

    fn step(&mut self, action: Action) -> Result<dispatch::Done> {
        let done = match action {
            Action::Send { verify } => steps::send(self.postoffice, verify)?,
            Action::Process { push } => steps::process(self.postoffice, push)?,
            Action::Apply => {
                let mut done = steps::apply(self.postoffice)?;
                if !done.report.has_moved() {
                    done.lines.retain(|line| line.level != Level::Info);
                }
                done
            }
            _ => {
                let mut all = dispatch::Done { complete: true, has_left: false };
                for source in self.postoffice.config.sources.clone() {
                    if let Some(done) = sources::read(self.postoffice, &source)? {
                        all.complete &= self.ended(&done).complete;
                    }
                }
                return Ok(all);
            }
        };
        Ok(self.ended(&done))
    }

    fn tidy_up(&mut self) -> Result<()> {
        steps::tidy_up(self.postoffice)
    }

    fn say(&mut self, step: &str, level: Level, text: &str) {
        self.voice.say(step, level, text);
    }
}
