//! The administrator's command, run when something begins to need a person and when it is over.
//!
//! That it is to be run is committed together with what it tells ([`sound_alarms`]); the command itself
//! runs beside the steps ([`Bell`]), for a limited time, and is run again where the agent ended before
//! it had.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use dirsync_postoffice::notes::ALARM_ERROR;
use dirsync_postoffice::waiting::Waiting;
use dirsync_postoffice::{Postoffice, now_ms};
use dirsync_protocol::context::Level;
use dirsync_protocol::tables::LogLine;

use crate::failure::{ExitStatus, Result};
use crate::platform;

/// The notes of what was begun and is not over.
const ALARMS: &str = "alarm:";
/// The notes of calls that the command has still to make, in their order.
const CALLS: &str = "alarm-call:";
/// How long a command that is asked to end may take to do so.
const ENDING: Duration = Duration::from_millis(500);
/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Compares what waits with what was said before, and commits a log line and a call for each beginning
/// and each end. Returns the exit code that what waits stands for.
pub fn sound_alarms(postoffice: &mut Postoffice) -> Result<ExitStatus> {
    let waits = Waiting::of(postoffice)?;
    let now = subjects(&waits);
    let before: BTreeMap<String, String> = postoffice
        .begin()?
        .notes(ALARMS)?
        .into_iter()
        .filter_map(|(name, text)| Some((name.strip_prefix(ALARMS)?.to_owned(), text)))
        .collect();
    for (kind, text) in &now {
        if !before.contains_key(kind) {
            sound(postoffice, kind, "begins", text, Some(text))?;
        }
    }
    for (kind, text) in &before {
        if !now.contains_key(kind) {
            sound(postoffice, kind, "is over", text, None)?;
        }
    }
    Ok(waits.health().into())
}

fn sound(
    postoffice: &mut Postoffice,
    kind: &str,
    when: &str,
    text: &str,
    note: Option<&str>,
) -> Result<()> {
    let subject = format!("dirsync {}: {kind} {when}: {text}", postoffice.name);
    let calls = !postoffice.config.alarm.is_empty();
    let mut tables = postoffice.begin()?;
    tables.put_note(&format!("{ALARMS}{kind}"), note)?;
    if calls {
        let last = tables.notes(CALLS)?.pop();
        let last = last.and_then(|(name, _)| name.strip_prefix(CALLS)?.parse::<u64>().ok());
        let number = last.map_or(0, |last| last.saturating_add(1));
        tables.put_note(&format!("{CALLS}{number:020}"), Some(&subject))?;
    }
    tables.put_log(&line(Level::Info, format!("{kind} {when}: {text}")))?;
    Ok(tables.commit()?)
}

fn line(level: Level, text: String) -> LogLine {
    LogLine { at: now_ms(), step: "alarm".into(), level, text }
}

fn subjects(waits: &Waiting) -> BTreeMap<String, String> {
    let mut subjects = BTreeMap::new();
    if waits.held > 0 {
        let text = format!("{} changes wait for a person: dirsync held list", waits.held);
        subjects.insert("held".into(), text);
    }
    if waits.quarantined > 0 {
        let text = format!("{} cases: dirsync quarantine list", waits.quarantined);
        subjects.insert("quarantined".into(), text);
    }
    for name in &waits.overdue {
        subjects
            .insert(format!("overdue {name}"), format!("{name} has not been heard for too long"));
    }
    for name in &waits.doubled {
        let text = format!("{name} runs on two machines: dirsync status");
        subjects.insert(format!("doubled {name}"), text);
    }
    for name in &waits.failed_sources {
        subjects.insert(format!("source {name}"), format!("source \"{name}\" could not be read"));
    }
    for text in &waits.decisions {
        subjects.insert("decisions".into(), text.clone());
    }
    if let Some(notice) = waits.notice {
        subjects.insert("server".into(), notice.into());
    }
    if !waits.never.is_empty() {
        subjects.insert("schedule".into(), waits.never.join("; "));
    }
    for (file, error) in &waits.failed_targets {
        subjects.insert(format!("target {file}"), format!("it could not be written: {error}"));
    }
    for trouble in &waits.places {
        subjects.insert(format!("place {}", trouble.place), trouble.text.clone());
    }
    if let Some(failure) = &waits.failed_step {
        subjects.insert("step".into(), failure.clone());
    }
    if let Some(stopped) = waits.stopped {
        let text = match waits.away {
            Some(away) => format!("{away}: dirsync status"),
            None => format!("this postoffice is {stopped}; nothing is sent"),
        };
        subjects.insert(stopped.into(), text);
    }
    subjects
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
    rings: bool,
}

impl Bell {
    /// A bell that wakes the agent when a call has ended, and gives up when the agent stops.
    pub fn new(stop: Arc<AtomicBool>, wake: Sender<()>) -> Self {
        let (ended, outcomes) = channel();
        Self { stop, wake, ended, outcomes, rings: false }
    }

    /// Writes down what the last call came to, and begins the next one.
    pub fn ring(&mut self, postoffice: &mut Postoffice) -> Result<()> {
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.note(postoffice, outcome)?;
        }
        let Some((program, arguments)) = postoffice.config.alarm.clone().split_first().map(own)
        else {
            return Ok(());
        };
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let call = postoffice.begin()?.notes(CALLS)?.into_iter().next();
        let Some((name, subject)) = call.filter(|_| !self.rings) else { return Ok(()) };
        let limit = postoffice.config.alarm_timeout;
        let mut command = Command::new(&program);
        command
            .args(arguments.iter().map(|word| word.replace("{subject}", &subject)))
            .env("DIRSYNC_SUBJECT", &subject)
            .env("DIRSYNC_POSTOFFICE_NAME", postoffice.name.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let (stop, wake, ended) = (Arc::clone(&self.stop), self.wake.clone(), self.ended.clone());
        self.rings = true;
        std::thread::spawn(move || {
            let outcome = match run(command, limit, &stop) {
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

    /// Waits for a call under way. Returns whether there was one.
    pub fn wait(&mut self, open: impl FnOnce() -> Result<Postoffice>) -> Result<bool> {
        if !self.rings {
            return Ok(false);
        }
        let outcome = match self.outcomes.recv() {
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
        tables.put_note(&name, None)?;
        tables.put_note(ALARM_ERROR, error.as_deref())?;
        if let Some(error) = error {
            tables.put_log(&line(Level::Error, error))?;
        }
        Ok(tables.commit()?)
    }
}

fn own((program, arguments): (&String, &[String])) -> (String, Vec<String>) {
    (program.clone(), arguments.to_vec())
}

/// Runs a command in a process group of its own, which is ended when its time is over.
fn run(mut command: Command, limit: Duration, stop: &AtomicBool) -> Ended {
    platform::lead_group(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::Made(Some(error.to_string())),
    };
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
