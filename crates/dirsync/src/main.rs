//! `dirsync`: the directory synchronization system on the command line.

#[macro_use]
mod output;

mod alarm;
mod cli;
mod commands;
mod document;
mod failure;
mod platform;
mod progress;
mod time;
mod watch;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use failure::{ExitStatus, FailureDocument};
use words::hint::pasteable;

/// A reader of our output that has seen enough, such as `head`, is no failure; output that is lost,
/// for instance on a full disk, is one.
fn end_with_the_output() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if text.starts_with("failed printing to stdout") {
            if text.to_lowercase().contains("pipe") {
                std::process::exit(ExitStatus::Done as i32);
            }
            // It may be full as well.
            let _ = writeln!(std::io::stderr(), "error: could not write the output: {text}");
            std::process::exit(ExitStatus::Failed as i32);
        }
        if text.starts_with("failed printing to stderr") {
            // Nobody can be told.
            std::process::exit(ExitStatus::Failed as i32);
        }
        usual(panic);
    }));
}

/// A mistake on the command line: its first line says what is wrong, the others how it is used.
fn usage_error(error: &clap::Error) -> FailureDocument {
    let text = error.render().to_string();
    let (first, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let first = first.strip_prefix("error: ").unwrap_or(first).trim();
    let rest = rest.trim();
    let hint = (!rest.is_empty()).then(|| rest.to_owned());
    FailureDocument { error: first.to_owned(), hint, done: Vec::new() }
}

fn main() -> ExitCode {
    end_with_the_output();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            if std::env::args_os().any(|argument| argument == "--json") {
                document::print(&usage_error(&error));
            }
            eprint!("{}", error.render());
            return ExitCode::from(ExitStatus::Usage as u8);
        }
    };
    words::hint::set_folder(&cli.postoffice);
    let json = cli.json;
    match commands::run(cli) {
        Ok(status) => ExitCode::from(status as u8),
        Err(failure) => {
            if json {
                document::print(&FailureDocument::of(&failure));
            } else {
                commands::steps::print_lines(&failure.before);
            }
            eprintln!("error: {}", pasteable(&failure.text()));
            if let Some(hint) = &failure.hint {
                eprintln!("\nhint: {}", pasteable(hint));
            }
            ExitCode::from(ExitStatus::from(failure.kind) as u8)
        }
    }
}
