//! A history's folder, and the processes that run in it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::step::Site;

/// A command that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long an agent may take to end when it is told to. It ends within two seconds on a machine that
/// has nothing else to do.
const ENDS_WITHIN: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_micros(300);

/// A result whose error says what is broken; its words before the first colon are the kind.
pub type Checked<T> = Result<T, String>;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// `None` where it was killed.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn is_done(&self) -> bool {
        matches!(self.code, Some(0 | 3))
    }

    pub fn json(&self) -> Checked<serde_json::Value> {
        serde_json::from_str(&self.out)
            .map_err(|error| format!("no JSON: {error}: {}{}", self.out, self.err))
    }
}

/// The folder, the program and the agents.
pub struct Place {
    pub folder: PathBuf,
    binary: PathBuf,
    agents: BTreeMap<Site, Child>,
    /// All that was done, a line each.
    pub told: Vec<String>,
    /// How often each command succeeded, and how many processes were killed.
    pub counts: BTreeMap<String, usize>,
    keep: bool,
}

impl Place {
    pub fn new(binary: &Path, folder: PathBuf, keep: bool) -> Checked<Self> {
        fs::create_dir_all(&folder)
            .map_err(|error| format!("no folder: {}: {error}", folder.display()))?;
        Ok(Self {
            folder,
            binary: binary.into(),
            agents: BTreeMap::new(),
            told: Vec::new(),
            counts: BTreeMap::new(),
            keep,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn site(&self, site: Site) -> PathBuf {
        self.path(site.folder())
    }

    pub fn tell(&mut self, line: impl Into<String>) {
        self.told.push(line.into());
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).current_dir(&self.folder).env_remove("DIRSYNC_POSTOFFICE");
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command at a postoffice, and kills it after `dies`.
    pub fn run(&mut self, site: Site, words: &[&str], dies: Option<Duration>) -> Checked<Ran> {
        self.run_in(site.folder(), words, dies)
    }

    pub fn run_in(&mut self, folder: &str, words: &[&str], dies: Option<Duration>) -> Checked<Ran> {
        let words: Vec<&str> = ["-C", folder].into_iter().chain(words.iter().copied()).collect();
        let line = words.join(" ");
        let (out, err) = (self.path("out"), self.path("err"));
        let create = |path: &Path| File::create(path).map_err(|error| format!("no file: {error}"));
        let mut command = self.command(&words);
        command.stdout(create(&out)?).stderr(create(&err)?);
        let mut child = command.spawn().map_err(|error| format!("not run: {line}: {error}"))?;
        let ended = wait(&mut child, dies.unwrap_or(PATIENCE));
        let code = match ended {
            Some(status) => status.code(),
            None if dies.is_some() => None,
            None => return Err(format!("hangs: {line}")),
        };
        let read = |path: &Path| {
            let bytes = fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let ran = Ran { code, out: read(&out), err: read(&err) };
        self.count(&words[2..], &ran);
        let shown = code.map_or("killed".to_owned(), |code| code.to_string());
        // Of what only looks there is much, and it says nothing.
        let only_looks = ["export", "status", "check", "held"].contains(&words[2]);
        if !only_looks || words.len() > 4 && words[3] != "list" || code != Some(0) {
            self.tell(format!("$ dirsync {line} -> {shown} {}", ran.err.trim_end()));
        }
        if ended.is_some() && code.is_none_or(|code| code == 101) {
            return Err(format!("panic: {line}: {}", ran.err));
        }
        Ok(ran)
    }

    fn count(&mut self, words: &[&str], ran: &Ran) {
        let with_two = ["entry", "held", "requestor", "server", "quarantine"].contains(&words[0]);
        let name = words[..1 + usize::from(with_two)].join(" ");
        let name = if ran.code.is_none() { "killed".to_owned() } else { name };
        if ran.is_done() || ran.code.is_none() {
            *self.counts.entry(name).or_default() += 1;
        }
    }

    /// The same, and it has to succeed.
    pub fn must(&mut self, site: Site, words: &[&str]) -> Checked<Ran> {
        let ran = self.run(site, words, None)?;
        if ran.is_done() {
            return Ok(ran);
        }
        let code = ran.code.unwrap_or_default();
        Err(format!("fails: {} {}: {code}: {}", site.folder(), words.join(" "), ran.err))
    }

    pub fn has_agent(&self, site: Site) -> bool {
        self.agents.contains_key(&site)
    }

    pub fn start_agent(&mut self, site: Site) -> Checked<()> {
        if self.has_agent(site) {
            return Ok(());
        }
        let path = self.path(&format!("{site}.said"));
        let said = OpenOptions::new().create(true).append(true).open(path);
        let said = said.map_err(|error| format!("no file: {error}"))?;
        let mut command = self.command(&["run", site.folder()]);
        command.stdout(Stdio::null()).stderr(said);
        let child = command.spawn().map_err(|error| format!("not run: {error}"))?;
        self.agents.insert(site, child);
        self.tell(format!("$ dirsync run {site} &"));
        Ok(())
    }

    /// Ends an agent in good order, which must not take long.
    pub fn stop_agent(&mut self, site: Site) -> Checked<()> {
        let Some(mut child) = self.agents.remove(&site) else { return Ok(()) };
        signal(&child, Signal::SIGTERM);
        self.tell(format!("agent of {site} stopped"));
        match wait(&mut child, ENDS_WITHIN) {
            Some(status) if status.code() == Some(0) => Ok(()),
            // It had only just begun, and did not listen yet.
            Some(status) if status.signal() == Some(Signal::SIGTERM as i32) => Ok(()),
            Some(status) => Err(format!("agent: {site}: ended with {status}: {}", self.said(site))),
            None => Err(format!("agent: {site}: does not end: {}", self.said(site))),
        }
    }

    pub fn kill_agent(&mut self, site: Site) {
        if let Some(mut child) = self.agents.remove(&site) {
            let _ = child.kill();
            let _ = child.wait();
            *self.counts.entry("killed".to_owned()).or_default() += 1;
            self.tell(format!("agent of {site} killed"));
        }
    }

    pub fn stop_agents(&mut self) -> Checked<()> {
        Site::ALL.into_iter().try_for_each(|site| self.stop_agent(site))
    }

    /// The last lines of an agent.
    pub fn said(&self, site: Site) -> String {
        let text = fs::read(self.path(&format!("{site}.said"))).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// Agents that ended by themselves, or panicked.
    pub fn check_agents(&mut self) -> Checked<()> {
        for (site, child) in &mut self.agents {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("agent: {site}: ended by itself with {status}"));
            }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for child in self.agents.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if !self.keep {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Ok(id) = i32::try_from(child.id()) {
        // It may have ended already; then there is nothing to say.
        let _ = kill(Pid::from_raw(id), signal);
    }
}

/// Until a process has ended; one that has not by then is killed.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(left.min(PAUSE));
    }
}
