//! One module a command.

pub mod carrier;
pub mod check;
pub mod demo;
pub mod entry;
pub mod glossary;
pub mod held;
pub mod import;
pub mod inbox;
pub mod init;
pub mod key;
pub mod listing;
pub mod log;
pub mod map;
pub mod message;
pub mod probe;
pub mod quarantine;
pub mod requestor;
pub mod restore;
pub mod run;
pub mod server;
pub mod status;
pub mod steps;
pub mod undo;
pub mod view;
pub mod waiting;
pub mod why;

use std::path::Path;

use dirsync_postoffice::Postoffice;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::failure::{ExitStatus, Result};

/// Runs a command.
pub fn run(cli: Cli) -> Result<ExitStatus> {
    let (folder, json) = (&cli.postoffice, cli.json);
    match cli.command {
        Command::Init(arguments) => init::init(folder, &arguments, json),
        Command::Requestor(command) => requestor::run(folder, command, json),
        Command::Carrier(command) => carrier::run(folder, &command, json),
        Command::Rejoin => server::rejoin(folder, json),
        Command::Moved => server::moved(folder, json),
        Command::Server(command) => server::run(folder, &command, json),
        Command::Import(arguments) => import::import(folder, &arguments, json),
        Command::Map(command) => map::run(&command, json),
        Command::Entry(command) => entry::run(folder, command, json),
        Command::Config(ConfigCommand::Check) => init::check_config(folder, json),
        Command::Send => steps::send(folder, json),
        Command::Process => steps::process(folder, json),
        Command::Apply => steps::apply(folder, json),
        Command::Cycle => steps::cycle(folder, json),
        Command::Run(arguments) => run::run(folder, &arguments, json),
        Command::Export(arguments) => listing::export(folder, &arguments, json),
        Command::Status(arguments) => status::status(folder, &arguments, json),
        Command::Why(arguments) => why::why(folder, &arguments, json),
        Command::Undo(arguments) => undo::undo(folder, &arguments, json),
        Command::Log(arguments) => log::log(folder, &arguments, json),
        Command::Held(command) => held::held(folder, &command, json),
        Command::Waiting(arguments) => waiting::list(folder, &arguments, json),
        Command::Quarantine(command) => quarantine::run(folder, &command, json),
        Command::Check(arguments) => check::check(folder, &arguments, json),
        Command::Key(command) => key::run(folder, &command, json),
        Command::Message(command) => message::run(folder, &command, json),
        Command::Backup(arguments) => restore::backup(folder, &arguments.file, json),
        Command::Restore(arguments) => restore::restore(folder, &arguments.file, json),
        Command::Words => glossary::words(json),
        Command::Demo(arguments) => demo::demo(&arguments, json),
    }
}

/// Opens a postoffice to read it, and says what did not work.
fn read(folder: &Path) -> Result<Postoffice> {
    let postoffice = Postoffice::read(folder)?;
    postoffice.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    Ok(postoffice)
}

/// 3 where something waits for a person, else 0.
pub fn waiting(waits: bool) -> ExitStatus {
    if waits { ExitStatus::Waiting } else { ExitStatus::Done }
}
