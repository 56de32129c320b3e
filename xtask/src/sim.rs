//! The simulator, built as it is meant to run: optimised, and with the switches that no release has.

use crate::failure::Failure;
use crate::workspace;

/// Runs the simulator with these words; it has a help of its own.
pub fn run(words: &[String]) -> Result<(), Failure> {
    let status = workspace::cargo()
        .args(["run", "--quiet", "--release", "--package", "dirsync-sim"])
        .args(["--features", "simulation", "--"])
        .args(words)
        .status()
        .map_err(|error| Failure::failed(format!("could not run cargo: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(2) => Err(Failure::usage("the simulator was not run")),
        _ => Err(Failure::failed("the simulator found something, or could not be built")),
    }
}
