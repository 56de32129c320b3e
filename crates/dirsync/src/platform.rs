//! What only some operating systems have: signals, file events, and systemd. Without them the agent
//! polls, and is ended by its host.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::failure::Outcome;

/// Wakes the agent when files change. It is a help, not a need: what happens on another host of a
/// shared folder is not seen, so places are polled as well.
pub struct Watcher(RecommendedWatcher);

impl Watcher {
    /// Looks at a folder from now on, and says whether it can; one that cannot be watched is polled.
    pub fn watch(&mut self, folder: &Path) -> bool {
        self.0.watch(folder, RecursiveMode::NonRecursive).is_ok()
    }
}

/// A watcher, where there is one, and where it says that something happened.
pub fn watch() -> (Option<Watcher>, Receiver<()>) {
    let (sender, receiver) = channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let reading = event.as_ref().is_ok_and(|event| event.kind.is_access());
        let own_log = event.as_ref().is_ok_and(|event| {
            !event.paths.is_empty() && event.paths.iter().all(|path| is_own(path))
        });
        if !reading && !own_log {
            // Nobody listens any more only when the agent ends.
            let _ = sender.send(());
        }
    });
    (watcher.ok().map(Watcher), receiver)
}

/// Files that the agent's own work touches at every look.
fn is_own(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with("-shm") || name == "lock" || name == "agent.lock"
}

/// Sets the flag at SIGTERM and SIGINT.
pub fn stop_on_signals(stop: &Arc<AtomicBool>) -> Outcome<()> {
    for signal in signal_hook::consts::TERM_SIGNALS {
        signal_hook::flag::register(*signal, Arc::clone(stop))?;
    }
    Ok(())
}

/// Tells systemd that the agent works; without systemd it is nothing.
pub fn ready() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
}

/// Tells systemd that the agent ends.
pub fn stopping() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
}
