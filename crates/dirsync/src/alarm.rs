//! The administrator's command, run when something begins to need a person and when it is over.
//!
//! `dirsync_agent::alarm` says which calls are to be made; the command itself runs beside the steps
//! ([`Bell`]), for a limited time, and is run again where the agent ended before it had.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use dirsync_agent::alarm::{next_call, note_call, sound};
use dirsync_agent::waiting::Waiting;
use dirsync_postoffice::log::{LogReader, Wanted};
use dirsync_postoffice::{Postoffice, now_ms, waiting};
use dirsync_protocol::context::Level;

use crate::failure::Result;
use crate::platform;
use crate::time::{Times, rfc3339};
use crate::words;

/// How long a command that is asked to end may take to do so.
const ENDING: Duration = Duration::from_millis(500);
/// How many lines of the log the command reads.
const LINES: usize = 20;
/// How many characters of each line.
const LINE_CHARS: usize = 400;
/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Commits what there is to say of what waits now, for the command too if there is one. Returns what waits.
pub fn sound_alarms(postoffice: &mut Postoffice) -> Result<Waiting> {
    let waits = waiting::of(postoffice)?;
    let calls = !postoffice.config.alarm.is_empty();
    let rings = waits.alarms.iter().filter(|alarm| alarm.kind().rings());
    let times = Times { zone: postoffice.config.zone(), now: now_ms() };
    let said = rings.map(|alarm| (alarm.subject(), words::alarm::line(alarm, &times))).collect();
    sound(&mut postoffice.store, &postoffice.name, &said, calls, times.now)?;
    Ok(waits)
}

/// Makes all calls that are due at a postoffice, one after another.
pub fn make_calls(open: impl Fn() -> Result<Postoffice>) -> Result<()> {
    let (wake, _woken) = channel();
    let mut bell = Bell::new(Arc::default(), wake);
    bell.ring(&mut open()?)?;
    while bell.wait(&open)? {}
    Ok(())
}

/// What a call came to.
enum Ended {
    /// It was made, or cannot be made: why.
    Made(Option<String>),
    /// The agent ended first: it is made when the agent runs again.
    Interrupted,
}

/// The calls of one postoffice, one at a time, beside its steps.
pub struct Bell {
    stop: Arc<AtomicBool>,
    wake: Sender<()>,
    ended: Sender<(String, Ended)>,
    outcomes: Receiver<(String, Ended)>,
    /// What the last call came to, until it is written down.
    news: Option<(String, Ended)>,
    rings: bool,
}

impl Bell {
    /// A bell that wakes the agent when a call has ended, and gives up when the agent stops.
    pub fn new(stop: Arc<AtomicBool>, wake: Sender<()>) -> Self {
        let (ended, outcomes) = channel();
        Self { stop, wake, ended, outcomes, news: None, rings: false }
    }

    /// Writes down what the last call came to, and begins the next one.
    pub fn ring(&mut self, postoffice: &mut Postoffice) -> Result<()> {
        if self.has_news()
            && let Some(outcome) = self.news.take()
        {
            self.note(postoffice, outcome)?;
        }
        let Some((program, arguments)) = postoffice.config.alarm.clone().split_first().map(own)
        else {
            return Ok(());
        };
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.rings {
            return Ok(());
        }
        let Some((name, subject)) = next_call(&mut *postoffice.begin()?)? else { return Ok(()) };
        let limit = postoffice.config.alarm_timeout;
        let mut command = Command::new(&program);
        command
            .args(arguments.iter().map(|word| word.replace("{subject}", &subject)))
            .env("DIRSYNC_SUBJECT", &subject)
            .env("DIRSYNC_POSTOFFICE_NAME", postoffice.name.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let message = message(postoffice, &subject)?;
        let (stop, wake, ended) = (Arc::clone(&self.stop), self.wake.clone(), self.ended.clone());
        self.rings = true;
        std::thread::spawn(move || {
            let outcome = match run(command, &message, limit, &stop) {
                Ended::Made(why) => Ended::Made(
                    why.map(|why| format!("the alarm command \"{program}\" failed: {why}")),
                ),
                interrupted @ Ended::Interrupted => interrupted,
            };
            // Nobody listens any more only when the agent ends.
            let _ = ended.send((name, outcome));
            let _ = wake.send(());
        });
        Ok(())
    }

    /// Whether a call has ended that is not written down yet.
    pub fn has_news(&mut self) -> bool {
        self.news = self.news.take().or_else(|| self.outcomes.try_recv().ok());
        self.news.is_some()
    }

    /// Waits for a call under way. Returns whether there was one.
    pub fn wait(&mut self, open: impl FnOnce() -> Result<Postoffice>) -> Result<bool> {
        if !self.rings {
            return Ok(false);
        }
        let outcome = match self.news.take().map_or_else(|| self.outcomes.recv(), Ok) {
            Ok((_, Ended::Interrupted)) | Err(_) => {
                self.rings = false;
                return Ok(false);
            }
            Ok(outcome) => outcome,
        };
        let mut postoffice = open()?;
        self.note(&mut postoffice, outcome)?;
        self.ring(&mut postoffice)?;
        Ok(true)
    }

    fn note(
        &mut self,
        postoffice: &mut Postoffice,
        (name, outcome): (String, Ended),
    ) -> Result<()> {
        self.rings = false;
        let Ended::Made(error) = outcome else { return Ok(()) };
        let mut tables = postoffice.begin()?;
        note_call(&mut *tables, &name, error, now_ms())?;
        Ok(tables.commit()?)
    }
}

fn own((program, arguments): (&String, &[String])) -> (String, Vec<String>) {
    (program.clone(), arguments.to_vec())
}

/// What the command reads: the subject, and the lines of the log that may explain it.
fn message(postoffice: &mut Postoffice, subject: &str) -> Result<String> {
    let wanted = Wanted { since: Some("1d".into()), level: Some(Level::Notice), last: Some(LINES) };
    let mut message = format!("{subject}\n\n");
    LogReader::new(postoffice, &wanted)?.visit(postoffice, &mut |line| {
        let text: String = line.text.chars().take(LINE_CHARS).collect();
        let (at, text) = (rfc3339(line.at), dirsync_directory::shown(&text));
        message.push_str(&format!("{at} {} {}: {text}\n", line.step, line.level));
        ControlFlow::Continue(())
    })?;
    Ok(message)
}

/// Runs a command in a process group of its own, which is ended when its time is over.
fn run(mut command: Command, message: &str, limit: Duration, stop: &AtomicBool) -> Ended {
    platform::lead_group(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::Made(Some(error.to_string())),
    };
    if let Some(mut input) = child.stdin.take() {
        // It is short enough for a pipe's buffer, so nobody waits for a command that does not read it.
        let _ = input.write_all(message.as_bytes());
    }
    let end = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ended::Made(None),
            Ok(Some(status)) => return Ended::Made(Some(status.to_string())),
            Err(error) => return Ended::Made(Some(error.to_string())),
            Ok(None) => {}
        }
        if stop.load(Ordering::Relaxed) {
            end_group(&mut child);
            return Ended::Interrupted;
        }
        if Instant::now() >= end {
            end_group(&mut child);
            let seconds = limit.as_secs();
            return Ended::Made(Some(format!("it was ended after {seconds} s, its time limit")));
        }
        std::thread::sleep(LOOK);
    }
}

/// Asks the whole group to end, then ends it.
fn end_group(child: &mut Child) {
    platform::terminate_group(child);
    let end = Instant::now() + ENDING;
    while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(LOOK);
    }
    platform::kill_group(child);
    let _ = child.wait();
}
