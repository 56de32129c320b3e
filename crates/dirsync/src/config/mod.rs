//! `dirsync.toml`: what an administrator decides for one postoffice. Every key has a default.

mod error;
mod file;
mod map_file;

use std::path::{Path, PathBuf};
use std::time::Duration;

use dirsync_agent::changes::Guards;
use dirsync_connect::{Format, OpenOptions};
use dirsync_directory::View;
use dirsync_protocol::schedule::Schedule;

pub use error::ConfigErrors;
pub use map_file::load_map;

/// What `dirsync init` writes.
pub const TEMPLATE: &str = include_str!("template.toml");

/// The settings of one postoffice.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it wants to see.
    pub view: View,
    /// When its steps run; none: continuously.
    pub schedule: Option<Schedule>,
    /// How often its places are looked at.
    pub poll: Duration,
    /// Where its own entries come from.
    pub sources: Vec<SourceConfig>,
    /// Where the received list is written to.
    pub targets: Vec<TargetConfig>,
    /// When changes are too many.
    pub guards: Guards,
    /// The command that is run when something begins or ends to need a person.
    pub alarm: Vec<String>,
    /// How long what was taken is kept aside.
    pub keep_done: Duration,
    /// How long log lines are kept.
    pub keep_log: Duration,
    /// How long the server remembers deletions that everybody has confirmed.
    pub keep_confirmed: Duration,
    /// How long the server remembers deletions at most.
    pub keep_tombstones: Duration,
    /// zstd level of bodies.
    pub compression: i32,
    /// From how many encoded bytes on a body is cut into parts.
    pub part_bytes: u64,
    /// How long a file that seems half written is left alone, in milliseconds.
    pub settle_ms: u64,
}

/// A source.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its format.
    pub format: Format,
    /// The file is the whole list.
    pub whole: bool,
    /// Its encoding and map.
    pub options: OpenOptions,
    /// Fingerprint of what shapes its rows.
    pub fingerprint: String,
}

/// A target.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// The file.
    pub file: PathBuf,
    /// Its format.
    pub format: Format,
    /// Values that a spreadsheet would run are marked.
    pub for_people: bool,
    /// Own entries instead of the list.
    pub own: bool,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Config {
    fn default() -> Self {
        Self {
            view: View::default(),
            schedule: None,
            poll: Duration::from_secs(30),
            sources: Vec::new(),
            targets: Vec::new(),
            guards: Guards::default(),
            alarm: Vec::new(),
            keep_done: 14 * DAY,
            keep_log: 90 * DAY,
            keep_confirmed: 30 * DAY,
            keep_tombstones: 365 * DAY,
            compression: 3,
            part_bytes: 8 * 1024 * 1024,
            settle_ms: 60_000,
        }
    }
}

impl Config {
    /// Reads a configuration; a file that is not there stands for the defaults. Relative paths in it
    /// are relative to its folder.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, with positions.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(ConfigErrors::unreadable(path, &error)),
        };
        file::parse(path, &text)
    }
}

#[cfg(test)]
mod tests;
