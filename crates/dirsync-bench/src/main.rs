//! The bench: the release binary measured as a whole process, on synthetic directories.
//!
//! `cargo xtask bench` and `cargo xtask generate` run this program.

mod failure;
mod generator;
#[cfg(unix)]
mod interrupt;
#[cfg(unix)]
mod machine;
#[cfg(unix)]
mod many;
#[cfg(unix)]
mod measure;
#[cfg(unix)]
mod peers;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod service;
#[cfg(unix)]
mod sites;
#[cfg(unix)]
mod system;
#[cfg(unix)]
mod wants;
#[cfg(unix)]
mod whole;

use std::process::ExitCode;
use std::str::FromStr;

use clap::Parser;

use crate::failure::Failure;

/// Synthetic directories, and the release binary measured with them
#[derive(Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
enum Cli {
    /// Measure the release binary as a whole process
    ///
    /// Builds dirsync in release mode, makes a directory server and two requestors in a fresh folder,
    /// and runs every step of a first fill, of a changed directory and of an unchanged one; lets one
    /// server answer many requestors; lets agents run at many sites while entries change; and sends all
    /// entries once more after a restore, and their deletion.
    ///
    /// Prints a table in Markdown (wall time, processor time, peak memory, bytes written to files, bytes
    /// of messages), and a second one of the aims. A run whose lists are not equal at the end fails.
    #[cfg(unix)]
    #[command(after_help = measure::EXAMPLES)]
    Bench(measure::Arguments),
    /// Write a synthetic directory as CSV
    ///
    /// The same people for the same seed, on every machine.
    #[command(after_help = generator::EXAMPLES)]
    Generate(generator::Arguments),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    match cli {
        #[cfg(unix)]
        Cli::Bench(arguments) => measure::run(arguments),
        Cli::Generate(arguments) => generator::run(arguments),
    }
}

/// Reads a whole number, which may have underscores between its digits.
fn number<N: FromStr>(text: &str) -> Result<N, N::Err> {
    text.replace('_', "").parse()
}
