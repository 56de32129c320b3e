//! What only some operating systems have: signals and systemd. Without them the agent is ended by its
//! host.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::failure::Outcome;

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

/// Lets nobody but the user read or write a file.
#[cfg(unix)]
pub fn make_private(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

/// Files are private there as their folder is.
#[cfg(not(unix))]
pub fn make_private(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
