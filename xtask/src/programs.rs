//! Commands that are programs of other crates, each with its own `--help`.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::workspace;

/// The simulator is built as it is meant to run: optimised, and with the switches of single rules.
const SIMULATOR: &[&str] =
    &["--profile", "simulation", "--package", "dirsync-sim", "--features", "simulation"];
const HISTORIES: &[&str] = &["--package", "dirsync-histories"];
const BENCH: &[&str] = &["--package", "dirsync-bench"];

/// The words after the name of such a command.
#[derive(clap::Args)]
pub struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Cargo about to build and run a program.
pub struct Program(Command);

impl Program {
    pub fn simulator(words: impl Into<Words>) -> Self {
        Self::new(SIMULATOR, &[], words.into())
    }

    pub fn histories(words: impl Into<Words>) -> Self {
        Self::new(HISTORIES, &[], words.into())
    }

    /// The bench has two commands: `bench` and `generate`.
    pub fn bench(command: &str, words: Words) -> Self {
        Self::new(BENCH, &[command], words)
    }

    fn new(package: &[&str], first: &[&str], Words { words }: Words) -> Self {
        let mut cargo = workspace::cargo();
        cargo.args(["run", "--quiet"]).args(package).arg("--").args(first).args(words);
        Self(cargo)
    }

    /// Runs the program as a part of this one.
    pub fn command(self) -> Command {
        self.0
    }

    /// Runs the program in the place of this one: it gets the signals, and its exit code counts.
    #[cfg(unix)]
    pub fn replace_this(mut self) -> Result<ExitCode> {
        use std::os::unix::process::CommandExt as _;
        Err(anyhow::Error::new(self.0.exec()).context("could not run cargo"))
    }

    #[cfg(not(unix))]
    pub fn replace_this(mut self) -> Result<ExitCode> {
        let code = self.0.status()?.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }
}

impl<const N: usize> From<[&str; N]> for Words {
    fn from(words: [&str; N]) -> Self {
        Self { words: words.map(OsString::from).to_vec() }
    }
}
