//! `dirsync run`: Dispatch, the directory synchronization agent.
//!
//! One process works for one or many postoffices, one step at a time. What is due is decided by
//! `dirsync_agent::schedule`, or, in continuous mode, by what has changed: an own change starts
//! T1, an arrival starts T2 or T3. A place is looked at when the operating system says that
//! something happened there, and at every poll in any case.

mod continuous;
mod scheduled;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dirsync_agent::schedule::{BackOff, clock_jump};
use dirsync_carrier::PostofficeLock;
use dirsync_postoffice::exposure;
use dirsync_postoffice::folder::{AGENT_LOCK, TRANSIT, database};
use dirsync_postoffice::home::Away;
use dirsync_postoffice::notes::{AGENT, STEP_ERROR};
use dirsync_postoffice::{Postoffice, now_ms};
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::LogLine;
use jiff::Timestamp;
use serde_json::json;

use crate::alarm::{Bell, sound_alarms};
use crate::cli::RunArgs;
use crate::commands::steps::{Done, apply_step, read_source, send_step};
use crate::failure::{ExitStatus, Failure, Result};
use crate::platform;
use crate::time;
use crate::watch::{self, Watcher};
use crate::words::shown;

/// Without a change a request is sent so often in continuous mode, to ask for what others changed.
const HEARTBEAT: Duration = Duration::from_secs(5 * 60);
/// The list is verified from its content at least so often; in between its running sums are sent.
const VERIFY: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// So long what was applied waits to be confirmed: changes often come several together, and where
/// many sites share a machine, what others have yet to apply comes first.
const CONFIRM_PAUSE: Duration = Duration::from_millis(50);
/// So long after a step that did not look at all that had arrived the next one begins.
const LEFT_PAUSE: Duration = Duration::from_secs(1);
/// So long a step may take to end when the agent is to stop.
const GRACE: Duration = Duration::from_millis(1500);
/// As much as the main thread has.
const WORKER_STACK: usize = 8 * 1024 * 1024;
/// How often the flag that a signal sets is looked at.
const SIGNAL: Duration = Duration::from_millis(100);

/// `dirsync run [DIR…]`.
pub fn run(folder: &Path, arguments: &RunArgs) -> Result<ExitStatus> {
    let folders = if arguments.folders.is_empty() {
        vec![folder.to_owned()]
    } else {
        arguments.folders.clone()
    };
    let log = if arguments.log_format == "json" { LogFormat::Json } else { LogFormat::Text };
    let once = arguments.once;
    let stop = Arc::new(AtomicBool::new(false));
    platform::stop_on_signals(&stop)?;
    let (sender, ended) = channel();
    let stopped = Arc::clone(&stop);
    let worker = std::thread::Builder::new()
        .stack_size(WORKER_STACK)
        .spawn(move || sender.send(look_after(folders, log, once, &stopped)))?;
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
        // What hangs is cut off, which is as harmless as a crash at this place.
        Err(RecvTimeoutError::Timeout) => std::process::exit(ExitStatus::Done as i32),
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
    let mut sites = Vec::new();
    for folder in folders {
        let bell = Bell::new(Arc::clone(stop), waker.clone());
        sites.push(Site::new(folder, log, once, bell)?);
    }
    platform::ready();
    loop {
        for site in &mut sites {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            site.turn(once, watcher.as_mut());
        }
        if once || stop.load(Ordering::Relaxed) {
            break;
        }
        wait(stop, &wake, sites.iter().map(Site::rest).min().unwrap_or_default());
    }
    for site in &mut sites {
        site.end_calls()?;
    }
    let failed = sites.iter().any(|site| site.failures > 0);
    let waits = sites.iter().map(|site| site.waits).max_by_key(|status| *status as u8);
    Ok(match (once, failed) {
        (true, true) => ExitStatus::Failed,
        (true, false) => waits.unwrap_or(ExitStatus::Done),
        (false, _) => ExitStatus::Done,
    })
}

