//! Ctrl-C ends a run in good order: what was started is stopped, what was made is removed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on a signal only sets the flag that [`check`] looks at. A second one ends the program.
pub fn listen() -> Result<(), Failure> {
    let flag = FLAG.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal finds the flag down, and puts it up for the second.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(flag))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(flag)))
            .map_err(|error| Failure::failed(format!("could not listen for signals: {error}")))?;
    }
    Ok(())
}

/// A failure once a signal came, so that every guard on the way out cleans up.
pub fn check() -> Result<(), Failure> {
    match FLAG.get() {
        Some(flag) if flag.load(Ordering::Relaxed) => Err(Failure::failed("interrupted")),
        _ => Ok(()),
    }
}
