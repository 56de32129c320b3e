//! One door for the project's automation: `cargo xtask COMMAND`.
//!
//! *Never:* anything that ships, and nothing that takes long to compile.

mod ci;
mod programs;
mod rust_source;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::programs::{Program, Words};

/// The project's automation
#[derive(Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
enum Command {
    /// Run everything a change must pass: format, lints, tests, worlds, histories, house rules
    #[command(after_help = ci::NOTES)]
    Ci,
    /// Check the house rules alone
    #[command(after_help = tidy::NOTES)]
    Tidy(tidy::Arguments),
    /// Measure the release binary as a whole process, on Unix, also beside its peers
    #[command(disable_help_flag = true)]
    Bench(Words),
    /// Run the shipped steps in worlds full of faults
    #[command(disable_help_flag = true)]
    Sim(Words),
    /// Run the real program through random histories, on Unix
    #[command(disable_help_flag = true)]
    Histories(Words),
    /// Write a synthetic directory as CSV
    #[command(disable_help_flag = true)]
    Generate(Words),
}

fn main() -> ExitCode {
    run(Command::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Ci => ci::run()?,
        Command::Tidy(arguments) => tidy::run(&arguments)?,
        Command::Bench(words) => return Program::bench("bench", words).replace_this(),
        Command::Sim(words) => return Program::simulator(words).replace_this(),
        Command::Histories(words) => return Program::histories(words).replace_this(),
        Command::Generate(words) => return Program::bench("generate", words).replace_this(),
    }
    Ok(ExitCode::SUCCESS)
}
