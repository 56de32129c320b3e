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

fn main() -> ExitCode {
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