/// Until something happens, so much time has passed, or a signal came.
fn wait(stop: &AtomicBool, wake: &std::sync::mpsc::Receiver<()>, rest: Duration) {
    let end = Instant::now() + rest;
    while !stop.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if wake.recv_timeout(left.min(SIGNAL)).is_ok() {
            // Several events of one change are one reason to look.
            while wake.try_recv().is_ok() {}
            return;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LogFormat {
    Text,
    Json,
}

/// One postoffice that the agent works for.
struct Site {
    folder: PathBuf,
    log: LogFormat,
    poll: Duration,
    waits: ExitStatus,
    bell: Bell,
    /// What failed last, and when that is said again.
    failure: Option<(String, Instant)>,
    failures: u32,
    not_before: Option<Instant>,
    sent_at: Option<Instant>,
    verified_at: Option<Instant>,
    /// The list has changed, and when that is to be said.
    confirm_at: Option<Instant>,
    /// How long that waits for more to be said with it.
    confirm_pause: Duration,
    /// It takes one turn, for a person or a timer who has to be told everything now.
    once: bool,
    /// No schedule says when to send.
    continuous: bool,
    /// A step did not look at all that has arrived.
    has_left: bool,
    watched: BTreeSet<PathBuf>,
    /// Why the postoffice is not at home, as it was said last.
    away: Option<Away>,
    _lock: PostofficeLock,
}

impl Site {
    fn new(folder: PathBuf, log: LogFormat, once: bool, bell: Bell) -> Result<Self> {
        let mut postoffice = Postoffice::open_away(&folder, "run")?;
        let lock = PostofficeLock::acquire(&folder.join(TRANSIT).join(AGENT_LOCK), "run")?;
        let poll = postoffice.config.poll;
        let mut site = Self {
            folder,
            log,
            poll,
            waits: ExitStatus::Done,
            bell,
            failure: None,
            failures: 0,
            not_before: None,
            sent_at: None,
            verified_at: None,
            confirm_at: None,
            confirm_pause: if once { Duration::ZERO } else { CONFIRM_PAUSE },
            once,
            continuous: false,
            has_left: false,
            watched: BTreeSet::new(),
            away: None,
            _lock: lock,
        };
        let name = postoffice.name.clone();
        site.say(
            "run",
            Level::Info,
            &format!("{name} is looked after from {}", site.folder.display()),
        );
        for warning in exposure::of(&mut postoffice)? {
            site.say("run", Level::Warning, &warning);
        }
        Ok(site)
    }

    /// How long nothing is due here, if nothing happens.
    fn rest(&self) -> Duration {
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        match (self.not_before, self.confirm_at) {
            (Some(at), _) => until(at),
            (None, Some(at)) if self.continuous => until(at).min(self.poll),
            _ if self.has_left => LEFT_PAUSE.min(self.poll),
            _ => self.poll,
        }
    }

    /// Does what is due. A failure concerns this postoffice alone, and is tried again at the next poll;
    /// it is said again after twice as long each time.
    fn turn(&mut self, once: bool, watcher: Option<&mut Watcher>) {
        let now = Instant::now();
        if self.not_before.is_some_and(|at| now < at) {
            return;
        }
        let opened = Postoffice::open_away(&self.folder, "run");
        let done = opened.and_then(|mut postoffice| {
            let worked = self.work(&mut postoffice, once, watcher);
            let told = self.tell(&mut postoffice, worked.as_ref().err());
            worked.and(told)
        });
        let Err(failure) = done else {
            (self.failures, self.not_before, self.failure) = (0, None, None);
            return;
        };
        self.say_lines(&failure.before);
        let failure = failure.about(&database(&self.folder));
        let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
        let text = format!("{}{hint}", failure.text());
        let pause = self.poll.min(BackOff::default().first);
        self.not_before = Some(now + pause);
        let known = self.failure.take().filter(|(known, _)| *known == text);
        if known.is_none() {
            self.failures = 0;
        }
        let said_again = known.map_or(now, |(_, at)| at);
        if now < said_again {
            self.failure = Some((text, said_again));
            return;
        }
        self.say("run", Level::Error, &format!("{text}; tried again in {} s", pause.as_secs()));
        self.failure = Some((text, now + BackOff::default().delay(self.failures)));
        self.failures = self.failures.saturating_add(1);
    }

    fn work(
        &mut self,
        postoffice: &mut Postoffice,
        once: bool,
        watcher: Option<&mut Watcher>,
    ) -> Result<()> {
        self.poll = postoffice.config.poll;
        if self.is_away(postoffice)? {
            return Ok(());
        }
        if let Some(watcher) = watcher {
            self.watch(postoffice, watcher)?;
        }
        postoffice.put_note(AGENT, Some("runs"))?;
        self.continuous = postoffice.config.schedule.is_none();
        self.has_left = false;
        match postoffice.config.schedule.clone() {
            Some(schedule) => self.scheduled(postoffice, &schedule)?,
            None => self.continuous(postoffice, once)?,
        }
        self.tidy_up(postoffice)
    }

    /// Tells of everything that was committed, also by a turn that failed.
    fn tell(&mut self, postoffice: &mut Postoffice, failure: Option<&Failure>) -> Result<()> {
        postoffice.put_note(STEP_ERROR, failure.map(Failure::text).as_deref())?;
        self.waits = sound_alarms(postoffice)?;
        self.bell.ring(postoffice)
    }

    /// Lets the calls be made that are due; the one under way is ended where the agent is to stop.
    fn end_calls(&mut self) -> Result<()> {
        let folder = self.folder.clone();
        while self.bell.wait(|| Postoffice::open_away(&folder, "run"))? {}
        Ok(())
    }

    /// Whether a person has to say first whether the folder was copied or moved. It is looked at again
    /// at each poll.
    fn is_away(&mut self, postoffice: &mut Postoffice) -> Result<bool> {
        let away = postoffice.away()?;
        if let Some(away) = away.filter(|away| self.away != Some(*away)) {
            let ways_out = away.ways_out(&self.folder).join("; ");
            self.say("run", Level::Error, &format!("{away}: nothing is read or sent; {ways_out}"));
        }
        self.away = away;
        Ok(away.is_some())
    }

    fn show(&mut self, done: &Done) {
        self.has_left |= done.left > 0;
        self.say_lines(&done.lines);
        if self.once {
            for failure in done.unsaid() {
                self.say("run", Level::Error, &failure.text);
            }
        }
    }

    fn say_lines(&mut self, lines: &[LogLine]) {
        for line in lines {
            self.say(&line.step, line.level, &line.text);
        }
    }

    /// T1. Returns whether the request could be left.
    fn send(&mut self, postoffice: &mut Postoffice) -> Result<bool> {
        let verify = self.verified_at.is_none_or(|at| at.elapsed() >= VERIFY);
        let done = send_step(postoffice, verify)?;
        if verify {
            self.verified_at = Some(Instant::now());
        }
        self.sent_at = Some(Instant::now());
        self.confirm_at = None;
        self.show(&done);
        Ok(done.failed.is_empty())
    }

    /// T3. Returns whether it could use its place and write every target.
    fn apply(&mut self, postoffice: &mut Postoffice) -> Result<bool> {
        let before = postoffice.begin()?.requestor()?;
        let mut done = apply_step(postoffice)?;
        if !done.moved {
            done.lines.retain(|line| line.level != Level::Info);
        }
        self.show(&done);
        let after = postoffice.begin()?.requestor()?;
        // A changed list is confirmed, several changes of it together.
        if before.point != after.point {
            self.confirm_at.get_or_insert(Instant::now() + self.confirm_pause);
        }
        Ok(done.failed.is_empty())
    }

    /// T0. Returns whether every source could be read.
    fn read_sources(&mut self, postoffice: &mut Postoffice) -> Result<bool> {
        let mut complete = true;
        for source in postoffice.config.sources.clone() {
            if let Some(done) = read_source(postoffice, &source)? {
                self.show(&done);
                complete &= done.failed.is_empty();
            }
        }
        Ok(complete)
    }

    /// Once a day: what is past its time goes. A clock that jumped postpones that.
    fn tidy_up(&mut self, postoffice: &mut Postoffice) -> Result<()> {
        let now = now_ms();
        let at = |ms: u64| Timestamp::from_millisecond(ms as i64).unwrap_or(Timestamp::MIN);
        let last = postoffice.begin()?.note("tidied")?.and_then(|text| text.parse::<u64>().ok());
        let since = last.map(|last| Duration::from_millis(now.saturating_sub(last)));
        if last.is_some_and(|last| clock_jump(at(last), at(now), DAY).is_some()) {
            self.say(
                "run",
                Level::Warning,
                "a day or more is missing; nothing is forgotten before tomorrow",
            );
        } else if since.is_some_and(|since| since < DAY) {
            return Ok(());
        } else {
            let keep = postoffice.config.clone();
            let before = |length: Duration| now.saturating_sub(length.as_millis() as u64);
            for carrier in postoffice.carriers()?.into_values().chain([postoffice.carrier()?]) {
                // A place that is away is tidied up another day.
                let _ = carrier.purge(before(keep.keep_done));
            }
            let mut tables = postoffice.begin()?;
            tables.purge_log(before(keep.keep_log))?;
            dirsync_protocol::server::forget_before(
                &mut *tables,
                before(keep.keep_confirmed),
                before(keep.keep_tombstones),
            )?;
            tables.commit()?;
        }
        postoffice.put_note("tidied", Some(&now.to_string()))
    }

    /// Asks to be woken when something happens in the places of this postoffice. Before they are
    /// looked at: what comes in between would be found at the next poll only. New registrations and
    /// sources bring new places. The postoffice's folder is none: its database changes all the time.
    fn watch(&mut self, postoffice: &mut Postoffice, watcher: &mut Watcher) -> Result<()> {
        let mut places = vec![self.folder.join(TRANSIT)];
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

    fn say(&mut self, step: &str, level: Level, text: &str) {
        let text = shown(&text.replace('\\', "\\\\"));
        let site = self.folder.display();
        let line = match self.log {
            LogFormat::Text => format!("{site} {step} {level}: {text}"),
            LogFormat::Json => {
                let at = time::rfc3339(now_ms());
                let postoffice = site.to_string();
                json!({ "at": at, "postoffice": postoffice, "step": step, "level": level.word(),
                        "text": text })
                .to_string()
            }
        };
        // The agent goes on where nobody can be told, for instance when the log's disk is full.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
