//! What only some operating systems have: signals and systemd. Without them the agent is ended by its
//! host.

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::failure::Result;

/// Sets `stop` at SIGTERM and SIGINT, and `interrupted` at SIGINT.
pub fn stop_on_signals(stop: &Arc<AtomicBool>, interrupted: &Arc<AtomicBool>) -> Result<()> {
    // Who sees the first flag finds the second one set.
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(interrupted))?;
    for signal in signal_hook::consts::TERM_SIGNALS {
        signal_hook::flag::register(*signal, Arc::clone(stop))?;
    }
    Ok(())
}

/// Makes a command the leader of a process group, which can be ended as a whole.
pub fn lead_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Asks a process and its group to end.
pub fn terminate_group(child: &mut Child) {
    #[cfg(unix)]
    signal_group(child, nix::sys::signal::Signal::SIGTERM);
    #[cfg(not(unix))]
    let _ = child;
}

/// Ends a process and its group.
pub fn kill_group(child: &mut Child) {
    #[cfg(unix)]
    signal_group(child, nix::sys::signal::Signal::SIGKILL);
    // It may have ended by itself.
    let _ = child.kill();
}

#[cfg(unix)]
fn signal_group(child: &Child, signal: nix::sys::signal::Signal) {
    if let Ok(group) = i32::try_from(child.id()) {
        // Nobody is left in it, perhaps.
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), signal);
    }
}

/// Tells systemd that the agent works; without systemd it is nothing.
pub fn ready() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
}

/// Tells systemd that the agent ends.
pub fn stopping() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
}
