//! One door for the project's automation: `cargo xtask COMMAND`.
//!
//! *Never:* anything that ships.

mod arguments;
#[cfg(unix)]
mod bench;
mod ci;
mod failure;
mod generator;
#[cfg(unix)]
mod histories;
mod rust_source;
mod sim;
mod tidy;
mod workspace;

use std::process::ExitCode;

use crate::failure::Failure;

const HELP: &str = "\
The project's automation

Usage: cargo xtask COMMAND [OPTIONS]

Commands:
  ci         Run everything a change must pass: format, lints, tests, house rules
  tidy       Check the house rules alone
  bench      Measure the release binary as a whole process, on Unix, also beside its peers
  sim        Run the shipped steps in worlds full of faults
  histories  Run the real program through random histories, on Unix
  generate   Write a synthetic directory as CSV

\"cargo xtask COMMAND --help\" says more.
";

/// Runs one command with the words after its name.
type Action = fn(&[String]) -> Result<(), Failure>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.split_first() {
        None => Err(Failure::usage("no command is given; \"cargo xtask --help\" lists them")),
        Some((command, rest)) => run(command, rest),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: &str, rest: &[String]) -> Result<(), Failure> {
    if command == "sim" {
        return sim::run(rest);
    }
    let asks_for_help = rest.iter().any(|word| word == "--help" || word == "-h");
    let (help, action): (&str, Action) = match command {
        "ci" => (ci::HELP, ci::run),
        "tidy" => (tidy::HELP, tidy::run),
        #[cfg(unix)]
        "bench" => (bench::HELP, bench::run),
        #[cfg(unix)]
        "histories" => (histories::HELP, histories::run),
        "generate" => (generator::HELP, generator::run),
        "--help" | "-h" | "help" => {
            print!("{HELP}");
            return Ok(());
        }
        _ => {
            return Err(Failure::usage(format!(
                "\"{command}\" is not a command; \"cargo xtask --help\" lists them"
            )));
        }
    };
    if asks_for_help {
        print!("{help}");
        return Ok(());
    }
    action(rest)
}
