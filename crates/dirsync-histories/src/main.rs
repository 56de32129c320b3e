//! Starts the random histories, where the system is a Unix.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    dirsync_histories::main()
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("error: histories kill processes as Unix does; run them on Unix");
    ExitCode::from(2)
}
