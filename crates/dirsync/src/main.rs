//! `dirsync`: the directory synchronization system on the command line.

mod alarm;
mod cli;
mod commands;
mod config;
mod failure;
mod invitation;
mod office;
mod platform;
mod time;
mod waiting;
mod words;

use std::process::ExitCode;

use clap::Parser;

/// A reader of our output that has seen enough, such as `head`, is no failure.
fn end_quietly_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if text.is_some_and(|text| text.starts_with("failed printing to stdout")) {
            std::process::exit(0);
        }
        usual(panic);
    }));
}

fn main() -> ExitCode {
    end_quietly_with_the_reader();
    let cli = cli::Cli::parse();
    let json = cli.json;
    match commands::run(cli) {
        Ok(status) => ExitCode::from(status as u8),
        Err(failure) => {
            if json {
                let error = serde_json::json!({
                    "error": format!("{:#}", failure.error), "hint": failure.hint,
                });
                println!("{error:#}");
            }
            eprintln!("error: {:#}", failure.error);
            if let Some(hint) = &failure.hint {
                eprintln!("\nhint: {hint}");
            }
            ExitCode::from(failure.status as u8)
        }
    }
}
